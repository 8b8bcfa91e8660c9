from __future__ import annotations

import gzip
import os
from pathlib import Path

import numpy as np
import pytest

from traces.errors import TraceError
from traces.pm import CounterMapping, read_pm
from traces.pm.mapping import bundled_mapping
from traces.trace import Trace

DATA = Path(__file__).parents[1] / "data" / "pm"
DL = "RRU.PrbTotDl"
Results = dict[str, list[str]]  # object -> results, "S" first if it is suspect


def info(counters: list[str], results: Results, end: str = "00:15:00Z", duration: str = "PT900S") -> str:
    types = "".join(f'<measType p="{p}">{c}</measType>' for p, c in enumerate(counters, 1))
    values = ""
    for ldn, texts in results.items():
        suspect = "<suspect>true</suspect>" if texts[0] == "S" else ""
        rs = "".join(f'<r p="{p}">{t}</r>' for p, t in enumerate(texts[bool(suspect) :], 1))
        values += f'<measValue measObjLdn="{ldn}">{rs}{suspect}</measValue>'
    period = f'<granPeriod duration="{duration}" endTime="2024-01-01T{end}"/>'
    return f"<measInfo>{period}{types}{values}</measInfo>"


def write(folder: Path, name: str, *infos: str, element: str = "n1") -> Path:
    path = folder / name
    head = f'<measCollecFile><measData><managedElement localDn="{element}"/>'
    path.write_text(f"{head}{''.join(infos)}</measData></measCollecFile>")
    return path


def mapping(**fields: object) -> CounterMapping:
    base = bundled_mapping("3gpp").model_dump(by_alias=True)
    return CounterMapping.model_validate(base | {"name": "test", "fields": base["fields"] | fields})


def prb(text: str, end: str = "00:15:00Z", duration: str = "PT900S", cell: str = "NRCellDU=a") -> str:
    return info([DL], {cell: [text]}, end, duration)


def reasons(trace: Trace) -> dict[str, int]:
    return trace.quarantine.counts


def test_cells_join_over_measurements_and_files(tmp_path: Path) -> None:
    du = info(
        [DL, "DRB.MeanActiveUeDl"],
        {"GNBDUFunction=1,NRCellDU=a": ["10", "2"], "GNBDUFunction=1,NRCellDU=b": ["20", "3"]},
    )
    cu = info(
        ["DRB.PdcpSduVolumeUL_Filter", "DRB.PdcpSduVolumeDL_Filter"],
        {"GNBCUCPFunction=1,NRCellCU=b": ["1", "4"]},
    )
    write(tmp_path, "odd name", du)
    write(tmp_path, "A-without-time.xml", cu)
    write(tmp_path, "other vendor", info(["vendor"], {"NRCellDU=a": ["1"]}))
    trace = read_pm([tmp_path])
    cell = list(trace.cells.cell_id).index("b")
    assert trace.dl_prb_ratio[cell, 0] == np.float32(0.2)
    assert trace.dl_volume_bit is not None and trace.dl_volume_bit[cell, 0] == 4e6
    assert trace.ul_volume_bit is not None and np.isnan(trace.ul_volume_bit[1 - cell, 0])
    assert trace.ul_prb_ratio is None and trace.site_energy is None
    assert any("1 files hold no counter of the mapping" in note for note in trace.notes)
    assert set(trace.cells.site_id) == {"n1"} and trace.start == np.datetime64("2024-01-01T00:00:00")


def test_names_that_repeat_from_site_to_site_are_qualified(tmp_path: Path) -> None:
    for site in ("n1", "n2"):
        write(tmp_path, site, prb("10"), element=site)
    assert list(read_pm([tmp_path]).cells.cell_id) == ["n1/a", "n2/a"]
    assert list(read_pm([tmp_path / "n1"]).cells.cell_id) == ["a"]


