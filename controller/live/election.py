"""Winning leadership, keeping it and giving it up: the calls to the agents and their times.

::

    standing by --a majority has no leader--> asking --majority--> leading --a majority knows a higher epoch--> over
        ^                                       |                   | ^
        +---- gives up what it got, waits ------+                   +-+ asks again every third of a term
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from random import Random

from controller.live.term import Term
from hw.adapters.dial import AgentError
from hw.adapters.leader import Voter
from hw.ports import Clock

ASKS_A_TERM = 3
LEAST_WAIT_S = 0.02
ANSWER_WITHIN_S = 10.0  # longest that an agent is waited for
TELL_EVERY_S = 10.0  # while standing by, which shows a watchdog that it does


class Election:
    """One controller among those that may lead a network."""

    def __init__(
        self, voters: Sequence[Voter], term: Term, clock: Clock, random: Random, speed: float
    ) -> None:
        """``speed``: of ``clock`` over the time in which calls and pauses take place."""
        self.term, self._voters, self._clock, self._random = term, voters, clock, random
        self._every_s = term.term_ms / 1000 / ASKS_A_TERM / speed
        self._within_s = min(self._every_s, ANSWER_WITHIN_S)
        self._refusal = ""  # the last error of the last round

    def leads(self) -> bool:
        """Whether this controller leads at this very moment."""
        return self.term.leads(self._clock.monotonic_us())

    async def win(self, told: Callable[[str], None]) -> int:
        """Stand by until a majority grants leadership; returns the epoch. ``told`` hears every so often why not."""
        term = self.term
        while True:
            term.begin_look()
            await self._each(self._look)
            if term.may_stand():
                term.stand()
                await self._each(self._ask)
                if self.leads():
                    return term.epoch
                await self.give_up()
            holder = term.holder()
            cause = f"{holder} leads" if holder else self._no_majority()
            # at random, so that two that ask at once do not do so again
            left_s = self._every_s * self._random.uniform(0.5, 1.5)
            while left_s > 0:
                told(cause)
                await asyncio.sleep(min(left_s, TELL_EVERY_S))
                left_s -= TELL_EVERY_S

    async def keep(self, changed: Callable[[bool], None]) -> None:
        """Keep the majority, until it is beaten; ``changed`` hears whenever it is lost and found."""
        time_s, was = asyncio.get_running_loop().time, True
        while not self.term.is_beaten():
            asking = asyncio.ensure_future(self._each(self._ask))
            until_s = time_s() + self._every_s
            try:
                while (left_s := until_s - time_s()) > 0:
                    if self.leads() != was:
                        was = not was
                        changed(was)
                    await asyncio.sleep(min(left_s, max(self._every_s / 10, LEAST_WAIT_S)))
                await asking
            finally:
                asking.cancel()
        if was:
            changed(False)

    async def give_up(self) -> None:
        """Let others have what was granted. What is not heard ends with its term."""
        who = self.term.candidate
        await self._each(lambda voter: voter.give_up(who, self._within_s))

    def _no_majority(self) -> str:
        """Why nobody leads, neither this controller nor another one."""
        text = f"{self.term.answered()} of {len(self._voters)} agents answer"
        return f"{text}; {self._refusal}" if self._refusal else text

    async def _look(self, voter: Voter) -> None:
        self.term.looked(voter.agent_id, await voter.look(self._within_s))

    async def _ask(self, voter: Voter) -> None:
        term, who, asked_us = self.term, self.term.candidate, self._clock.monotonic_us()
        term.heard(voter.agent_id, who, asked_us, await voter.grant(who, term.term_ms, self._within_s))

    async def _each(self, ask: Callable[[Voter], Awaitable[None]]) -> None:
        async def one(voter: Voter) -> None:
            try:
                await ask(voter)
            except AgentError as error:
                self._refusal = str(error)

        self._refusal = ""
        await asyncio.gather(*map(one, self._voters))
