"""Sequential watch on a KPI of the canaries: per site, and pooled over all of them.

In each tick the differences of ``policies.trust.kpi_baseline`` are averaged over a pool of canaries, the better known
ones with more weight. What such a mean owes to the hours before, as its own history shows, is taken off; the ticks just
before are left out of this, so that a drop is not taken for the usual while it is being found. The rest is evidence for
a drop against none, as a likelihood ratio gives it::

    evidence = a * (clip(-z) - a / 2)     z: what is left of the mean, a: the drop, both in standard deviations

The running sum, never below 0, is CUSUM; a breach is a sum that reaches a threshold. Looking after every tick is what
the threshold is made for: with exact standard deviations and independent ticks, exp(-threshold) bounds the rate of
false breaches (Lorden 1971, doi:10.1214/aoms/1177693055). They are neither, so it is raised to what history at full
service shows: how often excursions of the sum peak above a level, and how fast such peaks thin out, each from whole
days drawn again. A site alone shares its troubles with nobody, so only a larger drop can be told from them there.
Because z is clipped and a is capped, one wild tick is never a breach.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from policies.trust.kpi_baseline import MAD_TO_SIGMA, Usual, fit_usual

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]
Bools = NDArray[np.bool_]

CLIP = 6.0  # standard deviations beyond which a tick says no more
LARGEST_SHIFT = 4.0  # cap of a [standard deviations]
LAG_TICKS, RECENT_TICKS = 4, 8  # ticks left out before a tick, and those before them that it is compared with
LEAST_INFORMATION = 0.3  # share of a pool's usual information without which a tick says nothing
BLOCKS = 4  # of a day, in each of which a pool has its own scale
# largest peaks of the sites, from which their thinning out is read: rare ones thin out slower
RARE_PEAKS = 30
# how far rare peaks of sites reach above a level at least: what shakes a site comes in bursts [nats]
LEAST_THINNING = 4.0
MANY_PEAKS = 400  # the same for what the pool of all, an average over sites, borrows from them
ONE_TICK = LARGEST_SHIFT * (CLIP - LARGEST_SHIFT / 2)  # most that one tick says [nats]
SITES_COUNT_AS = 30  # peaks of its own, for how fast those of the pool of all thin out
DRAWS, DRAWN_AT = 200, 0.9  # draws of whole days, and the quantile that is believed


@dataclass(frozen=True, slots=True)
class KpiWatch:
    """A fitted watch over k canary cells in U pools, S slots of the week."""

    usual: Usual  # of each canary cell, (k, S)
    member: Bools  # (U, k) cells of each pool
    memory: Floats  # (U,) part of the recent deviation that is still there [ratio]
    drop: Floats  # (U,) what is looked for, above 0 [log ratio]
    scale: Floats  # (U, BLOCKS) standard deviation over that of independent cells [ratio]
    block: Ints  # (S,) block of the day of each slot
    threshold: Floats  # (U,) [nats]

    def evidence(self, difference: Floats, slot: Ints) -> Floats:
        """Evidence of each pool for a drop in each tick. (U, T) from (k, T) and (T,) [nats]

        The first ``LAG_TICKS + RECENT_TICKS`` ticks know less of what came before. A tick in which too little of a pool
        was measured gives 0: it speaks neither for nor against.
        """
        mean, information = _pooled(self.usual, self.member, difference, slot)
        left = mean - self.memory[:, None] * _recent(mean, information > 0)
        return _evidence(left, self.drop, _sigma(information, self.scale[:, self.block[slot]]))

    def drop_sigmas(self) -> Floats:
        """The drop to be found in standard deviations of a tick with all cells measured. (U, S)"""
        full = self.member.astype(np.float64) @ self.usual.spread**-2
        return np.asarray(self.drop[:, None] * np.sqrt(full) / self.scale[:, self.block])

    def expected_ticks(self) -> Floats:
        """Ticks in which the drop is expected to be found. (U, S), infinite where it never is"""
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
    drop: Floats,
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
    member : cells of each pool. Shape (U, k). The last pool is of all; it borrows from the others.
    drop : drop to be looked for in each pool. Shape (U,). [log ratio]
    ticks_per_false_breach : ticks between two false breaches of a pool, on average. Shape (U,).
    """
    usual = fit_usual(difference, slot, n_slots)
    block = np.arange(n_slots) % 24 * BLOCKS // 24
    mean, information = _pooled(usual, member, difference, slot)
    recent = _recent(mean, information > 0)
    memory = np.clip((mean * recent).sum(1) / np.maximum((recent**2).sum(1), 1e-12), 0.0, 1.0)
    left = mean - memory[:, None] * recent
    scale = _scale(np.where(information > 0, left * np.sqrt(information), np.nan), block[slot])
    evidence = _evidence(left, drop, _sigma(information, scale[:, block[slot]]))
    threshold = _thresholds(evidence, ticks_per_false_breach, ticks_per_day, rng)
    return KpiWatch(usual, member, memory, drop, scale, block, threshold)


