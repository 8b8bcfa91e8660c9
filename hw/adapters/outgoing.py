"""What waits to be written to one agent: urgent messages first, and never more than a bound of each.

::

    urgent    wakes, commands toward more service     always next
    ordinary  commands and one renewal, in order      only while nothing urgent waits
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Generic, TypeVar

M = TypeVar("M")

MAX_URGENT = 64
MAX_ORDINARY = 32


class Outgoing(Generic[M]):
    """The two queues of a link. Messages are handed over without waiting; one writer takes them."""

    def __init__(self, max_urgent: int = MAX_URGENT, max_ordinary: int = MAX_ORDINARY) -> None:
        self._max_urgent, self._max_ordinary = max_urgent, max_ordinary
        self._urgent: deque[M] = deque()
        self._ordinary: deque[M] = deque()
        self._renewal: M | None = None  # the one that waits among the ordinary
        self._filled = asyncio.Event()

    def __len__(self) -> int:
        return len(self._urgent) + len(self._ordinary)

    def put_urgent(self, message: M) -> bool:
        """Queue a message ahead of all ordinary ones. False: no room, it must go another way.

        A renewal that waits is dropped: it names an active set that this message changes first, so that the agent
        would refuse it.
        """
        if len(self._urgent) >= self._max_urgent:
            return False
        self._drop_renewal()
        self._urgent.append(message)
        self._filled.set()
        return True

    def put(self, message: M) -> bool:
        """Queue a message behind all others. False: no room, it is not sent."""
        if len(self._ordinary) >= self._max_ordinary:
            return False
        self._ordinary.append(message)
        self._filled.set()
        return True

    def put_renewal(self, message: M) -> bool:
        """Queue a renewal behind all others; one that still waits is dropped for it. False: no room."""
        self._drop_renewal()
        if not self.put(message):
            return False
        self._renewal = message
        return True

    async def take(self) -> M:
        """The next message, once there is one."""
        while not self:
            self._filled.clear()
            await self._filled.wait()
        if self._urgent:
            return self._urgent.popleft()
        message = self._ordinary.popleft()
        if message is self._renewal:
            self._renewal = None
        return message

    def take_all(self) -> tuple[list[M], list[M]]:
        """Empty both queues: what was urgent, what was ordinary."""
        left = list(self._urgent), list(self._ordinary)
        self._urgent.clear()
        self._ordinary.clear()
        self._renewal = None
        return left

    def _drop_renewal(self) -> None:
        if self._renewal is not None:
            waiting = self._renewal
            self._ordinary = deque(message for message in self._ordinary if message is not waiting)
            self._renewal = None
