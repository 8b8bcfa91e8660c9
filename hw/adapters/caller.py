"""A client with a channel of its own, which is closed as the client is left."""

from __future__ import annotations

from types import TracebackType
from typing import Self

import grpc.aio


class Caller:
    """Calls over one channel. Opened when it is made; leave it, as a context, to close it."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._channel = channel

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._channel.close()
