"""The one queue in front of the live core: events in the order in which they came.

Agents wait for a place; ticks and the loop's own messages never do, and are bounded in another way: of each kind of
tick at most one waits.
"""

from __future__ import annotations

import asyncio

from controller.live.events import Event, GuardTick, PlanTick

MAX_WAITING = 1024


class Inbox:
    """Bounded; whoever puts into a full one waits, first come, first served."""

    def __init__(self, max_waiting: int = MAX_WAITING) -> None:
        self._places = asyncio.Semaphore(max_waiting)
        self._events: asyncio.Queue[tuple[Event, bool]] = asyncio.Queue()
        self._ticks_waiting: set[type[Event]] = set()
        self.missed = 0  # ticks left out because one of their kind still waited

    def __len__(self) -> int:
        """Events that wait."""
        return self._events.qsize()

    async def put(self, event: Event) -> None:
        """Queue what an agent sent, once there is room."""
        await self._places.acquire()
        self._events.put_nowait((event, True))

    def put_own(self, event: Event) -> None:
        """Queue what the loop itself has to tell the core, room or not."""
        self._events.put_nowait((event, False))

    def put_tick(self, tick: GuardTick | PlanTick) -> bool:
        """Queue a tick. False: one of its kind still waits, so that this one is left out."""
        if type(tick) in self._ticks_waiting:
            self.missed += 1
            return False
        self._ticks_waiting.add(type(tick))
        self._events.put_nowait((tick, False))
        return True

    async def get(self) -> Event:
        """The oldest event, once there is one."""
        event, holds_place = await self._events.get()
        if holds_place:
            self._places.release()
        self._ticks_waiting.discard(type(event))
        return event
