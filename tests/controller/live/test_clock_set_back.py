"""The controller's clock is set back, alone or with those of its agents: nothing old looks fresh, and all recovers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from controller.live.events import Event, GuardTick, PlanTick, Reported
from controller.live.power.events import PowerReported
from controller.live.ticks import PlanTimes
from tests.controller.live.conftest import MakeCore
from tests.controller.live.doubles import SECOND_US, Harness, two_agents
from tests.controller.live.power_trial import PLAN_S, PowerTrial
from tests.controller.live.test_core import ASLEEP_S, QUIET, RESTING, levels, said

BUSY = (0.9, 0.01, 0.9, 0.9, 0.02)
DEAR_S = 6 * 3600  # after the trace's begin the dear hours are on
LONG_S = 14 * 60


class Clock:
    """The controller's ticks by a clock that may be set."""

    def __init__(self, unix_us: int, guard_every_s: int) -> None:
        self.times = PlanTimes.starting(PLAN_S * SECOND_US, unix_us)
        self._guard_every_s = guard_every_s

    def ticks(self, now_s: int, unix_us: int) -> list[Event]:
        """What is due in a second ``now_s`` that the clock shows as ``unix_us``."""
        due: list[Event] = []
        if self.times.due(unix_us) is not None:
            due.append(PlanTick(unix_us + 2 * SECOND_US))
        if now_s % self._guard_every_s == 0:
            due.append(GuardTick(unix_us + 3 * SECOND_US))
        return due


class Night:
    """Both radio sites, resting, under a controller and agents whose clocks may be set back."""

    def __init__(self, harness: Harness) -> None:
        self.harness, self.core = harness, harness.core
        self.back_s = self.agents_back_s = 0
        self._clock = Clock(harness.now_us, 20)
        self.renewals = 0

    def run(self, seconds: int, load: Sequence[float], *, until: Callable[[], bool] = lambda: False) -> int:
        """Run on. Returns after how many seconds it was ``until``."""
        harness, end_s, begin_s = self.harness, self.harness.now_s + seconds, self.harness.now_s
        while harness.now_s < end_s and not until():
            harness.now_s += 10
            first = 0
            for agent in harness.agents.values():
                agent.expire(harness.now_us)
                own = load[first : first + len(agent.cell_id)]
                first += len(agent.cell_id)
                told = agent.report(harness.now_us, own if harness.now_s % 60 == 0 else None)
                measured_us = harness.now_us - self.agents_back_s * SECOND_US
                harness.feed(Reported(replace(told, measured_unix_us=measured_us)))
            for tick in self._clock.ticks(harness.now_s, harness.now_us - self.back_s * SECOND_US):
                self.renewals += len(harness.feed(tick).renewals)
        return harness.now_s - begin_s

    @property
    def is_awake(self) -> bool:
        return max(levels(self.harness)) <= 1

    @property
    def rests(self) -> bool:
        return min(levels(self.harness)) > 1


@pytest.fixture
def night(live_core: MakeCore) -> Night:
    harness = Harness(live_core(), two_agents(), lambda second: QUIET)
    harness.connect()
    harness.run(ASLEEP_S)
    assert harness.core.leases.level.tolist() == RESTING
    return Night(harness)


@pytest.mark.parametrize(("after_plan_s", "back_s"), [(60, 150), (360, 240), (60, LONG_S)])
def test_cells_wake_at_once_as_samples_look_fresh_that_are_not(
    night: Night, after_plan_s: int, back_s: int
) -> None:
    night.run(after_plan_s - 60, QUIET)
    night.back_s = back_s
    assert night.run(900, BUSY, until=lambda: night.is_awake) <= 80
    night.renewals = 0
    # past the moment from which what was measured before would look fresh again
    night.run(back_s + 2700, QUIET)
    assert night.is_awake
    assert not night.renewals
    assert any("'site-a' sends no samples of now" in text for text in said(night.harness))
    night.back_s = 0
    night.run(5 * PLAN_S, QUIET)
    assert night.rests


