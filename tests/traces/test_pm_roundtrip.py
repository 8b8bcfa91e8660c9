from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from traces.errors import TraceError
from traces.pm import looks_like_pm, read_pm, write_pm
from traces.trace import Float32, SiteEnergy, Trace, make_cells

NAMES = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=8)
MAX_F32 = float(np.finfo(np.float32).max)


def floats(largest: float) -> st.SearchStrategy[float]:
    return st.just(np.nan) | st.floats(0, largest, width=32)


@st.composite
def traces(draw: st.DrawFn) -> Trace:
    names = draw(st.lists(NAMES, min_size=1, max_size=4, unique=True))
    shape = (len(names), draw(st.integers(1, 4)))

    def array(largest: float) -> Float32:
        return draw(hnp.arrays(np.float32, shape, elements=floats(largest)))

    sites = [draw(NAMES) for _ in names]
    dl_prb_ratio = array(1)
    dl_prb_ratio[0, draw(st.integers(0, shape[1] - 1))] = 0.5
    energy = draw(hnp.arrays(np.float32, (len(set(sites)), shape[1]), elements=floats(MAX_F32)))
    return Trace(
        source="drawn",
        cells=make_cells(names, site_id=sites),
        start=np.datetime64(draw(st.integers(0, 4_000_000_000)), "s"),
        step_s=draw(st.sampled_from([1, 60, 900, 3600, 86_400, 90_000])),
        time_zone="Asia/Shanghai",
        dl_prb_ratio=dl_prb_ratio,
        ul_prb_ratio=array(1) if draw(st.booleans()) else None,
        dl_volume_bit=array(MAX_F32) if draw(st.booleans()) else None,
        ul_volume_bit=array(1e9) if draw(st.booleans()) else None,
        active_users=array(1e4) if draw(st.booleans()) else None,
        site_energy=SiteEnergy(np.array(list(dict.fromkeys(sites))), energy, "Wh")
        if draw(st.booleans())
        else None,
    )


@settings(max_examples=150, deadline=None)
@given(traces())
def test_what_is_written_is_read_again(trace: Trace) -> None:
    with TemporaryDirectory() as folder:
        files = write_pm(trace, Path(folder) / "new")
        assert len(files) == trace.n_steps == len(set(files))
        again = read_pm([Path(folder) / "new"], time_zone=trace.time_zone)
    assert (again.start, again.step_s, again.time_zone) == (trace.start, trace.step_s, trace.time_zone)
    np.testing.assert_array_equal(again.cells.cell_id, trace.cells.cell_id)
    np.testing.assert_array_equal(again.cells.site_id, trace.cells.site_id)
    assert again.series().keys() == trace.series().keys()
    for name, array in trace.series().items():
        np.testing.assert_array_equal(again.series()[name], array, name)
    assert (again.site_energy is None) == (trace.site_energy is None)
    if trace.site_energy is not None and again.site_energy is not None:
        np.testing.assert_array_equal(again.site_energy.site_id, trace.site_energy.site_id)
        np.testing.assert_array_equal(again.site_energy.energy, trace.site_energy.energy)
    assert not again.quarantine.total


def small(n_cells: int = 2, n_steps: int = 3, **changes: object) -> Trace:
    ids = [f"c{i}" for i in range(n_cells)]
    trace = Trace(
        source="small",
        cells=make_cells(ids, site_id=["s"] * n_cells),
        start=np.datetime64("2024-02-28T23:30:00"),
        step_s=900,
        time_zone="UTC",
        dl_prb_ratio=np.linspace(0, 1, n_cells * n_steps, dtype=np.float32).reshape(n_cells, n_steps),
    )
    return replace(trace, **changes)


def test_file_names_follow_ts_32432(tmp_path: Path) -> None:
    assert [p.name for p in write_pm(small(), tmp_path / "a")] == [
        "A20240228.2330+0000-2345+0000_s.xml",
        "A20240228.2345+0000-20240229.0000+0000_s.xml",
        "A20240229.0000+0000-0015+0000_s.xml",
    ]
    two_sites = small(cells=make_cells(["x", "y"], site_id=["a b", "c/d"]), step_s=30)
    names = [p.name for p in write_pm(two_sites, tmp_path / "c")]
    assert names[1] == "C20240228.2330+0000-2331+0000_quietcell_-_2.xml"
    form = r"[AC]\d{8}\.\d{4}[+-]\d{4}-(\d{8}\.)?\d{4}[+-]\d{4}_[\w.-]+?(_-_\d+)?\.xml"
    assert all(re.fullmatch(form, name) for name in names)


def test_files_are_plain_xml_of_ts_32435(tmp_path: Path) -> None:
    (path, *_) = write_pm(small(), tmp_path / "a")
    assert looks_like_pm(path) and looks_like_pm(tmp_path)
    space = "{http://www.3gpp.org/ftp/specs/archive/32_series/32.435#measCollec}"
    root = ElementTree.parse(path).getroot()
    assert root.tag == f"{space}measCollecFile"
    children = [e.tag.removeprefix(space) for e in root.iterfind(f"{space}measData/{space}measInfo/*")]
    assert children == ["granPeriod", "repPeriod", "measType", "measValue", "measValue"]


def test_what_cannot_be_written_is_told(tmp_path: Path) -> None:
    energy = SiteEnergy(np.array(["s"]), np.ones((1, 3), np.float32), "share of maximum")
    with pytest.raises(TraceError, match=r"PEE\.Energy needs Wh"):
        write_pm(small(site_energy=energy), tmp_path / "a")
    with pytest.raises(TraceError, match="not a whole second"):
        write_pm(small(start=np.datetime64("2024-01-01T00:00:00.5")), tmp_path / "a")
    with pytest.raises(TraceError, match="has no name"):
        write_pm(small(cells=make_cells(["", "x"])), tmp_path / "a")
    write_pm(small(), tmp_path / "b")
    with pytest.raises(TraceError, match="not an empty folder"):
        write_pm(small(), tmp_path / "b")
