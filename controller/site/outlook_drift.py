"""How far the mean of the coming weeks strays from that of the past ones: judged from how far it did before."""

from __future__ import annotations

import numpy as np

from controller.site.outlook_days import HALF_LIFE_DAYS, Values, Window

WINDOW_DAYS = 84  # looked back upon for this alone
AHEAD_DAYS = 28
FEWEST_DAYS = 14  # before a past forecast of the mean is made
BETWEEN_DAYS = 7  # from one past forecast to the next
PRIOR_COUNT = 2.0  # of past forecasts, by which the prior counts
WHOLE_DAY = 0.9  # share of the steps of a day that must be recorded


def drift(values: Values, window: Window, prior: float, half_life_days: float = HALF_LIFE_DAYS) -> Values:
    """Root mean square of the relative error of past forecasts of the mean over four weeks. (n,)

    A past forecast is the weighted mean of the days before it. Of ``values`` (n, now or longer) those before
    ``window.now`` count; ``prior`` is what is believed without any.
    """
    grid = window.lay_out(values)[:, :-1]
    known = np.isfinite(grid)
    whole = known.mean(axis=2) >= WHOLE_DAY
    mean = np.where(known, grid, 0.0).sum(axis=2) / np.maximum(known.sum(axis=2), 1)
    squares = np.full(len(grid), PRIOR_COUNT * prior**2)
    count = np.full(len(grid), PRIOR_COUNT)
    for begin in range(FEWEST_DAYS, grid.shape[1] - AHEAD_DAYS + 1, BETWEEN_DAYS):
        weight = whole[:, :begin] * 0.5 ** (np.arange(begin)[::-1] / half_life_days)
        ahead = whole[:, begin : begin + AHEAD_DAYS]
        said = (weight * mean[:, :begin]).sum(axis=1) / np.maximum(weight.sum(axis=1), 1e-12)
        came = (ahead * mean[:, begin : begin + AHEAD_DAYS]).sum(axis=1) / np.maximum(ahead.sum(axis=1), 1)
        counts = (weight.sum(axis=1) > 0) & (ahead.sum(axis=1) >= AHEAD_DAYS // 2) & (said > 0)
        relative = np.divide(came, said, out=np.ones_like(came), where=counts) - 1
        squares += np.where(counts, relative**2, 0.0)
        count += counts
    spread: Values = np.sqrt(squares / count)
    return spread
