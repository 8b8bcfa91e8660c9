"""The import cap that makes a site's bill least: energy, wear and the demand charge on the month's highest import.

The cost under a cap is convex and piecewise linear in the cap, and a pass through the value function gives its slope.
So tangents close in on the optimum from both sides (Kelley 1960, doi:10.1137/0108053, in one dimension).
"""

from __future__ import annotations

import numpy as np
from numba import njit

from policies.site.site_terms import HARD, LOAD, MOST
from policies.site.step_cost import SLACK_WH, room_at_meter, store_change
from policies.site.value_function import cost_at_cap

OK, INFEASIBLE_FLOOR, INFEASIBLE_CAP = 0, 1, 2
MAX_PASSES = 60
INSIDE_WH = 1e-5  # at the very least cap all limits meet, and a slope says nothing
GAP = 1e-7  # of the bill, at which the search ends


@njit(cache=True)
def status_at_cap(site, cap_wh):  # type: ignore[no-untyped-def]
    """Which limit, if any, cannot be kept under ``cap_wh`` [Wh per step]: always charging as much as it allows."""
    floors, capacity_wh, carried = site.floors_wh, site.capacity_wh, False
    stored = floors[0]
    for t in range(len(site.steps)):
        least, most, _ = room_at_meter(site.steps[t], cap_wh)
        if most < least:
            return INFEASIBLE_CAP
        carried |= most < 0
        stored += store_change(site, most)
        if stored >= capacity_wh:
            stored, carried = capacity_wh, False
        if stored < floors[t + 1] - SLACK_WH:
            return INFEASIBLE_CAP if carried else INFEASIBLE_FLOOR
    return OK


@njit(cache=True)
def highest_import(site):  # type: ignore[no-untyped-def]
    """An import that no plan exceeds. [Wh per step]"""
    highest = 0.0
    for t in range(len(site.steps)):
        step = site.steps[t]
        highest = max(highest, min(step[LOAD] + step[MOST], step[HARD]))
    return highest


@njit(cache=True)
def _lowest_cap(site, low, high):  # type: ignore[no-untyped-def]
    """Least cap between ``low`` and ``high``, which can be kept, under which the limits can be. [Wh per step]"""
    if status_at_cap(site, low) == OK:
        return low
    most = high
    while high - low > 1e-12 * high + 1e-9:
        middle = (low + high) / 2
        if status_at_cap(site, middle) == OK:
            high = middle
        else:
            low = middle
    return min(high + INSIDE_WH, most)


@njit(cache=True)
def best_cap(site, room):  # type: ignore[no-untyped-def]
    """The cap [Wh per step] that makes energy, wear and demand charge least; the limits can be kept under it."""
    high, rate, paid = highest_import(site), site.demand_rate, site.paid_wh
    if rate <= 0 or paid >= high:
        return high
    low = _lowest_cap(site, paid, high)
    low_cost, low_slope = cost_at_cap(site, low, room)
    low_cost, low_slope = low_cost + rate * low, low_slope + rate
    if low_slope >= 0:
        return low
    high_cost, high_slope = cost_at_cap(site, high, room)
    high_cost, high_slope = high_cost + rate * high, high_slope + rate
    if high_slope <= 0:
        return high
    width = high - low
    for k in range(MAX_PASSES):
        if high - low <= 1e-9 * high:
            break
        cap = low + (high_cost - low_cost - high_slope * (high - low)) / (low_slope - high_slope)
        bound = low_cost + low_slope * (min(max(cap, low), high) - low)
        if min(low_cost, high_cost) - bound <= GAP * abs(bound):
            break
        slow = k % 3 == 2 and high - low > width / 4
        width = high - low if k % 3 == 2 else width
        if slow or not low < cap < high:
            cap, bound = (low + high) / 2, -np.inf
        cost, slope = cost_at_cap(site, cap, room)
        cost, slope = cost + rate * cap, slope + rate
        if cost - bound <= GAP * abs(cost):
            return cap
        if slope < 0:
            low, low_cost, low_slope = cap, cost, slope
        else:
            high, high_cost, high_slope = cap, cost, slope
    return low if low_cost < high_cost else high
