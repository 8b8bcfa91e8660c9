"""Reading against a naive twin, and what bad input leads to: an error with a remedy, or counted rows."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from traces import TraceError
from traces.readers import tables
from traces.reading import read_trace

HEADER = "cell_id,timestamp,dl_prb_ratio,active_users"
START = np.datetime64("2024-01-01T00:00:00")

LOADS = st.sampled_from(["0", "0.25", "0.5", "1", "", "NaN", "-0.1", "1.4", "inf", "abc"])
USERS = st.sampled_from(["", "3", "4", "-1", "NaN"])
ROWS = st.lists(
    st.tuples(st.sampled_from(["a", "b", "c", ""]), st.integers(0, 40), LOADS, USERS), min_size=1, max_size=60
)


def naive(
    rows: list[tuple[str, int, str, str]],
) -> tuple[dict[tuple[str, int], tuple[float, float]], Counter[str]]:
    """Row by row: the first good row of a cell and step is kept, all others are counted."""
    kept: dict[tuple[str, int], tuple[float, float]] = {}
    aside: Counter[str] = Counter()
    for cell, step, load, users in rows:
        if cell == "":
            aside["cell_id is empty"] += 1
        elif load in ("NaN", "inf", "abc"):
            aside["dl_prb_ratio is not a number"] += 1
        elif load == "-0.1":
            aside["dl_prb_ratio is negative"] += 1
        elif load == "1.4":
            aside["dl_prb_ratio is above 1"] += 1
        elif users == "NaN":
            aside["active_users is not a number"] += 1
        elif users == "-1":
            aside["active_users is negative"] += 1
        else:
            values = tuple(float(text) if text else float("nan") for text in (load, users))
            first = kept.setdefault((cell, step), values)
            if first is not values:
                same = np.array_equal(first, values, equal_nan=True)
                aside[f"cell and time repeated, {'same' if same else 'other'} values"] += 1
    return kept, aside


@settings(max_examples=80, deadline=None)
@given(ROWS, st.sampled_from(["csv", "parquet"]))
def test_reads_like_the_naive_twin(tmp_path_factory: pytest.TempPathFactory, rows: list, kind: str) -> None:
    # enough good rows of a cell of its own to fix the grid and to keep bad values a small share
    rows = rows + [("z", step, "0.5", "1") for step in range(200)]
    kept, aside = naive(rows)
    path = tmp_path_factory.mktemp("t") / f"t.{kind}"
    lines = [HEADER, *(f"{c},{START + np.timedelta64(s, 'h')}Z,{load},{users}" for c, s, load, users in rows)]
    path.write_text("\n".join(lines) + "\n")
    if kind == "parquet":
        text = pa_csv.ConvertOptions(
            column_types=dict.fromkeys(HEADER.split(","), pa.string()),
            strings_can_be_null=True,
            null_values=[""],
        )
        pq.write_table(pa_csv.read_csv(path, convert_options=text), path, row_group_size=20)
    with patch.object(tables, "CSV_BLOCK_BYTES", 300):
        trace = read_trace(path)
    assert trace.quarantine.counts == dict(aside)
    assert (trace.step_s, trace.start, trace.n_steps) == (3600, START, 200)
    assert trace.active_users is not None
    row = {cell: i for i, cell in enumerate(trace.cells.cell_id.tolist())}
    assert set(row) == {cell for cell, *_ in rows if cell}
    expected = np.full((2, trace.n_cells, 200), np.nan, np.float32)
    for (cell, step), values in kept.items():
        expected[:, row[cell], step] = values
    np.testing.assert_array_equal(trace.dl_prb_ratio, expected[0])
    np.testing.assert_array_equal(trace.active_users, expected[1])


@pytest.mark.parametrize("block_bytes", [64, 1 << 20])
def test_the_first_of_conflicting_rows_counts(tmp_path: Path, block_bytes: int) -> None:
    again = ["a,2024-01-01T05:00:00Z,0.9", "a,2024-01-01T05:00:00Z,0.8", "a,2024-01-01T05:00:00Z,0.7"]
    path = csv(tmp_path / "t.csv", again + day())
    with patch.object(tables, "CSV_BLOCK_BYTES", block_bytes):
        trace = read_trace(path)
    assert trace.dl_prb_ratio[0, 5] == np.float32(0.9)
    assert trace.quarantine.counts == {"cell and time repeated, other values": 3}


def csv(path: Path, lines: list[str], header: str = "cell_id,timestamp,dl_prb_ratio") -> Path:
    path.write_text("\n".join([header, *lines]) + "\n")
    return path


def day(cell: str = "a", step_min: int = 60, steps: int = 24, load: float = 0.5) -> list[str]:
    return [f"{cell},{START + np.timedelta64(i * step_min, 'm')}Z,{load}" for i in range(steps)]


def test_row_order_makes_no_difference_but_is_noted(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    lines = [line.replace("0.5", f"{rng.random():.4f}") for cell in "abc" for line in day(cell)]
    ordered = read_trace(csv(tmp_path / "t.csv", lines))
    shuffled = read_trace(csv(tmp_path / "t.csv", [lines[i] for i in rng.permutation(len(lines))]))
    np.testing.assert_array_equal(ordered.dl_prb_ratio, shuffled.dl_prb_ratio)
    assert not any("out of time order" in note for note in ordered.notes)
    assert any("out of time order" in note for note in shuffled.notes)


@pytest.mark.parametrize("rows_at_once", [1, 3, 1000])
def test_the_step_is_found_across_batches_of_a_file_in_time_order(tmp_path: Path, rows_at_once: int) -> None:
    times = [f"{START + np.timedelta64(i // 3 * 15, 'm')}Z" for i in range(90)]
    table = pa.table({"cell_id": list("abc") * 30, "timestamp": times, "dl_prb_ratio": np.arange(90) / 90})
    pq.write_table(table, tmp_path / "t.parquet", row_group_size=45)
    with patch.object(tables, "BATCH_ROWS", rows_at_once):
        trace = read_trace(tmp_path / "t.parquet")
    assert (trace.step_s, trace.n_steps) == (900, 30)
    assert not any("out of time order" in note for note in trace.notes)
    np.testing.assert_array_equal(trace.dl_prb_ratio.T.ravel(), (np.arange(90) / 90).astype(np.float32))
    pq.write_table(table.take(np.arange(90)[::-1]), tmp_path / "t.parquet", row_group_size=45)
    with patch.object(tables, "BATCH_ROWS", rows_at_once):
        assert "87 rows of t.parquet were out of time order." in read_trace(tmp_path / "t.parquet").notes


def test_set_aside_rows_say_where_they_are(tmp_path: Path) -> None:
    lines = [
        *day(steps=90),
        "a,2024-01-05T00:00:00Z",
        "a,not a time,0.5",
        "a,2024-01-05T01:00:00Z,1.2",
        "a,,0.5",
    ]
    trace = read_trace(csv(tmp_path / "t.csv", lines))
    found = {(p.file, p.place, p.field, p.reason, p.value) for p in trace.quarantine.examples}
    assert found == {
        ("t.csv", "line 92", "", "wrong number of fields", "a,2024-01-05T00:00:00Z"),
        ("t.csv", "line 93", "timestamp", "timestamp is not ISO 8601", "not a time"),
        ("t.csv", "line 94", "dl_prb_ratio", "dl_prb_ratio is above 1", "1.2"),
        ("t.csv", "line 95", "timestamp", "timestamp is empty", "None"),
    }


def test_rows_off_the_grid_are_counted_until_they_are_many(tmp_path: Path) -> None:
    stray = ["a,2024-01-02T03:17:00Z,0.5", "a,2024-01-03T05:01:00Z,0.5"]
    trace = read_trace(csv(tmp_path / "t.csv", day(steps=100) + stray))
    assert trace.quarantine.counts == {"timestamp is off the grid of steps": 2}
    assert trace.n_steps == 100
    with pytest.raises(TraceError, match=r"mixed steps.*3600 s apart.*off that grid; resample"):
        read_trace(csv(tmp_path / "t.csv", day(steps=30) + stray))


def test_grid_starts_at_the_common_phase(tmp_path: Path) -> None:
    trace = read_trace(csv(tmp_path / "t.csv", ["a,2023-12-31T22:59:00Z,0.5", *day(steps=100)]))
    assert trace.start == START
    assert trace.quarantine.total == 1


@pytest.mark.parametrize("order", ["by cell", "in one cell", "by time"])
def test_mixed_steps_on_one_grid_are_refused(tmp_path: Path, order: str) -> None:
    if order == "in one cell":
        later = [line.replace("2024-01-01", "2024-01-09") for line in day(steps=24)]
        lines = day(step_min=15, steps=96) + later
    else:
        lines = day("a", 15, 96) + day("b", 60, 24)
    if order == "by time":
        lines.sort(key=lambda line: line.split(",")[1])
    with pytest.raises(TraceError, match=r"mixed steps.*900 s apart.*steadily 3600 s"):
        read_trace(csv(tmp_path / "t.csv", lines))


def test_random_gaps_are_not_mixed_steps(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    lines = [line for line in day(steps=2000) if rng.random() < 0.5]
    assert read_trace(csv(tmp_path / "t.csv", lines)).step_s == 3600


def test_a_stray_year_does_not_stretch_the_grid(tmp_path: Path) -> None:
    lines = day(steps=200)
    trace = read_trace(csv(tmp_path / "t.csv", [*lines, "a,1970-01-01T00:00:00Z,0.5"]))
    assert trace.n_steps == 200
    assert trace.quarantine.counts == {"timestamp is outside the recording": 1}
    old = [line.replace("2024", "2019") for line in lines]
    with pytest.raises(TraceError, match="gap of more than a year; split"):
        read_trace(csv(tmp_path / "t.csv", old + lines))


def test_a_few_values_above_one_are_rows_and_many_are_a_unit(tmp_path: Path) -> None:
    lines = [*day(steps=46), "b,2024-01-01T00:00:00Z,37.5", "b,2024-01-01T01:00:00Z,0.4"]
    trace = read_trace(csv(tmp_path / "t.csv", lines))
    assert trace.quarantine.counts == {"dl_prb_ratio is above 1": 1}
    many = [*day(steps=180), *(line.replace("0.5", "35") for line in day("b", steps=20))]
    with pytest.raises(
        TraceError, match="10% of column dl_prb_ratio is above 1, up to 35; it looks like percent"
    ):
        read_trace(csv(tmp_path / "t.csv", many))


def test_rounding_above_one_is_one(tmp_path: Path) -> None:
    trace = read_trace(csv(tmp_path / "t.csv", [*day(), "b,2024-01-01T00:00:00Z,1.0000001"]))
    assert trace.dl_prb_ratio[1, 0] == 1
    assert trace.quarantine.total == 0


def test_nan_in_parquet_is_set_aside_for_the_load_and_missing_elsewhere(tmp_path: Path) -> None:
    times = (START + np.arange(3) * np.timedelta64(1, "h")).astype("datetime64[ms]")
    table = {
        "cell_id": pa.array([7, 7, 7]),
        "timestamp": pa.array(times).cast(pa.timestamp("ms", tz="UTC")),
        "dl_prb_ratio": pa.array([0.1, float("nan"), None], pa.float64()),
        "active_users": pa.array([float("nan"), 1.0, 2.0]),
    }
    pq.write_table(pa.table(table), tmp_path / "t.parquet")
    trace = read_trace(tmp_path / "t.parquet")
    assert trace.cells.cell_id.tolist() == ["7"]
    assert trace.quarantine.counts == {"dl_prb_ratio is not a number": 1}
    assert trace.quarantine.examples[0].place == "row 2"
    np.testing.assert_array_equal(trace.dl_prb_ratio, np.float32([[0.1, np.nan, np.nan]]))
    np.testing.assert_array_equal(trace.active_users, np.float32([[np.nan, np.nan, 2]]))


def test_empty_names_in_parquet_are_no_cells(tmp_path: Path) -> None:
    times = [f"{START + np.timedelta64(i, 'h')}Z" for i in range(4)]
    table = pa.table({"cell_id": ["a", "", None, "a"], "timestamp": times, "dl_prb_ratio": [0.1] * 4})
    pq.write_table(table, tmp_path / "t.parquet")
    trace = read_trace(tmp_path / "t.parquet")
    assert trace.cells.cell_id.tolist() == ["a"]
    assert trace.quarantine.counts == {"cell_id is empty": 2}


def test_a_dictionary_may_hold_names_without_rows(tmp_path: Path) -> None:
    cells = pa.DictionaryArray.from_arrays(pa.array([1, 1]), pa.array(["ghost", "a"]))
    times = ["2024-01-01T00:00:00Z", "2024-01-01T01:00:00Z"]
    pq.write_table(
        pa.table({"cell_id": cells, "timestamp": times, "dl_prb_ratio": [0.1, 0.2]}), tmp_path / "t.parquet"
    )
    assert read_trace(tmp_path / "t.parquet").cells.cell_id.tolist() == ["a"]


def test_unknown_time_zone_option(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match="'Asia/Nowhere' is not known; use an IANA name"):
        read_trace(csv(tmp_path / "t.csv", day()), time_zone="Asia/Nowhere")


def test_progress_rises_to_one(tmp_path: Path) -> None:
    told: list[float] = []
    read_trace(csv(tmp_path / "t.csv", day()), progress=told.append)
    assert told == sorted(told)
    assert told[-1] == 1
