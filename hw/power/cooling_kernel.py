"""One room over one step: the unit's thermostat minute by minute, and every flow from its own component.

    air at or above set point + band   the compressor starts, if it has rested long enough
    air at or below set point - band   it stops, if it has run long enough; also once fans alone would do
    compressor at rest                 fans hold the set point, where outdoor air is cold and dry enough

At fixed speed the compressor runs full, at variable speed it holds the set point. Without mains it stands still, and so
do fans on the AC side. Fans and compressor never run together.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from hw.power.cooling_spec import SUBSTEP_S
from hw.power.cooling_unit import asked_c, capacity_w, compressor_w, fan_w, may_ventilate
from hw.power.room import AIR, BATTERY, MASS

# columns of the flows [W], means over the step
COMPRESSOR, FAN_AC, FAN_DC, STANDBY = 0, 1, 2, 3  # electric
REMOVED_COMPRESSOR, REMOVED_FREE, HEAT, SOLAR, ENVELOPE = 4, 5, 6, 7, 8  # heat; ENVELOPE is inward
STORED_BEFORE, STORED_AFTER = 9, 10  # above 0 degC [Wh]
HOTTEST = 11  # air at the end of a sub-step [degC]
N_FLOWS = 12


@njit(inline="always")
def _through(keep, push, node, air_c, mass_c, battery_c, to_air_w, to_mass_w, outdoor_c):  # type: ignore[no-untyped-def]
    """One node at the end of a sub-step, or its mean over it, by the matrices given."""
    own = keep[node, 0] * air_c + keep[node, 1] * mass_c + keep[node, 2] * battery_c
    return own + push[node, 0] * to_air_w + push[node, 1] * to_mass_w + push[node, 2] * outdoor_c


@njit(inline="always")
def _stored_wh(c, s, i):  # type: ignore[no-untyped-def]
    held = c.stored_wh_per_k
    return held[i, AIR] * s.air_c[i] + held[i, MASS] * s.mass_c[i] + held[i, BATTERY] * s.battery_c[i]


@njit(inline="always")
def _switch(c, s, i, setpoint_c, fans_suffice, mains):  # type: ignore[no-untyped-def]
    """Start or stop the compressor. Returns whether it started."""
    running = s.running[i]
    wanted = running
    if s.air_c[i] >= setpoint_c + c.band_k[i]:
        wanted = not fans_suffice
    elif s.air_c[i] <= setpoint_c - c.band_k[i] or fans_suffice:
        wanted = False
    held_s = c.min_run_s[i] if running else c.min_rest_s[i]
    if wanted != running and s.since_s[i] < held_s:
        wanted = running
    wanted = wanted and mains and c.capacity_w[i] > 0
    if wanted != running:
        s.running[i], s.since_s[i] = wanted, 0.0
        s.starts[i] += wanted
    return wanted and not running


@njit(cache=True, error_model="numpy")
def _room(c, s, i, outdoor_c, solar_w, heat_w, setpoint_c, dewpoint_c, mains, n_substeps, row):  # type: ignore[no-untyped-def]
    """Room i over one step of ``n_substeps`` minutes. ``row`` (N_FLOWS,)"""
    keep, push, hold, lean = c.keep[i], c.push[i], c.hold[i], c.lean[i]
    asked, conductance, share = asked_c(c, i, setpoint_c), c.conductance_w_per_k[i], 1 / n_substeps
    row[HEAT], row[SOLAR], row[STANDBY], row[HOTTEST] = heat_w, solar_w, c.standby_w[i] * mains, -np.inf
    row[STORED_BEFORE] = _stored_wh(c, s, i)
    has_fans = conductance > 0 and (mains or c.fan_is_dc[i])
    for _ in range(n_substeps):
        air, mass, battery = s.air_c[i], s.mass_c[i], s.battery_c[i]
        coasting = _through(keep, push, AIR, air, mass, battery, heat_w, solar_w, outdoor_c)
        needed = max((coasting - asked) / push[AIR, 0], 0.0)
        by_fans, moved, speed = (
            0.0,
            0.0,
            0.0,
        )  # most that fans could remove; what is removed; speed of the fans
        if has_fans and may_ventilate(c, i, air, outdoor_c, dewpoint_c):
            # the air is cooled by what it loses, so its mean over the minute depends on that
            mean = _through(hold, lean, AIR, air, mass, battery, heat_w, solar_w, outdoor_c)
            by_fans = conductance * max(mean - outdoor_c, 0.0) / (1 + conductance * lean[AIR, 0])
            if by_fans > 0:
                moved = min(needed, by_fans)
                speed = moved / (conductance * (mean - lean[AIR, 0] * moved - outdoor_c))
        started = _switch(c, s, i, asked, by_fans > 0 and by_fans >= needed, mains)
        if s.running[i]:
            most = capacity_w(c, i, air, outdoor_c)
            moved = min(max(needed, c.least_load_ratio[i] * most), most)
            row[COMPRESSOR] += share * compressor_w(c, i, air, outdoor_c, moved, most)
            if started:
                moved *= 1 - c.start_loss_s[i] / SUBSTEP_S
            row[REMOVED_COMPRESSOR] += share * moved
        else:
            row[FAN_DC if c.fan_is_dc[i] else FAN_AC] += share * fan_w(c, i, speed)
            row[REMOVED_FREE] += share * moved
        s.since_s[i] += SUBSTEP_S
        to_air = heat_w - moved
        mean_air = _through(hold, lean, AIR, air, mass, battery, to_air, solar_w, outdoor_c)
        mean_mass = _through(hold, lean, MASS, air, mass, battery, to_air, solar_w, outdoor_c)
        row[ENVELOPE] += share * c.outdoor_w_per_k[i, AIR] * (outdoor_c - mean_air)
        row[ENVELOPE] += share * c.outdoor_w_per_k[i, MASS] * (outdoor_c - mean_mass)
        s.air_c[i] = _through(keep, push, AIR, air, mass, battery, to_air, solar_w, outdoor_c)
        s.mass_c[i] = _through(keep, push, MASS, air, mass, battery, to_air, solar_w, outdoor_c)
        s.battery_c[i] = _through(keep, push, BATTERY, air, mass, battery, to_air, solar_w, outdoor_c)
        row[HOTTEST] = max(row[HOTTEST], s.air_c[i])
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
