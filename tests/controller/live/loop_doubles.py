"""A core, a journal and links that do as a test says, and a runner over them."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import numpy as np

from controller.live.events import Event, Output, Record, Taken
from controller.live.run import Pace, Runner
from hw.adapters.dial import AgentUnreachable
from hw.ports import HostClock
from tests.hw.adapters.agent_double import until

SPEED = 200.0  # a guard interval of 20 s takes 0.1 s


class CoreDouble:
    """Answers events of a type with what ``answers`` makes of them; notices feeds that overlap."""

    def __init__(self) -> None:
        self.fed: list[Event] = []
        self.answers: dict[type[Any], Callable[[Any], Output]] = {}
        self.takes_s: dict[type[Any], float] = {}
        self.hung = threading.Event()
        self.hangs_at: type[Any] | None = None
        self.overlaps = 0
        self.alone: set[str] = set()  # agents that are only watched
        self.ladder: Any = None  # nobody says a word to it
        self._feeding = False

    def has_all(self, unix_us: int) -> bool:
        return unix_us >= 0

    def leaves_alone(self, agent_id: str) -> bool:
        return agent_id in self.alone

    def feed(self, event: Event) -> Output:
        self.overlaps += self._feeding
        self._feeding = True
        self.fed.append(event)
        if type(event) is self.hangs_at:
            self.hung.set()
            threading.Event().wait(10.0)
        time.sleep(self.takes_s.get(type(event), 0.0))
        output = self.answers.get(type(event), lambda _: Output())(event)
        output.durable.insert(0, Taken(0, event))
        self._feeding = False
        return output

    def count(self, kind: type[Any]) -> int:
        return sum(type(event) is kind for event in self.fed)


class JournalDouble:
    """Keeps records; fails or hangs as told."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.appended: list[int] = []  # records of each append that went well
        self.fails = False
        self.lost = 0
        self.may_go_on = asyncio.Event()
        self.may_go_on.set()

    async def append(self, records: Sequence[Record]) -> None:
        await self.may_go_on.wait()
        if self.fails:
            raise OSError("no space left on device")
        self.records.extend(records)
        self.appended.append(len(records))

    def count_lost(self, records: int) -> None:
        self.lost += records


class LinkDouble:
    """Notes what it is told to send."""

    def __init__(self, agent_id: str, on_message: Any = None) -> None:
        self.agent_id, self.on_message = agent_id, on_message
        self.is_open, self.reason = True, ""
        self.sent: list[tuple[str, Any]] = []
        self.accepts = True
        self.wakes_in_s = 0.0
        self.is_reachable = True
        self.is_running = False
        self.woken_all = 0
        self.stuck: list[str] = []  # cells that do not wake

    async def run(self) -> None:
        self.is_running = True
        try:
            await asyncio.Event().wait()
        finally:
            self.is_running = False

    def _take(self, kind: str, message: Any) -> bool:
        if self.accepts:
            self.sent.append((kind, message))
        return self.accepts

    def wake(self, batch: Any) -> None:
        self.sent.append(("wake", batch))

    def send_urgent(self, batch: Any) -> bool:
        return self._take("urgent", batch)

    def send(self, batch: Any) -> bool:
        return self._take("send", batch)

    def renew(self, renewal: Any) -> bool:
        return self._take("renew", renewal)

    async def wake_all(self, reason: str) -> list[str]:
        assert not self.is_running  # or a command could still follow the wake
        await asyncio.sleep(self.wakes_in_s)
        if not self.is_reachable:
            raise AgentUnreachable(self.agent_id)
        self.woken_all += 1
        return self.stuck

    def kinds(self) -> list[str]:
        return [kind for kind, _ in self.sent]


class Told:
    """What was told, by event."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, dict[str, Any]]] = []

    def __call__(self, what: str, /, **about: Any) -> None:
        self.lines.append((what, about))

    def of(self, what: str) -> list[dict[str, Any]]:
        return [about for name, about in self.lines if name == what]


class Scene:
    """A runner with its doubles."""

    def __init__(
        self, *agents: str, speed: float = SPEED, plan_interval_s: int = 900, watch: Any = None
    ) -> None:
        self.core, self.journal, self.told = CoreDouble(), JournalDouble(), Told()
        self.links: list[LinkDouble] = []
        self.ready: list[bool] = []
        self.stop = asyncio.Event()
        self.exit_code: int | None = None
        now_us = time.time_ns() // 1000

        def open_links(on_message: Any) -> list[LinkDouble]:
            self.links = [LinkDouble(agent, on_message) for agent in agents or ("site-001",)]
            return self.links

        self.runner = Runner(
            self.core,
            open_links,
            self.journal,
            HostClock(speed, now_us, 1_700_000_000_000_000),
            Pace(plan_interval_s, 20),
            self.told,
            self._set_ready,
        )
        self.runner.on_fed += [watch] if watch else []

    async def _set_ready(self, is_ready: bool) -> None:
        self.ready.append(is_ready)

    @property
    def link(self) -> LinkDouble:
        return self.links[0]


@asynccontextmanager
async def running(scene: Scene) -> AsyncIterator[None]:
    """The runner runs inside, and is stopped by the end."""
    task = asyncio.ensure_future(scene.runner.run(scene.stop))
    await until(lambda: all(link.is_running for link in scene.links))
    try:
        yield
    finally:
        scene.stop.set()
        scene.exit_code = await asyncio.wait_for(task, 60.0)


def cells(batch: Any) -> list[int]:
    return [int(cell) for cell in np.asarray(batch.cell)]
