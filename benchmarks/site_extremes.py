"""Battery plans through extreme prices: ERCOT in February 2021, and a Belgian month with many hours below zero.

    QUIETCELL_DATA=folder .venv/bin/python -m benchmarks.site_extremes [--scene NAME]

The ten sites of benchmarks/site_scenes.py over one billing month, ``plan`` from forecasts, and prices as far as they
were published. Whatever the prices do, every plan must be feasible, no step may charge and discharge at once, and the
guard's floors hold; hours below zero must be used, and hours of the highest prices avoided.
"""

from __future__ import annotations

import argparse

import numpy as np

from benchmarks.rows import print_row
from benchmarks.site_power import month_of
from benchmarks.site_scenes import PER_DAY, Case, make_fleet
from controller.site.comparison import SCENARIOS
from controller.site.expectation import OutlookExpect, SceneDuties
from controller.site.figures import site_figures
from controller.site.month import run_month
from controller.site.run import SiteRun
from hw.power import flows
from policies.site.dispatch import PlanDispatch, PlanSettings
from policies.site.rules import Idle

# name of the scene: its tariff and first day, days, and which of its billing months is scored
SCENES = {
    "ercot-2021-02": (
        Case("ercot", "ercot-day-ahead", "2021-01-05", 150.0, market="ERCOT_DAM_LZ_WEST"),
        60,
        1,
    ),
    "be-2023-07": (Case("be", "be-day-ahead", "2023-05-02", 150.0, market="BE_DAM"), 95, 2),
}
BOTH_W = 1e-6  # of charge and discharge in one step, beyond rounding
DEEP = 0.05  # below zero, from where storing pays for the wear [currency/kWh]
DEAREST = 0.02  # of the steps
LEAKED_WH = 0.1  # while charging to a floor that rises: self-discharge within the step


def scene_rows(name: str) -> None:
    """Run one scene and print its rows."""
    case, days, number = SCENES[name]
    fleet = make_fleet(case, days)
    month, scene = month_of(fleet, number), fleet.scene
    price = scene.tariff.import_price[month.begin : month.end]
    duties = SceneDuties(scene, month.end, month.keep_wh)
    expect = OutlookExpect(scene, fleet.calendar, count=SCENARIOS, seed=1)
    planner = PlanDispatch(scene.plant, expect, duties, month.calendar, PlanSettings(2 * PER_DAY, 4, True))
    plan, idle = (run_month(month, d) for d in (planner, Idle(scene.plant, month.keep_wh, scene.step_h)))
    months = f"{name}, {scene.n_sites} sites, {(price < 0).sum()} of {len(price)} steps below zero"
    made = f"{months}, prices {price.min():.3f} to {price.max():.3f} per kWh"
    print_row("plans_infeasible", planner.infeasible, "plans", made, bar=("==", 0))
    both = np.minimum(plan.series(flows.BATTERY_IN), plan.series(flows.BATTERY_OUT)) > BOTH_W
    print_row("charge_and_discharge", int(both.sum()), "steps", made, bar=("==", 0))
    costs = [site_figures(scene, run) for run in (plan, idle)]
    least = float(costs[0].reserve_margin_wh.min())
    print_row("least_margin", round(least, 3), "Wh above the floor", made, bar=(">=", -LEAKED_WH))
    paid, usual = (float(figures.cost.sum()) for figures in costs)
    print_row("cost_of_idle", round(paid / usual, 4), "ratio", made, ours=paid, peer=usual, bar=("<=", 1))
    _row_of_steps("import_deep_below_zero", price < -DEEP, plan, idle, months, ">=")
    _row_of_steps("import_dearest", price >= np.quantile(price, 1 - DEAREST), plan, idle, months, "<=")


def _row_of_steps(
    name: str, steps: np.ndarray, plan: SiteRun, idle: SiteRun, condition: str, wanted: str
) -> None:
    """Import in some steps over that of an idle battery, where there are any."""
    ours, peer = (float(run.series(flows.GRID_IMPORT)[:, steps].sum() / 4000) for run in (plan, idle))
    if steps.any():
        print_row(name, round(ours / peer, 4), "ratio", condition, ours=ours, peer=peer, bar=(wanted, 1))


def main() -> None:
    """Print the rows of the scenes asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--scene", action="append", choices=list(SCENES), help="only this")
    for name in parser.parse_args().scene or SCENES:
        scene_rows(name)


if __name__ == "__main__":
    main()
