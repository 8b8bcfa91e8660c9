"""Rows of a batch: which of them can be used, and what their fields say. All bad rows are counted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from traces.columns import Column
from traces.errors import Problem, Quarantine, TraceError
from traces.readers.tables import Batch

ROUNDING = 1e-6  # a ratio may exceed 1 by this much; it is then read as 1
NO_KEY, UNKNOWN_KEY = -1, -2
_NUMBER = r"^\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*$"


class RowCheck:
    """The rows of a batch that are still good. Rows that are rejected are counted once, with their place."""

    def __init__(self, batch: Batch, quarantine: Quarantine, ok: NDArray[np.bool_] | None = None) -> None:
        self.ok = np.ones(len(batch), np.bool_) if ok is None else ok.copy()
        self._batch = batch
        self._quarantine = quarantine

    def reject(self, bad: NDArray[np.bool_], field: str, reason: str) -> None:
        """Set the rows aside that are ``bad`` and were good so far."""
        rows = np.flatnonzero(bad & self.ok)
        self.ok[rows] = False
        shown = rows[:5]
        for row in shown:
            value = self._batch.columns[field][int(row)].as_py()
            place = self._batch.place(int(row))
            self._quarantine.add(Problem(self._batch.table.name, place, field, reason, str(value)))
        if len(rows) > len(shown):
            place = self._batch.place(int(rows[-1]))
            self._quarantine.add(
                Problem(self._batch.table.name, place, field, reason), len(rows) - len(shown)
            )


class Keys:
    """Numbers for identifiers: given ones, or, if none are given, every one that is met, in that order."""

    def __init__(self, known: Sequence[str] | None = None) -> None:
        self._grows = known is None
        self._names = pa.array(known or [], pa.string())

    def __len__(self) -> int:
        return len(self._names)

    @property
    def names(self) -> list[str]:
        """All identifiers, in the order of their numbers."""
        names: list[str] = self._names.to_pylist()
        return names

    def numbers(self, column: Any) -> NDArray[np.int32]:
        """Number of each row's identifier, ``NO_KEY`` if empty, ``UNKNOWN_KEY`` if not known. (n,)"""
        if not pa.types.is_dictionary(column.type):
            column = column.dictionary_encode()
        names = column.dictionary.cast(pa.string()).fill_null("")
        index = column.indices.fill_null(len(names)).to_numpy(zero_copy_only=False)
        if self._grows:
            self._grow(names, index)
        number = np.full(len(names) + 1, NO_KEY, np.int32)
        number[:-1] = pc.index_in(names, self._names).fill_null(UNKNOWN_KEY).to_numpy(zero_copy_only=False)
        number[:-1][pc.equal(names, "").to_numpy(zero_copy_only=False)] = NO_KEY
        numbers: NDArray[np.int32] = number[index]
        return numbers

    def _grow(self, names: Any, index: NDArray[np.int32]) -> None:
        used = np.zeros(len(names) + 1, np.bool_)  # a dictionary may hold names that no row has
        used[index] = True
        met = names.filter(pa.array(used[:-1]))
        is_new = pc.and_(pc.is_null(pc.index_in(met, self._names)), pc.not_equal(met, ""))
        self._names = pa.concat_arrays([self._names, met.filter(is_new).unique()])


def to_numbers(column: Any, name: str, where: str) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Values as float64, NaN where empty or not a number, and a mask of the rows that are empty. Both (n,).

    Raises TraceError if the column is of a type that holds no numbers.
    """
    empty = column.is_null().to_numpy(zero_copy_only=False)
    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.cast(pa.string())
        kind = column.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        numeric = pc.match_substring_regex(column, _NUMBER)
        column = pc.utf8_trim_whitespace(pc.if_else(numeric, column, None))
    elif not (
        pa.types.is_floating(kind)
        or pa.types.is_integer(kind)
        or pa.types.is_decimal(kind)
        or pa.types.is_null(kind)
    ):
        raise TraceError(f"{where}: column {name} is of type {kind}; it must hold numbers")
    values = column.cast(pa.float64()).fill_null(np.nan).to_numpy(zero_copy_only=False)
    return values, empty


def measured(batch: Batch, columns: Sequence[Column], check: RowCheck) -> dict[str, NDArray[np.float32]]:
    """The measures of the rows, NaN where not recorded. Rows with an impossible value are rejected. (n,)"""
    measures: dict[str, NDArray[np.float32]] = {}
    for column in columns:
        source = batch.columns[column.name]
        values, empty = to_numbers(source, column.name, batch.table.name)
        text = not (pa.types.is_floating(source.type) or pa.types.is_integer(source.type))
        absent = empty if column.is_load or text else empty | np.isnan(values)
        check.reject(~np.isfinite(values) & ~absent, column.name, f"{column.name} is not a number")
        values = values * column.scale
        check.reject(values < 0, column.name, f"{column.name} is negative")
        above = values > column.highest + ROUNDING
        check.reject(above, column.name, f"{column.name} is above {column.highest / column.scale:g}")
        narrow = np.clip(values, 0, column.highest).astype(np.float32)
        measures[column.measure] = (
            np.fmax(measures[column.measure], narrow) if column.measure in measures else narrow
        )
    return measures
