"""What planning a site's battery saves, how near it comes to perfect foresight, and that the reserve is kept.

    QUIETCELL_DATA=folder .venv/bin/python -m benchmarks.site_power [--months N] [--tariff NAME] [--sites N]

Ten sites a tariff: five weather and PV sites, each with a recorded and a synthetic load (benchmarks/site_scenes.py).
Every policy begins and ends a month at the same state of charge, on the same plant, floors and wear price. Saving is
bill plus wear against ``idle``; a captured share is pooled over the sites and months of a tariff, against ``oracle``.
``plan`` sees forecasts, ``true`` the true rest of the month, ``24h`` the true day and no target for the month's peak.
Tables go to standard error. The rows of reserve, kernel (needs the ``bench`` extra) and joint plan are those of
site_reserve, site_planner and site_joint, which print more of each. Two processes; all of it takes about an hour.
"""

from __future__ import annotations

import argparse
import multiprocessing.pool
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from numpy.typing import NDArray

from benchmarks.reserve_judge import Counts
from benchmarks.rows import print_row
from benchmarks.site_planner import planner_rows
from benchmarks.site_reserve import BLOCK, DAILY, DAYS, EVERY_STEP, SITES, site_years
from benchmarks.site_scenes import CASES, PER_DAY, SOC, Case, Fleet, make_fleet
from benchmarks.workers import two_workers
from controller.site.comparison import SCENARIOS
from controller.site.expectation import OutlookExpect, SceneDuties, TrueExpect
from controller.site.figures import site_figures
from controller.site.month import Month, run_month
from controller.site.tuning import BASELINES, tuned
from controller.site.watch import SceneGuard
from policies.site.dispatch import Dispatch, Expect, PlanDispatch, PlanSettings
from policies.site.rules import Idle, price_rank

Float64 = NDArray[np.float64]
MONTHS = (3, 7, 11)  # of the scene, each with at least two before it
POLICIES = ("idle", "rule", "threshold", "24h", "plan", "true", "oracle")
KERNEL_ROWS = ("kernel_ms_p99", "kernel_vs_highs", "kernel_cost_gap")
SHARE_BAR = 0.02  # of the bill: below it money is reported, not a share


@dataclass
class Costs:
    """Bill and wear of each site and month, by policy."""

    by_policy: dict[str, list[Float64]] = field(default_factory=lambda: {name: [] for name in POLICIES})

    def add(self, name: str, cost: Float64) -> None:
        """Add one month."""
        self.by_policy[name].append(cost)

    def total(self, name: str) -> float:
        """Of all sites and months."""
        return float(np.sum(self.by_policy[name]))

    def saved(self, name: str) -> float:
        """Against ``idle``."""
        return self.total("idle") - self.total(name)

    def captured(self, name: str) -> float:
        """Share of what ``oracle`` saves."""
        return self.saved(name) / self.saved("oracle")


def run_case(case: Case, months: tuple[int, ...]) -> Costs:
    """All policies over some months of a tariff."""
    fleet = make_fleet(case)
    rank = np.concatenate([price_rank(day) for day in fleet.scene.tariff.import_price.reshape(-1, PER_DAY)])
    guard, costs = SceneGuard(fleet.scene), Costs()
    for number in months:
        month, before = (_month(fleet, number - back, rank, guard) for back in (0, 1))
        for name, dispatch in _dispatches(fleet, month, before).items():
            costs.add(name, site_figures(fleet.scene, run_month(month, dispatch())).cost)
    return costs


def _month(fleet: Fleet, number: int, rank: Float64, guard: SceneGuard) -> Month:
    steps = np.flatnonzero(fleet.scene.tariff.month == number)
    n = fleet.scene.n_sites
    return Month(fleet.scene, int(steps[0]), int(steps[-1]) + 1, np.full(n, SOC), np.ones(n), rank, guard)


def month_of(fleet: Fleet, number: int) -> Month:
    """A billing month of a fleet, under its guard."""
    price = fleet.scene.tariff.import_price.reshape(-1, PER_DAY)
    return _month(fleet, number, np.concatenate([price_rank(day) for day in price]), SceneGuard(fleet.scene))


def plan_costs(fleet: Fleet, month: Month) -> Float64:
    """Bill and wear of each site under ``plan``, from forecasts. (n,)"""
    dispatch = _dispatches(fleet, month, month)["plan"]()
    return site_figures(fleet.scene, run_month(month, dispatch)).cost


