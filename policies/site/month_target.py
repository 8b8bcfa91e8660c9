"""The import that the billing month should not exceed, and what must be stored to keep it, from scenarios.

A plan over a day sees no reason to keep a peak down that only the month's bill will show. So once a day, and more often
near its end, the whole remaining month is priced in each scenario for its cheapest import limit, and two of their
quantiles count::

    limit of a scenario: the P with the least  V(P) + demand_price x max(billed peak, P),
                         V(P) = least energy and wear cost with the import at or below P
    hold:                a low quantile of the limits: what is held as long as ``safe`` stays within reach
    safe:                a high quantile of the limits
    need:                a high quantile of what must be stored to keep ``safe``

A peak that was billed too high cannot be taken back; a limit that was too low can be raised. But one that is held until
the store is empty ends in a peak far above a limit that would have been enough. So the limit is the lowest from
``hold`` to ``safe`` that leaves the need in the store when it comes. On the last day nothing can be stored again, and
the store must be full when the month ends: what is missing is then imported in a few hours. So ``safe`` is higher then,
and the need is that of every scenario.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from policies.site.cap_search import OK, best_cap, highest_import, status_at_cap
from policies.site.problem import Fleet, checked
from policies.site.site_terms import site_terms
from policies.site.value_function import new_room

Float64 = NDArray[np.float64]
HOLD_QUANTILE = 0.35  # of the limits of the scenarios
SAFE_QUANTILE, NEED_QUANTILE = 0.7, 0.7  # of their limits, and of what they need: until the last day
LAST_SAFE_QUANTILE, LAST_NEED_QUANTILE = 0.85, 1.0  # on it
INSIDE_WH = 20.0  # a floor is so far below what charging reaches, lest rounding make it out of reach
NEAR_W = 1.0  # to which a limit is looked for


class MonthTarget(NamedTuple):
    """What a plan over the coming days should know of the month."""

    hold_w: Float64  # (n,) at the meter; inf where the peak is not charged
    safe_w: Float64  # (n,) not below hold_w
    need_wh: Float64  # (n, T + 1) stored energy with which the rest of the month can keep safe_w


def month_target(scenarios: Fleet, count: int, *, last_day: bool = False) -> MonthTarget:
    """Limits and need of each site. ``scenarios`` holds n x count problems, those of a site next to each other.

    ``last_day``: no day follows on which the store could be filled again.
    """
    scenarios = checked(scenarios)
    safe = LAST_SAFE_QUANTILE if last_day else SAFE_QUANTILE
    by_scenario = best_limits_w(scenarios).reshape(-1, count)
    charged = np.isfinite(by_scenario).all(1)
    hold_w, safe_w = np.full((2, len(by_scenario)), np.inf)
    hold_w[charged] = np.quantile(by_scenario[charged], HOLD_QUANTILE, axis=1)
    safe_w[charged] = np.quantile(by_scenario[charged], safe, axis=1)
    need_wh = np.empty_like(scenarios.floor_wh)
    _needs(scenarios, np.repeat(safe_w, count), need_wh)
    need = LAST_NEED_QUANTILE if last_day else NEED_QUANTILE
    return MonthTarget(hold_w, safe_w, np.quantile(need_wh.reshape(len(hold_w), count, -1), need, axis=1))


@njit(parallel=True, cache=True)
def _needs(fleet, limit_w, need_wh):  # type: ignore[no-untyped-def]
    for i in prange(len(limit_w)):
        _need(fleet, i, limit_w[i], need_wh[i])


@njit(cache=True)
def _need(fleet, i, limit_w, need_wh):  # type: ignore[no-untyped-def]
    """Backwards: what a step above the limit takes out comes on top, what a step below it can store comes off."""
    steps = fleet.load_w.shape[1]
    need_wh[steps] = max(fleet.floor_wh[i, steps], fleet.end_wh[i])
    for t in range(steps - 1, -1, -1):
        need_wh[t] = need_wh[t + 1] + _drawn_wh(fleet, i, t, limit_w)
        need_wh[t] = min(max(fleet.floor_wh[i, t], need_wh[t]), fleet.capacity_wh[i])


@njit(cache=True)
def _drawn_wh(fleet, i, t, limit_w):  # type: ignore[no-untyped-def]
    """What step t takes out of the store under a limit; below 0 what it can store."""
    most_w = min(limit_w, fleet.cap_w[i, t], fleet.event_w[i, t])
    room_w = most_w - max(fleet.load_w[i, t] - fleet.pv_w[i, t], 0.0)
    if room_w < 0:
        return min(-room_w, fleet.discharge_max_w[i, t]) * fleet.step_h / fleet.discharge_efficiency[i]
    return -min(room_w, fleet.charge_max_w[i, t]) * fleet.step_h * fleet.charge_efficiency[i]


def best_limits_w(courses: Fleet) -> Float64:
    """For each course the import limit that makes the remaining month cheapest. Shape (n,). [W at the meter]

    One without demand charge gets inf.
    """
    limit_w = np.full(len(courses.load_w), np.inf)
    _best_limits(courses, limit_w)
    return limit_w


@njit(parallel=True, cache=True)
def _best_limits(fleet, limit_w):  # type: ignore[no-untyped-def]
    for i in prange(len(limit_w)):
        if fleet.demand_price[i] > 0:
            site = site_terms(fleet, i)
            cap_wh = highest_import(site)
            if status_at_cap(site, cap_wh) == OK:
                cap_wh = best_cap(site, new_room(len(site.steps)))
            limit_w[i] = max(cap_wh / fleet.step_h, fleet.peak_w[i])


def least_limit_w(fleet: Fleet, need_wh: Float64, low_w: Float64, high_w: Float64) -> Float64:
    """The lowest limit from ``low_w`` to ``high_w`` (n,) that meets the need as well as ``high_w`` does. (n,) [W]

    ``need_wh`` (n, K) at the boundaries from now on. The need counts where it falls: while it rises there is time to
    charge, and below a lower limit that takes longer.
    """
    limit_w = np.maximum(low_w, high_w)
    _least_limits(checked(fleet), np.ascontiguousarray(need_wh), low_w, limit_w)
    return limit_w


@njit(cache=True)
def _least_limits(fleet, need_wh, low_w, limit_w):  # type: ignore[no-untyped-def]
    for i in range(len(limit_w)):
        if np.isinf(limit_w[i]):
            continue
        low, high = low_w[i], limit_w[i]
        missing_wh = _missing_wh(fleet, i, need_wh[i], high) + INSIDE_WH
        if _missing_wh(fleet, i, need_wh[i], low) <= missing_wh:
            high = low
        while high - low > NEAR_W:
            middle = (low + high) / 2
            if _missing_wh(fleet, i, need_wh[i], middle) <= missing_wh:
                high = middle
            else:
                low = middle
        limit_w[i] = high


@njit(cache=True)
def _charging_wh(fleet, i, limit_w, n_steps):  # type: ignore[no-untyped-def]
    """Stored energy at the first boundaries if charging takes all that the limit leaves. (n_steps + 1,)"""
    stored_wh = np.empty(n_steps + 1)
    stored_wh[0] = min(fleet.start_wh[i], fleet.capacity_wh[i])
    for t in range(n_steps):
        stored_wh[t + 1] = min(stored_wh[t] - _drawn_wh(fleet, i, t, limit_w), fleet.capacity_wh[i])
    return stored_wh


@njit(cache=True)
def _missing_wh(fleet, i, need_wh, limit_w):  # type: ignore[no-untyped-def]
    """The most that is missing where the need falls, if charging takes all that the limit leaves. At least 0."""
    last = min(len(need_wh), fleet.load_w.shape[1] + 1) - 1
    stored_wh, missing_wh = _charging_wh(fleet, i, limit_w, last), 0.0
    for t in range(1, last + 1):
        if t == last or need_wh[t] >= need_wh[t + 1]:
            missing_wh = max(missing_wh, need_wh[t] - stored_wh[t])
    return missing_wh


def ready_floors(fleet: Fleet, need_wh: Float64, limit_w: Float64) -> Float64:
    """The floors of a plan, raised to what the month needs as far as charging below ``limit_w`` (n,) reaches it.

    A plan from one expected course stores late and just enough for it; a course that turns out higher then finds the
    store too empty. ``need_wh`` (n, K) at the boundaries from now on; those beyond K stay as they are. (n, T + 1) [Wh]
    """
    floor_wh = fleet.floor_wh.copy()
    _raise_floors(checked(fleet), np.ascontiguousarray(need_wh), limit_w, floor_wh)
    return floor_wh


@njit(cache=True)
def _raise_floors(fleet, need_wh, limit_w, floor_wh):  # type: ignore[no-untyped-def]
    n_steps = min(need_wh.shape[1], floor_wh.shape[1]) - 1
    for i in range(len(limit_w)):
        stored_wh = _charging_wh(fleet, i, limit_w[i], n_steps)
        for t in range(1, n_steps + 1):
            floor_wh[i, t] = max(floor_wh[i, t], min(need_wh[i, t], stored_wh[t] - INSIDE_WH))
