"""Courses of load and PV over weeks: whole days of the recent past, drawn again.

A day of the past brings its departure from what was expected of the load, and its PV, for all sites at once, so that
what belongs together stays together. Runs of days stay runs now and then, as weather does. The level of load and PV
strays with the weeks as far as it did before. The current day begins with what it has shown so far, which fades.

Random numbers belong to a day by its distance from the end: who looks at the same end again tomorrow draws nearly the
same courses, and what differs then was learned, not drawn.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from controller.site.outlook_days import WINDOW_DAYS, SiteCalendar, Values, Window
from controller.site.outlook_load import Seasonal
from controller.site.outlook_pv import PvAhead

GOES_ON = 0.6  # probability that the next day of the past follows, where its type fits
NO_DAY = -1
STRAYS_DAYS = 7.0  # after which the level has strayed as far as the mean of weeks does
# of the spread of the departures, added to days and steps: the worst that was seen is not the worst there can be
KERNEL = 0.3
MOST_PV = 1.2  # times a clear day
UNKNOWN_SIGMA = 0.3  # of the daily level of a load of which no whole day is known (log-normal)


class Drawn(NamedTuple):
    """The day of the window that each coming day repeats."""

    source: NDArray[np.int64]  # row of the window, or NO_DAY (S, days)
    day: NDArray[np.int64]  # coming day of each step, from 0 on (T,)
    slot: NDArray[np.int64]  # (T,)


def draw_days(
    window: Window, calendar: SiteCalendar, n_steps: int, count: int, rng: np.random.Generator
) -> Drawn:
    """Draw a whole day of the window for each coming day, of the same type where there is one."""
    days, rest = calendar.days(window.now, n_steps), calendar.rest(window.now, n_steps)
    day = days - days[0]
    first_of_day = np.flatnonzero(np.concatenate([[True], np.diff(day) > 0]))
    source = np.full((count, len(first_of_day)), NO_DAY, np.int64)
    usable = np.arange(1, window.n_days - 1)  # the first has no day before it, the last is not over
    # a day of the past keeps its place while the window slides over it
    usable = usable[np.argsort((days[0] - window.n_days + 1 + usable) % WINDOW_DAYS)]
    chance = rng.random((len(first_of_day), 2, count))[::-1]
    for j, is_rest in enumerate(rest[first_of_day]):
        fitting = usable[window.rest[usable] == is_rest]
        choice = fitting if len(fitting) else usable
        if not len(choice):
            continue
        drawn = choice[(chance[j, 0] * len(choice)).astype(np.int64)]
        following = source[:, j - 1] + 1 if j else np.zeros(count, np.int64)
        goes_on = (chance[j, 1] < GOES_ON) & np.isin(following, fitting)
        source[:, j] = np.where(goes_on, following, drawn)
    return Drawn(
        source,
        np.searchsorted(first_of_day, np.arange(n_steps), side="right") - 1,
        calendar.slot(window.now, n_steps),
    )


class Drift(NamedTuple):
    """Relative standard deviation of the mean of the coming weeks. (n,) each"""

    load: Values
    pv: Values


def resampled(
    load: Seasonal, pv: PvAhead, pv_grid: Values, drawn: Drawn, drift: Drift, rng: np.random.Generator
) -> tuple[Values, Values]:
    """Load and PV of each scenario. (S, n, T) each"""
    count, n_days = drawn.source.shape
    n, n_steps = load.ahead.shape
    load_w, pv_w = np.empty((count, n, n_steps)), np.empty((count, n, n_steps))
    off = _centred(load.grid - load.typical.past)
    scatter = KERNEL * off.std(axis=1)[:, drawn.slot]
    pv_known = np.where(np.isfinite(pv_grid), pv_grid, pv.usual[:, None, :])
    strays = np.sqrt(np.minimum(np.arange(1, n_days + 1) / STRAYS_DAYS, 1.0))[drawn.day]
    load_off, pv_off = _spread_normals(rng, n, count), _spread_normals(rng, n, count)
    for s, own in enumerate(rng.spawn(count)):
        of_days = own.standard_normal((n_days, n + 1))[::-1]
        of_steps = own.standard_normal((n_days, off.shape[2], n))[::-1]
        row = drawn.source[s, drawn.day]
        unknown = np.exp(UNKNOWN_SIGMA * of_days[drawn.day, n] - UNKNOWN_SIGMA**2 / 2)
        level = np.where(row == NO_DAY, unknown, 1.0)
        departs = np.where(row == NO_DAY, 0.0, off[:, row, drawn.slot])
        departs = departs + scatter * (of_days[drawn.day, :n] + of_steps[drawn.day, drawn.slot]).T
        load_level = 1 + (drift.load * load_off[s])[:, None] * strays
        load_w[s] = np.maximum(load.ahead * level * load_level + load.faded * departs, 0.0)
        again = np.where(row == NO_DAY, pv.ahead * level, pv_known[:, row, drawn.slot])
        pv_level = 1 + (drift.pv * pv_off[s])[:, None] * strays
        again = np.clip(again * pv_level, 0.0, MOST_PV * pv.clear[:, drawn.slot])
        pv_w[s] = (1 - load.faded) * pv.ahead + load.faded * again
    return load_w, pv_w


def _spread_normals(rng: np.random.Generator, n: int, count: int) -> Values:
    """Standard normals of which each of ``count`` equally likely ranges holds one, at each of n sites. (count, n)"""
    ranks = rng.permuted(np.tile(np.arange(count)[:, None], n), axis=0)
    return np.asarray(ndtri((ranks + 0.5) / count))


def _centred(off: Values) -> Values:
    """Departures less their mean at each site; 0 where none is known. (n, D, slots)"""
    known = np.isfinite(off)
    count = np.maximum(known.sum(axis=(1, 2)), 1)
    mean = np.where(known, off, 0.0).sum(axis=(1, 2)) / count
    return np.where(known, off - mean[:, None, None], 0.0)