@pytest.mark.parametrize("back_s", [60, 120])
def test_a_clock_that_is_set_back_a_little_delays_waking_by_no_more(night: Night, back_s: int) -> None:
    night.back_s = back_s
    assert night.run(900, BUSY, until=lambda: not any(levels(night.harness)[i] > 1 for i in (0, 2, 3))) <= (
        back_s + 100
    )


def test_what_all_clocks_leave_behind_is_forgotten_and_cells_rest_after_the_next_plan(night: Night) -> None:
    night.run(900, QUIET)
    samples, ahead = night.core.samples, night.core.samples.number_at(night.harness.now_us)
    assert np.isfinite(samples.carried(ahead)).all()
    night.back_s = night.agents_back_s = LONG_S
    assert night.run(60, QUIET, until=lambda: night.is_awake) <= 20
    assert np.isnan(samples.carried(ahead)).all()
    night.run(100, QUIET)
    assert not night.core.wanted.silent.any(), "what is measured by the new time is taken"
    night.run(LONG_S - 100, QUIET)
    assert night.is_awake, "planning waits for the clock to pass the last plan"
    night.run(4 * PLAN_S, QUIET)
    assert night.rests
    assert night.run(900, BUSY, until=lambda: levels(night.harness)[0] <= 1) <= 120


def test_a_clock_that_ran_ahead_and_is_set_right_needs_no_restart(night: Night) -> None:
    night.back_s = -LONG_S
    night.run(1200, QUIET)
    assert night.is_awake, "all that comes is old by this clock"
    night.back_s = 0
    night.run(LONG_S + 4 * PLAN_S, QUIET)
    assert night.rests


class Day:
    """Sites that discharge, under a controller and an agent whose clocks may be set back."""

    def __init__(self, trial: PowerTrial) -> None:
        self.trial = trial
        self.back_s = self.agents_back_s = self.renewals = 0
        self._clock = Clock(trial.clock.unix_us(), 60)

    def run(self, minutes: int) -> None:
        trial = self.trial
        for _ in range(minutes):
            trial.now_s += 60
            trial.clock.now_us = trial.now_s * SECOND_US + 100_000
            trial.agent.tick()
            told = trial.agent.report()
            assert isinstance(told, PowerReported)
            measured_us = told.report.measured_unix_us - self.agents_back_s * SECOND_US
            trial.feed(PowerReported(replace(told.report, measured_unix_us=measured_us)))
            for tick in self._clock.ticks(trial.now_s, trial.clock.unix_us() - self.back_s * SECOND_US):
                self.renewals += len(trial.feed(tick).renewals)

    @property
    def is_leased(self) -> list[bool]:
        return [bool(leased) for leased in self.trial.power.leases.is_leased]


@pytest.fixture
def day(tmp_path: Path) -> Day:
    trial = PowerTrial(tmp_path, now_s=DEAR_S)
    trial.run(30 * 60)
    assert (trial.power.leases.battery_w > 1000).all()
    return Day(trial)


def test_sites_charge_safely_at_once_and_until_the_clock_is_right(day: Day) -> None:
    day.run(6)
    day.back_s = 300  # not before the last plan
    day.run(1)
    assert not any(day.is_leased)
    day.renewals = 0
    day.run(20)  # past the moment from which the last charge would look fresh again
    assert not any(day.is_leased)
    assert not day.renewals
    day.back_s = 0
    day.run(30)
    assert all(day.is_leased)


def test_sites_of_which_all_clocks_are_set_back_follow_the_next_plan(day: Day) -> None:
    day.back_s = day.agents_back_s = LONG_S
    day.run(1)
    assert not any(day.is_leased)
    day.run(10)
    assert day.trial.power.telemetry.trusted.all(), "what is measured by the new time is taken, and proven"
    assert not any(day.is_leased), "planning waits for the clock to pass the last plan"
    day.run(30)
    assert all(day.is_leased)


def test_a_site_that_another_agent_measured_in_the_future_is_begun_anew(day: Day) -> None:
    day.trial.power.telemetry.end_us[1] += 1000 * SECOND_US
    day.run(1)
    assert not any(day.is_leased)
    day.run(10)
    assert day.trial.power.telemetry.trusted.all()
