"""Volume per cell: PRB utilisation where it is recorded, load derived from volume where it is not."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from traces import TraceError
from traces.reading import read_partitions, read_trace

HOURS = 2000


def write(folder: Path, header: str, *columns: np.ndarray) -> Path:
    times = np.datetime64("2024-01-01T00:00:00") + np.arange(HOURS) * np.timedelta64(1, "h")
    lines = [f"c1,{time}Z," + ",".join(map(str, row)) for time, *row in zip(times, *columns, strict=True)]
    (folder / "traffic.csv").write_text("\n".join([f"cell_id,timestamp,{header}", *lines]))
    return folder


def test_recorded_utilisation_is_used(tmp_path: Path) -> None:
    volume = np.arange(HOURS) * 1000.0
    blank = np.full(HOURS, "")
    util = np.linspace(0.05, 0.95, HOURS)
    write(
        tmp_path, "dl_bytes,ul_bytes,active_users,prb_available,prb_util", volume, blank, blank, blank, util
    )
    (tmp_path / "cells.csv").write_text("cell_id,band_mhz,rat,lat,lon\nc1,1800,LTE,,\n")
    trace = read_trace(tmp_path)
    np.testing.assert_array_equal(trace.dl_prb_ratio[0], util.astype(np.float32))
    assert trace.dl_volume_bit is not None
    np.testing.assert_array_equal(trace.dl_volume_bit[0], (volume * 8).astype(np.float32))
    assert trace.ul_volume_bit is None
    assert trace.active_users is None
    assert trace.cells.carrier.tolist() == ["1800"]
    assert not any("percentile" in note for note in trace.notes)
    assert "Not read from " in " ".join(trace.notes)


@pytest.mark.parametrize("header", ["dl_bytes", "dl_bytes,prb_util"])
def test_load_is_derived_where_none_is_recorded(tmp_path: Path, header: str) -> None:
    volume = np.random.default_rng(0).pareto(3, HOURS).round(6)
    columns = [volume, np.full(HOURS, "")][: header.count(",") + 1]
    trace = read_trace(write(tmp_path, header, *columns))
    reference = np.quantile((volume * 8).astype(np.float32), 0.999)
    expected = np.minimum(volume * 8 / reference * 0.8, 1)
    np.testing.assert_allclose(trace.dl_prb_ratio[0], expected, rtol=1e-5)
    assert trace.dl_prb_ratio.max() == 1
    assert any("99.9th percentile, which is taken as load 0.8" in note for note in trace.notes)
    assert trace.time_zone == "UTC"
    piece = next(iter(read_partitions(tmp_path, time_zone="America/Sao_Paulo")))
    np.testing.assert_array_equal(piece.dl_prb_ratio, trace.dl_prb_ratio)
    assert piece.time_zone == "America/Sao_Paulo"


def test_a_cell_without_volume_has_no_load(tmp_path: Path) -> None:
    assert not read_trace(write(tmp_path, "dl_bytes", np.zeros(HOURS))).dl_prb_ratio.any()


def test_clusters_of_stations_are_no_cells(tmp_path: Path) -> None:
    write(tmp_path, "dl_bytes,parent", np.ones(HOURS), np.full(HOURS, "p"))
    with pytest.raises(TraceError, match=r"clusters of base stations.*give a trace of single cells"):
        read_trace(tmp_path)


def test_negative_volume_is_set_aside(tmp_path: Path) -> None:
    volume = np.ones(HOURS)
    volume[7] = -1
    assert read_trace(write(tmp_path, "dl_bytes", volume)).quarantine.counts == {"dl_bytes is negative": 1}


@pytest.mark.parametrize(("name", "cells"), [("lte_br4", 4), ("lte_vn3", 2)])
def test_recorded_sets(name: str, cells: int) -> None:
    folder = Path(os.environ.get("QUIETCELL_DATA", ""), name)
    if not os.environ.get("QUIETCELL_DATA") or not folder.is_dir():
        pytest.skip(f"needs {name} in the folder named by QUIETCELL_DATA")
    trace = read_trace(folder)
    assert (trace.n_cells, trace.step_s) == (cells, 3600)
    assert trace.quarantine.total == 0
    assert 0.05 < float(np.nanmean(trace.dl_prb_ratio)) < 0.5
