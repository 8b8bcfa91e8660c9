"""What the guards make of single decisions: levels, telemetry, overload, the budget, joint plans, cover."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from benchmarks.guard_adversary import OPEN
from hw.tables import Tables
from hw.world import FULL, SYMBOL
from policies.guards import Facts, Guards, no_locks
from policies.network import Network
from policies.policy import REASON_WORDS, Decision, Reason

N, LEVELS = 7, 7
RF32, RF16, RF8, OFF, DORMANT = 2, 3, 4, 5, 6
CANDIDATES = {
    1: (0,),
    2: (0, 1),
    5: (4,),
    4: (5,),
}  # a site, a cell alone, two that cover each other, one alone
GROUP = np.array([0, 0, 0, 1, 2, 2, 3])
COVERAGE = [0, 3, 6]
BUDGET = 6
KEPT = 99  # the reason that the planner gave


@pytest.fixture(scope="module")
def network(small_network: Any) -> Network:
    found: Network = small_network(N, CANDIDATES)
    return found


class Asked:
    """Guards asked once a tick; only the budget binds."""

    def __init__(self, network: Network, tables: Tables) -> None:
        limits = OPEN.model_copy(update={"max_changes_per_cell_day": BUDGET})
        self.guards = Guards(network, tables.asleep, limits)

    def apply(
        self, decision: Decision, level: np.ndarray, fresh: np.ndarray, overloaded: np.ndarray, day: int
    ) -> Decision:
        return self.guards.apply(decision, Facts(level, fresh, overloaded, no_locks(N), 86400 * day, day))


@pytest.fixture(scope="module")
def build(network: Network, tables: Tables) -> Callable[[], Asked]:
    return lambda: Asked(network, tables)


def decide(level: Any) -> Decision:
    return Decision(np.array(level, np.uint8), np.full(N, KEPT, np.uint8))


def marks(*cells: int) -> np.ndarray:
    return np.isin(np.arange(N), cells)


FRESH, CALM = np.ones(N, bool), np.zeros(N, bool)
AWAKE = np.full(N, SYMBOL, np.uint8)

some_levels = hnp.arrays(np.uint8, N, elements=st.integers(0, LEVELS - 1))


@given(wanted=some_levels, level=some_levels)
def test_allowed_decisions_pass_while_all_is_well(
    wanted: Any, level: Any, network: Network, tables: Tables, build: Callable[[], Asked]
) -> None:
    """A guard that woke everybody would be safe and useless."""
    fine = network.allowed[np.arange(N), wanted]
    off = tables.asleep[wanted] | tables.asleep[level]  # a candidate that is still waking carries nothing
    if fine.all() and not (off[4] and off[5]) and not off[0]:
        result = build().apply(decide(wanted), level, FRESH, CALM, 0)
        assert (result.level == wanted).all()
        assert (result.reason == KEPT).all()


def test_a_coverage_cell_is_never_off_air(build: Callable[[], Asked]) -> None:
    result = build().apply(decide([OFF, OFF, DORMANT, DORMANT, SYMBOL, OFF, RF8]), AWAKE, FRESH, CALM, 0)
    assert result.level.tolist() == [SYMBOL, OFF, DORMANT, SYMBOL, SYMBOL, OFF, RF8]
    assert [int(r) for r in result.reason] == [
        Reason.GUARD_LEVEL,
        KEPT,
        KEPT,
        Reason.GUARD_LEVEL,
        KEPT,
        KEPT,
        KEPT,
    ]


@pytest.mark.parametrize("cell", range(3))
@pytest.mark.parametrize("what", ["stale", "overloaded"])
def test_one_troubled_cell_wakes_its_whole_group_and_no_other(
    what: str, cell: int, build: Callable[[], Asked]
) -> None:
    level = np.array([RF8, OFF, RF16, RF8, SYMBOL, OFF, RF32], np.uint8)
    fresh, overloaded = (~marks(cell), CALM) if what == "stale" else (FRESH, marks(cell))
    result = build().apply(decide(level), level, fresh, overloaded, 0)
    assert result.level.tolist() == [SYMBOL, SYMBOL, SYMBOL, RF8, SYMBOL, OFF, RF32]
    why = Reason.GUARD_TELEMETRY if what == "stale" else Reason.GUARD_OVERLOAD
    assert [int(r) for r in result.reason] == [why, why, why, KEPT, KEPT, KEPT, KEPT]


def test_two_cells_that_cover_each_other_are_not_both_off_air(build: Callable[[], Asked]) -> None:
    result = build().apply(decide([1, 1, 1, 1, OFF, DORMANT, 1]), AWAKE, FRESH, CALM, 0)
    assert result.level.tolist() == [1, 1, 1, 1, SYMBOL, SYMBOL, 1]
    assert [int(r) for r in result.reason[4:6]] == [Reason.GUARD_UNCOVERED] * 2


def test_a_candidate_that_is_still_waking_carries_nothing(build: Callable[[], Asked]) -> None:
    """Cells 4 and 5 cover each other and change places: first the one that wakes, a tick later the other."""
    asked, level = build(), np.array([1, 1, 1, 1, OFF, 1, 1], np.uint8)
    swapped = decide([1, 1, 1, 1, SYMBOL, OFF, 1])
    first = asked.apply(swapped, level, FRESH, CALM, 0)
    assert first.level[4:6].tolist() == [SYMBOL, SYMBOL]
    assert first.reason[5] == Reason.GUARD_UNCOVERED
    assert asked.apply(swapped, first.level, FRESH, CALM, 0).level[4:6].tolist() == [SYMBOL, OFF]


def test_a_level_that_does_not_exist_is_awake(build: Callable[[], Asked]) -> None:
    wanted = np.array([200, 7, OFF, 255, 7, SYMBOL, RF8], np.uint8)
    result = build().apply(decide(wanted), np.full(N, 99, np.uint8), FRESH, CALM, 0)
    assert result.level.tolist() == [SYMBOL, SYMBOL, OFF, SYMBOL, SYMBOL, SYMBOL, RF8]


def test_a_cell_whose_candidate_is_woken_by_a_guard_may_stay_off(build: Callable[[], Asked]) -> None:
    """Cell 2 can hand over to cells 0 and 1; cell 0 asks for a level that it may not use."""
    result = build().apply(decide([OFF, OFF, OFF, 1, 1, 1, 1]), AWAKE, FRESH, CALM, 0)
    assert result.level.tolist()[:3] == [SYMBOL, OFF, OFF]


def test_the_budget_holds_a_cell_that_goes_deeper_but_never_one_that_wakes(
    build: Callable[[], Asked],
) -> None:
    """Cell 3 swings up and down until one change is left, which is for the way back."""
    guards, level, seen = build(), AWAKE, []
    for tick in range(10):
        wanted = AWAKE.copy()
        wanted[3] = RF8 if tick % 2 == 0 else SYMBOL
        result = guards.apply(decide(wanted), level, FRESH, CALM, 0)
        level = result.level
        seen.append((int(level[3]), int(result.reason[3])))
    moved = [(RF8, KEPT), (SYMBOL, KEPT)] * 3
    assert seen == moved + [(SYMBOL, Reason.GUARD_BUDGET), (SYMBOL, KEPT)] * 2
    woken = guards.apply(decide([1, 1, 1, RF8, 1, 1, 1]), level, FRESH, CALM, 1)
    assert woken.level[3] == RF8, "the budget begins anew with the local day"


def test_full_service_and_symbol_shutdown_cost_no_change(build: Callable[[], Asked]) -> None:
    guards, level = build(), AWAKE
    for tick in range(40):
        level = guards.apply(decide(np.full(N, tick % 2)), level, FRESH, CALM, 0).level
    for tick in range(BUDGET):
        wanted = np.where(np.arange(N) == 3, RF8 if tick % 2 == 0 else SYMBOL, SYMBOL)
        level = guards.apply(decide(wanted), level, FRESH, CALM, 0).level
        assert level[3] == wanted[3]
    after = guards.apply(decide(AWAKE), np.full(N, FULL, np.uint8), FRESH, CALM, 0)
    assert after.level.tolist() == AWAKE.tolist(), "nor does a budget that is used up forbid it"


def test_a_joint_plan_is_all_or_none(build: Callable[[], Asked]) -> None:
    """Cell 1 has used its changes up: cell 0 may not go deeper either, but cell 2 may still wake."""
    guards, level = build(), np.array([1, 1, RF8, 1, 1, 1, 1], np.uint8)
    for tick in range(BUDGET - 1):
        wanted = level.copy()
        wanted[1] = RF32 if tick % 2 == 0 else SYMBOL
        level = guards.apply(decide(wanted), level, FRESH, CALM, 0).level
    assert level[1] == RF32
    result = guards.apply(decide([RF16, OFF, SYMBOL, RF16, 1, 1, 1]), level, FRESH, CALM, 0)
    assert result.level.tolist() == [SYMBOL, RF32, SYMBOL, RF16, 1, 1, 1]
    assert [int(r) for r in result.reason[:4]] == [Reason.GUARD_BUDGET, Reason.GUARD_BUDGET, KEPT, KEPT]


def test_full_stays_full_where_the_plan_says_so(build: Callable[[], Asked]) -> None:
    everywhere = np.full(N, FULL)
    result = build().apply(decide(everywhere), AWAKE, ~FRESH, ~CALM, 0)
    assert (result.level == FULL).all()


def test_every_reason_has_words() -> None:
    assert set(REASON_WORDS) == set(Reason)
