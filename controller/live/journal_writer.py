"""The journal for an event loop: one thread writes, and what waits goes into one append.

Decisions toward less service, the stop latch and words of operators are on the disk when ``append`` returns. Other
records wait up to ``LINGER_S`` for company, so that a fleet's reports make one append a second and not one each;
``append`` does not wait for them unless the journal fails.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from controller.errors import JournalUnavailable
from controller.live.events import Decided, Latched, Record, Ruling
from controller.live.journal import Journal

LINGER_S = 1.0
MAX_LINGERING = 20_000  # records; with more, append waits
MAX_TOGETHER = 50_000  # records of an append

R = TypeVar("R")
Watch = Callable[[float, bool], None]


class JournalWriter:
    """Appends of an event loop to a journal, in the order of the calls."""

    def __init__(self, journal: Journal, *, linger_s: float = LINGER_S, watch: Watch | None = None) -> None:
        """``watch`` is told of each append, in another thread: how long it took [s], and whether it failed."""
        self._journal, self._linger_s, self._watch = journal, linger_s, watch
        self._thread = ThreadPoolExecutor(1, "journal")
        self._queue: list[tuple[Sequence[Record], asyncio.Future[None] | None]] = []
        self._lingering = 0
        self._is_failing = False
        self._due = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._task = asyncio.create_task(self._run(), name="journal")

    async def append(self, records: Sequence[Record]) -> None:
        """Record, and return once all that must be durable is. Raises JournalUnavailable: none of them is recorded."""
        if not records:
            return
        must_wait = self._is_failing or self._lingering + len(records) > MAX_LINGERING
        if must_wait or any(isinstance(record, Decided | Latched | Ruling) for record in records):
            future = asyncio.get_running_loop().create_future()
            self._queue.append((records, future))
            self._due.set()
            await future
        else:
            self._queue.append((records, None))
            self._lingering += len(records)
            if self._timer is None:
                self._timer = asyncio.get_running_loop().call_later(self._linger_s, self._due.set)

    def count_lost(self, records: int) -> None:
        """Note that records were given up; the next append says so, and a rerun names them as missing."""
        self._thread.submit(self._journal.count_lost, records)

    async def prune(self, older_than_unix_us: int) -> int:
        """Delete some appends that are older; how many. See ``Journal.prune``."""
        return await self._in_thread(lambda: self._journal.prune(older_than_unix_us))

    async def last(self) -> tuple[int, int, bytes] | None:
        """Run, number and SHA-256 of the last append."""
        return await self._in_thread(self._journal.last)

    async def close(self) -> None:
        """Write what waits and close the journal. Raises JournalUnavailable where it could not be written."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        if self._timer is not None:
            self._timer.cancel()
        try:
            while self._queue:
                await self._write()
                if self._is_failing:
                    raise JournalUnavailable(f"{self._journal.path}: the last records could not be written")
        finally:
            await self._in_thread(self._journal.close)
            self._thread.shutdown(wait=False)

    async def _run(self) -> None:
        while True:
            await self._due.wait()
            self._due.clear()
            self._timer = None
            if self._queue:
                await asyncio.shield(self._write())

    async def _write(self) -> None:
        """Append what waits. What cannot be written stays if nobody waits for it, else its caller is told."""
        taken = self._take()
        records = [record for part, _ in taken for record in part]
        failed: JournalUnavailable | None = None
        try:
            await self._in_thread(lambda: self._append(records))
        except JournalUnavailable as error:
            failed = error
        except Exception as error:  # of ours; were it to end this task, every append would wait for ever
            failed = JournalUnavailable(f"{self._journal.path}: {type(error).__name__}: {error}")
        self._is_failing = failed is not None
        for _, future in taken:
            if future is not None and not future.done():
                if failed is None:
                    future.set_result(None)
                else:
                    future.set_exception(failed)
        if failed is None:
            self._lingering -= sum(len(part) for part, future in taken if future is None)
        else:
            self._queue[:0] = [(part, None) for part, future in taken if future is None]
        if self._queue and (failed is None or any(future is not None for _, future in self._queue)):
            self._due.set()

    def _append(self, records: Sequence[Record]) -> None:
        began_s, failed = time.perf_counter(), True
        try:
            self._journal.append(records)
            failed = False
        finally:
            if self._watch is not None:
                self._watch(time.perf_counter() - began_s, failed)

    def _take(self) -> list[tuple[Sequence[Record], asyncio.Future[None] | None]]:
        count = end = 0
        while end < len(self._queue) and (not end or count + len(self._queue[end][0]) <= MAX_TOGETHER):
            count += len(self._queue[end][0])
            end += 1
        taken, self._queue = self._queue[:end], self._queue[end:]
        return taken

    async def _in_thread(self, call: Callable[[], R]) -> R:
        return await asyncio.get_running_loop().run_in_executor(self._thread, call)
