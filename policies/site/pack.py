"""What reserve and guard may count on of the plant: cut-offs, capacity and charging at expected temperatures.

The planning view leaves out how the limits taper near full and near empty. Here they bind: radio is carried down to its
disconnect or to the charge below which the pack no longer gives the load's power, whichever is higher, and charging is
what the pack takes at the highest charge that a floor may ask for.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from hw.power.battery import stored_at_wh
from hw.power.plant import Plant
from hw.power.tables import (
    CHARGE_BY_C,
    CHARGE_BY_SOC,
    DISCHARGE_BY_C,
    DISCHARGE_BY_SOC,
    USABLE_BY_C,
    look_up,
    look_up_inside,
)
from policies.site.reserve import Pack

Floats = NDArray[np.float64]
HIGHEST_SOC = 0.95  # that a floor may ask for: the last of a charge takes long and is never sure


def parameter(plant: Plant, name: str) -> Floats:
    """A parameter of each site, by the names of hw/power/spec.py. (n,)"""
    return np.ascontiguousarray(plant.sites[name], np.float64)


@njit(cache=True)
def _soc_for(tables, i, share):  # type: ignore[no-untyped-def]
    """Lowest state of charge from which on the pack gives a share of its rate; above 1 where it never does."""
    knots = tables[i, DISCHARGE_BY_SOC]
    lowest = 2.0
    for k in range(knots.shape[1] - 1, -1, -1):
        if knots[1, k] < share:
            if k + 1 < knots.shape[1] and knots[1, k + 1] > knots[1, k]:
                step = (share - knots[1, k]) / (knots[1, k + 1] - knots[1, k])
                lowest = knots[0, k] + step * (knots[0, k + 1] - knots[0, k])
            return lowest
        lowest = knots[0, k]
    return 0.0


@njit(cache=True)
def _cutoff_wh(site, tables, i, health, cells_c, disconnect_soc, peak_w):  # type: ignore[no-untyped-def]
    """Stored energy down to which a load of up to ``peak_w`` is carried; the full pack where it never is. [Wh]"""
    full_wh = site.rated_wh * health
    usable = look_up(tables, i, USABLE_BY_C, cells_c)
    share = peak_w / (site.discharge_rate * site.rated_wh)
    if share > look_up_inside(tables, i, DISCHARGE_BY_C, cells_c):
        return full_wh
    by_power = _soc_for(tables, i, share) * full_wh
    return min(max(stored_at_wh(site, health, usable, disconnect_soc), by_power), full_wh)


@njit(parallel=True, cache=True)
def _pack(plant, health, battery_c, peak_w, transport_peak_w, capacity, radio_cutoff, transport_cutoff):  # type: ignore[no-untyped-def]
    for i in prange(len(health)):
        site = plant.sites[i]
        for t in range(battery_c.shape[1]):
            cells_c = battery_c[i, t]
            capacity[i, t] = HIGHEST_SOC * site.rated_wh * health[i]
            radio_cutoff[i, t] = _cutoff_wh(
                site, plant.tables, i, health[i], cells_c, site.radio_disconnect_soc, peak_w[i]
            )
            transport_cutoff[i, t] = _cutoff_wh(
                site, plant.tables, i, health[i], cells_c, site.transport_disconnect_soc, transport_peak_w[i]
            )


def reserve_pack(
    plant: Plant, health: Floats, battery_c: Floats, peak_w: Floats, transport_peak_w: Floats
) -> Pack:
    """The packs of n sites as the reserve sees them.

    Parameters
    ----------
    health : declared capacity over rated capacity, at most the true one. Shape (n,). [ratio]
    battery_c : lowest expected temperature of the cells at each boundary. Shape (n, T+1). [degC]
    peak_w : highest load at the bus that is to be carried, and that of transport alone. Shape (n,). [W]
    """
    n = len(plant.sites)
    for name, array in {"health": health, "peak_w": peak_w, "transport_peak_w": transport_peak_w}.items():
        if array.shape != (n,):
            raise ValueError(f"{name} must be of shape {(n,)}, not {array.shape}")
    if battery_c.ndim != 2 or len(battery_c) != n:
        raise ValueError(f"battery_c must be of shape ({n}, boundaries), not {battery_c.shape}")
    capacity, radio, transport = (np.empty(battery_c.shape) for _ in range(3))
    _pack(plant, health, battery_c, peak_w, transport_peak_w, capacity, radio, transport)
    lost_w = plant.rated_wh * health * parameter(plant, "self_discharge_per_h")
    return Pack(capacity, radio, transport, parameter(plant, "discharge_efficiency"), lost_w)


@njit(parallel=True, cache=True)
def _charging(plant, battery_c, dc_load_w, soc, found):  # type: ignore[no-untyped-def]
    for i in prange(len(found)):
        site = plant.sites[i]
        by_soc = look_up(plant.tables, i, CHARGE_BY_SOC, soc)
        for t in range(found.shape[1]):
            share = min(look_up_inside(plant.tables, i, CHARGE_BY_C, battery_c[i, t]), by_soc)
            left_w = site.modules * site.module_w - dc_load_w[i, t]
            found[i, t] = max(min(share * site.charge_rate * site.rated_wh, left_w), 0.0)


def charging_w(plant: Plant, battery_c: Floats, dc_load_w: Floats, soc: float = HIGHEST_SOC) -> Floats:
    """Charging at the bus that packs take up to a state of charge and rectifiers have left. Shape (n, T). [W]

    ``battery_c`` and ``dc_load_w`` (cable losses included) are of that shape.
    """
    if battery_c.shape != dc_load_w.shape or len(battery_c) != len(plant.sites):
        raise ValueError(f"battery_c {battery_c.shape} and dc_load_w {dc_load_w.shape} must be (n, T)")
    found = np.empty(battery_c.shape)
    _charging(plant, battery_c, dc_load_w, soc, found)
    return found


def cable_losses_w(plant: Plant, radio_w: Floats, transport_w: Floats) -> tuple[Floats, Floats]:
    """Radio and transport loads at the bus, (n, S), losses in the cables included: radio bears what it adds. [W]"""
    ohm_v2 = (parameter(plant, "distribution_ohm") / parameter(plant, "voltage_v") ** 2)[:, None]
    alone_w = ohm_v2 * transport_w**2
    return radio_w + ohm_v2 * (radio_w + transport_w) ** 2 - alone_w, transport_w + alone_w