def test_suspect_blank_and_broken_results_are_missing_and_counted(tmp_path: Path) -> None:
    results = {f"NRCellDU={i}": [t] for i, t in enumerate(["5", "NIL", " ", "x", "1,2", "-1", "101"])}
    path = write(tmp_path, "f", info([DL], results | {"NRCellDU=s": ["S", "50"]}))
    trace = read_pm([path])
    assert np.isnan(trace.dl_prb_ratio).sum() == 7 and trace.n_cells == 8
    assert reasons(trace) == {
        "marked suspect by the node": 1,
        "result is not a number": 1,
        "vector where one number was expected; declare reduce in the mapping": 1,
        "utilisation outside 0..1; see the unit in the mapping": 2,
    }
    assert any("2 results were blank" in note for note in trace.notes)
    assert all(p.file == str(path) and p.place.startswith("line 1,") for p in trace.quarantine.examples)


def test_steps_gaps_and_order_come_from_the_times_inside(tmp_path: Path) -> None:
    write(tmp_path, "1", prb("30", "01:00:00Z"))
    write(tmp_path, "2", prb("10", "08:15:00+08:00"))
    write(tmp_path, "3", prb("20", "00:30:00.000+0000"))
    trace = read_pm([tmp_path])
    assert trace.step_s == 900
    np.testing.assert_array_equal(trace.dl_prb_ratio[0], np.float32([0.1, 0.2, np.nan, 0.3]))


def test_several_periods_in_one_file_and_a_day_as_step(tmp_path: Path) -> None:
    path = write(tmp_path, "B", prb("10", "00:00:00Z", "P1D"), prb("20", "24:00:00Z", "P1D"))
    trace = read_pm([path])
    assert trace.step_s == 86_400 and trace.dl_prb_ratio.shape == (1, 2)


def test_times_without_offset_are_local(tmp_path: Path) -> None:
    trace = read_pm([write(tmp_path, "f", prb("10", "08:15:00"))], time_zone="Asia/Shanghai")
    assert trace.start == np.datetime64("2024-01-01T00:00:00") and trace.time_zone == "Asia/Shanghai"
    assert any("without offset" in note for note in trace.notes)
    with pytest.raises(TraceError, match="time zone 'Mars/Base' is not known"):
        read_pm([tmp_path], time_zone="Mars/Base")


def test_other_granularity_is_set_aside_and_a_tie_refused(tmp_path: Path) -> None:
    for i in range(4):
        write(tmp_path, f"q{i}", prb("10", f"00:{15 * i:02d}:00Z"))
    write(tmp_path, "h", prb("10", "01:00:00Z", "PT1H"))
    write(tmp_path, "late", prb("10", "00:31:00Z"))
    trace = read_pm([tmp_path])
    assert trace.step_s == 900 and trace.n_steps == 4
    assert reasons(trace) == {
        "granularity period of 3600 s in a trace of 900 s; read it apart": 1,
        "period does not begin on the grid of the others": 1,
    }
    with pytest.raises(TraceError, match=r"900 s and 3600 s are equally common .*q0.*h.*apart"):
        read_pm([tmp_path / "q0", tmp_path / "h"])


def test_energy_of_another_granularity_is_no_energy(tmp_path: Path) -> None:
    energy = info(["PEE.Energy"], {"": ["1"]}, "01:00:00Z", "PT1H")
    trace = read_pm([write(tmp_path, "f", prb("10"), energy)])
    assert trace.site_energy is None and sum(reasons(trace).values()) == 1


def test_a_time_far_off_is_told_with_its_file(tmp_path: Path) -> None:
    write(tmp_path, "good", prb("10"))
    (tmp_path / "far").write_text((tmp_path / "good").read_text().replace("2024", "2924"))
    with pytest.raises(TraceError, match=r"far more than were recorded.*latest in .*far"):
        read_pm([tmp_path])


