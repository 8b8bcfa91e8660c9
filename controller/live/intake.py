"""What agents of cells say: inventories, reports and answers, checked before anything of them counts."""

from __future__ import annotations

import numpy as np

from controller.live.alarms import Alarms
from controller.live.batches import Sender
from controller.live.events import Alarm, Answered, Output
from controller.live.fleet import Agent, Cells, Fleet
from controller.live.hearing import Hearing
from controller.live.observing import Samples
from controller.live.reconcile import Standing, answers_fault, report_fault
from controller.live.wanted import Wanted
from hw.adapters.radio import Inventory, RejectCause, Report
from policies.policy import Reason


class Intake(Hearing[Agent, Inventory, Report]):
    """Takes in the events of agents."""

    then = "its cells are only woken"

    def __init__(
        self,
        fleet: Fleet,
        standing: Standing,
        samples: Samples,
        wanted: Wanted,
        sender: Sender,
        alarms: Alarms,
    ) -> None:
        super().__init__(fleet, standing.lose, alarms, wanted.silent, sender.leader.epoch)
        self._fleet, self._standing, self._samples = fleet, standing, samples
        self._wanted, self._sender = wanted, sender
        fleet.electorate.changed = self._majority_changed
        self._oldest = 0  # number of the oldest sample that may be the newest of an agent

    def reported(self, report: Report, out: Output, now_us: int) -> None:
        """A report: samples, and the state of each cell against what was commanded."""
        agent = self._heard(report, out, now_us)
        if agent is None:
            return
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
            self._follows_other(agent, out, now_us)
        self._wake(out, self._standing.answered(agent, answers), now_us)

    def mark_silent(self, out: Output, now_us: int, stale_after: int) -> None:
        """Which agents have sent no report, or no sample, for so many guard ticks."""
        self._wanted.guard_ticks += 1
        self._oldest = self._samples.number_at(now_us) - stale_after
        super().mark_silent(out, now_us, stale_after)
        self._wanted.no_agent_is_silent = self._wanted.guard_ticks >= stale_after

    def _join(self, agent: Agent, inventory: Inventory) -> list[str]:
        return self._fleet.join(agent, inventory)

    def _fault(self, agent: Agent, report: Report) -> str:
        return report_fault(agent, report)

    def _is_unmeasured(self, agent: Agent, _now_us: int) -> bool:
        return 0 <= agent.last_sample < self._oldest

    def _forget_future(self, agent: Agent, now_us: int) -> None:
        if self._samples.lie_ahead(agent, now_us):
            self._samples.forget(agent)

    def _forget(self, agent: Agent) -> None:
        agent.first_sample = -1  # what it says from now on is no whole interval yet

    def _follows_other(self, agent: Agent, out: Output, now_us: int) -> None:
        """No sleep and no renewal at an agent that says it follows a later leader."""
        if agent.follows_other:
            return
        super()._follows_other(agent, out, now_us)
        self._sender.settle(out, self._wanted, now_us)

    def _majority_changed(self, out: Output, now_us: int) -> None:
        """Nothing but wakes once a majority of all agents follows a later leader; plans anew once it does no more."""
        electorate = self._fleet.electorate
        self._wanted.leads = electorate.leads
        if electorate.leads:
            self._alarms.clear(out, "leader", now_us)
        else:
            self._wanted.end_plan()
            text = f"{electorate.others} agents follow a later leader than epoch {self._epoch}: this one only wakes"
            self._alarms.tell(out, Alarm(now_us, "critical", "controller", text), "leader")
        self._sender.settle(out, self._wanted, now_us)

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
