"""Policies of others: found, run as documented, refused with a remedy, and never a danger."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from controller.cli import app
from controller.errors import PolicyError
from controller.foreign import ForeignPolicy, find_policy
from controller.replay.planners import KNOWN
from controller.replay.run import PolicyRun, run_policy
from controller.replay.stage import Stage
from hw.world import SYMBOL
from policies.plugin import PolicyContext
from policies.policy import Decision, Reason, View
from tests.controller.documented import install, install_example
from traces import Trace
from traces.writers.tidy import write_tidy

OFF, DORMANT = 5, 6


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose distributions are installed."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    return tmp_path


def refusal(name: str) -> str:
    with pytest.raises(PolicyError) as caught:
        find_policy(name, KNOWN)
    return str(caught.value)


def call(*args: str | Path) -> Result:
    return CliRunner().invoke(app, list(map(str, args)))


def test_the_documented_plug_in_replays_by_its_name(installed: Path, single_layer: Trace) -> None:
    name = install_example(installed)
    write_tidy(single_layer, installed / "city")
    result = call("replay", installed / "city", "--policy", name, "--json")
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert list(report["policies"]) == ["none", "symbol", name, "oracle"]
    entry = report["policies"][name]
    assert entry["level_share"]["rf_channel_8"] > 0.05
    assert entry["energy_saved_vs_none"] > report["policies"]["symbol"]["energy_saved_vs_none"]
    assert f"{name} is quiet-nights 1.0 (quiet_nights:make)." in report["notes"]


def test_an_unknown_policy_is_answered_with_what_there_is(installed: Path) -> None:
    install_example(installed)
    text = refusal("quiet_night")
    for part in (
        "'quiet_night' is no policy",
        "predictive",
        "plug-ins installed: quiet_nights",
        "Did you mean quiet",
    ):
        assert part in text


@pytest.mark.parametrize(
    ("code", "parts"),
    [
        (None, ("cannot be imported, ModuleNotFoundError", "remove broken")),
        (
            "import nowhere_to_be_found",
            ("cannot be imported, ModuleNotFoundError: No module named 'nowhere",),
        ),
        ("raise SystemExit(3)", ("cannot be imported, SystemExit",)),
        ("x = 1", ("cannot be imported, AttributeError",)),
        ("make = 7", ("is a int, not a factory",)),
    ],
)
def test_a_broken_plug_in_names_its_distribution_and_a_remedy(
    code: str | None, parts: tuple[str, ...], installed: Path, request: pytest.FixtureRequest
) -> None:
    module = f"broken_{abs(hash(request.node.name))}"
    install(installed, "broken", "0.3", {"broken": f"{module}:make"})
    if code is not None:
        (installed / f"{module}.py").write_text(code)
    text = refusal("broken")
    for part in ("'broken'", "broken 0.3", *parts):
        assert part in text


def test_two_distributions_of_one_name_are_refused_and_ours_stay_ours(installed: Path) -> None:
    install(installed, "one", "1", {"quiet": "one:make", "predictive": "one:make"})
    install(installed, "two", "2", {"quiet": "two:make"})
    assert "one 1 (one:make) and two 2 (two:make); uninstall" in refusal("quiet")
    assert "predictive" in KNOWN, "a name that is never looked up"


@pytest.mark.parametrize(
    ("made", "part"),
    [
        (lambda context: 1 / 0, "its factory failed with ZeroDivisionError"),
        (lambda context: 7, "gave a int, not a planner"),
        (lambda context: type("P", (), {"plan": lambda self, view: None})(), "needs_forecast"),
    ],
)
def test_a_factory_that_fails_is_told_before_anything_is_replayed(
    made: Any, part: str, installed: Path, single_layer: Trace, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_tidy(single_layer, installed / "city")
    policy = ForeignPolicy("mine", "mine 1.0 (mine:make)", made)
    monkeypatch.setattr("controller.foreign.find_policy", lambda name, built_in: policy)
    monkeypatch.setattr("controller.replay.report.run_policy", None)
    result = call("replay", installed / "city", "--policy", "mine")
    assert result.exit_code == 2
    assert part in result.output.replace("\n", " ")
    assert "mine 1.0 (mine:make)" in result.output


class Hostile:
    """Answers every tick with the next of its tricks, and spoils what it is given."""

    needs_forecast = True

    def __init__(self, context: PolicyContext) -> None:
        self.context, self.tick = context, 0
        n = context.network.n_cells
        deep = np.full(n, DORMANT, np.uint8)
        self.tricks: list[Callable[[View], Any]] = [
            lambda view: Decision(deep, deep),
            lambda view: Decision(deep[1:], deep[1:]),
            lambda view: Decision(np.full(n, np.nan), deep),  # type: ignore[arg-type]
            lambda view: Decision(np.full(n, 200, np.uint8), deep),
            lambda view: Decision(np.full(n, -1), deep),  # type: ignore[arg-type]
            lambda view: Decision(np.full(n, 2.5), deep),  # type: ignore[arg-type]
            lambda view: Decision(np.full(n, "deep"), deep),  # type: ignore[arg-type]
            lambda view: Decision(deep, np.full(n, Reason.GUARD_BUDGET, np.uint8), np.zeros(n)),
            lambda view: (deep, deep),
            lambda view: None,
            lambda view: 1 / 0,
            lambda view: sys.exit(1),
        ]

    def plan(self, view: View) -> Any:
        trick = self.tricks[self.tick % len(self.tricks)]
        self.tick += 1
        assert view.forecast is not None
        for array in (view.level, view.held_s, view.offered, view.forecast.log_median, view.forecast.log_sd):
            array[:] = 0
        self.context.network.allowed[:] = True
        self.context.tables.asleep[:] = False
        return trick(view)


@pytest.mark.parametrize("guard", [False, True])
def test_a_hostile_plug_in_breaks_nothing_and_is_counted(
    guard: bool, make_stage: Callable[..., Stage], multi_layer: Trace
) -> None:
    policy = ForeignPolicy("hostile", "a test", Hostile)
    stage = make_stage(multi_layer, foreign={"hostile": policy}, guard=guard)
    run = run_policy("hostile", stage, keep=np.ones(multi_layer.n_cells, np.bool_))
    assert run.series is not None
    assert run.faults is not None
    n_ticks, n_tricks = stage.clock.n_ticks, 12
    level, reason = np.concatenate(run.series.level), np.concatenate(run.series.reason)
    network = stage.network
    order = stage.order
    assert network.allowed[order[:, None], level].all(), "nobody at a level that it may not use"
    whole = [1, 6, 8, 9, 10, 11]  # tricks after which no answer is left
    assert run.faults.failed_ticks == sum((np.arange(n_ticks) % n_tricks == k).sum() for k in whole)
    for k in (*whole, 2, 3, 4, 5):
        assert (level[:, k::n_tricks] == SYMBOL).all(), k
    assert run.faults.refused_cell_ticks >= 4 * multi_layer.n_cells * (n_ticks // n_tricks)
    assert run.faults.first
    assert (level == DORMANT).any(), "where it asks for what is allowed it gets it"
    assert not (reason[:, 7::n_tricks] == Reason.GUARD_BUDGET).all(), (
        "a plug-in does not speak for the guards"
    )
    candidates = multi_layer.cells
    for i in np.flatnonzero(network.is_capacity):
        off = stage.task.world.world.asleep[level[order.tolist().index(i)]]
        on = [
            ~stage.task.world.world.asleep[level[order.tolist().index(c)]]
            for c in candidates.candidates_of(i)
        ]
        assert (~off | np.any(on, axis=0)).all(), "somebody on air for every cell off air"


def test_a_plug_in_replays_the_same_twice_and_leaves_others_alone(
    installed: Path, make_stage: Callable[..., Stage], multi_layer: Trace, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = find_policy(install_example(installed), KNOWN)

    def run(name: str) -> PolicyRun:
        stage = make_stage(multi_layer, foreign={policy.name: policy})
        return run_policy(name, stage, keep=np.ones(multi_layer.n_cells, np.bool_))

    first, second = run(policy.name), run(policy.name)
    assert (first.outcome.table == second.outcome.table).all()
    assert first.faults is not None
    assert first.faults.first == ""
    assert run("predictive").faults is None
    assert first.series is not None
    assert set(np.unique(np.concatenate(first.series.reason))) <= {*range(10, 30), Reason.PLUGIN}


def test_plug_ins_are_evaluated_and_gated_like_ours(installed: Path, single_layer: Trace) -> None:
    name = install_example(installed)
    write_tidy(single_layer, installed / "city")
    gate = f"{name}.energy_saved_vs_none >= 0.99"
    result = call(
        "evaluate", installed / "city", "--policy", name, "--json", "--gate", gate, "--bootstrap", 100
    )
    assert result.exit_code == 1, result.output
    document = json.loads(result.stdout)
    assert document["policies"] == ["none", "symbol", name, "oracle"]
    assert document["summary"][0]["policies"][name]["energy_saved_vs_none"]["mean"] > 0
    assert document["gates"][0]["held"] is False
