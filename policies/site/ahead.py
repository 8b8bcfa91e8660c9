"""From what is expected of a site to the planner's problem at the meter."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hw.power.plant import Plant, State
from hw.power.view import View, meter_load_w, pv_meter_w, swing
from policies.site.problem import Fleet

Float64 = NDArray[np.float64]


class Expected(NamedTuple):
    """What a policy expects of the coming T steps at n sites. (n, T)"""

    dc_load_w: Float64
    ac_load_w: Float64
    pv_w: Float64  # DC power of the panels
    import_price: Float64  # [currency/kWh]
    export_price: Float64


class Bill(NamedTuple):
    """What the billing month has seen by now, and what its peak costs. (n,)"""

    peak_w: Float64  # highest import mean so far
    demand_price: Float64  # [currency/kW]


class Duty(NamedTuple):
    """What the plan must keep."""

    floor_wh: Float64  # (n, T + 1)
    end_wh: Float64  # (n,)
    end_price: Float64  # (n,) of what is stored at the end [currency/kWh]
    cap_w: Float64  # (n, T) import that must not be exceeded, inf: none
    export_cap_w: Float64  # (n,)
    event_w: Float64  # (n, T) import above which a grid event costs event_price more; inf: none
    event_price: Float64  # (n, T) [currency/kWh]


def make_fleet(
    plant: Plant, state: State, view: View, ahead: Expected, bill: Bill, duty: Duty, step_h: float
) -> Fleet:
    """The problem of each site. The battery is carried to the meter by what its change does there at the mean load."""
    load_w = meter_load_w(plant, ahead.dc_load_w, ahead.ac_load_w)
    rectified = swing(plant, ahead.dc_load_w.mean(1))
    shape = load_w.shape
    lost_wh = _lost_wh(plant, state, shape[1], step_h)
    pv_w = pv_meter_w(plant, ahead.dc_load_w, ahead.pv_w)
    # the battery hangs on the DC bus: what cooling takes on the AC side it cannot give
    served_w = np.maximum(meter_load_w(plant, ahead.dc_load_w, np.zeros(shape)) - pv_w, 0.0)
    floor_wh = np.minimum(duty.floor_wh + lost_wh, np.maximum(view.capacity_wh[:, None], duty.floor_wh))
    return Fleet(
        step_h=step_h,
        load_w=load_w,
        pv_w=pv_w,
        import_price=np.ascontiguousarray(np.broadcast_to(ahead.import_price, shape)),
        export_price=np.ascontiguousarray(np.broadcast_to(ahead.export_price, shape)),
        export_cap_w=duty.export_cap_w,
        floor_wh=floor_wh,
        capacity_wh=view.capacity_wh,
        start_wh=state.stored_wh.copy(),
        end_wh=np.minimum(duty.end_wh + lost_wh[:, -1], np.maximum(view.capacity_wh, duty.end_wh)),
        end_price=duty.end_price,
        charge_max_w=_over(view.charge_max_w / rectified.charge, shape),
        discharge_max_w=np.minimum(_over(view.discharge_max_w / rectified.discharge, shape), served_w),
        charge_efficiency=view.charge_efficiency * rectified.charge,
        discharge_efficiency=view.discharge_efficiency / rectified.discharge,
        wear_price=view.wear_price * rectified.discharge,
        cap_w=duty.cap_w,
        peak_w=bill.peak_w,
        demand_price=bill.demand_price,
        event_w=duty.event_w,
        event_price=duty.event_price,
    )


def _lost_wh(plant: Plant, state: State, n_steps: int, step_h: float) -> Float64:
    """What self-discharge has taken by each boundary, at what is stored now. Shape (n, n_steps + 1).

    The planner knows no self-discharge; floors that rise by it say the same.
    """
    lost_w = state.stored_wh * plant.sites["self_discharge_per_h"]
    return np.asarray(lost_w[:, None] * (np.arange(n_steps + 1) * step_h))


def _over(value: Float64, shape: tuple[int, ...]) -> Float64:
    return np.ascontiguousarray(np.broadcast_to(value[:, None], shape))
