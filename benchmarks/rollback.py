"""Rollback by KPIs against controls, and the interval of the saving, on simulated cities. One JSON object a line.

No real network is needed; benchmarks/rollback_network.py says what is simulated and what is assumed. Thresholds come
from each city's own history of 28 days, the seeds of this file served for nothing else. Last come the rows of
benchmarks/split_brain.py.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from benchmarks.rollback_energy import HISTORY_DAYS as ENERGY_HISTORY
from benchmarks.rollback_energy import N_SITES as ENERGY_SITES
from benchmarks.rollback_energy import WINDOW_DAYS, make_metered
from benchmarks.rollback_kpi import (
    DROP,
    FALSE_PER_SITE_MONTHS,
    SITE_MONTHS,
    breaches,
    make_trial,
    watch_of,
)
from benchmarks.rows import print_row
from benchmarks.split_brain import print_totals, totals
from policies.trust.savings import Saving

SEEDS, FIRST_SEED = 200, 500_000
AA_FIRST_SEED, AA_DAYS = 600_000, 30
SAVING_SEEDS, SAVING_FIRST_SEED = 400, 800_000
WITHIN_TICKS, TRIAL_DAYS = 3, 2
SPLIT_BRAIN_RUNS = 1000
ONE_SITE_DROPS = (0.1, 0.2, 0.3)


def found_within(found: NDArray[np.bool_], at: int) -> bool:
    """Whether all sites were rolled back within the ticks allowed, by the pool of all or each by its own."""
    early = found[:, at : at + WITHIN_TICKS].any(1)
    return bool(early[-1] or early[:-1].all())


def detection() -> None:
    """Drops injected into all canaries, and into those of one site, at a random tick of a trial of two days."""
    all_found, cells = [], []
    one_found: dict[float, list[bool]] = {drop: [] for drop in ONE_SITE_DROPS}
    for seed in range(FIRST_SEED, FIRST_SEED + SEEDS):
        trial = make_trial(seed, TRIAL_DAYS)
        watch, random = watch_of(trial), trial.city.random(9)
        at = int(random.integers(trial.city.n_ticks - trial.city.history - WITHIN_TICKS))
        all_found.append(found_within(breaches(trial, watch, DROP, at), at))
        site = int(random.integers(len(watch.threshold) - 1))
        for drop in ONE_SITE_DROPS:
            hit = breaches(trial, watch, drop, at, watch.member[site])[site, at:]
            one_found[drop].append(bool(hit[:WITHIN_TICKS].any()))
        cells.append(len(trial.site))
    where = (
        f"-{DROP:.0%} user throughput of all canaries, median {np.median(cells):.0f} cells at 20 of 50 sites"
    )
    share = float(np.mean(all_found))
    print_row("rolled_back_in_3_ticks_share", share, "ratio", f"{where}, {SEEDS} seeds", bar=(">=", 0.95))
    for drop, found in one_found.items():
        name = f"one_site_rolled_back_in_3_ticks_share_minus_{round(100 * drop)}_percent"
        print_row(name, float(np.mean(found)), "ratio", f"only one site is hit, {SEEDS} seeds")


def false_rollbacks() -> None:
    """Canaries that act as planned and do no harm beyond it."""
    sites, pools, months, seed = 0, 0, 0.0, AA_FIRST_SEED
    resting = []
    while months < SITE_MONTHS:
        trial = make_trial(seed, AA_DAYS)
        found = breaches(trial, watch_of(trial))
        sites, pools = sites + int(found[:-1].sum()), pools + int(found[-1].sum())
        months += (len(found) - 1) * AA_DAYS / 30
        resting.append(trial.resting_share)
        seed += 1
    where = (
        f"{months:.0f} site-months; canaries rest {np.mean(resting):.0%} of the time; "
        f"{sites} of one site, {pools} of all sites at once; thresholds are made for {FALSE_PER_SITE_MONTHS} of each"
    )
    found_per = (sites + pools) * SITE_MONTHS / months
    print_row("false_rollbacks_per_200_site_months", found_per, "1", where, bar=("<=", 1))


def savings() -> None:
    """Coverage and width of the intervals of a week's saving, by all three ways."""
    covered: dict[str, list[bool]] = {}
    width: dict[str, list[float]] = {}
    true_share = []
    for seed in range(SAVING_FIRST_SEED, SAVING_FIRST_SEED + SAVING_SEEDS):
        metered = make_metered(seed)
        sites, region = metered.savings()
        true_share.append(metered.true_region)
        for way in region._fields:
            for where, found, truth in (
                ("region", getattr(region, way), np.array([metered.true_region])),
                ("site", getattr(sites, way), metered.true_sites),
            ):
                inside, wide = covers(found, truth)
                covered.setdefault(f"{where}_{way}", []).extend(inside)
                width.setdefault(f"{where}_{way}", []).extend(wide)
    world = (
        f"week of {WINDOW_DAYS} days after {ENERGY_HISTORY}, a third of {ENERGY_SITES} sites act, true saving "
        f"{np.median(true_share):.3f}, {SAVING_SEEDS} seeds"
    )
    share = float(np.mean(covered["region_combined"]))
    print_row(
        "interval_coverage_low",
        share,
        "ratio",
        f"all canaries, both ways combined; {world}",
        bar=(">=", 0.93),
    )
    print_row(
        "interval_coverage_high",
        share,
        "ratio",
        f"all canaries, both ways combined; {world}",
        bar=("<=", 0.97),
    )
    print_row("interval_width_median", float(np.median(width["region_combined"])), "ratio of energy", world)
    for key, inside in covered.items():
        print_row(f"interval_coverage_{key}", float(np.mean(inside)), "ratio", world)
        print_row(f"interval_width_median_{key}", float(np.median(width[key])), "ratio of energy", world)


def covers(found: Saving, truth: NDArray[np.float64]) -> tuple[list[bool], list[float]]:
    """Of each row whether its interval holds the truth, and its width."""
    return ((found.low <= truth) & (truth <= found.high)).tolist(), found.width.tolist()


def main() -> None:
    """Print all rows."""
    detection()
    false_rollbacks()
    savings()
    print_totals(totals(SPLIT_BRAIN_RUNS, 0), 0)


if __name__ == "__main__":
    main()
