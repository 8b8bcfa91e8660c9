"""Journal first, then send: commands and renewals leave only after the records of their output are durable.

::

    output --put--> waiting --all that waits, in one append--> durable --> commands, renewals to the agents
                                     |
                                     | fails, or takes longer than PATIENCE_S
                                     v
                           not ready: what waits and what comes is not sent, its records are kept and tried again

Wakes never come here. What is not sent is told to the core, as commands that ran out before they arrived.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Protocol

from controller.live.events import Output, Record
from hw.adapters.backoff import Backoff
from hw.adapters.power import SetpointBatch
from hw.adapters.radio import CommandBatch, Renewal

PATIENCE_S = 5.0
MAX_KEPT = 20_000  # records that wait for a journal which cannot be written


class Recorder(Protocol):
    """Makes records durable."""

    async def append(self, records: Sequence[Record]) -> None:
        """Return once all that must be durable is. Raises OSError where it cannot be written."""
        ...

    def count_lost(self, records: int) -> None:
        """Note that records were given up, so that a rerun finds them missing."""
        ...


@dataclass(frozen=True, slots=True)
class Sending:
    """What the outbox does with an output, once it is durable or given up."""

    command: Callable[[str, CommandBatch | SetpointBatch], None]
    renew: Callable[[str, Renewal], None]
    not_sent: Callable[[str, CommandBatch | SetpointBatch], None]
    journal_is: Callable[[bool, str], None]  # whether the journal is written, and why not


class Outbox:
    """Outputs on their way through the journal, in order."""

    def __init__(self, recorder: Recorder, sending: Sending, random: Random) -> None:
        self._recorder, self._sending = recorder, sending
        self._backoff = Backoff(random, 0.2, 5.0)
        self._waiting: deque[Output] = deque()
        self._kept: deque[Record] = deque(maxlen=MAX_KEPT)  # of outputs that are not sent any more
        self._changed, self._idle = asyncio.Event(), asyncio.Event()
        self._idle.set()
        self._is_written, self._is_closing = True, False
        self.lost = 0  # records given up

    def __len__(self) -> int:
        """Outputs that wait."""
        return len(self._waiting)

    def put(self, output: Output) -> None:
        """Take an output's records, commands and renewals."""
        if output.durable or output.commands or output.setpoints or output.renewals:
            self._idle.clear()
            self._waiting.append(output)
            if not self._is_written or self._is_closing:
                self._give_up()
            self._changed.set()

    def stop_sending(self) -> None:
        """Only records from here on."""
        self._is_closing = True
        self._give_up()

    async def flush(self, within_s: float) -> bool:
        """See the records that wait become durable. Whether they did."""
        try:
            async with asyncio.timeout(within_s):
                await self._idle.wait()
        except TimeoutError:
            return False
        return True

    async def run(self) -> None:
        """Write and send, until cancelled."""
        while True:
            while not self._waiting and not self._kept:
                self._idle.set()
                self._changed.clear()
                await self._changed.wait()
            kept, outputs = list(self._kept), list(self._waiting)
            self._kept.clear()
            self._waiting.clear()
            records = kept + [record for output in outputs for record in output.durable]
            try:
                in_time = await self._append(records)
            except OSError as error:
                self._refuse(outputs, records, str(error))
                await asyncio.sleep(self._backoff.next_s())
                continue
            self._backoff.reset()
            if not self._is_written:
                self._is_written = True
                self._sending.journal_is(True, "")
            for output in outputs:
                self._send(output, is_sent=in_time and not self._is_closing)

    async def _append(self, records: Sequence[Record]) -> bool:
        """Append, waited for to its end: whether it was in time to send what hangs on it."""
        append = asyncio.ensure_future(self._recorder.append(records))
        try:
            async with asyncio.timeout(PATIENCE_S):
                await asyncio.shield(append)
            return True
        except TimeoutError:
            if append.done():  # its own error
                raise
            self._fail(f"an append takes longer than {PATIENCE_S:g} s; look at the disk")
            await append
            return False

    def _refuse(self, outputs: Sequence[Output], records: Sequence[Record], cause: str) -> None:
        """Records go back to the front; what hangs on them is not sent."""
        for output in outputs:
            self._send(output, is_sent=False)
        later = list(self._kept)
        self._kept.clear()
        self._keep([*records, *later])
        self._fail(cause)

    def _fail(self, cause: str) -> None:
        if self._is_written:
            self._is_written = False
            self._sending.journal_is(False, cause)
        self._give_up()

    def _give_up(self) -> None:
        """What waits is not sent; its records are kept."""
        for output in self._waiting:
            self._keep(output.durable)
            self._send(output, is_sent=False)
        self._waiting.clear()

    def _keep(self, records: Sequence[Record]) -> None:
        lost = len(self._kept) + len(records) - MAX_KEPT
        self._kept.extend(records)
        if lost > 0:
            self.lost += lost
            self._recorder.count_lost(lost)

    def _send(self, output: Output, *, is_sent: bool) -> None:
        batches: list[tuple[str, CommandBatch | SetpointBatch]] = [*output.commands, *output.setpoints]
        for agent_id, batch in batches:
            (self._sending.command if is_sent else self._sending.not_sent)(agent_id, batch)
        if is_sent:
            for agent_id, renewal in output.renewals:
                self._sending.renew(agent_id, renewal)
