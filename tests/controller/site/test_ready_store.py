"""Where only the month's peak can be saved, the store is refilled in cheap hours, long before it must be full."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from controller.site.expectation import SceneDuties, TrueExpect
from controller.site.month import Month, run_month
from controller.site.watch import SceneGuard
from hw.power import flows
from policies.site.dispatch import PlanDispatch, PlanSettings
from tests.controller.site.site_made import DEFAULTS, HEAD, PER_DAY, made_scene

DAYS, BEFORE_W, PEAK_W, AFTER_W = 14, 2000.0, 2900.0, 1700.0
PEAK = slice(
    2 * PER_DAY + 9, 2 * PER_DAY + 14
)  # nearly empties the store, which takes many days to fill below it
CHEAP_HOURS, CHEAP, DEAR = 8, 0.08, 0.11


def test_a_plan_of_two_days_refills_as_cheaply_as_one_of_the_month(tmp_path: Path) -> None:
    made = made_scene(tmp_path, HEAD + DEFAULTS, DAYS)
    steps = made.scene.n_steps
    radio_w = np.full_like(made.scene.radio_w, BEFORE_W)
    radio_w[:, PEAK], radio_w[:, PEAK.stop :] = PEAK_W, AFTER_W
    hour = np.arange(steps) % PER_DAY
    price = np.where(hour < CHEAP_HOURS, CHEAP, DEAR)
    scene = replace(made.scene, radio_w=radio_w, tariff=replace(made.scene.tariff, import_price=price))
    full = np.ones(scene.n_sites)
    month = Month(scene, 0, steps, 0.95 * full, full, np.zeros(steps), SceneGuard(scene))
    duties = SceneDuties(scene, steps, month.keep_wh)

    def dear_wh(horizon: int) -> np.ndarray:
        settings = PlanSettings(horizon, 1, True)
        planner = PlanDispatch(scene.plant, TrueExpect(scene), duties, month.calendar, settings)
        run = run_month(month, planner)
        imported = run.series(flows.GRID_IMPORT)
        assert (imported.max(1) < PEAK_W).all(), "the peak is shaved"
        assert planner.infeasible == 0
        refilled = (price == DEAR) & (np.arange(steps) >= PEAK.stop)
        return np.asarray(imported[:, refilled].sum(1))

    np.testing.assert_allclose(dear_wh(2 * PER_DAY), dear_wh(steps), rtol=2e-3)
