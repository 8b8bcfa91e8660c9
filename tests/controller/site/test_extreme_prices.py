"""Prices of the shape of ERCOT's February 2021, made up: hours below zero, then days at 9,000 a MWh."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from controller.site.expectation import SceneDuties, TrueExpect
from controller.site.month import Month, run_month
from controller.site.run import SiteRun
from controller.site.scene import SiteScene
from controller.site.watch import SceneGuard
from hw.power import flows
from policies.site.dispatch import PlanDispatch, PlanSettings
from policies.site.rules import Idle
from tests.controller.site.site_made import DEFAULTS, HEAD, PER_DAY, made_scene

DAYS = 6
NEGATIVE, SPIKE = (
    slice(30, 36),
    slice(60, 100),
)  # steps; the spike is a day and a half without an hour of rest
Run = tuple[SiteScene, SiteRun, SiteRun, PlanDispatch]


def prices() -> np.ndarray:
    """A quiet market, a night below zero, and a price that stands at its cap. (T,) [currency/kWh]"""
    price = 0.025 + 0.01 * np.random.default_rng(2).random(DAYS * PER_DAY)
    price[NEGATIVE] = np.linspace(-0.5, -1.5, 6)  # deep enough to pay for the wear
    price[SPIKE] = 9.0
    price[SPIKE.start : SPIKE.stop : 7] = 4.5
    return price


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    made = made_scene(tmp_path_factory.mktemp("texas"), HEAD.replace("-demand", "") + DEFAULTS, DAYS)
    scene = replace(made.scene, tariff=replace(made.scene.tariff, import_price=prices()))
    end = scene.n_steps
    month = Month(scene, PER_DAY, end, made.soc, made.health, np.zeros(end), SceneGuard(scene))
    duties = SceneDuties(scene, end, month.keep_wh)
    settings = PlanSettings(2 * PER_DAY, 1, True)
    planner = PlanDispatch(scene.plant, TrueExpect(scene), duties, month.calendar, settings)
    plan = run_month(month, planner)
    return scene, plan, run_month(month, Idle(scene.plant, month.keep_wh, scene.step_h)), planner


def imported(run: SiteRun, steps: slice) -> np.ndarray:
    """Import of each site over some steps of the scene. (n,) [Wh]"""
    return np.asarray(
        run.series(flows.GRID_IMPORT)[:, steps.start - run.begin : steps.stop - run.begin].sum(1)
    )


def test_every_plan_is_feasible_and_keeps_the_floor(run: Run) -> None:
    scene, plan, _, planner = run
    assert planner.infeasible == 0
    assert (plan.stored_wh >= scene.floor_wh[:, plan.begin :] - 0.05).all(), (
        "but for what leaks within a step"
    )


def test_no_step_charges_and_discharges(run: Run) -> None:
    _, plan, _, _ = run
    charge_w, given_w = plan.series(flows.BATTERY_IN), plan.series(flows.BATTERY_OUT)
    assert (np.minimum(charge_w, given_w) < 1e-6).all()
    assert charge_w.max() > 500 and given_w.max() > 500


def test_hours_below_zero_are_used_and_the_spike_is_avoided(run: Run) -> None:
    scene, plan, idle, _ = run
    below, spike = imported(plan, NEGATIVE), imported(plan, SPIKE)
    assert (below > 1.1 * imported(idle, NEGATIVE)).all()
    room_wh = plan.stored_wh[:, SPIKE.start - plan.begin] - plan.stored_wh[:, SPIKE.stop - plan.begin]
    assert (room_wh > 1000).all(), "what the reserve leaves is given in the spike"
    assert (spike < imported(idle, SPIKE) - 0.8 * room_wh).all()
    margin_wh = plan.stored_wh[:, SPIKE.stop - plan.begin] - scene.floor_wh[:, SPIKE.stop]
    assert (margin_wh < 500).all(), "nothing is kept through the last hour of the spike"
