"""An upper quantile of a site's power for the reserve, from days before: it must not know the day it is for."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]
DAYS = 28
LAG_DAYS = 2  # the floors of the next two days are known now, so that a plan and the guard can look ahead
NEAR_H = 1.0


def upper_power_w(power_w: Float64, steps_per_day: int, rated_w: Float64, margin: float) -> Float64:
    """The highest power near each time of day in the 28 days that ended two days before, and a margin. (n, T) [W]

    The highest of 28 days within an hour of the time of day lies above the 0.99 quantile of one step. ``margin``
    [ratio] stands for the traffic of failed neighbours. Never above ``rated_w`` (n,), as on the first day.
    """
    n, steps = power_w.shape
    days = -(-steps // steps_per_day)
    padded = np.full((n, days * steps_per_day), np.nan)
    padded[:, :steps] = power_w
    by_day = np.where(np.isnan(padded), 0.0, padded).reshape(n, days, steps_per_day)
    near = max(1, round(NEAR_H * steps_per_day / 24))
    wide = np.concatenate([by_day[:, :, -near:], by_day, by_day[:, :, :near]], axis=2)
    around = np.lib.stride_tricks.sliding_window_view(wide, 2 * near + 1, axis=2).max(-1)
    upper = np.empty_like(by_day)
    first = LAG_DAYS + 1
    upper[:, :first] = rated_w[:, None, None]
    for day in range(first, days):
        upper[:, day] = around[:, max(0, day - LAG_DAYS - DAYS) : day - LAG_DAYS].max(1)
    upper[:, first:] = np.minimum(upper[:, first:] * (1 + margin), rated_w[:, None, None])
    return np.ascontiguousarray(upper.reshape(n, -1)[:, :steps])
