"""Two controllers of one network, of which one leads: standing by, leading, and standing by again.

A controller leads only while a majority of the configured agents has granted it its epoch (controller/live/term.py).
Until then it asks now and then, reads nothing and sends nothing. A new leader lets the leases of the one before run out
before anything new rests. One that lost its majority for good leaves what it commanded to its leases and stands by.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random

from controller.live.config import LiveConfig
from controller.live.dialling import dial_of
from controller.live.election import Election
from controller.live.events import Led
from controller.live.following import follow
from controller.live.journal_state import read_head
from controller.live.run import Runner
from controller.live.telling import Tell
from controller.live.term import Term
from controller.live.watchdog import ALIVE, READY, Notifier, starting
from hw.adapters.leader import LeaderClient
from hw.adapters.replica import ReplicaClient
from hw.ports import HostClock
from hw.security.credentials import TlsFiles, client_credentials


@dataclass(frozen=True, slots=True)
class Ended:
    """How a time of leading ended."""

    code: int
    is_closed: bool  # the journal


class Office:
    """Leadership that was won, for as long as it is kept."""

    def __init__(self, election: Election, tell: Tell) -> None:
        self.epoch, self.leads = election.term.epoch, election.leads
        self._election, self._tell = election, tell
        self._is_over, self._is_replaced = asyncio.Event(), False
        self._hear: Callable[[bool], None] = lambda _leads: None

    async def keep(self) -> None:
        """Keep the majority until it is lost for good."""

        def changed(leads: bool) -> None:
            self._tell("majority", leads=leads)
            self._hear(leads)

        try:
            await self._election.keep(changed)
            other = self._election.term.holder() or "another controller"
            self._tell("replaced", cause=f"{other} leads with a later epoch than {self.epoch}")
            self._is_replaced = True
        finally:
            self._is_over.set()  # by an error of ours too, after which nobody would ask for the term any more

    async def govern(self, runner: Runner, ending: asyncio.Event) -> None:
        """Tell a runner of majorities; once all is over, have it end: replaced, without a word to the agents."""
        self._hear = lambda leads: runner.inbox.put_own(Led(leads))
        if not self.leads():
            self._hear(False)
        await self._is_over.wait()
        runner.is_replaced = self._is_replaced
        ending.set()


Lead = Callable[[Office], Awaitable[Ended]]


async def in_turn(
    config: LiveConfig, files: TlsFiles | None, clock: HostClock, tell: Tell, stop: asyncio.Event, lead: Lead
) -> Ended:
    """Stand by and lead in turn, until ``stop``. Returns how it ended."""
    assert config.standby is not None
    async with AsyncExitStack() as stack:
        voters = [
            await stack.enter_async_context(LeaderClient(dial_of(agent, files))) for agent in config.agents
        ]
        while True:
            head = read_head(Path(config.journal))
            floor = 0 if head is None else head.run
            names = [agent.id for agent in config.agents]
            term = Term(names, config.controller, config.standby.term_s * 1000, floor)
            election = Election(voters, term, clock, Random(), clock.speed)
            following = asyncio.ensure_future(_follow(config, files, clock, tell))
            try:
                has_won = await _won(election, tell, stop)
                office = Office(election, tell)
                keeping = asyncio.ensure_future(office.keep()) if has_won else None
            finally:
                async with starting():  # a journal that is just being opened to follow is waited for
                    following.cancel()
                    await asyncio.gather(following, return_exceptions=True)
            if keeping is None:
                await election.give_up()
                return Ended(0, True)
            try:
                ended = await lead(office)
            finally:
                keeping.cancel()
                (failed,) = await asyncio.gather(keeping, return_exceptions=True)
                await election.give_up()
            if isinstance(failed, Exception):
                raise failed
            if stop.is_set() or ended.code or not ended.is_closed:
                return ended


async def _follow(config: LiveConfig, files: TlsFiles | None, clock: HostClock, tell: Tell) -> None:
    """Follow the journal of the other controller, where one is named."""
    assert config.standby is not None
    if config.standby.peer is None:
        return
    credentials = None if files is None else partial(client_credentials, files)
    async with ReplicaClient(config.standby.peer, credentials) as peer:
        try:
            await follow(Path(config.journal), peer, clock, config.retention_us, tell)
        except Exception as error:  # standing by goes on, whatever ended it; leading says it again, and ends
            tell("replica", follows=False, cause=str(error) or type(error).__name__)


async def _won(election: Election, tell: Tell, stop: asyncio.Event) -> bool:
    """Whether leadership was won before ``stop``."""
    notifier, last = Notifier(), ""

    def told(cause: str) -> None:
        nonlocal last
        notifier.tell(READY)
        notifier.tell(ALIVE)
        if cause != last:
            tell("standby", cause=cause)
            last = cause

    winning, stopped = asyncio.ensure_future(election.win(told)), asyncio.ensure_future(stop.wait())
    await asyncio.wait({winning, stopped}, return_when=asyncio.FIRST_COMPLETED)
    won = winning.done()
    for task in (winning, stopped):
        task.cancel()
    await asyncio.gather(winning, stopped, return_exceptions=True)
    notifier.close()
    if won:
        winning.result()  # raises what ended it, as leadership was not won then
    return won
