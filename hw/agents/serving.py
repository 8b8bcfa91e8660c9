"""What the servers of radio and power agents share: the port, health, reflection, and how they begin and end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
from grpc import aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from hw.agents.heads_server import SERVICE as HEAD_SERVICE
from hw.agents.heads_server import keep_heads_in
from hw.agents.leader_server import SERVICE as LEADER_SERVICE
from hw.agents.leader_server import serve_leader
from hw.agents.running import AgentRunner, log
from hw.ports import Bools
from hw.security.credentials import check_insecure
from hw.security.limits import Limits

Authorize = Callable[[Any, str], Awaitable[str]]
FINISH_S = 5.0  # for the plant to wake all as the agent ends
GRACE_S = 0.5
CANCEL_AGAIN_S = 1.0
AGAIN_S = 1.0  # between attempts to reach the plant at the start
ASKED_AT_MOST = 5  # times to bring all to rest, of a plant that is reached
OPTIONS: tuple[tuple[str, int], ...] = (
    *Limits().server_options(),
    ("grpc.so_reuseport", 0),  # a second agent on the port is an error, not a share
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
)


@dataclass(frozen=True, slots=True)
class Door:
    """Where an agent listens and whom it lets in."""

    listen: str
    credentials: grpc.ServerCredentials | None = None  # None: no TLS, on loopback only
    authorize: Authorize | None = None  # identity of a caller; aborts the call of one who may not
    interceptors: Sequence[Any] = ()
    heads: Path | None = None  # file in which it keeps heads of the controller's journal; None: it keeps none

    async def identity(self, context: Any, method: str) -> str:
        """Who calls; the call is aborted for one who may not."""
        return "anybody on this host" if self.authorize is None else await self.authorize(context, method)


class Patience:
    """Says once that the plant cannot be brought to rest, and waits between attempts."""

    def __init__(self) -> None:
        self._has_said = False
        self._refused = 0

    def check(self, done: Bools) -> None:
        """Raise OSError where the plant did not bring all to rest, unless it was asked often enough.

        One cell or site that is broken must not keep the others from being served for ever: what the readings show of
        it is ordered again and again.
        """
        missing = int((~done).sum())
        self._refused += 1
        if missing and self._refused < ASKED_AT_MOST:
            raise OSError(f"{missing} of {len(done)} are not at rest")
        if missing:
            log.error("%d of %d are not at rest although asked %d times", missing, len(done), self._refused)

    async def wait(self, error: OSError) -> None:
        """After an attempt that failed."""
        if not self._has_said:
            log.warning("plant cannot be brought to rest, trying again: %s", error or type(error).__name__)
        self._has_said = True
        await asyncio.sleep(AGAIN_S)


class AgentServer:
    """A serving agent."""

    def __init__(self, server: aio.Server, runner: AgentRunner[Any, Any, Any], port: int) -> None:
        self.runner = runner
        self.port = port
        self._server = server
        self._loops = [
            asyncio.ensure_future(runner.keep_time()),
            asyncio.ensure_future(runner.keep_reading()),
        ]

    async def wait(self) -> None:
        """Serve until something fails that must not; then raise it, for the plant's own timers to take over."""
        await asyncio.wait(self._loops, return_when=asyncio.FIRST_COMPLETED)
        for loop in self._loops:
            if loop.done():
                loop.result()

    async def close(self) -> None:
        """Bring everything to rest, then stop serving."""
        try:
            await asyncio.wait_for(self.runner.finish(), FINISH_S)
        except TimeoutError:
            log.error("the plant did not confirm within %g s; its own timers remain", FINISH_S)
        await self._server.stop(GRACE_S)
        while not all(loop.done() for loop in self._loops):
            for loop in self._loops:
                loop.cancel()
            await asyncio.wait(
                self._loops, timeout=CANCEL_AGAIN_S
            )  # a plant's driver may have lost the first one
        await asyncio.gather(*self._loops, return_exceptions=True)


async def open_server(
    door: Door, runner: AgentRunner[Any, Any, Any], add: Callable[[aio.Server], None], service: str
) -> AgentServer:
    """Serve ``service``, which ``add`` puts into a server, with health and reflection."""
    if door.credentials is None:
        check_insecure(door.listen)
    server = aio.server(interceptors=list(door.interceptors), options=OPTIONS)
    add(server)
    serve_leader(runner, door.identity, server)
    served = [service, LEADER_SERVICE]
    if door.heads is not None:
        keep_heads_in(door.heads, server)
        served.append(HEAD_SERVICE)
    healthy = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(healthy, server)
    for name in ("", *served):
        await healthy.set(name, health_pb2.HealthCheckResponse.SERVING)
    names = (*served, health.SERVICE_NAME, reflection.SERVICE_NAME)
    reflection.enable_server_reflection(names, server)
    try:
        if door.credentials is None:
            port = server.add_insecure_port(door.listen)
        else:
            port = server.add_secure_port(door.listen, door.credentials)
    except RuntimeError as error:
        raise OSError(f"listen: {door.listen} cannot be opened: {error}") from error
    await server.start()
    return AgentServer(server, runner, port)
