"""Clients that live for years: what becomes of them as the certificate that dialled ends and its files are renewed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc import aio
from quietcell.leader.v1 import leader_pb2, leader_pb2_grpc

from hw.adapters.dial import CertificateRefused, Dial
from hw.adapters.leader import LeaderClient
from hw.adapters.replica import Fetched, ReplicaClient
from hw.adapters.replica_server import serves_replica
from hw.security.certs import init_ca, issue
from hw.security.credentials import TlsFiles, client_credentials, server_credentials
from hw.security.gate import Gate
from hw.security.identity import Role, make_identity
from hw.security.limits import Limits

DAY_S = 86_400.0
SERVER, EDGE = make_identity(Role.AGENT, "site-001"), make_identity(Role.CONTROLLER, "edge-1")


class _Agent(leader_pb2_grpc.LeaderServiceServicer):
    async def GetLeader(self, _request: Any, _context: Any) -> leader_pb2.GetLeaderResponse:  # noqa: N802
        return leader_pb2.GetLeaderResponse(highest_epoch=7)


class _Journal:
    async def fetch(self, _after: int, _chain: bytes, *, cuts: bool) -> Fetched:
        return Fetched(has_parted=cuts)


class Network:
    """A server behind a gate whose clock a test moves, and the files of a controller."""

    def __init__(self, folder: Path) -> None:
        init_ca(folder, 3650)
        issue(folder, SERVER, ["127.0.0.1"], 3650)
        self.folder, self.files, self.ahead_s, self.address = folder, TlsFiles(folder, EDGE.name), 0.0, ""
        self.renew(10)

    def renew(self, days: int) -> None:
        issue(self.folder, EDGE, ["127.0.0.1"], days)

    @property
    def credentials(self) -> Callable[[], grpc.ChannelCredentials]:
        return partial(client_credentials, self.files)

    @asynccontextmanager
    async def served(self, add: Callable[[aio.Server], None]) -> AsyncIterator[None]:
        server = aio.server(interceptors=[Gate(Limits(), unix_s=lambda: time.time() + self.ahead_s)])
        add(server)
        port = server.add_secure_port("127.0.0.1:0", server_credentials(TlsFiles(self.folder, SERVER.name)))
        self.address = f"127.0.0.1:{port}"
        await server.start()
        yield
        await server.stop(0)


@pytest.fixture
def network(tmp_path: Path) -> Network:
    return Network(tmp_path / "tls")


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, 60))


def test_leadership_is_asked_for_with_the_renewed_certificate(network: Network) -> None:
    async def work() -> None:
        agent = _Agent()
        async with network.served(
            lambda server: leader_pb2_grpc.add_LeaderServiceServicer_to_server(agent, server)
        ):
            dial = Dial(SERVER.name, network.address, network.credentials)
            async with LeaderClient(dial) as client:
                assert (await client.look(5.0)).highest_epoch == 7
                network.renew(300)
                network.ahead_s = 11 * DAY_S
                with pytest.raises(CertificateRefused, match="expired"):
                    await client.look(5.0)
                assert (await client.look(5.0)).highest_epoch == 7

    run(work())


def test_the_journal_is_fetched_with_the_renewed_certificate(network: Network) -> None:
    async def work() -> None:
        async with (
            network.served(serves_replica(_Journal())),
            ReplicaClient(network.address, network.credentials) as client,
        ):
            assert await client.fetch(0, b"", cuts=False) == Fetched()
            network.renew(300)
            network.ahead_s = 11 * DAY_S
            with pytest.raises(ConnectionError, match="expired"):
                await client.fetch(0, b"", cuts=False)
            assert await client.fetch(0, b"", cuts=False) == Fetched()

    run(work())


def test_a_certificate_that_is_being_replaced_is_read_again_with_the_next_request(network: Network) -> None:
    async def work() -> None:
        key = network.files.paths[2]
        content = key.read_bytes()
        key.unlink()
        async with (
            network.served(serves_replica(_Journal())),
            ReplicaClient(network.address, network.credentials) as client,
        ):
            with pytest.raises(ConnectionError, match="does not exist"):
                await client.fetch(0, b"", cuts=False)
            key.write_bytes(content)
            key.chmod(0o600)
            assert await client.fetch(0, b"", cuts=False) == Fetched()

    run(work())
