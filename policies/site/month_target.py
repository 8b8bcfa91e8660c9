"""The import that the billing month should not exceed, and what must be stored to keep it, from scenarios.

A plan over a day sees no reason to keep a peak down that only the month's bill will show. So once a day, and more often
near its end, the whole remaining month is priced in each scenario under import limits, never below the peak billed::

    limit of a scenario: the P with the least  V(P) + demand_price x max(billed peak, P),
                         V(P) = least energy and wear cost with the import at or below P
    target:              a low quantile of the limits of the scenarios, on the last day a high one
    need:                what must be stored so that every scenario can keep the target

A target that turns out too low is raised on the way, and what it took from the store is stored again; one that was too
high is billed, and each new target may be too high. So it begins low. On the last day nothing can be stored again: what
is missing is then imported in the few hours that are left, far above a target that would have been enough. The store
must be full again when the month ends, so its last evening decides.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from policies.site.cap_search import OK, best_cap, effective_floors, highest_import, status_at_cap
from policies.site.problem import Fleet, checked
from policies.site.value_function import new_room

Float64 = NDArray[np.float64]
EARLY_QUANTILE, LAST_QUANTILE = 0.4, 0.85  # of the limits of the scenarios: until the last day, on it
INSIDE_WH = 20.0  # a floor is so far below what charging reaches, lest rounding make it out of reach


class MonthTarget(NamedTuple):
    """What a plan over the coming days should know of the month."""

    limit_w: Float64  # (n,) at the meter; inf where the peak is not charged
    need_wh: Float64  # (n, T + 1) stored energy with which the rest of the month can keep the limit


def month_target(scenarios: Fleet, count: int, *, last_day: bool = False) -> MonthTarget:
    """Limit and need of each site. ``scenarios`` holds n x count problems, those of a site next to each other.

    ``last_day``: no day follows on which a limit that is too low could be raised at little cost.
    """
    scenarios = checked(scenarios)
    by_scenario = best_limits_w(scenarios).reshape(-1, count)
    charged = np.isfinite(by_scenario).all(1)
    limit_w = np.full(len(by_scenario), np.inf)
    quantile = LAST_QUANTILE if last_day else EARLY_QUANTILE
    limit_w[charged] = np.quantile(by_scenario[charged], quantile, axis=1)
    need_wh = np.empty_like(scenarios.floor_wh)
    _needs(scenarios, np.repeat(limit_w, count), need_wh)
    return MonthTarget(limit_w, need_wh.reshape(len(limit_w), count, -1).max(axis=1))


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
        room_w = min(limit_w, fleet.cap_w[i, t]) - max(fleet.load_w[i, t] - fleet.pv_w[i, t], 0.0)
        if room_w < 0:
            change_wh = (
                min(-room_w, fleet.discharge_max_w[i, t]) * fleet.step_h / fleet.discharge_efficiency[i]
            )
        else:
            change_wh = -min(room_w, fleet.charge_max_w[i, t]) * fleet.step_h * fleet.charge_efficiency[i]
        need_wh[t] = min(max(fleet.floor_wh[i, t], need_wh[t + 1] + change_wh), fleet.capacity_wh[i])


def best_limits_w(courses: Fleet) -> Float64:
    """For each course the import limit that makes the remaining month cheapest. Shape (n,). [W at the meter]

    One without demand charge gets inf.
    """
    limit_w = np.full(len(courses.load_w), np.inf)
    _best_limits(courses, limit_w)
    return limit_w


@njit(parallel=True, cache=True)
def _best_limits(fleet, limit_w):  # type: ignore[no-untyped-def]
    n_steps = fleet.load_w.shape[1]
    for i in prange(len(limit_w)):
        if fleet.demand_price[i] > 0:
            floors = np.empty(n_steps + 1)
            effective_floors(fleet, i, floors)
            cap_wh = highest_import(fleet, i)
            if status_at_cap(fleet, i, cap_wh, floors) == OK:
                cap_wh = best_cap(fleet, i, floors, new_room(n_steps))
            limit_w[i] = max(cap_wh / fleet.step_h, fleet.peak_w[i])


def ready_floors(fleet: Fleet, need_wh: Float64, limit_w: Float64) -> Float64:
    """The floors of a plan, raised to what the month needs as far as charging below ``limit_w`` (n,) reaches it.

    A plan from one expected course stores late and just enough for it; a course that turns out higher then finds the
    store too empty. ``need_wh`` (n, K) at the boundaries from now on; those beyond K stay as they are. (n, T + 1) [Wh]
    """
    floor_wh, reach_wh = fleet.floor_wh.copy(), np.minimum(fleet.start_wh, fleet.capacity_wh)
    most_w = np.minimum(np.minimum(fleet.cap_w, fleet.event_w), limit_w[:, None])
    room_w = most_w - np.maximum(fleet.load_w - fleet.pv_w, 0.0)
    charge_wh = np.minimum(room_w, fleet.charge_max_w) * fleet.charge_efficiency[:, None]
    given_wh = np.minimum(-room_w, fleet.discharge_max_w) / fleet.discharge_efficiency[:, None]
    change_wh = np.where(room_w > 0, charge_wh, -given_wh) * fleet.step_h
    for t in range(1, min(need_wh.shape[1], floor_wh.shape[1])):
        reach_wh = np.minimum(reach_wh + change_wh[:, t - 1], fleet.capacity_wh)
        floor_wh[:, t] = np.maximum(floor_wh[:, t], np.minimum(need_wh[:, t], reach_wh - INSIDE_WH))
    return floor_wh
