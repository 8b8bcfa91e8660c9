"""The second pass over a file: the wanted cells' rows into ``[cell, time]`` arrays."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from traces.columns import TIMESTAMP
from traces.errors import Quarantine
from traces.readers.grid import OFF_GRID, OUTSIDE, Grid
from traces.readers.rows import Keys, RowCheck, measured
from traces.readers.scan import Keyed, Progress, count_bad_lines, placed_rows
from traces.readers.source import Series
from traces.readers.tables import read_batches

REPEATED = "cell and time repeated, same values"
CONFLICTING = "cell and time repeated, other values"


def fill(
    keyed: Keyed,
    keys: Keys,
    row_of_key: NDArray[np.int32],
    grid: Grid,
    quarantine: Quarantine,
    *,
    chunks: set[int] | None,
    count_misplaced: bool,
    progress: Progress,
) -> Series:
    """Arrays of every measure, shape (n_rows, n_steps), NaN where nothing was recorded.

    ``row_of_key``: row of the array for each number of ``keys``, -1 for keys that are not wanted. Of several
    rows of a cell and time the first that is good counts. Rows that cannot be used are counted in
    ``quarantine``; rows without a known key or time only with ``count_misplaced``, as a scan may have counted
    them already.
    """
    n_rows = int((row_of_key >= 0).sum())
    flat = {c.measure: np.full(n_rows * grid.n_steps, np.nan, np.float32) for c in keyed.columns}
    seen = np.zeros(n_rows * grid.n_steps, np.bool_)
    row_of_number = np.append(row_of_key, [-1, -1])  # NO_KEY and UNKNOWN_KEY
    misplaced = quarantine if count_misplaced else Quarantine()
    bad_line = count_bad_lines(keyed.table, misplaced)
    for batch in read_batches(keyed.table, keyed.names, chunks=chunks, on_bad_line=bad_line):
        placed, numbers, seconds = placed_rows(batch, keyed, keys, misplaced)
        row = row_of_number[numbers]
        check = RowCheck(batch, quarantine, placed.ok & (row >= 0))
        step, off_grid, outside = grid.step_of(seconds)
        check.reject(outside, TIMESTAMP, OUTSIDE)
        check.reject(off_grid, TIMESTAMP, OFF_GRID)
        values = measured(batch, keyed.columns, check)
        _store(check, row * grid.n_steps + step, values, flat, seen)
        progress(batch.done)
    return {name: array.reshape(n_rows, grid.n_steps) for name, array in flat.items()}


def _store(
    check: RowCheck,
    place: NDArray[np.int64],
    values: Series,
    flat: Mapping[str, NDArray[np.float32]],
    seen: NDArray[np.bool_],
) -> None:
    """Write the first row of each place; count the others as repeated."""
    rows = np.flatnonzero(check.ok)
    at = place[rows]
    is_first = ~seen[at]
    if not (np.diff(at) > 0).all():
        earliest = np.zeros(len(at), np.bool_)
        earliest[np.unique(at, return_index=True)[1]] = True
        is_first &= earliest
    first, again = rows[is_first], rows[~is_first]
    for name, array in flat.items():
        array[place[first]] = values[name][first]
    seen[place[first]] = True
    if len(again):
        same = np.zeros(len(place), np.bool_)
        same[again] = True
        for name, array in flat.items():
            kept, other = array[place[again]], values[name][again]
            same[again] &= (kept == other) | (np.isnan(kept) & np.isnan(other))
        is_again = np.zeros(len(place), np.bool_)
        is_again[again] = True
        check.reject(is_again & same, TIMESTAMP, REPEATED)
        check.reject(is_again & ~same, TIMESTAMP, CONFLICTING)
