"""The loop of the controller process: events of all agents through one core, one at a time.

::

    links ---+                                  +--> wakes, urgent commands: to the links at once
             +--> inbox --> core.feed --output--+
    ticks ---+      ^     (ticks in a thread)   +--> outbox: journal, then commands and renewals to the links
                    |                                   |
                    +---------- not sent ---------------+

One task feeds, so feeds never overlap. Nothing renews but what a fed tick hands out: a core that hangs renews nothing,
while the links go on reading until the inbox is full.
However the loop ends, every agent is asked to wake all its cells, but for those that are only watched.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Protocol

import numpy as np

from controller.live.ending import end_all
from controller.live.events import Alarm, Event, GuardTick, Output, PlanTick
from controller.live.inbox import Inbox
from controller.live.messages import event_of, expired
from controller.live.outbox import Outbox, Recorder, Sending
from controller.live.telling import Tell, Value, Watch
from controller.live.ticks import GuardTimes, PlanTimes
from controller.live.worker import Worker
from hw.adapters.dial import AgentError
from hw.adapters.link import AgentLink, Lost
from hw.adapters.power import SetpointBatch
from hw.adapters.radio import CommandBatch
from hw.ports import HostClock

STOP_WITHIN_S = 5.0
FLUSH_WITHIN_S = 2.0
LOOK_AT_CLOCK_S = 1.0  # a clock that was set is seen within this
LATE_SAMPLES_S = 5.0  # for which a plan waits for samples that are due; never longer than a guard interval
LOOK_AGAIN_S = 0.02
LOOK_AT_AGENTS_S = 2.0

OnMessage = Callable[[str, Any], Awaitable[None]]


class Core(Protocol):
    """What decides; see controller/live/core.py."""

    def feed(self, event: Event) -> Output:
        """Take in one event; what is to be done."""
        ...

    def has_all(self, unix_us: int) -> bool:
        """Whether every agent that speaks has reported the last sample that is complete at ``unix_us``."""
        ...

    def leaves_alone(self, agent_id: str) -> bool:
        """Whether no cell of an agent is any of ours."""
        ...


@dataclass(frozen=True, slots=True)
class Pace:
    """When ticks come, on the agents' clock."""

    plan_interval_s: int
    guard_every_s: float


