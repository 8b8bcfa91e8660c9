"""Simulated cooling of rooms: compressor, free cooling and the three lumps of heat of ``hw.power.room``.

One step holds whole sub-steps of a minute, whatever its length, so 5, 15 and 60 minutes do the same;
``hw.power.cooling_kernel`` says what happens in one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hw.power import cooling_kernel as at
from hw.power import room
from hw.power.cooling_spec import SUBSTEP_S, CoolingSpec


class Cooling(NamedTuple):
    """n rooms with their units; arrays (n,) unless said. Flat, as numba's parallel loops take no tuple in a tuple."""

    stored_wh_per_k: NDArray[np.float64]  # (n, 3), here and below as in room.Rooms
    outdoor_w_per_k: NDArray[np.float64]  # (n, 3)
    rate: NDArray[np.float64]  # (n, 3, 3)
    gain: NDArray[np.float64]  # (n, 3, 3)
    solar_area_m2: NDArray[np.float64]
    keep: NDArray[np.float64]  # (n, 3, 3), here and below as in room.Transition, of a sub-step
    push: NDArray[np.float64]  # (n, 3, 3)
    hold: NDArray[np.float64]  # (n, 3, 3)
    lean: NDArray[np.float64]  # (n, 3, 3)
    capacity_w: NDArray[np.float64]  # 0: no compressor
    carnot_ratio: NDArray[np.float64]
    capacity_per_outdoor_k: NDArray[np.float64]
    capacity_per_indoor_k: NDArray[np.float64]
    evaporator_approach_k: NDArray[np.float64]
    condenser_approach_k: NDArray[np.float64]
    condensing_min_c: NDArray[np.float64]
    auxiliary_w: NDArray[np.float64]
    standby_w: NDArray[np.float64]
    least_load_ratio: NDArray[np.float64]
    start_loss_s: NDArray[np.float64]
    min_run_s: NDArray[np.float64]
    min_rest_s: NDArray[np.float64]
    conductance_w_per_k: NDArray[np.float64]  # 0: no free cooling
    fan_w: NDArray[np.float64]
    fan_is_dc: NDArray[np.bool_]
    least_speed_ratio: NDArray[np.float64]
    min_difference_k: NDArray[np.float64]
    dewpoint_max_c: NDArray[np.float64]
    setpoint_min_c: NDArray[np.float64]
    setpoint_max_c: NDArray[np.float64]
    safe_setpoint_c: NDArray[np.float64]
    band_k: NDArray[np.float64]
    battery_min_c: NDArray[np.float64]
    battery_max_c: NDArray[np.float64]
    alarm_c: NDArray[np.float64]


class RoomState(NamedTuple):
    """n rooms, changed in place."""

    air_c: NDArray[np.float64]
    mass_c: NDArray[np.float64]
    battery_c: NDArray[np.float64]
    running: NDArray[np.bool_]  # the compressor
    since_s: NDArray[np.float64]  # its last start or stop
    starts: NDArray[np.int64]  # of it, so far


_IDLE_COMPRESSOR = {  # a room without one
    "capacity_w": 0.0,
    "carnot_ratio": 1.0,
    "capacity_per_outdoor_k": 0.0,
    "capacity_per_indoor_k": 0.0,
    "evaporator_approach_k": 0.0,
    "condenser_approach_k": 0.0,
    "condensing_min_c": 0.0,
    "auxiliary_w": 0.0,
    "standby_w": 0.0,
    "least_load_ratio": 1.0,
    "start_loss_s": 0.0,
    "min_run_s": 0.0,
    "min_rest_s": 0.0,
}
_IDLE_FANS = {
    "conductance_w_per_k": 0.0,
    "fan_w": 0.0,
    "least_speed_ratio": 1.0,
    "min_difference_k": 0.0,
    "dewpoint_max_c": -np.inf,
}


def make_cooling(specs: Sequence[CoolingSpec]) -> Cooling:
    """Rooms and units in arrays, one of each spec. Raises ValueError for an empty sequence."""
    if not specs:
        raise ValueError("specs must hold at least one room")
    columns: dict[str, list[float]] = {}
    for spec in specs:
        compressor, fans = spec.compressor, spec.free_cooling
        row = (
            dict(_IDLE_COMPRESSOR)
            if compressor is None
            else {k: getattr(compressor, k) for k in _IDLE_COMPRESSOR}
        )
        row |= _IDLE_FANS if fans is None else {k: getattr(fans, k) for k in _IDLE_FANS}
        if fans is not None and fans.dewpoint_max_c is None:
            row["dewpoint_max_c"] = np.inf
        row |= spec.limits.model_dump()
        for key, value in row.items():
            columns.setdefault(key, []).append(float(value))
    arrays = {key: np.array(values) for key, values in columns.items()}
    is_dc = np.array([s.free_cooling is not None and s.free_cooling.fan_supply == "dc" for s in specs])
    rooms = room.make_rooms([spec.room for spec in specs])
    substep = room.transition(rooms.rate, rooms.gain, SUBSTEP_S)
    return Cooling(**rooms._asdict(), **substep._asdict(), fan_is_dc=is_dc, **arrays)


