"""Certificates of every kind, and a real server of both agent services behind the real gate."""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from hw.security import certs
from hw.security.credentials import TlsFiles, bind, server_credentials
from hw.security.gate import Gate
from hw.security.identity import Identity, Role, make_identity
from hw.security.limits import Limits
from tests.hw.security.stand_in import AGENT, CALLS, Taken


@dataclass
class Served:
    """A running server."""

    port: int
    taken: Taken
    server: grpc.aio.Server


Serve = Callable[..., AbstractAsyncContextManager[Served]]


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a CA, an agent that serves on 127.0.0.1, and a client of each role."""
    folder = tmp_path_factory.mktemp("lab")
    certs.init_ca(folder)
    certs.issue(folder, make_identity(Role.AGENT, AGENT), ["127.0.0.1"])
    for role, name in ((Role.CONTROLLER, "edge-1"), (Role.OPERATOR, "anna"), (Role.ADMIN, "chief")):
        certs.issue(folder, make_identity(role, name))
    return folder


@pytest.fixture(scope="session")
def foreign_lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same names from another CA."""
    folder = tmp_path_factory.mktemp("foreign")
    certs.init_ca(folder)
    certs.issue(folder, make_identity(Role.AGENT, AGENT), ["127.0.0.1"])
    certs.issue(folder, make_identity(Role.ADMIN, "chief"))
    return folder


@pytest.fixture
def issue_expired(lab: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Identity, Path], TlsFiles]:
    """Issues a certificate of the lab that ended yesterday, in a folder of its own."""

    def issue(identity: Identity, folder: Path) -> TlsFiles:
        for name in ("ca.pem", "ca.key"):
            (folder / name).write_bytes((lab / name).read_bytes())
        with monkeypatch.context() as patch:
            past = certs.now_utc() - dt.timedelta(days=2)
            patch.setattr(certs, "now_utc", lambda: past)
            certs.issue(folder, identity, days=1)
        return TlsFiles(folder, identity.name)

    return issue


@pytest.fixture(scope="session")
def serve(lab: Path) -> Serve:
    """Starts a server of the stand-in agents, health and reflection behind the gate, over mutual TLS."""

    @asynccontextmanager
    async def start(
        files: TlsFiles | None = None, limits: Limits | None = None, gate: Gate | None = None
    ) -> AsyncIterator[Served]:
        limits = limits or Limits()
        taken = Taken()
        server = grpc.aio.server(interceptors=[gate or Gate(limits)], options=limits.server_options())
        server.add_generic_rpc_handlers(taken.handlers())
        health_pb2_grpc.add_HealthServicer_to_server(health.aio.HealthServicer(), server)
        reflection.enable_server_reflection(sorted({call.service for call in CALLS}), server)
        port = bind(server, "127.0.0.1:0", server_credentials(files or TlsFiles(lab, AGENT)))
        await server.start()
        try:
            yield Served(port, taken, server)
        finally:
            await server.stop(0)

    return start
