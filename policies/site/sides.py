"""On which side of its split each step is: the few choices that a price below zero leaves open.

The hull over both sides (step_cost) bounds the cost from below. Where the plan settled from it costs more than the
bound, the step that the hull understates most is tried on its other side, held to the better one, and the next such
step follows, until the bound is met or the passes are used up: a dive with both sides looked at, not a proof. With all
sides chosen the problem is convex again, and the search on the import cap is exact for them.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from policies.site.cap_search import best_cap
from policies.site.path import best_path, side_of
from policies.site.site_terms import LOAD, PRICE
from policies.site.step_cost import BOTH, LEFT_SIDE, RIGHT_SIDE

MAX_CHOICES = 3  # steps, of two passes each
GAP_SHARE = 2e-5  # of the turnover, at which the search ends


@njit(cache=True)
def _turnover(site):  # type: ignore[no-untyped-def]
    """What the load costs at prices without their sign. [currency]"""
    total = 0.0
    for t in range(len(site.steps)):
        total += abs(site.steps[t, PRICE]) * site.steps[t, LOAD]
    return total


@njit(cache=True)
def _choose(site, cap_wh, room, stored_wh, cost, worst, gap):  # type: ignore[no-untyped-def]
    """Better the plan ``stored_wh`` of ``cost`` at a cap; returns its cost. Sides are free before and after."""
    trial = np.empty(len(stored_wh))
    for _ in range(MAX_CHOICES):
        here = side_of(site, worst, cap_wh, stored_wh[worst + 1] - stored_wh[worst], room)
        room.sides[worst] = LEFT_SIDE + RIGHT_SIDE - here
        found, bound, after = best_path(site, cap_wh, room, trial)
        if found >= cost:
            room.sides[worst] = here
            found, bound, after = best_path(site, cap_wh, room, trial)
        if found < cost:
            cost = found
            stored_wh[:] = trial
        worst = after
        if worst < 0 or cost - bound <= gap:
            break
    room.sides[:] = BOTH
    return cost


@njit(cache=True)
def best_plan(site, room, stored_wh):  # type: ignore[no-untyped-def]
    """Write the energy stored (T + 1,) of the cheapest plan; returns the cap that it keeps. [Wh per step]"""
    cap_wh = best_cap(site, room)
    cost, bound, worst = best_path(site, cap_wh, room, stored_wh)
    gap = GAP_SHARE * _turnover(site)
    if worst < 0 or cost - bound <= gap:
        return cap_wh
    cost = _choose(site, cap_wh, room, stored_wh, cost, worst, gap)
    rate, paid = site.demand_rate, site.paid_wh
    if rate <= 0:
        return cap_wh
    for t in range(len(site.steps)):
        room.sides[t] = side_of(site, t, cap_wh, stored_wh[t + 1] - stored_wh[t], room)
    trial = np.empty(len(stored_wh))
    other_wh = best_cap(site, room)
    found, _, _ = best_path(site, other_wh, room, trial)
    room.sides[:] = BOTH
    if found + rate * max(other_wh, paid) < cost + rate * max(cap_wh, paid):
        cap_wh = other_wh
        stored_wh[:] = trial
    return cap_wh
