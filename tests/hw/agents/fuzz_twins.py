"""What each cell or site of an agent may hold and until when, from raw messages and the contract alone.

Written apart from the agent, from lease.proto, ran.proto and power.proto. After each message the plant is compared:
less service or less stored charge than here, or a later end, is a violation.
"""

from __future__ import annotations

import hashlib
import struct
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any

import numpy as np
from quietcell.lease.v1 import lease_pb2

from hw.ports import PowerAbilities, RadioAbilities
from tests.fuzzing import LAST, View

TERM_US, PLAN_US = 60_000_000, 75_000_000
WORN_OUT = 2**60  # an epoch or revision from which there is hardly a way up
FULL = 1
ALLOWED = [[0, 1, 2, 3], [0, 1, 2, 3, 4], [1, 2], [0, 1], [0, 1, 2, 3, 4], [0, 1, 2, 4]]
NO_TIMER = 4  # the plant of this cell or site has no timer, so it may not be commanded
N = len(ALLOWED)


class Twin(ABC):
    """The lease rules for N slots; ``value`` is a level, or a setpoint with None for safe charging."""

    REST_KIND: str  # of messages that bring slots to rest
    # whether an agent may refuse nothing that is lawful here, though its plant may lag behind
    IS_OBEYED: bool

    def __init__(self, boot_id: bytes, rest: Any) -> None:
        self.boot_id, self.rest = boot_id, rest
        self.epoch, self.is_stopped = 0, False
        self.ungranted = ""  # who leads with the epoch, once it is granted that here; nothing here grants it
        self.value: list[Any] = [rest] * N
        self.until_us = [0] * N  # 0: no lease
        self.plan_end_us = [0] * N
        self.revision = [0] * N
        self.woken_us = [-1] * N
        self._before: list[tuple[Any, int, int]] = [(rest, 0, 0)] * N
        self._granted: list[list[tuple[Any, int]]] = [[] for _ in range(N)]  # by the last message

    @abstractmethod
    def places(self, batch: Any) -> list[int]:
        """Slots that a message names."""

    @abstractmethod
    def rows(self, batch: Any) -> Iterator[tuple[int, int, Any, Any]]:
        """Slot, revision, value and expected value of each command."""

    @abstractmethod
    def is_possible(self, place: int, value: Any) -> bool:
        """Whether the slot can take it."""

    @abstractmethod
    def is_restful(self, value: Any) -> bool:
        """Whether it needs no lease."""

    @abstractmethod
    def is_expected(self, place: int, value: Any, expected: Any) -> bool:
        """Whether the command knows the state that it changes."""

    @abstractmethod
    def record(self, place: int) -> bytes:
        """The slot as the digest of the active set has it."""

    @abstractmethod
    def show(self, view: View) -> None:
        """What a controller would know now."""

    @property
    def is_worn_out(self) -> bool:
        """Whether an agent in this state takes hardly anything."""
        return max(self.epoch, *self.revision) > WORN_OUT

    def pass_time(self, now_us: int) -> None:
        """Leases end."""
        for i in range(N):
            if self.until_us[i] and self.until_us[i] <= now_us:
                self.value[i], self.until_us[i] = self.rest, 0
        self._granted = [[] for _ in range(N)]
        self._before = list(zip(self.value, self.until_us, self.plan_end_us, strict=True))

    def bring_to_rest(self, places: list[int], now_us: int) -> None:
        """A wake, a stop, or safe charging."""
        for i in places:
            self.value[i], self.until_us[i], self.woken_us[i] = self.rest, 0, now_us

    def stop(self, now_us: int) -> None:
        """The latch is set."""
        self.revision = [min(revision + 1, LAST) for revision in self.revision]
        self.bring_to_rest(list(range(N)), now_us)
        self.is_stopped = True

    def salvage(self, message: Any, now_us: int) -> None:
        """A message that breaks the form: what it brings to rest may be carried out all the same."""
        places = sorted({i for i in self.places(getattr(message, self.REST_KIND))[:65_536] if i < N})
        for i in places:
            self.revision[i] = min(self.revision[i] + 1, LAST)
        self.bring_to_rest(places, now_us)

    def take(self, message: Any, now_us: int) -> None:
        """A message that fulfils the contract's form."""
        kind = message.WhichOneof("message")
        if kind == "hello":
            hello = message.hello
            self._hear(hello.leader_epoch, hello.controller_id if hello.leads_by_grants else "")
        elif kind == "commands":
            self._command(message.commands, now_us)
        elif kind == "renewal":
            self._renew(message.renewal, now_us)
        elif kind == self.REST_KIND:
            batch = getattr(message, kind)
            for i, revision in zip(self.places(batch), batch.revision, strict=True):
                self.revision[i] = max(self.revision[i], revision)
            self.bring_to_rest(self.places(batch), now_us)

    def digest(self) -> bytes:
        """Of the active set."""
        return hashlib.sha256(b"".join(self.record(i) for i in range(N) if self.until_us[i])).digest()

    def _hear(self, epoch: int, ungranted: str) -> None:
        if epoch > self.epoch:
            self.epoch, self.ungranted = epoch, ungranted

    def _is_believed(self, origin: lease_pb2.Origin, now_us: int) -> bool:
        is_led = origin.leader_epoch >= self.epoch
        self._hear(origin.leader_epoch, "")
        is_led &= not self.ungranted
        return is_led and origin.agent_boot_id == self.boot_id and origin.agent_monotonic_us <= now_us

    def _command(self, batch: Any, now_us: int) -> None:
        if not self._is_believed(batch.origin, now_us):
            return
        decided_us = batch.origin.agent_monotonic_us
        end_us = decided_us + min(batch.term_ms * 1000, TERM_US)
        for i, revision, value, expected in self.rows(batch):
            if revision <= self.revision[i]:
                continue
            self.revision[i] = revision
            if not self.is_possible(i, value):
                continue
            if self.is_restful(value):
                self.value[i], self.until_us[i] = value, 0
                continue
            is_current = end_us > now_us and decided_us > self.woken_us[i]
            if is_current and not self.is_stopped and i != NO_TIMER and self.is_expected(i, value, expected):
                self.plan_end_us[i] = decided_us + PLAN_US
                self.value[i], self.until_us[i] = value, min(end_us, self.plan_end_us[i])
                self._granted[i].append((value, self.until_us[i]))

    def _renew(self, renewal: lease_pb2.Renewal, now_us: int) -> None:
        end_us = renewal.origin.agent_monotonic_us + min(renewal.term_ms * 1000, TERM_US)
        is_believed = self._is_believed(renewal.origin, now_us)
        if not is_believed or end_us <= now_us or renewal.active_digest != self.digest():
            return
        for i in range(N):
            if self.until_us[i]:
                planned_us = min(renewal.plan_agent_monotonic_us, renewal.origin.agent_monotonic_us)
                self.plan_end_us[i] = max(self.plan_end_us[i], planned_us + PLAN_US)
                self.until_us[i] = max(self.until_us[i], min(end_us, self.plan_end_us[i]))

    def compare(self, value: list[Any], until_us: list[int]) -> tuple[list[str], int]:
        """What the plant holds without right, and how many slots are not as commanded.

        A slot holds something with right when it was commanded, or had it before. What is not as commanded is taken
        over where the agent may have refused.
        """
        unsafe, refused = [], 0
        for i in range(N):
            got, may = (value[i], until_us[i]), (self.value[i], self.until_us[i])
            if got == may:
                continue
            refused += 1
            is_kept = got == self._before[i][:2] and not self.is_restful(may[0])
            is_shorter = got[0] == may[0] and got[1] < may[1]
            if not (self.is_restful(got[0]) or is_kept or is_shorter or got in self._granted[i]):
                unsafe.append(f"slot {i} holds {got}, allowed is {may}, before it was {self._before[i]}")
            if self.IS_OBEYED:
                continue
            self.value[i], self.until_us[i] = got
            if is_kept:
                self.plan_end_us[i] = self._before[i][2]
        return unsafe, refused


