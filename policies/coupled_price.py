"""What the joint levels of a group are expected to cost in each tick of the horizon: power, and traffic that will
probably miss its target.

A joint state with cells off air is dear to price: their traffic has to be placed. So each state first gets a floor
that it cannot be cheaper than, and is priced only if that might still pay. No decision depends on this.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from hw.sharing import share_out
from hw.tables import Tables, draw
from hw.world import LOAD_BINS, SYMBOL
from policies.expected import tail_traffic, watched_price

HAND_OVER_CORRELATION = 0.5  # of the log loads of co-located cells, for the sum of their traffic
TINY = 1e-30  # risk that a factor of infinity still forbids
POWER, TAIL, LEAST, QUIET, STIRRED, HELD = range(6)  # planes of what each cell costs alone
ROUNDING = 1e-6  # of a price: what is pruned is dearer by more than float32 can err


def least_slope(tables: Tables) -> float:
    """Least power that any cell on air needs for more traffic. [power_unit per ratio of the world's full rate]"""
    on_air = ~tables.asleep
    on_air[0] = False
    rise = np.diff(tables.power[:, on_air], axis=2).min(2) * LOAD_BINS
    return max(float((rise / (tables.rate[:, on_air] * tables.size[:, None])).min()), 0.0)


@njit(inline="always")
def _reach(tables, limit, model, level):  # type: ignore[no-untyped-def]
    """Load up to which a cell with handed-over traffic meets the throughput target. [ratio]"""
    if level <= SYMBOL:
        return 1 - tables.target / (tables.full_rate * tables.size[model])
    return np.float64(limit[model, level])


@njit(cache=True)
def price_alone(tables, limit, models, mean, belief, risk, surge, off_air, alone):  # type: ignore[no-untyped-def]
    """Each cell at each level, from its own traffic, into the planes of ``alone`` (6, members, L).

    ``belief`` (3, members) is the log median, the log standard deviation, and what of the latter the guard loop does
    not foresee, 0 without it: a level that it can leave at once is priced as of a cell of its own.

    Expected POWER and priced risk TAIL while all are on air. While others are off air: what the cell costs at LEAST;
    the load that it can be QUIET at, without a surge reaching its limit, and what it costs beyond that (STIRRED); the
    load that it can be HELD at with less than half of it at risk. Neither load is below its own.
    """
    caution = off_air if off_air < np.inf else 0.0  # nobody asks for what is not allowed
    for k in range(len(models)):
        for level in range(SYMBOL, len(tables.asleep)):
            alone[:, k, level] = 0.0
            if tables.asleep[level]:
                power = draw(tables, models[k], level, np.float32(0), np.float32(0))
                alone[POWER, k, level], alone[LEAST, k, level] = power, power
                continue
            reach = _reach(tables, limit, models[k], level)
            power = draw(tables, models[k], level, mean[k], np.float32(0))
            alone[POWER, k, level], alone[LEAST, k, level] = power, power
            alone[HELD, k, level] = max(mean[k], reach)
            alone[QUIET, k, level] = max(mean[k], reach - surge[1])
            alone[STIRRED, k, level] = caution * risk[k] * surge[0] * max(reach, mean[k] + surge[1])
            if level > SYMBOL:
                if belief[2, k] > 0 and tables.wake_samples[level] == 0:
                    alone[POWER, k, level] = watched_price(
                        tables, limit, models[k], level, belief[0, k], belief[1, k], risk[k], belief[2, k]
                    )
                else:
                    alone[TAIL, k, level] = risk[k] * tail_traffic(mean[k], belief[1, k], reach)
                if mean[k] + surge[1] > reach:
                    alone[LEAST, k, level] += alone[STIRRED, k, level]
                    alone[STIRRED, k, level] = 0.0


@njit(cache=True)
def _price_shared(tables, limit, models, mean, deviation, risk, surge, levels, matrix, scratch):  # type: ignore[no-untyped-def]
    """Expected power on air and priced risk of a joint state in which some cells hand over their traffic."""
    load, room, placed = scratch
    n, asleep = len(models), tables.asleep
    share_out(tables, models, matrix, mean, levels, load, room, placed)
    power, below = 0.0, 0.0
    for k in range(n):
        level, size = levels[k], tables.size[models[k]]
        if asleep[level]:
            below += risk[k] * max(mean[k] - placed[k].sum() / size, 0.0)
            continue
        power += draw(tables, models[k], level, np.float32(load[k]), np.float32(0))
        total, variance = np.float64(mean[k]), deviation[k] * deviation[k]
        for c in range(n):
            if asleep[levels[c]] and placed[c, k] > 0:
                carried = placed[c, k] / size
                handed = carried * deviation[c] / mean[c]
                variance += handed * handed + 2 * HAND_OVER_CORRELATION * handed * deviation[k]
                total += carried
        if level <= SYMBOL and total <= mean[k]:
            continue  # nobody handed anything over: served as under none
        reach = _reach(tables, limit, models[k], level)
        below += risk[k] * tail_traffic(total, math.sqrt(math.log1p(variance / (total * total))), reach)
        if total + surge[1] > reach:
            below += risk[k] * surge[0] * (total + surge[1])
    return power, below


@njit(cache=True)
def floors(  # type: ignore[no-untyped-def]
    tables, models, levels, service_as, forbidden, mean, risk, off_air, slope, escape, alone, floor
):
    """What each state costs at least, exact where all cells are on air. ``floor`` (S,). Power rises with load.

    What cells off air would have carried needs at least ``slope`` more power [power_unit per ratio of the world's
    rate], wherever it lands; up to ``escape`` (members,) of it may land beyond the group. If the others are left with
    more than they can hold, one of these is at risk, or the excess stays unserved.
    """
    n, whole, cheapest, asleep = len(models), 0.0, np.inf, tables.asleep
    size = tables.size[models]
    for k in range(n):
        whole += mean[k] * size[k]
        cheapest = min(cheapest, risk[k] / size[k])
    for s in range(len(floor)):
        floor[s] = np.inf
        if forbidden[s] or (service_as[s] >= 0 and off_air == np.inf):
            continue
        base, held, quiet, half, stirred = 0.0, 0.0, 0.0, np.inf, np.inf
        for k in range(n):
            level = levels[s * n + k]
            if service_as[s] < 0:
                base += alone[POWER, k, level] + alone[TAIL, k, level]
            elif asleep[level]:
                base += alone[POWER, k, level] + min(slope, cheapest) * mean[k] * size[k]
                held += escape[k]
                quiet += escape[k]
            else:
                base += alone[LEAST, k, level]
                held += alone[HELD, k, level] * size[k]
                quiet += alone[QUIET, k, level] * size[k]
                half = min(half, 0.5 * off_air * risk[k] * alone[HELD, k, level])
                stirred = min(stirred, alone[STIRRED, k, level])
        if service_as[s] >= 0 and whole > quiet:
            at_risk = min(stirred, off_air * cheapest * (whole - quiet))
            if whole > held:
                at_risk = max(at_risk, min(half, off_air * cheapest * (whole - held)))
            base += at_risk
        floor[s] = base


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
    tables, limit, models, matrix, states, spt, mean, belief, risk, surge, off_air, slope, change
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
    following = np.empty(n_states, np.int64)
    stands = _by_service(service_as, following)
    lowest = np.empty(len(stands))
    for s in range(n_states):
        late[s] = _late(tables, levels[s * n : s * n + n], spt)
    for h in range(horizon):
        price_alone(tables, limit, models, mean[h], belief[h], risk, surge, off_air, alone[h])
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
                    on_air[at, now], risked = _price_shared(
                        tables, limit, models, mean[at], deviation[at], risk, surge, own, matrix, scratch
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
