"""Leadership that was won: what becomes of a controller once it is kept no more."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from random import Random
from typing import Any, cast

import pytest

from benchmarks.virtual_time import run_virtual
from controller.live.election import Election
from controller.live.inbox import Inbox
from controller.live.run import Runner
from controller.live.succession import Office
from controller.live.term import Term
from hw.adapters.dial import AgentUnreachable
from hw.adapters.wire import Candidate, Leadership
from hw.ports import HostClock
from tests.controller.live.loop_doubles import Told


class Voter:
    """An agent that grants, until it is told what to do instead."""

    def __init__(self, agent_id: str) -> None:
        self.agent_id, self.instead = agent_id, list[Any]()

    async def look(self, _deadline_s: float) -> Leadership:
        return Leadership(False, 0, "", 0)

    async def grant(self, who: Candidate, _term_ms: int, _deadline_s: float) -> Leadership:
        for instead in self.instead:
            if isinstance(instead, Exception):
                raise instead
            return cast(Leadership, instead)
        return Leadership(True, who.epoch, who.controller_id, 1000)

    async def give_up(self, _who: Candidate, _deadline_s: float) -> None:
        return None


class Ended:
    """A runner, as far as an office knows it."""

    def __init__(self) -> None:
        self.is_replaced, self.inbox = False, Inbox()


class Silent(Voter):
    """An agent that says that nobody leads it, grants nothing and answers as late as it may."""

    async def look(self, deadline_s: float) -> Leadership:
        await asyncio.sleep(deadline_s)
        return Leadership(False, 0, "", 0)

    async def grant(self, _who: Candidate, _term_ms: int, deadline_s: float) -> Leadership:
        await asyncio.sleep(deadline_s)
        raise AgentUnreachable("no answer")

    async def give_up(self, _who: Candidate, deadline_s: float) -> None:
        await asyncio.sleep(deadline_s)


@pytest.mark.parametrize("term_s", [3, 30, 300])
def test_who_stands_by_shows_it_to_a_watchdog_however_long_a_term_is(term_s: int) -> None:
    async def test() -> list[float]:
        time_s, told_s = asyncio.get_running_loop().time, [0.0]
        term = Term(["a", "b", "c"], "edge-1", term_s * 1000, 0)
        election = Election([Silent(name) for name in "abc"], term, HostClock(), Random(1), 1.0)
        winning = asyncio.ensure_future(election.win(lambda _cause: told_s.append(time_s())))
        await asyncio.sleep(3000)
        winning.cancel()
        return [*told_s, 3000.0]

    told_s = run_virtual(test())
    assert max(later - earlier for earlier, later in pairwise(told_s)) < 45  # half of WatchdogSec


@pytest.mark.parametrize(
    ("instead", "is_replaced"), [(Leadership(False, 9, "edge-2", 1000), True), (RuntimeError("a bug"), False)]
)
def test_who_keeps_leadership_no_more_ends_and_wakes_its_cells_unless_another_leads(
    instead: Any, is_replaced: bool
) -> None:
    async def test() -> None:
        voters, told, runner, ending = [Voter(name) for name in "abc"], Told(), Ended(), asyncio.Event()
        term = Term([voter.agent_id for voter in voters], "edge-1", 300, 0)
        election = Election(voters, term, HostClock(), Random(1), 1.0)
        await election.win(lambda _cause: None)
        office = Office(election, told)
        keeping = asyncio.ensure_future(office.keep())
        governing = asyncio.ensure_future(office.govern(cast(Runner, runner), ending))
        await asyncio.sleep(0.2)
        assert not ending.is_set()
        for voter in voters:
            voter.instead.append(instead)
        await asyncio.wait_for(ending.wait(), 30)
        await governing
        assert runner.is_replaced == is_replaced
        assert bool(told.of("replaced")) == is_replaced
        (error,) = await asyncio.gather(keeping, return_exceptions=True)
        assert (error is None) == is_replaced

    asyncio.run(test())
