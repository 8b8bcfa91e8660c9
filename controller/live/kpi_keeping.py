"""Keeps rows of ticks for an event loop: one thread adds them to their file, in their order, and trims it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from controller.live.events import Event, Output
from controller.live.kpi_file import RowFile
from controller.live.kpi_rows import Row
from controller.live.telling import Tell


class RowKeeper:
    """Told by the loop. A row that cannot be kept is told and lost: comparisons of later runs know less, no more."""

    def __init__(self, file: RowFile, take_fresh: Callable[[], Sequence[Row]], tell: Tell) -> None:
        """``take_fresh`` gives rows that nobody has kept yet."""
        self._file, self._take_fresh, self._tell = file, take_fresh, tell
        self._thread = ThreadPoolExecutor(1, "rows")
        self._ends = threading.Event()
        self._told = ""

    def fed(self, _event: Event, _output: Output, _took_s: float) -> None:
        """An event was fed, and the core is not being fed."""
        rows = self._take_fresh()
        if rows:
            future = asyncio.get_running_loop().run_in_executor(self._thread, self._keep, rows)
            future.add_done_callback(self._kept)

    async def close(self) -> None:
        """Add what waits; trimming is left to the next run."""
        self._ends.set()
        await asyncio.get_running_loop().run_in_executor(self._thread, lambda: None)
        self._thread.shutdown(wait=False)

    def _keep(self, rows: Sequence[Row]) -> None:
        self._file.append(rows)
        if not self._ends.is_set():
            self._file.trim(self._ends.is_set)

    def _kept(self, future: asyncio.Future[None]) -> None:
        error = future.exception()
        cause = "" if error is None else str(error) or type(error).__name__
        if cause and cause != self._told and not self._ends.is_set():
            self._tell("rows_not_kept", cause=cause)
        self._told = cause
