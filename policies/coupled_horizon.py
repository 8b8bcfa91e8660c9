"""Prices every joint level of a group in every tick of the horizon, as far as it might still pay.

A state whose floor (policies/coupled_price.py) is above what going to the best state of the tick and back would cost
is left out. No decision depends on this.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from policies.coupled_price import POWER, TAIL, allowed_levels, floors, price_alone, price_shared

TINY = 1e-30  # risk that a factor of infinity still forbids
ROUNDING = 1e-6  # of a price: what is pruned is dearer by more than float32 can err


@njit(cache=True)
def _by_service(service_as, following):  # type: ignore[no-untyped-def]
    """The states that stand for a service of their own; ``following`` (S,) leads on to those that share it."""
    last, count = np.empty(len(service_as), np.int64), 0
    stands = np.empty(len(service_as), np.int64)
    for s in range(len(service_as)):
        following[s] = -1
        if service_as[s] == s:  # comes before all others of its service: levels off air come last
            stands[count] = s
            count += 1
        elif service_as[s] >= 0:
            following[last[service_as[s]]] = s
        if service_as[s] >= 0:
            last[service_as[s]] = s
    return stands[:count]


@njit(inline="always")
def _pays(tables, levels, s, best, n, floor, least, change):  # type: ignore[no-untyped-def]
    """Whether a service with this floor may beat going to ``best`` at price ``least`` and back."""
    differ = 0
    for k in range(n):
        level = levels[s * n + k]
        differ += tables.asleep[level] or level != levels[best * n + k]
    reach = least + 2 * change * differ
    return floor <= reach + ROUNDING * abs(reach)


@njit(cache=True)
def _price_on_air(levels, service_as, tail, late, floor, cost):  # type: ignore[no-untyped-def]
    """Cost of the states in which all are on air, and the best of them. ``tail`` (members, L) of the next tick."""
    best, n = 0, len(tail)
    for s in range(len(cost)):
        cost[s] = np.inf
        if service_as[s] < 0:
            cost[s] = floor[s]
            if late[s] > 0:
                for k in range(n):
                    cost[s] += tail[k, levels[s * n + k]] * late[s]
            if cost[s] < cost[best]:
                best = s
    return best


@njit(cache=True)
def _lowest(floor, stands, following, lowest):  # type: ignore[no-untyped-def]
    """Least floor of the states that share each service."""
    for c in range(len(stands)):
        lowest[c], s = np.inf, stands[c]
        while s >= 0:
            lowest[c], s = min(lowest[c], floor[s]), following[s]


@njit(cache=True)
def _price_asleep(tables, levels, now, following, floor, power, served, late, tail, best, cost):  # type: ignore[no-untyped-def]
    """Cost of all states with the service of ``now``, which is priced; returns the best state so far."""
    s, n = now, len(power)
    while s >= 0:
        if floor[s] < np.inf:
            cost[s] = served + late[s] * tail
            for k in range(n):
                level = levels[s * n + k]
                cost[s] += power[k, level] if tables.asleep[level] else 0.0
            best = s if cost[s] < cost[best] else best
        s = following[s]
    return best


@njit(cache=True)
def price_horizon(  # type: ignore[no-untyped-def]
    tables,
    limit,
    models,
    matrix,
    states,
    spt,
    mean,
    belief,
    risk,
    least_margin,
    surge,
    off_air,
    slope,
    change,
):
    """Expected power and priced risk of every joint state of a group in every tick. (H, S)

    ``states`` holds its levels, ``service_as`` and ``forbidden``; ``mean`` (H, members) and ``belief`` (H, 3, members)
    say what is expected. A state from which going to the cheapest state of
    the tick and back, at ``change`` a cell, pays for sure may be infinitely dear. Waking takes time: part of the
    next tick is still served by the state that the group leaves.
    """
    levels, service_as, forbidden = states
    horizon, n = mean.shape
    n_states = len(service_as)
    cost, floor, late = np.empty((horizon, n_states)), np.empty(n_states), np.empty(n_states)
    alone, nothing = np.empty((horizon, 6, n, len(tables.asleep))), np.zeros(n)
    on_air, tail = np.full((horizon, n_states), np.nan), np.empty((horizon, n_states))
    scratch, own = (np.empty(n), np.empty(n), np.zeros((n, n))), np.empty(n, np.int64)
    deviation = mean * np.sqrt(np.expm1(belief[:, 1] * belief[:, 1]))
    allowed = allowed_levels(levels, n, len(tables.asleep))
    following = np.empty(n_states, np.int64)
    stands = _by_service(service_as, following)
    lowest = np.empty(len(stands))
    for s in range(n_states):
        late[s] = _late(tables, levels[s * n : s * n + n], spt)
    for h in range(horizon):
        price_alone(
            tables, limit, models, allowed, mean[h], belief[h], risk, least_margin, surge, off_air, alone[h]
        )
    for h in range(horizon):
        soon = min(h + 1, horizon - 1)
        floors(
            tables, models, levels, service_as, forbidden, mean[h], risk, off_air, slope, nothing, alone[h], floor
        )  # fmt: skip
        best = _price_on_air(levels, service_as, alone[soon, TAIL], late, floor, cost[h])
        _lowest(floor, stands, following, lowest)
        for _ in range(len(stands)):  # the most promising service first: it prunes most
            c = int(lowest.argmin())
            bound, now = lowest[c], stands[c]
            if bound == np.inf or bound > cost[h, best] + 2 * change * n * (1 + ROUNDING):
                break
            lowest[c] = np.inf
            if not _pays(tables, levels, now, best, n, bound, cost[h, best], change):
                continue
            for k in range(n):
                own[k] = levels[now * n + k]
            for at in range(h, soon + 1):
                if np.isnan(on_air[at, now]):
                    on_air[at, now], risked = price_shared(
                        tables,
                        limit,
                        models,
                        mean[at],
                        deviation[at],
                        risk,
                        least_margin,
                        surge,
                        own,
                        matrix,
                        scratch,
                    )
                    tail[at, now] = off_air * max(risked, TINY)
            served = on_air[h, now] + tail[h, now]
            best = _price_asleep(
                tables,
                levels,
                now,
                following,
                floor,
                alone[h, POWER],
                served,
                late,
                tail[soon, now],
                best,
                cost[h],
            )
    return cost


@njit(inline="always")
def _late(tables, levels, spt):  # type: ignore[no-untyped-def]
    """Share of the next tick that the slowest wake-up of these levels takes."""
    slowest = 0
    for level in levels:
        slowest = max(slowest, tables.wake_samples[level])
    return min(slowest / spt, 1.0)
