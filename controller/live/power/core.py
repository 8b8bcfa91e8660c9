"""Site power without clock, socket and disk, beside the core of the radios: events in, messages and records out.

::

    PowerConnected -> inventory against the sites file -> first PowerReported -> reconciled
    PowerReported  -> newest charge, load, mains -> sites that must charge safely, at once
    PlanTick       -> planner -> guard -> setpoints by lease (durable first), on-battery programs
    GuardTick      -> guard on the newest telemetry -> setpoints that may stay -> renewals

Everything that is wanted beyond the plan only ever leads to safe charging: the stop latch, silent agents, a charge that
is not to be believed, no mains, local control, another leader, the ladder, no plan. Same events, same outputs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from controller.live.alarms import Alarms
from controller.live.batches import Leader
from controller.live.events import (
    Alarm,
    Cleared,
    Disconnected,
    Event,
    GuardTick,
    Led,
    Output,
    PlanTick,
    Renewed,
    Stopped,
)
from controller.live.ladder import Ladder
from controller.live.observing import SECOND_US
from controller.live.power.asking import Held
from controller.live.power.events import PowerAnswered, PowerConnected, PowerReported, PowerWithheld, UInt8
from controller.live.power.fleet import Float64, Mask, PowerAgent, PowerFleet, Sites
from controller.live.power.intake import PowerIntake
from controller.live.power.leases import SiteLeases, UInt64
from controller.live.power.planner import LivePlanner, binds, within
from controller.live.power.sending import SiteSender
from controller.live.power.standing import SiteStanding
from controller.live.power.telemetry import Telemetry
from controller.live.power.wanted import SitesWanted
from controller.live.power.why import Why

SAME_W = 1.0  # setpoints that differ by less are left as they are


class PowerTiming(NamedTuple):
    """Lengths of what repeats."""

    tick_s: int
    guard_every_s: int
    lease_s: int
    wait_ticks: int = 0  # guard ticks before which nothing new is commanded
    stale_after: int = 3  # guard ticks without a report after which an agent is silent


class PowerResumed(NamedTuple):
    """What a journal says of the last run. Arrays (k,)."""

    site: Sites
    revision: UInt64


NOTHING_RESUMED = PowerResumed(np.zeros(0, np.int64), np.zeros(0, np.uint64))


def resumed_sites(revision: Mapping[int, int]) -> PowerResumed:
    """What a journal says, from the highest revision of each site."""
    sites = sorted(revision)
    return PowerResumed(np.array(sites, np.int64), np.array([revision[site] for site in sites], np.uint64))


class PowerCore:
    """One leader's term over n sites. Fed by controller/live/cores.py after the core of the radios."""

    def __init__(
        self,
        fleet: PowerFleet,
        planner: LivePlanner,
        *,
        ladder: Ladder,
        site_of: Sites,
        leader: Leader,
        timing: PowerTiming,
        resumed: PowerResumed = NOTHING_RESUMED,
        is_stopped: bool = False,
    ) -> None:
        """``site_of`` (cells,): number of the site of each cell on the ladder, -1: of none."""
        n = len(fleet.site_ids)
        self.fleet, self.planner, self.timing = fleet, planner, timing
        self.leases = SiteLeases(n)
        self.standing = SiteStanding(self.leases)
        self.standing.restore(resumed.site, resumed.revision)
        inputs = planner.inputs
        self.telemetry = Telemetry(inputs)
        self.wanted = SitesWanted(fleet, self.standing, self.telemetry, ladder, site_of, is_stopped)
        self.wanted.wait_ticks = timing.wait_ticks
        self.alarms = Alarms()
        self._sender = SiteSender(fleet, self.leases, leader, inputs)
        silent, epoch = self.wanted.silent, leader.epoch
        self._intake = PowerIntake(fleet, self.standing, self.telemetry, self.alarms, silent, epoch)
        self._planned_at = -1
        self._floors = [inputs.floor_wh(np.full(n, known)) for known in (False, True)]
        self.has_program = np.array([site.on_battery_program is not None for site in inputs.sites])

    def take(self, event: Event, out: Output, now_us: int) -> None:
        """Take in an event and add to an output. Never raises for what an agent says."""
        wrong = np.zeros(0, np.int64)
        match event:
            case PowerConnected():
                self._intake.connected(event.inventory, out, now_us)
            case PowerReported():
                wrong = self._intake.reported(event.report, out, now_us)
                self._strangers(event, out)
            case PowerAnswered():
                wrong = self._intake.answered(event, out, now_us)
            case Renewed():
                self._intake.renewed(event, out, now_us)
            case Disconnected():
                self._intake.disconnected(event.agent_id)
            case PlanTick():
                self._plan_tick(out, now_us)
            case GuardTick():
                self._guard_tick(out, now_us)
            case Stopped() | Cleared():
                self.wanted.is_stopped = isinstance(event, Stopped)
            case Led():
                self.wanted.has_majority = event.leads
            case _:
                pass
        self._unaccounted(out, wrong, now_us)
        self._settle(out, now_us)

    def follow(self, leads: bool, out: Output, now_us: int) -> None:
        """Take in whether this controller leads for all that the radio agents say, and add to an output."""
        if leads != self.wanted.leads:
            self.wanted.leads = leads
            self._settle(out, now_us)

    def _unaccounted(self, out: Output, sites: Sites, now_us: int) -> None:
        """Sites (k,) that hold what is not ours charge safely, but for those that are left alone."""
        if not len(sites) or not self.wanted.leads:
            return
        sites = sites[self.wanted.acts()[sites] & ~self.wanted.led_by_other()[sites]]
        self._charge_safely(out, sites, np.full(len(sites), Why.UNACCOUNTED, np.uint8), now_us)

    def leaves_alone(self, agent_id: str) -> bool:
        """Whether no site of an agent is under a setpoint of ours."""
        agent = self.fleet.get(agent_id)
        return agent is None or (agent.power is not None and not self.leases.is_active(agent))

    @property
    def plan_age_s(self) -> int:
        """Age of the last plan. [s]"""
        return self.wanted.plan_age_ticks * self.timing.guard_every_s

    @property
    def is_without_plan(self) -> bool:
        """Whether the last plan is too old to be followed."""
        return self.plan_age_s > 2 * self.timing.tick_s

    def acknowledged(self) -> Mask:
        """Sites whose agents have stored the on-battery program of this controller. (n,)"""
        return np.asarray(self.standing.program == np.uint64(self._sender.leader.epoch))

    def held(self) -> Held:
        """Reserve and connection of each site as they hold now."""
        own_wh = np.where(self.acknowledged(), self._floors[1], self._floors[0])
        cap_w = np.minimum(self.planner.inputs.import_cap_w, self.fleet.import_cap_w)
        return Held(np.maximum(own_wh, self.fleet.reserve_wh), cap_w)

    def _settle(self, out: Output, now_us: int) -> None:
        """Whatever is under a setpoint and is barred charges safely, at once."""
        if not self.leases.is_leased.any():
            return
        bars = self.wanted.bars()
        sites = np.flatnonzero(self.leases.is_leased & (bars > 0))
        self._charge_safely(out, sites, bars[sites], now_us)

    def _charge_safely(self, out: Output, sites: Sites, reason: UInt8, now_us: int) -> None:
        self._sender.charge_safely(out, sites, reason, now_us)

    def _plan_tick(self, out: Output, now_us: int) -> None:
        step = now_us // (self.timing.tick_s * SECOND_US)
        if step <= self._planned_at:
            self.alarms.count("second plan tick of an interval")
            return
        self._planned_at = step
        self.planner.learn(step - 1, self.telemetry.step(step - 1))
        held = self.held()
        wanted = self.planner.plan(step, self.telemetry, held)
        if wanted is None:
            return
        self.wanted.begin_plan(now_us)
        self.alarms.clear(out, "plan", now_us)
        for agent in self.fleet.agents:
            if agent.may_rest and not agent.silent_ticks:
                agent.plan_us = agent.monotonic_us
        self.standing.held[:] = False
        verdict = self.planner.setpoints(wanted, self.telemetry, held)
        self._withhold(out, verdict.battery_w, verdict.import_cap_w, verdict.reason, now_us)
        ready = self.wanted.ready() & (self.wanted.bars() == 0)
        self._command(out, ready, verdict.battery_w, verdict.import_cap_w, verdict.reason, now_us)

    def _withhold(
        self, out: Output, battery_w: Float64, limit_w: Float64, reason: UInt8, now_us: int
    ) -> None:
        sites = np.flatnonzero((self.fleet.agent_of >= 0) & ~self.wanted.acts())
        if len(sites):
            plan_id = f"{self._sender.leader.epoch}-{now_us // SECOND_US}"
            values = (sites.astype(np.int32), battery_w[sites], limit_w[sites], reason[sites])
            out.durable.append(PowerWithheld(now_us, plan_id, *values))

    def _command(
        self, out: Output, mask: Mask, battery_w: Float64, limit_w: Float64, reason: UInt8, now_us: int
    ) -> None:
        """Bring sites of a mask to setpoints; safe charging where the agent would not take them."""
        fleet, leases = self.fleet, self.leases
        battery_w = np.clip(battery_w, -fleet.charge_max_w, fleet.discharge_max_w)
        held_s = self.timing.lease_s + np.maximum(now_us - self.telemetry.end_us, 0) / SECOND_US + 60.0
        stored_wh = np.nan_to_num(self.telemetry.stored_wh)
        taken = within(fleet.reserve_wh, stored_wh, battery_w, held_s)
        idle = within(fleet.reserve_wh, stored_wh, np.zeros_like(battery_w), held_s)
        battery_w = np.where(taken, battery_w, np.minimum(battery_w, 0.0))
        below = np.flatnonzero(mask & ~idle & leases.is_leased)
        self._charge_safely(out, below, np.full(len(below), Why.RESERVE, np.uint8), now_us)
        differs = ~leases.is_leased | (np.abs(battery_w - leases.battery_w) > SAME_W)
        with np.errstate(invalid="ignore"):
            differs |= np.abs(limit_w - leases.import_limit_w) > SAME_W
        sites = np.flatnonzero(mask & idle & differs)
        tells = self.wanted.ready() & self.wanted.acts() & self.has_program
        programs = np.flatnonzero(tells & ~self.acknowledged())
        self._sender.command(out, sites, battery_w[sites], limit_w[sites], reason[sites], programs, now_us)

    def _guard_tick(self, out: Output, now_us: int) -> None:
        self.wanted.guard_ticks += 1
        self._intake.mark_silent(out, now_us, self.timing.stale_after)
        self.wanted.plan_age_ticks += 1
        leased = self.leases.is_leased
        if (self.is_without_plan or self.wanted.is_plan_ahead(now_us)) and leased.any():
            text = "no plan of site power for two planning intervals, or one of a time to come: sites charge safely"
            self.alarms.tell(out, Alarm(now_us, "critical", "controller", text), "plan")
            sites = np.flatnonzero(leased)
            self._charge_safely(out, sites, np.full(len(sites), Why.NO_PLAN, np.uint8), now_us)
        heard = self.fleet.of_agents([agent.reports > 0 for agent in self.fleet.agents])
        again = self.standing.pass_tick(heard)
        self._unaccounted(out, again, now_us)
        self._settle(out, now_us)
        if self.leases.is_leased.any():
            self._guard(out, now_us)
        for agent in self.fleet.agents:
            fresh = agent.may_rest and agent.reports > 0 and not self.wanted.silent[agent.number]
            if fresh and self.wanted.commands and self.leases.is_active(agent):
                self._sender.renew(out, agent)
            agent.reports = 0

    def _guard(self, out: Output, now_us: int) -> None:
        """Let no setpoint and no import limit stay that would touch the reserve by what is known now."""
        leases, held = self.leases, self.held()
        verdict = self.planner.guarded(leases.battery_w, leases.import_limit_w, self.telemetry, held)
        differs = verdict.battery_w < leases.battery_w - SAME_W
        differs |= verdict.import_cap_w > leases.import_limit_w + SAME_W
        less = leases.is_leased & binds(verdict) & differs
        less |= leases.is_leased & (np.nan_to_num(self.telemetry.stored_wh) < self.fleet.reserve_wh)
        self._command(out, less, verdict.battery_w, verdict.import_cap_w, verdict.reason, now_us)

    def _strangers(self, event: PowerReported, out: Output) -> None:
        """Sites of an agent that hold a lease though no sites file knows them: its digest would never match."""
        report = event.report
        agent = self.fleet.get(report.agent_id)
        if agent is None or not self.wanted.leads or not self._was_taken(agent, event):
            return
        places = agent.strangers[report.is_leased[agent.strangers]]
        if self.wanted.acts().any():
            self._sender.strangers_charge_safely(out, agent, places, report.revision[places])

    def _was_taken(self, agent: PowerAgent, event: PowerReported) -> bool:
        return agent.is_connected and agent.sequence == event.report.sequence
