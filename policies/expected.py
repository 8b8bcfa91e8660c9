"""What a level is expected to cost in one tick: power, and traffic that will probably miss its target."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from hw.sharing import share_out
from hw.tables import Tables, draw
from hw.world import SYMBOL

# the load that the sample before lets expect: nodes and weights of a normal distribution (Gauss-Hermite)
NODES, NODE_WEIGHTS = np.polynomial.hermite_e.hermegauss(7)
NODE_WEIGHTS = NODE_WEIGHTS / NODE_WEIGHTS.sum()
SAFE = 8.0  # standard deviations of margin beyond which no price of risk matters
USUAL_EPSILON = 0.03  # for which risk prices are set; they are in inverse proportion to epsilon
HAND_OVER_CORRELATION = 0.5  # of the log loads of co-located cells, for the sum of their traffic


def target_load(tables: Tables) -> NDArray[np.float32]:
    """Largest offered load at which a level still meets the throughput target. (M, L) [ratio]

    A minute is below target when rate x (g - r) < min(target, share x rate x (1 - r)).
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        by_share = (tables.rate - tables.target_share) / (1 - tables.target_share)
    by_target = tables.rate - tables.target / tables.full_rate
    limit = np.minimum(np.maximum(by_share, by_target), tables.capacity)
    limit[:, : SYMBOL + 1] = np.inf  # awake as under none: never below it
    return np.asarray(np.where(tables.asleep, 0, limit), np.float32)


class Prices(NamedTuple):
    """What a tick of idle power, of missed traffic and of a change cost. n cells."""

    power: NDArray[np.float64]  # (n,) power on air without traffic, the unit of the other two [power_unit]
    risk: NDArray[np.float64]  # (n,) per full-rate tick of traffic below target [power_unit]
    least_margin: (
        float  # standard deviations below its limit that a load must keep: where epsilon is the rest
    )
    change: float  # per change, in idle power
    off_air: float  # factor on the risk while cells of the group are off air
    surge_probability: float  # per tick, of a surge that no forecast sees
    surge_load: float  # its size [ratio of full rate]
    ready: NDArray[np.bool_]  # (n,) measured for long enough that its group may leave the air
    open_sd: NDArray[np.float64]  # (n,) of the log load of a sample, seen from the one before; 0 unwatched


@njit(inline="always")
def tail_traffic(mean, log_sd, limit):  # type: ignore[no-untyped-def]
    """E[r; r > limit] of a log-normal r with this mean."""
    if limit <= 0:
        return mean
    above = (math.log(mean / limit) + 0.5 * log_sd * log_sd) / log_sd
    return mean * 0.5 * math.erfc(-above * 0.7071067811865476)


@njit(inline="always")
def margin(log_median, log_sd, limit):  # type: ignore[no-untyped-def]
    """How many standard deviations a limit lies above the median of a log-normal load; none is enough for 0."""
    return (math.log(limit) - log_median) / log_sd if limit > 0 else -np.inf


@njit(cache=True)
def watched_price(  # type: ignore[no-untyped-def]
    tables, limit, model, level, log_median, log_sd, risk, least_margin, open_sd
):
    """Expected price of a sample at ``level`` with the guard loop, which wakes where that is cheaper or safer.

    The samples before say where the next one lies, up to ``open_sd`` of its spread. ``least_margin``: see ``Prices``.
    """
    if level <= SYMBOL:
        mean = min(math.exp(log_median + 0.5 * log_sd * log_sd), 1.0)
        return np.float64(draw(tables, model, level, np.float32(mean), np.float32(0)))
    open_sd = min(open_sd, log_sd)
    seen_sd = math.sqrt(log_sd * log_sd - open_sd * open_sd)
    above = margin(log_median, open_sd, limit[model, level])
    price = 0.0
    for node in range(len(NODES)):
        load = np.float32(min(math.exp(log_median + seen_sd * NODES[node] + 0.5 * open_sd * open_sd), 1.0))
        awake = draw(tables, model, SYMBOL, load, np.float32(0))
        left = above - seen_sd / open_sd * NODES[node]
        if left < least_margin:
            price += NODE_WEIGHTS[node] * awake
            continue
        stay = draw(tables, model, level, load, np.float32(0))
        if left < SAFE:
            stay += risk * load * 0.5 * math.erfc((left - open_sd) * 0.7071067811865476)
        price += NODE_WEIGHTS[node] * min(stay, awake)
    return price


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
