"""What a joint level is expected to cost in one tick: power, and traffic that will probably miss its target."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from hw.sharing import share_out
from hw.tables import draw
from hw.world import SYMBOL

HAND_OVER_CORRELATION = 0.5  # of the log loads of co-located cells, for the sum of their traffic


@njit(inline="always")
def tail_traffic(mean, log_sd, limit):  # type: ignore[no-untyped-def]
    """E[r; r > limit] of a log-normal r with this mean."""
    if limit <= 0:
        return mean
    above = (math.log(mean / limit) + 0.5 * log_sd * log_sd) / log_sd
    return mean * 0.5 * math.erfc(-above * 0.7071067811865476)


@njit(cache=True)
def _price_alone(tables, limit, models, mean, log_sd, risk, power, tail):  # type: ignore[no-untyped-def]
    """Expected power and priced risk of each cell at each level with its own traffic. ``power`` (members, L)."""
    for k in range(len(models)):
        for level in range(SYMBOL, len(tables.asleep)):
            on_air = not tables.asleep[level]
            power[k, level] = draw(
                tables, models[k], level, mean[k] if on_air else np.float32(0), np.float32(0)
            )
            tail[k, level] = 0.0
            if on_air and level > SYMBOL:
                tail[k, level] = risk[k] * tail_traffic(mean[k], log_sd[k], limit[models[k], level])


@njit(cache=True)
def _price_shared(tables, limit, models, mean, deviation, risk, surge, levels, matrix, scratch):  # type: ignore[no-untyped-def]
    """Expected power on air and priced risk of a joint state in which some cells hand over their traffic."""
    load, room, placed = scratch
    n = len(models)
    share_out(tables, models, matrix, mean, levels, load, room, placed)
    power, below = 0.0, 0.0
    for k in range(n):
        level = levels[k]
        if tables.asleep[level]:
            below += risk[k] * max(mean[k] - placed[k].sum(), 0.0)
            continue
        power += draw(tables, models[k], level, np.float32(load[k]), np.float32(0))
        total, variance = np.float64(mean[k]), deviation[k] * deviation[k]
        for c in range(n):
            if tables.asleep[levels[c]] and placed[c, k] > 0:
                handed = placed[c, k] * deviation[c] / mean[c]
                variance += handed * handed + 2 * HAND_OVER_CORRELATION * handed * deviation[k]
                total += placed[c, k]
        reach = limit[models[k], level]
        if level <= SYMBOL:
            reach = 1 - tables.target / tables.full_rate
            if total <= mean[k]:
                continue  # nobody handed anything over: served as under none
        below += risk[k] * tail_traffic(total, math.sqrt(math.log1p(variance / (total * total))), reach)
        if total + surge[1] > reach:
            below += risk[k] * surge[0] * (total + surge[1])
    return power, below


@njit(cache=True)
def price_tick(  # type: ignore[no-untyped-def]
    tables, limit, models, matrix, levels, service_as, mean, log_sd, risk, surge, scratch, cost, tail
):
    """Expected power ``cost`` (S,) and priced risk ``tail`` (S,) of every joint state in one tick."""
    n = len(models)
    power, alone = np.empty((n, len(tables.asleep))), np.empty((n, len(tables.asleep)))
    _price_alone(tables, limit, models, mean, log_sd, risk, power, alone)
    deviation = mean * np.sqrt(np.expm1(log_sd * log_sd))
    own, on_air = np.empty(n, np.int64), np.empty(len(cost))
    for s in range(len(cost)):
        cost[s], tail[s] = 0.0, 0.0
        for k in range(n):
            own[k] = levels[s * n + k]
            if service_as[s] < 0 or tables.asleep[own[k]]:
                cost[s] += power[k, own[k]]
                tail[s] += alone[k, own[k]]
        if service_as[s] == s:
            on_air[s], tail[s] = _price_shared(
                tables, limit, models, mean, deviation, risk, surge, own, matrix, scratch
            )
        elif service_as[s] >= 0:  # an earlier state: levels off air come last
            on_air[s], tail[s] = on_air[service_as[s]], tail[service_as[s]]
        if service_as[s] >= 0:
            cost[s] += on_air[s]
