"""What a planner may assume of the plant: constants that hold near the present load, temperature and age."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit, prange

from hw.power.ageing import CYCLE_RATE, stress
from hw.power.battery import stored_at_wh
from hw.power.bus import bus_loss_w
from hw.power.modules import modules_for
from hw.power.rectifier import modules_wanted, rectifier_in_w
from hw.power.site import Floats, Plant, State
from hw.power.tables import (
    CHARGE_BY_C,
    CHARGE_BY_SOC,
    DISCHARGE_BY_C,
    DISCHARGE_BY_SOC,
    USABLE_BY_C,
    look_up,
    look_up_inside,
)


class View(NamedTuple):
    """Constants of n sites; each array (n,)."""

    capacity_wh: Floats  # stored energy of the full pack at its age
    cutoff_wh: Floats  # stored energy at which stage 1 of the disconnect opens: radio is lost
    transport_cutoff_wh: Floats  # stored energy at which stage 2 opens: all is lost
    charge_max_w: Floats  # at the bus, by temperature and by what the rectifiers have left beside the load
    discharge_max_w: Floats  # at the bus, by temperature; never more than the load in the end
    charge_efficiency: Floats  # stored per Wh at the bus [ratio]
    discharge_efficiency: Floats  # at the bus per Wh stored [ratio]
    rectifier_efficiency: Floats  # DC out per AC in at that load [ratio]
    wear_price: Floats  # per kWh given at the bus [currency of the plant]


@njit(parallel=True, cache=True, error_model="numpy")
def _look(plant, state, dc_load_w, battery_c, found):  # type: ignore[no-untyped-def]
    for i in prange(len(dc_load_w)):
        site, cells_c, health = plant.sites[i], battery_c[i], state.health[i]
        usable = look_up(plant.tables, i, USABLE_BY_C, cells_c)
        load_w = dc_load_w[i] + bus_loss_w(site, dc_load_w[i])
        left_w = max(site.modules * site.module_w - load_w, 0.0)
        charge = look_up_inside(plant.tables, i, CHARGE_BY_C, cells_c)
        discharge = look_up_inside(plant.tables, i, DISCHARGE_BY_C, cells_c)
        charge = min(charge, plant.tables[i, CHARGE_BY_SOC, 1].max())
        discharge = min(discharge, plant.tables[i, DISCHARGE_BY_SOC, 1].max())
        out_w = min(max(load_w, 1.0), site.modules * site.module_w)
        found[i, 0] = site.rated_wh * health
        found[i, 1] = stored_at_wh(site, health, usable, site.radio_disconnect_soc)
        found[i, 2] = stored_at_wh(site, health, usable, site.transport_disconnect_soc)
        found[i, 3] = min(charge * site.charge_rate * site.rated_wh, left_w)
        found[i, 4] = discharge * site.discharge_rate * site.rated_wh
        found[i, 5] = site.charge_efficiency
        found[i, 6] = site.discharge_efficiency
        found[i, 7] = out_w / rectifier_in_w(site, out_w, modules_wanted(site, out_w, site.modules))
        worn = stress(plant.ageing, i, cells_c, plant.ageing[i, CYCLE_RATE])
        found[i, 8] = site.price_per_wh * 1000 * worn


def planning_view(plant: Plant, state: State, dc_load_w: Floats, battery_c: Floats) -> View:
    """What a planner may assume near a DC load and a temperature of the cells.

    The limits leave out the taper of charging near full and of discharging near empty. A full charge rate is that of
    the load given: a planner that knows a higher load to come has less.

    Parameters
    ----------
    dc_load_w : radio and transport together, without cable losses. Shape (n,). [W]
    battery_c : of the cells. Shape (n,). [degC]
    """
    n = len(plant.sites)
    load = np.ascontiguousarray(dc_load_w, np.float64)
    cells = np.ascontiguousarray(battery_c, np.float64)
    if load.shape != (n,) or cells.shape != (n,):
        raise ValueError(f"dc_load_w and battery_c must have shape {(n,)}")
    found = np.empty((n, len(View._fields)))
    _look(plant, state, load, cells, found)
    return View(*np.ascontiguousarray(found.T))


@njit(parallel=True, cache=True, error_model="numpy")
def _meter(plant, dc_load_w, ac_load_w, found):  # type: ignore[no-untyped-def]
    for i in prange(len(found)):
        site = plant.sites[i]
        for t in range(found.shape[1]):
            load_w = dc_load_w[i, t] + bus_loss_w(site, dc_load_w[i, t])
            out_w = min(load_w, site.modules * site.module_w)
            found[i, t] = (
                rectifier_in_w(site, out_w, modules_wanted(site, out_w, site.modules)) + ac_load_w[i, t]
            )


def meter_load_w(plant: Plant, dc_load_w: Floats, ac_load_w: Floats) -> Floats:
    """Import at the meter with an idle pack and no PV.

    Parameters
    ----------
    dc_load_w : radio and transport together, without cable losses. Shape (n,) or (n, T). [W]
    ac_load_w : cooling and others on the AC side. Of the same shape. [W]

    Returns
    -------
    array of that shape [W]
    """
    dc, ac = _series(plant, dc_load_w, ac_load_w)
    found = np.empty(dc.shape)
    _meter(plant, dc, ac, found)
    return found.reshape(np.shape(dc_load_w))


@njit(parallel=True, cache=True, error_model="numpy")
def _pv(plant, dc_load_w, pv_w, found):  # type: ignore[no-untyped-def]
    for i in prange(len(found)):
        site = plant.sites[i]
        most_w = site.modules * site.module_w
        for t in range(found.shape[1]):
            load_w = dc_load_w[i, t] + bus_loss_w(site, dc_load_w[i, t])
            pv_bus_w = min(pv_w[i, t] * site.converter_efficiency, site.converter_w)
            without_w, with_w = min(load_w, most_w), min(max(load_w - pv_bus_w, 0.0), most_w)
            saved_w = rectifier_in_w(site, without_w, modules_wanted(site, without_w, site.modules))
            saved_w -= rectifier_in_w(site, with_w, modules_wanted(site, with_w, site.modules))
            fed_w = min(max(pv_bus_w - load_w, 0.0) * site.inverter_efficiency, site.inverter_w)
            found[i, t] = saved_w + fed_w


def pv_meter_w(plant: Plant, dc_load_w: Floats, pv_w: Floats) -> Floats:
    """What PV is worth at the meter with an idle pack: import that it saves, and what the inverter can feed behind it.

    Surplus that only a charging pack could use is left out: without an inverter it never reaches the meter.

    Parameters
    ----------
    dc_load_w : radio and transport together, without cable losses. Shape (n,) or (n, T). [W]
    pv_w : DC power that the panels could give. Of the same shape. [W]

    Returns
    -------
    array of that shape [W]
    """
    dc, pv = _series(plant, dc_load_w, pv_w)
    found = np.empty(dc.shape)
    _pv(plant, dc, pv, found)
    return found.reshape(np.shape(dc_load_w))


def _series(plant: Plant, one: Floats, other: Floats) -> tuple[Floats, Floats]:
    """Two arrays of one shape, (n,) or (n, T), both as (n, T)."""
    n, shape = len(plant.sites), np.shape(one)
    if shape != np.shape(other) or len(shape) not in (1, 2) or shape[0] != n:
        raise ValueError(f"both series must have shape ({n},) or ({n}, T), not {shape} and {np.shape(other)}")
    first, second = (np.ascontiguousarray(x, np.float64).reshape(n, -1) for x in (one, other))
    return first, second


@njit(parallel=True, cache=True)
def _swing(plant, dc_load_w, share, found):  # type: ignore[no-untyped-def]
    for i in prange(len(dc_load_w)):
        found[i, 0], found[i, 1] = swing_of(plant.sites[i], dc_load_w[i], share)


@njit(cache=True)
def swing_of(site, dc_load_w, share):  # type: ignore[no-untyped-def]
    """DC change over AC change where the pack takes ``share`` of the load off the rectifiers, and where it adds it."""
    most_w = site.modules * site.module_w
    load_w = min(dc_load_w + bus_loss_w(site, dc_load_w), most_w)
    less_w, more_w = (1 - share) * load_w, min((1 + share) * load_w, most_w)
    at_w = rectifier_in_w(site, load_w, modules_wanted(site, load_w, site.modules))
    down_w = at_w - rectifier_in_w(site, less_w, modules_wanted(site, less_w, site.modules))
    up_w = rectifier_in_w(site, more_w, modules_wanted(site, more_w, site.modules)) - at_w
    average = load_w / max(at_w, 1e-9)
    down = (load_w - less_w) / down_w if down_w > 0 else average
    return down, (more_w - load_w) / up_w if up_w > 0 else average


class Swing(NamedTuple):
    """What a change of the pack's power does at the meter: DC over AC. Arrays (n,) [ratio]."""

    discharge: Floats
    charge: Floats