def _dispatches(fleet: Fleet, month: Month, before: Month) -> dict[str, Callable[[], Dispatch]]:
    scene, length = month.scene, month.end - month.begin
    duties = SceneDuties(scene, month.end, month.keep_wh)

    def plan(expect: Expect, horizon: int, replan: int, target: bool) -> Callable[[], Dispatch]:
        settings = PlanSettings(horizon, replan, target)
        return lambda: PlanDispatch(scene.plant, expect, duties, month.calendar, settings)

    truth = TrueExpect(scene)
    outlook = OutlookExpect(scene, fleet.calendar, count=SCENARIOS, seed=1)
    baselines = {
        name: (lambda make=make, grid=grid: make(month, tuned(before, make, grid)))
        for name, (make, grid) in BASELINES.items()
    }
    return {
        "idle": lambda: Idle(scene.plant, month.keep_wh, scene.step_h),
        **baselines,
        "24h": plan(truth, PER_DAY, 4, False),
        "plan": plan(outlook, 2 * PER_DAY, 4, True),
        "true": plan(truth, 2 * PER_DAY, 4, True),
        "oracle": plan(truth, length, PER_DAY // 4, True),
    }


def _print_case(case: Case, costs: Costs) -> None:
    idle, saved = costs.total("idle"), costs.saved("oracle")
    cells = [f"{case.name:13} idle {idle:10.1f}  oracle saves {saved:9.1f} ({saved / idle:6.2%})"]
    cells += [f"{name} {costs.captured(name):7.4f}" for name in POLICIES[1:-1]]
    best = max(costs.saved("rule"), costs.saved("threshold"))
    cells.append("plan beats both rules" if costs.saved("plan") > best else "PLAN DOES NOT BEAT A RULE")
    print("  ".join(cells), file=sys.stderr, flush=True)


def power_rows(pool: multiprocessing.pool.Pool, months: tuple[int, ...], names: tuple[str, ...]) -> None:
    """The two rows of captured shares, each of its worst tariff; those with little to save are left out."""
    found: dict[str, Costs] = {}
    cases = [c for c in CASES if c.name in names]
    for case, costs in zip(cases, pool.imap(partial(run_case, months=months), cases), strict=True):
        found[case.name] = costs
        _print_case(case, costs)
    shared = {k: c for k, c in found.items() if c.saved("oracle") >= SHARE_BAR * c.total("idle")}
    judged = {k: c for k, c in shared.items() if not k.startswith("ercot")}
    for name, policy, bar in (
        ("captured_true_inputs", "true", 0.99),
        ("captured_forecast_tou", "plan", 0.95),
    ):
        if judged:
            worst = min(judged, key=lambda k: judged[k].captured(policy))
            condition = f"worst of {', '.join(judged)}: {worst}; 10 sites, months {months} of the scene"
            ours, peer = judged[worst].saved(policy), judged[worst].saved("oracle")
            print_row(name, ours / peer, "share", condition, ours=ours, peer=peer, bar=(">=", bar))


def reserve_rows(pool: multiprocessing.pool.Pool, sites: int) -> None:
    """Violations and missed outages of all three kinds of planners together."""
    total, share = Counts(), sites / SITES
    jobs = []  # the longest first
    for count, every in ((round(EVERY_STEP * share), 1), (round(DAILY * share), PER_DAY), (sites, None)):
        blocks = enumerate(range(0, max(1, count), BLOCK))
        jobs += [(min(BLOCK, max(1, count) - first), seed, every) for seed, first in blocks]
    for counts in pool.imap_unordered(_reserve_block, jobs):
        total.add(counts)
        print(
            f"reserve: {total.site_years:.0f} site-years, {total.violations} violations",
            file=sys.stderr,
            flush=True,
        )
    condition = f"{total.site_years:.0f} site-years at 15 min, adversarial, daily and every-step planners"
    print_row("reserve_violations", total.violations, "steps", condition, bar=("==", 0))
    judged = f"{total.outages_judged} outages outside recovery, within declared hours and health"
    print_row("outages_missed", total.outages_missed, "outages", judged, bar=("==", 0))


def _reserve_block(job: tuple[int, int, int | None]) -> Counts:
    sites, seed, every = job
    return site_years(sites, DAYS, seed, replan_every=every)


def main() -> None:
    """Print the tables and rows."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--months", type=int, default=len(MONTHS), help="how many of the months 3, 7, 11")
    parser.add_argument("--tariff", action="append", choices=[c.name for c in CASES], help="only these")
    parser.add_argument("--sites", type=int, default=SITES, help="site-years of the reserve's adversary")
    given = parser.parse_args()
    with two_workers() as pool:
        power_rows(pool, MONTHS[: given.months], tuple(given.tariff or [c.name for c in CASES]))
        reserve_rows(pool, given.sites)
    for row in planner_rows():
        if row["name"] in KERNEL_ROWS:
            print_row(**row)
    from benchmarks.site_joint import joint_rows  # which runs the plans of this file

    joint_rows(MONTHS[:2])


if __name__ == "__main__":
    main()
