"""From what is expected of a site to the planner's problem at the meter."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hw.power.plant import Plant, State
from hw.power.view import View, meter_load_w, planning_view
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


def meter_view(plant: Plant, state: State, dc_load_w: Float64, battery_c: Float64) -> View:
    """What a planner may assume of the plant at its mean load. ``dc_load_w`` (n, T) [W], ``battery_c`` (n,)"""
    return planning_view(plant, state, dc_load_w.mean(1), battery_c)


def make_fleet(plant: Plant, state: State, view: View, ahead: Expected, bill: Bill, duty: Duty, step_h: float) -> Fleet:
    """The problem of each site. Everything is carried to the meter by the rectifiers' efficiency at the mean load."""
    load_w = meter_load_w(plant, ahead.dc_load_w, ahead.ac_load_w)
    rectified = view.rectifier_efficiency
    shape = load_w.shape
    return Fleet(
        step_h=step_h,
        load_w=load_w,
        pv_w=pv_at_meter_w(plant, ahead.pv_w, rectified),
        import_price=np.ascontiguousarray(np.broadcast_to(ahead.import_price, shape)),
        export_price=np.ascontiguousarray(np.broadcast_to(ahead.export_price, shape)),
        export_cap_w=duty.export_cap_w,
        floor_wh=duty.floor_wh,
        capacity_wh=view.capacity_wh,
        start_wh=state.stored_wh.copy(),
        end_wh=duty.end_wh,
        end_price=duty.end_price,
        charge_max_w=_over(view.charge_max_w / rectified, shape),
        discharge_max_w=_over(view.discharge_max_w / rectified, shape),
        charge_efficiency=view.charge_efficiency * rectified,
        discharge_efficiency=view.discharge_efficiency / rectified,
        wear_price=view.wear_price * rectified,
        cap_w=duty.cap_w,
        peak_w=bill.peak_w,
        demand_price=bill.demand_price,
    )


def _over(value: Float64, shape: tuple[int, ...]) -> Float64:
    return np.ascontiguousarray(np.broadcast_to(value[:, None], shape))


def pv_at_meter_w(plant: Plant, pv_w: Float64, rectifier_efficiency: Float64) -> Float64:
    """Import that the panels could save. ``pv_w`` (n,) or (n, T) DC power of the panels; efficiency (n,). [W]"""
    ratio, most_w = plant.sites["converter_efficiency"], plant.sites["converter_w"]
    rectified = rectifier_efficiency
    if pv_w.ndim == 2:
        ratio, most_w, rectified = ratio[:, None], most_w[:, None], rectified[:, None]
    return np.asarray(np.minimum(pv_w * ratio, most_w) / rectified)
