"""Networks at the edge of what there is: nothing recorded, no traffic, full, one cell, two that cover each other."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from controller.replay.report import Replay
from controller.replay.run import PolicyRun
from hw.plant import BELOW, OFFERED, UNSERVED
from hw.world import SYMBOL

TICKS = 3 * 96
GUARDED = pytest.mark.parametrize("guard", [False, True])
OFF = 5  # the first level off air


def levels(run: PolicyRun) -> np.ndarray:
    """Planned level of each cell and tick."""
    assert run.series is not None
    return np.concatenate(run.series.level)


def report_of(trace: Any, make_stage: Any, guard: bool) -> dict[str, Any]:
    """The whole report, whose ceiling and figures must exist or say why not."""
    made = Replay(
        make_stage(trace, guard=guard).task, ("none", "symbol", "threshold", "predictive", "oracle")
    )
    made.run(with_page=False, with_curve=False)
    return made.report()


@GUARDED
def test_a_group_of_which_a_cell_was_never_recorded_is_awake(
    guard: bool, small_trace: Any, replay: Any, make_stage: Any
) -> None:
    load = np.full((3, TICKS), 0.05)
    load[0] = np.nan
    trace = small_trace(load, {1: (0,)})
    plan = levels(replay("predictive", trace, guard=guard))
    assert (plan[:2] <= SYMBOL).all()
    assert (plan[2, -96:] > SYMBOL).all()
    report = report_of(trace, make_stage, guard)
    assert report["trace"]["scored_share"] == pytest.approx(2 / 3)
    assert report["policies"]["predictive"]["limits_held"]


@GUARDED
def test_without_any_traffic_all_stay_awake(
    guard: bool, small_trace: Any, replay: Any, make_stage: Any
) -> None:
    """A cell of which nothing but zeros is known is more likely broken than idle."""
    trace = small_trace(np.zeros((3, 96)), {1: (0,)})
    assert (levels(replay("predictive", trace, guard=guard)) == SYMBOL).all()
    ours = report_of(trace, make_stage, guard)["policies"]["predictive"]
    assert ours["unserved_share"] == ours["below_target_share"] == 0
    assert ours["limits_held"]


@GUARDED
def test_with_hardly_any_traffic_all_rest_as_deep_as_they_may(
    guard: bool, small_trace: Any, replay: Any
) -> None:
    run = replay("predictive", small_trace(np.full((3, TICKS), 0.002), {1: (0,)}), guard=guard)
    plan = levels(run)[:, -96:]
    assert (plan[2] == OFF - 1).all(), "at its deepest level on air"
    assert (plan[1] >= OFF).all(), "the capacity cell off air"
    assert (plan[0] > SYMBOL).all(), "with room for a surge that comes while its neighbour is off air"
    assert run.outcome.table[:, :, [UNSERVED, BELOW]].sum() == 0


@GUARDED
def test_where_all_cells_are_full_nobody_rests(guard: bool, small_trace: Any, replay: Any) -> None:
    run = replay("predictive", small_trace(np.ones((3, TICKS)), {1: (0,)}), guard=guard)
    table = run.outcome.table.sum((0, 1))
    assert table[[UNSERVED, BELOW]].sum() <= 1e-3 * table[OFFERED]
    if not guard:  # which may use a minute in which the load dips
        assert (levels(run) <= SYMBOL).all()


@GUARDED
def test_a_single_cell_saves_and_keeps_its_limits(guard: bool, small_trace: Any, make_stage: Any) -> None:
    hours = np.arange(TICKS) / 4
    load = 0.02 + 0.2 * np.sin(np.pi * hours / 24) ** 2
    ours = report_of(small_trace(load[None]), make_stage, guard)["policies"]["predictive"]
    assert ours["ee_gain_vs_none"] > 0.5
    assert 0.5 < ours["captured_share"] <= 1
    assert ours["unserved_share"] <= 1e-4


@GUARDED
@pytest.mark.parametrize("policy", ["timer", "threshold", "predictive"])
def test_two_cells_that_cover_each_other_are_never_off_air_together(
    guard: bool, policy: str, small_trace: Any, replay: Any
) -> None:
    load = np.full((2, TICKS), 0.01)
    run = replay(policy, small_trace(load, {0: (1,), 1: (0,)}), guard=guard)
    off = levels(run) >= OFF
    assert not off.all(0).any()
    assert run.outcome.table[:, :, UNSERVED].sum() == 0
    if policy == "predictive":
        assert off.any(), "one of them is not needed"


def test_a_crowd_that_comes_within_a_minute_is_served_in_the_next(small_trace: Any, replay: Any) -> None:
    """From a tenth to four fifths of the full rate, between two plans, while the plan has the cell at rest."""
    steps = 2 * 1440
    load = np.full((2, steps), 0.1)
    crowd = slice(1440 + 607, 1440 + 667)  # seven minutes into a tick
    load[0, crowd] = 0.8
    trace = small_trace(load, step_s=60)
    alone, watched = replay("predictive", trace), replay("predictive", trace, guard=True)
    rested = levels(watched)[0, (1440 + 600) // 15]
    assert rested > SYMBOL
    missed = [run.outcome.table[0, :, BELOW].sum() / 0.8 for run in (alone, watched)]
    assert missed[1] <= 1 + 1e-6, "only the minute in which it comes"
    assert missed[0] >= 8, "without the guard loop it waits for the next plan"
