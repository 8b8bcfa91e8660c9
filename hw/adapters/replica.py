"""How a controller that stands by gets the journal of the one that leads: proto/quietcell/replica/v1/replica.proto."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

import grpc
import grpc.aio
from quietcell.replica.v1 import replica_pb2, replica_pb2_grpc

DEADLINE_S = 10.0
LONGEST_BYTES = 64 << 20  # of an answer: one append is never cut


@dataclass(frozen=True, slots=True)
class Base:
    """What appends that are not kept any more have left behind."""

    append: int  # number of the last of them
    chain: bytes  # its SHA-256
    state: bytes  # after it, as the journal packs it
    runs: tuple[tuple[int, int, int, str], ...]  # run, its first append, when it began [us], identity


@dataclass(frozen=True, slots=True)
class Fetched:
    """What follows an append, as far as it fits into a message."""

    has_parted: bool = False  # the append is none of this journal
    base: Base | None = None
    appends: tuple[bytes, ...] = ()  # lines of an audit export


class Source(Protocol):
    """A journal that is served."""

    async def fetch(self, after: int, chain: bytes, *, cuts: bool) -> Fetched:
        """What follows append ``after`` of this SHA-256; ``cuts``: the caller would cut what it has after it.

        Raises OSError where it cannot be read now, or where something would be cut for one that does not lead.
        """
        ...


class ReplicaClient:
    """Calls to the other controller over a channel that is opened with the first one, and anew after each failure.

    So it takes up replaced certificates, and makes no pause of its own. Leave it, as a context, to close it.
    """

    def __init__(self, address: str, credentials: Callable[[], grpc.ChannelCredentials] | None) -> None:
        """``address``: where the other controller listens; without credentials on loopback only."""
        self._address, self._credentials = address, credentials
        self._channel: grpc.aio.Channel | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._close()

    async def _close(self) -> None:
        before, self._channel = self._channel, None
        if before is not None:
            await before.close()

    def _open(self) -> grpc.aio.Channel:
        options: list[tuple[str, int]] = [
            ("grpc.max_receive_message_length", LONGEST_BYTES),
            ("grpc.enable_retries", 0),
            # no connection, and no pause of a failed one, is inherited
            ("grpc.use_local_subchannel_pool", 1),
        ]
        if self._credentials is None:
            return grpc.aio.insecure_channel(self._address, options=options)
        try:
            credentials = self._credentials()
        except (OSError, ValueError) as error:  # a certificate that is being replaced
            raise ConnectionError(f"the controller at {self._address} is not asked: {error}") from error
        return grpc.aio.secure_channel(self._address, credentials, options=options)

    async def fetch(self, after: int, chain: bytes, *, cuts: bool) -> Fetched:
        """What follows append ``after`` of this SHA-256. Raises ConnectionError that says why there is no answer."""
        if self._channel is None:
            self._channel = self._open()
        stub = replica_pb2_grpc.ReplicaServiceStub(self._channel)
        request = replica_pb2.FetchRequest(after=after, chain=chain, cuts=cuts)
        try:
            answer = await stub.Fetch(request, timeout=DEADLINE_S)
        except grpc.RpcError as error:
            await self._close()
            details = error.details() if isinstance(error, grpc.aio.AioRpcError) else str(error)
            raise ConnectionError(f"the controller at {self._address} gives no journal: {details}") from error
        base = None
        if answer.HasField("base"):
            runs = [(run.run, run.append, run.began_unix_us, run.identity) for run in answer.base.runs]
            base = Base(answer.base.append, answer.base.chain, answer.base.state, tuple(runs))
        return Fetched(answer.has_parted, base, tuple(answer.appends))
