"""Every RPC of both services with every kind of credential, against a real server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import grpc
import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from hw.security import certs
from hw.security.credentials import TlsFiles, agent_channel_options, client_credentials
from hw.security.identity import Identity, Role, make_identity
from tests.hw.security.conftest import Serve
from tests.hw.security.stand_in import AGENT, CALLS, outcome

OK, DENIED = grpc.StatusCode.OK, grpc.StatusCode.PERMISSION_DENIED
UNAVAILABLE, UNAUTHENTICATED = grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.UNAUTHENTICATED

# Written apart from the table of the gate: which methods each role may call.
MAY = {
    Role.AGENT: set(),
    Role.OPERATOR: {"GetInventory", "WatchState", "WakeUp", "ChargeSafely", "Stop"},
    Role.CONTROLLER: {"GetInventory", "WatchState", "WakeUp", "ChargeSafely", "Stop", "Control"},
    Role.ADMIN: {"GetInventory", "WatchState", "WakeUp", "ChargeSafely", "Stop", "Control", "ClearStop"},
}


def _try_all(
    serve: Serve, credentials: grpc.ChannelCredentials | None
) -> tuple[dict[str, grpc.StatusCode], list[str]]:
    """How each RPC ends with these credentials, and which of them got to the agent."""

    async def run() -> tuple[dict[str, grpc.StatusCode], list[str]]:
        async with serve() as served:
            target, options = f"127.0.0.1:{served.port}", agent_channel_options(AGENT)
            if credentials is None:
                channel = grpc.aio.insecure_channel(target)
            else:
                channel = grpc.aio.secure_channel(target, credentials, options)
            async with channel:
                return {call.path: await outcome(channel, call) for call in CALLS}, served.taken.paths

    return asyncio.run(run())


def _refused_by_the_handshake(serve: Serve, credentials: grpc.ChannelCredentials | None) -> None:
    codes, taken = _try_all(serve, credentials)
    assert set(codes.values()) == {UNAVAILABLE}
    assert taken == []


def test_there_is_a_call_for_every_rpc() -> None:
    assert len({call.path for call in CALLS}) == 12


def test_a_client_without_tls_is_refused(serve: Serve) -> None:
    _refused_by_the_handshake(serve, None)


def test_a_client_without_certificate_is_refused(serve: Serve, lab: Path) -> None:
    _refused_by_the_handshake(serve, grpc.ssl_channel_credentials((lab / "ca.pem").read_bytes()))


def test_a_certificate_of_another_ca_is_refused(serve: Serve, lab: Path, foreign_lab: Path) -> None:
    key, chain = (foreign_lab / "chief.key").read_bytes(), (foreign_lab / "chief.pem").read_bytes()
    _refused_by_the_handshake(serve, grpc.ssl_channel_credentials((lab / "ca.pem").read_bytes(), key, chain))


def test_an_expired_certificate_is_refused(
    serve: Serve, tmp_path: Path, issue_expired: Callable[[Identity, Path], TlsFiles]
) -> None:
    expired = issue_expired(make_identity(Role.ADMIN, "late"), tmp_path)
    _refused_by_the_handshake(serve, client_credentials(expired))


def test_the_certificate_of_an_agent_opens_no_connection(serve: Serve, lab: Path) -> None:
    _refused_by_the_handshake(serve, client_credentials(TlsFiles(lab, AGENT)))


@pytest.mark.parametrize(
    ("role", "name"),
    [(Role.CONTROLLER, "edge-1"), (Role.OPERATOR, "anna"), (Role.ADMIN, "edge-1"), (Role.AGENT, "b")],
)
def test_each_role_may_call_its_methods_and_no_other(
    serve: Serve, lab: Path, tmp_path: Path, role: Role, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(certs._USES, Role.AGENT, [ExtendedKeyUsageOID.CLIENT_AUTH])
    files = _issued_like(lab, tmp_path, make_identity(role, name))
    codes, taken = _try_all(serve, client_credentials(files))
    expected = {c.path: OK if c.method in MAY[role] else DENIED for c in CALLS}
    assert codes == expected
    assert taken == [path for path, code in expected.items() if code is OK]


def _issued_like(lab: Path, folder: Path, identity: Identity) -> TlsFiles:
    """A certificate of the lab's CA in a folder of its own."""
    for name in ("ca.pem", "ca.key"):
        (folder / name).write_bytes((lab / name).read_bytes())
    certs.issue(folder, identity)
    return TlsFiles(folder, identity.name)


