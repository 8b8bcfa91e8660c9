"""Online conformal calibration: quantiles that are exceeded as often as they say, also after the network has changed.

A score says where a value fell among the quantiles it was forecast with: 0 at the first, 1 at the second and so on,
straight lines between and beyond. Histograms of the scores, older ones fading, tell which place among the quantiles
is really not exceeded with the stated probability; the forecast is moved there. There is one histogram for each anchor
horizon and for each group of cells, where cells are grouped by the size of their forecast (Mondrian conformal
prediction, Vovk et al. 2005, with fading weights, Barber et al. 2023, doi:10.1214/23-AOS2276).

A cell that leaves its group, as where a new estate opens, is followed on its own: while almost all of its recent values
lie on one side, its forecast is moved there, and it is counted from where it then stands.

It works on whatever gives ascending quantiles, so it also serves the seasonal profile and models of others.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from controller.forecast.metadata import N_SCORES, QUANTILES

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]

N_QUANTILES = len(QUANTILES)
FEWEST_GROUPS, MOST_GROUPS, CELLS_PER_GROUP = 5, 10, 5  # of cells, by the size of their forecast
SCORE_LOW, SCORE_STEP = -8.0, 0.0625  # scores from -8 to 12
ENOUGH = 250.0  # forecasts behind a histogram; as many steps as give them are remembered
SHORTEST_DAYS, LONGEST_DAYS = 0.5, 3.0  # but never fewer or more than these
LEAN_DAYS = 0.4  # over which the share of a cell's values on either side is counted
LEANING = 0.85  # share above less share below, from which the cell is followed
STILL_LEANING = 0.4  # and from which it is followed further
AT_HOME = 0.5  # within so many steps between quantiles of its group it is left to it again
FOLLOW_DAYS, FOLLOW_LIMIT = (
    0.5,
    4.0,
)  # time constant, and the largest miss that counts, in steps between quantiles
PRIOR = 200.0  # forecasts that a well calibrated model is credited with, if nothing else is known
LEAST_START = 50.0  # forecasts that a start counts as, at least; more would slow a small network down
LEAST_STEP = 1e-4  # between quantiles, so that a score exists where they coincide [ratio]


class Tables(NamedTuple):
    """Histograms and what they say; where single cells went. G groups, A anchors, n cells."""

    edges: Float32  # (G - 1,) of the forecast median between groups [ratio]
    counts: Float64  # (G, A, N_SCORES)
    place: Float32  # (G, A, Q) score that is not exceeded with the stated probability
    lean: Float32  # (A, n) share of recent values above the forecast median, less the share below
    moved: Float32  # (A, n) by which the cell's forecasts are moved, in steps between quantiles


class Calibrator:
    """Moves the forecasts of n cells, H steps ahead; begins with the scores of a model's validation, if any."""

    def __init__(
        self,
        n_cells: int,
        horizon_steps: int,
        anchors: tuple[int, ...],
        edges: Float32,
        counts: Float64 | None,
    ) -> None:
        self.anchors = anchors
        n_groups, n_anchors = len(edges) + 1, len(anchors)
        self._per_day = horizon_steps
        start = np.tile(_well_calibrated(), (n_groups, n_anchors, 1)) * PRIOR
        if counts is not None:
            start += counts
        # as full a memory as what will be seen fills
        per_step = n_cells / n_groups
        start *= max(LEAST_START, per_step * self._memory_steps(per_step)) / start.sum(2, keepdims=True)
        place = np.empty((n_groups, n_anchors, N_QUANTILES), np.float32)
        lean, moved = np.zeros((n_anchors, n_cells), np.float32), np.zeros((n_anchors, n_cells), np.float32)
        self.tables = Tables(np.asarray(edges, np.float32), start, place, lean, moved)
        _read_places(self.tables, np.asarray(QUANTILES))
        at = np.log(np.arange(1, horizon_steps + 1))
        anchor_at = np.log(anchors)
        self._left = np.clip(np.searchsorted(anchor_at, at, "right") - 1, 0, max(n_anchors - 2, 0))
        right = np.minimum(self._left + 1, n_anchors - 1)
        width = np.where(right > self._left, anchor_at[right] - anchor_at[self._left], 1)
        self._share = np.clip((at - anchor_at[self._left]) / width, 0, 1).astype(np.float32)
        # what was forecast for a coming step stays until that step has been measured
        self._waiting = [np.full((h, n_cells, N_QUANTILES), np.nan, np.float32) for h in anchors]
        self._step = 0

    def _memory_steps(self, per_step: float | Float64) -> Any:
        """Steps remembered of a histogram that gets so many forecasts each."""
        wanted = ENOUGH / np.maximum(per_step, 1e-9)
        return np.clip(wanted, SHORTEST_DAYS * self._per_day, LONGEST_DAYS * self._per_day)

    def score(self, load: Float32) -> None:
        """Take in the loads (n,) of the step after the last ``remember``, NaN missing. [ratio]"""
        self._step += 1
        seen = np.zeros_like(self.tables.counts)
        for a, (h, waiting) in enumerate(zip(self.anchors, self._waiting, strict=True)):
            place = self._step % h
            lean_steps = LEAN_DAYS * (self._per_day + h)
            _take(self.tables, a, waiting[place], load, seen[:, a], lean_steps, FOLLOW_DAYS * self._per_day)
            waiting[place] = np.nan
        n = seen.sum(2)
        if not n.any():
            return
        kept = np.where(n > 0, 1 - 1 / self._memory_steps(n), 1.0)
        self.tables.counts[:] = self.tables.counts * kept[:, :, None] + seen
        _read_places(self.tables, np.asarray(QUANTILES))

    def remember(self, raw: Float32) -> None:
        """Keep uncalibrated quantiles (n, H, Q), issued now, until their steps are measured."""
        for h, waiting in zip(self.anchors, self._waiting, strict=True):
            waiting[(self._step + h) % h] = raw[:, h - 1]

    def apply(self, raw: Float32, out: Float32, first: int = 0) -> None:
        """Calibrated quantiles of ``raw`` (m, H, Q), cells from ``first`` on, into ``out``, maybe the same. [ratio]"""
        _apply(self.tables, self._left, self._share, raw, out, first)


