"""One step of the power plant of a site.

A step runs in sub-steps of at most five minutes. A sub-step is cut where the pack becomes full or empty or reaches a
threshold of the disconnect, so that a result does not depend on the length of the step.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from numba import njit, prange

from hw.power import flows as f
from hw.power.battery import charge_limit_w, stored_at_wh
from hw.power.bus import CONNECTED, bus_loss_w, capped_charge_w, reconnect, served_w, shed, threshold_wh
from hw.power.rectifier import modules_wanted, rectifier_in_w, rectifier_loss_w
from hw.power.site import site_of
from hw.power.tables import CHARGE_BY_C, DISCHARGE_BY_C, USABLE_BY_C, look_up, look_up_inside

SUB_STEP_S = 300.0
CUTS = 6  # more than the events that one sub-step can hold: full, empty and two stages


class Now(NamedTuple):
    """Inputs and command of one site as scalars, and what follows from them for the whole step."""

    radio_w: float
    transport_w: float
    ac_load_w: float
    pv_w: float
    pv_bus_w: float  # of it at the bus, behind the converter
    mains: bool
    battery_w: float
    import_cap_w: float
    export_cap_w: float
    charge_share: float  # of the charge rate, by temperature
    discharge_share: float
    usable_share: float  # of the capacity, by temperature


@njit(cache=True)
def now_of(site, tables, inputs, command, i):  # type: ignore[no-untyped-def]
    """What site i meets in this step."""
    cells_c, wanted_w = inputs.battery_c[i], command.battery_w[i]
    pv_w = inputs.pv_w[i]
    return Now(
        inputs.radio_w[i],
        inputs.transport_w[i],
        inputs.ac_load_w[i],
        pv_w,
        min(pv_w * site.converter_efficiency, site.converter_w),
        inputs.mains[i],
        0.0 if math.isnan(wanted_w) else wanted_w,  # an unknown wish is none
        command.import_cap_w[i],
        command.export_cap_w[i],
        look_up_inside(tables, i, CHARGE_BY_C, cells_c),
        look_up_inside(tables, i, DISCHARGE_BY_C, cells_c),
        look_up(tables, i, USABLE_BY_C, cells_c),
    )


@njit(cache=True)
def pack_set_point(site, tables, i, now, health, stored_wh, stage, load_w, need_w, can_w):  # type: ignore[no-untyped-def]
    """What the pack shall take from the bus and give to it. [W, W]"""
    net_w = max(load_w - now.pv_bus_w, 0.0)
    if now.mains and now.battery_w > 0:
        want_w = min(now.battery_w, can_w, net_w) if stage == CONNECTED else 0.0
        return 0.0, max(want_w, need_w)
    if need_w > 0:
        return 0.0, need_w
    wish_w = -now.battery_w if now.mains else now.pv_bus_w - load_w
    if not wish_w > 0:
        return 0.0, 0.0
    wish_w = min(wish_w, charge_limit_w(site, tables, i, health, now.charge_share, stored_wh))
    if now.mains:
        wish_w = capped_charge_w(site, wish_w, load_w, now.pv_bus_w, now.ac_load_w, now.import_cap_w)
    return wish_w, 0.0


@njit(cache=True)
def until_event_h(stored_wh, rate_w, full_wh, low_wh, left_h):  # type: ignore[no-untyped-def]
    """How long the pack may go on before it is full or at its lower bound, at most ``left_h``. [h]"""
    if rate_w > 0 and full_wh - stored_wh < rate_w * left_h:
        return max((full_wh - stored_wh) / rate_w, 0.0)
    if rate_w < 0 and low_wh - stored_wh > rate_w * left_h:
        return max((low_wh - stored_wh) / rate_w, 0.0)
    return left_h


@njit(cache=True)
def book_loads(site, now, stage, hours, flows, i):  # type: ignore[no-untyped-def]
    """Book the loads of one segment, in Wh. Returns the AC load that is served. [W]"""
    radio_w, transport_w = served_w(stage, now.radio_w, now.transport_w)
    flows[i, f.RADIO] += radio_w * hours
    flows[i, f.TRANSPORT] += transport_w * hours
    flows[i, f.RADIO_SHED] += (now.radio_w - radio_w) * hours
    flows[i, f.TRANSPORT_SHED] += (now.transport_w - transport_w) * hours
    flows[i, f.BUS_LOSS] += bus_loss_w(site, radio_w + transport_w) * hours
    ac_load_w = now.ac_load_w if now.mains else 0.0
    flows[i, f.AC_LOAD] += ac_load_w * hours
    flows[i, f.AC_SHED] += (now.ac_load_w - ac_load_w) * hours
    return ac_load_w


@njit(cache=True)
def book_supply(site, now, demand_w, ac_load_w, hours, flows, i):  # type: ignore[no-untyped-def]
    """Book rectifiers, PV, inverter and meter, in Wh; ``demand_w`` is what the bus needs beside pack and PV."""
    out_w, in_w, loss_w, export_w = 0.0, 0.0, 0.0, 0.0
    if now.mains:
        out_w = min(max(demand_w, 0.0), site.modules * site.module_w)
        working = modules_wanted(site, out_w)
        in_w = rectifier_in_w(site, out_w, working)
        loss_w = rectifier_loss_w(site, out_w, working)
        room_w = min(site.inverter_w, ac_load_w + in_w + now.export_cap_w) / site.inverter_efficiency
        export_w = min(max(-demand_w, 0.0), room_w)
    flows[i, f.RECTIFIER_OUT] += out_w * hours
    flows[i, f.RECTIFIER_IN] += in_w * hours
    flows[i, f.RECTIFIER_LOSS] += loss_w * hours
    # the converter gives what the bus takes: with a surplus, less than it could
    pv_out_w = now.pv_bus_w - max(-demand_w - export_w, 0.0)
    flows[i, f.PV_AVAILABLE] += now.pv_w * hours
    flows[i, f.PV_OUT] += pv_out_w * hours
    flows[i, f.PV_LOSS] += pv_out_w * (1 / site.converter_efficiency - 1) * hours
    spare_w = max(now.pv_w - pv_out_w / site.converter_efficiency, 0.0)  # rounding may fall below 0
    flows[i, f.PV_CURTAILED] += spare_w * hours
    flows[i, f.EXPORT_IN] += export_w * hours
    flows[i, f.EXPORT_LOSS] += export_w * (1 - site.inverter_efficiency) * hours
    inverter_w = export_w * site.inverter_efficiency
    flows[i, f.EXPORT_OUT] += inverter_w * hours
    meter_w = ac_load_w + in_w - inverter_w
    flows[i, f.GRID_IMPORT] += max(meter_w, 0.0) * hours
    flows[i, f.GRID_EXPORT] += max(-meter_w, 0.0) * hours
    flows[i, f.CAP_EXCESS] += max(meter_w - now.import_cap_w, 0.0) * hours


@njit(cache=True)
def run_sub_step(site, tables, i, now, health, stored_wh, stage, left_h, flows):  # type: ignore[no-untyped-def]
    """Carry one site through one sub-step. Returns stored energy [Wh] and stage."""
    capacity_wh = site.rated_wh * health
    cutoff_wh = stored_at_wh(site, health, now.usable_share, site.cutoff_soc)
    other_w = now.pv_bus_w + (site.modules * site.module_w if now.mains else 0.0)
    for cut in range(CUTS):
        stage, load_w, need_w, can_w = shed(site, tables, i, now, health, stored_wh, stage, other_w)
        taken_w, given_w = pack_set_point(
            site, tables, i, now, health, stored_wh, stage, load_w, need_w, can_w
        )
        lost_w = min(stored_wh * site.self_discharge_per_h, stored_wh / left_h)
        rate_w = taken_w * site.charge_efficiency - given_w / site.discharge_efficiency - lost_w
        low_wh = threshold_wh(site, health, now.usable_share, stage) if need_w > 0 else cutoff_wh
        hours = left_h
        if cut < CUTS - 1 and (taken_w > 0 or given_w > 0):
            hours = until_event_h(stored_wh, rate_w, capacity_wh, low_wh, left_h)
        stored_wh += rate_w * hours
        flows[i, f.BATTERY_IN] += taken_w * hours
        flows[i, f.BATTERY_OUT] += given_w * hours
        loss_w = taken_w * (1 - site.charge_efficiency) + given_w * (1 / site.discharge_efficiency - 1)
        flows[i, f.BATTERY_LOSS] += loss_w * hours
        flows[i, f.SELF_DISCHARGE] += lost_w * hours
        ac_load_w = book_loads(site, now, stage, hours, flows, i)
        demand_w = load_w + taken_w - given_w - now.pv_bus_w
        book_supply(site, now, demand_w, ac_load_w, hours, flows, i)
        left_h -= hours
        if left_h <= 0:
            break
    return stored_wh, stage


@njit(cache=True)
def step_site(site, tables, i, now, state, step_s, flows):  # type: ignore[no-untyped-def]
    """Carry site i through one step and write its flows."""
    health, stored_wh = state.health[i], state.stored_wh[i]
    stage, back_s = int(state.lvd_stage[i]), state.back_s[i]
    count = int(-(-step_s // SUB_STEP_S))
    sub_s = step_s / count
    flows[i] = 0.0
    flows[i, f.STORED_BEFORE] = stored_wh
    for _ in range(count):
        if not now.mains:
            back_s = 0.0
        elif stage > CONNECTED:
            stage = reconnect(site, health, now.usable_share, stored_wh, stage, back_s)
            back_s = back_s + sub_s if stage > CONNECTED else 0.0
        stored_wh, stage = run_sub_step(site, tables, i, now, health, stored_wh, stage, sub_s / 3600, flows)
    for column in range(f.STORED_BEFORE):
        flows[i, column] *= 3600 / step_s
    flows[i, f.STORED_AFTER] = stored_wh
    state.stored_wh[i], state.lvd_stage[i], state.back_s[i] = stored_wh, stage, back_s


@njit(parallel=True, cache=True)
def step_sites(plant, state, inputs, command, step_s, flows):  # type: ignore[no-untyped-def]
    """Carry all sites through one step; ``flows`` is (n, N_FLOWS)."""
    for i in prange(len(flows)):
        site = site_of(plant, i)
        step_site(site, plant.tables, i, now_of(site, plant.tables, inputs, command, i), state, step_s, flows)
