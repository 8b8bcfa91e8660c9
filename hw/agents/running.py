"""Runs an agent's core: gives it time, messages and readings, and carries its steps out at the plant and on disk."""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from quietcell.lease.v1 import lease_pb2

from hw.agents.alone import Alone
from hw.agents.core import LeasedCore, Step
from hw.agents.durable import Disk, Durable
from hw.agents.samples import SampleBuffer
from hw.agents.slot import NEVER_US, Order, V
from hw.agents.stream import Outgoing
from hw.ports import Clock

Down = TypeVar("Down")  # what the agent hears
Up = TypeVar("Up")  # what it says

Reply = Callable[[Step[V]], None]  # is handed the answers of a step

log = logging.getLogger("quietcell.agent")
PLANT_TIMEOUT_S = 5.0  # of the host; a plant that is slower has not done it
LONGEST_NAP_S = 0.25
SHORTEST_NAP_S = 0.001
AFTER_SAMPLE_S = 0.001  # a reading at the very end of a sample could miss it
SHORTEST_READ_S = 0.05  # between readings of the plant, however fast the clock is


@dataclass(frozen=True, slots=True)
class Pace:
    """How often an agent reads and reports, in its own time, and how fast that time runs."""

    report_every_ms: int = 5_000
    read_every_ms: int = 1_000
    speed: float = 1.0  # of the agent's clock over that of the host


