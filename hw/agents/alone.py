"""What is written one piece after the other, each to its end, whoever stops waiting for it meanwhile.

A call of gRPC is cancelled at its caller's deadline, a thread that writes is not: were the next one let in then, the
first would write over it once a disk that hung goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

R = TypeVar("R")


class Alone:
    """Runs one piece of work at a time, in the order in which they were asked for."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._tasks: set[asyncio.Task[Any]] = set()

    async def run(self, work: Callable[[], Awaitable[R]]) -> R:
        """The result of ``work``, which begins once all before it is over. It goes on where its caller is cancelled."""
        task = asyncio.ensure_future(self._alone(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return await asyncio.shield(task)

    async def _alone(self, work: Callable[[], Awaitable[R]]) -> R:
        async with self._lock:
            return await work()
