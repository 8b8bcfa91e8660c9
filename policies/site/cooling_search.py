"""The search behind ``policies.site.cooling``: set points by block, changed as long as the horizon gets cheaper."""

from __future__ import annotations

import math

import numpy as np
from numba import njit, prange

from hw.power.cooling_unit import unit_of
from hw.power.room import AIR, BATTERY, MASS
from policies.site.cooling_model import expected_step, warming_of

MOVES_K = (-3.0, 3.0, -1.0, 1.0)
WIDTHS = (1, 4)  # blocks that are moved together
COARSE_K = 2.0  # between the set points that the search may begin with
MAX_PASSES = 6
WORTHWHILE = 1e-3  # a pass that saves less of the cost is the last
REFERENCE_C = 25.0  # cells age at their stated price
BEYOND_KWH_PER_K_H = (
    2.0  # a K above the cells' preferred range is as bad as this much energy at the mean price
)


@njit(cache=True, error_model="numpy")
def _cost(u, matrices, warming, room, first, levels, series, terms, per_block, step_h):  # type: ignore[no-untyped-def]
    """Cost from the step ``first`` to the end, from the temperatures ``room`` on, and what its heat is worth then."""
    outdoor_c, dewpoint_c, solar_w, heat_w, price, eased = series
    ageing_per_h, ageing_per_k, beyond, battery_max_c, worth_air, worth_mass, worth_battery = terms
    cost = 0.0
    for k in range(first, len(outdoor_c)):
        asked = u.setpoint_max_c if eased[k] else levels[k // per_block]
        weather = (outdoor_c[k], dewpoint_c[k], solar_w[k], heat_w[k])
        drawn, air, mass, battery = expected_step(u, matrices, warming, room, weather, asked)
        room = (air, mass, battery)
        aged = ageing_per_h * math.exp(ageing_per_k * (battery - REFERENCE_C))
        cost += step_h * (drawn * price[k] / 1000 + aged + beyond * max(battery - battery_max_c, 0.0))
    return cost + worth_air * room[AIR] + worth_mass * room[MASS] + worth_battery * room[BATTERY]


@njit(cache=True, error_model="numpy")
def _after_block(u, matrices, warming, room, block, level, series, per_block):  # type: ignore[no-untyped-def]
    """The temperatures after one block."""
    outdoor_c, dewpoint_c, solar_w, heat_w, _, eased = series
    for k in range(block * per_block, min((block + 1) * per_block, len(outdoor_c))):
        asked = u.setpoint_max_c if eased[k] else level
        weather = (outdoor_c[k], dewpoint_c[k], solar_w[k], heat_w[k])
        _, air, mass, battery = expected_step(u, matrices, warming, room, weather, asked)
        room = (air, mass, battery)
    return room


@njit(cache=True, error_model="numpy")
def _mean_draw_w(u, matrices, warming, room, series):  # type: ignore[no-untyped-def]
    """Mean electric power of holding the safe set point, standby left out."""
    outdoor_c, dewpoint_c, solar_w, heat_w, _, _ = series
    total = 0.0
    for k in range(len(outdoor_c)):
        weather = (outdoor_c[k], dewpoint_c[k], solar_w[k], heat_w[k])
        drawn, air, mass, battery = expected_step(u, matrices, warming, room, weather, u.safe_setpoint_c)
        room = (air, mass, battery)
        total += drawn - u.standby_w
    return total / len(outdoor_c)


@njit(cache=True, error_model="numpy")
def _move(levels, block, width, change_k, low_c, high_c):  # type: ignore[no-untyped-def]
    """Move some blocks together, within the limits. Returns whether any changed."""
    changed = False
    for b in range(block, min(block + width, len(levels))):
        level = min(max(levels[b] + change_k, low_c), high_c)
        changed = changed or level != levels[b]
        levels[b] = level
    return changed


@njit(cache=True, error_model="numpy")
def _descend(u, matrices, warming, start, levels, series, terms, per_block, step_h):  # type: ignore[no-untyped-def]
    """One pass over the blocks in order of time. Returns by how much the horizon became cheaper."""
    gained, room, before = 0.0, start, levels.copy()
    for block in range(len(levels)):
        first = block * per_block
        best = _cost(u, matrices, warming, room, first, levels, series, terms, per_block, step_h)
        for width in WIDTHS:
            for change_k in MOVES_K:
                before[block:] = levels[block:]
                if not _move(levels, block, width, change_k, u.setpoint_min_c, u.setpoint_max_c):
                    continue
                cost = _cost(u, matrices, warming, room, first, levels, series, terms, per_block, step_h)
                if cost < best:
                    gained, best = gained + best - cost, cost
                else:
                    levels[block:] = before[block:]
        room = _after_block(u, matrices, warming, room, block, levels[block], series, per_block)
    return gained


@njit(cache=True, error_model="numpy")
def _begin(u, matrices, warming, room, levels, series, terms, per_block, step_h):  # type: ignore[no-untyped-def]
    """Set ``levels``, safe ones at first, to the best of constants and of two set points by price. Returns the cost."""
    price = series[4]
    mean, tried = price.mean(), levels.copy()
    best = _cost(u, matrices, warming, room, 0, levels, series, terms, per_block, step_h)
    n_levels = int((u.setpoint_max_c - u.setpoint_min_c) / COARSE_K) + 1
    for low in range(n_levels):
        for high in range(low, n_levels):
            for b in range(len(tried)):
                cheap = price[b * per_block : (b + 1) * per_block].mean() <= mean
                tried[b] = u.setpoint_min_c + COARSE_K * (low if cheap else high)
            cost = _cost(u, matrices, warming, room, 0, tried, series, terms, per_block, step_h)
            if cost < best:
                best, levels[:] = cost, tried
    return best


@njit(cache=True, error_model="numpy")
def _search_room(c, step, start, i, every, eased, ageing, per_block, step_s, setpoint_c):  # type: ignore[no-untyped-def]
    """Search the set points of room i into ``setpoint_c`` (T,). Returns their cost."""
    u, warming, step_h = unit_of(c, i), warming_of(c, i), step_s / 3600
    matrices = (step.keep[i], step.push[i], step.hold[i], step.lean[i])
    room = (start[i, AIR], start[i, MASS], start[i, BATTERY])
    outdoor_c, dewpoint_c, solar_w, heat_w, price = every
    series = (outdoor_c[i], dewpoint_c[i], solar_w[i], heat_w[i], price[i], eased[i])
    beyond = BEYOND_KWH_PER_K_H * np.abs(price[i]).mean()
    # heat left at the end costs about what heat costs on the mean; of the walls', the part that comes in
    draw_per_heat = _mean_draw_w(u, matrices, warming, room, series) / max(heat_w[i].mean(), 1.0)
    worth = max(price[i].mean(), 0.0) / 1000 * draw_per_heat
    inward = c.rate[i, MASS, AIR] / -c.rate[i, MASS, MASS]
    held = c.stored_wh_per_k[i]
    ends = (worth * held[AIR], worth * held[MASS] * inward, worth * held[BATTERY])
    terms = (ageing[i, 0], ageing[i, 1], beyond, c.battery_max_c[i], ends[0], ends[1], ends[2])
    levels = np.full(-(-len(setpoint_c) // per_block), u.safe_setpoint_c)
    best = _begin(u, matrices, warming, room, levels, series, terms, per_block, step_h)
    for _ in range(MAX_PASSES):
        gained = _descend(u, matrices, warming, room, levels, series, terms, per_block, step_h)
        if gained <= WORTHWHILE * abs(best):
            break
    for k in range(len(setpoint_c)):
        setpoint_c[k] = u.setpoint_max_c if eased[i, k] else levels[k // per_block]
    without_end = (ageing[i, 0], ageing[i, 1], 0.0, c.battery_max_c[i], 0.0, 0.0, 0.0)
    return _cost(u, matrices, warming, room, 0, levels, series, without_end, per_block, step_h)


@njit(parallel=True, cache=True)
def search(c, step, start, every, eased, ageing, known, per_block, step_s, setpoint_c, cost):  # type: ignore[no-untyped-def]
    """Search the set points (n, T) of the known rooms, and what they cost (n,). ``every`` holds series (n, T)."""
    for i in prange(len(start)):
        if known[i]:
            cost[i] = _search_room(c, step, start, i, every, eased, ageing, per_block, step_s, setpoint_c[i])
