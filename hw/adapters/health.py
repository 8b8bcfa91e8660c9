"""The controller's own port: health (service '' lives, service 'ready' may command), status, alarms and reflection."""

from __future__ import annotations

import grpc
import grpc.aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from quietcell.control.v1 import control_pb2_grpc

from hw.adapters.control import ControlView
from hw.adapters.control_server import SERVICE, ControlServer
from hw.security.gate import Gate
from hw.security.limits import Limits

ALIVE, READY = "", "ready"


class HealthServer:
    """Serves health, status and alarms, with reflection. Not ready until told."""

    def __init__(self, view: ControlView, credentials: grpc.ServerCredentials | None) -> None:
        """Without credentials there is no TLS, and everybody may ask everything."""
        self._credentials, is_insecure = credentials, credentials is None
        limits = Limits()
        self._server = grpc.aio.server(
            interceptors=[Gate(limits, is_insecure=is_insecure)],
            options=[*limits.server_options(), ("grpc.so_reuseport", 0)],  # no second process on the port
        )
        self._health = health.aio.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        control = ControlServer(view, is_insecure=is_insecure)
        control_pb2_grpc.add_ControlServiceServicer_to_server(control, self._server)
        names = (SERVICE, health.SERVICE_NAME, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(names, self._server)

    async def start(self, listen: str) -> int:
        """Listen. Returns the port. Raises OSError."""
        try:
            if self._credentials is None:
                port = self._server.add_insecure_port(listen)
            else:
                port = self._server.add_secure_port(listen, self._credentials)
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
