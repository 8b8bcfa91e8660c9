"""One process of the lab: started, listened to, ended in order."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

READY_WITHIN_S = 600.0  # the first start compiles kernels
END_WITHIN_S = 20.0

Tell = Callable[[str], None]


class LabError(OSError):
    """A process of the lab did not start or ended by itself; its log says why."""


class Process:
    """One process of the lab, with its log."""

    def __init__(self, name: str, arguments: Sequence[str], folder: Path, tell: Tell | None) -> None:
        """``tell`` is told each line, beside the log."""
        self.name, self._arguments, self._tell = name, list(arguments), tell
        self.log = folder / "logs" / f"{name}.log"
        self._process: asyncio.subprocess.Process | None = None
        self._lines: asyncio.Future[None] | None = None
        self._said = asyncio.Event()

    async def __aenter__(self) -> Process:
        self.log.parent.mkdir(exist_ok=True)
        self._process = await asyncio.create_subprocess_exec(
            *[sys.executable, "-c", "from controller.cli import main; main()", *self._arguments],
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            # two dozen processes on one machine: threads of their kernels would only wait for each other
            env={"NUMBA_NUM_THREADS": "1"} | os.environ,
            start_new_session=True,  # Ctrl-C is for the lab, which ends them in order
        )
        self._lines = asyncio.ensure_future(self._read())
        return self

    async def __aexit__(self, *_: object) -> None:
        process = self._process
        assert process is not None
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(END_WITHIN_S):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
        if self._lines is not None:
            await self._lines

    async def ready(self) -> None:
        """Wait for its first line. Raises LabError where it ends without one."""
        async with asyncio.timeout(READY_WITHIN_S):
            await self._said.wait()
        if self._process is not None and self._process.returncode is not None:
            raise self.ended()

    async def wait(self) -> object:
        """Wait for it to end."""
        assert self._process is not None
        return await self._process.wait()

    def ended(self) -> LabError:
        """It has ended by itself."""
        return LabError(f"{self.name} has ended; see {self.log}")

    async def _read(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        with self.log.open("wb") as log:
            async for line in self._process.stdout:
                log.write(line)
                log.flush()
                self._said.set()
                if self._tell is not None:
                    self._tell(line.decode(errors="replace").rstrip())
        await self._process.wait()
        self._said.set()
