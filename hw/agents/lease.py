"""Leases of an agent's cells or sites: one slot each, changed here and nowhere else.

::

                 grant                    confirm: done
      at rest ----------> on its way ---------------------> in force
        ^                  |      ^                          |    |
        |                  |      +------ grant, extend -----+    |
        |                  | release: wake, expiry, end of plan,  |
        |                  v stop, site limit, not done           v
        +------------- falling back <-----------------------------+
        confirm: done      | not done: ordered again after RETRY_US
                           +--> falling back

    drop: from anywhere to at rest without an order, where the plant fell back by itself or is under local control

At rest means full service for a cell and safe charging for a site: it needs no lease. A slot is "on its way" or
"falling back" until the plant has confirmed the order. Orders to the plant are numbered, so that one that was
overtaken has no effect; where it is confirmed all the same its slot is ordered once more. An extension only moves a
timer: a plant that has fallen back by itself is not brought down again by it, and the lease is over.

A lease ends at the echoed monotonic time plus its term, whenever it arrives. Renewals extend it, but never beyond the
longest plan after the report that the last plan was decided on which commanded or kept it. Clocks and sockets are
elsewhere: time is passed in.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Generic

from hw.adapters.radio import Origin, Outcome, RejectCause
from hw.agents.durable import Durable
from hw.agents.grants import Grants
from hw.agents.slot import (
    ACCEPTED,
    APPLIED,
    EXPIRED,
    NEVER_US,
    SUPERSEDED,
    Asked,
    Order,
    Slot,
    V,
    Verdict,
    rejected,
)

RETRY_US = 1_000_000  # between orders that the plant did not carry out


def _ended(slot: Slot[V], verdict: Verdict) -> Verdict:
    """The verdict once what was taken is over; a refusal stays one."""
    was_taken = slot.verdict.outcome in (Outcome.ACCEPTED, Outcome.APPLIED)
    return verdict if was_taken else slot.verdict


class LeaseBook(Generic[V]):
    """The slots of one boot of an agent, and what the agent keeps on disk."""

    def __init__(
        self,
        rest: V,
        has_dead_man: list[bool],
        boot_id: bytes,
        longest_term_ms: int,
        longest_plan_ms: int,
        durable: Durable,
    ) -> None:
        """``rest``: what a slot falls back to; ``has_dead_man``: per slot, whether its plant has a timer."""
        self.rest = rest
        self.boot_id = boot_id
        self.durable = durable
        self.grants = Grants(durable)
        self.is_dirty = False  # the epoch or the latch is not on disk yet
        self.slots = [Slot(rest) for _ in has_dead_man]
        self._has_dead_man = has_dead_man
        self._longest_term_us = longest_term_ms * 1000
        self._longest_plan_us = longest_plan_ms * 1000
        self._number = 0  # of the last order

    # What a command must fulfil

    def adopt_epoch(self, epoch: int, controller_id: str, now_us: int, by_grant_of: str = "") -> None:
        """Keep the highest epoch; it must be on disk before anything toward less service of it is done.

        ``by_grant_of``: who leads by grants and has none here yet, and so is not obeyed before it has one.
        """
        durable = self.durable
        if epoch > durable.highest_epoch and self.grants.follows(durable, epoch, controller_id, now_us):
            durable = replace(durable, highest_epoch=epoch, granted_instance="", grant_ms=0)
            self.change(replace(durable, granted_to=by_grant_of))

    def change(self, durable: Durable) -> None:
        """Change what is kept on disk; it is handed out with the next step."""
        self.durable, self.is_dirty = durable, True

    def judge_origin(self, origin: Origin, now_us: int) -> Verdict | None:
        """Refuse what was decided by another leader, for another boot or on a report that was never made."""
        if not self.grants.follows(self.durable, origin.leader_epoch, origin.controller_id, now_us):
            return rejected(RejectCause.LOWER_EPOCH)
        if self.grants.has_lapsed(self.durable, now_us):
            return rejected(RejectCause.NOT_GRANTED)
        if origin.boot_id != self.boot_id:
            return rejected(RejectCause.OTHER_BOOT)
        if origin.monotonic_us > now_us:
            return rejected(RejectCause.UNKNOWN_REPORT)
        return None

    def judge_revision(self, place: int, revision: int, asked: V) -> Verdict | None:
        """Refuse an old revision and answer a known one as it stands; note a new one."""
        slot = self.slots[place]
        if revision < slot.revision:
            return rejected(RejectCause.LOWER_REVISION)
        if revision == slot.revision:
            return slot.verdict if slot.asked == asked else rejected(RejectCause.REVISION_REUSED)
        slot.revision, slot.asked = revision, asked
        return None

    def refuse(self, place: int, verdict: Verdict) -> Verdict:
        """Note the refusal of the highest revision, for it may be asked again."""
        self.slots[place].verdict = verdict
        return verdict

    def judge_slot(self, place: int, origin: Origin, end_us: int, now_us: int) -> Verdict | None:
        """Refuse a lease that is over, was overtaken by a wake, or meets the latch or a local switch."""
        slot = self.slots[place]
        if slot.is_local:
            return rejected(RejectCause.LOCAL_CONTROL)
        if self.durable.latch.is_set:
            return rejected(RejectCause.STOPPED)
        if end_us <= now_us:
            return EXPIRED
        return SUPERSEDED if origin.monotonic_us <= slot.woken_us else None

    def end_us(self, origin: Origin, term_ms: int) -> int:
        """When a lease ends. [us]"""
        return origin.monotonic_us + min(term_ms * 1000, self._longest_term_us, self._longest_plan_us)

    # The edges

    def grant(self, place: int, value: V, origin: Origin, end_us: int) -> None:
        """A lease begins, or goes on with another value."""
        self._become(self.slots[place], value, end_us, ACCEPTED)
        self.slots[place].plan_end_us = origin.monotonic_us + self._longest_plan_us

    def extend(self, place: int, end_us: int, plan_us: int) -> None:
        """A lease lasts longer, but no longer than its plan, and is never cut short.

        ``plan_us``: time of the report that the last plan which keeps it was decided on.
        """
        slot = self.slots[place]
        slot.plan_end_us = max(slot.plan_end_us, plan_us + self._longest_plan_us)
        slot.until_us = max(slot.until_us, min(end_us, slot.plan_end_us))
        if slot.is_confirmed:
            slot.due_us = 0  # for the timer of the plant; one on its way is moved once it is confirmed

    def release(self, place: int, verdict: Verdict, now_us: int, value: V | None = None) -> None:
        """Fall back, to ``value`` where a command asks for another one that needs no lease."""
        slot = self.slots[place]
        self._become(slot, self.rest if value is None else value, 0, _ended(slot, verdict))
        slot.due_us = NEVER_US if slot.is_local else now_us

    def ask_rest(self, place: int, value: V, now_us: int) -> None:
        """A command asks for what needs no lease."""
        slot = self.slots[place]
        slot.verdict = ACCEPTED
        self.release(place, ACCEPTED, now_us, value)

    def wake(self, place: int, revision: int, now_us: int) -> None:
        """Fall back whoever asks; what was decided before cannot come back."""
        slot = self.slots[place]
        if revision > slot.revision:
            slot.revision, slot.asked = revision, None
        slot.woken_us = now_us
        self.release(place, SUPERSEDED, now_us)

    def drop(self, place: int, verdict: Verdict) -> None:
        """The plant fell back by itself, or is under local control: nothing to order."""
        slot = self.slots[place]
        self._become(slot, self.rest, 0, _ended(slot, verdict))
        slot.is_confirmed, slot.due_us = True, NEVER_US

    def _become(self, slot: Slot[V], value: V, until_us: int, verdict: Verdict) -> None:
        slot.value, slot.until_us, slot.verdict = value, until_us, verdict
        slot.is_leased = until_us > 0
        slot.version += 1
        slot.is_confirmed, slot.due_us = False, 0

    def set_local(self, place: int, is_local: bool, now_us: int) -> None:
        """Local control begins and takes the slot, or ends and leaves it to be brought to rest."""
        slot = self.slots[place]
        if is_local and not slot.is_local:
            slot.is_local = True
            self.drop(place, rejected(RejectCause.LOCAL_CONTROL))
        elif slot.is_local and not is_local:
            slot.is_local = False
            self.release(place, SUPERSEDED, now_us)

    # Time and the plant

    def expire(self, now_us: int) -> None:
        """Fall back where a lease is over."""
        for place, slot in enumerate(self.slots):
            if slot.is_leased and slot.until_us <= now_us:
                self.release(place, EXPIRED, now_us)

    def order_again(self, place: int, now_us: int) -> None:
        """What the plant shows is less service than wanted: say it once more."""
        self.slots[place].is_confirmed = False
        self.slots[place].due_us = now_us

    def take_due(
        self, now_us: int, leased: bool, asked: Iterable[Asked] = (), renewal: Origin | None = None
    ) -> Order[V] | None:
        """The leased slots to be ordered now, or those at rest; None: there are none."""
        due = [i for i, slot in enumerate(self.slots) if slot.due_us <= now_us and slot.is_leased == leased]
        if not due:
            return None
        slots = [self.slots[i] for i in due]
        for slot in slots:
            slot.due_us = NEVER_US
        self._number = max(self._number + 1, now_us)
        return Order(
            due,
            [slot.value for slot in slots],
            [slot.until_us if self._has_dead_man[i] else 0 for i, slot in zip(due, slots, strict=True)],
            [slot.version for slot in slots],
            [leased and slot.is_confirmed for slot in slots],
            self._number,
            tuple(a for a in asked if self.slots[a.place].is_leased == leased),
            renewal,
        )

    def confirm(self, order: Order[V], done: Iterable[bool], now_us: int) -> dict[int, Verdict]:
        """What the plant did, per place of the order."""
        verdicts = {}
        rows = zip(order.place, order.version, order.until_us, done, strict=True)
        for place, version, until_us, is_done in rows:
            slot = self.slots[place]
            if slot.version != version:
                verdicts[place] = SUPERSEDED
                self._unsettle(slot, now_us)
            elif is_done:
                verdicts[place] = APPLIED
                self._settle(slot, until_us, now_us)
            else:
                verdicts[place] = rejected(RejectCause.PLANT_FAILED)
                self._fail(place, now_us)
        return verdicts

    def _unsettle(self, slot: Slot[V], now_us: int) -> None:
        """An overtaken order may have come last at the plant."""
        if not slot.is_local:
            slot.is_confirmed, slot.due_us = False, min(slot.due_us, now_us)

    def _settle(self, slot: Slot[V], until_us: int, now_us: int) -> None:
        slot.is_confirmed, slot.changed_us = True, now_us
        if slot.is_leased and 0 < until_us < slot.until_us:
            slot.due_us = now_us  # the lease was extended meanwhile
        if slot.verdict == ACCEPTED:
            slot.verdict = APPLIED

    def _fail(self, place: int, now_us: int) -> None:
        slot = self.slots[place]
        was_leased = slot.is_leased
        self.release(place, rejected(RejectCause.PLANT_FAILED), now_us, None if was_leased else slot.value)
        slot.due_us = NEVER_US if slot.is_local else now_us + (0 if was_leased else RETRY_US)

    def next_due_us(self) -> int:
        """When time has to be looked at again. [us]"""
        return min(
            (min(s.due_us, s.until_us if s.is_leased else NEVER_US) for s in self.slots), default=NEVER_US
        )
