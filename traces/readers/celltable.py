"""A table of cells to ``Cells``. The table is small and made by hand, so errors in it stop the reading."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from traces.columns import CELL_COLUMNS, CELL_ID, CELL_NUMBERS, CELL_TEXTS
from traces.errors import TraceError
from traces.readers.rows import to_numbers
from traces.readers.source import unread_note
from traces.readers.tables import Batch, Table, read_all
from traces.trace import Cells, make_cells


@dataclass(frozen=True, slots=True)
class CellTable:
    """What a table of cells says."""

    cells: Cells
    states_overlap: bool  # it has a column for it, even if no cell has candidates
    time_zone: str  # "" if it does not say
    notes: tuple[str, ...]


def read_cell_table(table: Table, names: Mapping[str, str] | None = None) -> CellTable:
    """Read the cells. ``names``: the table's own name of a tidy column, where it differs.

    Raises TraceError, with file, row and remedy, for repeated or empty identifiers, candidates that are not
    in the table, a cell that is its own candidate, roles that are not known, and numbers out of range.
    """
    source = {column: (names or {}).get(column, column) for column in CELL_COLUMNS}
    source = {column: name for column, name in source.items() if name in table.columns}
    if CELL_ID not in source:
        raise TraceError(f"{table.name}: column {CELL_ID} is missing; it has {', '.join(table.columns)}")
    batch = read_all(table, list(source.values()))
    texts = {column: _texts(batch, source[column]) for column in (CELL_ID, *CELL_TEXTS) if column in source}
    cell_id = texts.pop(CELL_ID)
    _refuse_unclear_ids(batch, cell_id)
    if "site_id" in texts:  # a cell without a site is a site of its own
        texts["site_id"] = [site or cell for site, cell in zip(texts["site_id"], cell_id, strict=True)]
    known: dict[str, Any] = {**texts}
    known |= {column: _numbers(batch, column, source[column]) for column in CELL_NUMBERS if column in source}
    candidates = _candidates(batch, source["candidates"], cell_id) if "candidates" in source else {}
    if "overlap" in source:
        known["candidate_overlap"] = _overlaps(batch, source["overlap"], candidates)
    if "anchor" in source:
        known["anchor"] = _anchors(batch, source["anchor"], cell_id)
    notes = unread_note(table, source.values())
    if "role" in source:
        known["is_capacity"], more = _is_capacity(batch, source["role"], candidates)
        notes += more
    cells = make_cells(cell_id, candidates, **known)
    zone = _only_value(batch, source["time_zone"]) if "time_zone" in source else ""
    return CellTable(cells, "candidates" in source, zone, notes)


def _refuse_unclear_ids(batch: Batch, cell_id: list[str]) -> None:
    first_row: dict[str, int] = {}
    for row, cell in enumerate(cell_id):
        where = f"{batch.table.name}, {batch.place(row)}"
        if not cell:
            raise TraceError(f"{where}: {CELL_ID} is empty; give the cell a name")
        if first_row.setdefault(cell, row) != row:
            raise TraceError(
                f"{where}: {CELL_ID} {cell!r} is there already, in {batch.place(first_row[cell])}; "
                "keep one row per cell"
            )


def _texts(batch: Batch, name: str) -> list[str]:
    values = batch.columns[name].cast(pa.string()).to_pylist()
    return [value or "" for value in values]


def _numbers(batch: Batch, column: str, name: str) -> NDArray[np.float64]:
    values, empty = to_numbers(batch.columns[name], name, batch.table.name)
    low, high = CELL_NUMBERS[column]
    bad = ~empty & ~np.isnan(values) & ((values < low) | (values > high))
    text = pa.types.is_string(batch.columns[name].type)
    bad |= text & ~empty & np.isnan(values)
    if bad.any():
        row = int(np.argmax(bad))
        value = batch.columns[name][row].as_py()
        raise TraceError(
            f"{batch.table.name}, {batch.place(row)}: {name} is {value!r}; it must be a number from {low:g} "
            f"to {high:g}, or empty if not known"
        )
    return np.nan_to_num(values, nan=0.0) if column == "txru" else values


def _candidates(batch: Batch, name: str, cell_id: list[str]) -> dict[int, list[int]]:
    """Indices of the candidates of each cell that has some, from lists or from text joined by semicolons."""
    index = {cell: i for i, cell in enumerate(cell_id)}
    found = {}
    for row, value in enumerate(batch.columns[name].to_pylist()):
        own = [part.strip() for part in value.split(";")] if isinstance(value, str) else value or []
        named = [str(part) for part in own if part not in ("", None)]
        if cell_id[row] in named:
            raise TraceError(
                f"{batch.table.name}, {batch.place(row)}: cell {cell_id[row]!r} is its own candidate; "
                "name only other cells in candidates"
            )
        unknown = [part for part in named if part not in index]
        if unknown:
            raise TraceError(
                f"{batch.table.name}, {batch.place(row)}: candidate {unknown[0]!r} of {cell_id[row]!r} is "
                "not in the table; add the cell or remove the candidate"
            )
        if named:
            found[row] = [index[part] for part in named]
    return found


def _overlaps(batch: Batch, name: str, candidates: Mapping[int, list[int]]) -> dict[int, list[float]]:
    """Share of each cell's traffic that each of its candidates reaches; an empty field means all of it."""
    found = {}
    for row, value in enumerate(batch.columns[name].to_pylist()):
        own = value.split(";") if isinstance(value, str) else value
        if own in (None, [], [""]):
            continue
        named = len(candidates.get(row, ()))
        try:
            shares = [float(part) for part in (own if isinstance(own, list) else [own])]
        except (TypeError, ValueError):
            shares = []
        if len(shares) != named or not all(0 < share <= 1 for share in shares):
            raise TraceError(
                f"{batch.table.name}, {batch.place(row)}: {name} is {value!r}; give one number above 0 and up to 1 "
                f"for each of the {named} candidates, in their order, or leave it empty"
            )
        found[row] = shares
    return found


