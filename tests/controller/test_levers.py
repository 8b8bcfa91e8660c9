"""Levers in a replay: every policy rests deeper but the baselines, and nobody moves without them."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from controller.cli import app
from controller.config import load_config
from controller.errors import ConfigError
from controller.evaluation.case import Case
from controller.evaluation.evaluation import Evaluation
from controller.evaluation.table import print_evaluation
from controller.replay.planners import FIXED
from controller.replay.report import Replay, order_policies
from controller.replay.run import PolicyRun
from controller.replay.stage import Task, quiet
from controller.report.assumed import assumptions
from controller.report.words import origin
from controller.worlds import EvaluatedWorld, world_for
from hw.symbols.levers import Lever
from policies.profile import Profile
from traces import Trace

Run = Callable[..., PolicyRun]
BOTH: tuple[Lever, ...] = ("light_sleep", "filling")


@pytest.fixture(scope="module")
def levered(single_layer: Trace) -> EvaluatedWorld:
    return world_for("3gpp-cat1-set1", single_layer, BOTH)


def test_the_baselines_stay_without_levers(single_layer: Trace, replay: Run, levered: EvaluatedWorld) -> None:
    for name in FIXED:
        plain, pulled = replay(name, single_layer), replay(name, single_layer, world=levered)
        assert plain.outcome.table.tobytes() == pulled.outcome.table.tobytes()
        assert plain.series is not None
        assert pulled.series is not None
        assert plain.series.energy.tobytes() == pulled.series.energy.tobytes()


@pytest.mark.parametrize("name", ["timer", "threshold", "predictive", "oracle"])
def test_every_other_policy_rests_deeper(
    name: str, single_layer: Trace, replay: Run, levered: EvaluatedWorld
) -> None:
    plain, pulled = replay(name, single_layer), replay(name, single_layer, world=levered)
    assert pulled.outcome.energy < 0.95 * plain.outcome.energy


@pytest.mark.parametrize("name", ["timer", "threshold"])
def test_levers_change_no_plan_that_looks_at_no_power(
    name: str, single_layer: Trace, replay: Run, levered: EvaluatedWorld
) -> None:
    plain, pulled = replay(name, single_layer), replay(name, single_layer, world=levered)
    assert plain.series is not None
    assert pulled.series is not None
    assert all((a == b).all() for a, b in zip(plain.series.level, pulled.series.level, strict=True))


@pytest.fixture(scope="module")
def report(single_layer: Trace, levered: EvaluatedWorld, profile: Profile) -> dict[str, object]:
    made = Replay(Task(single_layer, levered, profile), order_policies(["predictive"]))
    made.run(with_page=False, with_curve=False)
    return made.report()


def test_the_report_echoes_the_levers_and_captures_at_most_everything(report: dict[str, object]) -> None:
    document = json.loads(json.dumps(report, allow_nan=False))
    assert document["world_parameters"]["levers"]["filling"] is True
    for name in ("predictive", "oracle"):
        policy = document["policies"][name]
        assert 0 < policy["captured_share"] <= 1
        assert 0 < policy["captured_share_beyond_symbol"] <= 1


def test_the_terminal_names_the_levers(report: dict[str, object]) -> None:
    assert "world 3gpp-cat1-set1 with light_sleep and filling; seed 0" in origin(report)


def test_an_evaluation_keeps_the_levers(
    single_layer: Trace, levered: EvaluatedWorld, profile: Profile
) -> None:
    evaluation = Evaluation([Case(single_layer, levered)], profile, order_policies(["symbol"]), (0,), 100)
    evaluation.run(lambda name: nullcontext(quiet))
    document = evaluation.document()
    assert document["summary"][0]["levers"]["light_sleep"] is True
    console = Console(record=True, width=120)
    print_evaluation(document, console)
    assert "in 3gpp-cat1-set1 with light_sleep and filling" in console.export_text()


def test_the_page_says_what_the_levers_assume(report: dict[str, object]) -> None:
    power = " ".join(dict(assumptions(report))["Power"])  # type: ignore[arg-type]
    assert "Gaps on air of 6 ms and more are spent in light sleep" in power
    assert "wait for up to 10 ms" in power
    assert "up to a load of 30.0 %" in power


def test_a_run_can_be_configured_with_levers(tmp_path: Path) -> None:
    config = tmp_path / "run.yaml"
    config.write_text("schema: quietcell.config/1\nlevers: [filling, light_sleep]\n")
    assert load_config(config).levers == ("filling", "light_sleep")
    config.write_text("schema: quietcell.config/1\nlevers: [deep_sleep]\n")
    with pytest.raises(ConfigError, match=r"run\.yaml:2: levers"):
        load_config(config)


@pytest.mark.parametrize("command", ["replay", "evaluate"])
def test_unknown_levers_and_worlds_without_symbols_are_refused(command: str) -> None:
    found = CliRunner().invoke(app, [command, "--lever", "deep_sleep"])
    assert found.exit_code == 2
    assert "'deep_sleep' is no lever" in " ".join(found.stderr.split())
    found = CliRunner().invoke(app, [command, "--world", "earth-macro", "--lever", "filling"])
    assert found.exit_code == 2
    assert "3GPP reference radio" in found.stderr
