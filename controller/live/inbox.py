"""The one queue in front of the live core: events in the order in which they came.

Agents wait for a place; ticks and the loop's own messages never do, and are bounded in another way: of each kind of
tick at most one waits. A report without samples that still waits is replaced by the next one of its agent, which says
all of it anew, so that a flood of reports holds up neither ticks nor answers.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from controller.live.events import Connected, Event, GuardTick, PlanTick, Reported

MAX_WAITING = 1024


@dataclass(slots=True)
class _Entry:
    """What waits."""

    event: Event
    holds_place: bool


class Inbox:
    """Bounded; whoever puts into a full one waits, first come, first served."""

    def __init__(self, max_waiting: int = MAX_WAITING) -> None:
        self._places = asyncio.Semaphore(max_waiting)
        self._events: asyncio.Queue[_Entry] = asyncio.Queue()
        self._replaceable: dict[str, _Entry] = {}  # by agent: a report, with nothing of the agent behind it
        self._ticks_waiting: set[type[Event]] = set()
        self.missed = 0  # ticks left out because one of their kind still waited

    def __len__(self) -> int:
        """Events that wait."""
        return self._events.qsize()

    async def put(self, event: Event) -> None:
        """Queue what an agent sent, once there is room."""
        agent_id = _agent_of(event)
        waiting = self._replaceable.pop(agent_id, None)
        if waiting is not None and isinstance(event, Reported):
            waiting.event = event
        else:
            await self._places.acquire()
            waiting = _Entry(event, holds_place=True)
            self._events.put_nowait(waiting)
        if isinstance(event, Reported) and not event.report.carried.shape[1]:
            self._replaceable[agent_id] = waiting

    def put_own(self, event: Event) -> None:
        """Queue what the loop itself has to tell the core, room or not."""
        self._events.put_nowait(_Entry(event, holds_place=False))

    def put_tick(self, tick: GuardTick | PlanTick) -> bool:
        """Queue a tick. False: one of its kind still waits, so that this one is left out."""
        if type(tick) in self._ticks_waiting:
            self.missed += 1
            return False
        self._ticks_waiting.add(type(tick))
        self._events.put_nowait(_Entry(tick, holds_place=False))
        return True

    async def get(self) -> Event:
        """The oldest event, once there is one."""
        entry = await self._events.get()
        event = entry.event
        if entry.holds_place:
            self._places.release()
        agent_id = _agent_of(event)
        if self._replaceable.get(agent_id) is entry:
            del self._replaceable[agent_id]
        self._ticks_waiting.discard(type(event))
        return event


def _agent_of(event: Event) -> str:
    """The agent that an event is of; empty: of none."""
    if isinstance(event, Reported):
        return event.report.agent_id
    if isinstance(event, Connected):
        return event.inventory.agent_id
    return getattr(event, "agent_id", "")
