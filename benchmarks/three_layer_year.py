"""Carrier shutdown and deep dormancy on a network of three layers, and how near its plans are to the exact optimum.

    .venv/bin/python -m benchmarks.three_layer_year [--sites N] [--days D]

Needs no data: a synthetic network of N sites with three sectors of 700 MHz (coverage), 2.6 GHz with 32 TxRU and
3.5 GHz with 64, in world ``three-layer``; ``--sites 1000`` are 9,000 cells and take an hour. The peer of
``milp_gap`` is HiGHS (``scipy.optimize.milp``), which plans small clusters at the same prices in the same run: a
sector over the horizon of the profile, and two sectors that overlap, which we cut apart. JSON, one row a line.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time

import numba
import numpy as np
from numpy.typing import NDArray

from benchmarks.clusters import PROFILE, WORLD, belief, make_clusters
from benchmarks.milp_cluster import cluster_gaps, cut_gaps
from benchmarks.rows import print_row
from benchmarks.workers import two_workers
from controller.replay.figures import Outcome, gain, service_figures
from controller.replay.run import PolicyRun, run_policy
from controller.replay.stage import Stage, Task
from hw.plant import N_COLUMNS, OFFERED, UNSERVED
from hw.world import SYMBOL
from traces.synthesis import SynthSpec, generate

PART_SITES = 10  # replayed at a time: a year of 90 cells takes 200 MB of path
PLAN_SECTORS, PLAN_TURNS = 3334, 15
CLUSTERS, CUT_CLUSTERS = 40, 10
POLICIES = ("none", "symbol", "predictive")


class Totals:
    """Sums over the parts of the network."""

    def __init__(self) -> None:
        self.tables: dict[str, list[NDArray[np.float64]]] = {name: [] for name in POLICIES}
        self.coverage_off = 0.0  # samples of coverage cells off air
        self.saved = np.zeros(WORLD.world.n_levels)  # against ``none``, by the level that saved it
        self.plan_s = 0.0
        self.lossy_days = 0  # cell-days on which more was unserved than under ``none``

    def add(self, stage: Stage) -> None:
        """Replay one part under all policies."""
        runs = {name: run_policy(name, stage) for name in POLICIES}
        for name, run in runs.items():
            self.tables[name].append(run.outcome.table.sum(1, keepdims=True))
        self.plan_s += runs["predictive"].wall_s
        self._judge(runs["none"], runs["predictive"], stage.network.is_capacity[stage.order])

    def _judge(self, none: PolicyRun, ours: PolicyRun, is_capacity: NDArray[np.bool_]) -> None:
        asleep = WORLD.world.asleep
        samples, energy = _by_level(ours.outcome)
        _, before = _by_level(none.outcome)
        scored = np.maximum(samples.sum(2), 1)
        self.coverage_off += float(samples[~is_capacity][:, :, asleep].sum())
        power = before.sum(2) / scored  # mean of the cell and day
        self.saved += (power[:, :, None] * samples - energy).sum((0, 1))
        lost = ours.outcome.table[:, :, UNSERVED] - none.outcome.table[:, :, UNSERVED]
        self.lossy_days += int((lost > 1e-6 * np.maximum(none.outcome.table[:, :, OFFERED], 1)).sum())

    def take(self, other: Totals) -> None:
        """Add the sums over other parts."""
        for name, tables in other.tables.items():
            self.tables[name] += tables
        self.coverage_off += other.coverage_off
        self.saved += other.saved
        self.plan_s += other.plan_s
        self.lossy_days += other.lossy_days

    def outcome(self, name: str) -> Outcome:
        """What a policy did to all cells, the days summed up."""
        return Outcome(np.concatenate(self.tables[name]), np.zeros(0), WORLD.world.n_levels)


def _by_level(outcome: Outcome) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Samples and energy of each cell, day and level. (n, D, L)"""
    columns = outcome.table[:, :, N_COLUMNS:]
    return columns[:, :, : outcome.n_levels], columns[:, :, outcome.n_levels :]


def _part(spec: SynthSpec) -> Totals:
    """Some whole sites."""
    totals = Totals()
    totals.add(Stage(Task(trace=generate(spec), world=WORLD, profile=PROFILE)))
    return totals


def replay(n_sites: int, days: int) -> Totals:
    """The network in parts of whole sites, by two processes."""
    shared = SynthSpec(n_sites=1, days=days, low_band=True, seed=11)
    parts = [
        shared.model_copy(update={"first_site": first, "n_sites": min(PART_SITES, n_sites - first)})
        for first in range(0, n_sites, PART_SITES)
    ]
    totals = Totals()
    with two_workers() as pool:
        for done, part in enumerate(pool.imap(_part, parts), 1):
            totals.take(part)
            print(f"{done} of {len(parts)} parts of {PART_SITES} sites", file=sys.stderr, flush=True)
    return totals


