"""One room over one step: the unit's thermostat minute by minute, and every flow from its own component.

    air at or above set point + band   the compressor starts, if it has rested long enough
    air at or below set point - band   it stops, if it has run long enough; also once fans alone would do in 15 minutes
    compressor at rest                 fans hold the set point, where outdoor air is cold and dry enough

At fixed speed the compressor runs full, at variable speed it holds the set point. Without mains it stands still, and so
do fans on the AC side. Fans and compressor never run together.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from hw.power.cooling_spec import SUBSTEP_S
from hw.power.cooling_unit import asked_c, capacity_w, compressor_w, fan_w, may_ventilate, unit_of
from hw.power.room import AIR, BATTERY, MASS, TO_AIR

# columns of the flows [W], means over the step
COMPRESSOR, FAN_AC, FAN_DC, STANDBY = 0, 1, 2, 3  # electric
REMOVED_COMPRESSOR, REMOVED_FREE, HEAT, SOLAR, ENVELOPE = 4, 5, 6, 7, 8  # heat; ENVELOPE is inward
STORED_BEFORE, STORED_AFTER = 9, 10  # above 0 degC [Wh]
HOTTEST = 11  # air at the end of a sub-step [degC]
N_FLOWS = 12
PATIENCE_SUBSTEPS = 15  # in which fans alone would have to reach the set point


@njit(inline="always")
def _mix(matrix, node, a, b, c):  # type: ignore[no-untyped-def]
    """One row of a matrix times a vector of three."""
    return matrix[node, 0] * a + matrix[node, 1] * b + matrix[node, 2] * c


@njit(inline="always")
def _stored_wh(c, s, i):  # type: ignore[no-untyped-def]
    held = c.stored_wh_per_k
    return held[i, AIR] * s.air_c[i] + held[i, MASS] * s.mass_c[i] + held[i, BATTERY] * s.battery_c[i]


@njit(inline="always")
def _wanted(u, running, since_s, air_c, setpoint_c, fans_suffice, mains):  # type: ignore[no-untyped-def]
    """Whether the compressor runs now."""
    wanted = running
    if air_c >= setpoint_c + u.band_k:
        wanted = not fans_suffice
    elif air_c <= setpoint_c - u.band_k or fans_suffice:
        wanted = False
    if wanted != running and since_s < (u.min_run_s if running else u.min_rest_s):
        wanted = running
    return wanted and mains and u.capacity_w > 0


@njit(cache=True, error_model="numpy")
def _room(c, s, i, outdoor_c, solar_w, heat_w, setpoint_c, dewpoint_c, mains, n_substeps, row):  # type: ignore[no-untyped-def]
    """Room i over one step of ``n_substeps`` minutes. ``row`` (N_FLOWS,)"""
    keep, push, hold, lean = c.keep[i], c.push[i], c.hold[i], c.lean[i]
    u = unit_of(c, i)
    asked, conductance = asked_c(u, setpoint_c), u.conductance_w_per_k
    air, mass, battery = s.air_c[i], s.mass_c[i], s.battery_c[i]
    running, since, starts = s.running[i], s.since_s[i], s.starts[i]
    row[STORED_BEFORE] = _stored_wh(c, s, i)
    has_fans = conductance > 0 and (mains or c.fan_is_dc[i])
    compressor, fan, by_compressor, by_fan = 0.0, 0.0, 0.0, 0.0
    sum_air, sum_mass, hottest = 0.0, 0.0, -np.inf
    for _ in range(n_substeps):
        # what the minute would bring without cooling: air at its end and in its mean
        end = _mix(keep, AIR, air, mass, battery) + _mix(push, AIR, heat_w, solar_w, outdoor_c)
        mean = _mix(hold, AIR, air, mass, battery) + _mix(lean, AIR, heat_w, solar_w, outdoor_c)
        needed = max((end - asked) / push[AIR, TO_AIR], 0.0)
        most_free, moved, speed = 0.0, 0.0, 0.0
        if has_fans and may_ventilate(u, air, outdoor_c, dewpoint_c):
            # fans cool the air that they cool with, so their most depends on what they remove
            most_free = conductance * max(mean - outdoor_c, 0.0) / (1 + conductance * lean[AIR, TO_AIR])
            moved = min(needed, most_free)
            if moved > 0:
                speed = moved / (conductance * (mean - lean[AIR, TO_AIR] * moved - outdoor_c))
        # what it takes to reach the set point unhurriedly: fans get that time before a compressor is started
        gently = (end - air + (air - asked) / PATIENCE_SUBSTEPS) / push[AIR, TO_AIR]
        before, suffice = running, most_free > 0 and most_free >= gently
        running = _wanted(u, before, since, air, asked, suffice, mains)
        if running != before:
            since, starts = 0.0, starts + running
        if running:
            most = capacity_w(u, air, outdoor_c)
            moved = min(max(needed, u.least_load_ratio * most), most)
            compressor += compressor_w(u, air, outdoor_c, moved, most)
            if not before:
                moved *= 1 - u.start_loss_s / SUBSTEP_S
            by_compressor += moved
        else:
            fan += fan_w(u, speed)
            by_fan += moved
        since += SUBSTEP_S
        sum_air += mean - lean[AIR, TO_AIR] * moved
        to_air = heat_w - moved
        sum_mass += _mix(hold, MASS, air, mass, battery) + _mix(lean, MASS, to_air, solar_w, outdoor_c)
        air, mass, battery = (
            end - push[AIR, TO_AIR] * moved,
            _mix(keep, MASS, air, mass, battery) + _mix(push, MASS, to_air, solar_w, outdoor_c),
            _mix(keep, BATTERY, air, mass, battery) + _mix(push, BATTERY, to_air, solar_w, outdoor_c),
        )
        hottest = max(hottest, air)
    s.air_c[i], s.mass_c[i], s.battery_c[i] = air, mass, battery
    s.running[i], s.since_s[i], s.starts[i] = running, since, starts
    row[HEAT], row[SOLAR], row[STANDBY], row[HOTTEST] = heat_w, solar_w, u.standby_w * mains, hottest
    row[COMPRESSOR], row[FAN_DC if c.fan_is_dc[i] else FAN_AC] = compressor / n_substeps, fan / n_substeps
    row[REMOVED_COMPRESSOR], row[REMOVED_FREE] = by_compressor / n_substeps, by_fan / n_substeps
    row[ENVELOPE] = c.outdoor_w_per_k[i, AIR] * (outdoor_c - sum_air / n_substeps)
    row[ENVELOPE] += c.outdoor_w_per_k[i, MASS] * (outdoor_c - sum_mass / n_substeps)
    row[STORED_AFTER] = _stored_wh(c, s, i)


@njit(parallel=True, cache=True)
def drive(c, s, series, mains, n_substeps, flows):  # type: ignore[no-untyped-def]
    """Carry all rooms one step on; ``series`` are the inputs of ``cooling.cool_flows``, ``flows`` (n, N_FLOWS)."""
    outdoor_c, solar_w, heat_w, setpoint_c, dewpoint_c = series
    for i in prange(len(flows)):
        _room(
            c,
            s,
            i,
            outdoor_c[i],
            solar_w[i],
            heat_w[i],
            setpoint_c[i],
            dewpoint_c[i],
            mains[i],
            n_substeps,
            flows[i],
        )
