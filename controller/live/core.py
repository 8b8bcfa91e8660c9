"""The live controller without clock, socket and disk: events in, messages and records out.

::

    Connected -> inventory against the cell table -> first Reported -> reconciled; only then may its cells rest
    Reported  -> samples, states ------------------> cells to wake at once
    PlanTick  -> samples of the tick -> Controller.tick -> planned levels -+
    GuardTick -> newest sample -> SurgeGuard.watch -> cells woken ---------+-> wanted levels -> wakes, commands
              -> renewals of agents that have just reported and passed

``tick`` and the guard loop are those of the replay. What is wanted beyond them only ever wakes: silent agents, state
that is not accounted for, the stop latch, another leader, no plan. Same events in the same order, same outputs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import assert_never

import numpy as np
from numpy.typing import NDArray

from controller.constraints import Constraints
from controller.live.alarms import Alarms
from controller.live.batches import Leader, Sender
from controller.live.canary_facts import Facts
from controller.live.canary_watch import CanaryWatch
from controller.live.events import (
    Alarm,
    Answered,
    Approved,
    CallRefused,
    Cleared,
    Connected,
    Constrained,
    Disconnected,
    GuardTick,
    Latched,
    Led,
    Lifted,
    Output,
    Overridden,
    PlanTick,
    RadioEvent,
    Renewed,
    Reported,
    RolledBack,
    Ruling,
    StageChanged,
    Stopped,
    Taken,
    Withheld,
    Word,
)
from controller.live.fleet import Cells, Fleet
from controller.live.intake import Intake
from controller.live.kpi_rows import Row
from controller.live.ladder import Ladder
from controller.live.leases import Leases
from controller.live.observing import SECOND_US, Samples
from controller.live.reconcile import Standing
from controller.live.service_limit import ServiceLimit
from controller.live.wanted import Wanted
from controller.tick import Controller
from policies.policy import Reason
from policies.surge import SurgeGuard

UInt8 = NDArray[np.uint8]
Constrain = Callable[[str], Constraints | None]


@dataclass(frozen=True, slots=True)
class Timing:
    """Lengths of what repeats."""

    sample_s: int
    tick_s: int
    guard_every_s: int
    wake_ticks: NDArray[np.int64]  # (L,) guard ticks until a cell at a level that is woken serves at full
    wait_ticks: int = 0  # guard ticks before which nothing new rests: leases of a leader before run out
    stale_after: int = 3  # guard ticks without a report, or samples, after which an agent is silent

    @property
    def longest_plan_ticks(self) -> int:
        """Guard ticks for which a plan holds without a new one: two planning intervals."""
        return -(-2 * self.tick_s // self.guard_every_s)


@dataclass(frozen=True, slots=True)
class Resumed:
    """What a journal says of the last run. Arrays (k,)."""

    cell: NDArray[np.int32]
    revision: NDArray[np.uint64]
    level: UInt8
    highest_epoch: int = 0  # of any leader, in the journal or in an inventory
    is_stopped: bool = False
    rulings: tuple[Ruling, ...] = ()  # words of operators that are in force
    rolled_back: tuple[RolledBack, ...] = ()  # the last of each site
    rows_at: Path | None = None  # file of what ticks of earlier runs showed


class LiveCore:
    """One leader's term. Feed it every event, one at a time, and carry out each output before the next."""

    def __init__(
        self,
        fleet: Fleet,
        controller: Controller,
        surge: SurgeGuard,
        *,
        ladder: Ladder,
        leader: Leader,
        timing: Timing,
        resumed: Resumed,
        constrain: Constrain,
        facts: Facts,
        rows: Iterable[Row] = (),
    ) -> None:
        """``constrain`` reads constraints; ``facts`` and ``rows`` of earlier runs are what comparisons need."""
        n = len(fleet.agent_of)
        self.fleet, self.leases = fleet, Leases(n)
        self.leases.restore(resumed.cell.astype(np.int64), resumed.revision, resumed.level)
        self.standing = Standing(self.leases, timing.wake_ticks)
        self.ladder = ladder
        self.wanted = Wanted(fleet, self.standing, facts.group, ladder, resumed.is_stopped)
        self.wanted.wait_ticks = timing.wait_ticks
        self.controller, self._surge, self.timing = controller, surge, timing
        self._per_tick, self.constrain = timing.tick_s // timing.sample_s, constrain
        self.samples = Samples(
            n, sample_s=timing.sample_s, per_tick=self._per_tick, guard_every_s=timing.guard_every_s
        )
        self.alarms = Alarms()
        self.canaries = CanaryWatch(facts, ladder, self.samples, self.alarms, rows, resumed.rolled_back)
        self._service = ServiceLimit(facts.tables, facts.model, facts.group)
        self._sender = sender = Sender(fleet, self.leases, leader)
        self._intake = Intake(fleet, self.standing, self.samples, self.wanted, sender, self.alarms)
        self._now_us = 0  # of the last tick
        self._watched = -1  # number of the last sample that the guard loop has seen
        self._planned_at = -1  # begin of the last planned tick, in samples
        surge.begin(self.wanted.planned, None, None)

    @property
    def epoch(self) -> int:
        """Term of this leader."""
        return self._sender.leader.epoch

    def has_all(self, unix_us: int) -> bool:
        """Whether every agent that speaks has reported the last sample that is complete at ``unix_us``."""
        return all(self._listening(self.samples.number_at(unix_us)))

    def leaves_alone(self, agent_id: str) -> bool:
        """Whether no cell of an agent is any of ours, so that nobody is to wake them as this controller stops."""
        agent = self.fleet.get(agent_id)
        return agent is None or self.wanted.leaves_alone(agent)

    def warm(self, ticks: Iterable[tuple[np.datetime64, NDArray[np.float32]]]) -> None:
        """Learn from past ticks, oldest first: when each ended (UTC), and what was carried (n, s). [ratio]"""
        for end, carried in ticks:
            self.controller.learn(carried, end)

    def feed(self, event: RadioEvent) -> Output:
        """Take in one event. Never raises for what an agent says."""
        out = Output()
        if isinstance(event, GuardTick | PlanTick):
            self._now_us = event.unix_us
        out.durable.append(Taken(self._now_us, event))
        match event:
            case Connected():
                self._intake.connected(event.inventory, out, self._now_us)
            case Disconnected():
                self._intake.disconnected(event.agent_id)
            case Reported():
                self._intake.reported(event.report, out, self._now_us)
            case Answered():
                self._intake.answered(event, out, self._now_us)
            case Renewed():
                self._intake.renewed(event, out, self._now_us)
            case GuardTick():
                self._guard_tick(out)
            case PlanTick():
                self._plan_tick(out)
            case Stopped() | Cleared():
                self._latch(event, out)
            case Led() | Constrained():
                self._bind(event)
            case Approved() | Overridden() | Lifted() | StageChanged() | CallRefused():
                self._rule(event, out)
            case _:
                assert_never(event)
        return out

    def _bind(self, event: Led | Constrained) -> None:
        if isinstance(event, Led):
            self.wanted.has_majority = event.leads
        else:
            self.controller.constraints = self.constrain(event.constraints)

    def _latch(self, event: Stopped | Cleared, out: Output) -> None:
        stops = isinstance(event, Stopped)
        self.wanted.is_stopped = stops
        out.durable.append(Latched(self._now_us, stops, event.author, event.reason))
        if stops:
            self.wanted.end_plan()
            known = np.flatnonzero(self.fleet.agent_of >= 0)
            self._wake(out, known, Reason.GUARD_STOPPED)

    def _rule(self, said: Word, out: Output) -> None:
        """Follow an operator: what is to wake does so at once, what may rest waits for the next plan."""
        before = self.ladder.deepest
        ruling = self.ladder.take(said, self._now_us)
        out.durable.append(ruling)
        if not isinstance(said, Approved):
            self.wanted.freed |= self.ladder.deepest > before
        self._sender.settle(out, self.wanted, self._now_us)

    def _plan_tick(self, out: Output) -> None:
        timing = self.timing
        begin = self._now_us // (timing.tick_s * SECOND_US) * self._per_tick
        if begin == self._planned_at:
            self.alarms.count("second plan tick of an interval")
            return
        self._planned_at = begin
        # the guard loop begins each tick with the sample before it
        self._watched = min(self._watched, begin - 1)
        self.canaries.pass_tick(self.wanted.planned, begin, self._per_tick, out, self._now_us)
        observation = None
        if not self.samples.is_empty:
            wanted = self.wanted
            observation = self.samples.observation(
                begin, wanted.planned, wanted.surging | wanted.imagined(), self.standing.reported
            )
        now = np.datetime64(begin * timing.sample_s, "s")
        commands = self.controller.tick(observation, now)
        self.wanted.plan(commands.level, commands.reason, begin - self._per_tick + 1, self._now_us)
        plan_id = f"{self.epoch}-{self._now_us // SECOND_US}"
        cells, level, reason = self.wanted.withheld(plan_id, self._now_us)
        if len(cells):
            out.durable.append(Withheld(self._now_us, plan_id, cells.astype(np.int32), level, reason))
        self.alarms.clear(out, "plan", self._now_us)
        for agent in self.fleet.agents:
            agent.plan_us = agent.monotonic_us
        self._surge.begin(self.wanted.planned, commands.forecast, commands.risk)
        flapping = 0 if commands.alarm is None else int(commands.alarm.sum())
        self.alarms.flap(out, flapping, self._now_us)
        self._watch()
        self._sender.settle(out, self.wanted, self._now_us)

    def _guard_tick(self, out: Output) -> None:
        timing, wanted = self.timing, self.wanted
        before = self.ladder.deepest
        self.ladder.pass_time(self._now_us)
        self.wanted.freed |= self.ladder.deepest > before
        self._intake.mark_silent(out, self._now_us, timing.stale_after)
        self._watch()
        wanted.plan_age_ticks += 1
        if wanted.plan_age_ticks > timing.longest_plan_ticks or wanted.is_plan_ahead(self._now_us):
            text = "no plan for two planning intervals, or one of a time to come: all cells are awake; check the clock"
            self.alarms.tell(out, Alarm(self._now_us, "critical", "controller", text), "plan")
            wanted.end_plan()
        heard = self.fleet.of_agents([agent.reports > 0 for agent in self.fleet.agents])
        again = wanted.may_wake(self.standing.pass_tick(heard))
        stuck = wanted.may_wake(np.flatnonzero(self.standing.stuck))
        self.alarms.stick(out, [self.fleet.name(cell) for cell in stuck.tolist()], self._now_us)
        if wanted.leads:
            self._wake(out, again, Reason.GUARD_UNACCOUNTED)
        self._sender.settle(out, self.wanted, self._now_us)
        for agent in self.fleet.agents:
            fresh = agent.may_rest and agent.reports > 0 and not wanted.silent[agent.number]
            if fresh and self.leases.is_active(agent) and wanted.commands:
                self._sender.renew(out, agent)
            agent.reports = 0

    def _watch(self) -> None:
        """Let the guard loop see every sample that is complete, in order."""
        newest = self.samples.number_at(self._now_us)
        if self._watched < 0:
            self._watched = newest  # nobody told this controller what was before
        sampled_us = newest * self.timing.sample_s * SECOND_US
        grace = self._now_us - sampled_us < self.timing.guard_every_s * SECOND_US
        if grace and not all(self._listening(newest)):
            newest -= 1
        for number in range(max(self._watched + 1, newest - self._per_tick + 1), newest + 1):
            self.wanted.guarded = self._surge.watch(self.samples.carried(number))
            measured = self.samples.measured(number, number)
            self.wanted.slow |= self._service.broken(measured, self.leases.level)
        self._watched = newest

    def _listening(self, sample: int) -> list[bool]:
        """Of each agent that speaks, whether it has reported a sample."""
        return [
            agent.last_sample >= sample
            for agent in self.fleet.agents
            if agent.is_connected and agent.is_reconciled and not self.wanted.silent[agent.number]
        ]

    def _wake(self, out: Output, cells: Cells, reason: Reason) -> None:
        self._sender.wake(out, cells, np.full(len(cells), reason, np.uint8), self._now_us)
