"""A history laid out by local day and time of day, and what a day of each type looks like in it.

All arrays are over n sites; a time of day is a slot of one step. On a day of 25 hours the second pass through an hour
counts, on one of 23 hours a slot is empty.
"""

from __future__ import annotations

from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from controller.site.clock import DAY_S, local_steps
from controller.site.time_of_use import WEEKDAY, day_types

Values = NDArray[np.float64]
WINDOW_DAYS = 28  # what is looked back upon
HALF_LIFE_DAYS = 7.0  # of the weight of an earlier day
OTHER_TYPE = 0.02  # weight of a day of the other type: it counts only where there is no day of the same
_GROWS = 4096


class SiteCalendar:
    """Local day, slot and type of day of the steps from ``start`` (UTC) on. ``country``: holidays, ISO 3166."""

    def __init__(self, start: np.datetime64, step_s: int, time_zone: str, country: str | None = None) -> None:
        if step_s < 1 or DAY_S % step_s:
            raise ValueError(f"step_s {step_s} does not divide a day; choose one that does, such as 900")
        self.start, self.step_s, self.slots = start.astype("datetime64[s]"), step_s, DAY_S // step_s
        self._zone, self._country = ZoneInfo(time_zone), country
        self._day = np.empty(0, np.int64)
        self._slot = np.empty(0, np.int64)
        self._rest = np.empty(0, np.bool_)

    def since(self, first: int) -> SiteCalendar:
        """The calendar from step ``first`` on."""
        begin = self.start + np.timedelta64(first * self.step_s, "s")
        later = SiteCalendar(begin, self.step_s, str(self._zone), self._country)
        later._day, later._slot, later._rest = self._day[first:], self._slot[first:], self._rest[first:]
        return later

    def days(self, first: int, count: int) -> NDArray[np.int64]:
        """Local date of each step, days since 1970. (count,)"""
        self._reach(first + count)
        return self._day[first : first + count]

    def slot(self, first: int, count: int) -> NDArray[np.int64]:
        """Slot of the local day of each step. (count,)"""
        self._reach(first + count)
        return self._slot[first : first + count]

    def rest(self, first: int, count: int) -> NDArray[np.bool_]:
        """True for steps on a weekend or holiday. (count,)"""
        self._reach(first + count)
        return self._rest[first : first + count]

    def _reach(self, n_steps: int) -> None:
        """Know at least ``n_steps`` steps."""
        known = len(self._day)
        if n_steps <= known:
            return
        more = max(n_steps - known, _GROWS, known)
        begin = self.start + np.timedelta64(known * self.step_s, "s")
        local = local_steps(begin, more, self.step_s, self._zone)
        days, index = np.unique(local.day, return_inverse=True)
        rest = (day_types(days, self._country) != WEEKDAY)[index]
        self._day = np.concatenate([self._day, local.day])
        self._slot = np.concatenate([self._slot, local.second_of_day // self.step_s])
        self._rest = np.concatenate([self._rest, rest])


class Window(NamedTuple):
    """The last days before step ``now``; the last row is the day of ``now`` itself, as far as it went."""

    now: int
    first: int  # first step inside
    row: NDArray[np.int64]  # of each step from first to now
    slot: NDArray[np.int64]
    rest: NDArray[np.bool_]  # of each row (D,)
    n_slots: int

    @property
    def n_days(self) -> int:
        """Number of rows."""
        return len(self.rest)

    def lay_out(self, values: Values) -> Values:
        """Values (n, now) or longer by day and slot, NaN where nothing is recorded. (n, D, slots)"""
        grid = np.full((len(values), self.n_days, self.n_slots), np.nan)
        grid[:, self.row, self.slot] = values[:, self.first : self.now]
        return grid


def window_before(calendar: SiteCalendar, now: int, days: int = WINDOW_DAYS) -> Window:
    """The window of up to ``days`` days before the day of step ``now``."""
    day = calendar.days(0, now + 1)
    first_day = max(int(day[0]), int(day[-1]) - days)
    first = int(np.searchsorted(day, first_day))
    n_rows = int(day[-1]) - first_day + 1
    row = day[first:now] - first_day
    rest = np.zeros(n_rows, np.bool_)
    all_rows = day[first:] - first_day
    rest[all_rows] = calendar.rest(first, now + 1 - first)
    return Window(now, first, row, calendar.slot(first, now - first), rest, calendar.slots)


class Typical(NamedTuple):
    """What was usual at each slot, judged from earlier days only."""

    past: (
        Values  # for each day of the window, from the days before it (n, D, slots); NaN before the second day
    )
    coming: Values  # for working days and rest days to come, from all days (n, 2, slots)


def typical_days(grid: Values, rest: NDArray[np.bool_], spread: int = 1) -> Typical:
    """Weighted means by slot over earlier days, recent ones and those of the same type counting more.

    ``grid`` (n, D, slots), ``rest`` (D,). ``spread``: slots to either side over which the means are smoothed.
    """
    n_days = len(rest)
    age = np.arange(n_days)[:, None] - np.arange(n_days)[None, :]
    decay = 0.5 ** (np.maximum(age, 0) / HALF_LIFE_DAYS)
    earlier = np.where(age > 0, decay * _same(rest, rest), 0.0)
    now = decay[-1] * _same(np.array([False, True]), rest)
    return Typical(_means(earlier, grid, spread), _means(now, grid, spread))


def _same(target: NDArray[np.bool_], source: NDArray[np.bool_]) -> Values:
    return np.where(target[:, None] == source[None, :], 1.0, OTHER_TYPE)


def _means(weights: Values, grid: Values, spread: int) -> Values:
    """Weighted means over the days of a grid. weights (k, D) -> (n, k, slots), NaN where nothing counts."""
    known = np.isfinite(grid)
    total = weights @ np.where(known, grid, 0.0)
    weight = weights @ known.astype(np.float64)
    total, weight = _smoothed(total, spread), _smoothed(weight, spread)
    means: Values = np.divide(total, weight, out=np.full_like(total, np.nan), where=weight > 0)
    return means


def _smoothed(values: Values, spread: int) -> Values:
    """Sums over neighbouring slots, falling to both sides, midnight joined to midnight."""
    found = values.copy()
    for distance in range(1, spread + 1):
        share = 1 - distance / (spread + 1)
        found += share * (np.roll(values, distance, axis=-1) + np.roll(values, -distance, axis=-1))
    return found
