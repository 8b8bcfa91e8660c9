"""The first pass over a file: which cells and times it holds, and whether its units can be right."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from traces.columns import TIMESTAMP, Column
from traces.errors import Problem, Quarantine, TraceError
from traces.readers.grid import MAX_STEPS, TimeFacts
from traces.readers.rows import NO_KEY, ROUNDING, UNKNOWN_KEY, Keys, RowCheck, to_numbers
from traces.readers.source import ColumnFacts
from traces.readers.tables import BadLine, Batch, Table, read_batches
from traces.readers.times import FAULTS, Seconds, to_utc_seconds

Progress = Callable[[float], None]  # share of the work that is done
NEVER = np.iinfo(np.int64).min


@dataclass(frozen=True, slots=True)
class Keyed:
    """A table whose rows belong to an identifier and a time."""

    table: Table
    key_column: str
    columns: tuple[Column, ...]
    zone: ZoneInfo | None  # of times without an offset

    @property
    def names(self) -> list[str]:
        """All columns to read."""
        return [self.key_column, TIMESTAMP, *(c.name for c in self.columns)]


@dataclass(slots=True)
class Scan:
    """What the first pass found."""

    times: TimeFacts
    columns: dict[str, ColumnFacts]
    chunk_range: dict[int, tuple[int, int]]  # chunk -> lowest and highest number of a cell in it
    rows: int = 0
    unsorted_rows: int = 0  # earlier than the row before of the same cell


def placed_rows(
    batch: Batch, keyed: Keyed, keys: Keys, quarantine: Quarantine
) -> tuple[RowCheck, NDArray[np.int32], Seconds]:
    """Check, number of the cell and time of each row; rows without one of them are rejected."""
    check = RowCheck(batch, quarantine)
    numbers = keys.numbers(batch.columns[keyed.key_column])
    check.reject(numbers == NO_KEY, keyed.key_column, f"{keyed.key_column} is empty")
    check.reject(numbers == UNKNOWN_KEY, keyed.key_column, f"{keyed.key_column} is not in the cell table")
    seconds, fault = to_utc_seconds(batch.columns[TIMESTAMP], keyed.zone, batch.table.name)
    for number, reason in FAULTS.items():
        check.reject(fault == number, TIMESTAMP, reason)
    return check, numbers, seconds


def count_bad_lines(table: Table, quarantine: Quarantine) -> BadLine:
    """What to do with a line of the wrong length: count it."""

    def count(line: int, text: str) -> None:
        quarantine.add(Problem(table.name, f"line {line}", "", "wrong number of fields", text[:80]))

    return count


def scan(keyed: Keyed, keys: Keys, quarantine: Quarantine, progress: Progress) -> Scan:
    """Read all rows once. Rows without a known cell and a time are counted in ``quarantine``.

    Raises TraceError if a column of ratios holds percent or other counts.
    """
    times = TimeFacts(Counter(), Counter(), Counter())
    found = Scan(times, {c.name: ColumnFacts() for c in keyed.columns}, {})
    last = np.full(0, NEVER, np.int64)

    for batch in read_batches(keyed.table, keyed.names, on_bad_line=count_bad_lines(keyed.table, quarantine)):
        check, numbers, seconds = placed_rows(batch, keyed, keys, quarantine)
        numbers, seconds = numbers[check.ok], seconds[check.ok]
        last = np.concatenate([last, np.full(len(keys) - len(last), NEVER, np.int64)])
        found.rows += len(batch)
        if len(numbers):
            low, high = found.chunk_range.get(batch.chunk, (len(keys), -1))
            found.chunk_range[batch.chunk] = min(low, int(numbers.min())), max(high, int(numbers.max()))
            found.unsorted_rows += _note_times(numbers, seconds, last, times)
        if len(times.rows_at) > MAX_STEPS:
            raise TraceError(
                f"{keyed.table.name}: more than {MAX_STEPS} different times; round them to the step"
            )
        for column in keyed.columns:
            _note_values(batch, column, found.columns[column.name])
        progress(batch.done)
    _refuse_wrong_units(keyed.table, keyed.columns, found.columns)
    return found


def _note_times(numbers: NDArray[np.int32], seconds: Seconds, last: Seconds, times: TimeFacts) -> int:
    """Count times and distances; ``last``: time of each cell's last row so far. Returns unsorted rows."""
    _count(times.rows_at, seconds)
    if (np.diff(numbers) < 0).any():
        order = np.argsort(numbers, kind="stable")
        numbers, seconds = numbers[order], seconds[order]
    starts = np.flatnonzero(np.diff(numbers, prepend=-1))
    ends = np.append(starts[1:], len(numbers)) - 1
    before = last[numbers[starts]]
    across = np.where(before == NEVER, 0, seconds[starts] - before)  # from the batch before to this one
    last[numbers[starts]] = seconds[ends]
    distance = np.diff(seconds, prepend=seconds[:1])
    distance[starts] = 0
    unsorted_rows = int((distance < 0).sum() + (across < 0).sum())
    if (distance < 0).any():
        seconds = seconds[np.lexsort((seconds, numbers))]  # numbers are sorted already
        distance = np.diff(seconds, prepend=seconds[:1])
        distance[starts] = 0
    _count(times.runs, distance[_fourth_equal(distance)])
    _count(times.distances, distance[distance > 0])
    _count(times.distances, np.abs(across[across != 0]))
    return unsorted_rows


def _fourth_equal(distance: Seconds) -> NDArray[np.bool_]:
    """True where a distance is positive and equal to the three before it; a 0 stands between cells."""
    same = np.zeros(len(distance), np.bool_)
    if len(distance) > 3:
        last = distance[3:]
        same[3:] = (last > 0) & (last == distance[2:-1]) & (last == distance[1:-2]) & (last == distance[:-3])
    return same


def _count(counter: Counter[int], values: Seconds) -> None:
    for pair in pa.array(values).value_counts().to_pylist():
        counter[pair["values"]] += pair["counts"]


def _note_values(batch: Batch, column: Column, facts: ColumnFacts) -> None:
    values, _ = to_numbers(batch.columns[column.name], column.name, batch.table.name)
    values = values[np.isfinite(values)] * column.scale
    if len(values):
        facts.recorded += len(values)
        facts.not_zero += int(np.count_nonzero(values))
        facts.above_highest += int((values > column.highest + ROUNDING).sum())
        facts.largest = max(facts.largest, float(values.max()))


def _refuse_wrong_units(table: Table, columns: Sequence[Column], facts: Mapping[str, ColumnFacts]) -> None:
    """A few values above 1 are bad rows; many are another unit, and that is never guessed."""
    for column in columns:
        found = facts[column.name]
        share = found.above_highest / max(found.recorded, 1)
        many = share > 0.5 or (share > 0.01 and found.above_highest >= 10)
        if column.highest != 1 or found.largest <= 1.5 or not many:
            continue
        limit, largest = 1 / column.scale, found.largest / column.scale
        said = f"{table.name}: {share:.0%} of column {column.name} is above {limit:g}, up to {largest:g}"
        if column.percent_advice and found.largest <= 110:
            raise TraceError(f"{said}; it looks like percent: {column.percent_advice}")
        raise TraceError(
            f"{said}; that is neither a ratio nor percent: divide counts of PRBs by the PRBs available"
        )
