"""The energy side of benchmarks/rollback.py: meters of a city in which some sites save, and the truth behind them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.rollback_network import (
    SAMPLES_PER_TICK,
    TICKS_PER_DAY,
    City,
    alone,
    course,
    energy_of,
    fleet_of,
    lost,
    make_city,
    part,
    plan_by_hour,
    select,
    serve,
    usual_load,
    world,
)
from controller.replay.scene import make_scene
from hw.sharing import Groups
from hw.world import FULL, LOAD_BINS
from policies.trust.canaries import match, sample_sites
from policies.trust.savings import Record, Savings, Span, estimate

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]
Bools = NDArray[np.bool_]

N_SITES, CANARY_SHARE, HISTORY_DAYS, WINDOW_DAYS = 24, 1 / 3, 28, 7
AT_REST, BY_TRAFFIC = 0.05, 0.08  # how far cells are from the tables
WEATHER, OWN_WEATHER, WALK_PER_WEEK = (0.015, 48.0), (0.005, 48.0), 0.003
HISTORY_SEED = 1_000_000  # added to the seed of the path in the history
METER_FIXED, METER_READING, METER_LOST = 0.01, 0.01, 0.01


@dataclass(frozen=True)
class Metered:
    """What is known, and the true share saved by each canary site and by all of them."""

    canary: Record
    control: Record
    weight: Floats
    span: Span
    true_sites: Floats  # (s,) [ratio]
    true_region: float  # [ratio]

    def savings(self, window: Bools | None = None) -> tuple[Savings, Savings]:
        """Estimates of the sites and of the region, over the whole trial or a part of it."""
        span = self.span if window is None else self.span._replace(window=window)
        region = np.zeros(len(self.canary.measured), np.intp)
        return estimate(self.canary, self.control, self.weight, span, region)


def make_metered(seed: int) -> Metered:
    """A city whose canary sites follow a plan for a week after four weeks at full service."""
    city = make_city(seed, N_SITES, HISTORY_DAYS, WINDOW_DAYS)
    fleet = fleet_of(city)
    canary = sample_sites(fleet.site, CANARY_SHARE, city.random(0))
    matching = match(fleet, canary)
    controlled = np.setdiff1d(matching.canary, matching.unmatched)
    drawn, canary = canary, canary & np.isin(fleet.site, fleet.site[controlled])
    n, ticks = len(canary), city.n_ticks
    every = np.arange(n)
    cells = np.flatnonzero(canary)
    trial = slice(city.history, ticks)
    past = make_scene(part(city.trace, slice(city.history)), world(), seed=seed + HISTORY_SEED)
    scenes = (past, city.scene)
    full = [np.full((n, scene.clock.n_ticks), FULL, np.uint8) for scene in scenes]
    none = [energy_of(scene, alone(city), every, level) for scene, level in zip(scenes, full, strict=True)]
    none_all = np.concatenate(none, axis=1)
    plan = plan_by_hour(city, canary)[cells]
    path = np.ascontiguousarray(city.scene.path[cells])
    groups = select(city.scene.network.groups, cells)
    spent = none_all.copy()
    spent[cells, trial] = energy_of(city.scene, groups, cells, plan)
    carried, _ = serve(city.scene.tables, groups, path, plan)
    load = np.concatenate([_by_tick(scene.path) for scene in scenes], axis=1)  # capped at 1, unlike the trace
    true_none, true_spent = (_true(city, energy, load, fleet.site) for energy in (none_all, spent))
    seen = load.copy()
    seen[cells, trial] = _as_usual(city, cells, groups, _by_tick(carried), plan)
    baseline = _by_site(_table_energy(city, seen), fleet.site)
    measured = _metered(city, _by_site(true_spent, fleet.site))
    sites = np.unique(fleet.site[canary])
    others = np.unique(fleet.site[~drawn])
    by_site = _by_site(matching.over_cells(n), fleet.site[matching.canary])[sites]
    weight = _by_site(by_site.T, fleet.site).T[:, others]
    total = weight.sum(1, keepdims=True)
    day = np.arange(ticks) // TICKS_PER_DAY
    kept = true_none[cells, trial], true_spent[cells, trial]
    of_sites = [_by_site(energy.sum(1, keepdims=True), fleet.site[cells])[sites, 0] for energy in kept]
    return Metered(
        Record(measured[sites], baseline[sites]),
        Record(measured[others], baseline[others]),
        weight / np.where(total > 0, total, 1),
        Span(np.arange(ticks) < city.history, np.arange(ticks) >= city.history, day, city.hour),
        1 - of_sites[1] / of_sites[0],
        float(1 - of_sites[1].sum() / of_sites[0].sum()),
    )


def _by_tick(samples: NDArray[np.float32]) -> Floats:
    """Means over the ticks. (n, T) from (n, samples)"""
    return samples.reshape(len(samples), -1, SAMPLES_PER_TICK).mean(2, dtype=np.float64)


def _by_site(values: Floats, site: Ints) -> Floats:
    """Sums over the cells of each site. (sites, T) from (n, T)"""
    found = np.zeros((int(site.max()) + 1, values.shape[1]))
    np.add.at(found, site, values)
    return found


def _true(city: City, energy: Floats, load: Floats, site: Ints) -> Floats:
    """What the cells really draw where the tables say ``energy``. (n, T)"""
    random = city.random(4)
    n, ticks = energy.shape
    rest = np.exp(AT_REST * random.standard_normal((n, 1)))
    added = BY_TRAFFIC * random.standard_normal((n, 1))
    rise = world().world.power[city.model, FULL]
    per_load = (rise[:, -1] - rise[:, 0])[:, None] * SAMPLES_PER_TICK / 60
    n_sites = int(site.max()) + 1
    log = course(random, (1, ticks), *WEATHER) + course(random, (n_sites, ticks), *OWN_WEATHER)
    step = WALK_PER_WEEK / np.sqrt(7 * TICKS_PER_DAY)
    log = log + np.cumsum(step * random.standard_normal((n_sites, ticks)), axis=1)
    return np.asarray((rest * energy + added * load * per_load) * np.exp(log[site]))


def _as_usual(city: City, cells: Ints, groups: Groups, carried: Floats, plan: NDArray[np.uint8]) -> Floats:
    """Traffic of each cell as the controller can know it. (cells, trial ticks) [ratio]

    While a cell of a group is off air, what the group carries is shared out as it usually is at that hour.
    """
    asleep = city.scene.tables.asleep[plan]
    found = carried.copy()
    usual = usual_load(city)[cells][:, city.slot[city.history :]]
    for first, last in zip(groups.group_start[:-1], groups.group_start[1:], strict=True):
        members = groups.member[first:last]
        resting = asleep[members].any(0)
        share = usual[members] / usual[members].sum(0)
        found[np.ix_(members, np.flatnonzero(resting))] = (share * carried[members].sum(0))[:, resting]
    return found


def _table_energy(city: City, load: Floats) -> Floats:
    """Energy of a tick at full service by the tables at its mean load. (n, T) [power_unit x h]"""
    table, at = world().world.power[city.model, FULL], np.minimum(load, 1) * LOAD_BINS
    below = np.minimum(at.astype(np.intp), LOAD_BINS - 1)
    low, high = np.take_along_axis(table, below, 1), np.take_along_axis(table, below + 1, 1)
    uplink = world().world.ul_power[city.model, FULL][:, None] * world().world.ul_per_dl * load
    return np.asarray((low + (high - low) * (at - below) + uplink) * SAMPLES_PER_TICK / 60, np.float64)


def _metered(city: City, energy: Floats) -> Floats:
    """What the meters of the sites show. (sites, T)"""
    random = city.random(5)
    fixed = np.exp(METER_FIXED * random.standard_normal((len(energy), 1)))
    shown = energy * fixed * (1 + METER_READING * random.standard_normal(energy.shape))
    shown[lost(random, energy.shape, METER_LOST)] = np.nan
    return np.asarray(shown)
