"""The import cap that makes a site's bill least: energy, wear and the demand charge on the month's highest import.

The cost under a cap is convex and piecewise linear in the cap, and a pass through the value function gives its slope.
So tangents close in on the optimum from both sides (Kelley 1960, doi:10.1137/0108053, in one dimension).
"""

from __future__ import annotations

import numpy as np
from numba import njit

from policies.site.step_cost import SLACK_WH, room_at_meter, store_change
from policies.site.value_function import cost_at_cap

OK, INFEASIBLE_FLOOR, INFEASIBLE_CAP = 0, 1, 2
MAX_PASSES = 60
INSIDE_WH = 1e-5  # at the very least cap all limits meet, and a slope says nothing
GAP = 1e-7  # of the bill, at which the search ends


@njit(cache=True)
def effective_floors(fleet, i, floors):  # type: ignore[no-untyped-def]
    """Write the floors (T + 1,) that hold for site i: those of the fleet, lowered to what full charging can reach.

    The first is the energy stored at the start, which the plan cannot change.
    """
    capacity_wh, n_steps = fleet.capacity_wh[i], fleet.load_w.shape[1]
    reach = min(fleet.start_wh[i], capacity_wh)
    floors[0] = reach
    for t in range(n_steps):
        stored = fleet.charge_max_w[i, t] * fleet.step_h * fleet.charge_efficiency[i]
        reach = min(capacity_wh, reach + stored)
        floor = fleet.floor_wh[i, t + 1]
        if t == n_steps - 1:
            floor = max(floor, fleet.end_wh[i])
        floors[t + 1] = min(floor, reach)


@njit(cache=True)
def status_at_cap(fleet, i, cap_wh, floors):  # type: ignore[no-untyped-def]
    """Which limit, if any, cannot be kept under ``cap_wh`` [Wh per step]: always charging as much as it allows."""
    stored, capacity_wh, carried = floors[0], fleet.capacity_wh[i], False
    for t in range(fleet.load_w.shape[1]):
        least, most, _ = room_at_meter(fleet, i, t, cap_wh)
        if most < least:
            return INFEASIBLE_CAP
        carried |= most < 0
        stored += store_change(fleet, i, most)
        if stored >= capacity_wh:
            stored, carried = capacity_wh, False
        if stored < floors[t + 1] - SLACK_WH:
            return INFEASIBLE_CAP if carried else INFEASIBLE_FLOOR
    return OK


@njit(cache=True)
def highest_import(fleet, i):  # type: ignore[no-untyped-def]
    """An import that no plan of site i exceeds. [Wh per step]"""
    highest = 0.0
    for t in range(fleet.load_w.shape[1]):
        wanted = min(fleet.load_w[i, t] + fleet.charge_max_w[i, t], fleet.cap_w[i, t])
        highest = max(highest, wanted * fleet.step_h)
    return highest


@njit(cache=True)
def _lowest_cap(fleet, i, low, high, floors):  # type: ignore[no-untyped-def]
    """Least cap between ``low`` and ``high``, which can be kept, under which the limits can be. [Wh per step]"""
    if status_at_cap(fleet, i, low, floors) == OK:
        return low
    most = high
    while high - low > 1e-12 * high + 1e-9:
        middle = (low + high) / 2
        if status_at_cap(fleet, i, middle, floors) == OK:
            high = middle
        else:
            low = middle
    return min(high + INSIDE_WH, most)


@njit(cache=True)
def demand_rate(fleet, i):  # type: ignore[no-untyped-def]
    """What a Wh more in the highest step of site i costs. [currency per Wh per step]"""
    return fleet.demand_price[i] / 1000 / fleet.step_h


@njit(cache=True)
def best_cap(fleet, i, floors, room):  # type: ignore[no-untyped-def]
    """The cap [Wh per step] that makes energy, wear and demand charge of site i least; its limits can be kept."""
    high = highest_import(fleet, i)
    rate = demand_rate(fleet, i)
    paid = fleet.peak_w[i] * fleet.step_h
    if rate <= 0 or paid >= high:
        return high
    low = _lowest_cap(fleet, i, paid, high, floors)
    low_cost, low_slope = cost_at_cap(fleet, i, low, floors, room)
    low_cost, low_slope = low_cost + rate * low, low_slope + rate
    if low_slope >= 0:
        return low
    high_cost, high_slope = cost_at_cap(fleet, i, high, floors, room)
    high_cost, high_slope = high_cost + rate * high, high_slope + rate
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
        cost, slope = cost_at_cap(fleet, i, cap, floors, room)
        cost, slope = cost + rate * cap, slope + rate
        if cost - bound <= GAP * abs(cost):
            return cap
        if slope < 0:
            low, low_cost, low_slope = cap, cost, slope
        else:
            high, high_cost, high_slope = cap, cost, slope
    return low if low_cost < high_cost else high
