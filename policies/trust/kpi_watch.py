"""Sequential watch on a KPI of the canaries: per site, and pooled over all of them.

In each tick the differences of ``policies.trust.kpi_baseline`` are averaged over a pool of canaries, the better known
ones with more weight, and turned into evidence for a drop of ``DROP`` against none, as a likelihood ratio gives it::

    evidence = a * (clip(-z) - a / 2)     z: the pool's mean, a: the drop, both in standard deviations of that hour

The running sum, never below 0, is CUSUM; a breach is a sum above a threshold. Looking after every tick is what the
threshold is made for: with exact standard deviations and independent ticks, exp(-threshold) bounds the rate of false
breaches (Lorden 1971, doi:10.1214/aoms/1177693055). They are neither, so the threshold is raised to what history at
full service shows: how often excursions of the sum peak above a level, and how fast such peaks thin out, each from whole days
drawn again. Because z is clipped and a is capped, one wild tick is never a breach.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from policies.trust.kpi_baseline import MAD_TO_SIGMA, Usual, fit_usual

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]
Bools = NDArray[np.bool_]

DROP = -float(np.log(0.9))  # what is to be found: -10 % [log ratio]
CLIP = 4.5  # standard deviations beyond which a tick says no more
LARGEST_SHIFT = 3.0  # cap of a [standard deviations]
LEAST_INFORMATION = 0.3  # share of a pool's usual information without which a tick says nothing
BLOCKS = 4  # of a day, in each of which a pool has its own scale
MOST_PEAKS = 400  # of the largest peaks, from which their thinning out is read
FEWEST_PEAKS = 30  # below which a pool's own peaks say too little
DRAWS, DRAWN_AT = 200, 0.9  # draws of whole days, and the quantile that is believed


@dataclass(frozen=True, slots=True)
class KpiWatch:
    """A fitted watch over k canary cells in U pools, S slots of the week."""

    usual: Usual  # of each canary cell, (k, S)
    member: Bools  # (U, k) cells of each pool
    scale: Floats  # (U, BLOCKS) standard deviation over that of independent cells [ratio]
    block: Ints  # (S,) block of the day of each slot
    threshold: Floats  # (U,) [nats]

    def evidence(self, difference: Floats, slot: Ints) -> Floats:
        """Evidence of each pool for a drop in each tick. (U, T) from (k, T) and (T,) [nats]

        A tick in which too little of a pool was measured gives 0: it speaks neither for nor against.
        """
        mean, information = _pooled(self.usual, self.member, difference, slot)
        sigma = self.scale[:, self.block[slot]] / np.sqrt(np.maximum(information, 1e-12))
        return _evidence(mean, np.where(information > 0, sigma, np.inf))

    def drop_sigmas(self) -> Floats:
        """The drop to be found in standard deviations of a tick with all cells measured. (U, S)"""
        full = self.member.astype(np.float64) @ self.usual.spread**-2
        return np.asarray(DROP * np.sqrt(full) / self.scale[:, self.block])

    def expected_ticks(self) -> Floats:
        """Ticks in which a drop of ``DROP`` is expected to be found. (U, S), infinite where it never is"""
        found = self.drop_sigmas()
        a = np.minimum(found, LARGEST_SHIFT)
        return np.asarray(self.threshold[:, None] / (a * (np.minimum(found, CLIP) - a / 2)))


def site_pools(site: Ints) -> Bools:
    """One pool for each site of the canary cells, in the order of their numbers, and a last one of all. (U, k)"""
    return np.vstack([np.unique(site)[:, None] == site, np.ones((1, len(site)), np.bool_)])


def fit_watch(
    difference: Floats,
    slot: Ints,
    n_slots: int,
    member: Bools,
    *,
    ticks_per_false_breach: Floats,
    ticks_per_day: int,
    rng: np.random.Generator,
) -> KpiWatch:
    """Fit a watch on history in which no canary acted.

    Parameters
    ----------
    difference : canaries against controls at full service. Shape (k, T), NaN unknown. [log ratio]
    slot : slot of the week of each tick; slots of a day follow each other from local midnight on. Shape (T,).
    n_slots : slots of all kinds of days; a kind of day has 24.
    member : cells of each pool. Shape (U, k). The last pool may be of all; it borrows from the others where it is short.
    ticks_per_false_breach : ticks between two false breaches of a pool, on average. Shape (U,).
    """
    usual = fit_usual(difference, slot, n_slots)
    block = np.arange(n_slots) % 24 * BLOCKS // 24
    mean, information = _pooled(usual, member, difference, slot)
    z = mean * np.sqrt(information)
    scale = np.ones((len(member), BLOCKS))
    for b in range(BLOCKS):
        inside = np.where(information[:, block[slot] == b] > 0, z[:, block[slot] == b], np.nan)
        for u, row in enumerate(inside):
            known = row[np.isfinite(row)]
            if len(known):
                scale[u, b] = max(MAD_TO_SIGMA * float(np.median(np.abs(known))), float(known.std()), 1e-3)
    sigma = scale[:, block[slot]] / np.sqrt(np.maximum(information, 1e-12))
    evidence = _evidence(mean, np.where(information > 0, sigma, np.inf))
    threshold = _thresholds(evidence, ticks_per_false_breach, ticks_per_day, rng)
    return KpiWatch(usual, member, scale, block, threshold)


def _pooled(usual: Usual, member: Bools, difference: Floats, slot: Ints) -> tuple[Floats, Floats]:
    """Weighted mean of each pool and its information, 0 where too little was measured. (U, T) each"""
    known = np.isfinite(difference)
    weight = usual.spread[:, slot] ** -2
    off = np.where(known, difference - usual.middle[:, slot], 0.0)
    pools = member.astype(np.float64)
    total, information = pools @ (weight * off), pools @ (weight * known)
    enough = information >= LEAST_INFORMATION * (pools @ weight)
    information = np.where(enough & (information > 0), information, 0.0)
    mean = np.divide(total, information, where=information > 0, out=np.zeros(total.shape))
    return mean, information


def _evidence(mean: Floats, sigma: Floats) -> Floats:
    a = np.minimum(DROP / sigma, LARGEST_SHIFT)
    return np.asarray(a * (np.clip(-mean / sigma, -CLIP, CLIP) - a / 2))


def _thresholds(evidence: Floats, ticks: Floats, ticks_per_day: int, rng: np.random.Generator) -> Floats:
    """Threshold of each pool; those of sites share their peaks, the last pool has its own. (U,) [nats]"""
    sums = running_sums(evidence)
    sites, whole = _peaks(sums[:-1]), _peaks(sums[-1:])
    of_sites = _tail(sites, sums[:-1].size, ticks_per_day, rng)
    of_whole = _tail(whole, sums[-1:].size, ticks_per_day, rng)
    if len(whole[0]) < FEWEST_PEAKS:  # few peaks thin out no faster than those of the sites do
        of_whole = (of_whole[0], of_whole[1], max(of_whole[2], of_sites[2]))
    found = np.empty(len(evidence))
    for u, every in enumerate(ticks):
        above, rate, scale = of_whole if u == len(evidence) - 1 else of_sites
        raised = above + scale * np.log(max(rate * every, 1.0))
        found[u] = max(raised, np.log(every))
    return found


def running_sums(evidence: Floats) -> Floats:
    """CUSUM of evidence from 0 on. Shape (U, T). [nats]"""
    sums, now = np.empty(evidence.shape), np.zeros(len(evidence))
    for t in range(evidence.shape[1]):
        now = np.maximum(now + evidence[:, t], 0.0)
        sums[:, t] = now
    return sums


def _peaks(sums: Floats) -> tuple[Floats, Ints]:
    """Peak of every excursion from 0, and its tick. A sum that never returns to 0 has one peak."""
    height, tick = [], []
    for row in sums:
        above = row > 0
        start = np.flatnonzero(above & ~np.concatenate([[False], above[:-1]]))
        for first, last in zip(start, [*start[1:], len(row)], strict=True):
            at = first + int(np.argmax(row[first:last]))
            height.append(row[at])
            tick.append(at)
    return np.array(height), np.array(tick, np.intp)


def _tail(
    peaks: tuple[Floats, Ints], n_ticks: int, ticks_per_day: int, rng: np.random.Generator
) -> tuple[float, float, float]:
    """Level, peaks above it per tick, and how far they reach above it on average, drawn to the safe side."""
    height, tick = peaks
    if len(height) < 2:
        return 0.0, 1.0 / n_ticks, 1.0
    most = min(MOST_PEAKS, len(height) // 2)
    level = float(np.sort(height)[-most - 1])
    day = tick // ticks_per_day
    n_days = int(day.max()) + 1
    above = height > level
    count = np.bincount(day[above], minlength=n_days)
    excess = np.bincount(day[above], (height - level)[above], n_days)
    drawn = rng.integers(n_days, size=(DRAWS, n_days))
    counts = np.maximum(count[drawn].sum(1), 1)
    scale = float(np.quantile(excess[drawn].sum(1) / counts, DRAWN_AT))
    rate = float(np.quantile(counts, DRAWN_AT)) / n_ticks
    return level, rate, max(scale, 1.0)
