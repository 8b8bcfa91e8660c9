"""What agents say: inventories, reports and answers, checked before anything of them counts.

Nothing that an agent says raises an error. What cannot be used is set aside and counted, and an alarm is raised once.
"""

from __future__ import annotations

import numpy as np

from controller.live.alarms import Alarms
from controller.live.batches import Sender
from controller.live.events import Alarm, Answered, Connected, Output, Renewed
from controller.live.fleet import Agent, Cells, Fleet
from controller.live.observing import Samples
from controller.live.reconcile import Standing, answers_fault, report_fault
from controller.live.wanted import Wanted
from hw.adapters.radio import Outcome, RejectCause, Report
from policies.policy import Reason


class Intake:
    """Takes in the events of agents."""

    def __init__(
        self,
        fleet: Fleet,
        standing: Standing,
        samples: Samples,
        wanted: Wanted,
        sender: Sender,
        alarms: Alarms,
    ) -> None:
        self._fleet, self._standing, self._samples = fleet, standing, samples
        self._wanted, self._sender, self._alarms = wanted, sender, alarms

    def connected(self, event: Connected, out: Output, now_us: int) -> None:
        """A stream is open; its agent's cells rest only once it has reported."""
        inventory = event.inventory
        agent = self._fleet.get(inventory.agent_id)
        if agent is None:
            self._alarms.count("inventory of an agent that is not configured")
            return
        if inventory.boot_id != agent.boot_id:
            self._standing.lose(agent)
            agent.begin_boot(inventory.boot_id)
        problems = self._fleet.join(agent, inventory)
        agent.begin_stream()
        self._alarms.clear(out, f"report/{agent.agent_id}", now_us)
        found = [Alarm(now_us, "major", agent.agent_id, problem) for problem in problems]
        self._alarms.settle(out, f"inventory/{agent.agent_id}/", found, now_us)
        self._see_epoch(agent, inventory.highest_epoch, out, now_us)

    def disconnected(self, agent_id: str) -> None:
        """A stream is gone; leases run on until they are known to be over."""
        agent = self._fleet.get(agent_id)
        if agent is not None:
            agent.is_connected = agent.is_reconciled = False

    def reported(self, report: Report, out: Output, now_us: int) -> None:
        """A report: samples, and the state of each cell against what was commanded."""
        agent = self._fleet.get(report.agent_id)
        if agent is None or agent.inventory is None or not agent.is_connected:
            self._alarms.count("report of an agent that is not connected")
            return
        fault = report_fault(agent, report)
        if fault:
            self._alarms.count(fault)
            text = f"agent {agent.agent_id!r}: a report was set aside: {fault}; check the agent"
            alarm = Alarm(now_us, "warning", agent.agent_id, text)
            self._alarms.tell(out, alarm, f"report/{agent.agent_id}")
            return
        if report.boot_id != agent.boot_id:
            self._standing.lose(agent)
            agent.begin_boot(report.boot_id)
        agent.sequence, agent.monotonic_us = report.sequence, report.monotonic_us
        agent.reports += 1
        self._see_epoch(agent, report.highest_epoch, out, now_us)
        wake = self._standing.take(agent, report)
        if now_us:  # before the first tick nobody can say which samples are of another time
            aside = self._samples.take(agent, report, self._standing.reported[agent.cells], now_us)
            if aside:
                self._alarms.count("sample out of order, of another time or of another length", aside)
        self._wake(out, wake, now_us)
        self._strangers(agent, report, out)

    def answered(self, event: Answered, out: Output, now_us: int) -> None:
        """Answers to commands and wakes."""
        agent, answers = self._fleet.get(event.agent_id), event.answers
        if agent is None:
            self._alarms.count("answers of an agent that is not configured")
            return
        fault = answers_fault(agent, answers)
        if fault:
            self._alarms.count(f"answers: {fault}")
            return
        if (answers.cause == RejectCause.LOWER_EPOCH).any():
            self._depose(agent, out, now_us)
        self._wake(out, self._standing.answered(agent, answers), now_us)

    def renewed(self, event: Renewed, out: Output, now_us: int) -> None:
        """The answer to a renewal. One that was refused costs nothing yet: the leases run on for a while."""
        agent, answer = self._fleet.get(event.agent_id), event.answer
        if agent is None or answer.outcome == Outcome.APPLIED:
            return
        self._alarms.count("renewal refused")
        if answer.cause == RejectCause.LOWER_EPOCH:
            self._depose(agent, out, now_us)
        self._standing.renewed(agent, answer.cause)

    def _strangers(self, agent: Agent, report: Report, out: Output) -> None:
        """Wake cells of an agent that hold a lease though no cell table knows them: its digest would never match."""
        if not self._wanted.leads or self._wanted.leaves_alone(agent):
            return
        if len(agent.strangers) and agent.inventory is not None:
            places = agent.strangers
            full = agent.inventory.abilities.full_service_level
            places = places[report.commanded_level[places] > full]
            self._sender.wake_strangers(out, agent, places, report.revision[places])

    def _wake(self, out: Output, cells: Cells, now_us: int) -> None:
        if self._wanted.leads:  # what another leader has put to sleep is none of ours
            cells = self._wanted.may_wake(cells)
            reason = np.full(len(cells), Reason.GUARD_UNACCOUNTED, np.uint8)
            self._sender.wake(out, cells, reason, now_us)

    def _see_epoch(self, agent: Agent, highest_epoch: int, out: Output, now_us: int) -> None:
        if highest_epoch > self._sender.leader.epoch:
            self._depose(agent, out, now_us)

    def _depose(self, agent: Agent, out: Output, now_us: int) -> None:
        """Another controller leads: no sleep and no renewal from here on, and what was commanded is woken."""
        if not self._wanted.leads:
            return
        self._wanted.leads = False
        self._wanted.end_plan()
        epoch = self._sender.leader.epoch
        text = f"agent {agent.agent_id!r} follows a later leader than epoch {epoch}: this one only wakes"
        self._alarms.tell(out, Alarm(now_us, "critical", "controller", text), "leader")
        self._sender.settle(out, self._wanted, now_us)
