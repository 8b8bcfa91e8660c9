"""Status, cells and alarms: from the core's state over gRPC, with and without TLS, to the terminal."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import grpc
import pytest
from typer.testing import CliRunner, Result

from controller.cli import app
from controller.live.alarm_book import AlarmBook
from controller.live.config import LiveConfig
from controller.live.control_view import LiveView
from controller.live.events import CLEARED, Alarm, GuardTick, Output
from controller.live.watchdog import Notifier
from controller.live.watching import Watcher
from hw.adapters.control import CellQuery
from hw.adapters.control_client import ControlClient
from hw.adapters.control_server import SERVICE, serves_control
from hw.adapters.health import HealthServer
from hw.ports import HostClock
from hw.security.certs import init_ca, issue
from hw.security.credentials import TlsFiles, server_credentials
from hw.security.gate import Gate
from hw.security.identity import Role, make_identity
from hw.security.limits import Limits
from tests.controller.live.doubles import LEVELS, live_config
from tests.controller.live.test_metrics import state
from tests.hw.adapters.agent_double import run

N_CELLS = 2500
LATCH: Any = SimpleNamespace()  # nobody stops here


def _watched(n_cells: int = 6) -> tuple[Watcher, LiveView]:
    """A watcher that has seen one tick, and the view of it."""
    clock = HostClock()
    watcher = Watcher(lambda unix_us: state(n_cells, unix_us=unix_us), clock, Notifier(""), None)
    fleet: Any = SimpleNamespace(names=tuple(f"c{i}" for i in range(n_cells)), level_names=LEVELS)
    view = LiveView(live_config("x"), fleet, watcher, clock)
    alarms = [Alarm(5, "warning", "guards", "flapping"), Alarm(6, "critical", "controller", "no plan")]
    watcher.fed(GuardTick(10_000_000), Output(durable=alarms), 0.1)
    return watcher, view


def test_the_book_raises_once_acknowledges_once_and_clears() -> None:
    book = AlarmBook()
    for unix_us in (1, 2):
        book.take(Alarm(unix_us, "major", "site-a", "silent"))
    book.take(Alarm(3, "critical", "controller", "no plan"))
    assert [(raised.number, raised.raised_unix_us) for raised in book.standing()] == [(2, 3), (1, 1)]
    assert book.acknowledge(1, "anna", 4) == replace(
        book.standing()[1], acknowledged_by="anna", acknowledged_unix_us=4
    )
    seen = book.acknowledge(1, "bob", 5)
    assert seen is not None
    assert seen.acknowledged_by == "anna"
    assert book.acknowledge(7, "anna", 4) is None
    book.take(Alarm(6, CLEARED, "site-a", "silent"))
    book.take(Alarm(7, CLEARED, "site-a", "never raised"))
    assert [raised.cleared_unix_us for raised in book.history()] == [6]
    assert [raised.number for raised in book.standing()] == [2]
    book.take(Alarm(8, "major", "site-a", "silent"))
    assert book.standing()[-1].number == 3


def test_a_controller_that_is_not_ready_has_an_alarm_of_its_own() -> None:
    watcher, _ = _watched()
    told: list[str] = []
    tell = watcher.telling(lambda what, /, **about: told.append(what))
    tell("ready", ready=False, cause="disk full")
    tell("ready", ready=False, cause="disk full; slow")
    texts = [raised.text for raised in watcher.book.standing() if raised.about == "readiness"]
    assert texts == ["no sleep is commanded: disk full; slow"]
    tell("ready", ready=True, cause="")
    assert not [raised for raised in watcher.book.standing() if raised.about == "readiness"]
    assert told == ["ready"] * 3


def test_cells_come_in_pages_and_by_what_is_asked() -> None:
    _, view = _watched(N_CELLS)
    first, following = view.cells(CellQuery())
    assert (len(first), following) == (1000, 1000)
    last, end = view.cells(CellQuery(first=2000))
    assert (len(last), end) == (500, 0)
    stuck, _ = view.cells(CellQuery(only_stuck=True))
    assert [(cell.cell_id, cell.agent_id) for cell in stuck] == [("c2", "site-0000")]
    assert all(
        cell.commanded not in ("full", "symbol") for cell in view.cells(CellQuery(only_resting=True))[0]
    )
    assert [cell.cell_id for cell in view.cells(CellQuery(names=("c7", "c3", "nowhere")))[0]] == ["c3", "c7"]
    assert view.cells(CellQuery(agent_id="nobody")) == ([], 0)


def _server(view: LiveView, *, is_insecure: bool) -> HealthServer:
    server = HealthServer([Gate(Limits(), is_insecure=is_insecure)])
    server.add(SERVICE, serves_control(view, LATCH, is_insecure=is_insecure))
    return server


@contextmanager
def _serving(
    view: LiveView, credentials: grpc.ServerCredentials | None
) -> Iterator[tuple[HealthServer, int]]:
    """The controller's port in a thread of its own."""
    started, ends = threading.Event(), []
    found: dict[str, Any] = {}

    async def serve() -> None:
        server = _server(view, is_insecure=credentials is None)
        found["server"], found["port"] = server, await server.start("127.0.0.1:0", credentials)
        await server.set_ready(True)
        end = asyncio.Event()
        ends.append((asyncio.get_running_loop(), end))
        started.set()
        await end.wait()
        await server.stop()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert started.wait(5.0)
    try:
        yield found["server"], found["port"]
    finally:
        loop, end = ends[0]
        loop.call_soon_threadsafe(end.set)
        thread.join(5.0)


