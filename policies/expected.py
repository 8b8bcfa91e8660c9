"""What a level is expected to cost in one tick: power, and traffic that will probably miss its target."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from hw.tables import Tables, draw
from hw.world import SYMBOL

# the load that the sample before lets expect: nodes and weights of a normal distribution (Gauss-Hermite)
NODES, NODE_WEIGHTS = np.polynomial.hermite_e.hermegauss(7)
NODE_WEIGHTS = NODE_WEIGHTS / NODE_WEIGHTS.sum()
SAFE = 8.0  # standard deviations of margin beyond which no price of risk matters
USUAL_EPSILON = 0.03  # for which risk prices are set; they are in inverse proportion to epsilon


def target_load(tables: Tables) -> NDArray[np.float32]:
    """Largest offered load at which a level still meets the throughput target. (M, L) [ratio]

    A minute is below target when rate x (g - r) < min(target, share x rate x (1 - r)).
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        by_share = (tables.rate - tables.target_share) / (1 - tables.target_share)
    target = np.asarray(tables.target / (tables.full_rate * tables.size), np.float32)[:, None]
    by_target = tables.rate - target
    limit = np.minimum(np.maximum(by_share, by_target), tables.capacity)
    limit[:, : SYMBOL + 1] = np.inf  # awake as under none: never below it
    return np.asarray(np.where(tables.asleep, 0, limit), np.float32)


class Prices(NamedTuple):
    """What a tick of idle power, of missed traffic and of a change cost. n cells."""

    power: NDArray[np.float64]  # (n,) power on air without traffic, the unit of the other two [power_unit]
    risk: NDArray[np.float64]  # (n,) per full-rate tick of traffic below target [power_unit]
    # standard deviations below its limit that a load must keep: where epsilon is the rest
    least_margin: float
    change: float  # per change of a cell of its own, in idle power
    group_change: float  # per change of a cell of a group, in idle power
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
def watched_prices(  # type: ignore[no-untyped-def]
    tables, limit, model, allowed, log_median, log_sd, risk, least_margin, open_sd, weight, price
):
    """Add the expected price of a sample at each level with the guard loop, times ``weight``, to ``price`` (L,).

    The guard loop serves each sample at the cheapest safe level from the planned one up, of those ``allowed`` (L,).
    The samples before say where the next one lies, up to ``open_sd`` of its spread. ``least_margin``: see ``Prices``.
    """
    open_sd = min(open_sd, log_sd)
    seen_sd = math.sqrt(log_sd * log_sd - open_sd * open_sd)
    for node in range(len(NODES)):
        load = np.float32(min(math.exp(log_median + seen_sd * NODES[node] + 0.5 * open_sd * open_sd), 1.0))
        least = np.float64(draw(tables, model, SYMBOL, load, np.float32(0)))
        price[SYMBOL] += weight * NODE_WEIGHTS[node] * least
        for level in range(SYMBOL + 1, len(tables.asleep)):
            if not allowed[level] or tables.asleep[level] or tables.wake_samples[level] > 0:
                continue
            stay = np.float64(draw(tables, model, level, load, np.float32(0)))
            left = margin(log_median, open_sd, limit[model, level]) - seen_sd / open_sd * NODES[node]
            if stay < least and left >= least_margin:
                if left < SAFE:
                    stay += risk * load * 0.5 * math.erfc((left - open_sd) * 0.7071067811865476)
                least = min(least, stay)
            price[level] += weight * NODE_WEIGHTS[node] * least
