"""Planned set points in a scene: what they save, what they keep, and that they heed nothing later."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from controller.site import cooling as running
from controller.site.building import SitesScene, build_scene, prepare
from controller.site.catalogue import load_cooling
from controller.site.cooling import calendar_ageing
from tests.controller.site.site_made import DEFAULTS, HEAD, PER_DAY, grid, radio, write
from tests.controller.site.test_building import weather_folder

KIND = "shelter-variable"
TEXT = HEAD + "weather: {path: .}\n" + DEFAULTS + f"  weather: here\n  cooling: {KIND}\n"
EVENT = """schema: quietcell.grid-events/1
source: made up
events:
- {name: first, kind: limit_to, amount_w: 800.0, begin: 2025-03-06T10:00:00Z, end: 2025-03-06T14:00:00Z,
   announced: 2025-03-06T02:00:00Z, penalty_per_kwh: 2.0}
"""
DAYS = 6


def scene_of(folder: Path, more: str = "", *, heat_from: int | None = None) -> SitesScene:
    weather_folder(folder)
    own = grid(DAYS)
    made, load = prepare(write(folder, more + TEXT), own), radio(own)
    if heat_from is not None:
        load.power_w[:, heat_from:] *= 1.5
    return build_scene(made, load)


def cooling_cost(made: SitesScene) -> float:
    later = slice(2 * PER_DAY, None)
    return float((made.scene.ac_load_w[:, later] @ made.scene.tariff.import_price[later]).sum())


def test_planned_set_points_save_and_keep_the_limits_of_the_room(tmp_path: Path) -> None:
    fixed, planned = scene_of(tmp_path), scene_of(tmp_path, "setpoints: planned\n")
    assert cooling_cost(planned) < 0.97 * cooling_cost(fixed)
    limits = load_cooling(KIND, tmp_path).limits
    cells_c = planned.scene.battery_c[:, 2 * PER_DAY :]
    assert (cells_c <= limits.battery_max_c + 0.5).all() and (cells_c >= limits.setpoint_min_c - 1.0).all()
    first = slice(0, PER_DAY)  # before anything is known of a day
    assert planned.scene.ac_load_w[:, first] == pytest.approx(fixed.scene.ac_load_w[:, first], rel=0.2)


def test_a_plan_heeds_nothing_later(tmp_path: Path) -> None:
    cut = 4 * PER_DAY + 7
    before = scene_of(tmp_path, "setpoints: planned\n").scene
    after = scene_of(tmp_path, "setpoints: planned\n", heat_from=cut).scene
    assert (before.ac_load_w[:, :cut] == after.ac_load_w[:, :cut]).all()
    assert (before.ac_load_w[:, cut:] != after.ac_load_w[:, cut:]).any()


def test_cooling_drifts_in_a_grid_event(tmp_path: Path) -> None:
    (tmp_path / "events.yaml").write_text(EVENT)
    calm = scene_of(tmp_path, "setpoints: planned\n").scene
    asked = scene_of(tmp_path, "setpoints: planned\ngrid_events: events.yaml\n").scene
    assert asked.event is not None
    during = np.isfinite(asked.event.limit_w[0])
    assert during.sum() == 4
    assert asked.ac_load_w[:, during].sum() < 0.8 * calm.ac_load_w[:, during].sum()
    begun = int(asked.event.known_at[0, during][0])
    assert (asked.ac_load_w[:, :begun] == calm.ac_load_w[:, :begun]).all()


def test_the_price_of_warm_cells_is_that_of_the_pack_over_its_calendar_life(tmp_path: Path) -> None:
    made = scene_of(tmp_path)
    own = made.given.plant.ageing[:1]
    found = calendar_ageing(own, np.array([7000.0]), np.array([0.95]))
    years = 7000.0 / found.per_h[0] / 8760
    assert 10 < years < 40
    assert found.per_k[0] == pytest.approx(2 * 17126 / (8.314 * 298.15**2), rel=1e-3)
    assert calendar_ageing(own, np.array([7000.0]), np.array([0.5])).per_h[0] < found.per_h[0]


def test_prices_that_are_not_published_are_those_of_the_day_before(tmp_path: Path) -> None:
    series = scene_of(tmp_path).given.series
    price = np.arange(series.n_steps, dtype=float)
    known = replace(series, import_price=price, known_until_step=np.full(series.n_steps, 60, np.int64))
    found = running._prices(known, 50, 36, PER_DAY)
    assert found[:10].tolist() == price[50:60].tolist()
    assert found[10:34].tolist() == price[36:60].tolist()
