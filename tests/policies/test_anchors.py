"""Anchors of non-standalone 5G cells: no plan, no guard and no oracle has one rest deeper than a leg of its."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from benchmarks.guard_adversary import OPEN
from controller.worlds import EvaluatedWorld
from hw.tables import Tables
from hw.world import SYMBOL
from policies.forecast import Forecast
from policies.guards import Facts, Guards, no_locks
from policies.joint import joint_states
from policies.network import Network, build_network
from policies.oracle import Budgets, solve
from policies.policy import Allowance, Decision, Reason, View
from policies.predictive import PredictivePlanner
from policies.price_tables import PriceTables, wake_times
from policies.profile import Profile

RF8, OFF, DORMANT = 4, 5, 6
# 0 covers; 1 anchors the 5G cells 2 and 3, all three of capacity; 4 anchors 5, which never sleeps
CANDIDATES = {1: [0], 2: [0], 3: [0], 4: [0]}
ANCHOR = np.array([-1, -1, 1, 1, -1, 4], np.int32)
N = len(ANCHOR)


def network_of(world: EvaluatedWorld, anchor: Any, candidates: dict[int, list[int]]) -> Network:
    n = len(anchor)
    return build_network(
        world.world,
        np.zeros(n, np.int32),
        np.array([i in candidates for i in range(n)]),
        np.cumsum([0, *(len(candidates.get(i, ())) for i in range(n))]).astype(np.int32),
        np.array([c for i in range(n) for c in candidates.get(i, ())], np.int32),
        anchor=np.asarray(anchor, np.int32),
    )


@pytest.fixture(scope="module")
def network(world: EvaluatedWorld) -> Network:
    return network_of(world, ANCHOR, CANDIDATES)


def broken(level: Any, asleep: Any, anchor: Any = ANCHOR) -> bool:
    """An anchor is off air although a leg is on air, or will be sooner."""
    return any(asleep[level[a]] and level[leg] < level[a] for leg, a in enumerate(anchor) if a >= 0)


def test_the_anchor_of_a_cell_that_never_sleeps_never_does(network: Network, tables: Tables) -> None:
    off = network.allowed[:, tables.asleep].any(1)
    assert off.tolist() == [False, True, True, True, False, False]


def test_an_anchor_and_its_legs_are_planned_together(world: EvaluatedWorld) -> None:
    apart = network_of(world, [-1, -1, -1, 1], {1: [0], 3: [2]})
    assert np.diff(apart.groups.group_start).tolist() == [4]


def test_joint_states_with_an_anchor_below_a_leg_are_forbidden(network: Network, tables: Tables) -> None:
    states = joint_states(network, tables.asleep)
    starts = network.groups.group_start
    seen = 0
    for g in range(network.n_groups):
        members = network.groups.member[starts[g] : starts[g + 1]]
        first, count = states.level_start[g], states.n_states[g]
        levels = states.levels[first : first + count * len(members)].reshape(count, -1)
        for s in range(count):
            whole = np.full(N, SYMBOL)
            whole[members] = levels[s]
            mine = broken(whole, tables.asleep, np.where(np.isin(np.arange(N), members), ANCHOR, -1))
            assert states.forbidden[states.state_start[g] + s] == mine
            seen += mine
    assert seen > 0


def seen(level: Any, fresh: Any, tick: int) -> Facts:
    """What the guards look at in a tick; three of them make a day."""
    return Facts(level, fresh, np.zeros(N, np.bool_), no_locks(N), now_s=28800 * tick, day=tick // 3)


@settings(max_examples=60)
@given(
    wanted=hnp.arrays(np.uint8, N, elements=st.integers(0, 6)),
    level=hnp.arrays(np.uint8, N, elements=st.integers(0, 6)),
    fresh=hnp.arrays(np.bool_, N),
    days=st.integers(1, 9),
)
def test_whatever_is_wanted_no_anchor_rests_below_a_leg(
    network: Network, tables: Tables, wanted: Any, level: Any, fresh: Any, days: int
) -> None:
    guards = Guards(network, tables.asleep, OPEN.model_copy(update={"max_changes_per_cell_day": 4}))
    for day in range(days):
        decision = Decision(wanted, np.zeros(N, np.uint8))
        found = guards.apply(decision, seen(level, fresh, day))
        if not broken(level, tables.asleep):
            assert not broken(found.level, tables.asleep)
        level = found.level


def test_the_guard_says_why(network: Network, tables: Tables) -> None:
    guards = Guards(network, tables.asleep, OPEN)
    wanted = np.array([SYMBOL, OFF, OFF, SYMBOL, SYMBOL, SYMBOL], np.uint8)
    found = guards.apply(
        Decision(wanted, np.zeros(N, np.uint8)), seen(np.full(N, SYMBOL, np.uint8), np.ones(N, bool), 0)
    )
    assert found.level.tolist() == [SYMBOL, SYMBOL, OFF, SYMBOL, SYMBOL, SYMBOL]
    assert found.reason[1] == Reason.GUARD_ANCHOR


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_no_plan_has_an_anchor_below_a_leg(
    network: Network, tables: Tables, profile: Profile, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    prices = profile.predictive.model_copy(update={"off_air_after_h": 0.0})
    planner = PredictivePlanner(network, tables, prices, samples_per_tick=15)
    log_median = rng.normal(np.log(0.03), 1.5, (N, 4)).clip(-9, -0.05)
    forecast = Forecast(log_median, rng.uniform(0.1, 0.6, (N, 4)), np.ones(N, bool))
    level = np.full(N, SYMBOL, np.uint8)
    for _ in range(3):
        unknown = np.full((N, 15), np.nan, np.float32)
        view = View(0, 900, level, np.zeros(N, np.int64), unknown, forecast, Allowance(np.inf, 0.01))
        level = planner.plan(view).level
        assert not broken(level, tables.asleep)


@pytest.mark.parametrize("guard", [False, True])
def test_the_oracle_lets_an_anchor_sleep_with_its_legs_only(
    world: EvaluatedWorld, tables: Tables, guard: bool
) -> None:
    # the leg is busy, so it stays; its anchor is idle and would sleep if it anchored nobody
    path = np.array([[0.1] * 60, [0.01] * 60, [0.9] * 60], np.float32)
    allowed: dict[bool, np.ndarray] = {}
    for anchored in (False, True):
        network = network_of(world, [-1, -1, 1 if anchored else -1], {1: [0], 2: [0]})
        priced = PriceTables(4, wake_times(tables, network.allowed), guard)
        priced.add(tables, network, path, np.full((3, 1), 0.25, np.float32), 15)
        budgets = Budgets(1e-3, 1e-2, 20.0, np.full(network.n_groups, np.inf), 0)
        allowed[anchored] = solve(priced, budgets, progress=lambda _: None).plans(budgets)[0].plan
    assert (allowed[False][1] >= OFF).any()
    assert (allowed[True][1] < OFF).all()
