"""gRPC without sockets: a channel to the handlers of a server in the same process, over a network that misbehaves.

Messages are serialised and parsed as on the wire. A network delays, holds up, doubles, reorders and loses them, and
breaks streams; times are those of the running loop, which may be virtual (benchmarks/virtual_time.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

import grpc
import grpc.aio

Handler = Any  # of a method: a grpc.RpcMethodHandler


@dataclass(slots=True)
class Network:
    """How the way to one site behaves, both ways. Changed at any time by whoever injects faults."""

    random: Random
    delay_s: float = 0.02  # mean
    held_share: float = 0.0  # of the messages, those held up for ``held_s`` on average
    held_s: float = 30.0
    double_share: float = 0.0
    reorder_share: float = 0.0
    lost_share: float = 0.0
    is_up: bool = True
    streams: list[Stream] = field(default_factory=list)
    written: Callable[[str, bytes], None] = lambda _path, _message: None  # told of all that callers write
    failed: Callable[[Exception], None] = lambda _error: None  # told of a handler that raised
    arrived: Callable[[str, bytes], None] = lambda _path, _message: None  # told of all that handlers read

    def arrivals_s(self) -> list[float]:
        """After how long each copy of a message arrives."""
        if not self.is_up or self.random.random() < self.lost_share:
            return []
        copies = 2 if self.random.random() < self.double_share else 1
        return [self._delay_s() for _ in range(copies)]

    def _delay_s(self) -> float:
        mean_s = self.held_s if self.random.random() < self.held_share else self.delay_s
        return self.random.expovariate(1 / mean_s)

    def cut(self) -> None:
        """Break all streams; what is on its way still arrives where somebody listens."""
        for stream in self.streams:
            stream.break_off()
        self.streams.clear()


class Pipe:
    """One direction of a stream."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._arrived: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._last_s = 0.0
        self.is_closed = False

    def send(self, message: bytes) -> None:
        """On its way; in order, unless the network reorders."""
        loop = asyncio.get_running_loop()
        for delay_s in self._network.arrivals_s():
            at_s = loop.time() + delay_s
            if self._network.random.random() >= self._network.reorder_share:
                at_s = self._last_s = max(at_s, self._last_s)
            loop.call_at(at_s, self._arrived.put_nowait, message)

    def end(self) -> None:
        """Nothing comes any more."""
        if not self.is_closed:
            self.is_closed = True
            self._arrived.put_nowait(None)

    def end_in_order(self) -> None:
        """Nothing comes any more after what is on its way."""
        loop = asyncio.get_running_loop()
        loop.call_at(max(self._last_s, loop.time()), self.end)

    async def receive(self) -> bytes | None:
        """The next message; None at the end."""
        return await self._arrived.get()


class Stream:
    """A stream between a caller and a handler."""

    def __init__(self, network: Network, path: str) -> None:
        self.path, self.opened_s = path, asyncio.get_running_loop().time()
        self.down, self.up = Pipe(network), Pipe(network)
        self.error: grpc.aio.AioRpcError | None = None
        self.task: asyncio.Task[None] | None = None

    def inject(self, message: bytes) -> None:
        """Have a message arrive now that nobody sends now."""
        self.down._arrived.put_nowait(message)

    def break_off(self, code: grpc.StatusCode = grpc.StatusCode.UNAVAILABLE, details: str = "broken") -> None:
        """Both ends see the stream end."""
        if self.error is None:
            self.error = rpc_error(code, details)
        self.up.end()
        self.down.end()
        if self.task is not None:
            self.task.cancel()


def rpc_error(code: grpc.StatusCode, details: str) -> grpc.aio.AioRpcError:
    """As a call raises it."""
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(), details)


class Aborted(Exception):  # noqa: N818
    """A handler has aborted its call."""

    def __init__(self, code: grpc.StatusCode, details: str) -> None:
        super().__init__(details)
        self.code, self.details = code, details


class Context:
    """What a handler sees of its call."""

    def __init__(
        self, stream: Stream, write: Callable[[Any], None], read: Callable[[], Awaitable[Any]]
    ) -> None:
        self._stream, self._write, self._read = stream, write, read
        self._done: list[Callable[[Any], None]] = []

    async def abort(self, code: grpc.StatusCode, details: str = "", _trailing: Any = ()) -> None:
        """End the call with an error."""
        raise Aborted(code, details)

    async def read(self) -> Any:
        """The next request."""
        return await self._read()

    async def write(self, message: Any) -> None:
        """One response."""
        self._write(message)
        await asyncio.sleep(0)

    def cancelled(self) -> bool:
        """Whether the caller is gone."""
        return self._stream.error is not None

    def add_done_callback(self, callback: Callable[[Any], None]) -> None:
        """Called once, at the end."""
        self._done.append(callback)

    def finish(self) -> None:
        """The call is over."""
        for callback in self._done:
            callback(self)

    def auth_context(self) -> dict[str, Any]:
        """No TLS here."""
        return {}

    def peer(self) -> str:
        """Who calls."""
        return "virtual"

    def invocation_metadata(self) -> tuple[Any, ...]:
        """None here."""
        return ()

    def time_remaining(self) -> float | None:
        """No deadline on the server's side."""
        return None


