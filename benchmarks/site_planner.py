"""The battery planner against HiGHS, cvxpy and PyPSA on random sites of one day: time, cost and feasibility.

Times are of one thread, a site at a time, once compiled, the least of three. HiGHS keeps its model, and only its run is
timed; the peers are timed with the building of their model, which they do anew for each site. The saving is counted
from the idle bill (``benchmarks.planner_cases.idle_bill``).
"""

from __future__ import annotations

import importlib
import sys
import time
from typing import Any

import numpy as np

from benchmarks.planner_cases import idle_bill, plan_bill, random_sites
from benchmarks.rows import print_row
from policies.site.problem import OK, Fleet, plan_fleet, plan_site

SITES, N_STEPS, PEER_SITES, REPEATS = 1000, 96, 20, 3
OF_SAVING, OF_BILL = 0.005, 0.0001  # what a plan may cost more, whichever is more
PEERS = ("cvxpy", "pypsa")


def kernel_ms(fleet: Fleet) -> np.ndarray:
    """What the plan of each site takes (n,) on one thread, the least of three against disturbances. [ms]"""
    n, n_steps = fleet.load_w.shape
    stored_wh, cap_wh, status = np.empty((n, n_steps + 1)), np.empty(n), np.empty(n, np.uint8)
    plan_site(fleet, 0, stored_wh[0], cap_wh, status)
    spent = np.full(n, np.inf)
    for i in np.repeat(np.arange(n), REPEATS):
        began = time.perf_counter()
        plan_site(fleet, i, stored_wh[i], cap_wh, status)
        spent[i] = min(spent[i], 1000 * (time.perf_counter() - began))
    return spent


def planner_rows(sites: int = SITES) -> list[dict[str, Any]]:
    """Rows as keywords of ``benchmarks.rows.print_row``."""
    from benchmarks.planner_highs import solve_kept

    fleet = random_sites(np.random.default_rng(0), sites, N_STEPS)
    spent = kernel_ms(fleet)
    best, highs_spent = solve_kept(fleet)
    plans = plan_fleet(fleet)
    planned = plans.status == OK
    both = planned & np.isfinite(best)
    idle, cost = idle_bill(fleet), plan_bill(fleet, plans)
    gap, saving = (cost - best)[both], (idle - best)[both]
    of_bar = gap / np.maximum(OF_SAVING * saving, OF_BILL * np.abs(idle[both]))
    below = (fleet.import_price < 0).any(1)
    where = (
        f"{sites} random sites, {N_STEPS} steps, {below.sum()} meet prices below zero, {both.sum()} feasible"
    )
    ratio = float(np.median(highs_spent) / np.median(spent))
    p99 = float(np.quantile(spent, 0.99))
    return [
        {
            "name": "kernel_ms_p99",
            "value": round(p99, 3),
            "unit": "ms",
            "conditions": f"{where}; one thread, least of {REPEATS}, median {np.median(spent):.3f}, "
            f"p99 of those below zero {np.quantile(spent[below], 0.99):.3f}",
            "bar": ("<=", 1),
        },
        {
            "name": "kernel_vs_highs",
            "value": round(ratio, 1),
            "unit": "times as fast",
            "conditions": f"{where}; medians, HiGHS with its model kept, its run alone; "
            f"at prices of zero and more {np.median(highs_spent[~below]) / np.median(spent[~below]):.0f}, "
            f"below {np.median(highs_spent[below]) / np.median(spent[below]):.0f}",
            "ours": float(np.median(spent)),
            "peer": float(np.median(highs_spent)),
            "bar": (">=", 5),
        },
        {
            "name": "kernel_cost_gap",
            "value": float(f"{gap.sum() / saving.sum():.3g}"),
            "unit": "share of the saving",
            "conditions": f"{where}; pooled, recomputed from the battery's power; "
            f"{gap.sum() / np.abs(idle[both]).sum():.2g} of the idle bills",
            "bar": ("<=", OF_SAVING),
        },
        {
            "name": "kernel_cost_gap_worst",
            "value": round(float(of_bar.max()), 3),
            "unit": "share of what a site may cost more",
            "conditions": f"{where}; a site may cost {OF_SAVING} of its saving or {OF_BILL} of its idle bill more",
            "bar": ("<=", 1),
        },
        {
            "name": "feasibility_agrees",
            "value": float((planned == np.isfinite(best)).mean()),
            "unit": "share of sites",
            "conditions": f"{where}; least cost undercut nowhere by more than {max(0.0, -gap.min()):.1g}",
            "bar": ("==", 1),
        },
        *[_peer_row(name, fleet, best, spent) for name in PEERS],
    ]


def _peer_row(name: str, fleet: Fleet, best: np.ndarray, spent: np.ndarray) -> dict[str, Any]:
    """How much longer a peer takes for sites whose program is linear, as PyPSA and cvxpy state it."""
    sites = np.flatnonzero(np.isfinite(best) & (fleet.import_price >= 0).all(1))
    sites = sites[(fleet.export_price <= fleet.import_price)[sites].all(1)][:PEER_SITES]
    row = {"name": f"kernel_vs_{name}", "unit": "times as fast"}
    try:
        solve = getattr(importlib.import_module("benchmarks.planner_peers"), f"solve_{name}")
        importlib.import_module(name)
    except ImportError as error:
        return row | {"value": None, "conditions": f"not measured: {error}"}
    taken, gaps = [], []
    for i in sites:
        began = time.perf_counter()
        cost = solve(fleet, int(i))
        taken.append(1000 * (time.perf_counter() - began))
        gaps.append(abs(cost - best[i]) / max(abs(best[i]), 1))
    ours, peer = float(np.median(spent[sites])), float(np.median(taken))
    conditions = f"{len(sites)} sites at prices of zero and more, medians, its model built anew; "
    conditions += f"costs agree to {max(gaps):.1g}"
    return row | {"value": round(peer / ours), "conditions": conditions, "ours": ours, "peer": peer}


def main() -> None:
    for row in planner_rows(int(sys.argv[1]) if len(sys.argv) > 1 else SITES):
        print_row(**row)


if __name__ == "__main__":
    main()
