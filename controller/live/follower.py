"""Agents that do at once what they are told: what another policy would have found at the sites of a recorded run.

Inventories, traffic and operators are those of the record. States, answers and leases follow the commands of the core
that is fed. Recorded answers are left out, for nobody asked that way.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from controller.live.events import Answered, Connected, Event, Output, Renewed, Reported
from hw.active_set import CELL, active_digest
from hw.adapters.radio import (
    Answers,
    CommandBatch,
    Inventory,
    Outcome,
    RejectCause,
    Renewal,
    RenewalAnswer,
    Report,
    WakeBatch,
)


class Follower:
    """One agent with n cells."""

    def __init__(self, inventory: Inventory) -> None:
        n = inventory.abilities.n_cells
        self._full = inventory.abilities.full_service_level
        self.boot_id = inventory.boot_id
        self.level = np.full(n, self._full, np.uint8)
        self._revision = np.zeros(n, np.uint64)
        self._until_us = np.zeros(n, np.int64)  # end of the lease on the agent's clock

    def command(self, batch: CommandBatch) -> Answers:
        """Take levels."""
        self.level[batch.cell], self._revision[batch.cell] = batch.level, batch.revision
        self._until_us[batch.cell] = batch.origin.monotonic_us + batch.term_ms * 1000
        return self._applied(batch)

    def wake(self, batch: WakeBatch) -> Answers:
        """Go to full service."""
        self.level[batch.cell], self._revision[batch.cell] = self._full, batch.revision
        return self._applied(batch)

    def renew(self, renewal: Renewal) -> RenewalAnswer:
        """Extend the leases, if the same ones are meant."""
        alike = renewal.active_digest == self._digest()
        outcome, cause = Outcome.APPLIED, RejectCause.NONE
        if not alike:
            outcome, cause = Outcome.REJECTED, RejectCause.DIGEST_MISMATCH
        else:
            self._until_us[self._leased()] = renewal.origin.monotonic_us + renewal.term_ms * 1000
        return RenewalAnswer(renewal.origin.monotonic_us, outcome, cause, self._digest())

    def report(self, recorded: Report) -> Report:
        """A recorded report with the states as they would have been."""
        if recorded.boot_id != self.boot_id:
            self.boot_id = recorded.boot_id
            self._until_us[:] = 0
        self.level[(self._until_us <= recorded.monotonic_us) | recorded.local_control] = self._full
        left_ms = np.where(self.level > self._full, (self._until_us - recorded.monotonic_us) // 1000, 0)
        return replace(
            recorded,
            level=self.level.copy(),
            commanded_level=self.level.copy(),
            revision=self._revision.copy(),
            lease_left_ms=left_ms,
            active_digest=self._digest(),
        )

    def _leased(self) -> np.ndarray:
        return np.flatnonzero(self.level > self._full)

    def _digest(self) -> bytes:
        places = self._leased()
        active = np.zeros(len(places), CELL)
        active["place"], active["revision"], active["level"] = (
            places,
            self._revision[places],
            self.level[places],
        )
        return active_digest(active)

    def _applied(self, batch: CommandBatch | WakeBatch) -> Answers:
        k = len(batch.cell)
        applied = np.full(k, Outcome.APPLIED, np.uint8)
        return Answers(batch.cell, batch.revision, applied, np.zeros(k, np.uint8), self.level[batch.cell])


class Followers:
    """All agents of a recorded run."""

    def __init__(self) -> None:
        self._agents: dict[str, Follower] = {}

    def instead_of(self, event: Event) -> Event | None:
        """What happens instead of a recorded event, None where nothing does."""
        if isinstance(event, Connected):
            agent_id, boot_id = event.inventory.agent_id, event.inventory.boot_id
            if agent_id not in self._agents or self._agents[agent_id].boot_id != boot_id:
                self._agents[agent_id] = Follower(event.inventory)
        if isinstance(event, Reported) and event.report.agent_id in self._agents:
            agent = self._agents[event.report.agent_id]
            fits = len(agent.level) == len(event.report.local_control)
            return Reported(agent.report(event.report)) if fits else event
        return None if isinstance(event, Answered | Renewed) else event

    def carry_out(self, output: Output) -> Iterator[Event]:
        """Do what an output says; the answers."""
        for agent_id, wakes in output.wakes:
            if agent_id in self._agents:
                yield Answered(agent_id, self._agents[agent_id].wake(wakes))
        for agent_id, batch in [*output.urgent, *output.commands]:
            if agent_id in self._agents:
                yield Answered(agent_id, self._agents[agent_id].command(batch))
        for agent_id, renewal in output.renewals:
            if agent_id in self._agents:
                yield Renewed(agent_id, self._agents[agent_id].renew(renewal))