def swing(plant: Plant, dc_load_w: Floats, share: float = 0.3) -> Swing:
    """The rectifiers' efficiency for what the pack takes off them or adds: of the change, not of the whole load.

    ``dc_load_w`` (n,) radio and transport without cable losses [W]; ``share`` of it that changes [ratio].
    """
    load = np.ascontiguousarray(dc_load_w, np.float64)
    found = np.empty((len(plant.sites), 2))
    if load.shape != found.shape[:1]:
        raise ValueError(f"dc_load_w must have shape {found.shape[:1]}, not {load.shape}")
    _swing(plant, load, share, found)
    return Swing(*np.ascontiguousarray(found.T))


@njit(parallel=True, cache=True, error_model="numpy")
def _import(plant, rectifiers, clock_s, dc_load_w, ac_load_w, pv_w, battery_w, found):  # type: ignore[no-untyped-def]
    for i in prange(len(found)):
        site = plant.sites[i]
        pv_bus_w = min(pv_w[i] * site.converter_efficiency, site.converter_w)
        out_w = dc_load_w[i] + bus_loss_w(site, dc_load_w[i]) - pv_bus_w - battery_w[i]
        out_w = min(max(out_w, 0.0), site.modules * site.module_w)
        working = modules_for(site, rectifiers[i], out_w, clock_s[i])
        found[i] = rectifier_in_w(site, out_w, working) + ac_load_w[i]


def meter_import_w(
    plant: Plant, state: State, dc_load_w: Floats, ac_load_w: Floats, pv_w: Floats, battery_w: Floats
) -> Floats:
    """Import of one step with the pack at ``battery_w`` at the bus, > 0 discharging. All (n,). [W]

    It is that of the modules that may work in the step that begins with ``state``: all of them while they are locked.
    """
    given = [np.ascontiguousarray(a, np.float64) for a in (dc_load_w, ac_load_w, pv_w, battery_w)]
    found = np.empty(len(plant.sites))
    if any(a.shape != found.shape for a in given):
        raise ValueError(f"all series must have shape {found.shape}")
    _import(plant, state.rectifier, state.clock_s, *given, found)
    return found
