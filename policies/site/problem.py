"""The battery plan of many sites: what the meter sees, within limits, at the least cost.

Everything is at the meter. One planning problem per site, exact for a given import cap
(``policies.site.value_function``), with a search on the cap where the month's highest import is charged
(``policies.site.cap_search``). At prices below zero a few steps are open to choice (``policies.site.sides``): plans are
then close to the best, not proven. ``policies.site.reference`` states the same problem for a solver.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from policies.site.cap_search import (
    INFEASIBLE_CAP,
    INFEASIBLE_FLOOR,
    OK,
    status_at_cap,
)
from policies.site.sides import best_plan
from policies.site.site_terms import site_terms
from policies.site.value_function import cost_at_cap, new_room

__all__ = ["INFEASIBLE_CAP", "INFEASIBLE_FLOOR", "OK", "STATUS_WORDS", "Fleet", "Plans"]
__all__ += ["checked", "cost_at_caps", "plan_fleet", "settle"]

Floats = NDArray[np.float64]
STATUS_WORDS = {
    OK: "feasible",
    INFEASIBLE_FLOOR: "the floor cannot be met by charging under the import cap",
    INFEASIBLE_CAP: "the load is above the import cap and the battery cannot carry the rest",
}


PER_STEP = (
    "load_w",
    "pv_w",
    "import_price",
    "export_price",
    "charge_max_w",
    "discharge_max_w",
    "cap_w",
    "event_w",
    "event_price",
)


class Fleet(NamedTuple):
    """n sites and T steps; powers are means over a step.

    A floor is lowered to what charging at full power from the start would reach, so that a store that begins below it
    has a plan. Energy at the start above the capacity does not count. The battery never discharges beyond
    ``load_w - pv_w``: it is not exported.
    """

    step_h: float  # [h]
    load_w: Floats  # (n, T) import with an idle battery and no PV
    pv_w: Floats  # (n, T) PV as the import that it saves
    import_price: Floats  # (n, T) [currency per kWh], may be below zero
    export_price: (
        Floats  # (n, T) [currency per kWh], used where export_cap_w > 0; below zero nothing is fed in
    )
    export_cap_w: Floats  # (n,) 0: what PV gives beyond load and charging is curtailed
    floor_wh: Floats  # (n, T + 1) least stored energy at each boundary; the first is not looked at
    capacity_wh: Floats  # (n,)
    start_wh: Floats  # (n,) stored at the start
    end_wh: Floats  # (n,) least stored energy at the end
    end_price: (
        Floats  # (n,) what is stored at the end is worth [currency per kWh], at least 0; not part of a cost
    )
    charge_max_w: Floats  # (n, T)
    discharge_max_w: Floats  # (n, T)
    charge_efficiency: Floats  # (n,) stored per Wh at the meter [ratio]
    discharge_efficiency: Floats  # (n,) saved at the meter per Wh stored [ratio]
    wear_price: Floats  # (n,) [currency per kWh saved at the meter by discharging]
    cap_w: Floats  # (n, T) import may not be above; inf: no cap
    peak_w: Floats  # (n,) highest import already billed this month
    demand_price: Floats  # (n,) [currency per kW of the month's highest import]; 0: none
    event_w: Floats  # (n, T) import above it costs event_price more; inf: no limit
    event_price: Floats  # (n, T) [currency per kWh]


class Plans(NamedTuple):
    """What to do and what it costs. Rows of a site without a feasible plan are NaN, but for ``status``."""

    battery_w: Floats  # (n, T) at the meter, above zero discharges
    stored_wh: Floats  # (n, T + 1)
    import_w: Floats  # (n, T)
    export_w: Floats  # (n, T)
    curtailed_w: Floats  # (n, T) PV that is not used
    cost: Floats  # (n,) energy, wear, what events cost, and the demand charge on peak_w [currency]
    peak_w: Floats  # (n,) highest import, not below what was billed already
    status: NDArray[np.uint8]  # (n,) words: STATUS_WORDS


def plan_fleet(fleet: Fleet) -> Plans:
    """The cheapest plan of each site. Raises ValueError where an array has a wrong shape or an impossible value."""
    fleet = checked(fleet)
    n, n_steps = fleet.load_w.shape
    stored_wh, cap_wh = np.full((n, n_steps + 1), np.nan), np.full(n, np.nan)
    status = np.zeros(n, np.uint8)
    _plan_sites(fleet, stored_wh, cap_wh, status)
    change = np.diff(stored_wh)
    meter_w = np.where(
        change > 0, change / fleet.charge_efficiency[:, None], change * fleet.discharge_efficiency[:, None]
    )
    battery_w = 0.0 - meter_w / fleet.step_h
    import_w, export_w, curtailed_w = settle(fleet, battery_w, cap_wh / fleet.step_h)
    peak_w = np.maximum(fleet.peak_w, import_w.max(1))
    paid = fleet.import_price * import_w - np.where(export_w > 0, fleet.export_price * export_w, 0.0)
    paid += fleet.wear_price[:, None] * np.maximum(battery_w, 0)
    paid += fleet.event_price * np.maximum(import_w - fleet.event_w, 0)
    cost = (paid.sum(1) * fleet.step_h + fleet.demand_price * peak_w) / 1000
    return Plans(battery_w, stored_wh, import_w, export_w, curtailed_w, cost, peak_w, status)


def cost_at_caps(fleet: Fleet, caps_w: Floats) -> Floats:
    """Least energy and wear cost with the import held at or below each cap. (n, K) -> (n, K) [currency]

    The demand charge is not in it; inf where a site's limits cannot be kept under the cap. Where a step's cost is not
    convex (``policies.site.step_cost``), it is that of the hull: a bound that a plan may come close to only. What is
    stored above the end's floor is taken off at ``end_price``.
    """
    fleet = checked(fleet)
    caps_w = np.ascontiguousarray(caps_w, np.float64)
    if caps_w.ndim != 2 or len(caps_w) != len(fleet.load_w) or np.isnan(caps_w).any():
        raise ValueError(f"caps_w must be {len(fleet.load_w)} rows of numbers, not {caps_w.shape}")
    costs = np.empty(caps_w.shape)
    _cost_sites(fleet, caps_w * fleet.step_h, costs)
    return costs


def settle(fleet: Fleet, battery_w: Floats, limit_w: Floats) -> tuple[Floats, Floats, Floats]:
    """Import, export and curtailed PV (n, T) [W] at their cheapest, given the battery and each site's limit (n,)."""
    wanted_w = fleet.load_w - battery_w
    need_w = wanted_w - fleet.pv_w
    sold_w = np.where(fleet.export_price > 0, fleet.export_cap_w[:, None], 0.0)
    meter_w = np.maximum(need_w, -sold_w)
    wished_w = np.minimum(np.minimum(fleet.cap_w, fleet.event_w), limit_w[:, None])
    most_w = np.maximum(need_w, np.minimum(wanted_w, wished_w))
    earned = np.where(meter_w < 0, fleet.export_price * meter_w, fleet.import_price * meter_w)
    meter_w = np.where((fleet.import_price < 0) & (fleet.import_price * most_w < earned), most_w, meter_w)
    curtailed_w = fleet.pv_w - (wanted_w - meter_w)
    return np.maximum(meter_w, 0), np.maximum(-meter_w, 0), np.maximum(curtailed_w, 0)


