"""One thread for long computations, beside the event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, TypeVar

A = TypeVar("A")
R = TypeVar("R")


class Worker:
    """Runs one call after another. A daemon: a call that never returns does not keep the process from ending."""

    def __init__(self) -> None:
        self._calls: SimpleQueue[Callable[[], None]] = SimpleQueue()
        threading.Thread(target=self._run, name="core", daemon=True).start()

    def call(self, function: Callable[[A], R], argument: A) -> asyncio.Future[R]:
        """Run ``function`` in the thread; its result comes to the running loop."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[R] = loop.create_future()

        def deliver(result: Any, error: BaseException | None) -> None:
            if future.done():  # nobody waits any more
                return
            if error is None:
                future.set_result(result)
            else:
                future.set_exception(error)

        def run() -> None:
            result: Any = None
            caught: BaseException | None = None
            try:
                result = function(argument)
            except Exception as error:  # raised again where it is awaited
                caught = error
            if not loop.is_closed():
                loop.call_soon_threadsafe(deliver, result, caught)

        self._calls.put(run)
        return future

    def _run(self) -> None:
        while True:
            self._calls.get()()
