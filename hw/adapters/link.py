"""The controller's side of the one stream to an agent, whatever kind of agent it is.

::

    waiting --(back-off or breaker is over)--> dialling --Hello, Inventory--> open --ends--> waiting
                                                  |  no answer, refusal, bad message           |
                                                  +--------------------------------------------+

What goes out waits in two bounded queues (hw/adapters/outgoing.py); wakes are followed until they are answered
(hw/adapters/waker.py), with or without a stream. What comes in is handed on one at a time: while the receiver does not
take it, nothing more is read, so that the agent is held back by the transport's own flow control.
Nothing that was on a stream is sent again on the next one: leases make a lost command safe.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

import grpc
import grpc.aio

from hw.adapters.backoff import Backoff
from hw.adapters.breaker import Breaker
from hw.adapters.dial import AgentError, Dial
from hw.adapters.outgoing import Outgoing
from hw.adapters.waker import Waker
from hw.adapters.wire import MAX_MESSAGE_BYTES


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one kind of agent is spoken to."""

    control: Callable[[grpc.aio.Channel], Any]  # the method of the stream
    hello: Callable[[], Any]  # the first message
    encode: Callable[[Any], Any]
    decode: Callable[[Any], Any]  # raises for a message outside the contract
    inventory: type[Any]
    wakes: type[Any]
    answered: Callable[
        [Any], tuple[list[int], list[int]]
    ]  # places and revisions that a message answers for good
    places: Callable[[Any], list[int]]  # of a batch
    names: Callable[[Any], Sequence[str]]  # of an inventory, by place
    # by unary call: names or none for all, author, reason; returns the names that wake
    wake: Callable[[Dial, Sequence[str], str, str], Awaitable[Sequence[str]]]


@dataclass(frozen=True, slots=True)
class LinkLimits:
    """Times of a link. Real time, however fast the agents' clocks run. [s]"""

    first_answer_s: float = 10.0  # for the inventory
    silent_s: float = 15.0  # without a report the stream is given up
    write_s: float = 5.0  # for one message to leave
    steady_s: float = 10.0  # a stream that lives so long worked
    answer_s: float = 2.0  # a wake without an answer goes by unary call too
    keep_s: float = 60.0  # the longest term of a lease


@dataclass(frozen=True, slots=True)
class Lost:
    """The stream is gone."""

    reason: str


class _Ended(Exception):  # noqa: N818
    """The stream cannot go on."""


