"""Books the flows of one stretch of time in which nothing changes, each from its own component, in Wh."""

from __future__ import annotations

from numba import njit

from hw.power import flows as f
from hw.power.bus import bus_loss_w, served_w
from hw.power.rectifier import rectifier_in_w, rectifier_loss_w


@njit(cache=True, error_model="numpy")
def book_pack(site, taken_w, given_w, lost_w, hours, flows, i):  # type: ignore[no-untyped-def]
    """Book the pack: what it takes from the bus, gives to it and loses."""
    flows[i, f.BATTERY_IN] += taken_w * hours
    flows[i, f.BATTERY_OUT] += given_w * hours
    loss_w = taken_w * (1 - site.charge_efficiency) + given_w * (1 / site.discharge_efficiency - 1)
    flows[i, f.BATTERY_LOSS] += loss_w * hours
    flows[i, f.SELF_DISCHARGE] += lost_w * hours


@njit(cache=True, error_model="numpy")
def book_loads(site, now, stage, hours, flows, i):  # type: ignore[no-untyped-def]
    """Book the loads. Returns the AC load that is served. [W]"""
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


@njit(cache=True, error_model="numpy")
def book_supply(site, now, working, demand_w, ac_load_w, hours, flows, i):  # type: ignore[no-untyped-def]
    """Book rectifiers, PV, inverter and meter; ``demand_w`` is what the bus needs beside pack and PV."""
    out_w, in_w, loss_w, export_w = 0.0, 0.0, 0.0, 0.0
    if now.mains:
        out_w = min(max(demand_w, 0.0), site.modules * site.module_w)
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