def _scale(z: Floats, block: Ints) -> Floats:
    """Standard deviation of each pool in each block of the day, 1 where nothing is known. (U, BLOCKS)"""
    scale = np.ones((len(z), BLOCKS))
    for b in range(BLOCKS):
        for u, row in enumerate(z[:, block == b]):
            known = row[np.isfinite(row)]
            if len(known):
                scale[u, b] = max(MAD_TO_SIGMA * float(np.median(np.abs(known))), float(known.std()), 1e-3)
    return scale


def _sigma(information: Floats, scale: Floats) -> Floats:
    return np.where(information > 0, scale / np.sqrt(np.maximum(information, 1e-12)), np.inf)


def _recent(mean: Floats, known: Bools) -> Floats:
    """Mean of the known ticks from ``LAG_TICKS + RECENT_TICKS - 1`` to ``LAG_TICKS`` ago, 0 without any. (U, T)"""
    start = np.zeros((len(mean), LAG_TICKS + RECENT_TICKS))
    total = np.concatenate([start, np.cumsum(np.where(known, mean, 0.0), axis=1)], axis=1)
    count = np.concatenate([start, np.cumsum(known, axis=1)], axis=1)
    n = mean.shape[1]
    total, count = (a[:, RECENT_TICKS : n + RECENT_TICKS] - a[:, :n] for a in (total, count))
    return np.asarray(np.divide(total, count, where=count > 0, out=np.zeros(mean.shape)))


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


def _evidence(mean: Floats, drop: Floats, sigma: Floats) -> Floats:
    # however quiet a pool is, the whole drop is what says most: a third of it speaks neither for nor against
    sigma = np.maximum(sigma, drop[:, None] / CLIP)
    a = np.minimum(drop[:, None] / sigma, LARGEST_SHIFT)
    return np.asarray(a * (np.clip(-mean / sigma, -CLIP, CLIP) - a / 2))


def _thresholds(evidence: Floats, ticks: Floats, ticks_per_day: int, rng: np.random.Generator) -> Floats:
    """Threshold of each pool; those of sites share their peaks, the last pool has its own. (U,) [nats]"""
    sums = running_sums(evidence)
    sites, whole = _peaks(sums[:-1]), _peaks(sums[-1:])
    of_sites = _tail(sites, RARE_PEAKS, sums[:-1].size, ticks_per_day, rng)
    lent = _tail(sites, MANY_PEAKS, sums[:-1].size, ticks_per_day, rng)[2]
    above, rate, scale, n = _tail(whole, MANY_PEAKS, sums[-1:].size, ticks_per_day, rng)
    scale = (n * scale + SITES_COUNT_AS * lent) / (n + SITES_COUNT_AS)
    found = np.empty(len(evidence))
    for u, every in enumerate(ticks):
        if u < len(evidence) - 1:
            raised = of_sites[0] + max(of_sites[2], LEAST_THINNING) * np.log(max(of_sites[1] * every, 1.0))
        else:
            raised = above + scale * np.log(max(rate * every, 1.0))
        found[u] = max(raised, np.log(every), 1.01 * ONE_TICK)
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
        end = [*start[1:], len(row)][: len(start)]  # none, where the sum never rose
        for first, last in zip(start, end, strict=True):
            at = first + int(np.argmax(row[first:last]))
            height.append(row[at])
            tick.append(at)
    return np.array(height), np.array(tick, np.intp)


def _tail(
    peaks: tuple[Floats, Ints], most: int, n_ticks: int, ticks_per_day: int, rng: np.random.Generator
) -> tuple[float, float, float, int]:
    """Level, peaks above it per tick, how far they reach above it on average, to the safe side, and their number."""
    height, tick = peaks
    if len(height) < 2:
        return 0.0, 1.0 / n_ticks, 1.0, 0
    most = min(most, len(height) // 2)
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
    return level, rate, max(scale, 1.0), most
