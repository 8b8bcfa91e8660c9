"""What a joint level of a group is expected to cost in one tick: power, and traffic that will probably miss its target.

A joint state with cells off air is dear to price: their traffic has to be placed. So each state first gets a floor
that it cannot be cheaper than.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from hw.sharing import share_out
from hw.tables import Tables, draw
from hw.world import LOAD_BINS, SYMBOL
from policies.expected import margin, tail_traffic, watched_prices

HAND_OVER_CORRELATION = 0.5  # of the log loads of co-located cells, for the sum of their traffic
BARRED = 1e12  # price of what epsilon forbids, finite so that no share of it is undefined
POWER, TAIL, LEAST, QUIET, STIRRED, HELD = range(6)  # planes of what each cell costs alone


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
def allowed_levels(levels, n, n_levels):  # type: ignore[no-untyped-def]
    """Levels that each cell of a group has in some joint state of ``levels``. (n, L)"""
    allowed = np.zeros((n, n_levels), np.bool_)
    for at in range(len(levels)):
        allowed[at % n, levels[at]] = True
    return allowed


@njit(cache=True)
def price_alone(  # type: ignore[no-untyped-def]
    tables, limit, models, allowed, mean, belief, risk, least_margin, surge, off_air, alone
):
    """Each cell at each level, from its own traffic, into the planes of ``alone`` (6, members, L).

    ``belief`` (3, members) is the log median, the log standard deviation, and what of the latter the guard loop does
    not foresee, 0 without it: a level that it can leave at once is priced as of a cell of its own, which may use the
    levels ``allowed`` (members, L).

    Expected POWER and priced risk TAIL while all are on air. While others are off air: what the cell costs at LEAST;
    the load that it can be QUIET at, without a surge reaching its limit, and what it costs beyond that (STIRRED); the
    load that it can be HELD at with less than half of it at risk. Neither load is below its own.
    """
    caution = off_air if off_air < np.inf else 0.0  # nobody asks for what is not allowed
    watched = np.empty(len(tables.asleep))
    for k in range(len(models)):
        watched[:] = 0
        if belief[2, k] > 0:
            watched_prices(
                tables,
                limit,
                models[k],
                allowed[k],
                belief[0, k],
                belief[1, k],
                risk[k],
                least_margin,
                belief[2, k],
                1.0,
                watched,
            )
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
            if belief[2, k] > 0 and tables.wake_samples[level] == 0:
                alone[POWER, k, level] = watched[level]
            elif level > SYMBOL:
                alone[TAIL, k, level] = risk[k] * tail_traffic(mean[k], belief[1, k], reach)
                if margin(belief[0, k], belief[1, k], reach) < least_margin:
                    alone[TAIL, k, level] = BARRED
            if level > SYMBOL and mean[k] + surge[1] > reach:
                alone[LEAST, k, level] += alone[STIRRED, k, level]
                alone[STIRRED, k, level] = 0.0


@njit(cache=True)
def price_shared(tables, limit, models, mean, deviation, risk, least_margin, surge, levels, matrix, scratch):  # type: ignore[no-untyped-def]
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
        spread = math.sqrt(math.log1p(variance / (total * total)))
        below += risk[k] * tail_traffic(total, spread, reach)
        if margin(math.log(total) - 0.5 * spread * spread, spread, reach) < least_margin:
            below = BARRED
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