def _call(
    folder: Path, port: int, command: str, *more: str, tls: bool = False, option: str = "--config"
) -> Result:
    """``option`` names the configuration, empty: not at all."""
    told: LiveConfig = live_config(folder, listen=f"127.0.0.1:{port}", tls=str(folder) if tls else None)
    path = folder / "live.yaml"
    path.write_text(told.model_dump_json(by_alias=True, exclude_none=True))
    named = [option, str(path)] if option else []
    arguments = [command, *named, *([] if tls else ["--insecure"]), *more]
    return CliRunner().invoke(app, arguments)


def test_status_cells_and_alarms_at_the_terminal(tmp_path: Path) -> None:
    watcher, view = _watched()
    watcher.is_ready = True
    with _serving(view, None) as (_, port):
        shown = _call(tmp_path, port, "status").stdout
        assert "edge-1  ready  term 3, policy threshold" in shown
        assert "site-0000: it sends no reports or no samples" in shown
        assert "2 alarms stand, 2 not acknowledged" in shown
        assert "canar" not in shown
        assert watcher.state is not None
        felt = {"n_canaries": 3, "canaries_wait": "2 of 7 days", "rolled_back": ("s1", "")}
        watcher.state = replace(watcher.state, **felt)
        shown = _call(tmp_path, port, "status").stdout
        assert "3 canaries are watched" in shown
        assert "no canary acts: 2 of 7 days" in shown
        assert "at full service for what users felt: s1, all sites of canaries" in shown
        document = json.loads(_call(tmp_path, port, "status", "--json").stdout)
        assert {level["level"]: level["commanded"] for level in document["levels"]}["symbol"] == 2
        assert _call(tmp_path, port, "status", "--check").exit_code == 0
        watcher.is_ready = False
        assert _call(tmp_path, port, "status", "--check").exit_code == 1
        cells = json.loads(_call(tmp_path, port, "cells", "c1", "c2", "--json").stdout)["cells"]
        assert [(cell["cell_id"], cell["is_local"], cell["is_stuck"]) for cell in cells] == [
            ("c1", True, False),
            ("c2", False, True),
        ]
        assert "STUCK" in _call(tmp_path, port, "cells", "--stuck").stdout
        lines = _call(tmp_path, port, "alarms").stdout.splitlines()
        assert [line.split()[1] for line in lines] == ["critical", "warning"]
        seen = json.loads(_call(tmp_path, port, "alarms", "--acknowledge", "2", "--json").stdout)["alarms"][0]
        assert seen["acknowledged_by"]
        unknown = _call(tmp_path, port, "alarms", "--acknowledge", "99")
        assert (unknown.exit_code, "no alarm 99 stands" in unknown.stderr) == (2, True)
        assert _call(tmp_path, port, "alarms", "--history").stdout == "no alarm is over\n"


def test_a_controller_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    result = _call(tmp_path, 1, "status")
    assert (result.exit_code, "controller at 127.0.0.1:1 is not reached" in result.stderr) == (2, True)


def test_pages_go_over_the_wire_and_a_status_follows_each_tick() -> None:
    watcher, view = _watched(N_CELLS)

    async def test() -> None:
        server = _server(view, is_insecure=True)
        port = await server.start("127.0.0.1:0", None)
        async with ControlClient(f"0.0.0.0:{port}", None) as client:
            names = [cell.cell_id async for cell in client.cells(CellQuery())]
            assert names == [f"c{i}" for i in range(N_CELLS)]
            seen = []
            async for status in client.watch():
                seen.append(status.tick_unix_us)
                if len(seen) == 3:
                    break
                await asyncio.sleep(0.05)
                watcher.fed(GuardTick(seen[-1] + 20_000_000), Output(), 0.1)
            assert seen == [10_000_000, 30_000_000, 50_000_000]
            with pytest.raises(ConnectionError, match="page_token"):
                _ = [cell async for cell in client.cells(CellQuery(first=-1))]
        await server.stop()

    run(test())


def test_over_tls_roles_decide_and_the_certificate_names_the_author(tmp_path: Path) -> None:
    init_ca(tmp_path)
    issue(tmp_path, make_identity(Role.CONTROLLER, "edge-1"), ["127.0.0.1"])
    issue(tmp_path, make_identity(Role.OPERATOR, "anna"))
    _, view = _watched()
    credentials = server_credentials(TlsFiles(tmp_path, "edge-1"))

    async def refused(port: int) -> None:
        async with ControlClient(f"127.0.0.1:{port}", None) as client:
            with pytest.raises(ConnectionError):
                await client.status()

    with _serving(view, credentials) as (_, port):
        assert _call(tmp_path, port, "status", "--as", "anna", tls=True).exit_code == 0
        seen = _call(tmp_path, port, "alarms", "--acknowledge", "1", "--as", "anna", "--json", tls=True)
        assert json.loads(seen.stdout)["alarms"][0]["acknowledged_by"] == "operator/anna"
        run(refused(port))