@njit(parallel=True, cache=True)
def _plan_sites(fleet, stored_wh, cap_wh, status):  # type: ignore[no-untyped-def]
    for i in prange(len(status)):
        plan_site(fleet, i, stored_wh[i], cap_wh, status)


@njit(cache=True)
def plan_site(fleet, i, stored_wh, cap_wh, status):  # type: ignore[no-untyped-def]
    """Write the plan of one site: the energy stored (T + 1,), the cap it keeps, and its status."""
    site = site_terms(fleet, i)
    status[i] = status_at_cap(site, np.inf)
    if status[i] == OK:
        cap_wh[i] = best_plan(site, new_room(len(site.steps)), stored_wh)


@njit(parallel=True, cache=True)
def _cost_sites(fleet, caps_wh, costs):  # type: ignore[no-untyped-def]
    for i in prange(len(costs)):
        site = site_terms(fleet, i)
        room = new_room(len(site.steps))
        for k in range(caps_wh.shape[1]):
            costs[i, k] = np.inf
            if status_at_cap(site, caps_wh[i, k]) == OK:
                costs[i, k] = cost_at_cap(site, caps_wh[i, k], room)[0]


def checked(fleet: Fleet) -> Fleet:
    """The fleet as the kernels take it: they are compiled once, for writable float64 arrays. Raises ValueError."""
    n, n_steps = fleet.load_w.shape
    if n_steps < 1 or not fleet.step_h > 0:
        raise ValueError(f"a plan needs steps of some length, not {n_steps} of {fleet.step_h} h")
    arrays = {}
    for name in fleet._fields[1:]:
        array = np.require(getattr(fleet, name), np.float64, ["C", "A", "W"])
        shape = (n, n_steps) if name in PER_STEP else (n, n_steps + 1) if name == "floor_wh" else (n,)
        if array.shape != shape:
            raise ValueError(f"{name} must be of shape {shape}, not {array.shape}")
        bad = np.isnan(array)
        if name in ("wear_price", "end_price", "event_price") or "price" not in name:
            bad |= array < 0
        if name not in ("cap_w", "export_cap_w", "event_w"):
            bad |= np.isinf(array)
        if name.endswith("efficiency"):
            bad |= (array == 0) | (array > 2)
        if bad.any():
            at = tuple(int(k) for k in np.argwhere(bad)[0])
            raise ValueError(f"{name}{list(at)} cannot be {array[at]}")
        arrays[name] = array
    return Fleet(float(fleet.step_h), **arrays)
