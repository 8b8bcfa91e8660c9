"""What the cores of radio and power agents share: steps, renewals, wakes, stop, and what the plant confirmed.

A core owns no clock, socket or disk. It is fed a message and the monotonic time and hands back a Step. Whoever runs it
carries a step out in this order:

1. ``wake`` to the plant, at once and waiting for nothing;
2. ``persist``, or what the book is to keep by then, to disk, then ``persisted(...)``;
3. ``sleep`` to the plant; where the disk failed, ``confirm(sleep, none done)`` instead;
4. ``rows`` and ``renewal`` to who asked, at any time.

After each order it calls ``confirm(order, done, now)``, whose step holds the answers. Orders may run side by side.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Generic

import numpy as np

from hw.adapters.radio import Origin, Outcome, RejectCause, Renewal, RenewalAnswer
from hw.adapters.wire import Hello
from hw.agents.durable import Durable, Latch
from hw.agents.lease import LeaseBook
from hw.agents.slot import APPLIED, EXPIRED, LAST_REVISION, Asked, Order, V, Verdict, rejected
from hw.ports import Bools, Int64


@dataclass(frozen=True, slots=True)
class Row:
    """One answer."""

    place: int
    revision: int
    verdict: Verdict


@dataclass(slots=True)
class Step(Generic[V]):
    """What is to be done after a message; the order is that of the module."""

    wake: Order[V] | None = None
    persist: Durable | None = None
    sleep: Order[V] | None = None
    rows: list[Row] = field(default_factory=list)
    renewal: RenewalAnswer | None = None
    is_changed: bool = False  # the state is worth a report


class LeasedCore(ABC, Generic[V]):
    """The part of a core that is the same for cells and sites."""

    def __init__(self, book: LeaseBook[V]) -> None:
        self.book = book
        self.on_disk = book.durable
        self._clearing: tuple[Durable, Latch] | None = None

    @abstractmethod
    def digest(self) -> bytes:
        """Digest of the active set: place, highest revision seen and value of each leased slot."""

    @property
    def latch(self) -> Latch:
        """The stop latch."""
        return self.book.durable.latch

    @property
    def highest_epoch(self) -> int:
        """Highest epoch seen."""
        return self.book.durable.highest_epoch

    def left_ms(self, now_us: int) -> Int64:
        """Time left of each lease; 0: none. Shape (n,). [ms]"""
        left = [max(0, slot.until_us - now_us) // 1000 if slot.is_leased else 0 for slot in self.book.slots]
        return np.array(left, np.int64)

    def local(self) -> Bools:
        """Whether each slot is switched or locked by hand. Shape (n,)."""
        return np.array([slot.is_local for slot in self.book.slots], np.bool_)

    def refusal(self, hello: Hello, now_us: int) -> str:
        """Why a controller may not lead; empty: it may."""
        durable, grants = self.book.durable, self.book.grants
        if grants.follows(durable, hello.leader_epoch, hello.controller_id, now_us):
            return ""
        if hello.leader_epoch < durable.highest_epoch:
            return f"hello.leader_epoch: {hello.leader_epoch} is below {durable.highest_epoch}, seen before"
        left_s = grants.left_us(durable, now_us) / 1e6
        return f"hello: leadership is granted to {durable.granted_to!r} for {left_s:.0f} s more"

    def hello(self, hello: Hello, now_us: int) -> Step[V]:
        """A leader opens a stream; see ``refusal`` first."""
        by_grant_of = hello.controller_id if hello.leads_by_grants else ""
        self.book.adopt_epoch(hello.leader_epoch, hello.controller_id, now_us, by_grant_of)
        return self._finish(Step(), now_us)

    def tick(self, now_us: int) -> Step[V]:
        """Time has passed."""
        return self._finish(Step(), now_us)

    def next_due_us(self) -> int:
        """When ``tick`` is due. [us]"""
        return self.book.next_due_us()

    def renew(self, renewal: Renewal, now_us: int) -> Step[V]:
        """Extend all leases, if leader and agent mean the same ones."""
        book, origin = self.book, renewal.origin
        book.expire(now_us)
        book.adopt_epoch(origin.leader_epoch, origin.controller_id, now_us)
        end_us = book.end_us(origin, renewal.term_ms)
        verdict = book.judge_origin(origin, now_us)
        if verdict is None and end_us <= now_us:
            verdict = EXPIRED
        if verdict is None and renewal.active_digest != self.digest():
            verdict = rejected(RejectCause.DIGEST_MISMATCH)
        if verdict is not None:
            return self._finish(Step(renewal=self._renewal_answer(origin, verdict)), now_us)
        return self._extend(origin, end_us, min(renewal.plan_monotonic_us, origin.monotonic_us), now_us)

    def _extend(self, origin: Origin, end_us: int, plan_us: int, now_us: int) -> Step[V]:
        for place, slot in enumerate(self.book.slots):
            if slot.is_leased:
                self.book.extend(place, end_us, plan_us)
        step = self._finish(Step(), now_us, renewal=origin)
        if step.sleep is None:
            step.renewal = self._renewal_answer(origin, APPLIED)
        return step

    def _renewal_answer(self, origin: Origin, verdict: Verdict) -> RenewalAnswer:
        return RenewalAnswer(origin.monotonic_us, verdict.outcome, verdict.cause, self.digest())

    def wake(self, asked: Iterable[tuple[int, int]], now_us: int) -> Step[V]:
        """Bring slots, as place and revision, to rest whoever asks and whatever epoch, boot or revision he has."""
        step: Step[V] = Step()
        pending = []
        for place, revision in asked:
            self.book.wake(place, revision, now_us)
            slot = self.book.slots[place]
            if slot.is_local:
                step.rows.append(Row(place, revision, rejected(RejectCause.LOCAL_CONTROL)))
            else:
                pending.append(Asked(place, revision, slot.version))
        return self._finish(step, now_us, pending)

    def wake_places(self, places: Iterable[int], now_us: int) -> Step[V]:
        """Bring slots to rest where nobody counts revisions; commands on their way do not come back."""
        return self.wake(((i, min(self.book.slots[i].revision + 1, LAST_REVISION)) for i in places), now_us)

    def stop(self, author: str, reason: str, unix_us: int, now_us: int) -> Step[V]:
        """Set the latch and bring all slots to rest."""
        self.book.change(replace(self.book.durable, latch=Latch(True, author, reason, unix_us)))
        return self.wake_places(range(len(self.book.slots)), now_us)

    def cleared(self, author: str, reason: str, unix_us: int) -> Durable:
        """What has to be on disk before the latch is cleared by ``persisted``."""
        durable = replace(self.book.durable, latch=Latch(False, author, reason, unix_us))
        self._clearing = (durable, self.latch)
        return durable

    def persisted(self, durable: Durable) -> None:
        """This is on disk now. A latch that it clears is cleared, unless it was set anew meanwhile."""
        book = self.book
        self.on_disk = durable
        if book.durable is durable:
            book.is_dirty = False
        elif self._clearing is not None and self._clearing[0] is durable and self._clearing[1] is self.latch:
            book.durable = replace(book.durable, latch=durable.latch)

    def confirm(self, order: Order[V], done: Iterable[bool], now_us: int) -> Step[V]:
        """What the plant made of an order: one entry a slot of it."""
        verdicts = self.book.confirm(order, done, now_us)
        versions = dict(zip(order.place, order.version, strict=True))
        step: Step[V] = Step(is_changed=not all(order.extends) or set(verdicts.values()) != {APPLIED})
        for asked in order.asked:
            is_last = versions[asked.place] == asked.version
            verdict = verdicts[asked.place] if is_last else Verdict(Outcome.SUPERSEDED)
            step.rows.append(Row(asked.place, asked.revision, verdict))
        if order.renewal is not None:
            step.renewal = self._renewal_answer(order.renewal, _worst(verdicts.values()))
        return self._finish(step, now_us)

    def _finish(
        self, step: Step[V], now_us: int, asked: Iterable[Asked] = (), renewal: Origin | None = None
    ) -> Step[V]:
        asked = tuple(asked)
        self.book.expire(now_us)
        step.wake = self.book.take_due(now_us, False, asked)
        step.sleep = self.book.take_due(now_us, True, asked, renewal)
        step.persist = self.book.durable if self.book.is_dirty else None
        step.is_changed |= any(
            order is not None and not all(order.extends) for order in (step.wake, step.sleep)
        )
        return step


def _worst(verdicts: Iterable[Verdict]) -> Verdict:
    """The answer to a renewal: a slot that fell back meanwhile makes the active set another one."""
    failed = rejected(RejectCause.PLANT_FAILED)
    seen = set(verdicts)
    if failed in seen:
        return failed
    return APPLIED if seen <= {APPLIED} else rejected(RejectCause.DIGEST_MISMATCH)
