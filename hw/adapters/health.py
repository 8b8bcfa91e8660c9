"""Health of a process over gRPC: whether it lives (service ''), and whether it is ready (service 'ready')."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import grpc
import grpc.aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

ALIVE, READY = "", "ready"


class HealthServer:
    """Serves health, reflection and what is added before the start. Not ready until told."""

    def __init__(self, interceptors: Sequence[grpc.aio.ServerInterceptor] = ()) -> None:
        self._server = grpc.aio.server(
            interceptors=list(interceptors),
            options=[("grpc.so_reuseport", 0)],  # no second process on the port
        )
        self._names = [health.SERVICE_NAME, reflection.SERVICE_NAME]
        self._health = health.aio.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)

    def add(self, service: str, add_to: Callable[[grpc.aio.Server], None]) -> None:
        """Serve one more service, which ``add_to`` puts into a server."""
        self._names.append(service)
        add_to(self._server)

    async def start(self, listen: str, credentials: grpc.ServerCredentials | None) -> int:
        """Listen, without TLS where there are no credentials. Returns the port. Raises OSError."""
        reflection.enable_server_reflection(self._names, self._server)
        try:
            if credentials is None:
                port = self._server.add_insecure_port(listen)
            else:
                port = self._server.add_secure_port(listen, credentials)
        except RuntimeError as error:
            raise OSError(
                f"listen: {listen!r} cannot be listened on; is another controller there?"
            ) from error
        await self._health.set(ALIVE, health_pb2.HealthCheckResponse.SERVING)
        await self.set_ready(False)
        await self._server.start()
        return port

    async def set_ready(self, is_ready: bool) -> None:
        """Say whether the process is ready."""
        status = health_pb2.HealthCheckResponse
        await self._health.set(READY, status.SERVING if is_ready else status.NOT_SERVING)

    async def stop(self) -> None:
        """Stop serving."""
        await self._server.stop(0)