def group_edges(median: Float32, n_cells: int) -> Float32:
    """Edges that cut forecast medians of so many cells into groups of equal size. (G - 1,)"""
    groups = int(np.clip(n_cells // CELLS_PER_GROUP, FEWEST_GROUPS, MOST_GROUPS))
    return np.quantile(median, np.arange(1, groups) / groups).astype(np.float32)


def _well_calibrated() -> Float64:
    """Distribution of the scores of a model whose quantiles are right. (N_SCORES,)"""
    middle = SCORE_LOW + SCORE_STEP * (np.arange(N_SCORES + 1))
    # half of the values lie below the median: as far below it as the distance to the 0.8 quantile suggests
    at = np.array([SCORE_LOW, -3.0, -1.0, 0.0, 1.0, 2.0, 3.0, 4.0, 6.0])
    below = np.array([0.0, 0.002, 0.2, *QUANTILES, 1.0])
    return np.diff(np.interp(middle, at, below))


@njit(inline="always")
def _score(quantile, value):  # type: ignore[no-untyped-def]
    """Place of a value among ascending quantiles (Q,)."""
    k = 1
    while k < N_QUANTILES - 1 and value > quantile[k]:
        k += 1
    step = max(quantile[k] - quantile[k - 1], LEAST_STEP)
    return (k - 1) + (value - quantile[k - 1]) / step


@njit(inline="always")
def _group(edges, median):  # type: ignore[no-untyped-def]
    g = 0
    while g < len(edges) and median > edges[g]:
        g += 1
    return g


@njit(inline="always")
def _count(counts, edges, median, score):  # type: ignore[no-untyped-def]
    at = int(min(max((score - SCORE_LOW) / SCORE_STEP, 0.0), N_SCORES - 1.0))
    counts[_group(edges, median), at] += 1


@njit(cache=True)
def tally(forecast, load, edges, counts):  # type: ignore[no-untyped-def]
    """Count the scores of loads (n,) under ``forecast`` (n, Q) into ``counts`` (G, N_SCORES)."""
    for i in range(len(load)):
        if not (np.isnan(load[i]) or np.isnan(forecast[i, 0])):
            _count(counts, edges, forecast[i, 0], _score(forecast[i], load[i]))


@njit(cache=True)
def _take(tables, a, forecast, load, counts, lean_steps, follow_steps):  # type: ignore[no-untyped-def]
    """Count the scores of loads (n,) at anchor ``a`` from where each cell stands, and follow cells that went away."""
    lean, moved = tables.lean[a], tables.moved[a]
    for i in range(len(load)):
        if np.isnan(load[i]) or np.isnan(forecast[i, 0]):
            continue
        score = _score(forecast[i], load[i]) - moved[i]
        _count(counts, tables.edges, forecast[i, 0], score)
        lean[i] += ((1.0 if score > 0 else -1.0) - lean[i]) / lean_steps
        least = LEANING if moved[i] == 0 else STILL_LEANING
        if abs(lean[i]) > least:
            gate = (abs(lean[i]) - least) / (1 - least)
            moved[i] += gate * min(max(score, -FOLLOW_LIMIT), FOLLOW_LIMIT) / follow_steps
        elif abs(moved[i]) < AT_HOME:
            moved[i] = 0


@njit(cache=True)
def _read_places(tables, quantiles):  # type: ignore[no-untyped-def]
    """Weighted quantiles of the scores of each histogram, straight lines inside a bin."""
    groups, anchors, scores = tables.counts.shape
    for g in range(groups):
        for a in range(anchors):
            total = tables.counts[g, a].sum()
            below, at = 0.0, 0
            for q in range(len(quantiles)):
                wanted = quantiles[q] * total
                while at < scores - 1 and below + tables.counts[g, a, at] < wanted:
                    below += tables.counts[g, a, at]
                    at += 1
                inside = (wanted - below) / max(tables.counts[g, a, at], 1e-12)
                tables.place[g, a, q] = SCORE_LOW + SCORE_STEP * (at + min(max(inside, 0.0), 1.0))


@njit(inline="always")
def _value_at(quantile, place):  # type: ignore[no-untyped-def]
    """The load at a place among the quantiles: the inverse of ``_score``."""
    k = min(max(int(np.ceil(place)), 1), N_QUANTILES - 1)
    step = max(quantile[k] - quantile[k - 1], np.float32(LEAST_STEP))
    return quantile[k - 1] + (place - np.float32(k - 1)) * step


@njit(cache=True, nogil=True)
def _apply(tables, left, share, raw, out, first):  # type: ignore[no-untyped-def]
    n, horizon, n_quantiles = raw.shape
    last = tables.place.shape[1] - 1
    found = np.empty(n_quantiles, np.float32)
    for i in range(n):
        for h in range(horizon):
            group = _group(tables.edges, raw[i, h, 0])
            a, w = left[h], share[h]
            b = min(a + 1, last)
            moved = (1 - w) * tables.moved[a, first + i] + w * tables.moved[b, first + i]
            for q in range(n_quantiles):
                place = (1 - w) * tables.place[group, a, q] + w * tables.place[group, b, q] + moved
                found[q] = min(max(_value_at(raw[i, h], place), np.float32(0.0)), np.float32(1.0))
            for q in range(n_quantiles):
                out[i, h, q] = found[q]