def test_duplicates_within_and_across_files(tmp_path: Path) -> None:
    write(tmp_path, "1", prb("10"), prb("10"), prb("20", "00:30:00Z"), prb("21", "00:30:00Z"))
    write(tmp_path, "2", prb("10"), prb("30", "00:45:00Z"), prb("5", "01:00:00Z"))
    write(tmp_path, "3", prb("31", "00:45:00Z"), prb("NIL", "01:00:00Z"))
    write(tmp_path, "4", prb("31", "00:45:00Z"))
    trace = read_pm([tmp_path])
    np.testing.assert_array_equal(trace.dl_prb_ratio[0], np.float32([0.1, np.nan, np.nan, 0.05]))
    assert reasons(trace)["same value twice, one dropped"] == 2
    assert reasons(trace)["two values for one period, both set aside"] == 2


def test_a_broken_file_is_refused_as_a_whole(tmp_path: Path) -> None:
    good = write(tmp_path, "a", prb("10"))
    broken = tmp_path / "b"
    text = write(tmp_path, "b", prb("20", "00:30:00Z"), prb("30", "00:45:00Z")).read_text()
    broken.write_text(text[:-60])
    trace = read_pm([tmp_path])
    assert trace.n_steps == 1
    (problem,) = trace.quarantine.examples
    assert (
        problem.file == str(broken)
        and "not well-formed" in problem.reason
        and "fetch it again" in problem.reason
    )
    for paths in ([broken], [broken, broken]):
        with pytest.raises(TraceError, match=r"b, line 1: not well-formed XML"):
            read_pm(paths)
    good.write_bytes(gzip.compress(good.read_bytes()))
    np.testing.assert_array_equal(read_pm([tmp_path]).dl_prb_ratio, trace.dl_prb_ratio)


def test_more_objects_than_a_file_may_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("traces.pm.gather._MAX_STAGED", 3)
    path = write(tmp_path, "f", info([DL], {f"NRCellDU={i}": ["1"] for i in range(4)}))
    with pytest.raises(TraceError, match="more than 3 objects times periods; split the file"):
        read_pm([path])


def test_period_without_times_is_set_aside(tmp_path: Path) -> None:
    without = prb("1").replace("granPeriod", "other")
    path = write(tmp_path, "f", prb("10"), without, prb("1", "x"))
    assert sum(reasons(read_pm([path])).values()) == 2


def test_energy_is_summed_over_meters_that_report(tmp_path: Path) -> None:
    node = (DATA / "node.xml").read_text()
    (tmp_path / "1").write_text(node)
    (tmp_path / "2").write_text(node.replace("T19:15", "T19:30").replace('<r p="1">70</r>', '<r p="1"> </r>'))
    trace = read_pm([tmp_path])
    assert trace.site_energy is not None
    np.testing.assert_array_equal(trace.site_energy.energy, np.float32([[85, np.nan]]))
    np.testing.assert_array_equal(trace.dl_prb_ratio[0], np.float32([0.1, 0.1]))
    node_total = node.replace('<r p="1"> </r>', '<r p="1">99</r>').replace("<suspect>true", "<suspect>false")
    (tmp_path / "3").write_text(node_total.replace("T19:15", "T19:45"))
    energy = read_pm([tmp_path]).site_energy
    assert energy is not None
    np.testing.assert_array_equal(energy.energy, np.float32([[np.nan, np.nan, 99]]))


def test_names_of_ts_28532_with_prefix_and_sub_counters() -> None:
    trace = read_pm([DATA / "entity.xml"])
    assert list(trace.cells.cell_id) == ["a", "b"] and set(trace.cells.site_id) == {"g1"}
    assert trace.start == np.datetime64("2024-04-30T16:00:00") and trace.step_s == 3600
    np.testing.assert_array_equal(trace.dl_prb_ratio[:, 0], np.float32([0.125, 0.5]))
    assert trace.dl_volume_bit is not None and trace.dl_volume_bit[0, 0] == 32e6
    assert trace.site_energy is not None and trace.site_energy.energy[0, 0] == 1250


