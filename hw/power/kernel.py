"""One step of the power plant of a site.

A step runs in sub-steps of at most five minutes. A sub-step is cut where the pack becomes full or empty or reaches a
threshold of the disconnect, so that a result does not depend on the length of the step.
"""

from __future__ import annotations

import math

from numba import njit, prange

from hw.power import flows as f
from hw.power.ageing import (
    DEAD_BAND,
    calendar_rate,
    close_cycle,
    damage,
    health_of,
    mean_stress,
    soc_factor,
    take_in,
)
from hw.power.battery import charge_limit_w, stored_at_wh
from hw.power.booking import book_loads, book_pack, book_supply
from hw.power.bus import CONNECTED, capped_charge_w, reconnect, shed, threshold_wh
from hw.power.modules import book_hours, let_work, modules_for
from hw.power.site import Memory, memory_of, remember
from hw.power.tables import CHARGE_BY_C, DISCHARGE_BY_C, USABLE_BY_C, look_up, look_up_inside

SUB_STEP_S = 300.0
ROUNDING_W = 1e-9  # of a pack that is kept full
PATIENCE_H = (
    10 / 3600
)  # modules take seconds to wake: no set point that is shorter wakes one or puts it to rest
CUTS = 6  # more than the events that one sub-step can hold: full, empty and two stages


@njit(cache=True, error_model="numpy")
def meet(site, tables, inputs, command, i, now):  # type: ignore[no-untyped-def]
    """Fill in what site i meets in this step. Free of branches on purpose."""
    cells_c, wanted_w, pv_w = inputs.battery_c[i], command.battery_w[i], inputs.pv_w[i]
    now.radio_w = inputs.radio_w[i]
    now.transport_w = inputs.transport_w[i]
    now.ac_load_w = inputs.ac_load_w[i]
    now.pv_w = pv_w
    now.pv_bus_w = min(pv_w * site.converter_efficiency, site.converter_w)
    now.mains = inputs.mains[i]
    now.battery_w = 0.0 if math.isnan(wanted_w) else wanted_w  # an unknown wish is none
    now.import_cap_w = command.import_cap_w[i]
    now.export_cap_w = command.export_cap_w[i]
    now.battery_c = cells_c
    now.charge_share = look_up_inside(tables, i, CHARGE_BY_C, cells_c)
    now.discharge_share = look_up_inside(tables, i, DISCHARGE_BY_C, cells_c)
    now.usable_share = look_up(tables, i, USABLE_BY_C, cells_c)


@njit(cache=True, error_model="numpy")
def pack_set_point(site, tables, rectifier, i, now, health, stored_wh, stage, asked, clock_s):  # type: ignore[no-untyped-def]
    """What the pack shall take from the bus and give to it. [W, W]"""
    load_w, need_w, can_w, lost_w = asked
    net_w = max(load_w - now.pv_bus_w, 0.0)
    if now.mains and now.battery_w > 0:
        want_w = min(now.battery_w, can_w, net_w) if stage == CONNECTED else 0.0
        return 0.0, max(want_w, need_w)
    if need_w > 0:
        return 0.0, need_w
    wish_w = -now.battery_w if now.mains else now.pv_bus_w - load_w
    if not wish_w > 0:
        return 0.0, 0.0
    wish_w = min(wish_w, charge_limit_w(site, tables, i, health, now.charge_share, stored_wh, lost_w))
    if now.mains:
        wish_w = capped_charge_w(site, rectifier, now, wish_w, load_w, clock_s)
    return wish_w, 0.0


@njit(cache=True, error_model="numpy")
def until_event_h(stored_wh, rate_w, full_wh, low_wh, left_h):  # type: ignore[no-untyped-def]
    """How long the pack may go on before it is full or at its lower bound, at most ``left_h``. [h]"""
    if rate_w > ROUNDING_W and full_wh - stored_wh < rate_w * left_h:
        return max((full_wh - stored_wh) / rate_w, 0.0)
    if rate_w < 0 and low_wh - stored_wh > rate_w * left_h:
        return max((low_wh - stored_wh) / rate_w, 0.0)
    return left_h