def start_room(cooling: Cooling, temp_c: NDArray[np.float64]) -> RoomState:
    """Rooms that are at ``temp_c`` (n,) throughout, their compressors long at rest."""
    n = len(cooling.alarm_c)
    start_c = np.broadcast_to(np.asarray(temp_c, np.float64), n)
    rested = np.full(n, float(max(cooling.min_rest_s.max(), cooling.min_run_s.max())))
    return RoomState(
        start_c.copy(), start_c.copy(), start_c.copy(), np.zeros(n, np.bool_), rested, np.zeros(n, np.int64)
    )


def cool(
    cooling: Cooling,
    state: RoomState,
    outdoor_c: NDArray[np.float64],
    solar_w: NDArray[np.float64],
    heat_w: NDArray[np.float64],
    setpoint_c: NDArray[np.float64],
    step_s: float,
    *,
    dewpoint_c: NDArray[np.float64] | None = None,
    mains: NDArray[np.bool_] | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Electric power (n,) [W] and heat removed (n,) [W], as ``cool_flows`` does; DC fans are part of the former."""
    flows = cool_flows(
        cooling, state, outdoor_c, solar_w, heat_w, setpoint_c, step_s, dewpoint_c=dewpoint_c, mains=mains
    )
    return flows[:, at.COMPRESSOR : at.STANDBY + 1].sum(1), flows[:, at.REMOVED_COMPRESSOR] + flows[
        :, at.REMOVED_FREE
    ]


def cool_flows(
    cooling: Cooling,
    state: RoomState,
    outdoor_c: NDArray[np.float64],
    solar_w: NDArray[np.float64],
    heat_w: NDArray[np.float64],
    setpoint_c: NDArray[np.float64],
    step_s: float,
    *,
    dewpoint_c: NDArray[np.float64] | None = None,
    mains: NDArray[np.bool_] | None = None,
) -> NDArray[np.float64]:
    """Carry ``state`` one step on. All inputs are means over the step, shape (n,).

    Parameters
    ----------
    outdoor_c : outdoor air. [degC]
    solar_w : heat of the sun into the walls, see ``room.solar_heat_w``. [W]
    heat_w : electric power of loads, and losses, inside the room. [W]
    setpoint_c : air temperature to hold; NaN or infinite: the safe one. [degC]
    step_s : whole minutes. [s]
    dewpoint_c : of outdoor air. NaN or not given: not known, so fans let outdoor air in only when it is urgent. [degC]
    mains : grid present; not given: it is.

    Returns the flows, shape (n, N_FLOWS), columns as in ``cooling_kernel``. Raises ValueError for a step of broken
    minutes and for weather or heat that is not finite.
    """
    n = len(cooling.alarm_c)
    n_substeps = round(step_s / SUBSTEP_S)
    if n_substeps < 1 or n_substeps * SUBSTEP_S != step_s:
        raise ValueError(f"step_s must be a whole number of minutes, not {step_s}")
    series = {"outdoor_c": outdoor_c, "solar_w": solar_w, "heat_w": heat_w, "setpoint_c": setpoint_c}
    series["dewpoint_c"] = np.full(n, np.nan) if dewpoint_c is None else dewpoint_c
    arrays = {name: np.ascontiguousarray(values, np.float64) for name, values in series.items()}
    for name, values in arrays.items():
        if values.shape != (n,):
            raise ValueError(f"{name} must have shape {(n,)}, not {values.shape}")
        if name in ("outdoor_c", "solar_w", "heat_w") and not np.isfinite(values).all():
            raise ValueError(f"{name} is not finite in room {int(np.flatnonzero(~np.isfinite(values))[0])}")
    has_mains = np.ones(n, np.bool_) if mains is None else np.ascontiguousarray(mains, np.bool_)
    flows = np.zeros((n, at.N_FLOWS))
    at.drive(cooling, state, tuple(arrays.values()), has_mains, n_substeps, flows)
    return flows


def residual_w(flows: NDArray[np.float64], step_s: float) -> NDArray[np.float64]:
    """Heat in less heat out less change of stored, of each room (n,); zero but for rounding. [W]"""
    stored_w = (flows[:, at.STORED_AFTER] - flows[:, at.STORED_BEFORE]) * 3600 / step_s
    gained = flows[:, at.HEAT] + flows[:, at.SOLAR] + flows[:, at.ENVELOPE]
    return np.asarray(gained - flows[:, at.REMOVED_COMPRESSOR] - flows[:, at.REMOVED_FREE] - stored_w)
