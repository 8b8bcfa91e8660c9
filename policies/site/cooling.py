"""Set points of cooling: cool while power is cheap and air is cold, drift while it is dear, mind the battery's age.

What a room costs is the energy of its cooling at the price of each step, and the calendar ageing of its battery, which
a warmer cell does faster. The plan begins with one set point for cheap hours and one for dear ones, and changes them
block by block, singly and several at a time, as long as that makes the whole horizon cheaper: pre-cooling before a dear
hour and drifting through it come out of that. It keeps to the limits of the room, and as
``policies.site.cooling_model`` expects it, never costs more than the safe set point. Missing input makes it the safe
set point.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hw.power.cooling import Cooling, RoomState
from hw.power.room import transition
from policies.site.cooling_model import Ahead, as_series, expect
from policies.site.cooling_search import search

PLANNED, FALLBACK = np.uint8(0), np.uint8(1)  # status: FALLBACK is the safe set point, for want of input
NEAR_ALARM_K = 5.0  # below the alarm, from where on a room is cooled as far as its limits allow
ROOM_SENSOR_C = (-40.0, 90.0)  # what a sensor may say


class Costs(NamedTuple):
    """What n rooms are to mind over T steps."""

    price: NDArray[np.float64]  # of energy at the meter, what a peak is worth included. (n, T) [currency/kWh]
    ageing_per_h: NDArray[np.float64]  # calendar ageing of the battery at 25 degC. (n,) [currency/h]
    ageing_per_k: NDArray[np.float64]  # its relative growth, e.g. 0.043: 31.7 kJ/mol at 25 degC. (n,) [1/K]


class CoolingPlan(NamedTuple):
    """Set points of n rooms over T steps, and what is expected of them."""

    setpoint_c: NDArray[np.float64]  # (n, T)
    electric_w: NDArray[np.float64]  # (n, T)
    air_c: NDArray[np.float64]  # here and below at the end of each step. (n, T)
    mass_c: NDArray[np.float64]  # (n, T)
    battery_c: NDArray[np.float64]  # (n, T)
    cost: NDArray[np.float64]  # energy and ageing over the horizon; NaN without a plan. (n,) [currency]
    status: NDArray[np.uint8]  # (n,)


class Flexible(NamedTuple):
    """What n rooms can spare now by letting the air drift to its upper limit. Arrays (n,)."""

    saved_w: NDArray[np.float64]  # electric power, mean over the coming step
    drift_k: NDArray[np.float64]  # how much warmer the air is after it
    held_s: NDArray[np.float64]  # until the compressor or the fans are needed again


def fixed_setpoint(cooling: Cooling, n_steps: int) -> NDArray[np.float64]:
    """The baseline: the safe set point at all times. (n, n_steps) [degC]"""
    return np.repeat(cooling.safe_setpoint_c[:, None], n_steps, axis=1)


def plan_setpoints(
    cooling: Cooling,
    state: RoomState,
    ahead: Ahead,
    costs: Costs,
    step_s: float,
    *,
    ease: NDArray[np.bool_] | None = None,
    block_s: float = 3600,
) -> CoolingPlan:
    """Plan the set points of all rooms over the horizon of ``ahead``.

    Parameters
    ----------
    ease : steps in which the air may drift to its upper limit whatever the price: a grid event, or the site on
        battery. Shape (n, T).
    block_s : time for which a set point stays, a whole number of steps. [s]

    A room with a forecast, price or temperature that is not finite gets the safe set point and status FALLBACK; an
    unknown dew point does not count. Raises ValueError where shapes differ or a block is no whole number of steps.
    """
    series = as_series(cooling, ahead, price=costs.price)
    n, n_steps = series[0].shape
    per_block = round(block_s / step_s)
    if per_block < 1 or per_block * step_s != block_s:
        raise ValueError(f"block_s must be a whole number of steps of {step_s} s, not {block_s}")
    eased = np.zeros((n, n_steps), np.bool_) if ease is None else np.ascontiguousarray(ease, np.bool_)
    ageing = np.stack([costs.ageing_per_h, costs.ageing_per_k], 1).astype(np.float64)
    if eased.shape != (n, n_steps) or ageing.shape != (n, 2):
        raise ValueError(f"ease must have shape {(n, n_steps)} and ageing {(n,)}")
    start = np.stack([state.air_c, state.mass_c, state.battery_c], 1)
    outdoor_c, _, solar_w, heat_w, price = series
    known = np.isfinite(start).all(1) & np.isfinite(ageing).all(1)
    for values in (outdoor_c, solar_w, heat_w, price):
        known &= np.isfinite(values).all(1)
    setpoint_c, cost = fixed_setpoint(cooling, n_steps), np.full(n, np.nan)
    step = transition(cooling.rate, cooling.gain, step_s)
    search(cooling, step, start, series, eased, ageing, known, per_block, step_s, setpoint_c, cost)
    found = expect(cooling, state, ahead, setpoint_c, step_s)
    status = np.where(known, PLANNED, FALLBACK).astype(np.uint8)
    return CoolingPlan(setpoint_c, *found, cost, status)


def guard_setpoint(
    cooling: Cooling,
    asked_c: NDArray[np.float64],
    air_c: NDArray[np.float64],
    battery_c: NDArray[np.float64],
) -> NDArray[np.float64]:
    """The last word on set points, by what is measured; it may only cool more. Arrays (n,). [degC]

    No number, or a sensor that says what cannot be: no warmer than the safe set point. A room near its alarm: as cold
    as its limits allow. Cells above their preferred range: no warmer than the top of it.
    """
    low_c, high_c = ROOM_SENSOR_C
    setpoint_c = np.where(np.isfinite(asked_c), asked_c, cooling.safe_setpoint_c)
    setpoint_c = np.clip(setpoint_c, cooling.setpoint_min_c, cooling.setpoint_max_c)
    sound = (air_c >= low_c) & (air_c <= high_c) & (battery_c >= low_c) & (battery_c <= high_c)
    setpoint_c = np.where(sound, setpoint_c, np.minimum(setpoint_c, cooling.safe_setpoint_c))
    limit_c = np.clip(cooling.battery_max_c, cooling.setpoint_min_c, cooling.setpoint_max_c)
    setpoint_c = np.where(battery_c > cooling.battery_max_c, np.minimum(setpoint_c, limit_c), setpoint_c)
    return np.where(air_c >= cooling.alarm_c - NEAR_ALARM_K, cooling.setpoint_min_c, setpoint_c)


def flexible_part(
    cooling: Cooling, state: RoomState, ahead: Ahead, setpoint_c: NDArray[np.float64], step_s: float
) -> Flexible:
    """What cooling can spare in the coming step, against holding the set points (n, T), and for how long."""
    held = expect(cooling, state, ahead, setpoint_c, step_s)
    drifting = expect(
        cooling, state, ahead, np.repeat(cooling.setpoint_max_c[:, None], held.air_c.shape[1], 1), step_s
    )
    idle = drifting.electric_w <= cooling.standby_w[:, None] + 1e-9
    steps = np.where(idle.all(1), idle.shape[1], np.argmin(idle, axis=1))
    saved_w = np.maximum(held.electric_w[:, 0] - drifting.electric_w[:, 0], 0.0)
    return Flexible(saved_w, drifting.air_c[:, 0] - held.air_c[:, 0], steps * float(step_s))
