"""Our code with one safeguard taken out. A simulation that does not notice is worth nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from unittest.mock import patch

from controller.live.outbox import Outbox
from controller.live.run import Runner
from hw.agents.lease import LeaseBook
from hw.agents.slot import NEVER_US

Mutant = Callable[[], AbstractContextManager[object]]


@contextmanager
def no_lease_timer() -> Iterator[None]:
    """Agent and plant do not end a lease by themselves."""
    take_due = LeaseBook.take_due

    def without_timer(self, now_us, leased, asked=(), renewal=None):  # type: ignore[no-untyped-def]
        order = take_due(self, now_us, leased, asked, renewal)
        return None if order is None else replace(order, until_us=[0] * len(order.place))

    with (
        patch.object(LeaseBook, "expire", lambda _self, _now_us: None),
        patch.object(LeaseBook, "take_due", without_timer),
        patch.object(
            LeaseBook, "next_due_us", lambda self: min((s.due_us for s in self.slots), default=NEVER_US)
        ),
    ):
        yield


@contextmanager
def no_epoch_check() -> Iterator[None]:
    """Agents remember no epoch, and obey former leaders."""
    with patch.object(LeaseBook, "adopt_epoch", lambda _self, *_: None):
        yield


@contextmanager
def no_boot_check() -> Iterator[None]:
    """Agents obey what was decided before they started."""
    judge = LeaseBook.judge_origin

    def lenient(self, origin, now_us):  # type: ignore[no-untyped-def]
        return judge(self, replace(origin, boot_id=self.boot_id), now_us)

    with patch.object(LeaseBook, "judge_origin", lenient):
        yield


@contextmanager
def send_before_journal() -> Iterator[None]:
    """Commands leave before their records are durable."""
    put = Outbox.put

    def sending(self, output):  # type: ignore[no-untyped-def]
        self._send(output, is_sent=True)
        put(self, replace(output, commands=[], renewals=[]))

    with patch.object(Outbox, "put", sending):
        yield


@contextmanager
def wakes_wait() -> Iterator[None]:
    """Wakes go the way of all commands, behind the journal."""
    carry_out, send = Runner._carry_out, Outbox._send

    def carrying(self, output):  # type: ignore[no-untyped-def]
        self.outbox.links = self.links
        late = [*output.durable, *output.wakes, *output.safes]
        carry_out(self, replace(output, wakes=[], safes=[], durable=late))

    def sending(self, output, *, is_sent):  # type: ignore[no-untyped-def]
        send(self, output, is_sent=is_sent)
        for agent_id, wakes in (record for record in output.durable if isinstance(record, tuple)):
            self.links[agent_id].wake(wakes)

    with patch.object(Runner, "_carry_out", carrying), patch.object(Outbox, "_send", sending):
        yield


MUTANTS: dict[str, Mutant] = {
    "lease_timer": no_lease_timer,
    "epoch_check": no_epoch_check,
    "journal_before_send": send_before_journal,
    "boot_check": no_boot_check,
    "wake_priority": wakes_wait,
}
