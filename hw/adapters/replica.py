"""How a controller that stands by gets the journal of the one that leads: proto/quietcell/replica/v1/replica.proto."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import grpc
import grpc.aio
from quietcell.replica.v1 import replica_pb2, replica_pb2_grpc

from hw.adapters.caller import Caller

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


class ReplicaClient(Caller):
    """A channel to the other controller."""

    def __init__(self, address: str, credentials: Callable[[], grpc.ChannelCredentials] | None) -> None:
        """``address``: where the other controller listens; without credentials on loopback only."""
        options = [("grpc.max_receive_message_length", LONGEST_BYTES), ("grpc.enable_retries", 0)]
        if credentials is None:
            channel = grpc.aio.insecure_channel(address, options=options)
        else:
            channel = grpc.aio.secure_channel(address, credentials(), options=options)
        super().__init__(channel)
        self._address = address
        self._stub = replica_pb2_grpc.ReplicaServiceStub(self._channel)

    async def fetch(self, after: int, chain: bytes, *, cuts: bool) -> Fetched:
        """What follows append ``after`` of this SHA-256. Raises ConnectionError that says why there is no answer."""
        request = replica_pb2.FetchRequest(after=after, chain=chain, cuts=cuts)
        try:
            answer = await self._stub.Fetch(request, timeout=DEADLINE_S)
        except grpc.RpcError as error:
            details = error.details() if isinstance(error, grpc.aio.AioRpcError) else str(error)
            raise ConnectionError(f"the controller at {self._address} gives no journal: {details}") from error
        base = None
        if answer.HasField("base"):
            runs = [(run.run, run.append, run.began_unix_us, run.identity) for run in answer.base.runs]
            base = Base(answer.base.append, answer.base.chain, answer.base.state, tuple(runs))
        return Fetched(answer.has_parted, base, tuple(answer.appends))
