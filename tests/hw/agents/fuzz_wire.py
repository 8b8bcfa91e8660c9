"""A real radio agent behind the gate over mutual TLS, fed with fuzzed messages and with bytes that are none.

After each message comes a renewal for another boot: its refusal carries the digest of the agent's active set, and says
that all before it has been dealt with.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import tempfile
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

import grpc
import numpy as np
from google.protobuf.message import DecodeError
from quietcell.lease.v1 import lease_pb2
from quietcell.ran.v1 import ran_pb2

from hw.agents.disk import AgentDisk
from hw.agents.radio_core import RadioLimits
from hw.agents.radio_server import serve_radio
from hw.agents.running import Pace
from hw.agents.serving import AgentServer, Door
from hw.ports import Bools, RadioAbilities, RadioReading, RadioSetting
from hw.security import certs
from hw.security.credentials import TlsFiles, agent_channel_options, client_credentials, server_credentials
from hw.security.gate import Gate, caller
from hw.security.identity import Role, make_identity
from hw.security.limits import Limits
from tests.fuzzing import Fuzzer, View, radio_message
from tests.hw.agents.fuzz_targets import STEPS_US, radio_reading
from tests.hw.agents.fuzz_twins import ALLOWED, FULL, PLAN_US, TERM_US, N, RadioTwin, radio_abilities

AGENT, CONTROLLER, SOON_S = "site-001", "edge-1", 10.0
MUTATED_SHARE = 0.5  # what is refused for its form ends the stream, which takes time
UNLIMITED = Limits(messages_per_s=1e9, burst=10**9)
CONTROL = "/quietcell.ran.v1.RanAgentService/Control"
SETTLE_TURNS = 100
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


class HandClock:
    """Time that the fuzzer moves."""

    def __init__(self, now_us: int) -> None:
        self.now_us = now_us

    def monotonic_us(self) -> int:
        return self.now_us

    def unix_us(self) -> int:
        return self.now_us


class ObedientRadio:
    """Radios without a timer of their own, so that nothing but the agent ends a lease."""

    def __init__(self) -> None:
        self.level, self.until_us = [FULL] * N, [0] * N

    async def abilities(self) -> RadioAbilities:
        return radio_abilities()

    async def apply(self, setting: RadioSetting, number: int) -> Bools:
        rows = zip(setting.cell.tolist(), setting.level.tolist(), setting.until_us.tolist(), strict=True)
        for i, value, end_us in rows:
            self.level[i], self.until_us[i] = value, end_us
        return np.ones(len(setting.cell), np.bool_)

    async def read(self, after_sample: int) -> RadioReading:
        return radio_reading(self.level)


def make_lab(folder: Path) -> None:
    """An agent and a controller of one CA."""
    certs.init_ca(folder)
    certs.issue(folder, make_identity(Role.AGENT, AGENT), ["127.0.0.1"])
    certs.issue(folder, make_identity(Role.CONTROLLER, CONTROLLER))


@asynccontextmanager
async def secured_agent(
    folder: Path, state: Path, clock: HandClock, plant: ObedientRadio
) -> AsyncIterator[AgentServer]:
    """A real agent over mutual TLS with the certificates of ``folder``."""
    disk = AgentDisk(state, AGENT)
    door = Door("127.0.0.1:0", server_credentials(TlsFiles(folder, AGENT)), caller, [Gate(UNLIMITED)])
    limits = RadioLimits(TERM_US // 1000, PLAN_US // 1000)
    server = await serve_radio(AGENT, plant, disk, clock, door, limits, Pace())
    try:
        yield server
    finally:
        await server.close()
        disk.close()


class WireFuzz:
    """One run against one agent."""

    def __init__(self, seed: int, folder: Path) -> None:
        self.fuzzer = Fuzzer(seed, View(N, allowed=ALLOWED), radio_message, MUTATED_SHARE)
        self.counts: Counter[str] = Counter()
        self.violations: list[str] = []
        self._folder = folder
        self._clock, self._plant = HandClock(self.fuzzer.view.now_us), ObedientRadio()
        self._stream: Any = None
        self._barrier = 2**62  # echoed by no message of the fuzzer

    async def run(self, n_messages: int) -> None:
        """Send so many messages; an agent whose revisions are worn out is started anew."""
        while self.counts["messages"] < n_messages and not self.violations:
            self._plant = ObedientRadio()
            state = Path(tempfile.mkdtemp(dir=self._folder))  # nothing kept from the agent before
            async with secured_agent(self._folder, state, self._clock, self._plant) as server:
                await self._fuzz(server, n_messages)

    async def _fuzz(self, server: AgentServer, n_messages: int) -> None:
        credentials = client_credentials(TlsFiles(self._folder, CONTROLLER))
        target, options = f"127.0.0.1:{server.port}", agent_channel_options(AGENT)
        async with grpc.aio.secure_channel(target, credentials, options) as channel:
            self._twin = RadioTwin(server.runner.core.book.boot_id)
            self._stream = None
            left = 40  # messages after the agent is worn out
            while self.counts["messages"] < n_messages and not self.violations and left:
                left -= self._twin.is_worn_out
                await asyncio.wait_for(self._one(channel), SOON_S)

    async def _one(self, channel: grpc.aio.Channel) -> None:
        view, twin = self.fuzzer.view, self._twin
        if self._stream is None:
            await self._open(channel)
        view.now_us += self.fuzzer.rng.choice(STEPS_US)
        self._clock.now_us = view.now_us
        twin.pass_time(view.now_us)
        twin.show(view)
        data = self.fuzzer.next()
        self.counts["messages"] += 1
        code = await self._send(data)
        self._judge(data, code)
        await self._settle()
        unsafe, refused = twin.compare(self._plant.level, self._plant.until_us)
        self.counts["not as commanded"] += refused
        self.violations += [
            f"message {self.counts['messages']}, {data[:200].hex()}: {what}" for what in unsafe
        ]

    def _judge(self, data: bytes, code: grpc.StatusCode | None) -> None:
        """Tell the twin what became of a message; ``code``: how it ended the stream."""
        if code is None:
            self.counts["judged"] += 1
            self._twin.take(ran_pb2.ControlRequest.FromString(data), self._clock.now_us)
            return
        self.counts[f"ended {code.name}"] += 1
        with contextlib.suppress(DecodeError):
            self._twin.salvage(ran_pb2.ControlRequest.FromString(data), self._clock.now_us)

    async def _settle(self) -> None:
        """Wait for the plant: overtaken orders are given anew, and a clock that jumped is seen after a real nap."""
        for turn in range(SETTLE_TURNS):
            await asyncio.sleep(0 if turn < SETTLE_TURNS // 2 else 0.01)
            if self._plant.level == self._twin.value and self._plant.until_us == self._twin.until_us:
                return

    async def _open(self, channel: grpc.aio.Channel) -> None:
        """A new stream: its hello, then the barrier."""
        self._stream = channel.stream_stream(CONTROL, None, ran_pb2.ControlResponse.FromString)()
        hello = ran_pb2.Hello(
            leader_epoch=max(1, self._twin.epoch), controller_id=CONTROLLER, report_every_ms=2**31
        )
        request = ran_pb2.ControlRequest(hello=hello)
        self._twin.take(request, self._clock.now_us)
        stream = self._stream
        if (code := await self._send(request.SerializeToString())) is not None:
            raise AssertionError(f"a lawful hello was refused: {code}, {await stream.details()}")

    async def _send(self, data: bytes) -> grpc.StatusCode | None:
        """Send a message and wait until it has been dealt with. Returns how the stream ended, None: it lives."""
        self._barrier += 1
        origin = lease_pb2.Origin(
            agent_boot_id=bytes(16), agent_monotonic_us=self._barrier, controller_id=CONTROLLER
        )
        barrier = ran_pb2.ControlRequest(renewal=lease_pb2.Renewal(origin=origin))
        stream, self._stream = self._stream, None
        with contextlib.suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
            await stream.write(data)
            await stream.write(barrier.SerializeToString())
            while (heard := await stream.read()) is not grpc.aio.EOF:
                if (
                    heard.WhichOneof("message") == "renewal"
                    and heard.renewal.agent_monotonic_us == self._barrier
                ):
                    self._stream = stream
                    return None
        return await stream.code()


async def send_garbage(folder: Path, port: int, seed: int, n_connections: int) -> Counter[str]:
    """Bytes that are no HTTP/2, or nearly, with and without TLS and certificate. Returns what became of them."""
    rng, seen = Random(seed), Counter[str]()
    known = ssl.create_default_context(cafile=str(folder / "ca.pem"))
    known.load_cert_chain(folder / f"{CONTROLLER}.pem", folder / f"{CONTROLLER}.key")
    unknown = ssl.create_default_context(cafile=str(folder / "ca.pem"))
    for context in (known, unknown):
        context.set_alpn_protocols(["h2"])
    for _ in range(n_connections):
        context = rng.choice((known, known, unknown, None))
        name = "127.0.0.1" if context else None
        data = _frames(rng) if rng.random() < 0.7 else rng.randbytes(rng.randint(1, 4000))
        try:
            answer = await asyncio.wait_for(_exchange(port, context, name, data), SOON_S)
        except (OSError, ssl.SSLError):
            seen["refused"] += 1
        else:
            seen["left open" if answer is None else "answered" if answer else "closed"] += 1
    return seen


async def _exchange(port: int, context: ssl.SSLContext | None, name: str | None, data: bytes) -> bytes | None:
    """Send bytes; returns what came back, empty when the server closed, None when it waits for more."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname=name)
    try:
        writer.write(data)
        await writer.drain()
        return await asyncio.wait_for(reader.read(65_536), 0.05)
    except TimeoutError:
        return None
    finally:
        writer.close()


def _frames(rng: Random) -> bytes:
    """HTTP/2 frames of any type, flags, stream and length, after a preface that is mostly right."""
    out = [PREFACE if rng.random() < 0.9 else PREFACE[:-1] + b"x", b"\0\0\0\4\0\0\0\0\0"]
    for _ in range(rng.randint(1, 20)):
        body = rng.randbytes(rng.choice((0, 1, 4, 5, 8, 100, 2000)))
        said = len(body) if rng.random() < 0.8 else rng.choice((0, 1, 2**14, 2**24 - 1))
        stream = rng.choice((0, 1, 1, 2, 3, 2**31 - 1, 2**32 - 1))
        out += [
            said.to_bytes(3, "big"),
            rng.randbytes(1) if rng.random() < 0.2 else bytes([rng.randrange(10)]),
        ]
        out += [bytes([rng.choice((0, 1, 4, 5, 0xFF))]), stream.to_bytes(4, "big"), body]
    return b"".join(out)
