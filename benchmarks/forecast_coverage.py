"""How often the truth stays below our quantiles: overall, by forecast, by hour, and after every load has doubled.

The error at a level is the distance of the level from [P(y < q), P(y <= q)]: loads are recorded in steps, and where
many tie with a quantile no quantile could do better.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from benchmarks.forecast_protocol import (
    DAY,
    DRAWS,
    QUANTILES,
    Bool,
    Case,
    Float32,
    Float64,
    by_cell_and_day,
)
from controller.evaluation.bootstrap import Interval, interval, resample

RESOLUTION = 1e-6  # of recorded loads [ratio]
N_DECILES = 10
LEAST_HOUR_DAYS = 14  # of a test part, for a bar by hour
SHIFT_SETS = ("br", "vn")
SHIFT_FACTOR = 2.0
SHIFT_DAYS = (3, 10)  # since the shift, in which forecasts count: days 4 to 10


@dataclass(frozen=True)
class Coverage:
    """Shares of truths below and at most the quantiles. Arrays of shape (5,)."""

    below: Float64
    at_most: Float64
    n_pairs: int

    @property
    def errors(self) -> Float64:
        """Distance of each level from what was covered. Shape (5,)."""
        return distance(self.below, self.at_most)

    @property
    def worst(self) -> float:
        """The largest of the errors."""
        return float(self.errors.max())


def distance(below: Float64, at_most: Float64) -> Float64:
    """Distance of the levels from [below, at_most]. (..., 5) -> (..., 5)"""
    tau = np.array(QUANTILES)
    return np.maximum(0, np.maximum(below - tau, tau - at_most))


def coverage(truth: Float32, quantile: Float32, pairs: Bool) -> Coverage:
    """Coverage over some pairs. (n, O, K), (n, O, K, 5), (n, O, K)"""
    y, q = truth[pairs][:, None].astype(np.float64), quantile[pairs]
    n_pairs = len(y)
    if n_pairs == 0:
        raise ValueError("no pair to count coverage over")
    return Coverage((y < q - RESOLUTION).mean(0), (y <= q + RESOLUTION).mean(0), n_pairs)


def by_decile(truth: Float32, quantile: Float32, pairs: Bool) -> list[Coverage]:
    """Coverage by deciles of the forecast median; equal medians stay together, so there may be fewer than ten."""
    median = quantile[..., 0]
    edges = np.unique(np.quantile(median[pairs], np.arange(1, N_DECILES) / N_DECILES))
    decile = np.searchsorted(edges, median, side="right")
    groups = [pairs & (decile == one) for one in range(len(edges) + 1)]
    return [coverage(truth, quantile, group) for group in groups if group.any()]


def by_hour(case: Case, quantile: Float32, pairs: Bool) -> dict[int, tuple[Coverage, Interval]]:
    """Coverage by hour of the target (UTC), and where its error lies when blocks of days are drawn anew."""
    start_h = int(case.trace.start.astype("datetime64[h]").astype(int))
    hour = (case.targets + start_h) % DAY
    found = {}
    for one in range(DAY):
        group = pairs & (hour == one)[None]
        if group.any():
            found[one] = coverage(case.truth, quantile, group), within(case, quantile, group)
    return found


def within(case: Case, quantile: Float32, pairs: Bool) -> Interval:
    """Where the worst error lies, with cells and blocks of days drawn anew."""
    truth = case.truth[..., None].astype(np.float64)
    counts: list[Float64] = [np.ones_like(case.truth, np.float64)]
    for q in range(len(QUANTILES)):
        gap = truth[..., 0] - quantile[..., q]
        counts += [(gap < -RESOLUTION).astype(np.float64), (gap <= RESOLUTION).astype(np.float64)]
    sums = np.stack([by_cell_and_day(case, one, pairs).sum(2) for one in counts], 2)

    def worst(drawn: Float64) -> Float64:
        with np.errstate(invalid="ignore", divide="ignore"):
            share = drawn[:, 1:] / drawn[:, :1]
        return distance(share[:, 0::2], share[:, 1::2]).max(1)

    return interval(resample(sums, DRAWS, seed=0).apply(worst))


@dataclass(frozen=True)
class Shifted:
    """A case whose loads double in the middle of the test part, for a half of the cells or all of a few."""

    case: Case
    cells: NDArray[np.intp]
    begin: int  # first step with doubled loads

    def pairs(self) -> Bool:
        """Pairs of the shifted cells whose forecast was made on the days that count. (n, O, K)"""
        since = self.case.origins - self.begin
        made = (since >= SHIFT_DAYS[0] * DAY) & (since < SHIFT_DAYS[1] * DAY)
        chosen = np.isin(np.arange(self.case.trace.n_cells), self.cells)
        return np.isfinite(self.case.truth) & made[None, :, None] & chosen[:, None, None]


def shift(case: Case) -> Shifted:
    """Double loads from the middle of the test part on, at most to 1. The model is the one in use by then.

    Half of the cells is drawn with seed 0; of four cells or fewer all are shifted.
    """
    n_cells = case.trace.n_cells
    half = n_cells if n_cells <= 4 else n_cells // 2
    cells = np.sort(np.random.default_rng(0).permutation(n_cells)[:half])
    begin = case.refits[0] + case.test_days // 2 * DAY
    load = case.load.copy()
    load[cells, begin:] = np.minimum(load[cells, begin:] * np.float32(SHIFT_FACTOR), 1)
    refit = max(refit for refit in case.refits if refit <= begin)
    trace = replace(case.trace, dl_prb_ratio=load)
    return Shifted(Case(f"{case.name}, loads doubled", trace, (refit,)), cells, begin)


def after_shift(case: Case, forecast: Callable[[Case], Float32]) -> Coverage:
    """Coverage on days 4 to 10 after the shift, all horizons. ``forecast`` gives the quantiles of a case."""
    shifted = shift(case)
    quantile = forecast(shifted.case)
    pairs = shifted.pairs() & np.isfinite(quantile).all(-1)
    return coverage(shifted.case.truth, quantile, pairs)
