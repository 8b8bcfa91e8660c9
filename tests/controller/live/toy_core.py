"""A core that sleeps quiet cells at each guard tick, and a run of it before perfect agents."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from controller.live.events import (
    Connected,
    Decided,
    Event,
    GuardTick,
    Output,
    Record,
    Reported,
    Taken,
    Woken,
)
from controller.live.follower import Followers
from hw.active_set import CELL, active_digest
from hw.adapters.radio import CommandBatch, Origin, Renewal, Report, WakeBatch
from tests.controller.live.live_made import BEGAN_US, MadeAgent, inventory

N = 6  # cells of an agent
ASLEEP = 3


@dataclass
class ToyCore:
    """Cells below a load sleep; all arrays by place at the agent, network numbers follow the order of the agents."""

    below: float
    first: dict[str, int] = field(default_factory=dict)
    report: dict[str, Report] = field(default_factory=dict)
    level: dict[str, np.ndarray] = field(default_factory=dict)
    revision: dict[str, np.ndarray] = field(default_factory=dict)
    load: dict[str, np.ndarray] = field(default_factory=dict)
    strangers: int = 0  # reports of cells at a level that was not commanded

    def feed(self, event: Event) -> Output:
        out = Output(durable=[Taken(getattr(event, "unix_us", 0), event)])
        if isinstance(event, Connected):
            agent = event.inventory.agent_id
            self.first.setdefault(agent, int(agent[-3:]) * N)
            self.level[agent], self.revision[agent] = np.ones(N, np.uint8), np.zeros(N, np.uint64)
        elif isinstance(event, Reported):
            report = event.report
            self.report[report.agent_id] = report
            self.strangers += int((report.level != self.level[report.agent_id]).sum())
            if report.carried.size:
                self.load[report.agent_id] = report.carried[:, -1]
        elif isinstance(event, GuardTick):
            for agent in self.load:
                self._tick(out, agent, event.unix_us)
        return out

    def _tick(self, out: Output, agent: str, unix_us: int) -> None:
        level, revision, report = self.level[agent], self.revision[agent], self.report[agent]
        quiet = self.load[agent] < self.below
        origin = Origin(1, report.boot_id, report.monotonic_us, "toy")
        sleep, wake = np.flatnonzero(quiet & (level == 1)), np.flatnonzero(~quiet & (level > 1))
        for places in (sleep, wake):
            revision[places] += np.uint64(1)
        reason = np.full(N, 7, np.uint8)
        if len(wake):
            level[wake] = 1
            out.wakes.append((agent, WakeBatch(origin, wake, revision[wake], reason[: len(wake)])))
            cells = (self.first[agent] + wake).astype(np.int32)
            out.durable.append(Woken(unix_us, cells, revision[wake], reason[: len(wake)]))
        if len(sleep):
            before, level[sleep] = level[sleep], ASLEEP
            why, cells = reason[: len(sleep)], (self.first[agent] + sleep).astype(np.int32)
            batch = CommandBatch(origin, "p", b"k", 60_000, sleep, revision[sleep], level[sleep], before, why)
            out.commands.append((agent, batch))
            out.durable.append(
                Decided(unix_us, f"p{unix_us}", cells, revision[sleep], level[sleep], before, why)
            )
        places = np.flatnonzero(level > 1)
        active = np.zeros(len(places), CELL)
        active["place"], active["revision"], active["level"] = places, revision[places], level[places]
        out.renewals.append((agent, Renewal(origin, active_digest(active), 60_000)))


def toy_run(below: float, agents: int = 3, minutes: int = 30) -> list[list[Record]]:
    """What a run of the toy core before perfect agents records, output by output."""
    core, sites, made = ToyCore(below), Followers(), [MadeAgent(number, N) for number in range(agents)]
    recorded: list[list[Record]] = []

    def feed(event: Event) -> None:
        seen = sites.instead_of(event)
        queue = [] if seen is None else [seen]
        while queue:
            output = core.feed(queue.pop(0))
            recorded.append(output.durable)
            queue.extend(sites.carry_out(output))

    for agent in made:
        feed(Connected(inventory(agent.agent_id, N)))
    for tick in range(3 * minutes):
        unix_us = BEGAN_US + tick * 20_000_000
        for agent in made:
            feed(agent.report(unix_us, int(tick % 3 == 0)))
        feed(GuardTick(unix_us))
    assert core.strangers == 0
    return recorded
