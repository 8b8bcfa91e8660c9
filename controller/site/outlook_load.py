"""Load, temperature and price ahead: what is usual at that time of that type of day, corrected by the last hours.

A trend is damped (Gardner and McKenzie 1985, doi:10.1287/mnsc.31.10.1237).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from controller.site.outlook_days import HALF_LIFE_DAYS, SiteCalendar, Typical, Values, Window, typical_days

HOURS_DAY = 24.0
MAX_GROWTH_PER_DAY = 0.01  # of the level; more is not believed
TREND_FADES_DAYS = 4.0  # over weeks a level comes back more often than it goes on growing
MIN_TREND_DAYS = 10


class Correction(NamedTuple):
    """How a departure from the usual fades: that of the last hours, and that of the last day."""

    hours: float  # over which the recent departure is a mean
    recent_share: float
    recent_fades_h: float
    day_share: float
    day_fades_h: float


LOAD = Correction(1.0, 0.6, 2.0, 0.55, 48.0)
TEMPERATURE = Correction(2.0, 0.95, 6.0, 0.75, 60.0)
PRICE = Correction(6.0, 0.5, 12.0, 0.6, 60.0)


class Seasonal(NamedTuple):
    """A forecast of one quantity with what it rests on."""

    ahead: Values  # (n, T)
    faded: Values  # share of the recent departure that has faded (T,)
    typical: Typical
    grid: Values  # history by day and slot (n, D, slots)
    level: Values  # (n,) mean of what is known


def seasonal(
    values: Values,
    window: Window,
    calendar: SiteCalendar,
    n_steps: int,
    correction: Correction,
    *,
    spread: int = 1,
    trend: bool = False,
) -> Seasonal:
    """Forecast ``n_steps`` steps from ``window.now`` on. ``values`` (n, now or longer): only those before now count.

    Sites without a single value are NaN throughout.
    """
    now, grid = window.now, window.lay_out(values)
    level = _mean(grid.reshape(len(grid), -1))
    typical = typical_days(grid, window.rest, spread)
    coming = np.where(np.isnan(typical.coming), level[:, None, None], typical.coming)
    slot, rest = calendar.slot(now, n_steps), calendar.rest(now, n_steps).astype(np.int64)
    ahead = coming[:, rest, slot]
    step_h = calendar.step_s / 3600
    ahead_h = (np.arange(n_steps) + 0.5) * step_h
    if trend:
        growth, age_days = growth_per_day(grid, window.rest, coming), mean_age_days(grid)
        ahead_days = ahead_h / HOURS_DAY
        lasts = np.exp(-ahead_days / TREND_FADES_DAYS)
        ahead = ahead * (1 + growth[:, None] * (age_days[:, None] + ahead_days) * lasts)
        coming = coming * (1 + growth * age_days)[:, None, None]
    departure = _departures(grid, coming, window, correction, step_h)
    fades = np.exp(-ahead_h / correction.recent_fades_h)
    slowly = correction.day_share * np.exp(-ahead_h / correction.day_fades_h)
    ahead = ahead + departure.recent[:, None] * correction.recent_share * fades
    ahead = ahead + departure.day[:, None] * slowly * (1 - correction.recent_share * fades)
    return Seasonal(ahead, 1 - fades, Typical(typical.past, coming), grid, level)


class _Departures(NamedTuple):
    recent: Values  # (n,)
    day: Values  # (n,)


def _departures(
    grid: Values, coming: Values, window: Window, correction: Correction, step_h: float
) -> _Departures:
    """How far the last hours, and the last day, were from what is usual. 0 where nothing is known."""
    per_day = window.n_slots
    m = min(len(window.row), per_day)
    row, slot = window.row[-m:], window.slot[-m:]
    recorded = grid[:, row, slot]
    off = recorded - coming[:, window.rest[row].astype(np.int64), slot]
    recent = max(1, round(correction.hours / step_h))
    return _Departures(np.nan_to_num(_mean(off[:, -recent:])), np.nan_to_num(_mean(off)))


def growth_per_day(grid: Values, rest: NDArray[np.bool_], coming: Values) -> Values:
    """Relative growth of the level a day, shrunk where the days scatter more than they grow. (n,)"""
    usual = coming[:, rest.astype(np.int64)]
    known = np.isfinite(grid)
    whole = known.mean(axis=2) > 0.9
    day_sum, usual_sum = np.where(known, grid, 0.0).sum(axis=2), np.where(known, usual, 0.0).sum(axis=2)
    ratio = np.divide(day_sum, usual_sum, out=np.ones_like(day_sum), where=usual_sum > 0)
    count = whole.sum(axis=1)
    enough = count >= MIN_TREND_DAYS
    number = np.maximum(count, 1)
    day = np.arange(len(rest), dtype=np.float64)[None, :]
    mean_day = (whole * day).sum(axis=1) / number
    mean_ratio = (whole * ratio).sum(axis=1) / number
    x = np.where(whole, day - mean_day[:, None], 0.0)
    y = np.where(whole, ratio - mean_ratio[:, None], 0.0)
    square = np.maximum((x * x).sum(axis=1), 1e-12)
    slope = (x * y).sum(axis=1) / square
    scatter = ((y - slope[:, None] * x) ** 2 * whole).sum(axis=1) / np.maximum(count - 2, 1)
    error = scatter / square
    shrunk = slope * np.maximum(0.0, 1 - 4 * error / np.maximum(slope * slope, 1e-18))
    return np.where(enough, np.clip(shrunk, -MAX_GROWTH_PER_DAY, MAX_GROWTH_PER_DAY), 0.0)


def mean_age_days(grid: Values) -> Values:
    """Mean age of the days that the usual rests on, by their weight. (n,)"""
    age = np.arange(grid.shape[1])[::-1].astype(np.float64)
    weight = np.isfinite(grid).mean(axis=2) * 0.5 ** (age / HALF_LIFE_DAYS)
    mean: Values = (weight * age).sum(axis=1) / np.maximum(weight.sum(axis=1), 1e-12)
    return mean


def _mean(values: Values) -> Values:
    """Mean of what is known along the last axis, NaN where nothing is."""
    known = np.isfinite(values)
    count = known.sum(axis=-1)
    total = np.where(known, values, 0.0).sum(axis=-1)
    means: Values = np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)
    return means
