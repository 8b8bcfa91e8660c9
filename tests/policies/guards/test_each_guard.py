"""One scene for each guard that looks back, at a clock or over a site: what it stops, and when it lets go."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from benchmarks.guard_adversary import OPEN
from hw.tables import Tables
from hw.world import SYMBOL
from policies.guards import Facts, Guards, no_locks
from policies.network import Network
from policies.policy import Decision, Reason

N, T = 9, 900
RF32, RF16, RF8, OFF = 2, 3, 4, 5
# two sites: three layers and a pair at the first, four cells alone at the second
CANDIDATES = {1: (0,), 2: (0, 1), 4: (3,)}
SITE = np.array([0, 0, 0, 0, 0, 1, 1, 1, 1], np.int32)
KEPT = Reason.DEEPEST
AWAKE = np.full(N, SYMBOL, np.uint8)


@pytest.fixture
def network(small_network: Any) -> Network:
    found: Network = small_network(N, CANDIDATES)
    return found


class Scene:
    """Guards asked tick after tick. Levels are carried out as commanded unless a test reports others."""

    def __init__(self, network: Network, tables: Tables, **limits: Any) -> None:
        self.guards = Guards(network, tables.asleep, OPEN.model_copy(update=limits), SITE)
        self.now_s, self.day, self.level, self.alarms = 0, 0, AWAKE, []  # type: ignore[var-annotated]

    def tick(self, wanted: Any = None, *, after_s: int = T, **facts: Any) -> Decision:
        """One more tick; ``wanted`` is a level for each cell, or those of some cells."""
        self.now_s += after_s
        level = np.array(wanted, np.uint8) if isinstance(wanted, list) else AWAKE.copy()
        for cell, deep in (wanted if isinstance(wanted, dict) else {}).items():
            level[cell] = deep
        known = Facts(self.level, np.ones(N, bool), np.zeros(N, bool), no_locks(N), self.now_s, self.day)
        got = self.guards.apply(Decision(level, np.full(N, KEPT, np.uint8)), replace(known, **facts))
        self.level = got.level
        self.alarms.append(np.flatnonzero(got.alarm).tolist())
        return got


def only(*cells: int) -> np.ndarray:
    return np.isin(np.arange(N), cells)


@pytest.fixture
def scene(network: Network, tables: Tables) -> Any:
    return lambda **limits: Scene(network, tables, **limits)


def test_a_cell_dwells_before_it_goes_deeper_but_not_before_it_wakes(scene: Any) -> None:
    s = scene(dwell_s=3 * T)
    assert [int(s.tick({5: RF32}).level[5]) for _ in range(4)] == [1, 1, 1, RF32], "from its first tick on"
    assert s.tick({5: RF8}).reason[5] == Reason.GUARD_DWELL
    assert s.level[5] == RF32
    assert s.tick({5: RF8}).level[5] == RF32
    assert s.tick({5: RF8}).level[5] == RF8
    assert s.tick({5: RF16}).level[5] == RF16, "a step toward awake waits for nothing"
    assert s.tick({5: SYMBOL}).level[5] == SYMBOL


def test_a_level_that_changed_by_itself_dwells_too(scene: Any) -> None:
    s = scene(dwell_s=2 * T)
    for _ in range(3):
        s.tick({5: RF8})
    s.level = AWAKE  # the lease of the cell ran out
    assert [int(s.tick({5: RF8}).level[5]) for _ in range(3)] == [SYMBOL, SYMBOL, RF8]


def test_a_deeper_plan_must_hold_for_some_ticks(scene: Any) -> None:
    s = scene(hysteresis_ticks=3)
    wishes = [RF8, RF8, SYMBOL, RF8, RF16, RF8, RF8, SYMBOL, RF8]
    got = [int(s.tick({5: wish}).level[5]) for wish in wishes]
    assert got == [1, 1, 1, 1, 1, RF8, RF8, SYMBOL, 1]
    assert s.tick({5: RF8}).reason[5] == Reason.GUARD_HYSTERESIS


def test_a_wish_does_not_count_while_a_cap_stands_against_it(scene: Any) -> None:
    s = scene(hysteresis_ticks=2)
    s.tick({5: RF8}, overloaded=only(5))
    assert s.tick({5: RF8}).level[5] == SYMBOL
    assert s.tick({5: RF8}).level[5] == RF8


def test_a_woken_cell_stays_awake_for_a_while(scene: Any) -> None:
    s = scene(least_awake_s=2 * T)
    s.tick()
    s.tick()
    assert s.tick({5: RF8}).level[5] == RF8
    s.tick({5: SYMBOL})
    got = s.tick({5: RF8, 6: RF8})
    assert got.level[5:7].tolist() == [SYMBOL, RF8]
    assert got.reason[5] == Reason.GUARD_LEAST_AWAKE
    assert s.tick({5: RF8, 6: RF8}).level[5:7].tolist() == [RF8, RF8]


def test_flapping_locks_a_cell_awake_and_raises_one_alarm(scene: Any) -> None:
    """Down, up, down, up: the third reversal in the window is one too many."""
    s = scene(max_reversals=2, reversal_window_s=10 * T, lockout_s=3 * T)
    got = [int(s.tick({5: RF8 if k % 2 == 0 else SYMBOL, 6: RF8}).level[5]) for k in range(4)]
    assert got == [RF8, SYMBOL, RF8, SYMBOL]
    assert s.alarms == [[], [], [], [5]]
    locked = [s.tick({5: RF8, 6: RF8}) for _ in range(3)]
    assert [int(one.level[5]) for one in locked] == [SYMBOL, SYMBOL, RF8]
    assert locked[0].reason[5] == Reason.GUARD_FLAPPING
    assert s.level[6] == RF8
    assert s.alarms[4:] == [[], [], []], "it begins anew"


def test_a_cell_that_goes_deep_once_too_often_is_woken_and_counts_once(scene: Any) -> None:
    s = scene(max_reversals=1, reversal_window_s=10 * T, lockout_s=4 * T)
    got = [int(s.tick({5: wish}).level[5]) for wish in (RF8, SYMBOL, RF8, RF8, RF8)]
    assert got == [RF8, SYMBOL, RF8, SYMBOL, SYMBOL]
    assert s.alarms == [[], [], [5], [], []]


def test_slow_reversals_are_no_flapping(scene: Any) -> None:
    s = scene(max_reversals=2, reversal_window_s=3 * T, lockout_s=T)
    for k in range(20):
        s.tick({5: RF8 if k % 4 < 2 else SYMBOL})
    assert not any(s.alarms)


def test_a_lease_that_keeps_running_out_is_flapping(scene: Any) -> None:
    """The plan never changes; the cell comes back to full service by itself."""
    s = scene(max_reversals=3, reversal_window_s=10 * T, lockout_s=T)
    for _ in range(3):
        s.tick({5: RF8})
        s.level = AWAKE
    assert s.alarms == [[], [], [5]]


def test_only_a_share_of_a_site_goes_deeper_at_once_and_whole_groups_do(scene: Any) -> None:
    """Five cells at site 0 make room for three, its largest group; four at site 1 for one."""
    s, seen = scene(max_deeper_share=0.25), []
    wanted = [RF8, OFF, OFF, RF8, OFF, RF8, RF8, RF8, RF8]
    for _ in range(4):
        before = s.level
        got = s.tick(wanted)
        seen.append(np.flatnonzero(got.level > before).tolist())
    assert seen[0] == [0, 1, 2, 5]
    assert seen[1][:2] == [3, 4]
    assert sorted(cell for tick in seen for cell in tick) == list(range(N)), "nobody waits for ever"
    assert all(len([cell for cell in tick if cell >= 5]) == 1 for tick in seen)


def test_waking_is_not_limited_and_makes_no_room(scene: Any) -> None:
    s = scene(max_deeper_share=0.25)
    for _ in range(4):
        s.tick([SYMBOL] * 5 + [RF8] * 3 + [SYMBOL])
    got = s.tick([SYMBOL] * 8 + [RF8])
    assert got.level.tolist() == [SYMBOL] * 8 + [RF8]


def test_the_turn_passes_from_group_to_group(scene: Any) -> None:
    first = []
    for ticks in range(4):
        s = scene(max_deeper_share=0.25)
        for _ in range(ticks):
            s.tick()
        first.append(int(np.argmax(s.tick([SYMBOL] * 5 + [RF8] * 4).level > SYMBOL)))
    assert first == [5, 6, 7, 8]


def test_a_share_of_a_site_stays_on_air(scene: Any) -> None:
    """Four of five: of three that would be off air two are woken, first those on air now."""
    s = scene(least_on_air_share=0.7)
    assert s.tick({2: OFF}).level[2] == OFF
    got = s.tick({1: OFF, 2: OFF, 4: OFF})
    assert got.level[:5].tolist() == [SYMBOL, SYMBOL, OFF, SYMBOL, SYMBOL]
    assert got.reason[[1, 4]].tolist() == [Reason.GUARD_FLOOR] * 2


def test_an_old_measurement_holds_a_group_and_wakes_it_when_too_old(scene: Any) -> None:
    s, resting = scene(telemetry_max_age_s=2 * T), [RF16, OFF, SYMBOL, RF8, SYMBOL, RF8, RF8, RF8, RF8]
    s.tick(resting)
    deeper = [RF8, OFF, OFF, RF8, SYMBOL, RF8, RF8, RF8, RF8]
    got = s.tick(deeper, fresh=~only(1))
    assert got.level.tolist() == resting
    assert got.reason[:3].tolist() == [Reason.GUARD_UNHEARD, KEPT, Reason.GUARD_UNHEARD]
    got = s.tick(deeper, fresh=~only(1))
    assert got.level.tolist() == [SYMBOL, SYMBOL, SYMBOL, *resting[3:]]
    assert got.reason[0] == Reason.GUARD_TELEMETRY
    assert s.tick(deeper).level.tolist() == deeper


@pytest.mark.parametrize("after_s", [T, 1, 0, -5 * T])
def test_without_a_tolerated_age_a_lost_measurement_wakes_at_any_time(after_s: int, scene: Any) -> None:
    """Also when a tick comes twice, or the clock was set back."""
    s = scene(telemetry_max_age_s=0)
    s.tick({5: RF8, 6: RF8})
    got = s.tick({5: RF8, 6: RF8}, after_s=after_s, fresh=~only(5))
    assert got.level[5:7].tolist() == [SYMBOL, RF8]


@pytest.mark.parametrize(
    ("lock", "why"),
    [
        ("emergency", Reason.GUARD_EMERGENCY),
        ("protected", Reason.GUARD_PROTECTED),
        ("event", Reason.GUARD_EVENT),
        ("excluded", Reason.GUARD_EXCLUDED),
    ],
)
def test_a_lock_wakes_its_cells_and_no_other_as_long_as_it_lasts(lock: str, why: Reason, scene: Any) -> None:
    s, resting = scene(), [RF8, OFF, SYMBOL, RF8, OFF, RF8, RF8, RF8, RF8]
    s.tick(resting)
    got = s.tick(resting, locks=replace(no_locks(N), **{lock: only(1, 5)}))
    assert got.level.tolist() == [RF8, SYMBOL, SYMBOL, RF8, OFF, SYMBOL, RF8, RF8, RF8]
    assert got.reason[[1, 5]].tolist() == [why, why]
    assert s.tick(resting).level.tolist() == resting


def test_a_hold_never_stops_a_partner_that_wakes(scene: Any) -> None:
    """Cell 1 may not go deeper, so cell 0 does not either; cell 2 wakes."""
    s = scene(dwell_s=2 * T)
    for _ in range(3):
        s.tick({2: OFF})
    s.tick({1: RF16, 2: OFF})
    got = s.tick({0: RF8, 1: RF8, 2: SYMBOL})
    assert got.level[:3].tolist() == [SYMBOL, RF16, SYMBOL]
    assert got.reason[:3].tolist() == [Reason.GUARD_DWELL, Reason.GUARD_DWELL, KEPT]


def test_a_clock_that_is_set_back_makes_nobody_wait_for_ever(scene: Any) -> None:
    s = scene(dwell_s=2 * T, least_awake_s=2 * T, max_reversals=1, reversal_window_s=10 * T, lockout_s=2 * T)
    for wish in (SYMBOL, SYMBOL, RF8, SYMBOL, SYMBOL, SYMBOL, RF8):
        s.tick({5: wish})
    assert s.alarms[-1] == [5]
    s.now_s -= 400 * 86400
    got = [int(s.tick({5: RF8, 6: RF8}).level[5]) for _ in range(4)]
    assert got == [SYMBOL, SYMBOL, RF8, RF8], "as if all had been now"


def test_a_date_that_goes_back_gives_no_changes_back(scene: Any) -> None:
    s = scene(max_changes_per_cell_day=3)
    s.day = 10
    s.tick({5: RF8})
    s.tick({5: SYMBOL})
    assert s.tick({5: RF8}).reason[5] == Reason.GUARD_BUDGET
    s.day = 9
    assert s.tick({5: RF8}).level[5] == SYMBOL
    s.day = 10
    assert s.tick({5: RF8}).level[5] == SYMBOL
    s.day = 11
    assert s.tick({5: RF8}).level[5] == RF8


def test_a_date_that_was_far_ahead_is_forgotten(scene: Any) -> None:
    s = scene(max_changes_per_cell_day=2)
    s.day = 10_000
    s.tick({5: RF8})
    s.day = 10
    assert s.tick({5: SYMBOL}).level[5] == SYMBOL
    assert s.tick({5: RF8}).level[5] == SYMBOL, "going back is no new day"
    s.day = 11
    assert s.tick({5: RF8}).level[5] == RF8
