"""The DC bus of one site: which loads are connected, and the set points of pack, rectifiers and inverter on it.

All powers are at the bus, in W. With mains the rectifiers hold the bus and the pack does what was commanded, as far as
it can; a peak beyond the rectifiers is helped by the pack. Without mains the pack and the panels carry the loads. The
stages of the disconnect open where the pack is needed but must or can not give it.
"""

from __future__ import annotations

import math

from numba import njit

from hw.power.battery import AT_LIMIT, discharge_limit_w, stored_at_wh
from hw.power.modules import may_change, modules_for
from hw.power.rectifier import rectifier_in_w, rectifier_out_at_w

CONNECTED, RADIO_OFF, ALL_OFF = 0, 1, 2


@njit(cache=True, error_model="numpy")
def bus_loss_w(site, load_w):  # type: ignore[no-untyped-def]
    """Loss in the cables at the current of the loads. [W]

    Current squared, and no ratio: a ratio that fits a full site overstates the loss of one asleep several times.
    """
    current_a = load_w / site.voltage_v
    return site.distribution_ohm * current_a * current_a


@njit(cache=True, error_model="numpy")
def served_w(stage, radio_w, transport_w):  # type: ignore[no-untyped-def]
    """Radio and transport loads that a stage of the disconnect leaves connected. [W]"""
    return (radio_w if stage == CONNECTED else 0.0), (transport_w if stage < ALL_OFF else 0.0)


@njit(cache=True, error_model="numpy")
def threshold_wh(site, health, usable_share, stage):  # type: ignore[no-untyped-def]
    """Stored energy at which the next stage opens. [Wh]"""
    if stage == CONNECTED:
        return stored_at_wh(site, health, usable_share, site.radio_disconnect_soc)
    return stored_at_wh(site, health, usable_share, site.transport_disconnect_soc)


@njit(cache=True, error_model="numpy")
def reconnect(site, health, usable_share, stored_wh, stage, back_s):  # type: ignore[no-untyped-def]
    """The stage once the loads that may come back, with mains, have done so."""
    long_enough = back_s >= site.reconnect_after_s
    while stage > CONNECTED:
        above = threshold_wh(site, health, usable_share, stage - 1)
        above += site.reconnect_margin * usable_share * site.rated_wh * health
        if not (long_enough or stored_wh >= above):
            break
        stage -= 1
    return stage


@njit(cache=True, error_model="numpy")
def shed(site, tables, i, now, health, stored_wh, stage, other_w):  # type: ignore[no-untyped-def]
    """Open stages until ``other_w`` (rectifiers and PV) and the pack carry what is left connected.

    Returns the stage, the load with its cable loss [W], what the pack must give [W] and what it can give [W].
    """
    slack_wh = AT_LIMIT * site.rated_wh * health
    cutoff_wh = stored_at_wh(site, health, now.usable_share, site.cutoff_soc)
    can_w = discharge_limit_w(site, tables, i, health, now.discharge_share, stored_wh, cutoff_wh)
    while True:
        radio_w, transport_w = served_w(stage, now.radio_w, now.transport_w)
        load_w = radio_w + transport_w
        load_w += bus_loss_w(site, load_w)
        need_w = max(load_w - other_w, 0.0)
        above_wh = stored_wh - threshold_wh(site, health, now.usable_share, stage)
        if need_w <= 0 or (need_w <= can_w and above_wh > slack_wh):
            return stage, load_w, need_w, can_w
        stage += 1


@njit(cache=True, error_model="numpy")
def capped_charge_w(site, rectifier, now, charge_w, load_w, clock_s):  # type: ignore[no-untyped-def]
    """A wish to charge, cut to what the rectifiers can give beside the load and the import cap leaves. [W]"""
    charge_w = min(charge_w, max(site.modules * site.module_w + now.pv_bus_w - load_w, 0.0))
    demand_w = load_w + charge_w - now.pv_bus_w
    if demand_w <= 0 or math.isinf(now.import_cap_w):
        return charge_w
    working = modules_for(site, rectifier, demand_w, clock_s)
    if rectifier_in_w(site, demand_w, working) + now.ac_load_w <= now.import_cap_w:
        return charge_w
    if not may_change(site, rectifier, clock_s):
        working = site.modules  # what less power would wake
    out_w = rectifier_out_at_w(site, now.import_cap_w - now.ac_load_w, working)
    return min(charge_w, max(out_w + now.pv_bus_w - load_w, 0.0))
