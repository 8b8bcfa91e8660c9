"""What one cooling unit can do and draws, as scalars: shared by the simulated room and by what is planned with it.

``c`` is a ``hw.power.cooling.Cooling``, ``i`` a room. A compressor works as a fixed fraction of the ideal cycle between
its heat exchangers, whose distance from the air shrinks with the load. A fan moves heat with its speed and draws the
cube of it (affinity laws; ASHRAE Handbook, HVAC Systems and Equipment, chapter on fans).
"""

from __future__ import annotations

from numba import njit

from hw.power.cooling_spec import KELVIN, RATED_INDOOR_C, RATED_OUTDOOR_C

MOST_CAPACITY, LEAST_CAPACITY = (
    1.25,
    0.2,
)  # over rated: a compressor's valves and metering let no more through
LEAST_LIFT_K = 15.0  # below it a compressor no longer becomes more efficient
URGENT_DIFFERENCE_K = 0.5  # between room and outdoors, at which fans still help a hot room


@njit(inline="always")
def capacity_w(c, i, air_c, outdoor_c):  # type: ignore[no-untyped-def]
    """Most heat that the compressor of room i removes. [W]"""
    indoor = c.capacity_per_indoor_k[i] * (air_c - RATED_INDOOR_C)
    outdoor = c.capacity_per_outdoor_k[i] * (outdoor_c - RATED_OUTDOOR_C)
    return c.capacity_w[i] * min(max(1 + indoor - outdoor, LEAST_CAPACITY), MOST_CAPACITY)


@njit(inline="always")
def compressor_w(c, i, air_c, outdoor_c, removed_w, most_w):  # type: ignore[no-untyped-def]
    """Electric power of the running unit that removes ``removed_w`` of at most ``most_w``, without standby. [W]"""
    load = removed_w / most_w
    evaporating_c = air_c - c.evaporator_approach_k[i] * load
    condensing_c = max(outdoor_c + c.condenser_approach_k[i] * load, c.condensing_min_c[i])
    lift_k = max(condensing_c - evaporating_c, LEAST_LIFT_K)
    return c.auxiliary_w[i] + removed_w * lift_k / (c.carnot_ratio[i] * (evaporating_c + KELVIN))


@njit(inline="always")
def may_ventilate(c, i, air_c, outdoor_c, dewpoint_c):  # type: ignore[no-untyped-def]
    """Whether outdoor air is cold and dry enough; in a room that is too hot it need only be colder than the room."""
    difference_k = air_c - outdoor_c
    if air_c >= c.setpoint_max_c[i] + c.band_k[i]:
        return difference_k >= URGENT_DIFFERENCE_K
    # a dew point that nobody knows is no dry one
    return difference_k >= c.min_difference_k[i] and dewpoint_c <= c.dewpoint_max_c[i]


@njit(inline="always")
def fan_w(c, i, speed):  # type: ignore[no-untyped-def]
    """Electric power of the fans at a mean speed; below the least speed they run for part of the time. [W]"""
    least = c.least_speed_ratio[i]
    return c.fan_w[i] * (speed**3 if speed >= least else speed * least**2)


@njit(inline="always")
def asked_c(c, i, setpoint_c):  # type: ignore[no-untyped-def]
    """The set point in force: within its limits, and the safe one where what is asked is no number."""
    if not abs(setpoint_c) < 1e9:
        return c.safe_setpoint_c[i]
    return min(max(setpoint_c, c.setpoint_min_c[i]), c.setpoint_max_c[i])
