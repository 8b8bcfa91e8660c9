"""Unary calls and watching, the same for cells and sites."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from typing import Any, Generic, TypeVar

import grpc

from hw.adapters.wire import MAX_TEXT
from hw.agents.core import Row
from hw.agents.running import AgentRunner, log
from hw.agents.serving import Door
from hw.agents.slot import APPLIED, V

Down = TypeVar("Down")
Up = TypeVar("Up")
MOST_WATCHERS = 16


class Calls(Generic[V, Down, Up]):
    """What the RPCs of both services do."""

    def __init__(self, runner: AgentRunner[V, Down, Up], names: tuple[str, ...], door: Door) -> None:
        self._runner = runner
        self._names = names
        self._place = {name: i for i, name in enumerate(names)}
        self._door = door

    async def identity(self, context: Any, method: str) -> str:
        """Who calls; the call is aborted for one who may not."""
        return await self._door.identity(context, method)

    async def places(self, names: Collection[str], field: str, context: Any) -> list[int]:
        """Places of the named slots; no name: all. Names that are not here are passed over, unless all are."""
        if not names:
            return list(range(len(self._names)))
        found = sorted({self._place[name] for name in names if name in self._place})
        if not found:
            await context.abort(grpc.StatusCode.NOT_FOUND, f"{field}: none of them is here")
        return found

    async def wake(self, places: list[int], who: str, reason: str) -> list[str]:
        """Bring slots to rest; returns the names of those that the plant confirmed."""
        runner = self._runner
        log.info("%s brings %d to rest: %.200r", who, len(places), reason)
        rows: list[Row] = []
        step = runner.core.wake_places(places, runner.clock.monotonic_us())
        await asyncio.shield(runner.spawn(runner.carry(step, lambda done: rows.extend(done.rows))))
        return [self._names[row.place] for row in rows if row.verdict == APPLIED]

    async def stop(self, author: str, reason: str, who: str, context: Any) -> None:
        """Set the latch and bring all to rest. Never refused for its form: long texts are cut."""
        runner = self._runner
        log.warning("%s sets the stop latch: %.200r", who, reason)
        now_us, unix_us = runner.clock.monotonic_us(), runner.clock.unix_us()
        step = runner.core.stop(author[:MAX_TEXT], reason[:MAX_TEXT], unix_us, now_us)
        await asyncio.shield(runner.spawn(runner.carry(step)))
        if not runner.core.on_disk.latch.is_set:
            text = "all is brought to rest, but the latch is not on disk: look at the agent"
            await context.abort(grpc.StatusCode.INTERNAL, text)

    async def clear_stop(self, author: str, reason: str, who: str, context: Any) -> None:
        """Clear the latch."""
        if not reason.strip():
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "reason: must say why the latch is cleared")
        log.warning("%s clears the stop latch: %.200r", who, reason)
        if not await self._runner.clear_stop(author[:MAX_TEXT], reason[:MAX_TEXT]):
            await context.abort(grpc.StatusCode.INTERNAL, "the state is not on disk, so the latch stays set")
        self._runner.tell()

    async def changes(self, context: Any) -> AsyncIterator[None]:
        """Now, and after each change."""
        watchers = self._runner.watchers
        if len(watchers) >= MOST_WATCHERS:
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, f"{MOST_WATCHERS} watch already")
        changed = asyncio.Event()
        watchers.add(changed)
        try:
            while True:
                changed.clear()
                yield
                await changed.wait()
        finally:
            watchers.discard(changed)
