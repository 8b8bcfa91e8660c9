"""The tidy schema: what is written reads back the same, and the columns mean what the schema says."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from traces import SiteEnergy, Trace, TraceError, make_cells
from traces.reading import read_trace
from traces.writers.tidy import write_tidy

NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=6)


def assert_same(left: Trace, right: Trace) -> None:
    for item in fields(left.cells):
        np.testing.assert_array_equal(
            getattr(left.cells, item.name), getattr(right.cells, item.name), item.name
        )
    assert list(left.series()) == list(right.series())
    for name, values in left.series().items():
        assert right.series()[name].dtype == np.float32
        np.testing.assert_array_equal(values, right.series()[name], name)
    for name in ("source", "start", "step_s", "time_zone", "notes"):
        assert getattr(left, name) == getattr(right, name), name
    assert (left.site_energy is None) == (right.site_energy is None)
    if left.site_energy is not None and right.site_energy is not None:
        assert left.site_energy.unit == right.site_energy.unit
        np.testing.assert_array_equal(left.site_energy.site_id, right.site_energy.site_id)
        np.testing.assert_array_equal(left.site_energy.energy, right.site_energy.energy)


@st.composite
def traces(draw: st.DrawFn) -> Trace:
    ids = draw(st.lists(NAMES, min_size=1, max_size=5, unique=True))
    n, steps = len(ids), draw(st.integers(1, 6))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))

    def series(top: float) -> np.ndarray:
        values = (rng.random((n, steps)) * top).astype(np.float32)
        values[rng.random((n, steps)) < 0.3] = np.nan
        values[rng.integers(n), rng.integers(steps)] = 0  # at least one is recorded
        return values

    sites = rng.choice(["a", "b;c", "d e"], n)
    candidates = {i: [j for j in range(n) if j != i and rng.random() < 0.3] for i in range(n)}
    cells = make_cells(
        ids,
        candidates,
        site_id=sites,
        carrier=rng.choice(["", "n78"], n),
        product=rng.choice(["", "X"], n),
        area_type=rng.choice(["", "urban"], n),
        bandwidth_mhz=rng.choice([np.nan, 20, 100], n),
        txru=rng.choice([0, 8, 64], n),
        is_capacity=rng.random(n) < 0.5,
        candidate_overlap={i: rng.choice([0.25, 1.0], len(own)) for i, own in candidates.items()},
        anchor=np.where(np.arange(n) > n // 2, rng.integers(-1, n // 2 + 1, n), -1),
        latitude_deg=rng.uniform(-90, 90, n),
        longitude_deg=np.full(n, np.nan),
    )
    energy = None
    if draw(st.booleans()):
        names = np.array(list(dict.fromkeys(sites.tolist())))[: rng.integers(1, 4)]
        values = (rng.random((len(names), steps)) * 1000).astype(np.float32)
        values[:, 1:][rng.random((len(names), steps - 1)) < 0.3] = np.nan
        energy = SiteEnergy(names, values, draw(st.sampled_from(["Wh", "norm", "P1 deep sleep"])))
    optional = {
        name: series(top)
        for name, top in (
            ("ul_prb_ratio", 1),
            ("dl_volume_bit", 1e12),
            ("ul_volume_bit", 1e9),
            ("active_users", 300),
        )
        if draw(st.booleans())
    }
    return Trace(
        source=draw(NAMES),
        cells=cells,
        start=np.datetime64("2024-03-30T23:45:00") + np.timedelta64(draw(st.integers(0, 10**6)), "s"),
        step_s=draw(st.sampled_from([1, 60, 900, 3600])),
        time_zone=draw(st.sampled_from(["UTC", "Europe/Berlin"])),
        dl_prb_ratio=series(1),
        activation={level: series(1) for level in draw(st.sets(st.sampled_from(["symbol", "es_mode6"])))},
        site_energy=energy,
        notes=tuple(draw(st.lists(NAMES, max_size=2, unique=True))),
        **optional,
    )


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(traces())
def test_written_reads_back_the_same(tmp_path_factory: pytest.TempPathFactory, trace: Trace) -> None:
    folder = tmp_path_factory.mktemp("trace")
    write_tidy(trace, folder)
    again = read_trace(folder)
    assert again.quarantine.total == 0
    assert_same(trace, again)


def test_writer_does_not_mix_with_other_files(tmp_path: Path) -> None:
    (tmp_path / "other.txt").write_text("x")
    trace = Trace(
        "t", make_cells(["a"]), np.datetime64("2024-01-01", "s"), 60, "UTC", np.ones((1, 2), np.float32)
    )
    with pytest.raises(TraceError, match="not empty"):
        write_tidy(trace, tmp_path)


def rows_csv(path: Path, header: str, *lines: str) -> Path:
    path.write_text("\n".join([header, *lines]) + "\n")
    return path


def hourly(cell: str, *values: object, day: str = "2024-01-01") -> list[str]:
    return [f"{cell},{day}T{hour:02d}:00:00Z,{value}" for hour, value in enumerate(values)]


def test_traffic_table_alone_is_all_coverage_cells_in_sorted_order(tmp_path: Path) -> None:
    lines = hourly("b", 0.2, 0.3) + hourly("a", 0.4, 0.5)
    trace = read_trace(rows_csv(tmp_path / "t.csv", "cell_id,timestamp,dl_prb_ratio", *lines))
    assert trace.cells.cell_id.tolist() == ["a", "b"]
    assert not trace.cells.is_capacity.any()
    np.testing.assert_array_equal(trace.dl_prb_ratio, np.float32([[0.4, 0.5], [0.2, 0.3]]))
    assert (trace.step_s, trace.time_zone, str(trace.start)) == (3600, "UTC", "2024-01-01T00:00:00")
    assert any("--time-zone" in note for note in trace.notes)
    assert any("which cells overlap" in note for note in trace.notes)


def test_percent_is_read_only_where_the_column_declares_it(tmp_path: Path) -> None:
    lines = hourly("a", *range(5, 100, 5))
    declared = rows_csv(tmp_path / "p.csv", "cell_id,timestamp,dl_prb_percent", *lines)
    np.testing.assert_allclose(read_trace(declared).dl_prb_ratio[0], np.arange(5, 100, 5) / 100, rtol=1e-6)
    undeclared = rows_csv(tmp_path / "r.csv", "cell_id,timestamp,dl_prb_ratio", *lines)
    with pytest.raises(TraceError, match=r"r\.csv.*looks like percent: declare the column as dl_prb_percent"):
        read_trace(undeclared)


def test_counts_of_prbs_are_not_called_percent(tmp_path: Path) -> None:
    path = rows_csv(tmp_path / "r.csv", "cell_id,timestamp,dl_prb_ratio", *hourly("a", *range(0, 273, 12)))
    with pytest.raises(TraceError, match="neither a ratio nor percent"):
        read_trace(path)


def test_ratio_and_percent_of_one_measure_contradict(tmp_path: Path) -> None:
    path = rows_csv(
        tmp_path / "r.csv", "cell_id,timestamp,dl_prb_ratio,dl_prb_percent", "a,2024-01-01T00:00:00Z,0.1,10"
    )
    with pytest.raises(TraceError, match="as ratio and as percent"):
        read_trace(path)


def test_cells_roles_candidates_and_zone(tmp_path: Path) -> None:
    rows_csv(
        tmp_path / "cells.csv",
        "cell_id,site_id,role,candidates,txru,bandwidth_mhz,time_zone",
        "a,s,coverage,,64,100,Asia/Shanghai",
        "b,s,capacity,a; c,32,,Asia/Shanghai",
        "c,s,capacity,,,20,",
    )
    rows_csv(
        tmp_path / "traffic.csv", "cell_id,timestamp,dl_prb_ratio", *hourly("b", 0.1, 0.2), *hourly("x", 0.3)
    )
    trace = read_trace(tmp_path)
    assert trace.cells.is_capacity.tolist() == [False, True, False]
    assert trace.cells.candidates_of(1).tolist() == [0, 2]
    assert trace.cells.txru.tolist() == [64, 32, 0]
    np.testing.assert_array_equal(trace.cells.bandwidth_mhz, np.float32([100, np.nan, 20]))
    assert trace.time_zone == "Asia/Shanghai"
    assert any("1 capacity cells name no candidate" in note for note in trace.notes)
    assert trace.quarantine.counts == {"cell_id is not in the cell table": 1}
    assert trace.quarantine.examples[0].place == "line 4"
    assert trace.missing.sum(axis=1).tolist() == [2, 0, 2]


def test_site_energy_in_kwh_becomes_wh(tmp_path: Path) -> None:
    rows_csv(tmp_path / "traffic.csv", "cell_id,timestamp,dl_prb_ratio", *hourly("a", 0.1, 0.2, 0.3))
    rows_csv(
        tmp_path / "site_energy.csv",
        "site_id,timestamp,energy_kwh",
        "a,2024-01-01T01:00:00Z,1.5",
        "a,2024-01-01T09:00:00Z,9",
        "b,2024-01-01T01:00:00Z,2",
        "a,2024-01-01T02:00:00Z,-1",
    )
    trace = read_trace(tmp_path)
    assert trace.site_energy is not None
    assert trace.site_energy.unit == "Wh"
    np.testing.assert_array_equal(trace.site_energy.energy, np.float32([[np.nan, 1500, np.nan]]))
    assert trace.quarantine.counts == {
        "site_id is not in the cell table": 1,
        "timestamp is outside the recording": 1,
        "energy_kwh is negative": 1,
    }


@pytest.mark.parametrize("kind", ["csv", "parquet text", "parquet timestamp"])
def test_local_times_need_a_zone_and_pass_both_clock_changes(tmp_path: Path, kind: str) -> None:
    def local(day: str) -> list[str]:
        return [f"{day} {hour:02d}:00:00" for hour in range(5)]

    times = [*local("2024-03-31"), *local("2024-10-27")]
    if kind == "csv":
        path = rows_csv(
            tmp_path / "t.csv", "cell_id,timestamp,dl_prb_ratio", *(f"a,{time},0.5" for time in times)
        )
    else:
        path = tmp_path / "t.parquet"
        stamps = np.array(times, "datetime64[ns]") if kind == "parquet timestamp" else times
        pq.write_table(
            pa.table({"cell_id": ["a"] * 10, "timestamp": stamps, "dl_prb_ratio": [0.5] * 10}), path
        )
    with pytest.raises(TraceError, match=r"names no time zone.*--time-zone"):
        read_trace(path)
    trace = read_trace(path, time_zone="Europe/Berlin")
    assert trace.quarantine.counts == {
        "local time does not exist (clock set forward)": 1,
        "local time happens twice (clock set back)": 1,
    }
    places = {p.reason.split()[2]: p.value[:16] for p in trace.quarantine.examples}
    assert places == {"does": "2024-03-31 02:00", "happens": "2024-10-27 02:00"}
    recorded = trace.times()[~trace.missing[0]].astype(str).tolist()
    assert recorded == [
        *("2024-03-30T23:00:00", "2024-03-31T00:00:00", "2024-03-31T01:00:00", "2024-03-31T02:00:00"),
        *("2024-10-26T22:00:00", "2024-10-26T23:00:00", "2024-10-27T02:00:00", "2024-10-27T03:00:00"),
    ]
    assert trace.time_zone == "Europe/Berlin"


def test_schema_of_another_version_is_refused(tmp_path: Path) -> None:
    table = pa.table({"cell_id": ["a"], "dl_prb_ratio": [0.1]})
    path = tmp_path / "t.parquet"
    pq.write_table(table.replace_schema_metadata({"quietcell.schema": "quietcell.trace/2"}), path)
    with pytest.raises(TraceError, match=r"quietcell\.trace/2.*is not.*quietcell\.trace/1"):
        read_trace(path)
    pq.write_table(table.replace_schema_metadata({"quietcell.schema": "quietcell.trace/1"}), path)
    with pytest.raises(TraceError, match="column timestamp is missing"):
        read_trace(path)


def test_metadata_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    table = pa.table({"cell_id": ["a"], "timestamp": ["2024-01-01T00:00:00Z"], "dl_prb_ratio": [0.1]})
    for key, value, message in (
        ("step_s", "15 min", "whole number of seconds"),
        ("notes", "{", "no JSON list"),
    ):
        path = tmp_path / f"{key}.parquet"
        pq.write_table(table.replace_schema_metadata({f"quietcell.{key}": value}), path)
        with pytest.raises(TraceError, match=message):
            read_trace(path)


def test_unknown_columns_are_named_in_a_note(tmp_path: Path) -> None:
    path = rows_csv(
        tmp_path / "t.csv",
        "cell_id,timestamp,dl_prb_ratio,ul_prb_ration",
        "a,2024-01-01T00:00Z,0,1",
        "a,2024-01-01T01:00Z,0,1",
    )
    assert "Not read from t.csv: ul_prb_ration." in read_trace(path).notes


def test_notes_survive_as_text(tmp_path: Path) -> None:
    trace = Trace(
        "t",
        make_cells(["a"]),
        np.datetime64("2024-01-01", "s"),
        60,
        "UTC",
        np.ones((1, 1), np.float32),
        notes=('"é" ✓',),
    )
    write_tidy(trace, tmp_path / "t")
    metadata = pq.read_schema(tmp_path / "t" / "traffic.parquet").metadata
    assert json.loads(metadata[b"quietcell.notes"]) == ['"é" ✓']
    assert read_trace(tmp_path / "t").notes == ('"é" ✓',)
