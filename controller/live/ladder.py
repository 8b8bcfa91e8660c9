"""The ladder from watching to acting, and what operators say about single cells, sites and regions.

::

    shadow  -> plans, and sends nothing
    advise  -> sends a plan to the sites for which somebody approved it, until its planning interval ends
    canary  -> sends to the canary cells only
    act     -> sends to all cells

    up the ladder, or the end of an override:   asked by one person -> waits -> asked by another -> in force
    down the ladder, an override, an approval:  asked by one person -> in force

Only cells of simulated plants are ever sent anything toward less service, whatever their stage. What becomes free to
rest does so with the next plan, an approved plan at once. Cells of an event in the
calendar are awake from one planning interval before it. Times are those that come in; nothing here knows the time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import assert_never

import numpy as np
from numpy.typing import NDArray

from controller.live.calendar import Calendar
from controller.live.events import (
    Approved,
    CallRefused,
    Lifted,
    Overridden,
    Ruling,
    Scope,
    StageChanged,
    UInt8,
    Word,
)
from controller.live.places import Places, PlacesError
from hw.world import SYMBOL
from policies.policy import Reason

Mask = NDArray[np.bool_]
NO_LIMIT = 255
WAITS_US = 3_600_000_000  # for which something asked for waits for a second person
MAX_OVERRIDES = 1000
AWAKE, LEAVE_ALONE, MAX_LEVEL = "awake", "leave alone", "max level"
IN_FORCE, WAITS, REFUSED = "in force", "waits", "refused"


class Stage(IntEnum):
    """How far the controller may go; higher numbers may do more."""

    SHADOW = 0
    ADVISE = 1
    CANARY = 2
    ACT = 3

    @property
    def word(self) -> str:
        """As operators and files write it."""
        return self.name.lower()


STAGES = {stage.word: stage for stage in Stage}


@dataclass(frozen=True, slots=True)
class Override:
    """One that is in force."""

    number: int
    said: Overridden
    cells: Mask  # (n,)
    level: int  # deepest that it allows


@dataclass(frozen=True, slots=True)
class Pending:
    """A plan that waits for approval at some sites."""

    plan_id: str
    until_unix_us: int
    cells: Mask  # (n,) that it wants below full service, and that approval would let go there
    level: UInt8  # (n,)


class RefusedWordError(Exception):
    """A word that is not followed; the message says why and what to do."""


class Ladder:
    """Stages, approvals and overrides of n cells."""

    def __init__(
        self,
        places: Places,
        stage: NDArray[np.uint8],
        canary: Mask,
        tick_s: int,
        calendar: Calendar | None = None,
    ) -> None:
        """``stage`` (n,) to begin with; ``canary`` (n,) cells that act at the stage canary."""
        self._calendar = calendar
        self._event = np.zeros(len(stage), np.bool_)  # (n,) awake for an event of the calendar
        n = len(stage)
        self.places, self.stage, self.canary = places, stage.copy(), canary
        self._compared = canary  # (n,) canaries that may act
        self._rolled_back = np.zeros(n, np.bool_)  # (n,) at full service for what their users felt
        self.acts = np.zeros(n, np.bool_)  # (n,) allowed to rest, but for overrides and events
        self._tick_us = tick_s * 1_000_000
        self.overrides: tuple[Override, ...] = ()
        self.pending: Pending | None = None
        self._approved = np.zeros(n, np.bool_)
        self._waiting: dict[Word, tuple[str, int]] = {}  # without its author -> who asked, until when [us]
        self._numbers = 0
        self.deepest = np.full(n, SYMBOL, np.uint8)  # (n,) level that each cell may take
        self.why = np.zeros(n, np.uint8)  # (n,) and why no deeper
        self.alone = np.zeros(n, np.bool_)  # (n,) nothing is sent to it but the end of a lease of ours
        self._update()

    @property
    def shadows(self) -> Mask:
        """Cells for which plans are only imagined. (n,)"""
        return np.asarray(self.stage == Stage.SHADOW)

    @property
    def would_act(self) -> Mask:
        """Cells that their stage lets act, if they are canaries with controls where it asks for that. (n,)"""
        return np.asarray((self.stage == Stage.ACT) | ((self.stage == Stage.CANARY) & self.canary))

    def limit_canaries(self, compared: Mask, rolled_back: Mask) -> None:
        """Of all canaries only those ``compared`` (n,) may act, and no cell ``rolled_back`` (n,)."""
        self._compared, self._rolled_back = compared, rolled_back
        self._update()

    @property
    def waiting(self) -> tuple[tuple[Word, str, int], ...]:
        """What waits for a second person: what, who asked, until when. [us]"""
        return tuple((word, author, until_us) for word, (author, until_us) in self._waiting.items())

    def restore(self, rulings: Sequence[Ruling]) -> None:
        """Follow what was in force when a journal ended, in its order."""
        for ruling in rulings:
            said = ruling.asked
            if isinstance(said, StageChanged):
                self.stage[self._cells(said.scope)] = STAGES[said.stage]
            elif isinstance(said, Overridden):
                self._add(said, ruling.number)
        self._update()

    def plan(self, plan_id: str, level: UInt8, unix_us: int) -> Mask:
        """A new plan begins; approvals of the one before end. Returns the cells that may not follow it as yet. (n,)"""
        self._approved[:] = False
        self.pass_time(unix_us)
        self._update()
        withheld = level > self.deepest
        waits = withheld & (self.stage == Stage.ADVISE)
        self.pending = Pending(plan_id, unix_us + self._tick_us, waits, level) if waits.any() else None
        return withheld

    def pass_time(self, unix_us: int) -> None:
        """End what is over."""
        self._waiting = {word: who for word, who in self._waiting.items() if who[1] > unix_us}
        kept = tuple(one for one in self.overrides if one.said.until_unix_us > unix_us)
        event = self._event
        if self._calendar is not None:
            now_s = unix_us // 1_000_000
            event = self._calendar.awake(now_s, now_s + self._tick_us // 1_000_000)
        ended = self.pending is not None and self.pending.until_unix_us <= unix_us
        if ended:
            self.pending = None
            self._approved[:] = False
        if ended or len(kept) < len(self.overrides) or not np.array_equal(event, self._event):
            self.overrides, self._event = kept, event
            self._update()

    def take(self, said: Word, unix_us: int) -> Ruling:
        """Follow the word of an operator, or say why not."""
        if isinstance(said, CallRefused):
            return Ruling(unix_us, REFUSED, said, 0, said.cause)
        try:
            self.pass_time(unix_us)
            ruling = self._followed(said, unix_us)
        except (RefusedWordError, PlacesError) as error:
            return Ruling(unix_us, REFUSED, said, 0, str(error))
        self._update()
        return ruling

    def _followed(self, said: Approved | Overridden | Lifted | StageChanged, unix_us: int) -> Ruling:
        if not said.author:
            raise RefusedWordError("nobody says who asks; call with a certificate")
        match said:
            case Approved():
                self._approve(said, unix_us)
                return Ruling(unix_us, IN_FORCE, said, 0, "")
            case Overridden():
                if said.until_unix_us <= unix_us:
                    raise RefusedWordError("it ends before it begins; give a later end")
                if len(self.overrides) >= MAX_OVERRIDES:
                    raise RefusedWordError(
                        f"{MAX_OVERRIDES} overrides are in force; lift some, or name regions"
                    )
                self._add(said, self._numbers + 1)
                return Ruling(unix_us, IN_FORCE, said, self._numbers, "")
            case Lifted():
                if said.number not in [one.number for one in self.overrides]:
                    raise RefusedWordError(f"no override {said.number} is in force")
                ruling = self._by_two(said, Lifted(said.number, "", ""), unix_us)
                if ruling.verdict == IN_FORCE:
                    self.overrides = tuple(o for o in self.overrides if o.number != said.number)
                return ruling
            case StageChanged():
                return self._change_stage(said, unix_us)
            case _:
                assert_never(said)

    def _change_stage(self, said: StageChanged, unix_us: int) -> Ruling:
        if said.stage not in STAGES:
            raise RefusedWordError(f"{said.stage!r} is no stage; stages are {', '.join(STAGES)}")
        if said.scope.kind == "cell":
            raise RefusedWordError("a stage is that of whole sites; name a site, a region or the network")
        cells, stage = self._cells(said.scope), STAGES[said.stage]
        ruling = Ruling(unix_us, IN_FORCE, said, 0, "")
        if (self.stage[cells] < stage).any():
            ruling = self._by_two(said, StageChanged(said.scope, said.stage, "", ""), unix_us)
        if ruling.verdict == IN_FORCE:
            self.stage[cells] = stage
            self._approved[cells] = False
        return ruling

    def _by_two(self, said: Lifted | StageChanged, what: Word, unix_us: int) -> Ruling:
        """In force if another person has asked for the same before; else it waits for one."""
        first, until_us = self._waiting.get(what, ("", 0))
        if first and first != said.author:
            del self._waiting[what]
            return Ruling(unix_us, IN_FORCE, said, 0, f"asked for by {first} first")
        if not first and len(self._waiting) >= MAX_OVERRIDES:
            raise RefusedWordError("too much waits for a second person already")
        self._waiting[what] = (said.author, until_us or unix_us + WAITS_US)
        return Ruling(unix_us, WAITS, said, 0, "a second person must ask for the same within an hour")

    def _approve(self, said: Approved, unix_us: int) -> None:
        pending = self.pending
        if pending is None or pending.plan_id != said.plan_id or pending.until_unix_us <= unix_us:
            now = "none waits" if pending is None else f"{pending.plan_id} waits"
            raise RefusedWordError(f"plan {said.plan_id!r} does not wait for approval any more: {now}")
        cells = self._cells(said.scope) & pending.cells & (self.stage == Stage.ADVISE)
        if not cells.any():
            raise RefusedWordError(
                f"plan {said.plan_id!r} wants nothing of {said.scope} that waits for approval"
            )
        self._approved |= cells

    def _add(self, said: Overridden, number: int) -> None:
        if said.what not in (AWAKE, LEAVE_ALONE, MAX_LEVEL):
            raise RefusedWordError(
                f"{said.what!r} is no override; there are {AWAKE}, {LEAVE_ALONE} and {MAX_LEVEL}"
            )
        level = self.places.level(said.level) if said.what == MAX_LEVEL else SYMBOL
        self.overrides += (Override(number, said, self._cells(said.scope), max(level, SYMBOL)),)
        self._numbers = max(self._numbers, number)

    def _cells(self, scope: Scope) -> Mask:
        return self.places.cells(scope)

    def _update(self) -> None:
        """Write ``deepest`` and ``why``: the one place where it is said what may be sent."""
        acts = self.would_act & ((self.stage == Stage.ACT) | self._compared)
        acts |= (self.stage == Stage.ADVISE) & self._approved
        self.deepest = np.where(acts, NO_LIMIT, SYMBOL).astype(np.uint8)
        self.why = np.where(acts, 0, Reason.GUARD_STAGE).astype(np.uint8)
        back = acts & self._rolled_back
        self.deepest[back], self.why[back] = SYMBOL, Reason.GUARD_ROLLBACK
        self.acts = acts & ~back
        self.alone = self.shadows.copy()
        for one in self.overrides:
            if one.said.what == LEAVE_ALONE:
                self.alone |= one.cells
            lower = one.cells & (one.level < self.deepest)
            self.deepest[lower], self.why[lower] = one.level, Reason.GUARD_OVERRIDE
        here = self._event & (self.deepest > SYMBOL)
        self.deepest[here], self.why[here] = SYMBOL, Reason.GUARD_EVENT
