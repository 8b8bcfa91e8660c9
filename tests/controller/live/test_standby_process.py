"""Two controllers of one network as processes of their own: the one that leads is killed, the other takes over."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from controller.live.journal_reader import open_reader
from controller.sim import lab
from hw.security.certs import issue
from hw.security.identity import Identity, Role

SPEED = 20.0
TERM = "term_s: 40"  # two seconds of the host
WITHIN_S = 60.0


class Controller:
    """One of the two, and what it says."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.said: list[dict[str, Any]] = []
        self.reading = asyncio.ensure_future(self._read())

    async def _read(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            if line.startswith(b"{"):
                self.said.append(json.loads(line))

    def told(self, what: str) -> list[dict[str, Any]]:
        return [line for line in self.said if line["event"] == what]

    def is_connected(self) -> bool:
        """Whether its streams to all agents are open."""
        return any(line["connected"] == line["of"] for line in self.told("agents"))

    async def until(self, is_so: Callable[[], object]) -> None:
        until_s = time.monotonic() + WITHIN_S
        while not is_so():
            assert self.process.returncode is None, self.said
            assert time.monotonic() < until_s, self.said
            await asyncio.sleep(0.05)

    async def end(self, number: int) -> int:
        self.process.send_signal(number)
        code = await self.process.wait()
        await self.reading
        return code


@asynccontextmanager
async def _network(folder: Path) -> AsyncIterator[Callable[[str], Any]]:
    """Plant and three agents; what is returned starts a controller of a name."""
    plan = lab.LabPlan(folder, 27, 3, SPEED, "threshold", 1, "act")
    made = lab.prepare(plan, lambda _text: None)
    plant, agents, alone = lab._processes(made, time.time(), lambda _text: None)
    clock = alone._arguments[3:]
    alone_text = (folder / "live.yaml").read_text()
    issue(folder / "tls", Identity(Role.CONTROLLER, "edge-2"), [lab.HOST])
    (folder / "edge-1.yaml").write_text(f"{alone_text}standby: {{{TERM}}}\n")
    second = alone_text.replace("edge-1", "edge-2").replace("journal.db", "journal-2.db")
    second = second.replace(f"listen: '{made.address(3)}'", "listen: '127.0.0.1:0'")
    (folder / "edge-2.yaml").write_text(f"{second}standby: {{{TERM}, peer: '{made.address(3)}'}}\n")

    async def start(name: str) -> Controller:
        code = "from controller.cli import main; main()"
        arguments = ["run", "--config", str(folder / f"{name}.yaml"), "--json", *clock]
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", code, *arguments, stdout=asyncio.subprocess.PIPE
        )
        controller = Controller(process)
        stack.push_async_callback(_kill, controller)
        return controller

    async with AsyncExitStack() as stack:
        await stack.enter_async_context(plant)
        await plant.ready()
        for agent in agents:
            await stack.enter_async_context(agent)
        for agent in agents:
            await agent.ready()
        yield start


async def _kill(controller: Controller) -> None:
    if controller.process.returncode is None:
        await controller.end(signal.SIGKILL)


def test_the_second_takes_over_from_a_leader_that_is_killed(tmp_path: Path) -> None:
    async def test() -> None:
        async with _network(tmp_path / "lab") as start:
            first = await start("edge-1")
            await first.until(first.is_connected)
            second = await start("edge-2")
            await second.until(lambda: second.told("standby"))
            assert second.told("standby")[0]["cause"] == "edge-1 leads"
            await second.until(lambda: any(line["follows"] for line in second.told("replica")))
            assert not second.told("started")
            await first.end(signal.SIGKILL)
            await second.until(second.is_connected)
            epochs = [one.told("started")[0]["epoch"] for one in (first, second)]
            assert epochs[0] < epochs[1]
            assert await second.end(signal.SIGTERM) == 0
            reader = open_reader(tmp_path / "lab" / "journal-2.db")
            assert [run.run for run in reader.runs()] == epochs
            reader.close()
            assert second.told("stopped")[0]["unconfirmed"] == ""

    asyncio.run(test())
