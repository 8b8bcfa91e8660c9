"""The import that the billing month should not exceed, and what must be stored to keep it, from scenarios.

A plan over a day sees no reason to keep a peak down that only the month's bill will show. So once a day each scenario
is priced over the whole remaining month at a ladder of import limits, never below the peak already billed::

    limit of a scenario: the P with the least  V(P) + demand_price x max(billed peak, P),
                         V(P) = least energy and wear cost with the import at or below P
    target:              the median of the limits of the scenarios
    need:                what must be stored so that every scenario can keep the target

A target that turns out too low is raised on the way, and little is lost; one that was too high is billed. What is not
stored in time may cost the whole saving: when the month ends, and the store must be full again, all hours together may
leave too little room below the target.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from policies.site.problem import Fleet, checked, cost_at_caps

Float64 = NDArray[np.float64]
LADDER = 9  # limits that are priced in one look
LOOKS = 4  # each look narrows the ladder to the neighbours of the best limit
INSIDE_WH = 20.0  # a floor is so far below what charging reaches, lest rounding make it out of reach


class MonthTarget(NamedTuple):
    """What a plan over the coming days should know of the month."""

    limit_w: Float64  # (n,) at the meter; inf where the peak is not charged
    need_wh: Float64  # (n, T + 1) stored energy with which the rest of the month can keep the limit


def month_target(scenarios: Fleet, count: int) -> MonthTarget:
    """Limit and need of each site. ``scenarios`` holds n x count problems, those of a site next to each other."""
    scenarios = checked(scenarios)
    by_scenario = best_limits_w(scenarios).reshape(-1, count)
    charged = np.isfinite(by_scenario).all(1)
    limit_w = np.full(len(by_scenario), np.inf)
    limit_w[charged] = np.median(by_scenario[charged], axis=1)
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
    billed_w, price = courses.peak_w, courses.demand_price / 1000.0  # [currency/W]
    high_w = np.maximum((courses.load_w + courses.charge_max_w).max(1), billed_w)
    low_w = np.maximum(_least_w(courses), billed_w)
    top_w = np.maximum((courses.load_w - courses.pv_w).max(1), billed_w)
    best_w, row = top_w, np.arange(len(top_w))
    for look in range(LOOKS):
        ladder_w = _ladder(low_w, top_w, high_w if look == 0 else None)
        cost = cost_at_caps(courses, ladder_w) + price[:, None] * np.maximum(ladder_w, billed_w[:, None])
        at = cost.shape[1] - 1 - np.argmin(cost[:, ::-1], 1)  # the highest of equals
        best_w = ladder_w[row, at]
        low_w = ladder_w[row, np.maximum(at - 1, 0)]
        top_w = ladder_w[row, np.minimum(at + 1, ladder_w.shape[1] - 1)]
    return np.where(price > 0, best_w, np.inf)


def _least_w(scenarios: Fleet) -> Float64:
    """No limit below this can be kept: the mean import, were the store emptied for it. (n x count,)"""
    hours = scenarios.load_w.shape[1] * scenarios.step_h
    mean_w = (scenarios.load_w - scenarios.pv_w).mean(1)
    emptied_w = scenarios.capacity_wh * scenarios.discharge_efficiency / hours
    return np.asarray(np.maximum(mean_w - emptied_w, 0.0))


def _ladder(low_w: Float64, top_w: Float64, high_w: Float64 | None) -> Float64:
    """Limits from low to top, and on the first look the one that binds nothing. (n, LADDER [+ 1])"""
    ladder_w = np.linspace(low_w, top_w, LADDER, axis=1)
    return ladder_w if high_w is None else np.concatenate([ladder_w, high_w[:, None]], 1)


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
