"""The controller process with its real journal and links; only the core is a double."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from controller.errors import ConfigError
from controller.live import cores as live_cores
from controller.live import opening, process
from controller.live.config import LiveConfig
from controller.live.core import Resumed
from controller.live.events import Connected, GuardTick, Output, Reported
from controller.live.kpi_rows import rows_of
from hw.errors import SecurityError
from hw.ports import HostClock
from tests.controller.live.doubles import LEVELS
from tests.controller.live.loop_doubles import CoreDouble, Told
from tests.controller.live.test_metrics import state
from tests.hw.adapters.agent_double import AgentDouble, run, serving, until, wakes


class Cores:
    """Makes core doubles, and keeps what they resumed from."""

    def __init__(self) -> None:
        self.made: list[CoreDouble] = []
        self.resumed: list[Resumed] = []

    def __call__(self, config: LiveConfig, resumed: Resumed, _sites: object) -> Any:
        core: Any = CoreDouble()
        core.epoch, core.timing = resumed.highest_epoch + 1, SimpleNamespace(tick_s=900)
        core.constrain = lambda text: None
        rows_kept = SimpleNamespace(rows_of=rows_of(("a", "b"), 900))
        core.canaries = SimpleNamespace(facts=rows_kept, take_fresh=list)
        core.fleet = SimpleNamespace(names=("a", "b"), level_names=LEVELS)
        core.answers[Connected] = lambda _: Output(wakes=[("site-001", wakes(3))])
        self.made.append(core)
        self.resumed.append(resumed)
        return live_cores.Cores(core, None)


@pytest.fixture
def cores(monkeypatch: pytest.MonkeyPatch) -> Cores:
    made = Cores()
    monkeypatch.setattr(opening, "make_cores", made)
    monkeypatch.setattr(process, "look", lambda _core, unix_us, *_: state(unix_us=unix_us))
    return made


def _config(folder: Path, address: str, **more: Any) -> LiveConfig:
    agents = [
        {"id": "site-001", "address": address},
        {"id": "power-001", "address": "127.0.0.1:1", "kind": "power"},
    ]
    told = {"schema": "quietcell.live/1", "controller": "edge-1", "agents": agents, "cells": "cells.csv"}
    journal, listen = str(folder / "journal.db"), "127.0.0.1:0"
    return LiveConfig.model_validate(told | {"journal": journal, "listen": listen} | more, strict=False)


async def _serve(
    config: LiveConfig,
    told: Told,
    once: Callable[[], Any],
    reread: Callable[[], LiveConfig] | None = None,
) -> int:
    """Serve until ``once`` is true, then be told to end by signal."""
    clock = HostClock(200.0, time.time_ns() // 1000)
    task = asyncio.ensure_future(process.serve(config, clock, told, insecure=True, reread=reread))
    await until(lambda: task.done() or once())
    if not task.done():
        os.kill(os.getpid(), signal.SIGTERM)
    code, is_closed = await task
    assert is_closed
    return code


def test_it_serves_until_the_signal_and_begins_a_new_term_each_time(cores: Cores, tmp_path: Path) -> None:
    async def test(term: int) -> None:
        double, told = AgentDouble(), Told()

        def seen() -> bool:
            core = cores.made[-1] if len(cores.made) == term else CoreDouble()
            return bool(core.count(Reported) and core.count(GuardTick) and gc.get_freeze_count())

        async with serving(double) as dial:
            assert await _serve(_config(tmp_path, dial.address), told, seen) == 0
        assert told.of("started")[0]["epoch"] == term
        assert told.of("stopped") == [{"confirmed": 1, "unconfirmed": ""}]
        assert ("wakes", [3]) in double.heard
        assert double.unary[-1] == []  # all cells
        assert not gc.get_freeze_count(), "the next term would keep what this one leaves behind"

    for term in (1, 2):
        run(test(term))


def test_a_lost_journal_does_not_lower_the_term(cores: Cores, tmp_path: Path) -> None:
    async def test() -> None:
        double = AgentDouble()
        double.highest_epoch = 57
        async with serving(double) as dial:
            told = Told()
            await _serve(_config(tmp_path, dial.address), told, lambda: double.hellos)
            assert told.of("started")[0]["epoch"] == 58

    run(test())


def test_health_is_served_where_the_configuration_says(cores: Cores, tmp_path: Path) -> None:
    async def test() -> None:
        states: list[int] = []

        async def look(port: int) -> None:
            async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
                check = health_pb2_grpc.HealthStub(channel).Check
                while 1 not in states:
                    states.append((await check(health_pb2.HealthCheckRequest(service="ready"))).status)

        told, looking = Told(), []

        def once() -> bool:
            if told.of("started") and not looking:
                looking.append(asyncio.ensure_future(look(told.of("started")[0]["health_port"])))
            return bool(looking) and looking[0].done()

        async with serving(AgentDouble()) as dial:
            await _serve(_config(tmp_path, dial.address), told, once)
        assert states[-1] == health_pb2.HealthCheckResponse.SERVING

    run(test())


def test_metrics_are_scraped_and_a_bad_reload_is_refused_while_it_runs(cores: Cores, tmp_path: Path) -> None:
    told, scraped = Told(), list[str]()

    def reread() -> LiveConfig:
        raise ConfigError("live.yaml:3: lease_s: must be above 0")

    def scrape() -> str:
        url = f"http://127.0.0.1:{told.of('started')[0]['metrics_port']}/metrics"
        with urllib.request.urlopen(url, timeout=30) as answer:
            return str(answer.read().decode())

    async def look() -> None:
        await until(lambda: cores.made and cores.made[0].count(GuardTick) > 1)
        scraped.append(await asyncio.to_thread(scrape))
        os.kill(os.getpid(), signal.SIGHUP)

    async def test() -> None:
        async with serving(AgentDouble()) as dial:
            config = _config(tmp_path, dial.address, metrics="127.0.0.1:0")
            looking = asyncio.ensure_future(look())
            refused = lambda: told.of("reload_refused")  # noqa: E731
            assert await _serve(config, told, refused, reread) == 0
            await looking

    run(test())
    assert told.of("reload_refused")[0]["cause"] == "live.yaml:3: lease_s: must be above 0"
    lines = scraped[0].splitlines()
    assert "quietcell_ready 1.0" in lines
    drawn_j = [
        line.split()[1] for line in lines if line.startswith("quietcell_controller_energy_joules_total ")
    ]
    assert len(drawn_j) == 1
    assert float(drawn_j[0]) > 0
    assert any(line.startswith("quietcell_journal_append_duration_seconds_count") for line in lines)


def test_without_tls_it_only_starts_on_loopback_and_only_when_asked(cores: Cores, tmp_path: Path) -> None:
    for more, insecure in (({}, False), ({"listen": "0.0.0.0:1"}, True), ({"tls": str(tmp_path)}, True)):
        config = _config(tmp_path, "127.0.0.1:1", **more)
        with pytest.raises(SecurityError):
            run(process.serve(config, HostClock(), Told(), insecure=insecure))
    with pytest.raises(SecurityError, match=r"10\.0\.0\.1:1"):
        run(process.serve(_config(tmp_path, "10.0.0.1:1"), HostClock(), Told(), insecure=True))
    assert cores.made == []


def test_a_core_that_cannot_be_built_leaves_the_journal_free(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fails(*_: Any) -> Any:
        raise ValueError("no such world")

    monkeypatch.setattr(opening, "make_cores", fails)
    for _ in range(2):  # the second finds the journal unlocked
        with pytest.raises(ValueError, match="no such world"):
            run(process.serve(_config(tmp_path, "127.0.0.1:1"), HostClock(), Told(), insecure=True))


def test_what_fails_beside_the_loop_is_told_and_ends_it_only_where_it_must(
    cores: Cores, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async def fails(*_: Any) -> None:
        raise KeyError("an error of ours")

    async def test(code: int, *tasks: str) -> None:
        async with serving(AgentDouble()) as dial:
            told = Told()
            config = _config(tmp_path, dial.address)
            is_told = lambda: told.of("failed") and told.of("ready")  # noqa: E731
            assert await _serve(config, told, is_told) == code
        assert {line["task"] for line in told.of("failed")} == set(tasks)

    monkeypatch.setattr(process, "prune", fails)
    run(test(0, "retention"))
    monkeypatch.setattr(process, "_when_set", fails)
    run(test(1, "stop", "retention"))
