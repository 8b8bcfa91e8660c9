"""A series at another start and step: as steps that hold, or along straight lines that keep each mean."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from traces.errors import TraceError
from traces.grid.series import GridSeries, Values


def as_steps(series: GridSeries, start: np.datetime64, n_steps: int, step_s: int) -> Values:
    """Means over steps of a quantity that holds through each of its own steps, such as a price. (n_steps,)

    Raises TraceError where the series has no value in the time asked for.
    """
    edges_s, first, source = _around(series, start, n_steps, step_s)
    at = (edges_s - series.start_s) / series.step_s - first
    total = np.concatenate([[0.0], np.cumsum(source)])
    whole = np.floor(at).astype(np.int64)
    part = at - whole
    sums = total[whole] + part * source[np.minimum(whole, len(source) - 1)]
    if step_s <= series.step_s and not part.any():
        return source[whole[:-1]]  # exact: no sum has rounded
    inside = whole[:-1] == np.ceil(at[1:]).astype(np.int64) - 1
    means: Values = np.where(inside, source[whole[:-1]], np.diff(sums) / np.diff(at))
    return means


def along_lines(
    series: GridSeries, start: np.datetime64, n_steps: int, step_s: int, *, never_negative: bool = False
) -> Values:
    """Means over steps along straight lines that keep the mean of each step of the series. (n_steps,)

    Each step of the series has two lines, from its begin over its middle to its end. At the border of two steps the
    lines meet at the mean of both values; with ``never_negative`` at most at twice the smaller, so that no line falls
    below 0. The value in the middle follows from the mean of the step. Raises TraceError where the series has no value.
    """
    edges_s, first, source = _around(series, start, n_steps, step_s)
    outside = series.steps(first - 1, len(source) + 2)[[0, -1]]
    before = source[0] if np.isnan(outside[0]) else outside[0]
    after = source[-1] if np.isnan(outside[1]) else outside[1]
    wide = np.concatenate([[before], source, [after]])
    border = (wide[:-1] + wide[1:]) / 2
    if never_negative:
        border = np.minimum(border, 2 * np.minimum(wide[:-1], wide[1:]))
    begin, end = border[:-1], border[1:]
    middle = 2 * source - (begin + end) / 2
    at = (edges_s - series.start_s) / series.step_s - first
    index = np.minimum(np.floor(at).astype(np.int64), len(source) - 1)
    total = np.concatenate([[0.0], np.cumsum(source)])
    sums = total[index] + _area(at - index, begin[index], middle[index], end[index])
    means: Values = np.diff(sums) / np.diff(at)
    return np.maximum(means, 0.0) if never_negative else means


def _area(part: Values, begin: Values, middle: Values, end: Values) -> Values:
    """Integral over the first ``part`` (0..1) of a step with two lines."""
    early, late = np.minimum(part, 0.5), np.maximum(part - 0.5, 0.0)
    area: Values = early * begin + early**2 * (middle - begin) + late * middle + late**2 * (end - middle)
    return area


def _around(
    series: GridSeries, start: np.datetime64, n_steps: int, step_s: int
) -> tuple[NDArray[np.int64], int, Values]:
    """Edges of the steps asked for [s], and the series from its step ``first`` on, as far as it touches them."""
    if n_steps < 1 or step_s < 1:
        raise TraceError(f"{series.name}: {n_steps} steps of {step_s} s are asked for; ask for one or more")
    begin_s = int(start.astype("datetime64[s]").astype(np.int64))
    edges_s = begin_s + step_s * np.arange(n_steps + 1)
    first = (begin_s - series.start_s) // series.step_s
    last = -((series.start_s - int(edges_s[-1])) // series.step_s)
    source = series.steps(first, last - first)
    missing = np.flatnonzero(np.isnan(source))
    if len(missing):
        moment = series.start + np.timedelta64(int(first + missing[0]) * series.step_s, "s")
        raise TraceError(
            f"{series.name}: no value at {moment}Z ({len(missing)} steps of {series.step_s} s are missing from "
            f"{start}Z on); the series reaches from {series.start}Z to {series.end}Z: choose a time inside, or let "
            "the reader fill short gaps (fill_s)"
        )
    return edges_s, first, source
