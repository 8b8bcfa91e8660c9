"""Metrics of a core under way: what they say, how many there are, and what Prometheus' own checker says of them."""

from __future__ import annotations

import shutil
import subprocess
import urllib.request
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from prometheus_client import generate_latest
from pydantic import ValidationError

from controller.live.alarm_book import AlarmBook
from controller.live.events import CLEARED, Alarm, Answered, GuardTick, Output, PlanTick, Renewed, Woken
from controller.live.looking import AgentState, CoreState
from controller.live.metrics import Metrics
from controller.live.own_energy import host_meter
from controller.live.scraping import scraped_at
from hw.adapters.radio import Answers, RenewalAnswer
from hw.ports import HostClock
from tests.controller.live.doubles import LEVELS, live_config

MAX_SERIES = 1000


def state(n_cells: int = 6, n_agents: int = 2, unix_us: int = 10_000_000) -> CoreState:
    cells = np.arange(n_cells)
    agents = tuple(AgentState(f"site-{i:04}", 3, 1, True, i > 0, i == 0, False) for i in range(n_agents))
    return CoreState(
        unix_us=unix_us,
        epoch=3,
        leads=True,
        is_stopped=False,
        level=(1 + cells % 5).astype(np.uint8),
        reported=(1 + cells % 5).astype(np.uint8),
        reason=np.zeros(n_cells, np.uint8),
        is_local=cells == 1,
        is_stuck=cells == 2,
        agent_of=cells % n_agents,
        agents=agents,
        set_aside={"renewal refused": 2},
    )


def answers(outcome: list[int], cause: list[int]) -> Answers:
    k = len(outcome)
    return Answers(
        np.arange(k), np.ones(k, np.uint64), np.array(outcome), np.array(cause), np.ones(k, np.uint8)
    )


def fed(metrics: Metrics) -> None:
    woken = Woken(0, np.arange(2, dtype=np.int32), np.ones(2, np.uint64), np.array([26, 26], np.uint8))
    alarms = [Alarm(0, "major", "site-a", "silent"), Alarm(1, CLEARED, "site-a", "silent")]
    metrics.fed(GuardTick(10_000_000), Output(durable=[woken, *alarms]), 0.02)
    metrics.fed(PlanTick(10_000_000), Output(), 0.2)
    metrics.fed(Answered("site-a", answers([2, 2, 3, 99], [0, 0, 2, 0])), Output(), 0.0)
    metrics.fed(Renewed("site-a", RenewalAnswer(1, 3, 13, b"")), Output(), 0.0)
    metrics.missed("GuardTick", 2)
    metrics.appended(0.004, False)


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(f"quietcell_{name}", labels)


def test_metrics_say_what_happened() -> None:
    metrics = Metrics(LEVELS, by_agent=False)
    fed(metrics)
    metrics.saw(state())
    metrics.saw(state(unix_us=30_000_000))
    assert value(metrics, "cells", level="symbol") == 2
    assert value(metrics, "cell_seconds_total", level="symbol") == 2 * 20
    assert value(metrics, "leases_active") == 2
    assert value(metrics, "agents_silent") == 1
    assert value(metrics, "agents_reconciled") == 1
    assert value(metrics, "cells_stuck") == 1
    assert value(metrics, "command_answers_total", outcome="applied", cause="none") == 2
    assert value(metrics, "command_answers_total", outcome="rejected", cause="lower_epoch") == 1
    assert value(metrics, "command_answers_total", outcome="unknown", cause="none") == 1
    assert value(metrics, "renewal_answers_total", outcome="rejected", cause="digest_mismatch") == 1
    assert value(metrics, "tick_duration_seconds_count", kind="plan") == 1
    assert value(metrics, "ticks_missed_total", kind="guard") == 2
    assert value(metrics, "alarms_raised_total", severity="major") == 1
    assert value(metrics, "alarms_raised_total", severity=CLEARED) is None
    assert value(metrics, "journal_append_duration_seconds_count") == 1
    metrics.appended(9.0, True)
    assert value(metrics, "journal_failing") == 1
    assert value(metrics, "journal_append_duration_seconds_count") == 1


