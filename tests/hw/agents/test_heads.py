"""Heads of a journal that an agent keeps, over mutual TLS."""

from __future__ import annotations

import asyncio
from pathlib import Path

import grpc
import pytest

from hw.adapters.dial import AgentError, AgentRefused, Dial
from hw.adapters.operator import HeadKeeper
from hw.agents.heads_server import AT_ONCE, MAX_BYTES, keep_heads_in
from hw.security.certs import init_ca, issue
from hw.security.credentials import TlsFiles, client_credentials, server_credentials
from hw.security.gate import Gate
from hw.security.identity import Role, make_identity
from hw.security.limits import Limits
from hw.security.signing import Signed, sign, signer_of


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lab")
    init_ca(folder, 30)
    issue(folder, make_identity(Role.AGENT, "site-a"), ["127.0.0.1"], 30)
    for role, name in ((Role.CONTROLLER, "edge-1"), (Role.OPERATOR, "anna"), (Role.ADMIN, "chief")):
        issue(folder, make_identity(role, name), [], 30)
    return folder


def test_what_a_controller_gave_is_there_after_a_restart_and_nobody_else_gives(
    lab: Path, tmp_path: Path
) -> None:
    path = tmp_path / "site-a.heads"
    heads = [sign(TlsFiles(lab, "edge-1"), f"head {i}".encode()) for i in range(AT_ONCE)]

    async def served() -> tuple[grpc.aio.Server, int]:
        server = grpc.aio.server(interceptors=[Gate(Limits())])
        keep_heads_in(path, server)
        port = server.add_secure_port("127.0.0.1:0", server_credentials(TlsFiles(lab, "site-a")))
        await server.start()
        return server, port

    def keeper(port: int, name: str) -> HeadKeeper:
        return HeadKeeper(
            Dial("site-a", f"127.0.0.1:{port}", lambda: client_credentials(TlsFiles(lab, name)))
        )

    async def test() -> None:
        server, port = await served()
        for name in ("anna", "chief"):
            async with keeper(port, name) as other:
                with pytest.raises(AgentRefused, match="may not call"):
                    await other.keep(heads[0])
        async with keeper(port, "edge-1") as own:
            with pytest.raises(AgentRefused, match="longer"):
                await own.keep(Signed(b"x" * MAX_BYTES, b"", b""))
            for head in heads:
                await own.keep(head)
            with pytest.raises(AgentError, match="too often"):
                await own.keep(heads[0])
        await server.stop(0)
        with path.open("ab") as file:
            file.write(b"damaged\n")
        server, port = await served()
        async with keeper(port, "anna") as reader:
            assert await reader.heads() == heads
        await server.stop(0)

    asyncio.run(test())
    assert str(signer_of(heads[0], lab)) == "controller/edge-1"
