"""Processes of a chaos run: started, listened to, killed, stopped and continued by their number."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

START_WITHIN_S = 400.0  # kernels may have to be compiled first, by several at once
ENDS = 15.0


class Child:
    """A process that may be started again and again."""

    def __init__(
        self,
        name: str,
        arguments: Sequence[str],
        inside: Sequence[str],
        environment: dict[str, str],
        logs: Path,
    ) -> None:
        """``arguments`` of Python; ``inside``: the command that enters a namespace."""
        self.name, self.arguments, self._inside = name, list(arguments), list(inside)
        self._logs = logs
        self.clock_file = logs / f"{name}.clock"
        self._environment = environment | {"CHAOS_CLOCK": str(self.clock_file)}
        self.lines: list[tuple[float, str]] = []  # when it said what, monotonic [s]
        self.lock = asyncio.Lock()  # held by what breaks it
        self.starts = 0
        self._process: Process | None = None
        self._listening: asyncio.Future[None] | None = None
        self._spoke = asyncio.Event()

    async def start(self) -> None:
        """Start it; what it says is kept."""
        with (self._logs / f"{self.name}.err").open("ab") as errors:
            self._process = await asyncio.create_subprocess_exec(
                *self._inside, sys.executable, *self.arguments,
                stdin=PIPE, stdout=PIPE, stderr=errors, env=self._environment,
            )  # fmt: skip
        self.starts += 1
        self._listening = asyncio.ensure_future(self._listen(self._process))

    async def _listen(self, process: Process) -> None:
        assert process.stdout is not None
        with (self._logs / f"{self.name}.out").open("ab", buffering=0) as out:
            while line := await process.stdout.readline():
                out.write(line)
                self.lines.append((time.monotonic(), line.decode(errors="replace").rstrip()))
                self._spoke.set()
        await process.wait()
        self._spoke.set()

    @property
    def is_running(self) -> bool:
        """Whether it lives."""
        return self._process is not None and self._process.returncode is None

    @property
    def code(self) -> int | None:
        """Exit code, if it has ended."""
        return None if self._process is None else self._process.returncode

    def send(self, number: signal.Signals) -> None:
        """Send a signal, if it lives."""
        if self._process is not None and self.is_running:
            self._process.send_signal(number)

    def say(self, line: str) -> None:
        """Write a line to its standard input."""
        assert self._process is not None and self._process.stdin is not None
        self._process.stdin.write(f"{line}\n".encode())

    async def kill(self) -> None:
        """As kill -9; it is gone when this returns."""
        self.send(signal.SIGKILL)
        await self.ended()

    async def ended(self, within_s: float = ENDS) -> None:
        """Wait for its end."""
        if self._listening is not None:
            await asyncio.wait_for(asyncio.shield(self._listening), within_s)

    async def until(
        self, found: Callable[[str], bool], *, since: int = 0, within_s: float = START_WITHIN_S
    ) -> str:
        """The first line from line ``since`` on for which ``found``. Raises RuntimeError if it ends without it."""
        async with asyncio.timeout(within_s):
            while True:
                for _, line in self.lines[since:]:
                    if found(line):
                        return line
                if not self.is_running:
                    raise RuntimeError(
                        f"{self.name} ended with {self.code} before it was ready: {self.errors()}"
                    )
                self._spoke.clear()
                await self._spoke.wait()

    def errors(self, most: int = 2000) -> str:
        """End of what it wrote to standard error."""
        return (self._logs / f"{self.name}.err").read_text(errors="replace")[-most:]

    def told(self, what: str, *, since: int = 0) -> list[dict[str, Any]]:
        """Events of a controller that prints JSON, each with its time ``at_s``."""
        found = []
        for at_s, line in self.lines[since:]:
            if line.startswith("{") and (event := json.loads(line)).get("event") == what:
                found.append(event | {"at_s": at_s})
        return found

    def set_wall_clock(self, offset_s: float) -> None:
        """Set its wall clock off by so much."""
        fresh = self.clock_file.with_suffix(".new")
        fresh.write_text(str(offset_s))
        fresh.rename(self.clock_file)


async def run_once(
    arguments: Sequence[str], inside: Sequence[str], environment: dict[str, str]
) -> tuple[int, str]:
    """Run a command of Python to its end: exit code, and what it printed."""
    process = await asyncio.create_subprocess_exec(
        *inside, sys.executable, *arguments, stdout=PIPE, stderr=PIPE, env=environment
    )
    out, errors = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode() or errors.decode()
