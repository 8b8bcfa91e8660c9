"""Slot traces: what a carrier sent in each slot, from a folder of Parquet or CSV tables. See docs/symbols.md.

A slot trace lists the slots that carried something; every other slot of a recording was empty. A slot of which only is
known that something was sent (``n_unresolved_dci``) counts as busy, with the mean downlink of the recording's others.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from traces.errors import TraceError

RECORDING, MS = "recording", "ms"
SIZES = ("dl_prb", "ul_prb")
UNRESOLVED = "n_unresolved_dci"
ABOUT = ("duration_ms", "n_prb", "scs_khz")
NUMEROLOGIES = (15, 30, 60, 120)
MAX_SLOTS = 50_000_000


@dataclass(frozen=True, slots=True)
class SlotRecording:
    """A recording of one carrier, slot by slot. n slots."""

    name: str
    n_prb: int
    scs_khz: int
    dl_share: NDArray[np.float64]  # (n,) RBs of the slot that carried downlink data [ratio]
    ul_share: NDArray[np.float64]  # (n,)
    unresolved_share: float  # of the busy slots, those known only to be busy

    @property
    def slots_per_ms(self) -> int:
        """Slots of a millisecond."""
        return self.scs_khz // 15

    @property
    def duration_ms(self) -> float:
        """Length of the recording."""
        return len(self.dl_share) / self.slots_per_ms

    @property
    def busy_share(self) -> float:
        """Share of the slots with downlink data. [ratio]"""
        return float((self.dl_share > 0).mean())

    @property
    def load_ratio(self) -> float:
        """Mean downlink PRB load. [ratio]"""
        return float(self.dl_share.mean())


def read_slots(path: Path) -> list[SlotRecording]:
    """The recordings of a slot trace, in the order of their table.

    ``path`` is a folder with ``slots`` and ``recordings`` (.parquet or .csv; other files are ignored), as NR-Scope sets
    come. Raises TraceError naming file, row, field and remedy.
    """
    if not path.is_dir():
        raise TraceError(
            f"{path}: a slot trace is a folder with slots.parquet and recordings.parquet (or .csv); see docs/symbols.md"
        )
    slots, recordings = _table(path, "slots"), _table(path, "recordings")
    names = slots.column(RECORDING, text=True)
    about = recordings.column(RECORDING, text=True)
    if not len(about):
        raise TraceError(f"{recordings.name}: no recording; add a row for each")
    if len(set(about)) < len(about):
        raise TraceError(
            f"{recordings.name}: field {RECORDING}: a recording appears twice; keep one row of it"
        )
    unknown = np.flatnonzero(~np.isin(names, about))
    if len(unknown):
        raise slots.wrong(int(unknown[0]), RECORDING, names[unknown[0]], f"add it to {recordings.name}")
    columns = [slots.numbers(MS), *(slots.numbers(size) for size in SIZES)]
    columns.append(slots.numbers(UNRESOLVED, missing=0.0))
    of = [recordings.numbers(field) for field in ABOUT]
    return [
        _recording(slots, recordings, i, str(name), [float(c[i]) for c in of], names == name, columns)
        for i, name in enumerate(about)
    ]


@dataclass(frozen=True, slots=True)
class _Table:
    name: str
    table: pa.Table
    first_row: int  # 1 in Parquet, 2 below the header of a CSV file

    def column(self, field: str, *, text: bool = False) -> NDArray[np.object_]:
        if field not in self.table.column_names:
            raise TraceError(f"{self.name}: field {field} is missing; add the column (docs/symbols.md)")
        column = self.table.column(field)
        if text:
            column = pc.cast(column, pa.string())
        values = column.to_numpy(zero_copy_only=False)
        if column.null_count:
            row = int(np.flatnonzero(column.is_null().to_numpy(zero_copy_only=False))[0])
            raise self.wrong(row, field, "nothing", "fill it in or drop the row")
        return np.asarray(values)

    def numbers(self, field: str, missing: float | None = None) -> NDArray[np.float64]:
        """A column of numbers from 0 on; ``missing`` stands for a column that is not there."""
        if missing is not None and field not in self.table.column_names:
            return np.full(self.table.num_rows, missing)
        values = self.column(field)
        try:
            numbers = values.astype(np.float64)
        except (TypeError, ValueError):
            raise TraceError(
                f"{self.name}: field {field} holds {self.table.schema.field(field).type}; use numbers"
            ) from None
        bad = np.flatnonzero(~np.isfinite(numbers) | (numbers < 0))
        if len(bad):
            raise self.wrong(int(bad[0]), field, numbers[bad[0]], "use a number from 0 on")
        return np.asarray(numbers)

    def wrong(self, row: int, field: str, value: object, remedy: str) -> TraceError:
        return TraceError(f"{self.name}, row {row + self.first_row}: field {field} is {value}; {remedy}")


def _table(folder: Path, stem: str) -> _Table:
    for suffix, first_row in ((".parquet", 1), (".csv", 2)):
        path = folder / f"{stem}{suffix}"
        if path.is_file():
            try:
                table = pq.read_table(path) if suffix == ".parquet" else pa_csv.read_csv(path)
            except (pa.ArrowException, OSError) as error:
                raise TraceError(f"{path}: cannot be read ({error}); export it again") from error
            return _Table(str(path), table, first_row)
    raise TraceError(f"{folder}: {stem}.parquet or {stem}.csv is missing; see docs/symbols.md")


def _recording(
    slots: _Table,
    recordings: _Table,
    at: int,
    name: str,
    about: list[float],
    own: NDArray[np.bool_],
    columns: list[NDArray[np.float64]],
) -> SlotRecording:
    n_slots, n_prb, scs_khz = _size(recordings, at, *about)
    rows = np.flatnonzero(own)
    ms, dl_prb, ul_prb, unresolved = (column[rows] for column in columns)
    place = np.floor(ms * (scs_khz // 15) + 1e-6)
    _check_rows(slots, rows, place, (ms, dl_prb, ul_prb), n_slots, n_prb)
    slot = place.astype(np.int64)
    dl_share, ul_share, only_known = np.zeros(n_slots), np.zeros(n_slots), np.zeros(n_slots, np.bool_)
    dl_share[slot], ul_share[slot] = dl_prb / n_prb, ul_prb / n_prb
    sized = dl_share > 0
    only_known[slot] = (unresolved > 0) & (dl_prb == 0) & (ul_prb == 0)
    dl_share[only_known] = dl_share[sized].mean() if sized.any() else 1.0
    busy = int((dl_share > 0).sum())
    unresolved_share = float(only_known.sum()) / busy if busy else 0.0
    return SlotRecording(name, n_prb, scs_khz, dl_share, ul_share, unresolved_share)


def _size(
    recordings: _Table, at: int, duration_ms: float, n_prb: float, scs_khz: float
) -> tuple[int, int, int]:
    """Slots, RBs and subcarrier spacing of a recording."""
    if scs_khz not in NUMEROLOGIES:
        raise recordings.wrong(at, "scs_khz", scs_khz, f"use one of {', '.join(map(str, NUMEROLOGIES))}")
    if n_prb < 1 or n_prb % 1:
        raise recordings.wrong(at, "n_prb", n_prb, "use the whole number of RBs of the carrier")
    n_slots = duration_ms * (scs_khz // 15)
    if duration_ms < 1 or n_slots > MAX_SLOTS:
        remedy = f"a recording has at least 1 ms and at most {MAX_SLOTS:,} slots; cut longer ones"
        raise recordings.wrong(at, "duration_ms", duration_ms, remedy)
    return round(n_slots), int(n_prb), int(scs_khz)


def _check_rows(
    slots: _Table,
    rows: NDArray[np.intp],
    place: NDArray[np.float64],
    columns: tuple[NDArray[np.float64], ...],
    n_slots: int,
    n_prb: int,
) -> None:
    """Raise TraceError for a slot outside its recording, above its RBs, or listed twice."""
    late = place >= n_slots
    over = (columns[1] > n_prb, columns[2] > n_prb)
    for bad, field, values, remedy in (
        (late, MS, columns[0], f"the recording has {n_slots} slots; check duration_ms"),
        (over[0], SIZES[0], columns[1], f"the recording has n_prb {n_prb}"),
        (over[1], SIZES[1], columns[2], f"the recording has n_prb {n_prb}"),
    ):
        if bad.any():
            first = int(np.argmax(bad))
            raise slots.wrong(int(rows[first]), field, values[first], remedy)
    order = np.argsort(place, kind="stable")
    again = np.flatnonzero(np.diff(place[order]) == 0)
    if len(again):
        first = order[again[0] + 1]
        raise slots.wrong(
            int(rows[first]), MS, columns[0][first], "one row per slot; add up the rows of the slot"
        )
