"""report.json is a contract: every field is there, every figure is a plain finite number or null with its reason."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from controller.errors import ModelError
from controller.replay import planning
from controller.replay.figures import CeilingError
from controller.replay.report import Prices, Replay, order_policies
from controller.replay.stage import Task
from controller.worlds import load_world
from policies.profile import Profile
from tests.controller.stepwise import Stepwise, model
from traces import Trace

TOP = {"schema", "complete", "trace", "world", "world_parameters", "seed", "limits", "policies"}
TRACE = {"source", "n_cells", "n_steps", "step_s", "missing_share", "scored_share"}
LIMITS = {"unserved_share", "below_target_share", "cells_over_limit_share", "target_mbit_s"}
POLICY = {
    "applicable",
    "energy",
    "energy_unit",
    "ee_gain_vs_none",
    "energy_saved_vs_none",
    "captured_share",
    "captured_share_beyond_symbol",
    "unserved_share",
    "below_target_share",
    "cells_over_limit_share",
    "worst_cell_unserved_share",
    "throughput_loss_mean",
    "added_latency_ms_p95",
    "level_changes_per_cell_day",
    "emergency_wakes_per_cell_day",
    "alarms",
    "guard",
    "level_share",
    "limits_held",
    "wall_s",
}


def report_of(trace: Trace, profile: Profile, world: str = "3gpp-cat1-set1", **how: Any) -> dict[str, Any]:
    curve = how.pop("with_curve", False)
    replay = Replay(Task(trace, load_world(world), profile), order_policies(None), **how)
    replay.run(with_page=False, with_curve=curve)
    return replay.report()


def faults(value: Any, path: str = "report") -> Iterator[str]:
    """What is no plain JSON value, or null without a reason, anywhere in a document."""
    if type(value) is dict:
        for key, inner in value.items():
            if type(key) is not str:
                yield f"{path} has the key {key!r}"
            if inner is None and not value.get(f"{key}_reason"):
                yield f"{path}.{key} is null without a reason"
            if key.endswith("_reason") and value.get(key.removesuffix("_reason"), 0) is not None:
                yield f"{path}.{key} explains a figure that is there"
            yield from faults(inner, f"{path}.{key}")
    elif type(value) in (list, tuple):
        for i, inner in enumerate(value):
            yield from faults(inner, f"{path}[{i}]")
    elif type(value) is float and not math.isfinite(value):
        yield f"{path} is {value}"
    elif type(value) not in (str, int, float, bool, type(None)):
        yield f"{path} is a {type(value).__name__}"


def check(report: dict[str, Any]) -> None:
    assert list(faults(report)) == []
    assert json.loads(json.dumps(report, allow_nan=False)) is not None
    assert report["schema"] == "quietcell.report/1"
    assert report.keys() >= TOP
    assert report["trace"].keys() >= TRACE
    assert report["limits"].keys() >= LIMITS
    assert {"none", "symbol", "oracle"} <= report["policies"].keys()
    for name, policy in report["policies"].items():
        if not policy["applicable"]:
            assert policy["reason"]
            continue
        assert policy.keys() >= POLICY, name
        assert sum(policy["level_share"].values()) == pytest.approx(1, abs=1e-9)
        assert all(share > 0 for share in policy["level_share"].values())
        assert policy["energy"] > 0
        for figure in (
            "unserved_share",
            "below_target_share",
            "cells_over_limit_share",
            "worst_cell_unserved_share",
        ):
            assert 0 <= policy[figure] <= 1
        for figure in ("captured_share", "captured_share_beyond_symbol"):
            assert policy[figure] is None or policy[figure] <= 1 + 1e-9


@pytest.mark.parametrize("world", ["3gpp-cat1-set1", "3gpp-cat2-set2", "earth-macro"])
def test_a_report_keeps_the_contract(world: str, multi_layer: Trace, quick: Profile) -> None:
    report = report_of(multi_layer, quick, world)
    check(report)
    assert report["complete"] is True
    assert report["world"] == world
    assert report["world_parameters"]["service"]["target_mbit_s"] == report["limits"]["target_mbit_s"]
    policies = report["policies"]
    assert policies["none"]["ee_gain_vs_none"] == 0
    assert policies["none"]["captured_share"] == 0
    assert policies["symbol"]["captured_share_beyond_symbol"] in (0, None)
    oracle = policies["oracle"]
    assert oracle["limits_held"]
    assert 0 <= oracle["bound_gap"] == pytest.approx(oracle["energy"] / oracle["bound_energy"] - 1)
    for policy in policies.values():
        if policy["applicable"]:
            assert policy["energy"] <= policies["none"]["energy"] * (1 + 1e-9)
            assert policy["energy"] >= oracle["bound_energy"] or not policy["limits_held"]


def test_figures_after_the_first_two_days_stand_beside_the_others(multi_layer: Trace, quick: Profile) -> None:
    long = replace(
        multi_layer,
        dl_prb_ratio=np.tile(multi_layer.dl_prb_ratio, 2),
        ul_prb_ratio=None,
        dl_volume_bit=None,
        ul_volume_bit=None,
        active_users=None,
        activation={},
    )
    report = report_of(long, quick)
    check(report)
    for name in ("none", "symbol", "predictive", "oracle"):
        assert report["policies"][name]["after_48h"]["limits_held"] in (True, False)
    assert report["policies"]["logged"]["reason"] == "the trace logs no energy-saving activation"


def test_money_and_emission_where_power_is_known(multi_layer: Trace, quick: Profile) -> None:
    prices = Prices(price_per_kwh=0.5, currency="EUR", co2_kg_per_kwh=0.4)
    report = report_of(multi_layer, quick, "earth-macro", prices=prices)
    check(report)
    none = report["policies"]["none"]
    assert none["energy_kwh"] == pytest.approx(none["energy"] / 1000)
    assert none["money_per_year"] == pytest.approx(
        none["energy_kwh"] / report["trace"]["scored_share"] / 2 * 365 * 0.5
    )
    assert none["co2_kg_per_year"] == pytest.approx(none["money_per_year"] * 0.4 / 0.5)
    assert report["currency"] == "EUR"


def test_the_curve_is_part_of_the_document(small_trace: Any, quick: Profile) -> None:
    report = report_of(small_trace(np.full((2, 96), 0.1), {1: (0,)}), quick, with_curve=True)
    check(report)
    assert {"epsilon 0.03", "sigma 0.45"} <= {row["label"] for row in report["sensitivity"]}


ODD = {
    "one step": np.full((1, 1), 0.3),
    "no traffic": np.zeros((3, 96)),
    "full": np.ones((3, 96)),
    "one sample of traffic": np.where(np.arange(96) == 50, 0.4, np.zeros((3, 96))),
    "mostly missing": np.where(np.arange(96) % 31 == 3, 0.2, np.full((3, 96), np.nan)),
    "a cell never recorded": np.where(np.arange(3)[:, None] == 1, np.nan, np.full((3, 96), 0.1)),
    "three days, the last missing": np.where(np.arange(288) < 192, 0.1, np.full((3, 288), np.nan)),
}


@pytest.mark.parametrize("name", ODD)
def test_odd_traces_keep_the_contract(name: str, small_trace: Any, quick: Profile) -> None:
    load = ODD[name]
    report = report_of(small_trace(load, {1: (0,)} if len(load) > 1 else None), quick)
    check(report)
    if name == "no traffic":
        assert report["policies"]["symbol"]["ee_gain_vs_none"] is None
        assert report["policies"]["symbol"]["energy_saved_vs_none"] > 0


def test_an_interrupted_replay_reports_what_is_done(multi_layer: Trace, quick: Profile) -> None:
    replay = Replay(Task(multi_layer, load_world("3gpp-cat1-set1"), quick), order_policies(None))
    check(replay.report())
    assert replay.report()["complete"] is False

    class StopError(Exception):
        pass

    def stop(what: str, share: float) -> None:
        if what == "predictive" and share > 0.3:
            raise StopError

    with pytest.raises(StopError):
        replay.run(stop, with_page=True, with_curve=False)
    report = replay.report()
    check(report)
    assert report["complete"] is False
    assert report["policies"]["threshold"]["applicable"]
    assert report["policies"]["threshold"]["captured_share_reason"] == "no ceiling was computed"
    assert not report["policies"]["predictive"]["applicable"]


def test_a_policy_above_the_ceiling_fails_the_run(small_trace: Any, quick: Profile) -> None:
    """Half a rest per tick would save more than any plan at the planning instants."""
    replay = Replay(
        Task(small_trace(np.full((1, 96), 0.1)), load_world("3gpp-cat1-set1"), quick), order_policies(None)
    )
    replay.run(with_page=False, with_curve=False)
    assert replay.runs["oracle"].bound is not None
    replay.runs["oracle"].bound *= 1.2
    with pytest.raises(CeilingError, match="cannot beat the ceiling"):
        replay.report()


def replayed(trace: Trace, profile: Profile, *policies: str, given: Any = None) -> Replay:
    task = Task(trace, load_world("3gpp-cat1-set1"), profile, model=given)
    return Replay(task, order_policies(list(policies), with_analysis=given is not None))


def test_a_report_says_what_the_forecast_rests_on(
    multi_layer: Trace, quick: Profile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planning, "StepForecaster", Stepwise)
    until = f"{multi_layer.start + np.timedelta64(36, 'h')}Z"
    given = model(step_s=3600, trained_until=until)
    replay = replayed(multi_layer, quick, "predictive", given=given)
    assert replay.report()["forecast"]["used_share_reason"] == "predictive was not replayed"
    check(replay.report())
    replay.run(with_page=True, with_curve=False)
    report = replay.report()
    check(report)
    forecast = report["forecast"]
    assert (forecast["source"], forecast["sha256"]) == ("model", given.sha256)
    assert forecast["trained_until"] == until
    assert forecast["used_share"] == pytest.approx(0.25, abs=0.01)
    (note,) = [note for note in report["notes"] if "forecast model" in note]
    assert until in note
    assert f"{forecast['used_share']:.1%}" in note
    assert any("no causal policy" in note for note in report["notes"])
    assert list(report["policies"])[-4:] == ["predictive", "predictive_seasonal", "predictive_true", "oracle"]
    assert replay.page().policies.keys() >= {"predictive_seasonal", "predictive_true"}


@pytest.mark.parametrize("given", [None, model(trained_until="2031-01-01T00:00:00Z")])
def test_without_a_model_in_use_the_source_is_seasonal(
    given: Any, multi_layer: Trace, quick: Profile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planning, "StepForecaster", Stepwise)
    replay = replayed(multi_layer, quick, "predictive", given=given)
    replay.run(with_page=False, with_curve=False)
    forecast = replay.report()["forecast"]
    assert forecast["source"] == "seasonal"
    assert forecast.get("used_share", 0) == 0
    assert ("sha256" in forecast) == (given is not None)


def test_a_model_of_a_step_that_does_not_fit_is_refused_before_the_replay(
    multi_layer: Trace, quick: Profile
) -> None:
    with pytest.raises(ModelError, match=r"stand-in.onnx: .* 300 s.* 900 s"):
        replayed(multi_layer, quick, "predictive", given=model(step_s=300))
