"""What the gate does on streams and connections that are open: ends, other names, limits, renewed certificates."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography import x509
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from quietcell.lease.v1 import lease_pb2
from quietcell.power.v1 import power_pb2
from quietcell.ran.v1 import ran_pb2

from hw.security import certs
from hw.security.credentials import TlsFiles, agent_channel_options, client_credentials
from hw.security.gate import Gate
from hw.security.identity import Role, make_identity
from hw.security.limits import Limits
from tests.hw.security.conftest import Serve, Served
from tests.hw.security.stand_in import AGENT, CALLS, Call, outcome

OK, DENIED = grpc.StatusCode.OK, grpc.StatusCode.PERMISSION_DENIED
EXHAUSTED, UNAUTHENTICATED = grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.UNAUTHENTICATED
CONTROL = {call.service.split(".")[1]: call for call in CALLS if call.method == "Control"}
UNARY = {
    call.method: call for call in CALLS if call.service.startswith("quietcell.ran") and not call.streams_out
}
MINE = lease_pb2.Origin(controller_id="edge-1")
ANOTHER = lease_pb2.Origin(controller_id="edge-2")


@asynccontextmanager
async def _dialled(served: Served, folder: Path, name: str = "edge-1") -> AsyncIterator[grpc.aio.Channel]:
    # A pool of its own: gRPC would otherwise hand out a connection that is open already.
    options = [*agent_channel_options(AGENT), ("grpc.use_local_subchannel_pool", 1)]
    credentials = client_credentials(TlsFiles(folder, name))
    async with grpc.aio.secure_channel(f"127.0.0.1:{served.port}", credentials, options) as channel:
        yield channel


def _open(channel: grpc.aio.Channel, call: Call) -> Any:
    coders = (type(call.request).SerializeToString, type(call.response).FromString)
    return channel.stream_stream(call.path, *coders)(timeout=5)


async def _echoes(stream: Any, message: Any) -> bool:
    """Whether a stream still takes a message and answers it."""
    try:
        await stream.write(message)
        return await stream.read() is not grpc.aio.EOF
    except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
        return False


@pytest.mark.parametrize(
    ("service", "message"),
    [
        ("ran", ran_pb2.ControlRequest(hello=ran_pb2.Hello(controller_id="edge-2"))),
        ("ran", ran_pb2.ControlRequest(commands=ran_pb2.CommandBatch(origin=ANOTHER))),
        ("ran", ran_pb2.ControlRequest(renewal=lease_pb2.Renewal(origin=ANOTHER))),
        ("power", power_pb2.ControlRequest(hello=power_pb2.Hello(controller_id="edge-2"))),
        ("power", power_pb2.ControlRequest(commands=power_pb2.CommandBatch(origin=ANOTHER))),
        ("power", power_pb2.ControlRequest(renewal=lease_pb2.Renewal(origin=ANOTHER))),
    ],
    ids=["hello", "commands", "renewal", "power hello", "power commands", "power renewal"],
)
def test_a_controller_may_not_speak_for_another(serve: Serve, lab: Path, service: str, message: Any) -> None:
    async def run() -> None:
        async with serve() as served, _dialled(served, lab) as channel:
            stream = _open(channel, CONTROL[service])
            assert await _echoes(stream, CONTROL[service].request)
            assert not await _echoes(stream, message)
            assert await stream.code() == DENIED
            assert len(served.taken.messages) == 1

    asyncio.run(run())


@pytest.mark.parametrize(
    ("service", "waking", "other"),
    [
        (
            "ran",
            ran_pb2.ControlRequest(wakes=ran_pb2.WakeBatch(origin=ANOTHER)),
            ran_pb2.ControlRequest(renewal=lease_pb2.Renewal(origin=MINE)),
        ),
        (
            "power",
            power_pb2.ControlRequest(safe=power_pb2.SafeBatch()),
            power_pb2.ControlRequest(commands=power_pb2.CommandBatch(origin=MINE)),
        ),
    ],
    ids=["ran", "power"],
)
def test_no_limit_holds_up_a_wake_on_a_stream(
    serve: Serve, lab: Path, service: str, waking: Any, other: Any
) -> None:
    limits = Limits(messages_per_s=1, burst=3)

    async def run() -> None:
        gate = Gate(limits, monotonic_s=lambda: 0.0)
        async with serve(limits=limits, gate=gate) as served, _dialled(served, lab) as channel:
            stream = _open(channel, CONTROL[service])
            for _ in range(3):
                assert await _echoes(stream, other)
            for _ in range(20):
                assert await _echoes(stream, waking)
            assert not await _echoes(stream, other)
            assert await stream.code() == EXHAUSTED

    asyncio.run(run())


def test_unary_calls_are_limited_except_waking(serve: Serve, lab: Path) -> None:
    now_s = [0.0]

    async def run() -> None:
        limits = Limits(messages_per_s=1, burst=2)
        gate = Gate(limits, monotonic_s=lambda: now_s[0])
        async with serve(limits=limits, gate=gate) as served, _dialled(served, lab) as channel:
            reads = [await outcome(channel, UNARY["GetInventory"]) for _ in range(3)]
            assert reads == [OK, OK, EXHAUSTED]
            assert {await outcome(channel, UNARY[name]) for name in ("WakeUp", "Stop") * 5} == {OK}
            async with _dialled(served, lab, "anna") as other:
                assert await outcome(other, UNARY["GetInventory"]) == OK  # each peer has its own
            now_s[0] = 1.0
            assert await outcome(channel, UNARY["GetInventory"]) == OK

    asyncio.run(run())


def test_a_peer_has_so_many_streams_open_over_all_its_connections(serve: Serve, lab: Path) -> None:
    async def run() -> None:
        async with (
            serve(limits=Limits(open_streams=2)) as served,
            _dialled(served, lab) as one,
            _dialled(served, lab) as two,
        ):
            streams = [_open(channel, CONTROL["ran"]) for channel in (one, two)]
            assert [await _echoes(stream, CONTROL["ran"].request) for stream in streams] == [True, True]
            assert await outcome(one, CONTROL["ran"]) == EXHAUSTED
            assert await outcome(one, UNARY["WakeUp"]) == OK
            await streams[1].done_writing()
            assert await streams[1].read() is grpc.aio.EOF
            assert await outcome(one, CONTROL["ran"]) == OK

    asyncio.run(run())


def test_a_message_over_the_limit_of_size_is_refused_and_the_server_lives_on(serve: Serve, lab: Path) -> None:
    request = ran_pb2.WakeUpRequest(reason="x" * (1 << 20))

    async def run() -> None:
        async with serve() as served, _dialled(served, lab) as channel:
            assert await outcome(channel, UNARY["WakeUp"], request) == EXHAUSTED
            assert await outcome(channel, UNARY["WakeUp"]) == OK
            assert len(served.taken.paths) == 1

    asyncio.run(run())


def test_a_connection_does_not_outlive_its_certificate(serve: Serve, lab: Path) -> None:
    end_s = certs.read_certificate(lab / "edge-1.pem").not_valid_after_utc.timestamp()
    now_s = [end_s - 1.0]

    async def run() -> None:
        async with (
            serve(gate=Gate(Limits(), unix_s=lambda: now_s[0])) as served,
            _dialled(served, lab) as channel,
        ):
            assert await outcome(channel, UNARY["GetInventory"]) == OK
            now_s[0] = end_s
            assert {await outcome(channel, call) for call in CALLS} == {UNAUTHENTICATED}

    asyncio.run(run())


def test_a_stream_ends_with_its_certificate(serve: Serve, lab: Path) -> None:
    end_s = certs.read_certificate(lab / "edge-1.pem").not_valid_after_utc.timestamp()

    async def run() -> None:
        async with (
            serve(gate=Gate(Limits(), unix_s=lambda: end_s - 0.1)) as served,
            _dialled(served, lab) as channel,
        ):
            stream = _open(channel, CONTROL["ran"])
            assert await _echoes(stream, CONTROL["ran"].request)
            assert await stream.code() == UNAUTHENTICATED

    asyncio.run(run())


def test_renewed_certificates_serve_new_connections_and_open_streams_live_on(
    serve: Serve, lab: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for file in lab.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / f"{AGENT}.key").chmod(0o600)
    agent, hello = make_identity(Role.AGENT, AGENT), CONTROL["ran"].request
    caplog.set_level(logging.INFO, logger="hw.security")

    async def run() -> None:
        async with serve(TlsFiles(tmp_path, AGENT)) as served, _dialled(served, lab) as first:
            stream = _open(first, CONTROL["ran"])
            assert await _echoes(stream, hello)
            assert (
                await _serial_seen(served) == certs.read_certificate(tmp_path / f"{AGENT}.pem").serial_number
            )
            renewed = certs.issue(tmp_path, agent)
            assert await _serial_seen(served) == renewed.serial_number
            assert await _echoes(stream, hello)
            (tmp_path / f"{AGENT}.pem").write_bytes(b"half a fi")
            assert await _serial_seen(served) == renewed.serial_number
            (tmp_path / f"{AGENT}.key").unlink()
            assert await _serial_seen(served) == renewed.serial_number
            async with _dialled(served, lab) as second:
                assert await outcome(second, CALLS[0]) == OK
            (tmp_path / f"{AGENT}.pem").unlink()
            again = certs.issue(tmp_path, agent, ["127.0.0.1"])
            assert await _serial_seen(served) == again.serial_number
            assert await _echoes(stream, hello)

    asyncio.run(run())
    assert [record.levelname for record in caplog.records] == ["INFO", "WARNING", "WARNING", "INFO"]


async def _serial_seen(served: Served) -> int:
    """Serial number of the certificate that the server shows to a new connection."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    _, writer = await asyncio.open_connection("127.0.0.1", served.port, ssl=context)
    shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    return x509.load_der_x509_certificate(shown).serial_number


