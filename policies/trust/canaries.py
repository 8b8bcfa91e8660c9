"""Canary cells, and the matched controls that show what would have been without them.

A control may not feel what its canaries do: no cell of a canary's site, none of its group (cells that can hand over
traffic to each other) and none that is named its neighbour. Its product and role are the canary's; mean load and
daily shape are as near as the network has them.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]
Bools = NDArray[np.bool_]

HOURS = 24
LEAST_LOAD = 1e-3  # below it the log of a mean load says nothing [ratio]
SHAPE_SPREAD = 0.15  # distance of two daily shapes that counts like one standard deviation of load [ratio]
NEAR = 0.25  # distance below which nearer is not better: what history alone cannot tell apart


class Fleet(NamedTuple):
    """What is known of n cells before any of them acts."""

    site: Ints  # (n,) number of the site
    group: Ints  # (n,) number of the group, as ``Network.group_of``
    product: Ints  # (n,) number of the radio product
    is_capacity: Bools  # (n,)
    load: Floats  # (n, T) PRB utilisation at full service, NaN unrecorded [ratio]
    local_hour: Ints  # (T,) 0..23 [h]
    neighbour: NDArray[np.intp]  # (e, 2) further pairs of cells that touch each other's KPIs


class Matching(NamedTuple):
    """Controls of k canary cells, K for each; weights of a row sum to 1, or to 0 without an acceptable control."""

    canary: Ints  # (k,)
    control: Ints  # (k, K) cells; where ``weight`` is 0, a place that nobody fills
    weight: Floats  # (k, K)
    distance: Floats  # (k,) of the weighted controls, in standard deviations of the network; NaN unmatched
    load_correlation: Floats  # (k,) of the canary's load with that of its weighted controls; NaN unmatched
    unmatched: Ints  # canaries without an acceptable control: they cannot be canaries

    def over_cells(self, n: int) -> Floats:
        """Weight of every cell as a control of each canary. (k, n)"""
        table = np.zeros((len(self.canary), n))
        np.add.at(table, (np.arange(len(self.canary))[:, None], self.control), self.weight)
        return table


def sample_sites(site: Ints, share: float, rng: np.random.Generator) -> Bools:
    """Cells of a random ``share`` of the sites, at least one site. (n,)

    Whole sites are drawn: a single canary would rule out all other cells of its site as controls anyway.
    """
    if not 0 < share < 1:
        raise ValueError(f"share must be above 0 and below 1, not {share}: some sites must stay controls")
    sites = np.unique(site)
    drawn = rng.choice(sites, max(1, round(share * len(sites))), replace=False)
    return np.isin(site, drawn)


def touched(fleet: Fleet, canary: Bools) -> Bools:
    """Cells whose KPIs the canaries may move, themselves included: same site, same group or named neighbour. (n,)"""
    found = np.isin(fleet.site, fleet.site[canary]) | np.isin(fleet.group, fleet.group[canary])
    a, b = fleet.neighbour[:, 0], fleet.neighbour[:, 1]
    found[b[canary[a]]] = True
    found[a[canary[b]]] = True
    return np.asarray(found)


def match(fleet: Fleet, canary: Bools, *, per_canary: int = 8, max_distance: float = 1.5) -> Matching:
    """The ``per_canary`` nearest acceptable controls of each canary cell, weighted by nearness.

    A control farther than ``max_distance`` is not acceptable. A touched cell is never a control, canary or not.
    """
    chosen, free = np.flatnonzero(canary), np.flatnonzero(~touched(fleet, canary))
    k = len(chosen)
    control, weight = np.zeros((k, per_canary), np.intp), np.zeros((k, per_canary))
    distance, correlation = np.full(k, np.nan), np.full(k, np.nan)
    features = _features(fleet)
    for row, cell in enumerate(chosen):
        alike = free[
            (fleet.product[free] == fleet.product[cell])
            & (fleet.is_capacity[free] == fleet.is_capacity[cell])
        ]
        away = np.sqrt(((features[alike] - features[cell]) ** 2).sum(1))
        near = np.argsort(away, kind="stable")[:per_canary]
        near = near[away[near] <= max_distance]
        if len(near) == 0:
            continue
        by = 1 / np.maximum(away[near], NEAR) ** 2
        weight[row, : len(near)], control[row, : len(near)] = by / by.sum(), alike[near]
        mean = weight[row, : len(near)] @ features[alike[near]]
        distance[row] = np.sqrt(((mean - features[cell]) ** 2).sum())
        correlation[row] = _correlation(fleet.load, cell, alike[near], weight[row, : len(near)])
    return Matching(chosen, control, weight, distance, correlation, chosen[weight.sum(1) == 0])


def _features(fleet: Fleet) -> Floats:
    """Log of the mean load, and the shape of the day, in standard deviations; NaN for a cell never recorded. (n, F)"""
    recorded = np.isfinite(fleet.load)
    filled = np.where(recorded, fleet.load, 0.0)
    inside = (fleet.local_hour[:, None] == np.arange(HOURS)).astype(np.float64)
    count = recorded.astype(np.float64) @ inside
    by_hour = np.divide(filled @ inside, count, where=count > 0, out=np.full(count.shape, np.nan))
    mean = by_hour.mean(1)
    level = np.log(np.maximum(mean, LEAST_LOAD))
    spread = np.nanstd(level) if np.isfinite(level).any() else 1.0
    shape = by_hour / np.maximum(mean, LEAST_LOAD)[:, None] / np.sqrt(HOURS)
    return np.column_stack([level / max(float(spread), 1e-9), shape / (2 * SHAPE_SPREAD)])


def _correlation(load: Floats, cell: np.intp, controls: Ints, weight: Floats) -> float:
    """Correlation of a cell's load with the weighted load of its controls, over the steps that all have. [ratio]"""
    beside = weight @ load[controls]
    both = np.isfinite(load[cell]) & np.isfinite(beside)
    if both.sum() < HOURS or np.ptp(load[cell][both]) == 0 or np.ptp(beside[both]) == 0:
        return float("nan")
    return float(np.corrcoef(load[cell][both], beside[both])[0, 1])
