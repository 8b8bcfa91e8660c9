"""The one stream between a leader and an agent, the same for cells and sites.

Wakes are carried out as they arrive. Commands and renewals wait for each other in a bounded queue behind them; what
finds no room is answered TOO_MANY and has no effect. An equal or higher epoch replaces the stream of the one before.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any, Generic, NoReturn, Protocol, TypeVar

import grpc
from grpc import aio

from hw.adapters.wire import ContractError, Hello
from hw.agents.core import Step
from hw.agents.running import AgentRunner, log
from hw.agents.slot import V
from hw.agents.stream import Closing, Outgoing

Down = TypeVar("Down")
Up = TypeVar("Up")
MOST_WAITING = 64  # command batches and renewals
HELLO_S = 10.0  # time for the first message
LEAST_REPORT_MS = 100


class Dialect(Protocol):
    """How requests are read."""

    def decode(self, request: Any) -> Any:
        """A message, or Hello. Raises ContractError."""
        ...

    def is_urgent(self, message: Any) -> bool:
        """Whether it leads to more service or more stored charge."""
        ...

    def salvage(self, request: Any) -> list[int]:
        """Slots of an unlawful message that can be brought to rest all the same."""
        ...


class Control(Generic[V, Down, Up]):
    """One stream from its hello to its end."""

    def __init__(self, runner: AgentRunner[V, Down, Up], dialect: Dialect) -> None:
        self._runner = runner
        self._dialect = dialect
        self._waiting: asyncio.Queue[Down] = asyncio.Queue(MOST_WAITING)

    async def run(
        self,
        requests: AsyncIterator[Any],
        write: Any,
        who: str,
    ) -> Closing:
        """Serve the stream; ``write`` sends one message up. Returns why it ends."""
        opened = await self._open(requests)
        if isinstance(opened, Closing):
            return opened
        log.info("stream of %s with epoch %d begins", who, opened.epoch)
        parts = (self._read(requests, opened), self._work(opened), self._write(write, opened))
        tasks = [asyncio.ensure_future(part) for part in parts]
        ending = asyncio.ensure_future(opened.closed())
        try:
            await asyncio.wait([*tasks, ending], return_when=asyncio.FIRST_COMPLETED)
            return await ending if ending.done() else _ended(tasks)
        finally:
            for task in (*tasks, ending):
                task.cancel()
            await asyncio.gather(*tasks, ending, return_exceptions=True)
            if self._runner.leader is opened:
                self._runner.leader = None
            log.info("stream of %s with epoch %d has ended", who, opened.epoch)

    async def _open(self, requests: AsyncIterator[Any]) -> Outgoing[Up] | Closing:
        try:
            hello = self._dialect.decode(await asyncio.wait_for(anext(requests), HELLO_S))
        except ContractError as error:
            return Closing(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        except (TimeoutError, StopAsyncIteration):
            return Closing(grpc.StatusCode.INVALID_ARGUMENT, "message: the first one must be hello")
        if not isinstance(hello, Hello):
            return Closing(grpc.StatusCode.INVALID_ARGUMENT, "message: the first one must be hello")
        runner = self._runner
        now_us = runner.clock.monotonic_us()
        refusal = runner.core.refusal(hello, now_us)
        if refusal:
            return Closing(grpc.StatusCode.FAILED_PRECONDITION, refusal)
        every_ms = max(hello.report_every_ms or runner.pace.report_every_ms, LEAST_REPORT_MS)
        opened: Outgoing[Up] = Outgoing(hello.leader_epoch, every_ms)
        if runner.leader is not None:
            text = f"replaced by a stream of epoch {hello.leader_epoch}"
            runner.leader.close(grpc.StatusCode.ABORTED, text)
        runner.leader = opened
        step = runner.core.hello(hello, now_us)
        runner.spawn(runner.carry(step))
        opened.put(runner.inventory())
        opened.want_report()
        return opened

    async def _read(self, requests: AsyncIterator[Any], stream: Outgoing[Up]) -> None:
        async for request in requests:
            try:
                message = self._dialect.decode(request)
                if isinstance(message, Hello):
                    raise ContractError("hello: only the first message is one")
            except ContractError as error:
                self._salvage(request)
                stream.close(grpc.StatusCode.INVALID_ARGUMENT, str(error))
                return
            if self._dialect.is_urgent(message):
                self._runner.spawn(self._carry(message, stream))
            elif self._waiting.full():
                for answer in self._runner.too_many(message):
                    stream.put(answer)
            else:
                self._waiting.put_nowait(message)

    def _salvage(self, request: Any) -> None:
        places = self._dialect.salvage(request)
        step = self._runner.core.wake_places(places, self._runner.clock.monotonic_us())
        self._runner.spawn(self._runner.carry(step))

    async def _work(self, stream: Outgoing[Up]) -> NoReturn:
        while True:
            message = await self._waiting.get()
            # shielded: an order that has begun is carried out and confirmed although the stream ends meanwhile
            await asyncio.shield(self._runner.spawn(self._carry(message, stream)))

    async def _carry(self, message: Down, stream: Outgoing[Up]) -> None:
        def reply(step: Step[V]) -> None:
            for answer in self._runner.answers(step):
                stream.put(answer)

        await self._runner.carry(self._runner.feed(message), reply)

    async def _write(self, write: Any, stream: Outgoing[Up]) -> NoReturn:
        while True:
            answer = await stream.take()
            if answer is None:
                stream.reported_us = self._runner.clock.monotonic_us()
                stream.sent_sample, answer = self._runner.report(stream.sent_sample)
            await write(answer)


def _ended(tasks: Sequence[asyncio.Future[Any]]) -> Closing:
    """Why a stream ended that nobody closed."""
    for task in tasks:
        error = task.exception() if task.done() and not task.cancelled() else None
        if error is not None and not isinstance(error, aio.BaseError):
            raise error
    return Closing(grpc.StatusCode.OK, "")
