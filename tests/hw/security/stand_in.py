"""Every RPC of the agents, a stand-in that answers them, and how a call ends."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import grpc
from quietcell.power.v1 import power_pb2
from quietcell.ran.v1 import ran_pb2

AGENT = "site-001"


@dataclass(frozen=True)
class Call:
    """One RPC of the agents, with a request that a stand-in answers."""

    service: str
    method: str
    request: Any
    response: Any
    streams_in: bool = False
    streams_out: bool = False

    @property
    def path(self) -> str:
        return f"/{self.service}/{self.method}"

    def __str__(self) -> str:
        return f"{self.service.split('.')[1]}-{self.method}"


def _calls(module: Any, name: str, safe: str, hello: Any) -> list[Call]:
    def message(method: str, kind: str) -> Any:
        return getattr(module, method + kind)

    unary = [
        Call(name, method, message(method, "Request")(), message(method, "Response")())
        for method in ("GetInventory", safe, "Stop", "ClearStop")
    ]
    watch = Call(
        name, "WatchState", module.WatchStateRequest(), module.WatchStateResponse(), streams_out=True
    )
    control = Call(
        name,
        "Control",
        module.ControlRequest(hello=hello),
        module.ControlResponse(),
        streams_in=True,
        streams_out=True,
    )
    return [*unary, watch, control]


CALLS = [
    *_calls(ran_pb2, "quietcell.ran.v1.RanAgentService", "WakeUp", ran_pb2.Hello(controller_id="edge-1")),
    *_calls(
        power_pb2,
        "quietcell.power.v1.PowerAgentService",
        "ChargeSafely",
        power_pb2.Hello(controller_id="edge-1"),
    ),
]


class Taken:
    """What the stand-in agents were handed: nothing of a refused call may get here."""

    def __init__(self) -> None:
        self.paths: list[str] = []
        self.messages: list[Any] = []

    def handlers(self) -> list[Any]:
        services = {call.service for call in CALLS}
        return [
            grpc.method_handlers_generic_handler(
                service, {call.method: self._handler(call) for call in CALLS if call.service == service}
            )
            for service in sorted(services)
        ]

    def _handler(self, call: Call) -> Any:
        async def unary(request: Any, context: Any) -> Any:
            self.paths.append(call.path)
            return call.response

        async def watch(request: Any, context: Any) -> AsyncIterator[Any]:
            self.paths.append(call.path)
            yield call.response

        async def control(requests: AsyncIterator[Any], context: Any) -> AsyncIterator[Any]:
            self.paths.append(call.path)
            async for request in requests:
                self.messages.append(request)
                yield call.response

        coders = (type(call.request).FromString, type(call.response).SerializeToString)
        if call.streams_in:
            return grpc.stream_stream_rpc_method_handler(control, *coders)
        if call.streams_out:
            return grpc.unary_stream_rpc_method_handler(watch, *coders)
        return grpc.unary_unary_rpc_method_handler(unary, *coders)


async def outcome(channel: grpc.aio.Channel, call: Call, request: Any = None) -> grpc.StatusCode:
    """How one call ends; a stream after its first answer."""
    coders = (type(call.request).SerializeToString, type(call.response).FromString)
    message = request or call.request
    try:
        if call.streams_in:
            stream = channel.stream_stream(call.path, *coders)(iter([message]), timeout=30)
            await stream.read()
            return await stream.code()
        if call.streams_out:
            watch = channel.unary_stream(call.path, *coders)(message, timeout=30)
            await watch.read()
            return await watch.code()
        await channel.unary_unary(call.path, *coders)(message, timeout=30)
    except grpc.aio.AioRpcError as error:
        return error.code()
    return grpc.StatusCode.OK
