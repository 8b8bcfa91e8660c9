"""Where operators' words come in: checked against the roles, fed to the core like any event, answered with its ruling.

A refused call is fed as well, so that the journal keeps it; of many in a short time only some.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

import numpy as np

from controller.live.canary_watch import CanaryWatch
from controller.live.events import (
    Approved,
    CallRefused,
    Cleared,
    Event,
    Lifted,
    Output,
    Overridden,
    Ruling,
    Scope,
    StageChanged,
    Stopped,
    Word,
)
from controller.live.inbox import Inbox
from controller.live.ladder import Ladder, Stage
from controller.live.roles import Roles
from hw.adapters.ladder import NotAllowedError, Said, Standing
from hw.ports import HostClock
from hw.security.limits import TokenBucket

ANSWER_WITHIN_S = 8.0
MAX_WAITING = 100  # words that wait for the core
REFUSALS_PER_S, REFUSALS_AT_ONCE = 1.0, 100  # that the journal keeps


class Desk:
    """Takes words to the core and waits for its rulings."""

    def __init__(
        self,
        inbox: Inbox,
        ladder: Ladder,
        roles: Roles,
        clock: HostClock,
        canaries: CanaryWatch,
    ) -> None:
        self._clock, self._canaries = clock, canaries
        self._inbox, self._ladder, self._roles = inbox, ladder, roles
        self._waiting: dict[int, asyncio.Future[Output]] = {}
        self._kept, self._not_kept = TokenBucket(REFUSALS_PER_S, REFUSALS_AT_ONCE), 0

    async def approve(self, who: str, plan_id: str, kind: str, name: str) -> Said:
        """Let a plan go out."""
        return await self._say("Approve", Approved(plan_id, Scope(kind, name), who))

    async def override(
        self, who: str, scope: tuple[str, str], what: str, level: str, length_s: int, why: str
    ) -> Said:
        """Keep cells from what plans want, for so long. [s]"""
        until_us = self._clock.unix_us() + length_s * 1_000_000
        return await self._say("Override", Overridden(Scope(*scope), what, level, until_us, who, why))

    async def lift(self, who: str, number: int, why: str) -> Said:
        """Ask for the end of an override."""
        return await self._say("LiftOverride", Lifted(number, who, why))

    async def change_stage(self, who: str, scope: tuple[str, str], stage: str, why: str) -> Said:
        """Ask for another stage."""
        return await self._say("ChangeStage", StageChanged(Scope(*scope), stage, who, why))

    async def stop(self, who: str, reason: str) -> None:
        """Set the stop latch: nobody who was let in is asked for more."""
        await self._fed(Stopped(who, reason))

    async def clear_stop(self, who: str, reason: str) -> None:
        """Clear the stop latch."""
        word = Cleared(who, reason)
        self._check(who, "ClearStop", word)
        await self._fed(word)

    async def standing(self, who: str) -> Standing:
        """What waits and what is in force."""
        self._check(who, "ListPending", None)
        found, canaries = standing_of(self._ladder), self._canaries
        return replace(found, canaries=tuple(canaries.standing()), canaries_wait=canaries.waits)

    def answer(self, event: Event, output: Output, _took_s: float) -> None:
        """Give what came of an event that was fed to whoever waits for it."""
        future = self._waiting.pop(id(event), None)
        if future is not None and not future.done():
            future.set_result(output)

    def refused(self, who: str, method: str, cause: str) -> None:
        """Have a refused call recorded."""
        if not self._kept.take(time.monotonic()):
            self._not_kept += 1
            return
        more, self._not_kept = self._not_kept, 0
        said = f"{cause} ({more} refusals before are not kept)" if more else cause
        self._inbox.put_own(CallRefused(who, method, said))

    async def _say(self, method: str, word: Word) -> Said:
        self._check(word.author, method, word)
        if len(self._waiting) >= MAX_WAITING:
            raise TimeoutError
        output = await self._fed(word)
        ruling = next(r for r in output.durable if isinstance(r, Ruling))
        return Said(ruling.verdict, ruling.number, ruling.cause)

    async def _fed(self, event: Word | Stopped | Cleared) -> Output:
        """What comes of an event once it is fed."""
        future: asyncio.Future[Output] = asyncio.get_running_loop().create_future()
        self._waiting[id(event)] = future
        self._inbox.put_own(event)
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                return await future
        finally:
            self._waiting.pop(id(event), None)

    def _check(self, who: str, method: str, word: Word | Cleared | None) -> None:
        cause = self._roles.refusal(who, word, self._ladder)
        if cause:
            self.refused(who, method, cause)
            raise NotAllowedError(cause)


def standing_of(ladder: Ladder) -> Standing:
    """What waits and what is in force, for people to read."""
    pending, site_id = ladder.pending, ladder.places.site_id
    sites: tuple[tuple[str, int], ...] = ()
    if pending is not None:
        names, counts = np.unique(site_id[pending.cells], return_counts=True)
        sites = tuple(zip(names.tolist(), counts.tolist(), strict=True))
    names, first = np.unique(site_id, return_index=True)
    stages = tuple(
        (name, Stage(int(ladder.stage[at])).word)
        for name, at in zip(names.tolist(), first.tolist(), strict=True)
    )
    return Standing(
        "" if pending is None else pending.plan_id,
        0 if pending is None else pending.until_unix_us,
        sites,
        tuple((_words(word), author, until) for word, author, until in ladder.waiting),
        tuple(
            (
                o.number,
                said.scope.kind,
                said.scope.name,
                said.what,
                said.level,
                said.until_unix_us,
                said.author,
                said.reason,
            )
            for o in ladder.overrides
            for said in [o.said]
        ),
        stages,
    )


def _words(word: Word) -> str:
    if isinstance(word, StageChanged):
        return f"stage {word.stage} for {word.scope}"
    assert isinstance(word, Lifted), word
    return f"end of override {word.number}"