class AgentRunner(ABC, Generic[V, Down, Up]):
    """The moving part of an agent. Its core is fed from one event loop, so steps never overlap."""

    def __init__(
        self, core: LeasedCore[V], samples: SampleBuffer, disk: Disk, clock: Clock, pace: Pace
    ) -> None:
        self.core = core
        self.samples = samples
        self.clock = clock
        self.pace = pace
        self.leader: Outgoing[Up] | None = None
        self.watchers: set[asyncio.Event] = set()
        self._disk = disk
        self._writing = Alone()
        self._tasks: set[asyncio.Task[None]] = set()
        self._due = asyncio.Event()
        self._changed = asyncio.Event()  # the plant, by an order of ours
        self._is_reachable = True

    # What differs between cells and sites

    @abstractmethod
    async def apply(self, order: Order[V]) -> list[bool]:
        """Have the plant carry out an order. Raises OSError where it cannot be reached."""

    @abstractmethod
    async def read(self, began_us: int) -> Step[V]:
        """Read the plant, keep its samples and feed the core. Raises OSError where it cannot be reached."""

    @abstractmethod
    def feed(self, message: Down) -> Step[V]:
        """Feed a wake, a command batch or a renewal to the core."""

    @abstractmethod
    def answers(self, step: Step[V]) -> list[Up]:
        """The messages with a step's answers."""

    @abstractmethod
    def too_many(self, message: Down) -> list[Up]:
        """The answers to a message for which there is no room."""

    @abstractmethod
    def inventory(self) -> Up:
        """First on each stream."""

    @abstractmethod
    def report(self, after_sample: int) -> tuple[int, Up]:
        """A new report with the samples after one, and the number of its last."""

    # Steps

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run something that ends by itself, whatever becomes of the stream that it came from."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def carry(self, step: Step[V], reply: Reply[V] | None = None) -> None:
        """Carry a step out in the order that hw/agents/core.py gives; ``reply`` is handed the answers."""
        if reply is not None:
            reply(step)
        waking = None if step.wake is None else self.spawn(self._order(step.wake, reply))
        self._due.set()
        if step.is_changed:
            self.tell()
        is_saved = step.persist is None or await self.save()
        if step.sleep is not None and is_saved:
            await self._order(step.sleep, reply)
        elif step.sleep is not None:
            await self._confirm(step.sleep, [False] * len(step.sleep.place), reply)
        if waking is not None:
            await waking

    async def save(self) -> bool:
        """Write to disk what is to be kept; whether that succeeded."""
        return await self._writing.run(lambda: self._write(self.core.book.durable))

    async def clear_stop(self, author: str, reason: str) -> bool:
        """Clear the latch, on disk first; whether that succeeded. One that is set anew meanwhile stays."""
        core, latch = self.core, self.core.latch

        def write() -> Coroutine[Any, Any, bool]:
            is_same = core.latch is latch
            return self._write(
                core.cleared(author, reason, self.clock.unix_us()) if is_same else core.book.durable
            )

        return await self._writing.run(write)

    async def _write(self, durable: Durable) -> bool:
        """Write what is the newest as its turn comes: one that waited must not undo what was written meanwhile."""
        try:
            await self._disk.save(durable)
        except OSError as error:
            log.error("state is not on disk, so nothing new sleeps: %s", error)
            return False
        self.core.persisted(durable)
        return True

    async def _order(self, order: Order[V], reply: Reply[V] | None) -> None:
        try:
            done = await asyncio.wait_for(self.apply(order), PLANT_TIMEOUT_S)
        except OSError as error:  # timeouts are some too
            log.warning("plant did not take an order: %s", error or type(error).__name__)
            done = []
        except Exception:  # of a foreign driver; the slots must not wait for ever
            log.exception("plant failed")
            done = []
        if len(done) != len(order.place):
            done = [False] * len(order.place)
        await self._confirm(order, done, reply)

    async def _confirm(self, order: Order[V], done: list[bool], reply: Reply[V] | None) -> None:
        step = self.core.confirm(order, done, self.clock.monotonic_us())
        if step.is_changed:
            self._changed.set()
        await self.carry(step, reply)

    def tell(self) -> None:
        """The state has changed: report it at once."""
        if self.leader is not None:
            self.leader.want_report()
        for watcher in self.watchers:
            watcher.set()

    # Time

    async def keep_time(self) -> None:
        """Wake what is due and report when nothing else did, for ever."""
        while True:
            self._due.clear()
            now_us = self.clock.monotonic_us()
            if self.core.next_due_us() <= now_us:
                self.spawn(self.carry(self.core.tick(now_us)))
            leader = self.leader
            if leader is not None and now_us >= leader.reported_us + leader.report_every_ms * 1000:
                leader.reported_us = now_us
                leader.want_report()
            await self._nap(now_us)

    async def _nap(self, now_us: int) -> None:
        left_s = (self.core.next_due_us() - now_us) / 1e6 / self.pace.speed
        if self.leader is not None:
            due_us = self.leader.reported_us + self.leader.report_every_ms * 1000
            left_s = min(left_s, (due_us - now_us) / 1e6 / self.pace.speed)
        await _within(self._due, min(max(left_s, SHORTEST_NAP_S), LONGEST_NAP_S))

    async def keep_reading(self) -> None:
        """Read the plant again and again, soon after each order, and as soon as a sample is complete, for ever."""
        while True:
            self._changed.clear()
            began_us, began_unix_us = self.clock.monotonic_us(), self.clock.unix_us()
            await self.look()
            due_us = began_us + min(self.pace.read_every_ms * 1000, self._until_sample_us(began_unix_us))
            await asyncio.sleep(SHORTEST_READ_S)
            await _within(self._changed, max(due_us - self.clock.monotonic_us(), 0) / 1e6 / self.pace.speed)

    def _until_sample_us(self, unix_us: int) -> int:
        """From then until the next sample has ended, for which a plan may wait; a late one has the usual pace. [us]"""
        samples = self.samples
        left_us = samples.last_end_us + samples.interval_ms * 1000 - unix_us
        return left_us + round(AFTER_SAMPLE_S * 1e6 * self.pace.speed) if left_us > 0 else NEVER_US

    async def look(self) -> None:
        """Read the plant once; where that fails, say so by missing samples."""
        try:
            began_us = self.clock.monotonic_us()
            step = await asyncio.wait_for(self.read(began_us), PLANT_TIMEOUT_S)
        except Exception as error:
            if self._is_reachable:
                log.warning("plant cannot be read: %s", error or type(error).__name__)
            self._is_reachable = False
            if self.samples.add_missing(self.clock.unix_us()):
                self.tell()
            return
        if not self._is_reachable:
            log.info("plant can be read again")
        self._is_reachable = True
        self.spawn(self.carry(step))

    def stop_message(self) -> lease_pb2.StopLatch:
        """The latch, with who and why."""
        latch = self.core.latch
        return lease_pb2.StopLatch(
            is_set=latch.is_set,
            author=latch.author,
            reason=latch.reason,
            changed_unix_us=latch.changed_unix_us,
        )

    async def finish(self) -> None:
        """Bring everything to rest and wait for the plant to say so, as the agent ends."""
        places = range(len(self.core.book.slots))
        await self.carry(self.core.wake_places(places, self.clock.monotonic_us()))


async def _within(event: asyncio.Event, most_s: float) -> None:
    """Wait for an event, but not longer."""
    try:
        async with asyncio.timeout(
            most_s
        ):  # unlike wait_for it loses no cancellation when the event comes with it
            await event.wait()
    except TimeoutError:
        return