class RadioTwin(Twin):
    """Cells."""

    REST_KIND = "wakes"
    IS_OBEYED = True

    def __init__(self, boot_id: bytes) -> None:
        super().__init__(boot_id, FULL)

    def places(self, batch: Any) -> list[int]:
        return list(batch.cell)

    def rows(self, batch: Any) -> Iterator[tuple[int, int, Any, Any]]:
        return zip(batch.cell, batch.revision, batch.level, batch.expected_level, strict=True)

    def is_possible(self, place: int, value: Any) -> bool:
        return value in ALLOWED[place]

    def is_restful(self, value: Any) -> bool:
        return bool(value <= FULL)

    def is_expected(self, place: int, value: Any, expected: Any) -> bool:
        return bool(value <= self.value[place] or expected == self.value[place])

    def record(self, place: int) -> bytes:
        return struct.pack("<IQI", place, self.revision[place], self.value[place])

    def show(self, view: View) -> None:
        view.boot_id, view.epoch, view.digest = self.boot_id, max(1, self.epoch), self.digest()
        view.revision, view.level = list(self.revision), list(self.value)


class PowerTwin(Twin):
    """Sites. Whether a discharge respects the reserve is looked at by who knows the stored energy."""

    REST_KIND = "safe"
    IS_OBEYED = False  # its site limit is its own

    def __init__(self, boot_id: bytes) -> None:
        super().__init__(boot_id, None)

    def places(self, batch: Any) -> list[int]:
        return list(batch.site)

    def rows(self, batch: Any) -> Iterator[tuple[int, int, Any, Any]]:
        for i, revision, *value in zip(
            batch.site, batch.revision, batch.battery_w, batch.import_limit_w, strict=True
        ):
            yield i, revision, tuple(value), None

    def is_possible(self, place: int, value: Any) -> bool:
        return bool(-CHARGE_MAX_W <= value[0] <= DISCHARGE_MAX_W)

    def is_restful(self, value: Any) -> bool:
        return value is None

    def is_expected(self, place: int, value: Any, expected: Any) -> bool:
        return True

    def record(self, place: int) -> bytes:
        return struct.pack("<IQdd", place, self.revision[place], *self.value[place])

    def show(self, view: View) -> None:
        view.boot_id, view.epoch, view.digest = self.boot_id, max(1, self.epoch), self.digest()
        view.revision = list(self.revision)


CHARGE_MAX_W, DISCHARGE_MAX_W, RESERVE_WH, CAPACITY_WH, IMPORT_CAP_W = (
    5000.0,
    4000.0,
    2000.0,
    10_000.0,
    9000.0,
)


def radio_abilities() -> RadioAbilities:
    """N cells with different levels, one without a timer."""
    allowed = np.zeros((N, 5), np.bool_)
    for i, levels in enumerate(ALLOWED):
        allowed[i, levels] = True
    return RadioAbilities(
        tuple(f"c{i}" for i in range(N)),
        ("s",) * N,
        ("",) * N,
        allowed[:, 4],
        ("full", "symbol", "32t", "16t", "carrier"),
        np.array([0, 0, 10, 20, 1000]),
        np.arange(5) == 4,
        allowed,
        np.arange(N) != NO_TIMER,
        FULL,
    )


def power_abilities() -> PowerAbilities:
    """N sites, one without a timer."""
    names = tuple(f"s{i}" for i in range(N))
    powers = (CHARGE_MAX_W, DISCHARGE_MAX_W, CAPACITY_WH, RESERVE_WH, IMPORT_CAP_W)
    return PowerAbilities(names, *(np.full(N, value) for value in powers), np.arange(N) != NO_TIMER)
