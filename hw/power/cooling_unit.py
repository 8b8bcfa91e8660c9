"""What one cooling unit can do and draws, as scalars: shared by the simulated room and by what is planned with it.

A compressor works as a fixed fraction of the ideal cycle between
its heat exchangers, whose distance from the air shrinks with the load. A fan moves heat with its speed and draws the
cube of it (affinity laws; ASHRAE Handbook, HVAC Systems and Equipment, chapter on fans).
"""

from __future__ import annotations

from typing import NamedTuple

from numba import njit

from hw.power.cooling_spec import KELVIN, RATED_INDOOR_C, RATED_OUTDOOR_C

MOST_CAPACITY, LEAST_CAPACITY = (
    1.25,
    0.2,
)  # over rated: a compressor's valves and metering let no more through
LEAST_LIFT_K = 15.0  # below it a compressor no longer becomes more efficient
URGENT_DIFFERENCE_K = 0.5  # between room and outdoors, at which fans still help a hot room


class Unit(NamedTuple):
    """One unit as scalars, fields as in ``hw.power.cooling.Cooling``: a loop that reads arrays of a tuple is slow."""

    capacity_w: float
    carnot_ratio: float
    capacity_per_outdoor_k: float
    capacity_per_indoor_k: float
    evaporator_approach_k: float
    condenser_approach_k: float
    condensing_min_c: float
    auxiliary_w: float
    standby_w: float
    least_load_ratio: float
    start_loss_s: float
    min_run_s: float
    min_rest_s: float
    conductance_w_per_k: float
    fan_w: float
    least_speed_ratio: float
    min_difference_k: float
    dewpoint_max_c: float
    setpoint_min_c: float
    setpoint_max_c: float
    safe_setpoint_c: float
    band_k: float


@njit(inline="always")
def unit_of(c, i):  # type: ignore[no-untyped-def]
    """The unit of room i of a ``Cooling``."""
    return Unit(
        c.capacity_w[i],
        c.carnot_ratio[i],
        c.capacity_per_outdoor_k[i],
        c.capacity_per_indoor_k[i],
        c.evaporator_approach_k[i],
        c.condenser_approach_k[i],
        c.condensing_min_c[i],
        c.auxiliary_w[i],
        c.standby_w[i],
        c.least_load_ratio[i],
        c.start_loss_s[i],
        c.min_run_s[i],
        c.min_rest_s[i],
        c.conductance_w_per_k[i],
        c.fan_w[i],
        c.least_speed_ratio[i],
        c.min_difference_k[i],
        c.dewpoint_max_c[i],
        c.setpoint_min_c[i],
        c.setpoint_max_c[i],
        c.safe_setpoint_c[i],
        c.band_k[i],
    )


@njit(inline="always")
def capacity_w(u, air_c, outdoor_c):  # type: ignore[no-untyped-def]
    """Most heat that the compressor removes. [W]"""
    indoor = u.capacity_per_indoor_k * (air_c - RATED_INDOOR_C)
    outdoor = u.capacity_per_outdoor_k * (outdoor_c - RATED_OUTDOOR_C)
    return u.capacity_w * min(max(1 + indoor - outdoor, LEAST_CAPACITY), MOST_CAPACITY)


@njit(inline="always")
def compressor_w(u, air_c, outdoor_c, removed_w, most_w):  # type: ignore[no-untyped-def]
    """Electric power of the running unit that removes ``removed_w`` of at most ``most_w``, without standby. [W]"""
    load = removed_w / most_w
    evaporating_c = air_c - u.evaporator_approach_k * load
    condensing_c = max(outdoor_c + u.condenser_approach_k * load, u.condensing_min_c)
    lift_k = max(condensing_c - evaporating_c, LEAST_LIFT_K)
    return u.auxiliary_w + removed_w * lift_k / (u.carnot_ratio * (evaporating_c + KELVIN))


@njit(inline="always")
def may_ventilate(u, air_c, outdoor_c, dewpoint_c):  # type: ignore[no-untyped-def]
    """Whether outdoor air is cold and dry enough; in a room that is too hot it need only be colder than the room."""
    difference_k = air_c - outdoor_c
    if air_c >= u.setpoint_max_c + u.band_k:
        return difference_k >= URGENT_DIFFERENCE_K
    # a dew point that nobody knows is no dry one
    return difference_k >= u.min_difference_k and dewpoint_c <= u.dewpoint_max_c


@njit(inline="always")
def fan_w(u, speed):  # type: ignore[no-untyped-def]
    """Electric power of the fans at a mean speed; below the least speed they run for part of the time. [W]"""
    least = u.least_speed_ratio
    return u.fan_w * (speed**3 if speed >= least else speed * least**2)


@njit(inline="always")
def asked_c(u, setpoint_c):  # type: ignore[no-untyped-def]
    """The set point in force: within its limits, and the safe one where what is asked is no number."""
    if not abs(setpoint_c) < 1e9:
        return u.safe_setpoint_c
    return min(max(setpoint_c, u.setpoint_min_c), u.setpoint_max_c)
