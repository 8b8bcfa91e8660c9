"""Messages as a controller makes them, and its end of a stream."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
from grpc import aio
from quietcell.ran.v1.ran_pb2_grpc import RanAgentServiceStub

from hw.adapters.radio import CommandBatch, Origin, Renewal, Report, WakeBatch
from hw.adapters.radio_codec import Down, from_response, to_request
from hw.adapters.wire import Hello
from hw.agents.disk import AgentDisk
from hw.agents.radio_core import RadioLimits
from hw.agents.radio_server import serve_radio
from hw.agents.running import Pace
from hw.agents.serving import AgentServer, Door
from hw.ports import HostClock
from tests.hw.agents.plants import FULL, MemoryRadio

SOON_S = 20.0  # everything that a test waits for comes within


def commands(origin: Origin, *rows: tuple[int, int, int, int], term_ms: int = 60_000) -> CommandBatch:
    """Rows of cell, revision, level, expected level."""
    cell, revision, level, expected = zip(*rows, strict=True)
    return CommandBatch(
        origin,
        "plan",
        b"key",
        term_ms,
        np.array(cell, np.int64),
        np.array(revision, np.uint64),
        np.array(level, np.uint8),
        np.array(expected, np.uint8),
        np.zeros(len(rows), np.uint8),
    )


def wakes(origin: Origin, *rows: tuple[int, int]) -> WakeBatch:
    """Rows of cell, revision."""
    cell, revision = zip(*rows, strict=True)
    return WakeBatch(
        origin, np.array(cell, np.int64), np.array(revision, np.uint64), np.zeros(len(rows), np.uint8)
    )


class Peer:
    """A stream of a leader, and the last report it has heard."""

    def __init__(self, stub: Any, epoch: int) -> None:
        self.call = stub.Control()
        self.epoch = epoch
        self.report: Report | None = None

    async def open(self, report_every_ms: int = 60_000, *, leads_by_grants: bool = False) -> Any:
        """Say hello; returns the inventory."""
        await self.say(Hello(self.epoch, "test", report_every_ms, leads_by_grants))
        inventory = await self.hear()
        await self.hear_report()
        return inventory

    async def say(self, message: Down) -> None:
        await self.call.write(to_request(message))

    async def hear(self) -> Any:
        """The next message."""
        heard = await asyncio.wait_for(self.call.read(), SOON_S)
        message = from_response(heard)
        if isinstance(message, Report):
            self.report = message
        return message

    async def hear_report(self) -> Report:
        """The next report; everything before it is passed over."""
        return await self.hear_a(Report)

    async def hear_a(self, kind: type) -> Any:
        """The next message of a kind; others are passed over."""
        while not isinstance(message := await self.hear(), kind):
            continue
        return message

    def origin(self) -> Origin:
        """Decided on the last report."""
        assert self.report is not None
        return Origin(self.epoch, self.report.boot_id, self.report.monotonic_us, "test")

    async def order(self, *rows: tuple[int, int, int, int], term_ms: int = 60_000) -> list[tuple[int, ...]]:
        """Send commands; returns rows of cell, revision, outcome, cause, level."""
        await self.say(commands(self.origin(), *rows, term_ms=term_ms))
        return await self.answers(len(rows))

    async def renew(self, digest: bytes | None = None, term_ms: int = 60_000) -> Renewal:
        """A renewal on the last report, which is returned."""
        assert self.report is not None
        renewal = Renewal(self.origin(), digest or self.report.active_digest, term_ms)
        await self.say(renewal)
        return renewal

    async def answers(self, count: int) -> list[tuple[int, ...]]:
        """The next answers."""
        rows: list[tuple[int, ...]] = []
        while len(rows) < count:
            message = await self.hear()
            if hasattr(message, "outcome") and hasattr(message, "cell"):
                columns = (message.cell, message.revision, message.outcome, message.cause, message.level)
                rows += zip(*(c.tolist() for c in columns), strict=True)
        return sorted(rows)

    async def see(self, check: Any) -> Report:
        """Hear reports until one fulfils ``check``."""
        while self.report is None or not check(self.report):
            await self.hear_report()
        return self.report


@asynccontextmanager
async def radio_agent(
    folder: Path, plant: MemoryRadio | None = None, n: int = 4, *, read_every_ms: int = 50, **limits: Any
) -> AsyncIterator[tuple[AgentServer, MemoryRadio, Any]]:
    """A serving agent over a plant in memory: server, plant, stub."""
    clock = HostClock()
    plant = plant or MemoryRadio(n, clock)
    disk = AgentDisk(folder, "a1")
    pace = Pace(report_every_ms=1_000, read_every_ms=read_every_ms)
    server = await serve_radio("a1", plant, disk, clock, Door("127.0.0.1:0"), RadioLimits(**limits), pace)
    try:
        async with aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
            yield server, plant, RanAgentServiceStub(channel)
    finally:
        await server.close()
        disk.close()


def full(plant: MemoryRadio) -> bool:
    """Whether all cells are at full service."""
    plant.fire()
    return bool((plant.level <= FULL).all())
