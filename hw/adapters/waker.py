"""Sees to it that a wake arrives: what the stream does not answer in time goes by unary call, again and again.

::

    wake put on the stream ------ answered ------> done
        |  not answered in answer_s, or the stream is gone
        v
    unary call, pauses with jitter in between ---- answered ------> done
        |  keep_s after the wake
        v
    given up: by then the lease has woken the cell

Waking is idempotent, so a wake that arrives twice does no harm. No breaker is asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable
from dataclasses import dataclass
from random import Random

from hw.adapters.backoff import Backoff
from hw.adapters.dial import AgentError


@dataclass(slots=True)
class _Wanted:
    revision: int
    due_s: float  # of the unary call
    until_s: float


class Waker:
    """Wakes of one agent that are not answered yet, by place."""

    def __init__(
        self,
        call: Callable[[list[int]], Awaitable[Collection[int]]],
        random: Random,
        *,
        answer_s: float,
        keep_s: float,
    ) -> None:
        """``call`` wakes places by unary call and returns those that do.

        ``answer_s`` is waited for an answer on the stream; ``keep_s`` is the longest term of a lease, in real time. [s]
        """
        self._call = call
        self._backoff = Backoff(random, 0.1, 2.0)
        self._answer_s, self._keep_s = answer_s, keep_s
        self._wanted: dict[int, _Wanted] = {}
        self._changed = asyncio.Event()
        self.unary_calls = 0
        self.given_up = 0

    @property
    def n_wanted(self) -> int:
        """Wakes that are not answered yet."""
        return len(self._wanted)

    def want(self, places: Iterable[int], revisions: Iterable[int], now_s: float, *, at_once: bool) -> None:
        """Expect answers to wakes; ``at_once``: they are not on a stream."""
        due_s = now_s if at_once else now_s + self._answer_s
        for place, revision in zip(places, revisions, strict=True):
            self._wanted[place] = _Wanted(revision, due_s, now_s + self._keep_s)
        self._changed.set()

    def answered(self, places: Iterable[int], revisions: Iterable[int]) -> None:
        """The agent has taken these revisions."""
        for place, revision in zip(places, revisions, strict=True):
            wanted = self._wanted.get(place)
            if wanted is not None and revision >= wanted.revision:
                del self._wanted[place]

    def hurry(self) -> None:
        """The stream is gone: nothing on it will be answered."""
        for wanted in self._wanted.values():
            wanted.due_s = 0.0
        self._changed.set()

    def forget(self) -> None:
        """The agent has started anew, with all cells awake."""
        self._wanted.clear()

    async def run(self) -> None:
        """Make the calls, until cancelled."""
        clock = asyncio.get_running_loop().time
        while True:
            self._changed.clear()
            due = self._due(clock())
            if not due:
                await self._sleep(clock())
                continue
            self.unary_calls += 1
            asked = {place: self._wanted[place].revision for place in due}
            try:
                woken = await self._call(due)
            except AgentError:
                woken = ()
            self.answered(woken, [asked[place] for place in woken])
            if len(woken) == len(due):
                self._backoff.reset()
            else:
                await asyncio.sleep(self._backoff.next_s())

    def _due(self, now_s: float) -> list[int]:
        over = [place for place, wanted in self._wanted.items() if wanted.until_s <= now_s]
        for place in over:
            del self._wanted[place]
        self.given_up += len(over)
        return [place for place, wanted in self._wanted.items() if wanted.due_s <= now_s]

    async def _sleep(self, now_s: float) -> None:
        """Until the next call is due or something is wanted."""
        due_s = min((wanted.due_s for wanted in self._wanted.values()), default=None)
        try:
            async with asyncio.timeout(None if due_s is None else max(0.0, due_s - now_s)):
                await self._changed.wait()
        except TimeoutError:
            return
