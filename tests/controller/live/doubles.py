"""A network of agent doubles in virtual time around a real live core, and what is checked at every event.

The double of an agent keeps the rules of a lease as docs and issue state them, and nothing else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from controller.live.config import LiveConfig
from controller.live.core import LiveCore, Resumed
from controller.live.events import (
    Alarm,
    Answered,
    Connected,
    Decided,
    Event,
    GuardTick,
    Latched,
    Output,
    PlanTick,
    Renewed,
    Reported,
    Woken,
)
from hw.active_set import CELL, active_digest
from hw.adapters.radio import (
    Answers,
    CommandBatch,
    Inventory,
    Outcome,
    RejectCause,
    Renewal,
    RenewalAnswer,
    Report,
    WakeBatch,
)
from hw.ports import RadioAbilities

LEVELS = (
    "full",
    "symbol",
    "rf_channel_32",
    "rf_channel_16",
    "rf_channel_8",
    "carrier_shutdown",
    "deep_dormancy",
)
FULL = 1  # full service
MORNING_S = 20_000 * 86400 + 2 * 3600  # a day's 02:00 UTC
SECOND_US = 1_000_000


@dataclass
class AgentDouble:
    """A radio agent with perfect hardware."""

    agent_id: str
    cell_id: tuple[str, ...]
    is_capacity: tuple[bool, ...]
    boot: int = 1
    revision: dict[int, int] = field(default_factory=dict)
    lease: dict[int, tuple[int, int, int]] = field(default_factory=dict)  # place -> revision, level, end [us]
    local: set[int] = field(default_factory=set)
    refuses: set[int] = field(default_factory=set)  # places whose plant does nothing
    stuck: dict[int, int] = field(default_factory=dict)  # place -> level of the plant whatever is commanded
    epoch: int = 0
    sequence: int = 0
    is_stopped: bool = False
    is_down: bool = False
    is_simulated: bool = True

    @property
    def boot_id(self) -> bytes:
        return hashlib.sha256(f"{self.agent_id}/{self.boot}".encode()).digest()[:16]

    def inventory(self) -> Inventory:
        n = len(self.cell_id)
        allowed = np.ones((n, len(LEVELS)), np.bool_)
        abilities = RadioAbilities(
            cell_id=self.cell_id,
            site_id=("s",) * n,
            product=("",) * n,
            is_capacity=np.array(self.is_capacity),
            level_names=LEVELS,
            wake_ms=np.array([0, 0, 0, 0, 0, 60_000, 180_000]),
            off_air=np.array([False] * 5 + [True] * 2),
            allowed=allowed,
            has_dead_man=np.ones(n, np.bool_),
            full_service_level=FULL,
            is_simulated=self.is_simulated,
        )
        return Inventory(self.agent_id, self.boot_id, abilities, 60_000, 1_800_000, self.epoch)

    def level(self, place: int) -> int:
        """Level of the plant."""
        return self.stuck.get(place, self.lease[place][1] if place in self.lease else FULL)

    def expire(self, now_us: int) -> list[int]:
        """End leases that are over. Returns their places."""
        over = [place for place, (_, _, end) in self.lease.items() if end <= now_us]
        for place in over:
            del self.lease[place]
        return over

    def reboot(self) -> None:
        self.boot, self.sequence = self.boot + 1, 0
        self.lease.clear()
        self.revision.clear()

    def digest(self) -> bytes:
        active = [(place, lease[0], lease[1]) for place, lease in sorted(self.lease.items())]
        return active_digest(np.array(active, CELL))

    def report(self, now_us: int, carried: Sequence[float] | None) -> Report:
        n = len(self.cell_id)
        self.sequence += 1
        samples = np.zeros((n, 0), np.float32)
        if carried is not None:
            off = [self.level(place) >= 5 for place in range(n)]
            samples = np.where(off, 0, np.array(carried, np.float32)).astype(np.float32)[:, None]
        return Report(
            agent_id=self.agent_id,
            boot_id=self.boot_id,
            monotonic_us=now_us - MORNING_S * SECOND_US + 1,
            sequence=self.sequence,
            measured_unix_us=now_us,
            interval_ms=60_000,
            carried=samples,
            level=np.array([self.level(p) for p in range(n)], np.uint8),
            commanded_level=np.array(
                [self.lease[p][1] if p in self.lease else FULL for p in range(n)], np.uint8
            ),
            revision=np.array([self.revision.get(p, 0) for p in range(n)], np.uint64),
            lease_left_ms=np.array(
                [(self.lease[p][2] - now_us) // 1000 if p in self.lease else 0 for p in range(n)], np.int64
            ),
            local_control=np.array([p in self.local for p in range(n)], np.bool_),
            active_digest=self.digest(),
            is_stopped=self.is_stopped,
            highest_epoch=self.epoch,
        )

    def end_us(self, message: CommandBatch | Renewal) -> int:
        return message.origin.monotonic_us - 1 + (MORNING_S * SECOND_US) + message.term_ms * 1000

    def wake(self, batch: WakeBatch) -> Answers:
        for place, revision in zip(batch.cell.tolist(), batch.revision.tolist(), strict=True):
            self.lease.pop(place, None)
            self.revision[place] = max(self.revision.get(place, 0), revision)
        return self._answers(batch, [(Outcome.APPLIED, RejectCause.NONE)] * len(batch.cell))

    def command(self, batch: CommandBatch, now_us: int) -> Answers:
        said = []
        for k, place in enumerate(batch.cell.tolist()):
            said.append(self._command(batch, k, place, now_us))
        return self._answers(batch, said)

    def _command(self, batch: CommandBatch, k: int, place: int, now_us: int) -> tuple[Outcome, RejectCause]:
        revision, level = int(batch.revision[k]), int(batch.level[k])
        at = self.lease[place][1] if place in self.lease else FULL
        deeper = level > at
        if batch.origin.boot_id != self.boot_id:
            return Outcome.REJECTED, RejectCause.OTHER_BOOT
        if batch.origin.leader_epoch < self.epoch:
            return Outcome.REJECTED, RejectCause.LOWER_EPOCH
        self.epoch = batch.origin.leader_epoch
        if self.end_us(batch) <= now_us:
            return Outcome.EXPIRED, RejectCause.NONE
        if revision <= self.revision.get(place, 0):
            return Outcome.REJECTED, RejectCause.LOWER_REVISION
        if self.is_stopped and deeper:
            return Outcome.REJECTED, RejectCause.STOPPED
        if place in self.local:
            return Outcome.REJECTED, RejectCause.LOCAL_CONTROL
        if place in self.refuses:
            return Outcome.REJECTED, RejectCause.PLANT_FAILED
        if deeper and int(batch.expected_level[k]) != at:
            return Outcome.REJECTED, RejectCause.UNEXPECTED_STATE
        self.revision[place] = revision
        self.lease[place] = (revision, level, self.end_us(batch))
        return Outcome.APPLIED, RejectCause.NONE

    def renew(self, renewal: Renewal, now_us: int) -> RenewalAnswer:
        cause = RejectCause.NONE
        if renewal.origin.boot_id != self.boot_id:
            cause = RejectCause.OTHER_BOOT
        elif renewal.origin.leader_epoch < self.epoch:
            cause = RejectCause.LOWER_EPOCH
        elif renewal.active_digest != self.digest():
            cause = RejectCause.DIGEST_MISMATCH
        outcome = Outcome.REJECTED if cause else Outcome.APPLIED
        if not cause:
            end = self.end_us(renewal)
            self.lease = {p: (r, level, max(end, old)) for p, (r, level, old) in self.lease.items()}
        return RenewalAnswer(renewal.origin.monotonic_us, outcome, cause, self.digest())

    def _answers(self, batch: WakeBatch | CommandBatch, said: list[tuple[Outcome, RejectCause]]) -> Answers:
        return Answers(
            batch.cell,
            batch.revision,
            np.array([outcome for outcome, _ in said], np.uint8),
            np.array([cause for _, cause in said], np.uint8),
            np.array([self.level(place) for place in batch.cell.tolist()], np.uint8),
        )


Load = Callable[[int], Sequence[float]]  # second since the morning -> load of each cell of the network


class Harness:
    """Drives a core and its agents in virtual time and writes down what it is told."""

    def __init__(self, core: LiveCore, agents: Sequence[AgentDouble], load: Load) -> None:
        self.core, self.agents, self.load = core, {a.agent_id: a for a in agents}, load
        self.now_s = 0
        self.lines: list[str] = []
        self._renewed: tuple[str, ...] = ()
        self.outputs: list[tuple[Event, Output]] = []
        self.drops: Callable[[str, object], bool] = lambda agent_id, message: False

    @property
    def now_us(self) -> int:
        return (MORNING_S + self.now_s) * SECOND_US

    def connect(self, *agents: str) -> None:
        for agent in agents or tuple(self.agents):
            self.feed(Connected(self.agents[agent].inventory()))

    def run(self, until_s: int, *, plans: bool = True) -> None:
        """Reports every 10 s, guard ticks every 20 s, plan ticks every quarter of an hour, each a little later."""
        while self.now_s < until_s:
            self.now_s += 10
            load, first = self.load(self.now_s), 0
            for agent in self.agents.values():
                own = load[first : first + len(agent.cell_id)]
                first += len(agent.cell_id)
                for place in agent.expire(self.now_us):
                    self._note(f"{agent.agent_id} lease of {agent.cell_id[place]} over")
                if not agent.is_down:
                    self.feed(Reported(agent.report(self.now_us, own if self.now_s % 60 == 0 else None)))
            if plans and self.now_s % 900 == 0:
                self.feed(PlanTick(self.now_us + 2 * SECOND_US))
            if self.now_s % 20 == 0:
                self.feed(GuardTick(self.now_us + 3 * SECOND_US))

    def feed(self, *events: Event) -> Output:
        """Feed events and carry out what comes of them, answers included. Returns the output of the first."""
        queue, begin = list(events), len(self.outputs)
        while queue:
            event = queue.pop(0)
            out = self.core.feed(event)
            self.outputs.append((event, out))
            self._write(out)
            renewed = tuple(agent_id for agent_id, _ in out.renewals)
            if isinstance(event, GuardTick) and renewed != self._renewed:
                self._note(f"from now on renewed: {', '.join(renewed) or 'nobody'}")
                self._renewed = renewed
            queue.extend(self._carry_out(out))
        return self.outputs[begin][1]

    def _carry_out(self, out: Output) -> Iterable[Event]:
        sent = [*out.wakes, *out.urgent, *out.commands, *out.renewals]
        for agent_id, message in sent:
            agent = self.agents[agent_id]
            if agent.is_down or self.drops(agent_id, message):
                continue
            if isinstance(message, WakeBatch):
                yield Answered(agent_id, agent.wake(message))
            elif isinstance(message, CommandBatch):
                yield Answered(agent_id, agent.command(message, self.now_us))
            else:
                yield Renewed(agent_id, agent.renew(message, self.now_us))

    def _write(self, out: Output) -> None:
        for record in out.durable:
            if isinstance(record, Decided):
                self._note(f"decided {_cells(record.cell, record.level)} revision {record.revision.tolist()}")
            elif isinstance(record, Woken):
                self._note(f"woken {_cells(record.cell, record.reason)} (cell: reason)")
            elif isinstance(record, Alarm):
                self._note(f"alarm {record.severity} {record.text}")
            elif isinstance(record, Latched):
                self._note(f"latched {record.is_set}")
        for name, messages in (("urgent", out.urgent), ("command", out.commands)):
            for agent_id, batch in messages:
                self._note(f"{name} to {agent_id}: {_cells(batch.cell, batch.level)}")

    def _note(self, line: str) -> None:
        self.lines.append(f"{self.now_s // 3600:02}:{self.now_s // 60 % 60:02}:{self.now_s % 60:02} {line}")


def _cells(cell: np.ndarray, value: np.ndarray) -> str:
    return " ".join(f"{c}:{v}" for c, v in zip(cell.tolist(), value.tolist(), strict=True))


CELLS_CSV = """cell_id,site_id,role,candidates,time_zone
a0,s0,coverage,,UTC
a1,s0,capacity,a0,UTC
a2,s0,coverage,,UTC
b0,s1,coverage,,UTC
b1,s1,capacity,b0,UTC
"""


def two_agents() -> list[AgentDouble]:
    return [
        AgentDouble("site-a", ("a0", "a1", "a2"), (False, True, False)),
        AgentDouble("site-b", ("b0", "b1"), (False, True)),
    ]


def live_config(folder: object, **change: object) -> LiveConfig:
    """Two sites of a cell table in ``folder``."""
    fields = {
        "schema": "quietcell.live/1",
        "controller": "edge-1",
        "agents": [{"id": name, "address": "127.0.0.1:1"} for name in ("site-a", "site-b")],
        "cells": f"{folder}/cells.csv",
        "policy": "threshold",
        "journal": "journal.db",
        "ladder": {"stage": "act"},
    }
    return LiveConfig.model_validate(fields | change)


def journal_of(outputs: Sequence[tuple[Event, Output]], epoch: int) -> Resumed:
    """What a journal of these outputs says: the last command of each cell, and the stop latch."""
    last: dict[int, tuple[int, int]] = {}
    is_stopped = False
    for record in (record for _, out in outputs for record in out.durable):
        if isinstance(record, Decided):
            cells = zip(record.cell.tolist(), record.revision.tolist(), record.level.tolist(), strict=True)
            last |= {cell: (revision, level) for cell, revision, level in cells}
        elif isinstance(record, Woken):
            woken = zip(record.cell.tolist(), record.revision.tolist(), strict=True)
            last |= {cell: (revision, FULL) for cell, revision in woken}
        elif isinstance(record, Latched):
            is_stopped = record.is_set
    cells = sorted(last)
    return Resumed(
        np.array(cells, np.int32),
        np.array([last[cell][0] for cell in cells], np.uint64),
        np.array([last[cell][1] for cell in cells], np.uint8),
        epoch,
        is_stopped,
    )