class AgentLink:
    """One agent's stream, opened again whenever it ends."""

    def __init__(
        self,
        dial: Dial,
        dialect: Dialect,
        on_message: Callable[[str, Any], Awaitable[None]],
        random: Random,
        *,
        author: str,
        limits: LinkLimits | None = None,
        leads: Callable[[], bool] = lambda: True,
    ) -> None:
        """``on_message`` is awaited with agent id and message: inventory, report, answers, ..., or Lost.

        ``leads`` is asked right before anything but a wake leaves; what may not is dropped.
        """
        self.dial, self.limits = dial, limits or LinkLimits()
        self.is_open = False
        self.reason = "not dialled yet"  # why it is not open
        self.streams = 0  # opened so far
        self.dropped = 0  # messages that were queued and never sent
        self.inventory: Any = None  # the last one
        self._dialect, self._on_message, self._author, self._leads = dialect, on_message, author, leads
        self._backoff, self.breaker = Backoff(random), Breaker()
        self._outgoing: Outgoing[Any] = Outgoing()
        self.waker = Waker(self._wake, random, answer_s=self.limits.answer_s, keep_s=self.limits.keep_s)

    @property
    def agent_id(self) -> str:
        """Identity of the agent."""
        return self.dial.agent_id

    @property
    def waiting(self) -> int:
        """Messages that wait for the stream."""
        return len(self._outgoing)

    def wake(self, batch: Any) -> None:
        """Bring places to full service: ahead of all else, without a stream too, followed until it is answered."""
        at_once = not (self.is_open and self._outgoing.put_urgent(batch))
        now_s = asyncio.get_running_loop().time()
        self.waker.want(self._dialect.places(batch), batch.revision.tolist(), now_s, at_once=at_once)

    def send_urgent(self, batch: Any) -> bool:
        """Commands toward more service, ahead of ordinary ones. False: not sent."""
        return self.is_open and self._outgoing.put_urgent(batch)

    def send(self, batch: Any) -> bool:
        """Commands, behind all that waits. False: not sent, for want of a stream or of room."""
        return self.is_open and self._outgoing.put(batch)

    def renew(self, renewal: Any) -> bool:
        """A renewal, behind all that waits, instead of one that still does. False: not sent."""
        return self.is_open and self._outgoing.put_renewal(renewal)

    async def wake_all(self, reason: str) -> list[str]:
        """Bring the whole agent to full service by unary call, once. Names that it does not confirm.

        Raises AgentError.
        """
        woken = set(await self._dialect.wake(self.dial, (), self._author, reason))
        known = () if self.inventory is None else self._dialect.names(self.inventory)
        return [name for name in known if name not in woken]

    async def run(self) -> None:
        """Keep a stream open, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.waker.run())
            group.create_task(self._keep_open())

    async def _keep_open(self) -> None:
        clock = asyncio.get_running_loop().time
        while True:
            while not self.breaker.attempt(clock()):
                await asyncio.sleep(self.breaker.wait_s(clock()))
            try:
                await self._stream()
            except (_Ended, AgentError, grpc.RpcError, TimeoutError) as ended:
                self.reason = self._why(ended)
            was_open, self.is_open = self.is_open, False
            self.breaker.failed(clock())
            self._leave()
            if was_open:
                await self._on_message(self.agent_id, Lost(self.reason))
            await asyncio.sleep(self._backoff.next_s())

    def _why(self, cause: Exception) -> str:
        if isinstance(cause, grpc.RpcError | TimeoutError):
            return str(self.dial.error(cause))
        if isinstance(cause, AgentError):
            return str(cause)
        return f"agent {self.agent_id} at {self.dial.address}: {cause}"

    def _leave(self) -> None:
        """What waits for a stream that is gone: wakes go by unary call, the rest is lost."""
        urgent, ordinary = self._outgoing.take_all()
        self.dropped += len(ordinary) + sum(not isinstance(m, self._dialect.wakes) for m in urgent)
        self.waker.hurry()

    async def _stream(self) -> None:
        """One stream, from its opening to its end, which is always an exception."""
        channel = self.dial.open()
        try:
            call = self._dialect.control(channel)()
            async with asyncio.timeout(self.limits.first_answer_s):
                await call.write(self._dialect.hello())
                inventory = self._decode(await call.read())
            await self._open(inventory)
            await self._until_one_ends(self._read(call), self._write(call))
        finally:
            await channel.close()

    async def _until_one_ends(self, *loops: Coroutine[Any, Any, None]) -> None:
        """Run loops until one of them fails, and raise that.

        No task group: one that fails in the moment in which it is cancelled loses its cancellation.
        """
        tasks = [asyncio.ensure_future(loop) for loop in loops]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                if task.cancelled():  # by the transport
                    raise _Ended("the call was cancelled")
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _open(self, inventory: Any) -> None:
        if not isinstance(inventory, self._dialect.inventory):
            raise _Ended(
                f"the first message is no inventory but {type(inventory).__name__}; check its version"
            )
        if self.inventory is None or self.inventory.boot_id != inventory.boot_id:
            self.waker.forget()
        self.inventory = inventory
        self.is_open, self.reason = True, ""
        self.streams += 1
        await self._on_message(self.agent_id, inventory)

    async def _read(self, call: Any) -> None:
        clock = asyncio.get_running_loop().time
        opened_s = clock()
        while True:
            async with asyncio.timeout(self.limits.silent_s):
                received = await call.read()
            message = self._decode(received)
            if isinstance(message, self._dialect.inventory):  # places would mean other cells from here on
                raise _Ended("a second inventory on one stream; check its version")
            self.waker.answered(*self._dialect.answered(message))
            await self._on_message(self.agent_id, message)
            if clock() - opened_s >= self.limits.steady_s:
                self.breaker.succeeded()
                self._backoff.reset()

    def _decode(self, received: Any) -> Any:
        if received is grpc.aio.EOF:
            raise _Ended("it ended the stream")
        try:
            message = self._dialect.decode(received)
        except Exception as error:  # whatever an agent sends, only its own stream ends
            raise _Ended(f"a message outside the contract: {error}") from error
        named = getattr(message, "agent_id", self.agent_id)
        if named != self.agent_id:
            raise _Ended(f"it calls itself {named!r}; correct id or address")
        return message

    async def _write(self, call: Any) -> None:
        while True:
            message = await self._outgoing.take()
            if not (isinstance(message, self._dialect.wakes) or self._leads()):
                self.dropped += 1  # it has waited here beyond the term
                continue
            encoded = self._dialect.encode(message)
            if encoded.ByteSize() > MAX_MESSAGE_BYTES:
                self.dropped += 1  # a wake among these goes by unary call, once its answer is overdue
                continue
            try:
                async with asyncio.timeout(self.limits.write_s):
                    await call.write(encoded)
            except asyncio.InvalidStateError as error:
                raise _Ended("the stream was over already") from error

    async def _wake(self, places: list[int]) -> list[int]:
        """Wake places by unary call. Returns those that do, and those that the last inventory has no more."""
        names = self._dialect.names(self.inventory)
        asked = {names[place]: place for place in places if place < len(names)}
        done = [place for place in places if place >= len(names)]
        if asked:  # no names would be all
            woken = await self._dialect.wake(self.dial, list(asked), self._author, "not answered in time")
            done += [asked[name] for name in set(woken) if name in asked]
        return done