class Runner:
    """The controller process between its core, its agents and its journal."""

    def __init__(
        self,
        core: Core,
        open_links: Callable[[OnMessage], Sequence[AgentLink]],
        recorder: Recorder,
        clock: HostClock,
        pace: Pace,
        tell: Tell,
        set_ready: Callable[[bool], Awaitable[None]],
        leads: Callable[[], bool] = lambda: True,
    ) -> None:
        """``leads`` is asked right before anything toward less service is sent."""
        self._leads, self.is_replaced = leads, False  # replaced: another leads, and knows of no cells of ours
        self._core, self._clock, self._pace, self._tell = core, clock, pace, tell
        self._set_ready = set_ready
        self.inbox = Inbox()
        links = open_links(self._received)
        self.links: Mapping[str, AgentLink] = {link.agent_id: link for link in links}
        sending = Sending(self._command, self._renew, self._not_sent, self._journal_is)
        self.outbox = Outbox(recorder, sending, Random())
        self._journal_cause, self._late = "", False
        self._ready_changed = asyncio.Event()
        self.fed = 0
        # told of each event once its output is carried out, and of the time it took
        self.on_fed: list[Watch] = []
        self._told: dict[str, str] = {}

    async def run(self, stop: asyncio.Event) -> int:
        """Run until ``stop``; then wake all cells. Returns the exit code: 1 after an error of ours."""
        outbox = asyncio.ensure_future(self.outbox.run())
        own = (self._feed(), self._guard(), self._plan(), self._tell_ready(), self._tell_agents())
        streams = (link.run() for link in self.links.values())
        stopped = asyncio.ensure_future(stop.wait())
        work = [stopped, *(asyncio.ensure_future(one) for one in (*own, *streams))]
        self._ready_changed.set()
        try:
            done, _ = await asyncio.wait([outbox, *work], return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.outbox.stop_sending()
            await end_all(work)
            await self._wake_all()
            if not await self.outbox.flush(FLUSH_WITHIN_S):
                self._tell("journal_incomplete", remedy="the last records are not on the disk; look at it")
            await end_all([outbox])
            await self._set_ready(False)
        errors = [task.exception() for task in done if task is not stopped]
        for error in errors:
            self._tell("failed", error=f"{type(error).__name__}: {error}")
        return 1 if errors else 0

    async def _received(self, agent_id: str, message: Any) -> None:
        if isinstance(message, Lost):
            self._tell("disconnected", agent=agent_id, cause=message.reason)
        await self.inbox.put(event_of(agent_id, message))

    async def _feed(self) -> None:
        worker = Worker()
        while True:
            event = await self.inbox.get()
            began_s = time.perf_counter()
            if isinstance(event, GuardTick | PlanTick):
                output = await self._fed_in_time(worker, event)
            else:
                output = self._core.feed(event)
            took_s = time.perf_counter() - began_s
            self.fed += 1
            self._carry_out(output)
            if isinstance(event, PlanTick):
                self._tell_plan(event, output, took_s)
            for told in self.on_fed:
                told(event, output, took_s)
            await asyncio.sleep(0)  # with events waiting, streams and outbox get their turn all the same

    async def _fed_in_time(self, worker: Worker, tick: GuardTick | PlanTick) -> Output:
        """Feed a tick in the thread; while it takes longer than a guard interval, the process is not ready."""
        future = worker.call(self._core.feed, tick)
        done, _ = await asyncio.wait([future], timeout=self._pace.guard_every_s / self._clock.speed)
        if not done:
            self._set_late(True)
        output = await future
        self._set_late(False)
        return output

    def _carry_out(self, output: Output) -> None:
        for agent_id, wakes in output.wakes:
            self.links[agent_id].wake(wakes)
        for agent_id, safes in output.safes:
            self.links[agent_id].wake(safes)
        for agent_id, commands in output.urgent:
            if not (self._leads() and self.links[agent_id].send_urgent(commands)):
                self._not_sent(agent_id, commands)
        self.outbox.put(output)
        for record in output.durable:
            if isinstance(record, Alarm):
                self._tell("alarm", severity=record.severity, about=record.about, text=record.text)

    def _command(self, agent_id: str, batch: CommandBatch | SetpointBatch) -> None:
        if not (self._leads() and self.links[agent_id].send(batch)):
            self._not_sent(agent_id, batch)

    def _renew(self, agent_id: str, renewal: Any) -> None:
        if self._leads():
            self.links[agent_id].renew(renewal)

    def _not_sent(self, agent_id: str, batch: CommandBatch | SetpointBatch) -> None:
        """Tell the core that a batch changes nothing: for it, that is a lease that was over on arrival."""
        self.inbox.put_own(expired(agent_id, batch))

    async def _guard(self) -> None:
        clock, every_us = self._clock, round(self._pace.guard_every_s * 1e6)
        times = GuardTimes.starting(every_us, clock.monotonic_us())
        while True:
            await asyncio.sleep(times.wait_us(clock.monotonic_us()) / 1e6 / clock.speed)
            missed = times.missed
            if times.due(clock.monotonic_us()):
                self._put_tick(GuardTick(clock.unix_us()), times.missed - missed)

    async def _plan(self) -> None:
        clock = self._clock
        times = PlanTimes.starting(self._pace.plan_interval_s * 1_000_000, clock.unix_us())
        while True:
            wait_s = times.wait_us(clock.unix_us()) / 1e6 / clock.speed
            await asyncio.sleep(min(wait_s, LOOK_AT_CLOCK_S))
            missed = times.missed
            due_us = times.due(clock.unix_us())
            if due_us is not None:
                await self._samples_due(due_us)
                self._put_tick(PlanTick(max(due_us, clock.unix_us())), times.missed - missed)

    async def _samples_due(self, unix_us: int) -> None:
        """Wait for the samples that end at ``unix_us``, but not for long."""
        now_s = asyncio.get_running_loop().time
        until_s = now_s() + min(LATE_SAMPLES_S, self._pace.guard_every_s / self._clock.speed)
        while not self._core.has_all(unix_us) and now_s() < until_s:
            await asyncio.sleep(LOOK_AGAIN_S)

    def _put_tick(self, tick: GuardTick | PlanTick, missed: int) -> None:
        missed += not self.inbox.put_tick(tick)
        if missed:
            self._tell("ticks_missed", kind=type(tick).__name__, count=missed)

    def _set_late(self, late: bool) -> None:
        if late != self._late:
            self._late = late
            self._ready_changed.set()

    def _journal_is(self, written: bool, cause: str) -> None:
        self._journal_cause = "" if written else cause
        self._ready_changed.set()

    async def _tell_ready(self) -> None:
        while True:
            await self._ready_changed.wait()
            self._ready_changed.clear()
            causes = [self._journal_cause] if self._journal_cause else []
            if self._late:
                causes.append("a tick takes longer than the guard interval, so that no lease is renewed")
            await self._set_ready(not causes)
            self._tell_change("ready", str(causes), ready=not causes, cause="; ".join(causes))

    async def _tell_agents(self) -> None:
        """How many agents are connected and what keeps the first of the others, whenever that changes."""
        while True:
            await asyncio.sleep(LOOK_AT_AGENTS_S)
            away = [link for link in self.links.values() if not link.is_open]
            about = {"connected": len(self.links) - len(away), "of": len(self.links)}
            cause = f"{away[0].agent_id}: {away[0].reason}" if away else ""
            self._tell_change("agents", str(about), **about, first_missing=cause)

    def _tell_plan(self, tick: PlanTick, output: Output, took_s: float) -> None:
        n_wakes = sum(len(batch.cell) for _, batch in output.wakes)
        n_commands = sum(len(batch.cell) for _, batch in (*output.urgent, *output.commands))
        if n_wakes or n_commands:
            at = np.datetime64(tick.unix_us, "us").astype("datetime64[s]")
            self._tell("plan", at=f"{at}Z", wakes=n_wakes, commands=n_commands, took_ms=round(took_s * 1e3))

    def _tell_change(self, what: str, state: str, **about: Value) -> None:
        if self._told.get(what) != state:
            self._told[what] = state
            self._tell(what, **about)

    async def _wake_all(self) -> None:
        """Ask all agents to wake all cells, and tell who did not confirm it in time."""
        links = [link for link in self.links.values() if not self._core.leaves_alone(link.agent_id)]
        links = [] if self.is_replaced else links  # their leases run out, or are the other's by now
        missing = await asyncio.gather(*(self._unconfirmed(link) for link in links))
        unconfirmed = [f"{link.agent_id} ({what})" for link, what in zip(links, missing, strict=True) if what]
        self._tell("stopped", confirmed=len(links) - len(unconfirmed), unconfirmed=", ".join(unconfirmed))

    async def _unconfirmed(self, link: AgentLink) -> str:
        """What of an agent did not confirm that it wakes; empty: all did."""
        try:
            async with asyncio.timeout(STOP_WITHIN_S):
                names = await link.wake_all("the controller stops")
        except (AgentError, TimeoutError):
            return "all"
        return f"{len(names)} cells" if names else ""
