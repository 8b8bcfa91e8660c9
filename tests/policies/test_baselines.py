"""What networks do today: hand-made scenes whose outcome anybody can follow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hw.tables import Tables
from policies.baselines import FixedPlanner, ThresholdPlanner, TimerPlanner
from policies.network import Network
from policies.policy import Reason, View
from policies.profile import ThresholdProfile, TimerProfile

SYMBOL, RF32, RF16, RF8, OFF, DORMANT = 1, 2, 3, 4, 5, 6
BELOW, ABOVE, BETWEEN = Reason.BELOW_THRESHOLD, Reason.ABOVE_THRESHOLD, Reason.BETWEEN_THRESHOLDS
SETTINGS = ThresholdProfile(
    sleep_below=0.2, wake_above=0.5, dwell_s=1800, carrier_sleep_below=0.05, candidate_below=0.4
)


def view(load: Any, level: Any, *, held_s: Any = 7200, hour: float = 12.0) -> View:
    level = np.asarray(level, np.uint8)
    offered = np.repeat(np.asarray(load, np.float32)[:, None], 15, axis=1)
    held = np.broadcast_to(np.asarray(held_s, np.int64), level.shape)
    return View(hour, 900, level, held, offered, None, 0.01)


@pytest.fixture(scope="module")
def site(small_network: Any) -> Network:
    """Coverage cell 0, capacity cell 1 on it, and coverage cell 2 alone."""
    found: Network = small_network(3, {1: (0,)})
    return found


@pytest.mark.parametrize("level", [0, SYMBOL])
def test_fixed_policies_look_at_nothing(level: int) -> None:
    planner = FixedPlanner(3, level)
    decision = planner.plan(view([np.nan, 1.0, 0.0], [OFF, RF8, SYMBOL]))
    assert decision.level.tolist() == [level] * 3
    assert set(decision.reason.tolist()) == {Reason.FIXED}


WINDOWS = [  # start, end, hours inside, hours outside
    (1.0, 5.0, [1.0, 3.0, 4.99], [0.99, 5.0, 12.0, 23.9]),
    (23.0, 4.5, [23.0, 23.99, 0.0, 4.49], [4.5, 12.0, 22.99]),
    (0.0, 24.0, [0.0, 12.0, 23.99], []),
    (2.0, 2.0, [], [0.0, 2.0, 12.0]),
]


@pytest.mark.parametrize(("start", "end", "inside", "outside"), WINDOWS)
def test_timer_keeps_to_its_local_window(
    start: float, end: float, inside: list[float], outside: list[float], site: Network, tables: Tables
) -> None:
    planner = TimerPlanner(site, tables, TimerProfile(start_h=start, end_h=end))
    for hour in inside:
        decision = planner.plan(view([0.9] * 3, [SYMBOL] * 3, hour=hour))
        assert decision.level.tolist() == [RF8, OFF, RF8]
        assert set(decision.reason.tolist()) == {Reason.TIMER_WINDOW}
    for hour in outside:
        decision = planner.plan(view([0.0] * 3, [RF8, OFF, RF8], hour=hour))
        assert decision.level.tolist() == [SYMBOL] * 3
        assert set(decision.reason.tolist()) == {Reason.OUTSIDE_WINDOW}


@pytest.fixture(scope="module")
def threshold(site: Network, tables: Tables) -> Callable[[View], list[tuple[int, int]]]:
    planner = ThresholdPlanner(site, tables, SETTINGS)

    def plan(seen: View) -> list[tuple[int, int]]:
        decision = planner.plan(seen)
        return list(zip(decision.level.tolist(), decision.reason.tolist(), strict=True))

    return plan


def test_a_quiet_cell_goes_one_level_deeper_after_its_dwell(threshold: Any) -> None:
    quiet = [0.1, 0.3, 0.1]
    assert threshold(view(quiet, [SYMBOL, SYMBOL, RF32])) == [(RF32, BELOW), (SYMBOL, BETWEEN), (RF16, BELOW)]
    assert threshold(view(quiet, [SYMBOL, SYMBOL, RF32], held_s=[1800, 0, 1799]))[::2] == [
        (RF32, BELOW),
        (RF32, BETWEEN),
    ]
    assert threshold(view(quiet, [RF8, SYMBOL, RF8]))[::2] == [(RF8, BELOW)] * 2, "no deeper level on air"


def test_a_busy_cell_returns_to_full_service_at_once(threshold: Any) -> None:
    assert threshold(view([0.6, 0.3, 0.45], [RF32, RF32, SYMBOL], held_s=0)) == [
        (SYMBOL, ABOVE),
        (RF32, BETWEEN),
        (SYMBOL, BETWEEN),
    ]


def test_the_load_is_that_of_the_level_in_use(threshold: Any) -> None:
    """0.3 of the full rate is 0.53 of what 8 of 64 TxRU carry, and 0.35 of what 32 carry."""
    assert threshold(view([0.3, 0.3, 0.3], [RF8, RF8, RF32])) == [(SYMBOL, ABOVE)] * 2 + [(RF32, BETWEEN)]


def test_unmeasured_cells_are_awake(threshold: Any) -> None:
    nothing = np.nan
    decision = threshold(view([nothing, nothing, nothing], [RF8, OFF, SYMBOL]))
    assert decision == [(SYMBOL, Reason.NO_FORECAST)] * 3


def test_a_few_lost_samples_are_no_gap(site: Network, tables: Tables) -> None:
    seen = view([0.1, 0.3, 0.1], [SYMBOL] * 3)
    seen.offered[0, :5] = np.nan
    assert ThresholdPlanner(site, tables, SETTINGS).plan(seen).level[0] == RF32


LEAVING = [  # loads of coverage and capacity cell, level of the coverage cell, time held, does it leave?
    ([0.30, 0.04], SYMBOL, 1800, True),
    ([0.30, 0.04], SYMBOL, 900, False),  # too soon
    ([0.30, 0.06], SYMBOL, 1800, False),  # its own load is too high
    ([0.37, 0.04], SYMBOL, 1800, False),  # together they pass the limit of the candidate
    ([0.20, 0.04], RF8, 1800, False),  # 0.24 of the full rate is 0.42 of what the candidate carries now
    ([0.18, 0.04], RF8, 1800, True),
    ([np.nan, 0.04], SYMBOL, 1800, True),  # the guard wakes groups with a cell that was not measured
]


@pytest.mark.parametrize(("load", "candidate_level", "held_s", "leaves"), LEAVING)
def test_a_capacity_cell_leaves_the_air_while_its_candidate_has_room(
    load: list[float], candidate_level: int, held_s: int, leaves: bool, threshold: Any
) -> None:
    level, reason = threshold(view([*load, 0.3], [candidate_level, SYMBOL, SYMBOL], held_s=held_s))[1]
    assert (level == OFF) == leaves
    assert (reason == BELOW) == (leaves or (load[1] < 0.2 and held_s >= 1800))


@pytest.mark.parametrize("held_s", [0, 900, 86400])
def test_off_air_it_stays_until_its_candidate_is_too_busy(held_s: int, threshold: Any) -> None:
    """What the two carry is split evenly where nothing is forecast, so only their sum is known."""
    assert threshold(view([0.15, 0.15, 0.3], [SYMBOL, OFF, SYMBOL], held_s=held_s))[1] == (OFF, BETWEEN)
    assert threshold(view([0.21, 0.21, 0.3], [SYMBOL, OFF, SYMBOL], held_s=held_s))[1] == (SYMBOL, ABOVE)
    assert threshold(view([0.15, 0.15, 0.3], [RF8, OFF, SYMBOL], held_s=held_s))[1] == (SYMBOL, ABOVE)


def test_coverage_cells_never_leave_the_air(small_network: Any, tables: Tables) -> None:
    planner = ThresholdPlanner(small_network(4, {1: (0,), 2: (0, 1)}), tables, SETTINGS)
    level = np.full(4, SYMBOL, np.uint8)
    for _ in range(8):
        level = planner.plan(view([0.0] * 4, level)).level
        assert not tables.asleep[level[[0, 3]]].any()
    assert level.tolist() == [RF8, OFF, OFF, RF8]


def test_a_level_that_the_cell_lacks_is_stepped_over(site: Network, tables: Tables) -> None:
    allowed = site.allowed.copy()
    allowed[2, [RF32, RF8]] = False
    planner = ThresholdPlanner(replace(site, allowed=allowed), tables, SETTINGS)
    first = planner.plan(view([0.3, 0.3, 0.1], [SYMBOL] * 3)).level[2]
    last = planner.plan(view([0.3, 0.3, 0.01], [SYMBOL, SYMBOL, RF16])).level[2]
    assert (first, last) == (RF16, RF16)


@given(
    load=st.lists(st.floats(0, 1), min_size=3, max_size=3),
    level=st.integers(1, 4),
    held_s=st.integers(0, 7200),
)
def test_between_the_thresholds_nothing_moves(
    load: list[float], level: int, held_s: int, site: Network, tables: Tables
) -> None:
    decision = ThresholdPlanner(site, tables, SETTINGS).plan(view(load, [level] * 3, held_s=held_s))
    in_use = np.minimum(np.array(load) / tables.rate[0, level], 1)
    moved = decision.level != level
    woken = decision.level < level
    assert (in_use[woken] > SETTINGS.wake_above - 1e-6).all()
    assert (in_use[moved & ~woken] < SETTINGS.sleep_below + 1e-6).all()
    assert (decision.reason[~moved & (in_use > 0.21) & (in_use < 0.49)] == BETWEEN).all()
