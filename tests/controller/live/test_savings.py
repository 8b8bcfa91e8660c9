"""Savings that are told from rows, held against what was put in, on their way to the terminal."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from prometheus_client import generate_latest

from controller.live.canary_watch import CanaryWatch
from controller.live.events import Output, PlanTick, RolledBack
from controller.live.kpi_rows import Row
from controller.live.metrics import Metrics
from controller.live.own_energy import OwnPower
from controller.live.savings import NO_HISTORY, NOBODY, NOT_METERED, Seen, beside, tell
from controller.live.savings_desk import SavingsDesk
from hw.adapters.control import Estimate, SavingsStatus, SavingStatus
from tests.controller.live.doubles import LEVELS
from tests.controller.live.test_status import _call, _serving, _watched
from tests.controller.live.watched import CELLS, TICK, past_rows, watched_core

SAVED = 0.3
CANARIES = np.arange(len(CELLS)) < 4  # s0 and s1
REGIONS = {"north": frozenset({"s0", "s5"}), "south": frozenset({"s7"})}
OWN = OwnPower(20.0, 1_700_000_000_000_000)


@pytest.fixture(scope="module")
def canaries(tmp_path_factory: pytest.TempPathFactory) -> CanaryWatch:
    return watched_core(tmp_path_factory.mktemp("savings")).canaries


def acting_rows(days: float, saved: float = SAVED, users: float = 0.02, common: float = 0.1) -> list[Row]:
    """Days in which the canaries save, users of theirs are better off, and everybody draws more for the weather."""
    left = (1 - saved) ** CANARIES * (1 + common)
    rows = past_rows(days, until_tick=TICK + round(days * 96), seed=8)
    return [
        row._replace(
            may=CANARIES,
            energy_wh=(row.energy_wh * left).astype(np.float16),
            kpi=(row.kpi + users * CANARIES).astype(np.float16),
        )
        for row in rows
    ]


def told(canaries: CanaryWatch, rows: Sequence[Row], *, matched: bool = True) -> SavingsStatus:
    assert canaries.armed is not None
    matching = canaries.armed.matching if matched else None
    return tell(Seen(canaries.facts, rows, matching, REGIONS, OWN))


def by_name(found: SavingsStatus) -> dict[tuple[str, str], SavingStatus]:
    return {(row.kind, row.name): row for row in found.rows}


def test_what_was_saved_is_told_everywhere_and_the_weather_is_taken_out(canaries: CanaryWatch) -> None:
    found = told(canaries, [*past_rows(8), *acting_rows(2.25)])
    assert (found.cause, found.history_days, found.control_sites) == ("", 8, 10)
    rows = by_name(found)
    days = [("day", f"2024-10-0{d}") for d in (4, 5, 6)]
    places = [("network", ""), ("region", "north"), ("site", "s0"), ("site", "s1")]
    assert list(rows) == [*places, *(("cell", name) for name in CELLS[:4]), *days]
    for (kind, name), row in rows.items():
        assert row.by_controls.value == pytest.approx(SAVED, abs=0.01), (kind, name)
        assert row.by_controls.low < SAVED < row.by_controls.high
        assert row.by_baseline.value == pytest.approx(1 - 0.7 * 1.1, abs=0.01)  # the weather is in it
        assert row.users_ratio == pytest.approx(0.02, abs=0.01)
        assert row.efficiency_gain == pytest.approx(1 / (0.7 * 1.1) - 1, abs=0.02)
        assert row.energy_wh == pytest.approx(row.without_wh * (1 - row.combined.value), rel=1e-6)
    wide, narrow = (rows[key].by_controls for key in (("site", "s0"), ("network", "")))
    assert wide.high - wide.low > narrow.high - narrow.low


def test_without_controls_there_is_the_baseline(canaries: CanaryWatch) -> None:
    found = told(canaries, [*past_rows(15), *acting_rows(2, common=0.0)], matched=False)
    row = by_name(found)["network", ""]
    assert math.isnan(row.by_controls.value)
    assert row.by_baseline.low < SAVED < row.by_baseline.high
    assert row.combined == row.by_baseline
    assert math.isnan(row.users_ratio)


def test_the_controllers_own_energy_is_told_for_the_same_ticks_and_taken_off(canaries: CanaryWatch) -> None:
    rows = acting_rows(2.25)
    gap = [row._replace(may=CANARIES & False) for row in rows[100:104]]  # for an hour nobody may rest
    found = told(canaries, [*past_rows(8), *rows[:100], *gap, *rows[104:]])
    assert found.own is not None
    assert found.own.since_unix_us == OWN.since_unix_us
    assert found.own.energy_wh == pytest.approx(20.0 * (2.25 * 24 - 1))
    network = by_name(found)["network", ""]
    drawn_wh = network.energy_wh + found.own.energy_wh
    assert found.own.net.value == pytest.approx(1 - drawn_wh / network.without_wh, abs=1e-6)
    assert network.combined.low - found.own.net.low > network.combined.high - found.own.net.high > 0.02


def test_an_own_draw_above_the_saving_is_a_loss_and_unknown_stays_unknown(canaries: CanaryWatch) -> None:
    network = told(canaries, [*past_rows(8), *acting_rows(1)]).rows[0]
    unknown = Estimate(*[float("nan")] * 3)
    saved_w = (network.without_wh - network.energy_wh) / 24
    assert beside(network, OwnPower(saved_w, 0), 86_400).net.value == pytest.approx(0.0, abs=1e-6)
    assert beside(network, OwnPower(2 * saved_w, 0), 86_400).net.value < -0.1
    for blind in (replace(network, without_wh=0.0), replace(network, combined=unknown)):
        assert str(beside(blind, OWN, 3600).net) == str(unknown)


def test_why_nothing_can_be_told(canaries: CanaryWatch) -> None:
    blind = [row._replace(energy_wh=row.energy_wh * np.nan) for row in [*past_rows(8), *acting_rows(1)]]
    assert told(canaries, past_rows(8)).cause == NOBODY
    assert told(canaries, past_rows(8)).own is None
    assert told(canaries, acting_rows(1)).cause == NO_HISTORY
    assert told(canaries, blind).cause == NOT_METERED


def test_an_hour_without_energy_or_a_dead_meter_costs_only_itself(canaries: CanaryWatch) -> None:
    rows = [*past_rows(8), *acting_rows(2)]
    lost = np.arange(len(CELLS)) == 20
    for at in (30, 31, 32, -40):
        rows[at] = rows[at]._replace(energy_wh=rows[at].energy_wh * np.float16(np.nan))
    rows = [row._replace(energy_wh=np.where(lost, np.float16(np.nan), row.energy_wh)) for row in rows]
    row = by_name(told(canaries, rows))["network", ""]
    assert row.by_controls.low < SAVED < row.by_controls.high


def test_a_plan_has_savings_told_to_the_view_and_the_metrics(tmp_path: Path) -> None:
    metrics = Metrics(LEVELS, by_agent=False)
    watcher, view = _watched()
    watcher.metrics = metrics
    core = watched_core(tmp_path)
    for row in acting_rows(2):
        core.canaries.store.add(row)

    async def body() -> None:
        desk = SavingsDesk(core.canaries, {"north": ("s0",)}, lambda: OWN, view.tell_savings)
        desk.fed(PlanTick(0), Output(), 0.1)
        while view.savings().cause:
            await asyncio.sleep(0.01)

    assert view.savings().cause == "no plan has been made yet"
    asyncio.run(asyncio.wait_for(body(), 60))
    network, north = view.savings().rows[:2]
    assert (network.kind, north.name) == ("network", "north")
    metrics.fed(PlanTick(0), Output(durable=[RolledBack(0, "s0", 1, 1)]), 0.1)
    text = generate_latest(metrics.registry).decode()
    assert f'quietcell_saving_ratio{{bound="value",way="combined"}} {network.combined.value}' in text
    own = view.savings().own
    assert own is not None
    assert f'quietcell_saving_net_ratio{{bound="low"}} {own.net.low}' in text
    assert 'quietcell_rollbacks_total{scope="site"} 1.0' in text
    assert 'quietcell_rollbacks_total{scope="all"} 0.0' in text


def test_savings_come_to_the_terminal(tmp_path: Path, canaries: CanaryWatch) -> None:
    found = told(canaries, [*past_rows(8), *acting_rows(2)])
    unknown = replace(found.rows[0], name="x", users_ratio=float("nan"))
    _, view = _watched()
    view.tell_savings(replace(found, rows=(*found.rows, unknown)))
    with _serving(view, None) as (_, port):
        shown = _call(tmp_path, port, "savings")
        document = _call(tmp_path, port, "savings", "--json")
    assert shown.exit_code == document.exit_code == 0, shown.output
    assert "against 8 days at full service and 10 sites" in " ".join(shown.output.split())
    assert found.own is not None
    assert "about 0.960 kWh in the same time, by its mean power since 2023-11-14 22:13Z" in " ".join(
        shown.output.split()
    )
    assert f"saved {100 * found.own.net.value:.1f} % net of it" in " ".join(shown.output.split())
    parsed = json.loads(document.output)
    assert parsed["own"] == asdict(found.own)
    assert parsed["schema"] == "quietcell.savings/1"
    assert parsed["rows"][0]["combined"]["value"] == found.rows[0].combined.value
    assert parsed["rows"][-1]["users_ratio"] is None
