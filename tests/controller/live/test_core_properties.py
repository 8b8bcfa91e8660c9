"""Seeded storms: agents that vanish, restart, refuse, lie and lose messages, and what must hold at every event."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from controller.live.events import (
    Cleared,
    Connected,
    Decided,
    Disconnected,
    Event,
    GuardTick,
    Latched,
    Output,
    PlanTick,
    Reported,
    Stopped,
)
from hw.adapters.radio import Report
from tests.controller.live.conftest import MakeCore
from tests.controller.live.doubles import Harness, two_agents

SEEDS = range(5)
STORM_S = 5400
COVERAGE = {"site-a": (0, 2), "site-b": (0,)}
FIRST_OFF_AIR = 5


def twisted(report: Report, rng: np.random.Generator) -> Report:
    """A report with one thing wrong, out of range, of another shape or of another time."""
    n = len(report.level)
    choices: list[dict[str, Any]] = [
        {"sequence": int(rng.integers(0, report.sequence + 2))},
        {"monotonic_us": int(rng.integers(0, 2**62))},
        {"measured_unix_us": int(rng.integers(-(2**62), 2**62))},
        {"measured_unix_us": report.measured_unix_us + int(rng.integers(-4000, 4000)) * 1_000_000},
        {"interval_ms": int(rng.integers(0, 2**31))},
        {"carried": (rng.normal(0, 100, (n, 1))).astype(np.float32)},
        {"carried": np.full((n, 1), np.nan, np.float32)},
        {"carried": np.full((n, 1), np.inf, np.float32)},
        {"carried": np.zeros((n + 1, 3), np.float32)},
        {"carried": np.zeros((n, 60), np.float32)},
        {"level": rng.integers(0, 256, n).astype(np.uint8)},
        {"level": rng.integers(0, 7, n).astype(np.uint8)},
        {"commanded_level": rng.integers(0, 7, n).astype(np.uint8)},
        {"commanded_level": np.zeros(n - 1, np.uint8)},
        {"revision": rng.integers(0, 2**63, n).astype(np.uint64)},
        {"revision": report.revision + np.uint64(rng.integers(1, 5))},
        {"revision": np.zeros(n, np.uint64)},
        {"lease_left_ms": np.zeros(n, np.int64)},
        {"local_control": rng.random(n) < 0.5},
        {"boot_id": rng.bytes(16)},
        {"agent_id": "site-c"},
        {"agent_id": "site-a"},
    ]
    return replace(report, **choices[int(rng.integers(len(choices)))])


class Storm(Harness):
    """A harness in which much goes wrong, by chance."""

    def __init__(self, make: MakeCore, profile: Path, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        base = self.rng.uniform(0, 0.08, 5)

        def load(second: int) -> Sequence[float]:
            surge = self.rng.random(5) < 0.002
            return np.where(surge, 0.9, base * self.rng.uniform(0.7, 1.3, 5)).tolist()

        super().__init__(make(profile=str(profile)), two_agents(), load)
        self.drops = lambda agent_id, message: bool(self.rng.random() < 0.03)
        self.connect()

    def weather(self) -> None:
        """Run to the end of the storm, with something new every few minutes."""
        while self.now_s < STORM_S:
            self.run(self.now_s + 10 * int(self.rng.integers(2, 30)))
            agent = list(self.agents.values())[int(self.rng.integers(2))]
            match int(self.rng.integers(12)):
                case 0:
                    agent.is_down = True
                    if self.rng.random() < 0.5:
                        self.feed(Disconnected(agent.agent_id))
                case 1:
                    agent.reboot()
                    self.feed(Connected(agent.inventory()))
                case 2:
                    agent.refuses ^= {int(self.rng.integers(2))}
                case 3:
                    agent.local ^= {int(self.rng.integers(2))}
                case 4:
                    agent.stuck = {} if agent.stuck else {0: int(self.rng.integers(1, 5))}
                case 5 if self.rng.random() < 0.2:
                    self.feed(Stopped("an operator", "storm"))
                    self.run(self.now_s + 300)
                    self.feed(Cleared("an administrator", "over"))
                case 6 | 7:
                    self.feed(Reported(twisted(agent.report(self.now_us, None), self.rng)))
                case 8 if agent.lease:
                    agent.lease.pop(min(agent.lease))
                case _:
                    agent.is_down = False
                    self.feed(Connected(agent.inventory()))


def commands_of(out: Output) -> Iterator[tuple[str, int, int, int, int]]:
    """Agent, place, revision, level and expected level of each command."""
    for agent_id, batch in [*out.urgent, *out.commands]:
        lists = (batch.cell, batch.revision, batch.level, batch.expected_level)
        for cell, revision, level, expected in zip(*(one.tolist() for one in lists), strict=True):
            yield agent_id, cell, revision, level, expected


class Watch:
    """Checks each event and its output."""

    def __init__(self) -> None:
        self.revision: dict[tuple[str, int], int] = {}
        self.reported: set[str] = set()  # since the last guard tick
        self.heard: set[str] = set()  # on the stream that is open
        self.is_stopped = False
        self.slept = self.renewed = 0

    def check(self, event: Event, out: Output) -> None:
        if isinstance(event, Connected):
            self.heard.discard(event.inventory.agent_id)
        if isinstance(event, Disconnected):
            self.heard.discard(event.agent_id)
        if isinstance(event, Reported):
            self.reported.add(event.report.agent_id)
            self.heard.add(event.report.agent_id)
        for record in out.durable:
            self.is_stopped = record.is_set if isinstance(record, Latched) else self.is_stopped
        self._commands(event, out)
        self._revisions(out)
        if out.renewals:
            assert isinstance(event, GuardTick), "nothing but a guard tick renews"
            assert not self.is_stopped
        for agent_id, _ in out.renewals:
            assert agent_id in self.reported, "renewed without fresh telemetry"
            self.renewed += 1
        if isinstance(event, GuardTick):
            self.reported = set()

    def _commands(self, event: Event, out: Output) -> None:
        decided = {
            (revision, level)
            for record in out.durable
            if isinstance(record, Decided)
            for revision, level in zip(record.revision.tolist(), record.level.tolist(), strict=True)
        }
        for agent_id, batch in out.commands:
            assert (batch.level > batch.expected_level).all(), (
                "what goes toward more service waits for nothing"
            )
            assert batch.origin.controller_id == "edge-1"
            assert agent_id in self.heard, "commanded before it was reconciled"
            self.slept += len(batch.cell)
        for _, batch in out.urgent:
            assert (batch.level < batch.expected_level).all()
        for agent_id, cell, revision, level, _ in commands_of(out):
            assert (revision, level) in decided, "commanded without a durable decision"
            assert isinstance(event, GuardTick | PlanTick)
            assert not self.is_stopped
            assert level < FIRST_OFF_AIR or cell not in COVERAGE[agent_id], "a coverage cell off air"

    def _revisions(self, out: Output) -> None:
        sent = [(agent_id, cell, revision) for agent_id, cell, revision, _, _ in commands_of(out)]
        for agent_id, wake in out.wakes:
            pairs = zip(wake.cell.tolist(), wake.revision.tolist(), strict=True)
            sent += [(agent_id, cell, revision) for cell, revision in pairs]
        for agent_id, cell, revision in sent:
            assert revision > self.revision.get((agent_id, cell), 0), "a revision used twice"
            self.revision[agent_id, cell] = revision


def plain(value: Any) -> Any:
    """Anything that an output holds as nested tuples, to compare bit by bit."""
    if is_dataclass(value):
        return (type(value).__name__, *(plain(getattr(value, f.name)) for f in fields(value)))
    if isinstance(value, np.ndarray):
        return value.dtype.str, value.shape, value.tobytes()
    if isinstance(value, list | tuple):
        return tuple(plain(one) for one in value)
    return value


@pytest.mark.parametrize("seed", SEEDS)
def test_whatever_agents_do(seed: int, live_core: MakeCore, restless: Path) -> None:
    storm, watch = Storm(live_core, restless, seed), Watch()
    storm.weather()
    for event, out in storm.outputs:
        watch.check(event, out)
    assert watch.slept > 0, "nothing slept, so nothing was tested"
    assert watch.renewed > 0


def test_same_events_same_outputs(live_core: MakeCore, restless: Path) -> None:
    storm = Storm(live_core, restless, 0)
    storm.weather()
    again = live_core(profile=str(restless))
    for event, out in storm.outputs:
        assert plain(again.feed(event)) == plain(out)


@pytest.mark.parametrize("seed", range(2))
def test_once_it_is_quiet_all_is_well_again(seed: int, live_core: MakeCore, restless: Path) -> None:
    storm = Storm(live_core, restless, seed)
    storm.weather()
    storm.drops = lambda agent_id, message: False
    for agent in storm.agents.values():
        agent.refuses, agent.local, agent.stuck, agent.is_down = set(), set(), {}, False
        agent.is_stopped = False
    storm.load = lambda second: [0.02] * 5
    storm.connect()
    storm.run(storm.now_s + 5400)  # a lock-out for flapping lasts an hour
    core = storm.core
    for agent in storm.agents.values():
        mine = core.fleet.get(agent.agent_id)
        assert mine is not None
        assert agent.lease, "its cells rest again"
        assert core.leases.digest(mine) == agent.digest()
        assert core.leases.confirmed[mine.cells].all()