def test_running_totals(tmp_path: Path) -> None:
    for i, total in enumerate(["1000", "1001.5", "1001.5", "NIL", "1003", "0.5", "1"]):
        end = f"{i // 4 + 1:02d}:{15 * (i % 4):02d}:00Z"
        write(tmp_path, str(i), prb("10", end), info(["Total"], {"": [total]}, end))
    running = {"counters": ["Total"], "unit": "kWh", "object": "ManagedElement=", "accumulates": True}
    trace = read_pm([tmp_path], mapping(site_energy_wh=[running]))
    assert trace.site_energy is not None
    expected = np.float32([np.nan, 1500, 0, np.nan, np.nan, np.nan, 500])
    np.testing.assert_array_equal(trace.site_energy.energy[0], expected)
    assert reasons(trace) == {"running total fell; it was reset, or the counter does not accumulate": 1}


def test_histogram_as_utilisation_and_quotient_over_measurements(tmp_path: Path) -> None:
    histogram = {"counters": ["Distr"], "unit": "percent", "reduce": "pdf_mean", "bin_centres": [5, 50, 95]}
    quotient = {"counters": ["used"], "divided_by": ["available"], "unit": "users"}
    cells = {"NRCellDU=a": ["0,3,1"], "NRCellDU=b": ["0,0,0"]}
    used, available = info(["used"], {"NRCellDU=a": ["3"]}), info(["available"], {"NRCellCU=a": ["2"]})
    path = write(tmp_path, "f", info(["Distr"], cells), used, available)
    trace = read_pm([path], mapping(dl_prb_ratio=[histogram], active_users=[quotient]))
    np.testing.assert_array_equal(trace.dl_prb_ratio[:, 0], np.float32([0.6125, np.nan]))
    assert trace.active_users is not None and trace.active_users[0, 0] == 1.5


def test_without_fitting_mapping_the_counters_are_listed(tmp_path: Path) -> None:
    path = write(tmp_path, "f", info([f"vendor{i}" for i in range(40)], {"Cell=1": ["1"] * 40}))
    with pytest.raises(TraceError) as error:
        read_pm([path])
    text = str(error.value)
    assert "vendor29 and 10 more" in text and "vendor30," not in text and "docs/pm-xml.md" in text
    path = write(tmp_path, "f", info([DL], {"EUtranCellFDD=1": ["1"]}))
    with pytest.raises(TraceError, match=r"no cell reports .*EUtranCellFDD=1"):
        read_pm([path])
    path = write(tmp_path, "f", prb("NIL"))
    with pytest.raises(TraceError, match="no downlink PRB utilisation is usable: 1 results blank"):
        read_pm([path])


def test_a_real_file_of_a_commercial_node() -> None:
    folder = Path(os.environ.get("QUIETCELL_DATA", "")) / ".." / "pm_samples"
    if "QUIETCELL_DATA" not in os.environ or not folder.is_dir():
        pytest.skip("no pm_samples beside QUIETCELL_DATA")
    trace = read_pm([folder])
    assert trace.step_s == 900 and trace.n_cells == 4 and trace.n_steps == 1
    on_air = ~np.isnan(trace.dl_prb_ratio[:, 0])
    assert on_air.sum() == 2, "two cells are locked: nothing was available"
    assert (trace.dl_prb_ratio[on_air] > 0).all() and (trace.dl_prb_ratio[on_air] < 0.01).all()
    assert trace.site_energy is not None and trace.site_energy.unit == "Wh"
    baseband_wh, radios_wh = 83, 12 + 13 + 22  # 333 W, and 47, 52 and 89 W, over 900 s
    assert trace.site_energy.energy[0, 0] == baseband_wh + radios_wh
    assert trace.quarantine.counts == {"marked suspect by the node": 2}
