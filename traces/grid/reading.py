"""Rows of a table to a series at one step: order, duplicates, gaps, and numbers that cannot be."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from traces.errors import Quarantine, TraceError
from traces.grid.series import GridSeries, Values
from traces.readers.rows import RowCheck, to_numbers
from traces.readers.tables import Batch, Table, open_table, read_all
from traces.readers.times import FAULTS, known_zone, to_utc_seconds

MAX_STEPS = 5_000_000


@dataclass(frozen=True, slots=True)
class Quantity:
    """A column of a table and the quantity that it holds: value = column x scale, from ``lowest`` to ``highest``."""

    column: str
    unit: str
    scale: float = 1.0
    lowest: float = -1e9
    highest: float = 1e9


def open_with(path: Path, columns: tuple[str, ...]) -> Table:
    """Open a table that must have ``columns``. Raises TraceError for a missing file or column."""
    if not path.is_file():
        raise TraceError(f"{path.name}: the file does not exist in {path.parent}; check the path")
    table = open_table(path)
    missing = [name for name in columns if name not in table.columns]
    if missing:
        raise TraceError(
            f"{table.name}: column {missing[0]} is missing; it has {', '.join(table.columns)}: "
            "rename the column, its name states its unit"
        )
    return table


def rows_of(batch: Batch, column: str, wanted: str) -> NDArray[np.bool_]:
    """Rows in which ``column`` is ``wanted``. (n,) Raises TraceError, with the known ones, if there is none."""
    names = np.asarray(batch.columns[column].to_pylist(), object)
    chosen: NDArray[np.bool_] = np.asarray(names == wanted, np.bool_)
    if not chosen.any():
        known = sorted({str(name) for name in names if name is not None})
        raise TraceError(
            f"{batch.table.name}: no row has {column} {wanted!r}; known: {', '.join(known[:20])}"
        )
    return chosen


def timed_series(
    batch: Batch,
    rows: NDArray[np.bool_],
    quantity: Quantity,
    name: str,
    *,
    step_s: int | None = None,
    fill_s: int = 0,
    time_zone: str | None = None,
    repeats_yearly: bool = False,
) -> GridSeries:
    """The ``rows`` of a batch with a column ``timestamp`` (begin of the step) as one series.

    ``step_s``: length of a step; None takes the most common distance of two rows. Gaps of at most ``fill_s`` hold the
    value before them and are counted in a note; longer ones stay NaN. Rows with a bad time or number, or a time that
    was already met, are set aside. Raises TraceError if no row can be used.
    """
    quarantine = Quarantine()
    check = RowCheck(batch, quarantine, rows)
    zone = None if time_zone is None else known_zone(time_zone)
    seconds, fault = to_utc_seconds(batch.columns["timestamp"], zone, batch.table.name)
    for number, reason in FAULTS.items():
        check.reject(fault == number, "timestamp", reason)
    values = numbers_of(batch, quantity, check)
    check.reject(_met_before(seconds, check.ok), "timestamp", "duplicate time")
    seconds, values = seconds[check.ok], values[check.ok]
    if not len(seconds):
        raise TraceError(f"{batch.table.name}: no row of {name} can be used{_why(quarantine)}")
    order = np.argsort(seconds, kind="stable")
    seconds, values = seconds[order], values[order]
    step_s = step_s or _usual_step(seconds, batch.table.name, name)
    steps, off = np.divmod(seconds - seconds[0], step_s)
    if off.any():
        raise TraceError(
            f"{batch.table.name}: {int((off > 0).sum())} rows of {name} are not on a grid of {step_s} s from "
            f"{np.datetime64(int(seconds[0]), 's')}Z on; bring them to one step"
        )
    if steps[-1] >= MAX_STEPS:
        raise TraceError(
            f"{batch.table.name}: {name} spans over {MAX_STEPS} steps of {step_s} s; split the file"
        )
    grid = np.full(int(steps[-1]) + 1, np.nan)
    grid[steps] = values
    grid, notes = _filled(grid, fill_s // step_s, step_s)
    start = np.datetime64(int(seconds[0]), "s")
    return GridSeries(name, start, step_s, grid, quantity.unit, repeats_yearly, notes, quarantine)


def numbers_of(batch: Batch, quantity: Quantity, check: RowCheck) -> Values:
    """The quantity in each row, NaN where empty; rows with an impossible number are set aside. (n,)"""
    column = quantity.column
    values, empty = to_numbers(batch.columns[column], column, batch.table.name)
    check.reject(empty, column, f"{column} is empty")
    check.reject(~np.isfinite(values), column, f"{column} is not a number")
    values = values * quantity.scale
    check.reject(values < quantity.lowest, column, f"{column} is below {quantity.lowest / quantity.scale:g}")
    check.reject(
        values > quantity.highest, column, f"{column} is above {quantity.highest / quantity.scale:g}"
    )
    return values


def whole_table(table: Table, columns: tuple[str, ...]) -> Batch:
    """All rows of a table. Raises TraceError as ``read_all`` does."""
    return read_all(table, columns)


def _met_before(seconds: NDArray[np.int64], ok: NDArray[np.bool_]) -> NDArray[np.bool_]:
    again = np.ones(len(seconds), np.bool_)
    rows = np.flatnonzero(ok)
    again[rows[np.unique(seconds[rows], return_index=True)[1]]] = False
    return again


def _usual_step(seconds: NDArray[np.int64], table: str, name: str) -> int:
    if len(seconds) < 2:
        raise TraceError(f"{table}: {name} has one row, which shows no step; state step_s")
    lengths, counts = np.unique(np.diff(seconds), return_counts=True)
    return int(lengths[np.argmax(counts)])


def _filled(values: Values, longest: int, step_s: int) -> tuple[Values, tuple[str, ...]]:
    """Fill gaps of up to ``longest`` steps with the value before them; say what was missing and what was filled."""
    gone = np.isnan(values)
    if not gone.any():
        return values, ()
    edges = np.flatnonzero(np.diff(np.concatenate([[False], gone, [False]]).astype(np.int8)))
    gaps = edges.reshape(-1, 2)  # first missing step, first recorded one after it
    filled = 0
    for begin, end in gaps.tolist():
        if end - begin <= longest:
            values[begin:end] = values[begin - 1]
            filled += end - begin
    note = f"{int(gone.sum())} of {len(values)} steps of {step_s} s are missing, in {len(gaps)} gaps"
    return values, (f"{note}; {filled} were filled with the value before the gap.",)


def _why(quarantine: Quarantine) -> str:
    if not quarantine.total:
        return "; the file holds none of it"
    first = quarantine.examples[0]
    return (
        f"; {quarantine.total} were set aside, the first at {first.place}: {first.reason} ({first.value!r})"
    )
