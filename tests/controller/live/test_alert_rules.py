"""The alert rules in a real Prometheus that scrapes real metrics, before and after faults are put into them."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from controller.live.alarm_book import AlarmBook
from controller.live.events import Alarm, Answered, GuardTick, Output, PlanTick, Renewed, RolledBack
from controller.live.metrics import Metrics
from controller.live.own_energy import host_meter
from controller.live.scraping import scraped_at
from hw.adapters.control import Estimate, SavingsStatus, SavingStatus
from hw.adapters.radio import RenewalAnswer
from hw.ports import HostClock
from tests.controller.live.doubles import LEVELS
from tests.controller.live.sites_made import sites_state
from tests.controller.live.test_metrics import answers, state

OPERATIONS = Path(__file__).resolve().parents[3] / "docs" / "operations"
RULES = OPERATIONS / "alerts.yaml"
WITHIN_S = 60.0
needs_prometheus = pytest.mark.skipif(
    shutil.which("prometheus") is None or shutil.which("promtool") is None,
    reason="prometheus is not installed: apt-get install prometheus",
)
CONFIG = """
global: {{scrape_interval: 200ms, scrape_timeout: 200ms, evaluation_interval: 200ms}}
rule_files: [{rules}]
scrape_configs:
  - job_name: quietcell
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
"""
# Everything but what needs hours of history or a controller that is gone.
EXPECTED = {
    "QuietcellNotReady",
    "QuietcellGuardLate",
    "QuietcellPlanLate",
    "QuietcellDeposed",
    "QuietcellJournalFailing",
    "QuietcellJournalLost",
    "QuietcellStopped",
    "QuietcellAgentsSilent",
    "QuietcellAgentsAway",
    "QuietcellCellsStuck",
    "QuietcellTicksMissed",
    "QuietcellPlanSlow",
    "QuietcellCommandsRefused",
    "QuietcellRenewalsRefused",
    "QuietcellAlarmCritical",
    "QuietcellRolledBack",
    "QuietcellUsersSlower",
    "QuietcellSavesNothing",
    "QuietcellSitesDoubted",
    "QuietcellSitesBelowFloor",
    "QuietcellSitesOutage",
    "QuietcellSitesNoPlan",
    "QuietcellPowerAgentsAway",
}


@needs_prometheus
def test_promtool_accepts_the_rules() -> None:
    checked = subprocess.run(
        ["promtool", "check", "rules", str(RULES)], text=True, capture_output=True, check=False
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_rules_and_dashboard_name_metrics_that_exist_and_the_runbook_knows_every_alert() -> None:
    metrics = Metrics(LEVELS, by_agent=True)
    link = SimpleNamespace(waiting=0, is_open=True, streams=1, dropped=0)
    server = scraped_at(
        "127.0.0.1:0", metrics, _runner(link), Path("journal.db"), None, host_meter(HostClock())
    )
    server.stop()
    known = {"quietcell_certificate_expiry_timestamp_seconds"}
    for family in metrics.registry.collect():
        known |= {family.name, f"{family.name}_total", f"{family.name}_bucket", f"{family.name}_count"}
    named = re.findall(r"quietcell_\w+", RULES.read_text() + (OPERATIONS / "dashboard.json").read_text())
    assert len(named) > 30
    assert set(named) - known == set()
    alerts = re.findall(r"alert: (\w+)", RULES.read_text())
    headings = re.findall(r"^### (\w+)", (OPERATIONS / "runbook.md").read_text(), re.MULTILINE)
    assert headings == alerts
    assert set(alerts) >= EXPECTED


@needs_prometheus
def test_prometheus_raises_each_alert_for_its_fault_and_none_without(tmp_path: Path) -> None:
    metrics, link = (
        Metrics(LEVELS, by_agent=False),
        SimpleNamespace(waiting=0, is_open=True, streams=1, dropped=0),
    )
    runner = _runner(link)
    (tmp_path / "journal.db").write_bytes(b"")
    server = scraped_at(
        "127.0.0.1:0", metrics, runner, tmp_path / "journal.db", None, host_meter(HostClock())
    )
    _be_well(metrics)
    web = _free_port()
    process = _prometheus(tmp_path, server.port, web)
    try:
        _until(lambda: "up" in _seen(web, "up"))
        time.sleep(0.2)
        _until(lambda: "quietcell_ready" in _seen(web, "quietcell_ready"))
        assert _alerts(web) == set()
        _break(metrics, runner)
        _until(lambda: _alerts(web) >= EXPECTED)
        assert "QuietcellDown" not in _alerts(web)
    finally:
        server.stop()
        try:
            _until(lambda: "QuietcellDown" in _alerts(web))
        finally:
            process.terminate()
            process.wait(10)


def _runner(link: Any) -> Any:
    outbox = type("Outbox", (), {"__len__": lambda self: 0})()
    outbox.lost = 0
    return SimpleNamespace(links={"a": link}, outbox=outbox, inbox=[])


def _be_well(metrics: Metrics) -> None:
    metrics.ready.set(True)
    well = state()
    agents = tuple(replace(agent, is_silent=False) for agent in well.agents)
    sites = sites_state(trusted=np.ones(4, np.bool_), charge_reason=np.zeros(4, np.uint8))
    metrics.saw(replace(well, agents=agents, is_stuck=well.is_stuck & False, sites=sites))
    metrics.saved(_savings(0.2, users_ratio=0.01))
    metrics.stand(AlarmBook())
    metrics.appended(0.01, False)
    for tick in (GuardTick(1), PlanTick(1)):
        metrics.fed(tick, Output(), 0.1)
    metrics.fed(Answered("a", answers([2], [0])), Output(), 0.0)
    for outcome in (2, 3):
        metrics.fed(Renewed("a", RenewalAnswer(1, outcome, 0, b"")), Output(), 0.0)


def _break(metrics: Metrics, runner: Any) -> None:
    metrics.ready.set(False)
    metrics.appended(9.0, True)
    runner.outbox.lost = 500
    bad = state()
    agents = tuple(
        replace(agent, is_silent=True, is_connected=False, is_stopped=True) for agent in bad.agents
    )
    dark = np.zeros(4, np.bool_)
    sites = sites_state(mains=dark, floor_wh=np.full(4, 9000.0), agents=agents, plan_age_s=3600.0)
    metrics.saw(replace(bad, leads=False, is_stopped=True, agents=agents, sites=sites))
    metrics.saved(_savings(-0.1, users_ratio=-0.2))
    felt = RolledBack(1, "s1", 10**9, 1)
    metrics.fed(GuardTick(1), Output(durable=[felt]), 0.1)
    book = AlarmBook()
    book.take(Alarm(0, "critical", "controller", "no plan"))
    metrics.stand(book)
    metrics.missed("PlanTick", 3)
    for _ in range(20):
        metrics.fed(PlanTick(1), Output(), 25.0)
        metrics.fed(Answered("a", answers([3, 5], [2, 0])), Output(), 0.0)
        metrics.fed(Renewed("a", RenewalAnswer(1, 3, 13, b"")), Output(), 0.0)
    for kind in ("guard", "plan"):
        metrics.tick_at.labels(kind).set(time.time() - 3600)


def _savings(ratio: float, users_ratio: float) -> SavingsStatus:
    """Savings of a network with an interval of 0.05 to both sides."""
    found = Estimate(ratio, ratio - 0.05, ratio + 0.05)
    return SavingsStatus(
        0, 0, 8, 3, "", (SavingStatus("network", "", 1.0, 1.0, found, found, found, users_ratio, 0.1),)
    )


def _prometheus(folder: Path, scraped: int, web: int) -> subprocess.Popen[bytes]:
    """Prometheus with the rules as they are, but for how long they wait."""
    rules, config = folder / "alerts.yaml", folder / "prometheus.yml"
    rules.write_text(re.sub(r"^ +for: .*\n", "", RULES.read_text(), flags=re.MULTILINE))
    config.write_text(CONFIG.format(rules=rules, port=scraped))
    arguments = [f"--config.file={config}", f"--web.listen-address=127.0.0.1:{web}"]
    arguments += [f"--storage.tsdb.path={folder / 'data'}", "--log.level=error"]
    return subprocess.Popen(["prometheus", *arguments], cwd=folder)


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _ask(web: int, path: str) -> Any:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{web}/api/v1/{path}", timeout=30) as answer:
            return json.load(answer)["data"]
    except (urllib.error.URLError, ConnectionError):
        return {}


def _seen(web: int, query: str) -> set[str]:
    found = _ask(web, f"query?query={query}").get("result", ())
    return {series["metric"]["__name__"] for series in found if series["value"][1] == "1"}


def _alerts(web: int) -> set[str]:
    return {a["labels"]["alertname"] for a in _ask(web, "alerts").get("alerts", ()) if a["state"] == "firing"}


def _until(holds: Any) -> None:
    end_s = time.monotonic() + WITHIN_S
    while not holds():
        assert time.monotonic() < end_s, "it took too long"
        time.sleep(0.1)
