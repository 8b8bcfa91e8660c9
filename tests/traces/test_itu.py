"""The ITU challenge layout: levels, energy, assumed overlap, and folders that have less than the original."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from traces import TraceError
from traces.reading import read_trace

HOURS = 30
CELLS = [("B_0", "B_0/Cell0"), ("B_0", "B_0/Cell1"), ("B_0", "B_0/Cell2"), ("B_1", "B_1/Cell0")]


def write(folder: Path, form: str, *, without: tuple[str, ...] = (), **change: Any) -> Path:
    """A small network; ``without``: files or columns to leave out, ``change``: load columns to replace."""
    rng = np.random.default_rng(0)
    n = len(CELLS) * HOURS
    times = np.datetime64("2030-05-01T16:00:00") + np.arange(HOURS) * np.timedelta64(1, "h")
    stamps = pa.array(times.astype("datetime64[ms]")).cast(pa.timestamp("ms", tz="UTC"))
    night = np.tile(np.arange(HOURS) % 24 < 6, len(CELLS)).astype(float)
    load = {
        "cell_id": np.repeat([cell for _, cell in CELLS], HOURS),
        "bs_id": np.repeat([site for site, _ in CELLS], HOURS),
        "timestamp": pa.concat_arrays([stamps] * len(CELLS)),
        "prb_load": rng.random(n).astype(np.float32),
        "es_mode1": night,
        "es_mode2": night * 0.5,
        "es_mode3": np.zeros(n),
        "es_mode4": np.zeros(n, np.int64),
        "es_mode5": np.full(n, 0.001),
        "es_mode6": np.zeros(n),
    }
    cells = {
        "bs_id": [site for site, _ in CELLS],
        "cell_id": [cell for _, cell in CELLS],
        "ru_type": ["Type1"] * 4,
        "freq_anon": [365.0, 365.0, 532.0, 365.0],
        "antennas": [4, 4, 2, 4],
        "has_energy": [True, True, True, False],
    }
    energy = {
        "bs_id": ["B_0"] * HOURS,
        "timestamp": stamps,
        "energy_norm": np.linspace(20, 100, HOURS).astype(np.float32),
    }
    for name, columns in (("cells", cells), ("cell_load", load | change), ("bs_energy", energy)):
        if name not in without:
            table = pa.table({k: v for k, v in columns.items() if k not in without})
            if form == "parquet":
                pq.write_table(table, folder / f"{name}.parquet")
            else:
                pa_csv.write_csv(table, folder / f"{name}.csv")
    return folder


@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_levels_energy_and_what_is_said_about_them(tmp_path: Path, form: str) -> None:
    trace = read_trace(write(tmp_path, form))
    assert (trace.n_cells, trace.n_steps, trace.step_s) == (4, HOURS, 3600)
    assert trace.time_zone == "Asia/Shanghai"
    assert list(trace.activation) == ["night_shutdown", "es_mode5", "es_mode6"]
    night = np.arange(HOURS) % 24 < 6
    np.testing.assert_array_equal(
        trace.activation["night_shutdown"], np.tile(night, (4, 1)).astype(np.float32)
    )
    assert trace.site_energy is not None
    assert trace.site_energy.site_id.tolist() == ["B_0"]
    assert trace.site_energy.unit == "norm"
    np.testing.assert_array_equal(trace.site_energy.energy[0], np.linspace(20, 100, HOURS).astype(np.float32))
    assert trace.cells.product.tolist() == ["Type1"] * 4
    assert trace.cells.txru.tolist() == [4, 4, 2, 4]
    assert not trace.cells.is_capacity.any()
    notes = " ".join(trace.notes)
    for said in (
        "Asia/Shanghai is probable",
        "maximum of the whole set = 100",
        "number of antennas is taken as TxRU",
        "which cells overlap",
    ):
        assert said in notes


def test_assumed_overlay_makes_later_cells_of_a_station_capacity_cells(tmp_path: Path) -> None:
    trace = read_trace(write(tmp_path, "parquet"), assume_overlay=True)
    assert trace.cells.is_capacity.tolist() == [False, True, True, False]
    assert [trace.cells.candidates_of(i).tolist() for i in range(4)] == [[], [0, 2], [0, 1], []]
    assert trace.cells.product.tolist() == ["Type1"] * 4
    assert any("2 cells of 1 base stations are capacity cells" in note for note in trace.notes)
    assert not any("which cells overlap" in note for note in trace.notes)


def test_less_than_the_original_is_enough(tmp_path: Path) -> None:
    modes = tuple(f"es_mode{i}" for i in range(1, 7))
    without = (*modes, "bs_energy", "has_energy", "ru_type", "freq_anon", "antennas", "bs_id")
    trace = read_trace(write(tmp_path, "parquet", without=without))
    assert trace.activation == {}
    assert trace.site_energy is None
    assert trace.cells.product.tolist() == [""] * 4
    assert trace.cells.site_id.tolist() == trace.cells.cell_id.tolist()


def test_other_types_of_columns(tmp_path: Path) -> None:
    ints = np.tile(np.arange(HOURS) % 2, len(CELLS))
    change = {
        "prb_load": pa.array([str(v) for v in ints]),
        "es_mode1": pa.array(ints, pa.int8()),
        "cell_id": pa.array(np.repeat([cell for _, cell in CELLS], HOURS)).dictionary_encode(),
    }
    trace = read_trace(write(tmp_path, "parquet", without=("es_mode2",), **change))
    np.testing.assert_array_equal(
        trace.dl_prb_ratio, np.tile(np.arange(HOURS) % 2, (4, 1)).astype(np.float32)
    )
    np.testing.assert_array_equal(trace.activation["night_shutdown"], trace.dl_prb_ratio)


def test_percent_is_refused_and_parts_of_the_layout_are_named(tmp_path: Path) -> None:
    write(tmp_path, "parquet", prb_load=np.linspace(0, 100, len(CELLS) * HOURS))
    with pytest.raises(TraceError, match=r"cell_load\.parquet.*looks like percent: divide the column by 100"):
        read_trace(tmp_path)
    with pytest.raises(TraceError, match="one file of the ITU layout; give the folder"):
        read_trace(tmp_path / "cell_load.parquet")
    (tmp_path / "cells.parquet").unlink()
    with pytest.raises(TraceError, match=r"cells\.parquet or cells\.csv is missing"):
        read_trace(tmp_path)


def data_folder(name: str) -> Path:
    folder = os.environ.get("QUIETCELL_DATA")
    if not folder or not Path(folder, name).is_dir():
        pytest.skip(f"needs {name} in the folder named by QUIETCELL_DATA")
    return Path(folder, name)


def test_recorded_set_reads_fast_and_whole() -> None:
    folder = data_folder("itu5g_energy")
    begin = time.perf_counter()
    trace = read_trace(folder)
    assert time.perf_counter() - begin < 1.5
    table = pq.read_table(folder / "cell_load.parquet")
    assert trace.quarantine.total == 0
    assert int((~trace.missing).sum()) == len(table)
    assert float(trace.dl_prb_ratio[~trace.missing].sum(dtype=np.float64)) == pytest.approx(
        float(np.sum(table["prb_load"].to_numpy(), dtype=np.float64)), rel=1e-6
    )
    assert {"night_shutdown", "es_mode6"} <= set(trace.activation)
