"""What a cooled room is expected to do in a planning step, without the ups and downs of a thermostat.

Heat moves as in ``hw.power.room``, exactly over the step; the unit removes what brings the air to the set point by the
end of the step, as far as it can, fans first. A compressor that would have to run slower than it can runs for part of
the time: the length of its cycles follows from the band of the thermostat, and each start costs what the unit loses.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from hw.power.cooling import Cooling, RoomState
from hw.power.cooling_spec import SUBSTEP_S
from hw.power.cooling_unit import asked_c, capacity_w, compressor_w, fan_w, may_ventilate, unit_of
from hw.power.room import AIR, BATTERY, MASS, TO_AIR, transition


class Ahead(NamedTuple):
    """What is forecast for n rooms over T steps. Arrays (n, T)."""

    outdoor_c: NDArray[np.float64]
    dewpoint_c: NDArray[np.float64]  # NaN: not known
    solar_w: NDArray[np.float64]  # into the walls
    heat_w: NDArray[np.float64]  # of loads and losses inside


class Expected(NamedTuple):
    """What n rooms are expected to do over T steps; temperatures at the end of each step. Arrays (n, T)."""

    electric_w: NDArray[np.float64]
    air_c: NDArray[np.float64]
    mass_c: NDArray[np.float64]
    battery_c: NDArray[np.float64]


def expect(
    cooling: Cooling, state: RoomState, ahead: Ahead, setpoint_c: NDArray[np.float64], step_s: float
) -> Expected:
    """What comes of the set points (n, T). ``state`` is left as it is. NaN stays NaN from where it enters.

    Raises ValueError where shapes differ.
    """
    series = as_series(cooling, ahead, setpoint_c=setpoint_c)
    found = Expected(*(np.empty(series[0].shape) for _ in Expected._fields))
    start = np.stack([state.air_c, state.mass_c, state.battery_c], 1)
    _expect(cooling, transition(cooling.rate, cooling.gain, step_s), start, series, found)
    return found


def expected_cooling_w(
    cooling: Cooling, state: RoomState, ahead: Ahead, setpoint_c: NDArray[np.float64], step_s: float
) -> NDArray[np.float64]:
    """Expected electric power of cooling (n, T), part of the load of a site planner. [W]"""
    return expect(cooling, state, ahead, setpoint_c, step_s).electric_w


def as_series(cooling: Cooling, ahead: Ahead, **more: NDArray[np.float64]) -> tuple[NDArray[np.float64], ...]:
    """Contiguous float64 arrays of one shape (n, T), those of ``ahead`` first. Raises ValueError."""
    named = ahead._asdict() | more
    shape = np.shape(ahead.outdoor_c)
    if len(shape) != 2 or shape[0] != len(cooling.alarm_c) or shape[1] < 1:
        raise ValueError(f"outdoor_c must have shape ({len(cooling.alarm_c)}, T), not {shape}")
    for name, values in named.items():
        if np.shape(values) != shape:
            raise ValueError(f"{name} must have shape {shape}, not {np.shape(values)}")
    return tuple(np.ascontiguousarray(values, np.float64) for values in named.values())


@njit(inline="always")
def _row(matrix, node, a, b, c):  # type: ignore[no-untyped-def]
    return matrix[node, 0] * a + matrix[node, 1] * b + matrix[node, 2] * c


@njit(inline="always")
def _compressor(u, air_c, outdoor_c, needed_w, warming):  # type: ignore[no-untyped-def]
    """Mean heat removed and electric power of a compressor that is to remove ``needed_w``.

    ``warming`` is how fast heat warms the air within a cycle [K/(s W)].
    """
    most = capacity_w(u, air_c, outdoor_c)
    on = min(max(needed_w, u.least_load_ratio * most), most)
    drawn = compressor_w(u, air_c, outdoor_c, on, most)
    if needed_w >= on:
        return on, drawn
    # up by the heat that is not removed, down by what is removed beyond it, across twice the band each time
    share = needed_w / on
    cycle_s = 2 * u.band_k / (warming * on * share * (1 - share))
    cycle_s = max(cycle_s, u.min_run_s / share, u.min_rest_s / (1 - share))
    return needed_w, drawn * min(share + u.start_loss_s / cycle_s, 1.0)


@njit(inline="always")
def expected_step(u, matrices, warming, room, weather, setpoint_c):  # type: ignore[no-untyped-def]
    """One step of a room. Returns its electric power and its three temperatures at the end."""
    keep, push, hold, lean = matrices
    air, mass, battery = room
    outdoor_c, dewpoint_c, solar_w, heat_w = weather
    end = _row(keep, AIR, air, mass, battery) + _row(push, AIR, heat_w, solar_w, outdoor_c)
    needed = max((end - setpoint_c) / push[AIR, TO_AIR], 0.0)
    moved, electric = 0.0, u.standby_w
    if needed > 0:
        mean = _row(hold, AIR, air, mass, battery) + _row(lean, AIR, heat_w, solar_w, outdoor_c)
        most_free = 0.0
        # the air rises by the band before a compressor starts, and may be warm enough for fans on half the way
        typical = max(air, min(end, setpoint_c + u.band_k / 2))
        if u.conductance_w_per_k > 0 and may_ventilate(u, typical, outdoor_c, dewpoint_c):
            most_free = u.conductance_w_per_k * max(mean - outdoor_c, 0.0)
            most_free /= 1 + u.conductance_w_per_k * lean[AIR, TO_AIR]
        # a compressor starts only once the air is beyond the band
        most_warm = most_free + u.band_k / push[AIR, TO_AIR]
        if most_free > 0 and (most_warm >= needed or u.capacity_w == 0):
            moved = min(needed, most_free)
            difference = mean - lean[AIR, TO_AIR] * moved - outdoor_c
            electric += fan_w(u, moved / (u.conductance_w_per_k * difference))
        elif u.capacity_w > 0:
            moved, drawn = _compressor(u, mean - lean[AIR, TO_AIR] * needed, outdoor_c, needed, warming)
            electric += drawn
    to_air = heat_w - moved
    return (
        electric,
        end - push[AIR, TO_AIR] * moved,
        _row(keep, MASS, air, mass, battery) + _row(push, MASS, to_air, solar_w, outdoor_c),
        _row(keep, BATTERY, air, mass, battery) + _row(push, BATTERY, to_air, solar_w, outdoor_c),
    )


@njit(inline="always")
def warming_of(c, i):  # type: ignore[no-untyped-def]
    """How fast heat warms the air of room i within minutes. [K/(s W)]"""
    return c.push[i, AIR, TO_AIR] / SUBSTEP_S


@njit(cache=True, error_model="numpy")
def _expect_room(c, step, start, i, series, found):  # type: ignore[no-untyped-def]
    outdoor_c, dewpoint_c, solar_w, heat_w, setpoint_c = series
    u, warming = unit_of(c, i), warming_of(c, i)
    matrices = (step.keep[i], step.push[i], step.hold[i], step.lean[i])
    room = (start[i, AIR], start[i, MASS], start[i, BATTERY])
    for k in range(outdoor_c.shape[1]):
        weather = (outdoor_c[i, k], dewpoint_c[i, k], solar_w[i, k], heat_w[i, k])
        asked = asked_c(u, setpoint_c[i, k])
        drawn, air, mass, battery = expected_step(u, matrices, warming, room, weather, asked)
        room = (air, mass, battery)
        found.electric_w[i, k], found.air_c[i, k] = drawn, air
        found.mass_c[i, k], found.battery_c[i, k] = mass, battery


@njit(parallel=True, cache=True)
def _expect(c, step, start, series, found):  # type: ignore[no-untyped-def]
    for i in prange(len(start)):
        _expect_room(c, step, start, i, series, found)