def plan_ms() -> float:
    """Median time of one plan of 10,000 cells in sectors of three layers. [ms]"""
    clusters = make_clusters(PLAN_SECTORS)
    level = np.full(clusters.network.n_cells, SYMBOL, np.uint8)
    times = []
    for turn in range(PLAN_TURNS + 1):  # the first compiles
        view = clusters.view(belief(PLAN_SECTORS, turn, PROFILE.forecast.horizon_ticks), level)
        begin = time.perf_counter()
        level = clusters.planner.plan(view).level
        times.append(time.perf_counter() - begin)
    return 1000 * statistics.median(times[1:])


def print_gaps() -> None:
    """Ours against the exact optimum."""
    horizon = PROFILE.forecast.horizon_ticks
    gaps = cluster_gaps(CLUSTERS, horizon)
    about = f"{CLUSTERS} sectors of three cells x {horizon} ticks; the largest gap"
    print_row("milp_gap", float(gaps.max()), "ratio", about, bar=("<=", 0.01))
    gaps, stated = cut_gaps(CUT_CLUSTERS, 1)
    about = f"{CUT_CLUSTERS} times two sectors that overlap by half, cut apart, 1 tick; the largest gap"
    print_row("milp_gap_cut", float(gaps.max()), "ratio", about, bar=("<=", 0.01))
    print_row(
        "stated_gap_cut",
        float(stated.max()),
        "ratio",
        f"the bound that the planner states; mean {stated.mean():.3f}",
    )


def print_year(n_sites: int, days: int) -> None:
    """What the network did over the days."""
    totals = replay(n_sites, days)
    none, symbol, ours = (totals.outcome(name) for name in POLICIES)
    about = f"{n_sites} sites, {9 * n_sites} cells, {days} days, world three-layer, profile {PROFILE.name}"
    print_row("coverage_cells_off", totals.coverage_off, "samples", about, bar=("==", 0.0))
    lost = float((ours.table[:, :, UNSERVED] - none.table[:, :, UNSERVED]).clip(0).sum())
    service = WORLD.evaluation.service
    cell_days = f"{about}; {totals.lossy_days} of {9 * n_sites * days} cell-days lost any"
    limit = f"; the service limit is {service.unserved_share:g}"
    share = lost / float(none.table[:, :, OFFERED].sum())
    print_row("traffic_lost_share", share, "ratio", cell_days + limit, bar=("==", 0.0))
    figures = service_figures(ours, service, 1440)
    spent = ", ".join(f"{key} {figures[key]:.3g}" for key in (
        "unserved_share", "below_target_share", "cells_over_limit_share", "level_changes_per_cell_day"
    ))  # fmt: skip
    print_row("limits_held", float(figures["limits_held"]), "0 or 1", spent, bar=("==", 1.0))
    saved = none.energy - ours.energy
    time_at = ours.table[:, :, N_COLUMNS : N_COLUMNS + ours.n_levels].sum((0, 1))
    for level in np.flatnonzero(WORLD.world.asleep):
        name = WORLD.world.level_names[level]
        used = f"of the saving against none, the candidates' part apart; {time_at[level] / ours.samples:.3f} of time"
        print_row(f"saving_by_{name}", float(totals.saved[level] / saved), "ratio", used)
    print_row("ee_gain_vs_none", gain(ours, none) or 0.0, "ratio", about)
    print_row("ee_gain_vs_symbol", gain(ours, symbol) or 0.0, "ratio", about)
    ticks = days * 86400 / WORLD.evaluation.plan_interval_s
    per = "planning, telemetry and plant on one thread; the sum over all parts"
    print_row("tick_ms", 1000 * totals.plan_s / ticks, "ms", per)


def main() -> None:
    """Print all rows."""
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("--sites", type=int, default=150, help="sites of nine cells")
    arguments.add_argument("--days", type=int, default=365)
    given = arguments.parse_args()
    print_gaps()
    about = f"{3 * PLAN_SECTORS} cells x {PROFILE.forecast.horizon_ticks} ticks, {numba.get_num_threads()} threads"
    print_row("group_plan_ms", plan_ms(), "ms", about, bar=("<=", 250.0))
    print_year(given.sites, given.days)


if __name__ == "__main__":
    main()