def test_a_clock_that_was_set_adds_no_cell_time() -> None:
    metrics = Metrics(LEVELS, by_agent=False)
    for unix_us in (10_000_000, 9_000_000, 10**16):
        metrics.saw(state(unix_us=unix_us))
    assert value(metrics, "cell_seconds_total", level="symbol") in (None, 0)


def test_standing_alarms_by_severity() -> None:
    metrics, book = Metrics(LEVELS, by_agent=False), AlarmBook()
    book.take(Alarm(0, "critical", "controller", "no plan"))
    book.take(Alarm(0, "major", "site-a", "silent"))
    book.acknowledge(2, "anna", 5)
    metrics.stand(book)
    assert (value(metrics, "alarms", severity="critical"), value(metrics, "alarms_unacknowledged")) == (1, 1)
    book.take(Alarm(0, CLEARED, "controller", "no plan"))
    metrics.stand(book)
    assert value(metrics, "alarms", severity="critical") == 0


def _series(metrics: Metrics) -> list[str]:
    return [
        line for line in generate_latest(metrics.registry).decode().splitlines() if not line.startswith("#")
    ]


def test_a_network_of_ten_thousand_cells_has_no_more_series_than_a_small_one() -> None:
    counts = []
    for n_cells, n_agents in ((6, 2), (10_000, 200)):
        metrics = Metrics(LEVELS, by_agent=False)
        fed(metrics)
        metrics.saw(state(n_cells, n_agents))
        counts.append(len(_series(metrics)))
    assert counts[0] == counts[1]
    every = Metrics(LEVELS, by_agent=False)
    pairs = [(outcome, cause) for outcome in range(8) for cause in range(20)]
    every.fed(Answered("a", answers(*map(list, zip(*pairs, strict=True)))), Output(), 0.0)
    every.saw(state(10_000, 200))
    assert len(_series(every)) < MAX_SERIES
    assert not any("site-0001" in line for line in _series(every))


def test_agents_are_labels_only_where_asked() -> None:
    metrics = Metrics(LEVELS, by_agent=True)
    metrics.saw(state())
    assert value(metrics, "agent_connected", agent="site-0001") == 1
    assert value(metrics, "agent_leases_active", agent="site-0001") == 1


def _runner() -> Any:
    link = SimpleNamespace(waiting=2, is_open=True, streams=3, dropped=1)
    outbox: Any = type("Outbox", (), {"__len__": lambda self: 4, "lost": 7})()
    return SimpleNamespace(links={"a": link, "b": link}, outbox=outbox, inbox=[1, 2, 3])


@pytest.fixture
def scraped(tmp_path: Path) -> str:
    """What a scrape over HTTP answers."""
    metrics = Metrics(LEVELS, by_agent=True)
    fed(metrics)
    metrics.saw(state())
    metrics.ready.set(True)
    (tmp_path / "journal.db").write_bytes(bytes(5000))
    meter = host_meter(HostClock())
    server = scraped_at("127.0.0.1:0", metrics, _runner(), tmp_path / "journal.db", None, meter)
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/metrics", timeout=30) as answer:
            return str(answer.read().decode())
    finally:
        server.stop()


def test_a_scrape_reads_queues_links_and_disk(scraped: str) -> None:
    for line in (
        "quietcell_ready 1.0",
        "quietcell_inbox_events 3.0",
        "quietcell_outbox_outputs 4.0",
        "quietcell_link_messages 4.0",
        "quietcell_links_open 2.0",
        "quietcell_journal_size_bytes 5000.0",
        "quietcell_journal_lost_records 7.0",
        "# TYPE quietcell_controller_energy_joules_total counter",
    ):
        assert line in scraped.splitlines()
    assert "process_resident_memory_bytes" in scraped


def test_promtool_accepts_the_metrics(scraped: str) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed: apt-get install prometheus")
    checked = subprocess.run(
        [promtool, "check", "metrics"], input=scraped, text=True, capture_output=True, check=False
    )
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


@pytest.mark.parametrize(
    "address", ["0.0.0.0:9464", "edge:9464", "127.0.0.1", "127.0.0.1:x", "127.0.0.1:99999"]
)
def test_metrics_are_served_on_loopback_only(address: str) -> None:
    with pytest.raises(ValidationError, match="must be host:port on loopback"):
        live_config("x", metrics=address)
    assert live_config("x", metrics="[::1]:9464").metrics
