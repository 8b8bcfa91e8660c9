"""Loads that are far from what the cell usually has at that hour."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from traces.trace import Float32, Trace

SIGMAS = 10.0  # robust standard deviations from the cell's median of that hour
LEAST_SIGMA = 0.02  # spread that is always granted [ratio]
BLOCK_CELLS = 4096
EXAMPLES = 5


@dataclass(frozen=True, slots=True)
class Outlier:
    """One load that is far off. Loads are ratios."""

    cell_id: str
    time: str  # UTC
    load: float
    usual: float  # the cell's median at that local hour


@dataclass(frozen=True, slots=True)
class Outliers:
    """Loads that are far from the cell's median of the same local hour, by a robust measure."""

    share: float  # of recorded cell-steps [ratio]
    cells: int  # with at least one
    examples: list[Outlier]  # farthest first


def find_outliers(trace: Trace, hour: NDArray[np.int8]) -> Outliers:
    """Outliers of the load. ``hour``: local hour of each step, shape (n_steps,).

    A load is an outlier if it is more than ``SIGMAS`` x 1.4826 x the median absolute deviation of the cell
    from the median of its local hour. Real traffic has heavy tails: an outlier is a place to look at, not an
    error.
    """
    count, cells = 0, 0
    worst: list[tuple[float, int, int, float]] = []
    for start in range(0, trace.n_cells, BLOCK_CELLS):
        load = trace.dl_prb_ratio[start : start + BLOCK_CELLS]
        usual = _median_of_hour(load, hour)
        off = np.abs(load - usual)
        sigma = np.maximum(1.4826 * _row_median(off), LEAST_SIGMA)[:, None]
        far = np.nan_to_num(off / sigma) > SIGMAS
        count += int(far.sum())
        cells += int(far.any(axis=1).sum())
        cell, step = np.nonzero(far)
        first = np.argsort(-off[cell, step], kind="stable")[:EXAMPLES]
        worst += [
            (float(off[i, t]), start + int(i), int(t), float(usual[i, t]))
            for i, t in zip(cell[first], step[first], strict=True)
        ]
    worst = sorted(worst, key=lambda item: -item[0])[:EXAMPLES]
    times, load = trace.times(), trace.dl_prb_ratio
    examples = [
        Outlier(str(trace.cells.cell_id[i]), f"{times[t]}Z", float(load[i, t]), usual)
        for _, i, t, usual in worst
    ]
    return Outliers(count / int((~trace.missing).sum()), cells, examples)


def _median_of_hour(load: Float32, hour: NDArray[np.int8]) -> Float32:
    """Median of the cell at the step's hour. Shape of ``load``."""
    usual = np.full_like(load, np.nan)
    for one in np.unique(hour):
        usual[:, hour == one] = _row_median(load[:, hour == one])[:, None]
    return usual


def _row_median(values: Float32) -> Float32:
    """Median of the numbers of each row, the lower one of two; NaN for a row without any. (n_rows,)"""
    ordered = np.sort(values, axis=1)  # NaN last
    count = (~np.isnan(values)).sum(axis=1)
    median: Float32 = ordered[np.arange(len(values)), np.maximum(count - 1, 0) // 2]
    return median
