"""How the tasks of the loop end."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

END_WITHIN_S = 1.0  # for streams to close


async def end_all(tasks: Sequence[asyncio.Future[Any]]) -> None:
    """Cancel tasks and wait for their end, but not for ever: the wakes that follow matter more.

    Their errors were told or come too late to matter.
    """
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks, timeout=END_WITHIN_S)
    for task in tasks:
        if task.done() and not task.cancelled():
            task.exception()