def _anchors(batch: Batch, name: str, cell_id: list[str]) -> NDArray[np.int32]:
    """Index of the cell that anchors each cell, -1 where the field is empty."""
    index = {cell: i for i, cell in enumerate(cell_id)}
    named = _texts(batch, name)
    for row, anchor in enumerate(named):
        where = f"{batch.table.name}, {batch.place(row)}: {name} {anchor!r} of {cell_id[row]!r}"
        if anchor and anchor not in index:
            raise TraceError(f"{where} is not in the table; add the cell or leave {name} empty")
        if anchor and (anchor == cell_id[row] or named[index[anchor]]):
            raise TraceError(f"{where} has an anchor itself; an anchor is an LTE cell that stands alone")
    return np.array([index[anchor] if anchor else -1 for anchor in named], np.int32)


def _is_capacity(
    batch: Batch, name: str, candidates: Mapping[int, list[int]]
) -> tuple[NDArray[np.bool_], tuple[str, ...]]:
    roles = _texts(batch, name)
    for row, role in enumerate(roles):
        if role not in ("coverage", "capacity", ""):
            raise TraceError(
                f"{batch.table.name}, {batch.place(row)}: role {role!r} is not known; "
                "write coverage or capacity"
            )
    is_capacity = np.array([role == "capacity" for role in roles])
    alone = sum(row not in candidates for row in np.flatnonzero(is_capacity).tolist())
    if not alone:
        return is_capacity, ()
    note = f"{alone} capacity cells name no candidate cell: they are read as coverage cells."
    return is_capacity, (note,)


def _only_value(batch: Batch, name: str) -> str:
    zones = sorted(set(_texts(batch, name)) - {""})
    if len(zones) > 1:
        raise TraceError(
            f"{batch.table.name}: {name} is {zones[0]!r} and {zones[1]!r}; a trace has one time zone"
        )
    return zones[0] if zones else ""