ADMIN_URI = "quietcell:admin/chief"


@pytest.mark.parametrize(
    "names",
    [
        [x509.DNSName("chief.example")],
        [x509.DNSName(ADMIN_URI)],
        [
            x509.UniformResourceIdentifier(ADMIN_URI),
            x509.UniformResourceIdentifier("quietcell:operator/anna"),
        ],
        [x509.UniformResourceIdentifier("quietcell:root/chief")],
        [x509.UniformResourceIdentifier("quietcell:admin/")],
        [x509.UniformResourceIdentifier("quietcell:admin/a/b")],
        [x509.UniformResourceIdentifier("quietcell:Admin/chief")],
        [x509.UniformResourceIdentifier("spiffe://quietcell/admin/chief")],
    ],
    ids=[
        "no name",
        "dns name like one",
        "two",
        "unknown role",
        "no one",
        "a path",
        "other case",
        "other scheme",
    ],
)
def test_a_certificate_that_does_not_say_once_who_it_is_is_refused(
    serve: Serve, lab: Path, tmp_path: Path, names: list[x509.GeneralName], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(certs, "_names", lambda identity, hosts: names)
    _issued_like(lab, tmp_path, make_identity(Role.ADMIN, "chief"))
    ca, chain, key = ((tmp_path / name).read_bytes() for name in ("ca.pem", "chief.pem", "chief.key"))
    codes, taken = _try_all(serve, grpc.ssl_channel_credentials(ca, key, chain))
    assert set(codes.values()) == {UNAUTHENTICATED}
    assert taken == []


def test_health_and_reflection_answer_whoever_is_known(serve: Serve, lab: Path) -> None:
    async def run() -> None:
        async with (
            serve() as served,
            grpc.aio.secure_channel(
                f"127.0.0.1:{served.port}",
                client_credentials(TlsFiles(lab, "anna")),
                agent_channel_options(AGENT),
            ) as channel,
        ):
            health = health_pb2_grpc.HealthStub(channel)
            answer = await health.Check(health_pb2.HealthCheckRequest(), timeout=30)
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
            watch = health.Watch(health_pb2.HealthCheckRequest(), timeout=30)
            assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING
            watch.cancel()
            ask = reflection_pb2.ServerReflectionRequest(list_services="")
            listed = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo(
                iter([ask]), timeout=5
            )
            names = [service.name for service in (await listed.read()).list_services_response.service]
            assert names == ["quietcell.power.v1.PowerAgentService", "quietcell.ran.v1.RanAgentService"]

    asyncio.run(run())


@pytest.mark.parametrize("agent_id", ["site-002", "127.0.0.1"])
def test_a_controller_refuses_a_server_that_is_not_the_agent_it_dialled(
    serve: Serve, lab: Path, agent_id: str
) -> None:
    async def run() -> list[str]:
        async with (
            serve() as served,
            grpc.aio.secure_channel(
                f"127.0.0.1:{served.port}",
                client_credentials(TlsFiles(lab, "edge-1")),
                agent_channel_options(agent_id),
            ) as channel,
        ):
            assert {await outcome(channel, call) for call in CALLS} == {UNAVAILABLE}
            return served.taken.paths

    assert asyncio.run(run()) == []


def test_the_server_of_a_controller_cannot_pass_for_an_agent(serve: Serve, lab: Path, tmp_path: Path) -> None:
    posing = _issued_like(lab, tmp_path, make_identity(Role.CONTROLLER, AGENT))

    async def run() -> None:
        async with (
            serve(posing) as served,
            grpc.aio.secure_channel(
                f"127.0.0.1:{served.port}",
                client_credentials(TlsFiles(lab, "edge-1")),
                agent_channel_options(AGENT),
            ) as channel,
        ):
            assert await outcome(channel, CALLS[0]) == UNAVAILABLE

    asyncio.run(run())


def test_a_client_refuses_a_server_of_another_ca(serve: Serve, lab: Path, foreign_lab: Path) -> None:
    key, chain = (lab / "edge-1.key").read_bytes(), (lab / "edge-1.pem").read_bytes()
    credentials = grpc.ssl_channel_credentials((foreign_lab / "ca.pem").read_bytes(), key, chain)
    _refused_by_the_handshake(serve, credentials)
