"""Bootstrap over units (independent groups of cells, or stations) and whole days at once.

Every figure is computed from sums over cells and days, so a draw only weights the sums: by how often each unit was
drawn, times how often each day was (Owen 2007, doi:10.1214/07-AOAS122). Days are drawn in blocks, because
neighbouring days resemble each other; the end of a trace is joined to its begin.

Percentile intervals are too narrow where units or days are few. They are expanded as for a Student t (Hesterberg 2015,
doi:10.1080/00031305.2015.1089789), with Satterthwaite's degrees of freedom from what units and days contribute.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Float64 = NDArray[np.float64]

CONFIDENCE = 0.95
USABLE_SHARE = 0.99  # least share of draws in which a figure must be defined
MAX_ELEMENTS = 4_000_000  # of the arrays of one chunk of draws


@dataclass(frozen=True, slots=True)
class Draws:
    """Values of resampled networks. B draws; all arrays have shape (B, ...)."""

    joint: Float64  # units and days drawn
    units: Float64  # only units drawn
    days: Float64  # only days drawn
    n_units: int
    n_blocks: float  # independent blocks of days

    def apply(self, figure: Callable[[Float64], Float64]) -> Draws:
        """The draws of a figure computed from these values, draw by draw."""
        return Draws(figure(self.joint), figure(self.units), figure(self.days), self.n_units, self.n_blocks)

    def pick(self, *index: int) -> Draws:
        """The draws of one figure out of several. (B, ...) -> (B,)"""
        return self.apply(lambda values: np.asarray(np.moveaxis(values, 0, -1)[index]))


@dataclass(frozen=True, slots=True)
class Interval:
    """Where a figure lies with ``CONFIDENCE``; without bounds it has a reason."""

    low: float | None
    high: float | None
    reason: str = ""


def block_days(n_days: int) -> int:
    """Length of the blocks in which days are drawn: the cube root of their number."""
    return max(1, int(n_days ** (1 / 3) + 1e-9))


def draw_weights(n: int, draws: int, block: int, rng: np.random.Generator) -> Float64:
    """How often each of ``n`` items is drawn, in circular blocks; a single item is always drawn. (draws, n)"""
    if n == 1:
        return np.ones((draws, 1))
    first = rng.integers(n, size=(draws, -(-n // block)))
    drawn = ((first[:, :, None] + np.arange(block)) % n).reshape(draws, -1)[:, :n]
    flat = (drawn + n * np.arange(draws)[:, None]).ravel()
    return np.bincount(flat, minlength=draws * n).reshape(draws, n).astype(np.float64)


def resample(sums: Float64, draws: int, seed: int) -> Draws:
    """Sums of resampled networks.

    Parameters
    ----------
    sums : sums per unit and day. Shape (U, D, K). An axis of length 1 is not resampled.
    draws : number of draws B.

    Returns draws of shape (B, K).
    """
    n_units, n_days, n_sums = sums.shape
    of_units, of_days = np.random.default_rng(seed).spawn(2)
    block = block_days(n_days)
    day_weight = draw_weights(n_days, draws, block, of_days)
    joint, units = np.empty((draws, n_sums)), np.empty((draws, n_sums))
    chunk = max(1, MAX_ELEMENTS // max(n_units, n_days * n_sums))
    for first in range(0, draws, chunk):
        part = slice(first, min(first + chunk, draws))
        weight = draw_weights(n_units, part.stop - first, 1, of_units)
        by_day = (weight @ sums.reshape(n_units, -1)).reshape(-1, n_days, n_sums)
        joint[part] = np.einsum("bdk,bd->bk", by_day, day_weight[part])
        units[part] = by_day.sum(1)
    return Draws(joint, units, day_weight @ sums.sum(0), n_units, n_days / block)


def interval(figure: Draws) -> Interval:
    """The interval of one figure, from its draws of shape (B,), NaN where a draw leaves it undefined."""
    if figure.n_units == 1 and figure.n_blocks == 1:
        return Interval(
            None, None, "nothing to resample: there is one group of cells or station, and one day"
        )
    usable = figure.joint[np.isfinite(figure.joint)]
    if len(usable) < USABLE_SHARE * len(figure.joint):
        return Interval(
            None, None, f"undefined in {len(figure.joint) - len(usable)} of {len(figure.joint)} draws"
        )
    tail = _tail(figure)
    low, high = np.quantile(usable, [tail, 1 - tail])
    return Interval(float(low), float(high))


def _tail(figure: Draws) -> float:
    """Share of the draws beyond each end of the interval."""
    tail = (1 - CONFIDENCE) / 2
    parts = [
        (float(np.nanvar(figure.units)), figure.n_units),
        (float(np.nanvar(figure.days)), figure.n_blocks),
    ]
    parts = [(variance, n) for variance, n in parts if n > 1 and variance > 0]
    if not parts:
        return tail
    # scaled by the larger variance, so that tiny figures do not underflow when squared
    largest = max(variance for variance, _ in parts)
    scaled = [(variance / largest, n - 1) for variance, n in parts]
    freedom = sum(v for v, _ in scaled) ** 2 / sum(v**2 / df for v, df in scaled)
    return float(stats.norm.cdf(stats.t.ppf(tail, freedom) * np.sqrt((freedom + 1) / freedom)))
