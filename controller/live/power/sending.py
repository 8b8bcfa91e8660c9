"""Setpoints and safe charging for sites, as the batches that their agents understand, with their records."""

from __future__ import annotations

import hashlib

import numpy as np

from controller.live.batches import Leader
from controller.live.events import Output
from controller.live.power.events import ChargedSafely, PowerDecided, UInt8
from controller.live.power.fleet import Float64, PowerAgent, PowerFleet, Sites
from controller.live.power.inputs import Inputs
from controller.live.power.leases import SiteLeases, UInt64
from hw.adapters.power import OnBattery, SafeBatch, SetpointBatch


class SiteSender:
    """Changes what is commanded and writes the messages and records of it into an output."""

    def __init__(self, fleet: PowerFleet, leases: SiteLeases, leader: Leader, inputs: Inputs) -> None:
        self._fleet, self._leases, self._inputs, self.leader = fleet, leases, inputs, leader
        self._batches = 0

    def charge_safely(self, out: Output, sites: Sites, reason: UInt8, now_us: int) -> None:
        """Put sites (k,) on safe charging. One whose agent is not known goes there by its lease."""
        if not len(sites):
            return
        revision = self._leases.charge_safely(sites)
        for agent, own in self._fleet.by_agent(sites):
            places = self._fleet.place_of[sites[own]]
            batch = SafeBatch(self.leader.origin(agent), places, revision[own], reason[own])
            out.safes.append((agent.agent_id, batch))
        out.durable.append(ChargedSafely(now_us, sites.astype(np.int32), revision, reason))

    def strangers_charge_safely(
        self, out: Output, agent: PowerAgent, places: Sites, revision: UInt64
    ) -> None:
        """The same for sites that are not in the sites file, by places and highest revisions (k,)."""
        if len(places):
            why = np.zeros(len(places), np.uint8)
            batch = SafeBatch(self.leader.origin(agent), places, revision + np.uint64(1), why)
            out.safes.append((agent.agent_id, batch))

    def command(
        self,
        out: Output,
        sites: Sites,
        battery_w: Float64,
        import_limit_w: Float64,
        reason: UInt8,
        programs: Sites,
        now_us: int,
    ) -> None:
        """Setpoints (k,) for sites (k,), and the on-battery programs of some sites."""
        if not len(sites) and not len(programs):
            return
        self._batches += 1
        plan_id = f"{self.leader.epoch}-{now_us // 1_000_000}-p{self._batches}"
        battery_w = battery_w + 0.0  # no negative zero: digests are over bits
        revision = self._leases.command(sites, battery_w, import_limit_w, reason)
        agents = np.unique(self._fleet.agent_of[np.concatenate([sites, programs])])
        for agent in (self._fleet.agents[number] for number in agents[agents >= 0].tolist()):
            own = np.flatnonzero(self._fleet.agent_of[sites] == agent.number)
            told = programs[self._fleet.agent_of[programs] == agent.number]
            content = f"{self.leader.epoch}/{agent.agent_id}/{plan_id}"
            batch = SetpointBatch(
                origin=self.leader.origin(agent),
                plan_id=plan_id,
                idempotency_key=hashlib.sha256(content.encode()).digest(),
                term_ms=self.leader.term_ms(agent),
                site=self._fleet.place_of[sites[own]],
                revision=revision[own],
                battery_w=battery_w[own],
                import_limit_w=import_limit_w[own],
                reason=reason[own],
                programs=tuple(self._program(site) for site in told.tolist()),
            )
            out.setpoints.append((agent.agent_id, batch))
        numbers = sites.astype(np.int32)
        named = tuple(int(site) for site in programs)
        out.durable.append(
            PowerDecided(now_us, plan_id, numbers, revision, battery_w, import_limit_w, reason, named)
        )

    def _program(self, site: int) -> OnBattery:
        program = self._inputs.program(site, int(self._fleet.place_of[site]), self.leader.epoch)
        assert program is not None  # of sites that have one
        return program

    def renew(self, out: Output, agent: PowerAgent) -> None:
        """Extend the leases of an agent."""
        out.renewals.append((agent.agent_id, self.leader.renewal(agent, self._leases.digest(agent))))
