"""Commands for cells of the network as the batches that their agents understand."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from controller.live.events import Decided, Output, Woken
from controller.live.fleet import Agent, Cells, Fleet
from controller.live.leases import Leases
from controller.live.wanted import Wanted
from hw.adapters.radio import CommandBatch, Origin, Renewal, WakeBatch
from hw.world import SYMBOL

UInt8 = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Leader:
    """Who commands, and for how long."""

    controller_id: str
    epoch: int
    lease_ms: int

    def origin(self, agent: Agent) -> Origin:
        """Echo of the last report of an agent."""
        return Origin(self.epoch, agent.boot_id, agent.monotonic_us, self.controller_id)

    def term_ms(self, agent: Agent) -> int:
        """Term of a lease at an agent. [ms]"""
        longest_ms = agent.longest_term_ms
        return self.lease_ms if longest_ms is None else min(self.lease_ms, longest_ms)

    def renewal(self, agent: Agent, digest: bytes) -> Renewal:
        """What extends the leases of an agent whose active set has this digest."""
        return Renewal(self.origin(agent), digest, self.term_ms(agent), agent.plan_us)


class Sender:
    """Changes what is commanded and writes the messages and records of it into an output."""

    def __init__(self, fleet: Fleet, leases: Leases, leader: Leader) -> None:
        self._fleet, self._leases, self.leader = fleet, leases, leader
        self._plans = 0

    def settle(self, out: Output, wanted: Wanted, now_us: int) -> None:
        """Bring all cells from what is commanded to what is wanted."""
        level, reason = wanted.levels()
        now = self._leases.level
        ready = wanted.ready()
        wake = np.flatnonzero((level <= SYMBOL) & (now > SYMBOL))
        shallower = np.flatnonzero((level > SYMBOL) & (level < now) & ready)
        deeper = np.flatnonzero((level > now) & ready)
        self.wake(out, wake, reason[wake], now_us)
        self.command(out, shallower, level[shallower], reason[shallower], now_us, urgent=True)
        self.command(out, deeper, level[deeper], reason[deeper], now_us, urgent=False)

    def wake(self, out: Output, cells: Cells, reason: UInt8, now_us: int) -> None:
        """Bring cells (k,) to full service. A cell whose agent is not known wakes by its lease."""
        if not len(cells):
            return
        revision = self._leases.wake(cells)
        for agent, own in self._fleet.by_agent(cells):
            places = self._fleet.place_of[cells[own]]
            batch = WakeBatch(self.leader.origin(agent), places, revision[own], reason[own])
            out.wakes.append((agent.agent_id, batch))
        out.durable.append(Woken(now_us, cells.astype(np.int32), revision, reason))

    def wake_strangers(self, out: Output, agent: Agent, places: Cells, revision: NDArray[np.uint64]) -> None:
        """Bring cells to full service that are not in the cell table, by their places and highest revisions (k,)."""
        if len(places):
            why = np.zeros(len(places), np.uint8)
            batch = WakeBatch(self.leader.origin(agent), places, revision + np.uint64(1), why)
            out.wakes.append((agent.agent_id, batch))

    def command(
        self, out: Output, cells: Cells, level: UInt8, reason: UInt8, now_us: int, *, urgent: bool
    ) -> None:
        """Bring cells (k,) to leased levels (k,); ``urgent`` where all go toward more service."""
        if not len(cells):
            return
        self._plans += 1
        plan_id = f"{self.leader.epoch}-{now_us // 1_000_000}-{self._plans}"
        expected = self._leases.level[cells]
        revision = self._leases.command(cells, level)
        batches = [
            (
                agent.agent_id,
                self._batch(
                    agent, plan_id, cells[own], revision[own], level[own], expected[own], reason[own]
                ),
            )
            for agent, own in self._fleet.by_agent(cells)
        ]
        (out.urgent if urgent else out.commands).extend(batches)
        out.durable.append(
            Decided(now_us, plan_id, cells.astype(np.int32), revision, level, expected, reason)
        )

    def renew(self, out: Output, agent: Agent) -> None:
        """Extend the leases of an agent."""
        out.renewals.append((agent.agent_id, self.leader.renewal(agent, self._leases.digest(agent))))

    def _batch(
        self,
        agent: Agent,
        plan_id: str,
        cells: Cells,
        revision: NDArray[np.uint64],
        level: UInt8,
        expected: UInt8,
        reason: UInt8,
    ) -> CommandBatch:
        have = agent.inventory
        assert have is not None
        full = have.abilities.full_service_level
        content = f"{self.leader.epoch}/{agent.agent_id}/{plan_id}/{revision[0]}"
        return CommandBatch(
            origin=self.leader.origin(agent),
            plan_id=plan_id,
            idempotency_key=hashlib.sha256(content.encode()).digest(),
            term_ms=self.leader.term_ms(agent),
            cell=self._fleet.place_of[cells],
            revision=revision,
            level=agent.own_level[level].astype(np.uint8),
            expected_level=np.where(expected > SYMBOL, agent.own_level[expected], full).astype(np.uint8),
            reason=reason,
        )
