"""``quietcell evaluate`` with a forecast model: what it closes of the forecast part of the shortfall."""

from __future__ import annotations

import io
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console
from typer.testing import CliRunner

from controller.cli import app
from controller.config import load_profile
from controller.evaluation.case import Case
from controller.evaluation.evaluation import Evaluation
from controller.evaluation.forecast_shortfall import closed
from controller.evaluation.table import WIDTH, print_evaluation
from controller.replay import planning
from controller.replay.report import order_policies
from controller.worlds import world_for
from tests.controller.stepwise import Stepwise, model
from traces import Trace
from traces.synthesis import SynthSpec, generate
from traces.writers.tidy import write_tidy


@pytest.fixture(scope="module")
def trace() -> Trace:
    return generate(SynthSpec(n_sites=6, sectors=1, layers=2, days=3, step_s=3600, seed=1))


@pytest.fixture(scope="module")
def network(trace: Trace, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("networks") / "city"
    write_tidy(trace, folder)
    return folder


@pytest.fixture
def given(trace: Trace, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A model of hourly steps, trained until the middle of the first day."""
    monkeypatch.setattr(planning, "StepForecaster", Stepwise)
    return model(step_s=3600, trained_until=f"{trace.start + np.timedelta64(12, 'h')}Z")


def modelled(trace: Trace, given: Any, *policies: str, seeds: tuple[int, ...] = (0, 1)) -> dict[str, Any]:
    cases = [Case(trace, world_for("3gpp-cat1-set1", trace))]
    ordered = order_policies(list(policies) or ["predictive"], with_analysis=True)
    evaluation = Evaluation(cases, load_profile(None), ordered, seeds, 300, model=given)
    evaluation.run(lambda _: nullcontext(lambda _stage, _share: None))
    return evaluation.document()


def printed(document: dict[str, Any]) -> str:
    text = io.StringIO()
    print_evaluation(document, Console(file=text, width=WIDTH))
    return text.getvalue()


def test_the_forecast_part_of_the_shortfall(trace: Trace, given: Any) -> None:
    """Only the days that begin after the training count: the last two of three."""
    found = modelled(trace, given)
    own = found["summary"][0]["forecast_shortfall"]
    assert own["from"] == f"{trace.start + np.timedelta64(24, 'h')}Z"
    seasonal, with_model, true = (own["energy"][k]["by_seed"] for k in ("seasonal", "model", "true_inputs"))
    assert own["n_days"] == 2
    share = own["closed_share"]
    for s in (0, 1):
        expected = (seasonal[s] - with_model[s]) / (seasonal[s] - true[s])
        assert share["by_seed"][s] == pytest.approx(expected)
        policies = found["runs"][s]["policies"]
        assert 0.5 < seasonal[s] / policies["predictive_seasonal"]["energy"] < 0.8, "two days of three"
        assert true[s] < seasonal[s]
    assert share.get("low_reason") or share["low"] < share["mean"] < share["high"]
    assert own["limits_held"].keys() == own["energy"].keys()
    text = printed(found)
    assert "forecast shortfall closed by the model over 2 days: " in text
    assert f"from {own['from']} on" in text
    assert max(len(line) for line in text.split("\n")) <= WIDTH


def test_a_seasonal_model_closes_nothing_and_a_true_one_everything(trace: Trace, given: Any) -> None:
    energies = np.array([[10.0, 10, 8], [10, 8, 8], [10, 9, 8], [10, 11, 8], [8, 8, 8], [8, 9, 10]])
    expected = [0, 1, 0.5, -0.5, np.nan, np.nan]
    assert closed(energies) == pytest.approx(expected, nan_ok=True)


def test_a_shortfall_that_cannot_be_told_has_its_reason(
    trace: Trace, given: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    without = modelled(trace, given, "symbol", seeds=(0,))
    summary = without["summary"][0]
    assert summary["forecast_shortfall"] is None
    why = "predictive_seasonal, predictive, predictive_true was not evaluated"
    assert summary["forecast_shortfall_reason"] == why
    assert summary["forecast_shortfall_reason"] in printed(without).replace("\n", " ")
    until = f"{trace.start + np.timedelta64(60, 'h')}Z"
    given.info = given.info.model_copy(update={"trained_until": until})
    late = modelled(trace, given, seeds=(0,))["summary"][0]
    assert "no day of the trace begins after" in late["forecast_shortfall_reason"]
    assert "forecast_shortfall" not in modelled(trace, None, "predictive", seeds=(0,))["summary"][0]


def test_a_model_that_cannot_be_read_is_told_before_the_first_replay(network: Path, tmp_path: Path) -> None:
    failed = CliRunner().invoke(app, ["evaluate", str(network), "--model", str(tmp_path / "none.onnx")])
    assert failed.exit_code == 2
    assert "none.onnx: the file does not exist" in failed.stderr.replace("\n", "")
    replayed = CliRunner().invoke(app, ["replay", str(network), "--model", str(tmp_path / "none.onnx")])
    assert replayed.exit_code == 2
    assert "none.onnx: the file does not exist" in replayed.stderr.replace("\n", "")
    config = tmp_path / "run.yaml"
    config.write_text(f"schema: quietcell.config/1\nmodel: {tmp_path / 'other.onnx'}\n")
    replayed = CliRunner().invoke(app, ["replay", str(network), "--config", str(config)])
    assert replayed.exit_code == 2
    assert "other.onnx: the file does not exist" in replayed.stderr.replace("\n", "")
