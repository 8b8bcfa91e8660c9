"""A radio agent on loopback that behaves, or misbehaves as told. Built on the wire format, not on our codec."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import grpc.aio
import numpy as np
from quietcell.lease.v1 import lease_pb2
from quietcell.ran.v1 import ran_pb2, ran_pb2_grpc
from quietcell.telemetry.v1 import telemetry_pb2

from hw.adapters.dial import Dial
from hw.adapters.link import AgentLink, LinkLimits
from hw.adapters.radio import CommandBatch, Origin, Renewal, WakeBatch
from hw.adapters.radio_stream import radio_link
from hw.adapters.wire import Hello

BOOT = bytes(16)
ORIGIN = Origin(1, BOOT, 5, "controller")
FAST = LinkLimits(first_answer_s=0.3, silent_s=0.4, write_s=0.3, steady_s=0.1, answer_s=0.1, keep_s=3.0)


class AgentDouble(ran_pb2_grpc.RanAgentServiceServicer):
    """Two cells. ``heard``: kinds and revisions of what came in, in order; ``unary``: names that were woken."""

    def __init__(self, agent_id: str = "site-001") -> None:
        self.agent_id = agent_id
        self.boot = BOOT
        self.heard: list[tuple[str, list[int]]] = []
        self.unary: list[list[str]] = []
        self.hellos = 0
        self.reads = True  # whether messages after the hello are read
        self.answers = True
        self.reports_every_s = 0.05
        self.dies_after: int | None = None  # messages sent
        self.stream_delay_s = 0.0  # before the inventory
        self.unary_refusals = 0  # so many unary calls fail first
        self.unary_delay_s = 0.0
        self.payload: Callable[[int], ran_pb2.ControlResponse] = self.report
        self.sent = 0
        self.stuck: set[str] = set()  # cells that do not wake
        self.highest_epoch = 0

    def inventory(self) -> ran_pb2.GetInventoryResponse:
        level = [
            ran_pb2.Level(name=name, wake_ms=100 * i) for i, name in enumerate(("full", "symbol", "off"))
        ]
        cell = [ran_pb2.Cell(cell_id=f"{self.agent_id}/{i}", site_id="s", level=[0, 1, 2]) for i in range(2)]
        return ran_pb2.GetInventoryResponse(
            agent_id=self.agent_id,
            agent_boot_id=self.boot,
            levels=level,
            cells=cell,
            longest_term_ms=60_000,
            highest_epoch=self.highest_epoch,
        )

    def report(self, sequence: int) -> ran_pb2.ControlResponse:
        header = telemetry_pb2.ReportHeader(
            agent_id=self.agent_id, agent_boot_id=self.boot, sequence=sequence
        )
        states = ran_pb2.CellStates(
            level=[0, 0],
            commanded_level=[0, 0],
            revision=[0, 0],
            lease_left_ms=[0, 0],
            local_control=[False] * 2,
        )
        return ran_pb2.ControlResponse(report=ran_pb2.Report(header=header, states=states))

    async def Control(self, requests: Any, context: Any) -> AsyncIterator[ran_pb2.ControlResponse]:  # noqa: N802
        first = await anext(requests)
        assert first.WhichOneof("message") == "hello"
        self.hellos += 1
        await asyncio.sleep(self.stream_delay_s)
        yield ran_pb2.ControlResponse(inventory=self.inventory())
        out: asyncio.Queue[ran_pb2.ControlResponse] = asyncio.Queue()
        reader = asyncio.ensure_future(self._read(requests, out))
        try:
            while self.dies_after is None or self.sent < self.dies_after:
                self.sent += 1
                try:  # nothing is handed over inside: a time-out there would hit the server's own work
                    async with asyncio.timeout(self.reports_every_s):
                        message = await out.get()
                except TimeoutError:
                    message = self.payload(self.sent)
                yield message
            await context.abort(grpc.StatusCode.UNAVAILABLE, "dies")
        finally:
            reader.cancel()

    async def _read(self, requests: Any, out: asyncio.Queue[ran_pb2.ControlResponse]) -> None:
        while self.reads:
            request = await anext(requests)
            kind = request.WhichOneof("message")
            body = getattr(request, kind)
            self.heard.append((kind, list(getattr(body, "revision", []))))
            if kind == "renewal":
                continue
            n = len(body.cell)
            answers = ran_pb2.Answers(cell=body.cell, revision=body.revision)
            answers.outcome.extend([lease_pb2.OUTCOME_APPLIED] * n)
            answers.cause.extend([lease_pb2.REJECT_CAUSE_UNSPECIFIED] * n)
            answers.level.extend([0] * n)
            if self.answers:
                out.put_nowait(ran_pb2.ControlResponse(answers=answers))

    async def GetInventory(self, request: Any, context: Any) -> ran_pb2.GetInventoryResponse:  # noqa: N802
        return self.inventory()

    async def WatchState(self, request: Any, context: Any) -> AsyncIterator[ran_pb2.WatchStateResponse]:  # noqa: N802
        report = self.report(1).report
        yield ran_pb2.WatchStateResponse(header=report.header, states=report.states)

    async def WakeUp(self, request: Any, context: Any) -> ran_pb2.WakeUpResponse:  # noqa: N802
        await asyncio.sleep(self.unary_delay_s)
        if self.unary_refusals > 0:
            self.unary_refusals -= 1
            await context.abort(grpc.StatusCode.UNAVAILABLE, "not now")
        self.unary.append(list(request.cell_id))
        own = [f"{self.agent_id}/{i}" for i in range(2)]
        named = [name for name in request.cell_id if name in own] if request.cell_id else own
        if not named:
            await context.abort(grpc.StatusCode.NOT_FOUND, "none of them is here")
        return ran_pb2.WakeUpResponse(cell_id=[n for n in named if n not in self.stuck], wake_ms=200)

    async def Stop(self, request: Any, context: Any) -> ran_pb2.StopResponse:  # noqa: N802
        latch = lease_pb2.StopLatch(is_set=True, author=request.author, reason=request.reason)
        return ran_pb2.StopResponse(stop=latch, woken=2, wake_ms=200)

    async def ClearStop(self, request: Any, context: Any) -> ran_pb2.ClearStopResponse:  # noqa: N802
        if request.author != "admin":
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, "for administrators only")
        latch = lease_pb2.StopLatch(author=request.author, reason=request.reason)
        return ran_pb2.ClearStopResponse(stop=latch)


@asynccontextmanager
async def serving(double: AgentDouble, address: str = "127.0.0.1:0") -> AsyncIterator[Dial]:
    """Serve on loopback; how to reach it."""
    server = grpc.aio.server()
    ran_pb2_grpc.add_RanAgentServiceServicer_to_server(double, server)
    port = server.add_insecure_port(address)
    await server.start()
    try:
        yield Dial(double.agent_id, f"127.0.0.1:{port}")
    finally:
        await server.stop(0)


@asynccontextmanager
async def linked(
    dial: Dial, limits: LinkLimits = FAST, leads: Callable[[], bool] = lambda: True
) -> AsyncIterator[tuple[AgentLink, asyncio.Queue[Any]]]:
    """A running link; what it hands on."""
    messages: asyncio.Queue[Any] = asyncio.Queue()

    async def on_message(_: str, message: Any) -> None:
        messages.put_nowait(message)

    hello = Hello(1, "controller", 0)
    link = radio_link(dial, hello, on_message, Random(1), limits=limits, leads=leads)
    task = asyncio.ensure_future(link.run())
    try:
        yield link, messages
        assert not task.done(), task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(is_so: Callable[[], Any], within_s: float = 30.0) -> None:
    """Wait until ``is_so``, at most ``within_s``."""
    async with asyncio.timeout(within_s):
        while not is_so():
            await asyncio.sleep(0.005)


def run(test: Coroutine[Any, Any, None]) -> None:
    """Run one test in a loop of its own, at most a minute."""
    asyncio.run(asyncio.wait_for(test, 60.0))


def wakes(revision: int, cell: int = 0) -> WakeBatch:
    one = np.ones(1, np.uint8)
    return WakeBatch(ORIGIN, np.array([cell]), np.array([revision], np.uint64), one)


def commands(revision: int, n: int = 1) -> CommandBatch:
    byte = np.ones(n, np.uint8)
    revisions = np.full(n, revision, np.uint64)
    return CommandBatch(ORIGIN, "p", b"k", 60_000, np.zeros(n, np.int64), revisions, byte, byte, byte)


def renewal(term_ms: int = 60_000) -> Renewal:
    return Renewal(ORIGIN, b"d" * 32, term_ms)
