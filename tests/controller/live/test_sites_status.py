"""What operators see of sites with power, in the terminal, as JSON and in metrics; and that the core knows it so."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from prometheus_client import generate_latest

from controller.live.events import GuardTick, Output
from controller.live.metrics import Metrics
from controller.live.power.events import ChargedSafely, PowerDecided
from controller.live.power.looking import SitesLook
from controller.live.power.view import page_of_sites, power_status
from controller.live.power.why import Why, word_of, words_of
from hw.adapters.control import SiteQuery
from hw.adapters.control_client import ControlClient
from policies.site.guard import GuardReason
from tests.controller.live.doubles import LEVELS
from tests.controller.live.power_trial import PowerTrial
from tests.controller.live.sites_made import sites_state
from tests.controller.live.test_metrics import state
from tests.controller.live.test_status import _call, _server, _serving, _watched
from tests.hw.adapters.agent_double import run

N_SITES = 2300


def test_sites_at_the_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    watcher, view = _watched()
    assert watcher.state is not None
    with _serving(view, None) as (_, port):
        assert "batteries" not in _call(tmp_path, port, "status").stdout
        assert _call(tmp_path, port, "sites").stdout.endswith("0 sites\n")
        watcher.state = replace(watcher.state, sites=sites_state())
        shown = _call(tmp_path, port, "status").stdout
        assert "1 of 1 power agents connected, 2 leases" in shown
        assert "2 of 4 sites with batteries are under a setpoint; they store 18.7 kWh" in shown
        assert "charging safely: 1 untrusted, 1 no agent" in shown
        assert "1 sites have a state of charge that is found wrong" in shown
        assert "no mains" not in shown
        told = json.loads(_call(tmp_path, port, "status", "--json").stdout)["power"]
        assert (told["leased"], told["below_floor"], told["import_w"]) == (2, 0, 15_000.0)
        lines = _call(tmp_path, port, "sites").stdout.splitlines()
        first = next(line for line in lines if line.strip().startswith("s0"))
        assert first.split()[:4] == ["s0", "act", "80", "%"]
        assert "+2.0 kW" in first
        assert "4.0 kWh" in first
        assert "stored" in first
        assert "as planned" in first
        found = json.loads(_call(tmp_path, port, "sites", "--safe", "--json").stdout)["sites"]
        assert [(site["site_id"], site["reason"]) for site in found] == [
            ("s2", "untrusted"),
            ("s3", "no_agent"),
        ]
        assert found[0]["untrusted_words"] == "state of charge jumped"
        assert found[1]["soc"] is found[1]["margin_wh"] is found[1]["agent_reserve_wh"] is None


def test_pages_of_sites_go_over_the_wire() -> None:
    watcher, view = _watched()
    assert watcher.state is not None
    watcher.state = replace(watcher.state, sites=sites_state(N_SITES))

    async def test() -> None:
        server = _server(view, is_insecure=True)
        port = await server.start("127.0.0.1:0", None)
        async with ControlClient(f"127.0.0.1:{port}", None) as client:
            names = [site.site_id async for site in client.sites(SiteQuery())]
            assert names == [f"s{i}" for i in range(N_SITES)]
            ours = [site async for site in client.sites(SiteQuery(agent_id="power-a", page_size=2))]
            assert [(site.site_id, site.program) for site in ours] == [
                ("s0", "stored"),
                ("s1", "not stored"),
                ("s2", "none"),
            ]
            assert ours[0].margin_wh == 4000.0
            with pytest.raises(ConnectionError, match="page_token"):
                _ = [site async for site in client.sites(SiteQuery(first=-1))]
        await server.stop()

    run(test())


def test_metrics_of_sites_are_sums_and_counts_by_reason() -> None:
    metrics = Metrics(LEVELS, by_agent=False)
    counts = []

    def value(name: str, **labels: str) -> float | None:
        return metrics.registry.get_sample_value(f"quietcell_{name}", labels)

    for m in (4, 1000):
        metrics.saw(replace(state(), sites=sites_state(m)))
        counts.append(len(generate_latest(metrics.registry).splitlines()))
        assert value("sites") == m
        assert value("sites_unmeasured") == m - 3
    assert counts[0] == counts[1]
    assert value("sites_charging_safely", reason="untrusted") == 1
    assert value("sites_charging_safely", reason="stopped") == 0
    assert value("sites_charge_doubted", reason="jump") == 1
    assert value("sites_stored_joules") == 18_700 * 3600
    assert value("sites_least_margin_joules") == 700 * 3600
    assert value("sites_battery_watts", way="charge") == 1800
    assert value("sites_battery_watts", way="discharge") == 2000
    assert value("sites_program_acknowledged") == 1
    dark = sites_state(mains=np.zeros(4, np.bool_), floor_wh=np.full(4, 5000.0))
    metrics.saw(replace(state(), sites=dark))
    assert (value("sites_without_mains"), value("sites_below_floor")) == (3, 1)
    two, nothing = np.arange(2, dtype=np.int32), np.zeros(2)
    decided = PowerDecided(0, "p", two, np.ones(2, np.uint64), nothing, nothing, np.zeros(2, np.uint8))
    safe = ChargedSafely(0, two, np.ones(2, np.uint64), np.full(2, Why.SILENT, np.uint8))
    metrics.fed(GuardTick(1), Output(durable=[decided, safe]), 0.1)
    assert (value("setpoints_total"), value("safe_charges_total", reason="silent")) == (2, 2)


def test_every_reason_has_a_word_and_words() -> None:
    reasons = [*GuardReason, *Why]
    assert (
        len({word_of(reason) for reason in reasons})
        == len({words_of(reason) for reason in reasons})
        == len(reasons)
    )


def test_what_is_shown_is_what_core_and_physics_have(tmp_path: Path) -> None:
    trial = PowerTrial(tmp_path, program=True, now_s=6 * 3600)
    looked = SitesLook(trial.power, trial.cores.radio.ladder)
    before, _ = page_of_sites(looked.look(), SiteQuery())
    assert {site.untrusted_words for site in before} == {"nothing was measured yet"}
    trial.run(3600)
    assert trial.plant.power is not None
    seen = looked.look()
    for k, site in enumerate(page_of_sites(seen, SiteQuery())[0]):
        assert (site.is_leased, site.stage, site.program, site.has_mains) == (True, "act", "stored", True)
        assert site.commanded_w == trial.power.leases.battery_w[k] > 0
        assert site.battery_w == pytest.approx(site.commanded_w, rel=0.1)
        assert site.stored_wh <= trial.stored_wh[k] <= site.stored_wh + 0.05 * 82_000
        assert site.floor_wh >= trial.power.fleet.reserve_wh[k] == site.agent_reserve_wh
        assert site.untrusted_words == ""
    assert power_status(seen, lambda agent: agent).leased == 2  # type: ignore[arg-type, return-value]
    trial.agent.is_cut = True
    trial.run(300)
    page, _ = page_of_sites(looked.look(), SiteQuery(only_safe=True))
    assert {site.reason for site in page} == {"silent"}
    assert all(np.isnan(site.commanded_w) for site in page)
