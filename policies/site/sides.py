"""On which side of its split each step is: the few choices that a price below zero leaves open.

The hull over both sides (step_cost) bounds the cost from below. Where the plan settled from it costs more than the
bound, the step that the hull understates most is held to one side, then to the other (branch and bound, Land and Doig
1960, doi:10.2307/1910129), until the bound is met or the passes are used up. With all sides chosen the problem is
convex again, and the search on the import cap is exact for them.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from policies.site.cap_search import best_cap, demand_rate
from policies.site.path import best_path, side_of
from policies.site.step_cost import BOTH, LEFT_SIDE, RIGHT_SIDE

MAX_NODES = 3  # passes through the steps
GAP_SHARE = 2e-5  # of the turnover, at which the search ends


@njit(cache=True)
def _turnover(fleet, i):  # type: ignore[no-untyped-def]
    """What the load costs at prices without their sign. [currency]"""
    total = 0.0
    for t in range(fleet.load_w.shape[1]):
        total += abs(fleet.import_price[i, t]) * fleet.load_w[i, t]
    return total * fleet.step_h / 1000


@njit(cache=True)
def _branch(fleet, i, cap_wh, floors, room, stored_wh, cost, worst, gap):  # type: ignore[no-untyped-def]
    """Better the plan ``stored_wh`` of ``cost`` at a cap; returns its cost. Sides are free before and after."""
    trial = np.empty(len(stored_wh))
    steps, turned, depth = np.empty(MAX_NODES, np.int64), np.zeros(MAX_NODES, np.bool_), 1
    steps[0] = worst
    room.sides[worst] = side_of(fleet, i, worst, cap_wh, stored_wh[worst + 1] - stored_wh[worst], room)
    for node in range(MAX_NODES):
        found, bound, worst = best_path(fleet, i, cap_wh, floors, room, trial)
        if found < cost:
            cost = found
            stored_wh[:] = trial
        if worst >= 0 and bound < cost - gap and node < MAX_NODES - 1:
            steps[depth], turned[depth] = worst, False
            room.sides[worst] = side_of(fleet, i, worst, cap_wh, trial[worst + 1] - trial[worst], room)
            depth += 1
            continue
        while depth > 0 and turned[depth - 1]:
            depth -= 1
            room.sides[steps[depth]] = BOTH
        if depth == 0:
            break
        at = steps[depth - 1]
        room.sides[at], turned[depth - 1] = LEFT_SIDE + RIGHT_SIDE - room.sides[at], True
    room.sides[:] = BOTH
    return cost


@njit(cache=True)
def best_plan(fleet, i, floors, room, stored_wh):  # type: ignore[no-untyped-def]
    """Write the energy stored (T + 1,) of the cheapest plan of site i; returns the cap that it keeps. [Wh per step]"""
    cap_wh = best_cap(fleet, i, floors, room)
    cost, bound, worst = best_path(fleet, i, cap_wh, floors, room, stored_wh)
    gap = GAP_SHARE * _turnover(fleet, i)
    if worst < 0 or cost - bound <= gap:
        return cap_wh
    cost = _branch(fleet, i, cap_wh, floors, room, stored_wh, cost, worst, gap)
    rate, paid = demand_rate(fleet, i), fleet.peak_w[i] * fleet.step_h
    if rate <= 0:
        return cap_wh
    for t in range(fleet.load_w.shape[1]):
        room.sides[t] = side_of(fleet, i, t, cap_wh, stored_wh[t + 1] - stored_wh[t], room)
    trial = np.empty(len(stored_wh))
    other_wh = best_cap(fleet, i, floors, room)
    found, _, _ = best_path(fleet, i, other_wh, floors, room, trial)
    room.sides[:] = BOTH
    if found + rate * max(other_wh, paid) < cost + rate * max(cap_wh, paid):
        cap_wh = other_wh
        stored_wh[:] = trial
    return cap_wh
