"""The supervisor's watchdog, against a stand-in for systemd: it owns the socket, kills on silence and starts anew."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from controller.live import opening, watchdog
from controller.live.events import GuardTick, Output, PlanTick
from controller.live.watchdog import ALIVE, READY, STOPPING, Notifier
from controller.live.watching import Watcher
from hw.ports import HostClock
from tests.controller.live.loop_doubles import Told
from tests.controller.live.test_metrics import state
from tests.hw.adapters.agent_double import run

WATCHDOG_S = 1.0  # ten guard intervals of the child
START_S = 60.0
ROOT = Path(__file__).resolve().parents[3]


class Supervisor:
    """What systemd does for a unit of Type=notify with WatchdogSec and Restart=always."""

    def __init__(self, folder: Path) -> None:
        self.address = str(folder / "notify")
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.address)
        self._log = folder / "renewals"
        self.process: subprocess.Popen[bytes] | None = None
        self.alive_s: list[float] = []

    def start(self) -> None:
        """Start the unit and wait until it is ready."""
        environment = os.environ | {"NOTIFY_SOCKET": self.address}
        arguments = [sys.executable, "-m", "tests.controller.live.watchdog_child", str(self._log)]
        self.process = subprocess.Popen(arguments, cwd=ROOT, env=environment)
        assert self.hear(START_S) == READY

    def hear(self, within_s: float) -> bytes | None:
        """The next message, None for silence."""
        self._socket.settimeout(within_s)
        try:
            heard = self._socket.recv(100)
        except TimeoutError:
            return None
        if heard == ALIVE:
            self.alive_s.append(time.monotonic())
        return heard

    def watch_until_silent(self) -> None:
        """Take in signs of life until the watchdog runs out; then abort the process as systemd does."""
        assert self.process is not None
        while self.hear(WATCHDOG_S) is not None:
            assert len(self.alive_s) < 100
        self.process.send_signal(signal.SIGABRT)
        assert self.process.wait(5.0) == -signal.SIGABRT

    def end(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait(5.0)
        self._socket.close()

    def renewed_s(self) -> list[float]:
        return [float(line) for line in self._log.read_text().splitlines()]


def test_a_hung_core_falls_silent_renews_nothing_and_is_started_again(tmp_path: Path) -> None:
    supervisor = Supervisor(tmp_path)
    try:
        supervisor.start()
        supervisor.watch_until_silent()
        assert len(supervisor.alive_s) == 3  # the fourth guard tick hung
        renewed_s = supervisor.renewed_s()
        assert len(renewed_s) == 3
        assert renewed_s[-1] - supervisor.alive_s[-1] < 0.1  # so that leases end within their term
        supervisor.start()
        for _ in range(6):
            assert supervisor.hear(WATCHDOG_S) == ALIVE
        assert len(supervisor.renewed_s()) > len(renewed_s)
    finally:
        supervisor.end()


def test_only_a_guard_tick_that_was_carried_out_is_a_sign_of_life(tmp_path: Path) -> None:
    heard = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    heard.bind(str(tmp_path / "notify"))
    heard.setblocking(False)
    watcher = Watcher(
        lambda unix_us: state(unix_us=unix_us), HostClock(), Notifier(str(tmp_path / "notify")), None
    )

    async def ready(_: bool) -> None:
        watcher.fed(PlanTick(1), Output(), 0.0)

    run(watcher.serving_ready(ready)(False))
    with pytest.raises(BlockingIOError):
        heard.recv(100)
    run(watcher.serving_ready(ready)(True))
    watcher.fed(GuardTick(1), Output(), 0.0)
    watcher.close(stops=True)
    assert [heard.recv(100) for _ in range(3)] == [READY, ALIVE, STOPPING]
    heard.close()


@pytest.fixture
def heard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], list[bytes]]]:
    """What the supervisor was told since it was asked last; signs of life are due every 20 ms."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        monkeypatch.setattr(watchdog, "TELL_EVERY_S", 0.02)

        def messages() -> list[bytes]:
            found = []
            try:
                while True:
                    found.append(listening.recv(100))
            except BlockingIOError:
                return found

        yield messages


def test_who_stands_by_again_is_not_taken_for_stopping(heard: Callable[[], list[bytes]]) -> None:
    watcher = Watcher(lambda unix_us: state(unix_us=unix_us), HostClock(), Notifier(), None)
    watcher.fed(GuardTick(1), Output(), 0.0)
    watcher.close(stops=False)
    assert heard() == [ALIVE]


def test_opening_the_journal_and_making_the_cores_are_told_as_long_as_they_go_on(
    heard: Callable[[], list[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    heard_by: list[int] = []

    def slow(made: Any) -> Callable[..., Any]:
        def make(*_args: Any, **_more: Any) -> Any:
            time.sleep(0.3)
            heard_by.append(len(heard()))
            return made

        return make

    monkeypatch.setattr(opening, "_identity", slow(None))
    monkeypatch.setattr(opening, "Journal", SimpleNamespace(open=slow(SimpleNamespace(damage=None))))
    monkeypatch.setattr(opening, "_made", slow((None, None)))
    config: Any = SimpleNamespace(journal="j")

    async def take_over() -> None:
        await opening.opened(config, 7, 0, Told())
        assert heard()[-1] == ALIVE  # so that the first tick has all the time of the watchdog
        await asyncio.sleep(0.1)
        assert heard() == []  # from then on only ticks are signs of life

    run(take_over())
    assert min(heard_by) >= 3


def test_a_start_that_hangs_falls_silent(
    heard: Callable[[], list[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watchdog, "START_WITHIN_S", 0.2)

    async def hang() -> None:
        async with watchdog.starting():
            await asyncio.sleep(0.5)
            assert heard()
            await asyncio.sleep(0.2)
            assert heard() == []

    run(hang())


def test_without_a_supervisor_and_with_one_that_is_gone_nothing_happens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    for notifier in (Notifier(), Notifier(str(tmp_path / "nobody")), Notifier("@quietcell-nobody")):
        notifier.tell(ALIVE)
        notifier.close()


def test_the_unit_asks_for_what_the_controller_tells() -> None:
    unit = (ROOT / "docs" / "operations" / "quietcell.service").read_text()
    for line in ("Type=notify", "WatchdogSec=90", "Restart=always", "ExecReload=/bin/kill -HUP $MAINPID"):
        assert line in unit.splitlines()
