"""Radios of the simulated plant are those of the replay, and wake by themselves."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hw.plant import execute
from hw.sim_plant.faults import Fault
from hw.sim_plant.radio import FULL_SERVICE, RadioSim
from hw.sim_plant.samples import SAMPLES_KEPT
from hw.tables import Tables
from hw.telemetry import SimulatedPlant
from tests.hw.random_cells import N_LEVELS, Case, random_case
from tests.hw.sim_plant.made import ORIGIN_US, SAMPLE_US, at, radios

ALL = np.array([0])


def command(sim: RadioSim, level: Any, samples: float, until: float = 0) -> Any:
    n = sim.truth.n_cells
    until_us = np.full(n, at(until) if until else 0)
    return sim.apply(np.arange(n), np.broadcast_to(level, n).astype(np.uint8), until_us, at(samples))


@settings(max_examples=60)
@given(
    seed=st.integers(0, 2**32 - 1),
    sizes=st.sampled_from([[1], [1, 3], [4, 1, 1], [1, 2, 1]]),
    ticks=st.integers(1, 6),
    per_tick=st.sampled_from([1, 2, 5]),
)
def test_in_whole_ticks_it_is_the_plant_of_the_replay(
    seed: int, sizes: list[int], ticks: int, per_tick: int
) -> None:
    case = random_case(seed, sizes, ticks=ticks, per_tick=per_tick)
    twin = SimulatedPlant(case.tables, case.groups, case.path, samples_per_tick=per_tick)
    sim = radios(case)
    for tick in range(ticks):
        command(sim, case.plan[:, tick], tick * per_tick)
        sim.advance(at((tick + 1) * per_tick))
        carried = np.stack([s.carried for s in sim.samples.after(tick * per_tick)], axis=1)
        np.testing.assert_array_equal(carried, twin.step(case.plan[:, tick]))
    figures = execute(*case, samples_per_tick=per_tick, samples_per_day=1000)
    energy = sim.book.energy()
    np.testing.assert_allclose(energy.by_level, figures.level_energy[:, 0], rtol=1e-5, atol=1e-9)
    none = execute(*case[:4], np.zeros_like(case.plan), samples_per_tick=per_tick, samples_per_day=1000)
    assert energy.none.sum() == pytest.approx(none.energy.sum(), rel=1e-5)


class NaiveRadio:
    """One cell with its timer, once more: the level at any time, from a list of commands."""

    def __init__(self, wake_us: list[int]) -> None:
        self.wake_us, self.commanded, self.serving = wake_us, FULL_SERVICE, FULL_SERVICE
        self.wake_end_us = self.until_us = 0

    def pass_to(self, now_us: int) -> None:
        while True:
            due = [t for t in (self.wake_end_us, self.until_us) if 0 < t <= now_us]
            if not due:
                return
            if self.wake_end_us == min(due):
                self.serving, self.wake_end_us = self.commanded, 0
            else:
                at_us, self.until_us = self.until_us, 0
                self.command(FULL_SERVICE, at_us)

    def command(self, level: int, now_us: int) -> None:
        if level == self.serving:
            self.wake_end_us = 0
        elif not self.wake_end_us and self.wake_us[self.serving] > self.wake_us[level]:
            self.wake_end_us = now_us + self.wake_us[self.serving]
        elif not self.wake_end_us:
            self.serving = level
        self.commanded = level

    def set(self, level: int, until_us: int, now_us: int) -> None:
        self.pass_to(now_us)
        if level > FULL_SERVICE and 0 < until_us <= now_us:
            return
        self.until_us = until_us if level > FULL_SERVICE else 0
        self.command(level, now_us)

    @property
    def level(self) -> int:
        return self.serving if self.wake_end_us else self.commanded


STEPS = st.lists(
    st.tuples(
        st.integers(0, 2 * SAMPLE_US),  # time that passes
        st.integers(0, 4),  # cell
        st.integers(0, N_LEVELS - 1),
        st.one_of(st.just(0), st.integers(-SAMPLE_US, 4 * SAMPLE_US)),  # timer from now, 0: none
    ),
    max_size=12,
)


def recorded(seed: int) -> Case:
    return random_case(seed, [1, 3, 1], ticks=3, per_tick=5, unrecorded=0.0)


@settings(max_examples=100)
@given(seed=st.integers(0, 1000), steps=STEPS)
def test_every_cell_follows_its_commands_and_its_timer(seed: int, steps: list[tuple[int, ...]]) -> None:
    sim, now_us = radios(recorded(seed)), ORIGIN_US
    wake_us = (sim.truth.tables.wake_samples.astype(int) * SAMPLE_US).tolist()
    twins = [NaiveRadio(wake_us) for _ in range(sim.truth.n_cells)]
    for passed_us, cell, level, timer_us in steps:
        now_us += passed_us
        until_us = now_us + timer_us if timer_us else 0
        done = sim.apply(np.array([cell]), np.array([level], np.uint8), np.array([until_us]), now_us)
        twins[cell].set(level, until_us, now_us)
        for twin in twins:
            twin.pass_to(now_us)
        assert sim.level.tolist() == [twin.level for twin in twins]
        assert done[0] == (twins[cell].commanded == level)
    longest_us = max((twin.until_us for twin in twins), default=0)
    sim.advance(max(now_us, longest_us) + max(wake_us))
    without_timer = [twin.commanded if not twin.until_us else FULL_SERVICE for twin in twins]
    assert sim.level.tolist() == without_timer


@settings(max_examples=30)
@given(seed=st.integers(0, 1000), steps=STEPS, looks=st.lists(st.integers(1, 2 * SAMPLE_US), max_size=30))
def test_it_does_not_matter_how_often_one_looks(
    seed: int, steps: list[tuple[int, ...]], looks: list[int]
) -> None:
    rare, often = radios(recorded(seed)), radios(recorded(seed))
    now_us, look_us = ORIGIN_US, ORIGIN_US
    for passed_us, cell, level, timer_us in [*steps, (5 * SAMPLE_US, 0, 1, 0)]:
        now_us += passed_us
        while looks and look_us + looks[-1] < now_us:
            look_us += looks.pop()
            often.advance(look_us)
        for sim in (rare, often):
            until_us = np.array([now_us + timer_us if timer_us else 0])
            sim.apply(np.array([cell]), np.array([level], np.uint8), until_us, now_us)
    for one, other in zip(rare.samples.after(0), often.samples.after(0), strict=True):
        np.testing.assert_array_equal(one.carried, other.carried)
    np.testing.assert_array_equal(rare.book.energy().by_level, often.book.energy().by_level)


def lonely(tables: Tables, load: float, samples: int = 8) -> RadioSim:
    """One cell with a constant load."""
    case = random_case(1, [1], ticks=1, per_tick=samples)
    path = np.full((1, samples), load, np.float32)
    return radios(
        case._replace(tables=tables, path=path, groups=case.groups._replace(model=np.zeros(1, np.int32)))
    )


CARRIER = 5  # level of the default world; wakes in one sample


def test_a_timer_in_the_middle_of_a_sample_wakes_then(tables: Tables) -> None:
    sim = lonely(tables, 0.4)
    command(sim, CARRIER, 1.0, until=2.25)
    sim.advance(at(2.2))
    assert sim.level[0] == CARRIER
    sim.advance(at(3.2))  # waking since 2.25
    assert sim.level[0] == CARRIER
    sim.advance(at(5))
    assert sim.level[0] == FULL_SERVICE
    carried = [float(s.carried[0]) for s in sim.samples.after(0)]
    np.testing.assert_allclose(carried, [0.4, 0, 0, 0.75 * 0.4, 0.4], rtol=1e-6)


def test_the_trace_starts_over_and_samples_go_on_counting(tables: Tables) -> None:
    sim = lonely(tables, 0.4, samples=3)
    sim.advance(at(70.5))
    assert (sim.rounds, sim.samples.last) == (23, 70)
    assert len(sim.samples.after(0)) == SAMPLES_KEPT
    assert [s.end_unix_us for s in sim.samples.after(68)] == [69 * SAMPLE_US, 70 * SAMPLE_US]
    assert sim.samples.after(70) == []
    assert len(sim.samples.after(1000)) == SAMPLES_KEPT  # the reader knew another plant


def test_a_level_that_the_cell_does_not_have_or_whose_time_is_over_is_refused(tables: Tables) -> None:
    sim = lonely(tables, 0.4)
    sim.truth.allowed[0, CARRIER] = False
    assert not command(sim, CARRIER, 1)[0]
    sim.truth.allowed[0, CARRIER] = True
    assert not command(sim, CARRIER, 2, until=1.5)[0]
    assert sim.level[0] == FULL_SERVICE


def test_without_a_dead_man_timer_a_cell_stays(tables: Tables) -> None:
    sim = lonely(tables, 0.4)
    sim.truth.has_dead_man[0] = False
    command(sim, CARRIER, 1, until=2)
    sim.advance(at(60))
    assert sim.level[0] == CARRIER


def test_a_stuck_relay_says_yes_and_does_nothing_but_its_timer_wakes(tables: Tables) -> None:
    sim = lonely(tables, 0.4)
    sim.inject(Fault.STUCK_RELAY, ALL, at(0), heals=False)
    assert command(sim, CARRIER, 1, until=3)[0]
    assert sim.level[0] == FULL_SERVICE
    sim.inject(Fault.STUCK_RELAY, ALL, at(1), heals=True)
    command(sim, CARRIER, 1, until=3)
    sim.inject(Fault.STUCK_RELAY, ALL, at(2), heals=False)
    assert command(sim, FULL_SERVICE, 2)[0]
    sim.advance(at(3))
    assert sim.level[0] == CARRIER
    sim.advance(at(4))
    assert sim.level[0] == FULL_SERVICE


def test_a_slow_radio_wakes_in_four_times_the_time(tables: Tables) -> None:
    sim = lonely(tables, 0.4)
    sim.inject(Fault.SLOW_WAKE, ALL, at(0), heals=False)
    command(sim, CARRIER, 1)
    assert command(sim, FULL_SERVICE, 2)[0]
    assert sim.level[0] == CARRIER  # on its way
    sim.advance(at(5.9))
    assert sim.level[0] == CARRIER
    sim.advance(at(6))
    assert sim.level[0] == FULL_SERVICE


def test_a_partial_batch_reaches_every_other_cell() -> None:
    sim = radios(recorded(1))
    sim.inject(Fault.PARTIAL, np.arange(5), at(0), heals=False)
    np.testing.assert_array_equal(command(sim, 4, 1), [True, False, True, False, True])
    np.testing.assert_array_equal(sim.level, [4, 1, 4, 1, 4])


def test_by_hand_a_cell_is_at_full_service_and_refuses_to_sleep(tables: Tables) -> None:
    sim = lonely(tables, 0.4)
    command(sim, CARRIER, 1, until=9)
    sim.inject(Fault.LOCAL_CONTROL, ALL, at(2), heals=False)
    sim.advance(at(3))
    assert sim.level[0] == FULL_SERVICE
    assert not command(sim, CARRIER, 4, until=9)[0]
    assert command(sim, FULL_SERVICE, 5)[0]
    sim.inject(Fault.LOCAL_CONTROL, ALL, at(5), heals=True)
    assert command(sim, CARRIER, 6, until=9)[0]


def test_a_restart_is_at_full_service_at_once_with_no_timer_left(tables: Tables) -> None:
    sim = lonely(tables, 0.4)
    command(sim, CARRIER, 1, until=3)
    sim.inject(Fault.REBOOT, ALL, at(2), heals=False)
    assert sim.level[0] == FULL_SERVICE
    command(sim, CARRIER, 2)
    sim.advance(at(9))
    assert sim.level[0] == CARRIER  # the timer of before is gone


def test_counters_freeze_and_change_their_unit() -> None:
    sim = radios(recorded(2))
    sim.advance(at(1))
    sim.inject(Fault.FROZEN_COUNTERS, np.array([0]), at(1), heals=False)
    sim.inject(Fault.WRONG_UNIT, np.array([1]), at(1), heals=False)
    sim.advance(at(3))
    first, second, third = (s.carried for s in sim.samples.after(0))
    path = sim.truth.path
    assert first[0] == second[0] == third[0] != path[0, 2]
    true = radios(recorded(2))
    true.advance(at(3))
    assert third[1] == pytest.approx(100 * true.samples.after(2)[0].carried[1])
    np.testing.assert_array_equal(third[2:], true.samples.after(2)[0].carried[2:])


def naive_throughput(sim: RadioSim, level: int, offered: float) -> float:
    tables = sim.truth.tables
    model = sim.truth.groups.model[0]
    if offered > tables.capacity[model, level]:
        return 0.0
    return float(tables.full_rate * tables.size[model] * (tables.rate[model, level] - offered))


def test_users_share_what_the_level_leaves_free(tables: Tables) -> None:
    sim = lonely(tables, 0.1)
    command(sim, 4, 1, until=9)
    sim.advance(at(1.25))
    command(sim, FULL_SERVICE, 1.25)
    sim.advance(at(3))
    first, mixed, last = (float(s.throughput[0]) for s in sim.samples.after(0))
    full, slow = naive_throughput(sim, FULL_SERVICE, 0.1), naive_throughput(sim, 4, 0.1)
    assert slow < full
    assert [first, mixed, last] == pytest.approx([full, 0.25 * slow + 0.75 * full, full], abs=1 / 32)


def test_nobody_is_served_off_air_or_without_traffic(tables: Tables) -> None:
    idle, away = lonely(tables, 0.0), lonely(tables, 0.4)
    command(away, CARRIER, 0, until=9)
    for sim in (idle, away):
        sim.advance(at(1))
        assert np.isnan(sim.samples.after(0)[0].throughput[0])
        assert sim.samples.after(0)[0].power[0] > 0


def test_slow_users_lose_a_share_where_they_are_named() -> None:
    sim, true = radios(recorded(2)), radios(recorded(2))
    sim.inject(Fault.SLOW_USERS, np.array([1]), at(0), heals=False, share=0.1)
    sim.advance(at(1))
    sim.inject(Fault.SLOW_USERS, np.array([1]), at(1), heals=True)
    sim.advance(at(2))
    true.advance(at(2))
    (slow, healed), (was, then) = sim.samples.after(0), true.samples.after(0)
    np.testing.assert_array_equal(slow.carried, was.carried)
    np.testing.assert_array_equal(healed.throughput, then.throughput)
    others = np.arange(len(was.carried)) != 1
    np.testing.assert_array_equal(slow.throughput[others], was.throughput[others])
    assert slow.throughput[1] == pytest.approx(0.9 * was.throughput[1], abs=1 / 16)
