"""Slot traces: recordings from Parquet and CSV, busy slots of unknown size, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from traces.errors import TraceError
from traces.slots import SlotRecording, read_slots

SLOTS = {
    "recording": ["a", "a", "a", "b"],
    "ms": [1, 3, 4, 0],
    "dl_prb": [10, 0, 30, 20],
    "ul_prb": [0, 0, 5, 0],
    "n_unresolved_dci": [0, 1, 2, 0],
}
RECORDINGS = {"recording": ["a", "b"], "duration_ms": [6, 2], "n_prb": [40, 40], "scs_khz": [15, 15]}


def write(folder: Path, slots: dict[str, Any], recordings: dict[str, Any], suffix: str = ".parquet") -> Path:
    for name, columns in (("slots", slots), ("recordings", recordings)):
        table = pa.table(columns)
        if suffix == ".parquet":
            pq.write_table(table, folder / f"{name}{suffix}")
        else:
            pa_csv.write_csv(table, folder / f"{name}{suffix}")
    return folder


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_listed_slots_are_busy_and_all_others_empty(tmp_path: Path, suffix: str) -> None:
    a, b = read_slots(write(tmp_path, SLOTS, RECORDINGS, suffix))
    assert (a.name, a.n_prb, a.scs_khz, a.duration_ms) == ("a", 40, 15, 6)
    # slot 3 is busy with the mean of the others; slot 4 is known, whatever else was in it
    assert a.dl_share.tolist() == [0, 0.25, 0, 0.5, 0.75, 0]
    assert a.ul_share.tolist() == [0, 0, 0, 0, 0.125, 0]
    assert a.unresolved_share == pytest.approx(1 / 3)
    assert a.busy_share == 0.5
    assert a.load_ratio == 0.25
    assert b.dl_share.tolist() == [0.5, 0]


def test_a_finer_numerology_has_more_slots_in_a_millisecond(tmp_path: Path) -> None:
    slots = SLOTS | {"ms": [1.5, 3, 4, 0]}
    a, _ = read_slots(write(tmp_path, slots, RECORDINGS | {"scs_khz": [30, 15]}))
    assert np.flatnonzero(a.dl_share).tolist() == [3, 6, 8]
    assert a.duration_ms == 6


def test_a_recording_without_any_known_size_is_busy_to_the_full(tmp_path: Path) -> None:
    slots = SLOTS | {"dl_prb": [0, 0, 0, 20], "ul_prb": [0] * 4, "n_unresolved_dci": [1, 1, 0, 0]}
    a, _ = read_slots(write(tmp_path, slots, RECORDINGS))
    assert a.dl_share.tolist() == [0, 1, 0, 1, 0, 0]


def test_the_column_of_unresolved_slots_may_be_missing(tmp_path: Path) -> None:
    slots = {name: column for name, column in SLOTS.items() if name != "n_unresolved_dci"}
    assert read_slots(write(tmp_path, slots, RECORDINGS))[0].unresolved_share == 0


def test_an_empty_recording_is_a_recording(tmp_path: Path) -> None:
    recordings = {
        "recording": ["a", "b", "c"],
        "duration_ms": [6, 2, 3],
        "n_prb": [40] * 3,
        "scs_khz": [15] * 3,
    }
    c = read_slots(write(tmp_path, SLOTS, recordings))[2]
    assert isinstance(c, SlotRecording)
    assert c.dl_share.tolist() == [0, 0, 0]
    assert c.unresolved_share == 0


@pytest.mark.parametrize(
    ("slots", "recordings", "message"),
    [
        ({"ms": [1, 3, 6, 0]}, {}, r"slots.parquet, row 3: field ms is 6.0; the recording has 6 slots"),
        ({"ms": [1, 3, 3, 0]}, {}, r"row 3: field ms is 3.0; one row per slot"),
        ({"ms": [1, -3, 4, 0]}, {}, r"row 2: field ms is -3.0; use a number from 0 on"),
        ({"dl_prb": [10, 0, 41, 20]}, {}, r"row 3: field dl_prb is 41.0; the recording has n_prb 40"),
        ({"ul_prb": [0, 0, 0, 50]}, {}, r"row 4: field ul_prb is 50.0; the recording has n_prb 40"),
        ({"dl_prb": ["x", "0", "1", "2"]}, {}, r"field dl_prb holds string; use numbers"),
        ({"dl_prb": [10.0, None, 1.0, 2.0]}, {}, r"row 2: field dl_prb is nothing; fill it in"),
        (
            {"recording": ["a", "a", "z", "b"]},
            {},
            r"row 3: field recording is z; add it to .*recordings.parquet",
        ),
        (
            {},
            {"scs_khz": [15, 45]},
            r"recordings.parquet, row 2: field scs_khz is 45.0; use one of 15, 30, 60, 120",
        ),
        ({}, {"duration_ms": [6, 0]}, r"row 2: field duration_ms is 0.0"),
        ({"ms": [1, 3, 1e300, 0]}, {}, r"row 3: field ms is 1e\+300; the recording has 6 slots"),
        ({}, {"duration_ms": [6, 1e12]}, r"row 2: field duration_ms is 1000000000000.0; .* cut longer ones"),
        ({}, {"n_prb": [40, 40.5]}, r"row 2: field n_prb is 40.5; use the whole number"),
        ({}, {"n_prb": [0, 40]}, r"row 1: field n_prb is 0.0"),
        ({}, {"recording": ["a", "a"]}, r"a recording appears twice"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(
    tmp_path: Path, slots: dict[str, Any], recordings: dict[str, Any], message: str
) -> None:
    with pytest.raises(TraceError, match=message):
        read_slots(write(tmp_path, SLOTS | slots, RECORDINGS | recordings))


def test_lines_of_a_csv_file_are_counted_with_its_header(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match=r"slots\.csv, row 4: field dl_prb"):
        read_slots(write(tmp_path, SLOTS | {"dl_prb": [1, 1, 99, 1]}, RECORDINGS, ".csv"))


def test_missing_files_and_columns_are_named(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match="a slot trace is a folder"):
        read_slots(tmp_path / "nothing")
    with pytest.raises(TraceError, match=r"slots\.parquet or slots\.csv is missing"):
        read_slots(tmp_path)
    slots = {name: column for name, column in SLOTS.items() if name != "ms"}
    with pytest.raises(TraceError, match="field ms is missing"):
        read_slots(write(tmp_path, slots, RECORDINGS))
    (tmp_path / "slots.parquet").write_bytes(b"PAR1")
    with pytest.raises(TraceError, match=r"slots\.parquet: cannot be read"):
        read_slots(tmp_path)


def test_a_trace_without_recordings_is_refused(tmp_path: Path) -> None:
    none = pa.table(SLOTS).slice(0, 0)
    write(tmp_path, SLOTS, RECORDINGS)
    pq.write_table(none, tmp_path / "slots.parquet")
    pq.write_table(pa.table(RECORDINGS).slice(0, 0), tmp_path / "recordings.parquet")
    with pytest.raises(TraceError, match="no recording"):
        read_slots(tmp_path)
