"""What goes wrong in a chaos run of real processes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.chaos_proc_run import Run


async def kill_controller(run: Run, _agent: str) -> None:
    """kill -9 of the controller."""
    async with run.controller.lock:
        await run.controller.kill()
        run.watch.lost("controller killed")
        await asyncio.sleep(run.random.uniform(0.1, 2.5))
        run.watch.back("controller killed")
        await run.controller.start()


async def break_things(run: Run) -> None:
    await kill_controller(run, "")