class Call:
    """A stream as its caller holds it."""

    def __init__(self, stream: Stream, method: Method) -> None:
        self._stream, self._method = stream, method

    async def write(self, message: Any) -> None:
        """Send one request."""
        if self._stream.error is not None:
            raise self._stream.error
        data = self._method.encode(message)
        self._method.channel.network.written(self._method.path, data)
        self._stream.down.send(data)
        await asyncio.sleep(0)

    async def read(self) -> Any:
        """The next response, EOF at an orderly end."""
        data = await self._stream.up.receive()
        if data is not None:
            return self._method.decode(data)
        if self._stream.error is not None:
            raise self._stream.error
        return grpc.aio.EOF

    def __aiter__(self) -> AsyncIterator[Any]:
        return self._all()

    async def _all(self) -> AsyncIterator[Any]:
        while (message := await self.read()) is not grpc.aio.EOF:
            yield message

    def cancel(self) -> bool:
        """The caller has enough."""
        self._stream.break_off(grpc.StatusCode.CANCELLED, "cancelled")
        return True


@dataclass(frozen=True, slots=True)
class Method:
    """A method as a stub asks a channel for it."""

    channel: Channel
    path: str
    encode: Callable[[Any], bytes]
    decode: Callable[[bytes], Any]

    def open(self, *_args: Any, **_options: Any) -> Call:
        """Begin a stream."""
        stream = Stream(self.channel.network, self.path)
        self.channel.begin(self.path, stream)
        return Call(stream, self)

    async def ask(self, request: Any, timeout: float | None = None, **_options: Any) -> Any:
        """One request, one response."""
        call = self.open()
        try:
            async with asyncio.timeout(timeout):
                await call.write(request)
                answer = await call.read()
        except TimeoutError as late:
            call.cancel()
            raise rpc_error(grpc.StatusCode.DEADLINE_EXCEEDED, "no answer in time") from late
        if answer is grpc.aio.EOF:
            raise rpc_error(grpc.StatusCode.INTERNAL, "no answer")
        return answer


class Channel:
    """Looks like a grpc.aio.Channel to stubs. ``handlers`` of the server by path, None while it is dead."""

    def __init__(self, network: Network, handlers: Callable[[], dict[str, Handler] | None]) -> None:
        self.network, self._handlers = network, handlers
        self._streams: list[Stream] = []

    def unary_unary(self, path: str, **codec: Any) -> Any:
        """A method with one request and one response."""
        return Method(self, path, codec["request_serializer"], codec["response_deserializer"]).ask

    def stream_stream(self, path: str, **codec: Any) -> Any:
        """A method with streams both ways."""
        return Method(self, path, codec["request_serializer"], codec["response_deserializer"]).open

    unary_stream = stream_stream  # a stub asks for all its methods; the simulation calls none of this kind

    async def close(self, _grace: float | None = None) -> None:
        """Cancel all streams."""
        for stream in self._streams:
            stream.break_off(grpc.StatusCode.CANCELLED, "channel closed")

    def begin(self, path: str, stream: Stream) -> None:
        """Reach the server, if it lives and the network is up."""
        handlers = self._handlers()
        if handlers is None or not self.network.is_up:
            stream.break_off(grpc.StatusCode.UNAVAILABLE, "no connection")
            return
        self._streams.append(stream)
        self.network.streams.append(stream)
        serving = _serve(handlers[path], stream, self.network)
        stream.task = asyncio.get_running_loop().create_task(serving)


async def _serve(handler: Handler, stream: Stream, network: Network) -> None:
    """Run a handler on a stream to its end."""
    decode, encode = handler.request_deserializer, handler.response_serializer

    async def read() -> Any:
        data = await stream.down.receive()
        if data is None:
            return grpc.aio.EOF
        network.arrived(stream.path, data)
        return decode(data)

    async def requests() -> AsyncIterator[Any]:
        while (message := await read()) is not grpc.aio.EOF:
            yield message

    def write(message: Any) -> None:
        stream.up.send(encode(message))

    context = Context(stream, write, read)
    try:
        if handler.stream_stream is not None:
            responses = handler.stream_stream(requests(), context)
            if hasattr(responses, "__aiter__"):
                async for response in responses:
                    write(response)
            else:
                await responses
        elif handler.unary_unary is not None:
            write(await handler.unary_unary(await read(), context))
        else:
            raise Aborted(grpc.StatusCode.UNIMPLEMENTED, "no such kind of method here")
    except Aborted as aborted:
        stream.break_off(aborted.code, aborted.details)
    except Exception as error:  # a handler must not fail, whatever it is told
        network.failed(error)
    finally:
        context.finish()
        stream.up.end_in_order()
