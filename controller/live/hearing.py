"""What agents of cells and of sites say of themselves: boots, streams, silence, and whom they follow.

Nothing that an agent says raises an error. What cannot be used is set aside and counted, and an alarm is raised once.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from controller.live.alarms import Alarms
from controller.live.events import Alarm, Output, Renewed
from controller.live.fleet import Agent, Assigned
from hw.adapters.power import PowerInventory, PowerReport
from hw.adapters.radio import Inventory, Outcome, RejectCause, Report

A = TypeVar("A", bound=Agent)
Inv = TypeVar("Inv", Inventory, PowerInventory)
Rep = TypeVar("Rep", Report, PowerReport)


class Hearing(ABC, Generic[A, Inv, Rep]):
    """Takes in the events of agents."""

    noun, one = "agent", "an agent"  # what they are called
    then = ""  # what follows where one follows a later leader

    def __init__(
        self,
        fleet: Assigned[A],
        lose: Callable[[A], None],
        alarms: Alarms,
        silent: NDArray[np.bool_],
        epoch: int,
    ) -> None:
        """``lose``: told of an agent that restarted; ``silent`` by agent, written here; ``epoch``: of this leader."""
        self._assigned, self._lose, self._alarms = fleet, lose, alarms
        self._silent, self._epoch = silent, epoch

    @abstractmethod
    def _join(self, agent: A, inventory: Inv) -> list[str]:
        """Take in an inventory. Returns what is wrong with it."""

    @abstractmethod
    def _fault(self, agent: A, report: Rep) -> str:
        """Why a report cannot be used, empty where it can."""

    @abstractmethod
    def _is_unmeasured(self, agent: A, now_us: int) -> bool:
        """Whether an agent that once sent samples has sent none for long."""

    @abstractmethod
    def _forget(self, agent: A) -> None:
        """An agent is silent."""

    @abstractmethod
    def _forget_future(self, agent: A, now_us: int) -> None:
        """Forget what an agent measured, if that lies in the future: it counts as long unmeasured then.

        Only a clock that was set back makes it so. Kept, it would look fresh until the clock has caught up, and keep
        what is measured by the new time from being taken.
        """

    def connected(self, inventory: Inv, out: Output, now_us: int) -> None:
        """A stream is open; what its agent has is commanded only once it has reported."""
        agent = self._assigned.get(inventory.agent_id)
        if agent is None:
            self._alarms.count(f"inventory of {self.one} that is not configured")
            return
        self._see_boot(agent, inventory.boot_id)
        problems = self._join(agent, inventory)
        agent.begin_stream()
        self._alarms.clear(out, f"report/{agent.agent_id}", now_us)
        found = [Alarm(now_us, "major", agent.agent_id, problem) for problem in problems]
        self._alarms.settle(out, f"inventory/{agent.agent_id}/", found, now_us)
        self._see_epoch(agent, inventory.highest_epoch, out, now_us)

    def disconnected(self, agent_id: str) -> None:
        """A stream is gone; leases run on until they are known to be over."""
        agent = self._assigned.get(agent_id)
        if agent is not None:
            agent.is_connected = agent.is_reconciled = False

    def renewed(self, event: Renewed, out: Output, now_us: int) -> None:
        """The answer to a renewal. One that was refused costs nothing yet: the leases run on for a while."""
        agent, answer = self._assigned.get(event.agent_id), event.answer
        if agent is None or answer.outcome == Outcome.APPLIED:
            return
        self._alarms.count("renewal refused")
        if answer.cause == RejectCause.LOWER_EPOCH:
            self._follows_other(agent, out, now_us)
        if answer.cause == RejectCause.DIGEST_MISMATCH:
            agent.recheck()

    def mark_silent(self, out: Output, now_us: int, stale_after: int) -> None:
        """Which agents have sent no report for so many guard ticks, or no sample for long."""
        for agent in self._assigned.agents:
            self._forget_future(agent, now_us)
            agent.silent_ticks = 0 if agent.reports else agent.silent_ticks + 1
            is_silent = agent.silent_ticks >= stale_after or self._is_unmeasured(agent, now_us)
            self._silent[agent.number] = is_silent
            key = f"silent/{agent.agent_id}"
            if is_silent:
                what = "samples of now; check it and the clocks" if agent.reports else "reports; check it"
                text = f"{self.noun} {agent.agent_id!r} sends no {what}"
                self._alarms.tell(out, Alarm(now_us, "major", agent.agent_id, text), key)
                self._forget(agent)
            else:
                self._alarms.clear(out, key, now_us)

    def _heard(self, report: Rep, out: Output, now_us: int) -> A | None:
        """The agent of a report, None where the report cannot be used."""
        agent = self._assigned.get(report.agent_id)
        if agent is None or not agent.is_connected:
            self._alarms.count(f"report of {self.one} that is not connected")
            return None
        fault = self._fault(agent, report)
        if fault:
            self._alarms.count(fault)
            text = f"{self.noun} {agent.agent_id!r}: a report was set aside: {fault}; check the agent"
            alarm = Alarm(now_us, "warning", agent.agent_id, text)
            self._alarms.tell(out, alarm, f"report/{agent.agent_id}")
            return None
        self._see_boot(agent, report.boot_id)
        agent.sequence, agent.monotonic_us = report.sequence, report.monotonic_us
        agent.reports += 1
        self._see_epoch(agent, report.highest_epoch, out, now_us)
        return agent

    def _see_boot(self, agent: A, boot_id: bytes) -> None:
        if boot_id != agent.boot_id:
            self._lose(agent)
            agent.begin_boot(boot_id)

    def _see_epoch(self, agent: A, highest_epoch: int, out: Output, now_us: int) -> None:
        if highest_epoch > self._epoch:
            self._follows_other(agent, out, now_us)
        elif agent.follows_other:
            agent.follows_other = False
            self._alarms.clear(out, f"leader/{agent.agent_id}", now_us)
            self._assigned.electorate.count(False, out, now_us)

    def _follows_other(self, agent: A, out: Output, now_us: int) -> None:
        """Nothing is leased and no lease extended at an agent that says it follows a later leader."""
        if agent.follows_other:
            return
        agent.follows_other = True
        text = f"{self.noun} {agent.agent_id!r} follows a later leader than epoch {self._epoch}: {self.then}"
        self._alarms.tell(out, Alarm(now_us, "major", agent.agent_id, text), f"leader/{agent.agent_id}")
        self._assigned.electorate.count(True, out, now_us)
