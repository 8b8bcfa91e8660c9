"""Why a running controller planned a cell as it did: from the core over gRPC to the terminal."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from controller.live.events import GuardTick, Output, PlanTick
from controller.live.explaining import LastPlan
from controller.live.fleet import EnergyUnit
from controller.live.looking import look
from controller.tick import Commands
from policies.counterfactual import Counterfactual
from policies.policy import Reason
from tests.controller.live.conftest import MakeCore
from tests.controller.live.doubles import LEVELS
from tests.controller.live.test_status import _call, _serving, _watched

N = 6
SYMBOL, DEEP = 1, len(LEVELS) - 1
BEGIN_US = 1_700_000_100_000_000


def last_plan(wh: float | None = 40.0) -> LastPlan:
    """Cell 0 rests at level 2, a guard kept cell 1 awake, cell 2 is as deep as it may, the others are unknown."""
    level = np.array([2, SYMBOL, DEEP, SYMBOL, SYMBOL, SYMBOL], np.uint8)
    deeper = np.array([3, 2, DEEP, 2, 2, 2], np.uint8)
    guard = np.array([0, Reason.GUARD_DWELL, 0, 0, 0, 0], np.uint8)
    reason = np.full(N, Reason.DEEPER_TOO_RISKY, np.uint8)
    reason[1] = Reason.GUARD_DWELL
    numbers = np.full(N, np.nan, np.float32)
    upper, limit, saving = numbers.copy(), numbers.copy(), numbers.copy()
    upper[:3], limit[:3], saving[:3] = 0.123, (0.456, np.inf, 0.07), (2.5, 0, 9)
    weighed = Counterfactual(
        wanted=np.array([2, 3, DEEP, 1, 1, 1], np.uint8),
        level=level,
        deeper=deeper,
        guard=guard,
        upper=upper,
        limit=limit,
        deeper_limit=limit / 2,
        saving=saving,
        deeper_saving=saving * 2,
        wake_s=np.full(N, 7.0, np.float32),
    )
    before = np.full(N, SYMBOL, np.uint8)
    commands = Commands(level, reason, None, counterfactual=weighed, before=before)
    begin = np.datetime64(BEGIN_US, "us").astype("datetime64[s]")
    asleep = np.arange(len(LEVELS)) == DEEP
    return LastPlan(begin, commands, 900, EnergyUnit("P1 x h", wh), asleep)


def test_a_live_core_weighs_its_plans(live_core: MakeCore) -> None:
    core = live_core()
    assert look(core, 1).plan is None
    core.feed(PlanTick(BEGIN_US))
    plan = look(core, BEGIN_US).plan
    assert plan is not None
    assert plan.begin == np.datetime64(BEGIN_US // 900_000_000 * 900, "s")
    assert plan.commands.counterfactual is not None
    assert np.array_equal(plan.commands.counterfactual.level, plan.commands.level)
    assert (plan.length_s, len(plan.asleep)) == (900, len(core.fleet.level_names))


def test_each_figure_of_the_plan_reaches_the_terminal(tmp_path: Path) -> None:
    watcher, view = _watched(N)
    assert watcher.state is not None
    watcher.state = replace(watcher.state, plan=last_plan())
    with _serving(view, None) as (_, port):
        shown = _explain(tmp_path, port, "c0")
        assert "symbol shutdown -> 32 RF channels" in shown
        assert "for 15 min from 2023-11-14 22:15:00Z on" in shown
        assert "full service takes 7 s to return" in shown
        assert "save 100 Wh" in shown
        assert "Load stays under 12.3% with probability 0.95" in shown
        assert "up to 45.6%" in shown
        assert "200 Wh, keeps its target up to 22.8%" in shown
        shown = _explain(tmp_path, port, "c1")
        assert "the planner wanted" in shown
        assert "keeps its target at any load" in shown
        shown = _explain(tmp_path, port, "c2")
        assert "leaves room at its candidates for 7.0%" in shown
        assert "no deeper level" in shown
        assert "Nothing is forecast" in _explain(tmp_path, port, "c3")
        document = json.loads(_explain(tmp_path, port, "c1", "--json"))
        assert document["schema"] == "quietcell.cell-explanation/1"
        assert (document["wanted"], document["reason"]) == (LEVELS[3], "guard_dwell")
        assert document["planned"]["limit"] is None
        assert document["now"]["cell_id"] == "c1"


def test_without_watts_savings_are_in_units_of_the_world(tmp_path: Path) -> None:
    watcher, view = _watched(N)
    assert watcher.state is not None
    watcher.state = replace(watcher.state, plan=last_plan(None))
    with _serving(view, None) as (_, port):
        assert "save 2.5 P1 x h" in _explain(tmp_path, port, "c0")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("c0",), "no plan has been made yet"),
        (("nowhere",), "there is no cell 'nowhere'"),
        (("c0", "2023-03-01 02:15"), "leave the time out"),
    ],
)
def test_what_cannot_be_told_is_said(arguments: tuple[str, ...], said: str, tmp_path: Path) -> None:
    watcher, view = _watched(N)
    watcher.fed(GuardTick(20_000_000), Output(), 0.1)
    with _serving(view, None) as (_, port):
        answer = _call(tmp_path, port, "explain", *arguments, option="--live")
    assert answer.exit_code == 2
    assert said in answer.stderr


def test_a_replay_needs_a_time(tmp_path: Path) -> None:
    answer = _call(tmp_path, 1, "explain", "c0", option="")
    assert (answer.exit_code, "give the time of the decision" in answer.stderr) == (2, True)


def _explain(folder: Path, port: int, *arguments: str) -> str:
    answer = _call(folder, port, "explain", *arguments, option="--live")
    assert answer.exit_code == 0, answer.stderr
    return answer.stdout
