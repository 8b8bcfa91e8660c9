"""What a KPI of the canaries is compared with: the level that was commanded, the controls, and its own usual course.

User throughput falls by design where a cell rests, so it is judged against what the tables promise for the commanded
level at the carried load. The log of that ratio is compared with the controls' at the same moment, which takes out
what the region has in common, and with its usual value at that hour, which takes out what the cell always shows::

    d = log(observed / expected)  -  weighted mean of the same over the controls  -  median of the history at this hour
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hw.tables import Tables

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]
Bools = NDArray[np.bool_]

MAD_TO_SIGMA = 1.4826  # of a normal distribution
SHRINK_TICKS = 16.0  # history of a slot that weighs as much as the neighbours and the whole day do
LEAST_SPREAD = 0.01  # of the log of a KPI; measured throughput is never better known [ratio]
LEAST_CONTROL_SHARE = 0.5  # weight of the controls that must be measured for a comparison
EXTREME = 1.0  # beyond it a log ratio counts as that much: a counter, no service


class Usual(NamedTuple):
    """Usual course of n differences over S slots of the week."""

    middle: Floats  # (n, S) [log ratio]
    spread: Floats  # (n, S) [log ratio]


def expected_throughput(
    tables: Tables, model: NDArray[np.int32], level: NDArray[np.uint8], carried: NDArray[np.float32]
) -> Floats:
    """Traffic-weighted user throughput that the tables promise for a tick. (n,) [Mbit/s]

    Parameters
    ----------
    model : row of the tables of each cell. Shape (n,).
    level : commanded level of each cell, or in each sample. Shape (n,) or (n, samples).
    carried : traffic that each sample of the tick carried, NaN unmeasured. Shape (n, samples). [ratio of full rate]

    NaN where nothing was carried, as off air.
    """
    by_sample = np.broadcast_to(level if level.ndim > 1 else level[:, None], carried.shape)
    rate = tables.rate[model[:, None], by_sample].astype(np.float64)
    traffic = np.nan_to_num(carried).astype(np.float64)
    free = np.maximum(rate - traffic, 0.0)
    total = traffic.sum(1)
    mean = np.divide((traffic * free).sum(1), total, where=total > 0, out=np.full(len(model), np.nan))
    found = tables.full_rate * tables.size[model] * mean
    return np.where(found > 0, found, np.nan)


def log_ratio(observed: Floats, expected: Floats, *, lower_is_worse: bool = True) -> Floats:
    """Log of a KPI over what was expected, below 0 where it is worse. NaN where either is not known. Shape of both."""
    known = np.isfinite(observed) & np.isfinite(expected) & (observed >= 0) & (expected > 0)
    ratio = np.divide(observed, expected, where=known, out=np.ones(np.shape(observed)))
    log = np.clip(np.log(np.maximum(ratio, np.exp(-EXTREME))), -EXTREME, EXTREME)
    return np.where(known, log if lower_is_worse else -log, np.nan)


def against_controls(canary: Floats, control: Floats, weight: Floats) -> Floats:
    """Canaries less the weighted mean of those controls that are known. (k, T) from (k, T), (m, T) and (k, m)

    NaN where less than ``LEAST_CONTROL_SHARE`` of a canary's controls is known.
    """
    known = np.isfinite(control)
    share = weight @ known.astype(np.float64)
    total = weight @ np.where(known, control, 0.0)
    enough = share >= LEAST_CONTROL_SHARE
    mean = np.divide(total, share, where=enough, out=np.full(share.shape, np.nan))
    return np.asarray(canary - mean)


def fit_usual(difference: Floats, slot: Ints, n_slots: int) -> Usual:
    """Median and spread of each difference in each slot, drawn to the cell's whole history where ticks are few.

    Parameters
    ----------
    difference : differences at full service. Shape (n, T), NaN unknown. [log ratio]
    slot : slot of each tick. Shape (T,).
    """
    n = len(difference)
    whole = _median(difference)
    size = np.maximum(MAD_TO_SIGMA * _median(np.abs(difference - whole[:, None])), LEAST_SPREAD)
    middle, spread = np.empty((n, n_slots)), np.empty((n, n_slots))
    for s in range(n_slots):
        inside = difference[:, slot == s]
        count = np.isfinite(inside).sum(1)
        trust = count / (count + SHRINK_TICKS)
        own = np.where(count > 0, _median(inside), whole)
        middle[:, s] = whole + trust * (own - whole)
        around = MAD_TO_SIGMA * _median(np.abs(inside - middle[:, s, None]))
        spread[:, s] = np.where(count > 0, size + trust * (around - size), size)
    return Usual(middle, np.maximum(spread, LEAST_SPREAD))


def _median(values: Floats) -> Floats:
    """Median along the last axis of what is known, 0 where nothing is. (n,)"""
    if values.shape[1] == 0:
        return np.zeros(len(values))
    known = np.isfinite(values)
    ordered = np.sort(np.where(known, values, np.inf), axis=1)
    count, row = known.sum(1), np.arange(len(values))
    low = ordered[row, np.maximum(count - 1, 0) // 2]
    high = ordered[row, np.minimum(count // 2, values.shape[1] - 1)]
    return np.where(count == 0, 0.0, np.where(count % 2 == 1, low, low / 2 + high / 2))
