"""What an inspection counts, what it warns of, and how the command prints it."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from controller.cli.traces_commands import app
from traces import SiteEnergy, Trace, make_cells
from traces.inspection import inspect_trace
from traces.reading import read_trace
from traces.writers.tidy import write_tidy

DAYS, STEP_S = 21, 3600
HOURS = np.arange(24 * DAYS)
MONDAY = np.datetime64("2024-01-01T00:00:00")


def daily(quietest: int = 4, n_cells: int = 3) -> np.ndarray:
    shape = 0.3 - 0.2 * np.cos((HOURS - quietest) % 24 / 24 * 2 * np.pi)
    noise = np.random.default_rng(0).normal(0, 0.002, (n_cells, len(HOURS)))  # no two loads are the same
    return (shape + noise).astype(np.float32)


def trace_of(load: np.ndarray, **more: object) -> Trace:
    cells = make_cells([f"c{i}" for i in range(len(load))], {1: [0]} if len(load) > 1 else None)
    return replace(Trace("t", cells, MONDAY, STEP_S, "UTC", np.asarray(load, np.float32)), **more)


def findings(trace: Trace) -> str:
    return "\n".join(advice.finding for advice in inspect_trace(trace).warnings)


def test_a_good_trace_raises_only_what_it_lacks() -> None:
    energy = SiteEnergy(np.array(["c0", "c1", "c2"]), np.ones((3, 24 * DAYS), np.float32), "Wh")
    assert findings(trace_of(daily(), site_energy=energy)) == ""
    assert findings(trace_of(daily())) == "No energy is measured."


def test_gaps_are_told_inside_and_around_recordings() -> None:
    load = daily()
    load[0, 24 * 7 : 24 * 7 + 6] = np.nan  # a gap of six hours in the eighth day
    load[1, :24] = np.nan  # begins a day later
    load[2] = np.nan
    found = inspect_trace(trace_of(load)).gaps
    assert found.cells_without_data == ["c2"]
    assert found.longest_s == 6 * STEP_S
    assert found.share == pytest.approx((6 + 24 + 504) / (3 * 504))
    assert found.share_inside == pytest.approx(6 / (504 + 480))
    assert found.worst_cells == [("c0", pytest.approx(6 / 504))]
    assert found.worst_day == ("2024-01-08", pytest.approx(6 / 48))
    assert found.steps_without_data == 0
    assert found.cells_under_two_days == 0


@settings(max_examples=50)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0.1, 0.5, 0.9]))
def test_gaps_against_a_naive_count(seed: int, missing: float) -> None:
    rng = np.random.default_rng(seed)
    load = np.where(rng.random((4, 60)) < missing, np.nan, 0.5)
    load[0, 0] = 0.5
    gaps = inspect_trace(trace_of(load)).gaps
    absent = expected = longest = 0
    per_day: dict[int, list[int]] = {}
    for own in load:
        recorded = [t for t in range(60) if not np.isnan(own[t])]
        for t in range(recorded[0], recorded[-1] + 1) if recorded else []:
            expected += 1
            absent += t not in recorded
            day = per_day.setdefault(t // 24, [0, 0])
            day[0] += t not in recorded
            day[1] += 1
        longest = max([longest, *(b - a - 1 for a, b in pairwise(recorded))])
    assert gaps.share_inside == pytest.approx(absent / expected)
    assert gaps.longest_s == longest * STEP_S
    assert gaps.worst_day[1] == pytest.approx(max(a / n for a, n in per_day.values()))


def test_distribution_of_the_load() -> None:
    load = np.concatenate([np.full(100, 0.02), np.full(60, 0.12), np.full(30, 0.4), np.full(10, 0.95)])[None]
    found = inspect_trace(trace_of(load)).load
    assert found.share_below == pytest.approx({"0.05": 0.5, "0.1": 0.5, "0.15": 0.8, "0.3": 0.8, "0.5": 0.95})
    assert found.share_censored == pytest.approx(0.05)
    assert found.quantiles["0.25"] == pytest.approx(0.02)
    assert found.quantiles["0.75"] == pytest.approx(0.12)
    assert (found.lowest, found.share_at_lowest) == (pytest.approx(0.02), 0.5)


def test_daily_shape_is_local_and_a_wrong_zone_is_noticed() -> None:
    load = daily(quietest=4)
    load[:, (HOURS // 24) % 7 >= 5] *= np.float32(0.5)
    berlin = inspect_trace(trace_of(load, time_zone="Europe/Berlin")).shape
    assert berlin.quietest_hour == 5
    assert berlin.workday[5] == pytest.approx(0.1, abs=0.01)
    assert berlin.weekend[17] == pytest.approx(0.25, abs=0.02)
    assert (berlin.workdays, berlin.weekend_days) == (15, 6)
    assert "The quietest local hour is 13 h in Asia/Tokyo." in findings(
        trace_of(load, time_zone="Asia/Tokyo")
    )


def test_spikes_are_found_and_steady_traffic_is_not() -> None:
    load = daily()
    assert inspect_trace(trace_of(load)).outliers.share == 0
    load[1, 100] = 0.98
    found = inspect_trace(trace_of(load)).outliers
    assert (found.cells, found.share) == (1, pytest.approx(1 / load.size))
    assert (found.examples[0].cell_id, found.examples[0].time) == (
        "c1",
        f"{MONDAY + np.timedelta64(100, 'h')}Z",
    )
    assert found.examples[0].usual == pytest.approx(load[1, 100 % 24 :: 24].mean(), abs=0.05)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda x: np.where(HOURS == 30, np.nan, x), "In 1 steps no cell is recorded."),
        (lambda x: x * [[0], [1], [1]], "1 of 3 cells are zero throughout, c0"),
        (lambda x: np.vstack([x[:2], np.full_like(x[:1], 0.3)]), "1 of 3 cells hold one value"),
        (lambda x: np.maximum(x, 0.2), "of the loads are exactly 0.2, and none is lower."),
        (lambda x: x / 100, "99 % of the loads are below 0.005."),
        (lambda x: np.minimum(x * 2, 1), "of the loads are above 0.9."),
        (lambda x: x[:, : 24 * 9], "The trace spans 9.0 days, 2 of them on a weekend."),
        (lambda x: x[:1], "There is no capacity cell"),
        (lambda x: x[:, :40], "3 of 3 cells have less than two days of data."),
        (lambda x: np.where(HOURS // 24 == 3, np.nan, x) * [[1], [np.nan], [1]], "1 cells of the cell"),
        (lambda x: np.where((HOURS // 24 == 3) & (HOURS % 24 > 3), np.nan, x), "On 2024-01-04 83% of"),
        (lambda x: np.hstack([x, x * 1.8]), "times that of the first"),
    ],
)  # fmt: skip
def test_each_warning_has_its_cause(change: object, said: str) -> None:
    assert said in findings(trace_of(change(daily())))


def test_units_of_volume_are_judged_by_the_rate_at_full_load() -> None:
    load = daily()
    good = inspect_trace(trace_of(load, dl_volume_bit=load * np.float32(1e8 * STEP_S)))
    assert good.full_rate_mbit_s == pytest.approx(100, rel=1e-3)
    assert "Volume over load gives 1e-05 Mbit/s" in findings(
        trace_of(load, dl_volume_bit=load * np.float32(10 * STEP_S))
    )


def test_energy_and_activations() -> None:
    load = daily()
    load[2, 300:] = np.nan
    values = np.full((2, 24 * DAYS), 50, np.float32)
    values[1, :252] = np.nan
    night = np.where(HOURS % 24 < 6, 0.5, 0) * np.ones((3, 1))
    trace = trace_of(
        load,
        site_energy=SiteEnergy(np.array(["c0", "c2"]), values, "norm"),
        activation={"symbol": night.astype(np.float32)},
    )
    found = inspect_trace(trace)
    assert found.energy is not None
    assert (found.energy.sites, found.energy.recorded_share) == (2, 0.75)
    # of c0 all steps, of c1 none, of c2 those from 252 to 300
    assert found.energy.covered_share == pytest.approx((504 + 48) / (504 + 504 + 300))
    use = found.activation["symbol"]
    assert (use.mean_share, use.cells, use.hours) == (pytest.approx(0.125), 3, [0, 1, 2, 3, 4, 5])
    assert "not in Wh" in findings(trace)
    assert "Energy is recorded for 42%" in findings(trace)


def test_inspection_of_bad_rows_is_finite_json(tmp_path: Path) -> None:
    lines = [f"a,{MONDAY + np.timedelta64(h, 'h')}Z,{0.5 if h else -3}" for h in range(50)]
    (tmp_path / "t.csv").write_text("\n".join(["cell_id,timestamp,dl_prb_ratio", *lines]))
    found = inspect_trace(read_trace(tmp_path / "t.csv"))
    assert found.set_aside == {"dl_prb_ratio is negative": 1}
    text = json.dumps(found.to_dict(), allow_nan=False)
    assert json.loads(text)["set_aside_examples"][0]["place"] == "line 2"


def words(text: str) -> str:
    """Without frames and line breaks, which lie where the length of a path puts them."""
    return " ".join(text.replace("│", " ").split())


def test_commands(tmp_path: Path) -> None:
    energy = SiteEnergy(np.array(["c0"]), np.ones((1, 24 * DAYS), np.float32), "Wh")
    write_tidy(trace_of(daily(), site_energy=energy, activation={"symbol": daily()}), tmp_path / "t")
    run = CliRunner().invoke
    shown = run(app, ["inspect", str(tmp_path / "t")])
    assert shown.exit_code == 0
    for said in ("3 at 3 sites", "Mean load by local hour", "share under", "Warnings", "workday"):
        assert said in shown.output
    found = json.loads(
        run(app, ["inspect", str(tmp_path / "t"), "--json", "--time-zone", "Asia/Tokyo"]).stdout
    )
    assert (found["cells"], found["time_zone"]) == (3, "Asia/Tokyo")

    converted = run(app, ["convert", str(tmp_path / "t"), str(tmp_path / "u")])
    assert (converted.exit_code, converted.stdout) == (0, "")
    assert "3 cells" in words(converted.stderr)
    np.testing.assert_array_equal(read_trace(tmp_path / "u").dl_prb_ratio, daily())
    again = run(app, ["convert", str(tmp_path / "t"), str(tmp_path / "u")])
    assert again.exit_code == 2
    assert "not an empty folder" in words(again.stderr)

    pm = run(app, ["convert", str(tmp_path / "t"), str(tmp_path / "pm"), "--to", "pm"])
    assert pm.exit_code == 0, pm.output
    np.testing.assert_allclose(read_trace(tmp_path / "pm").dl_prb_ratio, daily(), atol=1e-5)


def test_errors_go_to_stderr_as_one_message(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,b\n1,2\n")
    for path, said in ((tmp_path / "t.csv", "no known layout"), (tmp_path / "x", "no such file or folder")):
        result = CliRunner().invoke(app, ["inspect", str(path)])
        assert (result.exit_code, result.stdout) == (2, "")
        assert result.stderr.startswith("error: ")
        assert said in result.stderr
        assert "Traceback" not in result.stderr


def test_convert_keeps_the_count_of_bad_rows_as_a_note(tmp_path: Path) -> None:
    lines = [f"a,{MONDAY + np.timedelta64(h, 'h')}Z,{0.5 if h else -3}" for h in range(50)]
    (tmp_path / "t.csv").write_text("\n".join(["cell_id,timestamp,dl_prb_ratio", *lines]))
    CliRunner().invoke(app, ["convert", str(tmp_path / "t.csv"), str(tmp_path / "u")])
    assert (
        "1 rows of the original were set aside (dl_prb_ratio is negative: 1)."
        in read_trace(tmp_path / "u").notes
    )
