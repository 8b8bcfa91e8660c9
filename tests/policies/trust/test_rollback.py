from __future__ import annotations

import numpy as np

from policies.trust.rollback import HoldOff, Watched, advance, begin, hard_limit_wakes

HOLD = HoldOff(first_ticks=4, longest_ticks=10, forgive_ticks=6)
THRESHOLD = np.array([10.0, 10.0, 10.0])  # two sites and the pool of all


def run(
    evidence: dict[int, list[float]], ticks: int, start: Watched | None = None
) -> tuple[Watched, list[list[bool]], list[list[bool]]]:
    state, breaches, held = start or begin(3), [], []
    for tick in range(ticks):
        state, breach, must = advance(state, np.array(evidence.get(tick, [0.0] * 3)), THRESHOLD, tick, HOLD)
        breaches.append(breach.tolist())
        held.append(must.tolist())
    return state, breaches, held


def test_a_breach_holds_its_site_for_the_hold_off_and_only_it() -> None:
    state, breaches, held = run({1: [6, 0, 0], 2: [6, 0, 0]}, 9)
    assert breaches[2] == [True, False, False]
    assert [h[0] for h in held] == [False, False, True, True, True, True, False, False, False]
    assert not any(h[1] for h in held)
    assert state.total[0] == 0


def test_the_pool_of_all_holds_every_site() -> None:
    _, breaches, held = run({0: [0, 9, 12]}, 6)
    assert breaches[0] == [False, False, True]
    assert [h for h in held if any(h)] == [[True, True, True]] * 4


def test_the_hold_off_doubles_up_to_its_limit_and_is_forgiven() -> None:
    state, lengths = begin(3), []
    for tick in range(60):
        state, breach, _ = advance(state, np.array([12.0, 0, 0]), THRESHOLD, tick, HOLD)
        if breach[0]:
            lengths.append(int(state.until_tick[0]) - tick - 1)
    assert lengths[:4] == [4, 8, 10, 10]
    strikes = int(state.strikes[0])
    for tick in range(60, 60 + 10 + 2 * HOLD.forgive_ticks):
        state, _, _ = advance(state, np.zeros(3), THRESHOLD, tick, HOLD)
    assert strikes - 2 <= state.strikes[0] < strikes


def test_evidence_of_a_held_site_and_what_is_not_known_count_for_nothing() -> None:
    nan = float("nan")
    state, _, _ = run({0: [12, nan, 0], 1: [50, nan, 0], 2: [50, 9, 0]}, 5)
    assert state.total.tolist() == [0, 9, 0]
    assert state.strikes.tolist() == [1, 0, 0]


def test_negative_evidence_pays_no_credit() -> None:
    _, breaches, _ = run({0: [-50, 0, 0], 1: [11, 0, 0]}, 2)
    assert breaches[1][0]


def test_a_broken_hard_limit_wakes_the_whole_group_and_nobody_else() -> None:
    level = np.array([2, 5, 3, 1, 4, 3], np.uint8)
    group = np.array([0, 0, 1, 1, 2, 3])
    limit = np.array([25.0, 25.0, 25.0, 25.0, 25.0, np.nan])
    kpi = np.array([24.9, np.inf, 30.0, 26.0, np.nan, 0.0])
    found = hard_limit_wakes(kpi, limit, level, group)
    assert found.tolist() == [True, True, False, False, True, False]
    awake = np.ones(6, np.uint8)
    assert not hard_limit_wakes(kpi, limit, awake, group).any()