def test_a_new_ca_is_taken_without_restart(
    serve: Serve, lab: Path, foreign_lab: Path, tmp_path: Path
) -> None:
    for file in lab.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / f"{AGENT}.key").chmod(0o600)
    both = (lab / "ca.pem").read_bytes() + (foreign_lab / "ca.pem").read_bytes()

    async def run() -> None:
        async with serve(TlsFiles(tmp_path, AGENT)) as served:
            credentials = grpc.ssl_channel_credentials(
                both, (foreign_lab / "chief.key").read_bytes(), (foreign_lab / "chief.pem").read_bytes()
            )
            options = [*agent_channel_options(AGENT), ("grpc.use_local_subchannel_pool", 1)]
            target = f"127.0.0.1:{served.port}"
            async with grpc.aio.secure_channel(target, credentials, options) as before:
                assert await outcome(before, CALLS[0]) == grpc.StatusCode.UNAVAILABLE
            (tmp_path / "ca.pem").write_bytes(both)
            async with grpc.aio.secure_channel(target, credentials, options) as after:
                assert await outcome(after, CALLS[0]) == OK

    asyncio.run(run())


def test_reflection_counts_toward_the_limit(serve: Serve, lab: Path) -> None:
    ask = reflection_pb2.ServerReflectionRequest(list_services="")

    async def run() -> None:
        limits = Limits(messages_per_s=1, burst=2)
        gate = Gate(limits, monotonic_s=lambda: 0.0)
        async with serve(limits=limits, gate=gate) as served, _dialled(served, lab) as channel:
            stub = reflection_pb2_grpc.ServerReflectionStub(channel)
            stream = stub.ServerReflectionInfo(iter([ask] * 3), timeout=30)
            answers = [await stream.read() for _ in range(2)]
            assert all(answer.list_services_response.service for answer in answers)
            assert await stream.code() == EXHAUSTED

    asyncio.run(run())


def test_bytes_that_are_no_message_end_the_stream_and_are_one_log_line(
    serve: Serve, lab: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def run() -> None:
        async with serve() as served, _dialled(served, lab) as channel:
            raw = channel.stream_stream(CONTROL["ran"].path)(timeout=5)
            assert await _echoes(raw, CONTROL["ran"].request.SerializeToString())
            assert not await _echoes(raw, b"\xff\xff\xff")
            assert await raw.code() == grpc.StatusCode.INVALID_ARGUMENT

    asyncio.run(run())
    assert [record.getMessage().rpartition(": ")[2] for record in caplog.records] == [
        "controller/edge-1 sends what is no message"
    ]