@njit(cache=True, error_model="numpy")
def run_sub_step(site, tables, rectifier, i, now, health, stored_wh, stage, clock_s, left_h, flows):  # type: ignore[no-untyped-def]
    """Carry one site through one sub-step. Returns stored energy [Wh], stage and the pack's highest power [W]."""
    capacity_wh = site.rated_wh * health
    cutoff_wh = stored_at_wh(site, health, now.usable_share, site.cutoff_soc)
    other_w = now.pv_bus_w + (site.modules * site.module_w if now.mains else 0.0)
    highest_w = 0.0
    for cut in range(CUTS):
        stage, load_w, need_w, can_w = shed(site, tables, i, now, health, stored_wh, stage, other_w)
        lost_w = min(stored_wh * site.self_discharge_per_h, stored_wh / left_h)
        asked = (load_w, need_w, can_w, lost_w)
        taken_w, given_w = pack_set_point(
            site, tables, rectifier, i, now, health, stored_wh, stage, asked, clock_s
        )
        rate_w = taken_w * site.charge_efficiency - given_w / site.discharge_efficiency - lost_w
        low_wh = 0.0
        if given_w > 0:
            low_wh = threshold_wh(site, health, now.usable_share, stage) if need_w > 0 else cutoff_wh
        hours = left_h
        if cut < CUTS - 1 and (taken_w > 0 or given_w > 0):
            hours = until_event_h(stored_wh, rate_w, capacity_wh, low_wh, left_h)
        stored_wh += rate_w * hours
        highest_w = max(highest_w, taken_w, given_w)
        demand_w = load_w + taken_w - given_w - now.pv_bus_w
        if now.mains and hours >= PATIENCE_H:
            wanted = modules_for(site, rectifier, max(demand_w, 0.0), clock_s)
            let_work(site, rectifier, wanted, clock_s)
        book_pack(site, taken_w, given_w, lost_w, hours, flows, i)
        ac_load_w = book_loads(site, now, stage, hours, flows, i)
        book_supply(site, now, rectifier.working, demand_w, ac_load_w, hours, flows, i)
        clock_s += hours * 3600
        left_h -= hours
        if left_h <= 0:
            break
    return stored_wh, stage, highest_w


@njit(cache=True, error_model="numpy")
def wear(ageing, turns, i, soc, health, mean, n_turns):  # type: ignore[no-untyped-def]
    """Close cycles of pack i at a state of charge. Returns their damage, their number and the points left open."""
    worn, cycles = 0.0, 0.0
    n = take_in(turns, i, n_turns, soc, DEAD_BAND)
    while True:
        n, depth, count = close_cycle(turns, i, n, DEAD_BAND)
        if count == 0:
            return worn, cycles, n
        cycles += count
        worn += damage(ageing, i, depth * health, count, mean)


@njit(cache=True, error_model="numpy")
def step_site(site, tables, ageing, rectifier, turns, i, now, memory, step_s, count, flows):  # type: ignore[no-untyped-def]
    """Carry site i through one step and write its flows. Returns what it remembers."""
    stored_wh, health, stage, back_s = memory.stored_wh, memory.health, memory.stage, memory.back_s
    clock_s, mean, capacity_wh = memory.clock_s, memory.mean_stress, site.rated_wh * health
    worn, cycles, n_turns = memory.cycle_damage, memory.cycles, memory.n_turns
    sub_s, calendar_s = step_s / count, 0.0
    flows[i] = 0.0
    flows[i, f.STORED_BEFORE] = stored_wh
    for k in range(count):
        if not now.mains:
            back_s = 0.0
        elif stage > CONNECTED:
            stage = reconnect(site, health, now.usable_share, stored_wh, stage, back_s)
            back_s = back_s + sub_s if stage > CONNECTED else 0.0
        before = stored_wh / capacity_wh
        at_s, sub_h = clock_s + k * sub_s, sub_s / 3600
        stored_wh, stage, pack_w = run_sub_step(
            site, tables, rectifier, i, now, health, stored_wh, stage, at_s, sub_h, flows
        )
        soc = stored_wh / capacity_wh
        calendar_s += soc_factor(ageing, i, (before + soc) / 2) * sub_s
        if pack_w > 0:  # what an idle pack loses is seen when it moves again
            mean = mean_stress(ageing, i, mean, now.battery_c, pack_w / site.rated_wh, sub_h)
            by_cycles, closed, n_turns = wear(ageing, turns, i, soc, health, mean, n_turns)
            worn, cycles = worn + by_cycles, cycles + closed
    for column in range(f.STORED_BEFORE):
        flows[i, column] *= 3600 / step_s
    flows[i, f.STORED_AFTER] = stored_wh
    if now.mains:
        book_hours(site, rectifier, step_s / 3600)
    square = memory.calendar_square + calendar_rate(ageing, i, now.battery_c) * calendar_s
    health = health_of(ageing, i, worn, square)
    return Memory(
        stored_wh,
        health,
        stage,
        back_s,
        clock_s + step_s,
        worn,
        mean,
        square,
        cycles,
        n_turns,
    )


@njit(parallel=True, cache=True, error_model="numpy")
def step_sites(plant, state, inputs, command, step_s, now, flows):  # type: ignore[no-untyped-def]
    """Carry all sites through one step; ``now`` (n,) of NOW is room to work in, ``flows`` is (n, N_FLOWS)."""
    sites, tables, ageing, turns = plant.sites, plant.tables, plant.ageing, state.turns
    rectifiers = state.rectifier
    count = math.ceil(step_s / SUB_STEP_S)
    for i in prange(len(flows)):
        site, met = sites[i], now[i]
        meet(site, tables, inputs, command, i, met)
        memory = memory_of(state, i)
        after = step_site(site, tables, ageing, rectifiers[i], turns, i, met, memory, step_s, count, flows)
        remember(state, i, after)
