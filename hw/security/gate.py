"""The one door of a server: who is it, may it call this, does it ask too much. All else is refused, with one log line.

::

    call -> certificate? -> role allowed? -> within its limits? -> handler
               |                |                  |
        UNAUTHENTICATED  PERMISSION_DENIED  RESOURCE_EXHAUSTED

A stream also ends with the certificate that opened it, with its first message after that was revoked, and when it
speaks for another controller than that of its certificate. Waking, safe charging and stop, as calls and on a stream,
count toward no limit.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import grpc
from google.protobuf.message import DecodeError

from hw.errors import SecurityError
from hw.security.identity import WAKING, Identity, Peer, Role, authorize, identity_of, peer_of
from hw.security.limits import Limits, PeerLimits, TokenBucket

_log = logging.getLogger(__name__)
_WAKING_MESSAGES = ("wakes", "safe")
_FOREVER_S = float("inf")
CANCEL_AGAIN_S = 1.0
# On loopback without TLS everybody is this one.
ANYBODY = Peer(Identity(Role.ADMIN, "loopback"), _FOREVER_S)

if TYPE_CHECKING:
    Context = grpc.aio.ServicerContext[Any, Any]
    Handler = grpc.RpcMethodHandler[Any, Any]


class RefusedError(Exception):
    """A call that is refused."""

    def __init__(self, code: grpc.StatusCode, cause: str) -> None:
        super().__init__(cause)
        self.code, self.cause = code, cause


class Gate(grpc.aio.ServerInterceptor):
    """Interceptor of a server whose handlers are asynchronous."""

    def __init__(
        self,
        limits: Limits,
        *,
        is_insecure: bool = False,
        revoked: Callable[[], frozenset[int]] = frozenset,
        monotonic_s: Callable[[], float] = time.monotonic,
        unix_s: Callable[[], float] = time.time,
    ) -> None:
        """``is_insecure``: for a server on loopback without TLS; then nobody proves who he is.

        ``revoked`` gives the serial numbers of certificates that are not let in any more.
        """
        self.on_refused: list[Callable[[str, str, str], None]] = []  # told who, method and cause
        self._revoked = revoked
        self._peers = PeerLimits(limits)
        self._is_insecure = is_insecure
        self._monotonic_s, self._unix_s = monotonic_s, unix_s
        self._log_lines, self._unlogged = TokenBucket(5.0, 50), 0

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        """Put the checks before the handler of a call."""
        handler = await continuation(handler_call_details)
        if handler is None:
            return None
        method = str(handler_call_details.method)
        coders = (handler.request_deserializer, handler.response_serializer)
        inner: Any = next(
            filter(
                None, (handler.unary_unary, handler.unary_stream, handler.stream_unary, handler.stream_stream)
            )
        )

        async def unary(request: Any, context: Any) -> Any:
            return await self._door(
                method, context, lambda peer: self._unary(inner, method, request, context, peer)
            )

        async def stream(request: Any, context: Any) -> Any:
            return await self._door(method, context, lambda peer: self._stream(inner, request, context, peer))

        if handler.request_streaming:
            if handler.response_streaming:
                return grpc.stream_stream_rpc_method_handler(stream, *coders)
            return grpc.stream_unary_rpc_method_handler(stream, *coders)
        if handler.response_streaming:
            return grpc.unary_stream_rpc_method_handler(stream, *coders)
        return grpc.unary_unary_rpc_method_handler(unary, *coders)

    async def _door(self, method: str, context: Context, call: Callable[[Peer], Awaitable[Any]]) -> Any:
        who = "nobody known"
        try:
            peer = self._peer(context)
            who = str(peer.identity)
            if not authorize(peer.identity, method):
                raise RefusedError(
                    grpc.StatusCode.PERMISSION_DENIED, f"an {peer.identity.role} may not call {method}"
                )
            return await call(peer)
        except RefusedError as error:
            self._log(f"refused {method} from {context.peer()} ({who}): {error.cause}")
            for told in self.on_refused:
                told(who, method, error.cause)
            await context.abort(error.code, error.cause)

    def _peer(self, context: Context) -> Peer:
        if self._is_insecure:
            return ANYBODY
        try:
            peer = peer_of(context.auth_context())
        except SecurityError as error:
            raise RefusedError(grpc.StatusCode.UNAUTHENTICATED, str(error)) from error
        # The handshake has checked this too, but a connection may outlive its certificate.
        if peer.until_unix_s <= self._unix_s():
            raise RefusedError(
                grpc.StatusCode.UNAUTHENTICATED, f"the certificate of {peer.identity} has expired"
            )
        self._check_revoked(peer)
        return peer

    def _check_revoked(self, peer: Peer) -> None:
        if peer.serial in self._revoked():
            cause = f"the certificate of {peer.identity} is revoked"
            raise RefusedError(grpc.StatusCode.UNAUTHENTICATED, cause)

    def _count(self, peer: Peer) -> None:
        if not self._peers.message(peer.identity, self._monotonic_s()):
            raise RefusedError(
                grpc.StatusCode.RESOURCE_EXHAUSTED, f"{peer.identity} sends more messages than allowed"
            )

    async def _unary(self, inner: Any, method: str, request: Any, context: Context, peer: Peer) -> Any:
        if method not in WAKING:
            self._count(peer)
        return await inner(request, context)

    async def _stream(self, inner: Any, request: Any, context: Context, peer: Peer) -> Any:
        """Run a handler until it ends, its messages are refused, or its peer's certificate ends."""
        if not self._peers.opened(peer.identity):
            raise RefusedError(
                grpc.StatusCode.RESOURCE_EXHAUSTED, f"{peer.identity} has too many streams open"
            )
        refusal: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        given = self._checked(request, peer, refusal) if hasattr(request, "__aiter__") else request
        work = asyncio.ensure_future(_answered(inner(given, context), context))
        left_s = None if peer.until_unix_s == _FOREVER_S else peer.until_unix_s - self._unix_s()
        try:
            if not hasattr(request, "__aiter__"):
                self._count(peer)
            ended, _ = await asyncio.wait(
                {work, refusal}, timeout=left_s, return_when=asyncio.FIRST_COMPLETED
            )
            if not ended:
                raise RefusedError(
                    grpc.StatusCode.UNAUTHENTICATED, f"the certificate of {peer.identity} has expired"
                )
            return await ended.pop() if refusal not in ended else await refusal
        finally:
            await _cancelled(work)
            _settle(refusal)
            self._peers.closed(peer.identity)

    async def _checked(
        self, messages: AsyncIterator[Any], peer: Peer, refusal: asyncio.Future[Any]
    ) -> AsyncIterator[Any]:
        """The messages of a stream, up to the first that is refused."""
        try:
            async for message in messages:
                self._check_message(message, peer)
                yield message
        except DecodeError:
            error = RefusedError(
                grpc.StatusCode.INVALID_ARGUMENT, f"{peer.identity} sends what is no message"
            )
        except RefusedError as refused:
            error = refused
        else:
            return
        if not refusal.done():
            refusal.set_exception(error)

    def _check_message(self, message: Any, peer: Peer) -> None:
        kind = message.WhichOneof("message") if "message" in message.DESCRIPTOR.oneofs_by_name else None
        if kind in _WAKING_MESSAGES:
            return
        self._check_revoked(peer)
        self._count(peer)
        if kind is None or self._is_insecure:
            return
        part = getattr(message, kind)
        said = part.controller_id if kind == "hello" else part.origin.controller_id
        if said != peer.identity.name:
            cause = f"{peer.identity} may not speak for another controller"
            raise RefusedError(grpc.StatusCode.PERMISSION_DENIED, cause)

    def _log(self, line: str) -> None:
        """One line a refusal, but no more than a disk can bear."""
        if not self._log_lines.take(self._monotonic_s()):
            self._unlogged += 1
            return
        more, self._unlogged = self._unlogged, 0
        _log.warning("%s%s", line, f" ({more} refusals before were not logged)" if more else "")


async def _answered(result: Any, context: Context) -> Any:
    """Send what a handler yields; a handler that writes by itself is awaited."""
    if not hasattr(result, "__aiter__"):
        return await result
    async with aclosing(result) as answers:
        async for answer in answers:
            await context.write(answer)
    return None


async def _cancelled(work: asyncio.Future[Any]) -> None:
    """End a handler and wait until it has; one that lost a cancellation, as ``asyncio.wait_for`` may, gets another."""
    while not work.done():
        work.cancel()
        await asyncio.wait({work}, timeout=CANCEL_AGAIN_S)
    _settle(work)


def _settle(future: asyncio.Future[Any]) -> None:
    """Look at how it ended, so that nobody warns of an error that came too late to matter."""
    if not future.cancel() and not future.cancelled():
        future.exception()


async def caller(context: Context, _method: str) -> str:
    """Who calls, for the records of a server whose gate has let the call in over TLS."""
    return str(identity_of(context.auth_context()))
