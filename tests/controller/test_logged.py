"""What the operator did: shares of a step laid out as levels per sample."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from controller.replay.logged import logged_levels, logged_plan, why_not_logged
from controller.worlds import EvaluatedWorld
from hw.plant import N_COLUMNS
from hw.world import FULL, SYMBOL, World
from traces import Trace

OFF, DORMANT = 5, 6


@pytest.fixture(scope="module")
def here(world: EvaluatedWorld) -> World:
    return world.world


@pytest.fixture(scope="module")
def logged(small_trace: Any) -> Any:
    """A trace of which only the logged shares matter."""

    def build(**activation: Any) -> Trace:
        shares = {level: np.atleast_2d(np.asarray(share, np.float32)) for level, share in activation.items()}
        shape = next(iter(shares.values())).shape
        return replace(small_trace(np.full(shape, 0.1)), activation=shares)

    return build


def test_levels_are_those_that_trace_and_world_share(logged: Any, here: World) -> None:
    trace = logged(symbol=[0.5], carrier_shutdown=[0.1], es_mode3=[1.0], full=[1.0])
    assert logged_levels(trace, here) == {"symbol": SYMBOL, "carrier_shutdown": OFF}
    assert why_not_logged(trace, here) is None


def test_it_says_why_it_does_not_apply(logged: Any, small_trace: Any, here: World) -> None:
    assert why_not_logged(small_trace([[0.1]]), here) == "the trace logs no energy-saving activation"
    only_symbol = why_not_logged(logged(symbol=[1.0], es_mode2=[1.0]), here)
    assert only_symbol is not None
    assert "es_mode2, symbol" in only_symbol


LAYOUTS = [  # shares per step of four samples; the levels of all samples
    ([0.0, 0.5, 1.0, 0.5, 0.0], "0000 0055 5555 5500 0000"),  # one piece, where the neighbours say it was
    ([0.25, 0.0, 0.25], "5000 0000 5000"),  # nothing beside it: at the beginning
    ([0.5, 0.5], "0055 5500"),
    ([0.75, 0.9], "0555 5555"),
    ([1.0, 0.25], "5555 5000"),
    ([0.1, 0.125, 0.126], "0000 0000 5000"),  # rounded to whole samples
    ([np.nan, 0.5, np.nan], "0000 5500 0000"),  # not logged counts as not active
]


@pytest.mark.parametrize(("share", "expected"), LAYOUTS)
def test_shares_are_laid_out_as_one_piece(
    share: list[float], expected: str, logged: Any, here: World
) -> None:
    plan = logged_plan(logged(carrier_shutdown=share), here, 4)
    assert "".join(map(str, plan[0])) == expected.replace(" ", "")


def test_the_deepest_of_several_levels_counts(logged: Any, here: World) -> None:
    trace = logged(deep_dormancy=[0.25], symbol=[0.75], carrier_shutdown=[0.5])
    assert logged_plan(trace, here, 4)[0].tolist() == [DORMANT, OFF, SYMBOL, FULL]


@given(
    share=hnp.arrays(
        np.float32, st.tuples(st.integers(1, 3), st.integers(1, 6)), elements=st.floats(0, 1, width=32)
    ),
    per_step=st.sampled_from([1, 4, 15, 60]),
)
def test_the_logged_time_is_kept_in_one_piece_per_step(
    share: Any, per_step: int, logged: Any, here: World
) -> None:
    plan = logged_plan(logged(carrier_shutdown=share), here, per_step)
    assert plan.dtype == np.uint8
    steps = (plan == OFF).reshape(*share.shape, per_step)
    assert (steps.sum(2) == np.round(share * per_step)).all()
    edges = np.diff(steps.astype(int), axis=2)
    assert (np.abs(edges).sum(2) <= 1).all(), "at one end of the step"
    assert set(np.unique(plan)) <= {FULL, OFF}


def test_a_replay_follows_the_log(logged: Any, replay: Any) -> None:
    """Off for one hour of two, on a capacity cell whose candidate is on air."""
    trace = logged(carrier_shutdown=[[0.0] * 8, [0, 0, 1, 1, 1, 1, 0, 0]])
    cells = replace(
        trace.cells,
        candidate_start=np.array([0, 0, 1], np.int32),
        candidate=np.array([0], np.int32),
        candidate_overlap=np.ones(1, np.float32),
        is_capacity=np.array([False, True]),
    )
    run = replay("logged", replace(trace, cells=cells))
    assert run.outcome.table[1, 0, N_COLUMNS + OFF] == 60
    assert run.outcome.table[1, 0, N_COLUMNS + FULL] == 60
    assert run.series.level_samples[:, OFF].tolist() == [0, 0, 15, 15, 15, 15, 0, 0]
    assert run.series.level[0][1].tolist() == [FULL] * 2 + [OFF] * 4 + [FULL] * 2
