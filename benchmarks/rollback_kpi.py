"""The KPI side of benchmarks/rollback.py: measured user throughput, and the watch run over a trial."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.rollback_network import (
    HOURS,
    N_SLOTS,
    TICKS_PER_DAY,
    City,
    course,
    expected_by_tick,
    fleet_of,
    lost,
    make_city,
    plan_by_hour,
    select,
    serve,
)
from hw.world import SYMBOL
from policies.trust.canaries import Matching, match, sample_sites
from policies.trust.kpi_baseline import against_controls, log_ratio
from policies.trust.kpi_watch import KpiWatch, fit_watch, site_pools
from policies.trust.rollback import HoldOff, advance, begin

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]
Bools = NDArray[np.bool_]

N_SITES, CANARY_SHARE, HISTORY_DAYS = 50, 0.4, 28
SITE_MONTHS = 200
DROP, SITE_DROP = 0.1, 0.2  # of user throughput: looked for in all canaries, and in those of one site
TICKS_PER_MONTH = 30 * TICKS_PER_DAY
# false rollbacks of sites that the thresholds are made for, in SITE_MONTHS, of each kind
FALSE_PER_SITE_MONTHS = 0.2
REGION, SITE, CELL = (0.04, 24.0), (0.03, 12.0), 0.03  # spread and ticks to forget
FLOOR_NOISE, FEW_USERS_NOISE, LEAST_LOAD = 0.06, 0.025, 0.01
TAILS = 5.0
GLITCH_SHARE, LOST_SHARE, LEVEL_ERROR = 1e-3, 0.015, 0.015


@dataclass(frozen=True)
class Trial:
    """One city, its canaries and how they differ from their controls. k canary cells, T ticks."""

    city: City
    canary: Bools
    matching: Matching
    site: Ints  # (k,) site of each canary cell
    difference: Floats  # (k, T) [log ratio]
    resting_share: float  # of their time in the trial [ratio]


def noise(city: City, load: NDArray[np.float32]) -> Floats:
    """Log of measured user throughput over what the tables would give; NaN where nothing was measured. (n, T)"""
    random, site = city.random(1), city.trace.cells.site_numbers()
    n, ticks = load.shape
    found = (
        course(random, (1, ticks), *REGION) + course(random, (int(site.max()) + 1, ticks), *SITE, TAILS)[site]
    )
    hourly = random.standard_normal((n, HOURS))
    found += CELL * ((hourly + np.roll(hourly, 1, axis=1)) / np.sqrt(2))[:, city.hour]
    sigma = np.sqrt(FLOOR_NOISE**2 + FEW_USERS_NOISE**2 / np.maximum(load, LEAST_LOAD))
    found += sigma * random.standard_t(TAILS, (n, ticks)) * np.sqrt((TAILS - 2) / TAILS)
    glitch = random.random((n, ticks)) < GLITCH_SHARE
    found[glitch] += np.log(random.choice([0.5, 1.5], int(glitch.sum())))
    found[lost(random, (n, ticks), LOST_SHARE) | ~(load > 0)] = np.nan
    return found


def make_trial(seed: int, trial_days: int) -> Trial:
    """A city whose canary sites follow a plan after the history, as it serves by itself."""
    city = make_city(seed, N_SITES, HISTORY_DAYS, trial_days)
    fleet = fleet_of(city)
    canary = sample_sites(fleet.site, CANARY_SHARE, city.random(0))
    matching = match(fleet, canary)
    kept = np.setdiff1d(matching.canary, matching.unmatched)
    cells = np.flatnonzero(np.isin(fleet.group, fleet.group[kept]))
    log = noise(city, city.load)
    plan = plan_by_hour(city, canary)
    log[cells, city.history :] += _by_design(city, cells, plan)
    rows = np.isin(matching.canary, kept)
    weight = matching.over_cells(len(canary))[rows]
    difference = against_controls(log[kept], log, weight)
    return Trial(city, canary, matching, fleet.site[kept], difference, float((plan[cells] > SYMBOL).mean()))


def _by_design(city: City, cells: Ints, plan: NDArray[np.uint8]) -> Floats:
    """Log of the throughput that a plan gives over what is expected of it; NaN off air. (cells, trial ticks)"""
    path = np.ascontiguousarray(city.scene.path[cells])
    groups = select(city.scene.network.groups, cells)
    carried, observed = serve(city.scene.tables, groups, path, plan[cells])
    expected = expected_by_tick(city.scene.tables, groups.model, plan[cells], carried)
    n_levels = len(city.scene.tables.asleep)
    error = LEVEL_ERROR * city.random(2).standard_normal((len(cells), n_levels))
    error[:, :2] = 0  # awake is what history shows
    return log_ratio(observed, expected) + np.take_along_axis(error, plan[cells].astype(np.intp), axis=1)


def watch_of(trial: Trial) -> KpiWatch:
    """The watch that the history gives; pooled breaches are rarer, as they take all sites back."""
    history = trial.city.history
    n_sites = len(np.unique(trial.site))
    every = np.full(n_sites + 1, SITE_MONTHS * TICKS_PER_MONTH / FALSE_PER_SITE_MONTHS)
    return fit_watch(
        trial.difference[:, :history],
        trial.city.slot[:history],
        N_SLOTS,
        site_pools(trial.site),
        np.where(np.arange(n_sites + 1) < n_sites, -np.log1p(-SITE_DROP), -np.log1p(-DROP)),
        ticks_per_false_breach=every,
        ticks_per_day=TICKS_PER_DAY,
        rng=trial.city.random(3),
    )


def breaches(
    trial: Trial, watch: KpiWatch, drop: float = 0.0, at: int = 0, hit: Bools | None = None
) -> Bools:
    """Breach of each pool in each tick of the trial. (U, T)

    The KPI of the canary cells ``hit`` (k,), all by default, is down by ``drop`` from tick ``at`` on.
    """
    history = trial.city.history
    difference = trial.difference.copy()
    struck = np.ones(len(difference), np.bool_) if hit is None else hit
    difference[struck, history + at :] += np.log1p(-drop)
    evidence = watch.evidence(difference, trial.city.slot)[:, history:]
    state, found = begin(len(watch.threshold)), np.zeros(evidence.shape, np.bool_)
    for tick in range(evidence.shape[1]):
        state, found[:, tick], _ = advance(state, evidence[:, tick], watch.threshold, tick, HoldOff())
    return found
