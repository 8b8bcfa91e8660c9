"""What goes on beside the loop of a controller: retention, signed heads, reloading. None of it ends unseen.

::

    an error of ours --> told as `failed` with the name of the task --> begins again after a minute
                                                                   +--> all ends, with 1: what cannot be gone without
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from controller.errors import JournalError
from controller.live.journal_writer import JournalWriter
from controller.live.telling import Tell
from hw.ports import HostClock

AGAIN_AFTER_S = 60.0
PRUNE_EVERY_S = 3600.0


class Aside:
    """Tasks beside a loop that ends with ``ending``."""

    def __init__(self, ending: asyncio.Event, tell: Tell) -> None:
        self._ending, self._tell = ending, tell
        self._tasks: list[asyncio.Task[None]] = []
        self.has_failed = False  # so that all ends

    def keep_up(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        """Run what a controller does its duty without for a while, and again after an error."""

        async def run() -> None:
            while True:
                if not await self._told(name, work):
                    return
                await asyncio.sleep(AGAIN_AFTER_S)

        self._tasks.append(asyncio.create_task(run(), name=name))

    def need(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        """Run what a controller must not go on without: an error of it ends the loop."""

        async def run() -> None:
            if await self._told(name, work):
                self.has_failed = True
                self._ending.set()

        self._tasks.append(asyncio.create_task(run(), name=name))

    def cancel(self) -> None:
        """End all of them."""
        for task in self._tasks:
            task.cancel()

    async def _told(self, name: str, work: Callable[[], Awaitable[None]]) -> bool:
        """Whether it ended by an error, which is told."""
        try:
            await work()
        except Exception as error:  # whatever it is
            self._tell("failed", task=name, error=f"{type(error).__name__}: {error}")
            return True
        return False


async def prune(writer: JournalWriter, clock: HostClock, retention_us: int, tell: Tell) -> None:
    """Delete what is older from a journal, every hour until cancelled; tells what keeps it from that, once."""
    told = ""
    while True:
        cause = ""
        try:
            while await writer.prune(clock.unix_us() - retention_us):
                await asyncio.sleep(0)
        except (JournalError, OSError) as error:
            cause = str(error)
        if cause and cause != told:
            tell("journal_not_pruned", cause=cause)
        told = cause
        await asyncio.sleep(PRUNE_EVERY_S)
