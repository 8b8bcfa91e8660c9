"""The battery plan of a tiny site by trying every level of a fine grid, written apart from the planner."""

from __future__ import annotations

import numpy as np

from policies.site.problem import Fleet


def grid_cost(fleet: Fleet, i: int, levels: int) -> float:
    """Least cost less worth at the end, over stored energies on a grid; inf where none is feasible. [currency]

    The floors can be met by charging, there is no demand charge, and the start lies on the grid.
    """
    grid = np.linspace(0, fleet.capacity_wh[i], levels)
    cost_to_go = -fleet.end_price[i] * grid / 1000
    n_steps = fleet.load_w.shape[1]
    for t in range(n_steps - 1, -1, -1):
        floor = max(fleet.floor_wh[i, t + 1], fleet.end_wh[i] if t == n_steps - 1 else 0)
        cost_to_go = np.where(grid >= floor - 1e-9, cost_to_go, np.inf)
        here = np.full(levels, np.inf)
        for a, before in enumerate(grid):
            for b, after in enumerate(grid):
                here[a] = min(here[a], step_cost(fleet, i, t, after - before) + cost_to_go[b])
        cost_to_go = here
    return float(np.interp(fleet.start_wh[i], grid, cost_to_go))


def step_cost(fleet: Fleet, i: int, t: int, change_wh: float) -> float:
    """The cheapest way to change the store so in step t. [currency]"""
    charge_w = max(change_wh, 0) / fleet.charge_efficiency[i] / fleet.step_h
    discharge_w = max(-change_wh, 0) * fleet.discharge_efficiency[i] / fleet.step_h
    load_w, pv_w = fleet.load_w[i, t], fleet.pv_w[i, t]
    slack = 1e-9
    if charge_w > fleet.charge_max_w[i, t] + slack:
        return np.inf
    if discharge_w > min(fleet.discharge_max_w[i, t], max(load_w - pv_w, 0)) + slack:
        return np.inf
    wanted_w, feed_in = load_w + charge_w - discharge_w, max(fleet.export_price[i, t], 0)
    best = np.inf
    # the meter's cost over the PV used is piecewise linear: its least is at an end, at zero or at the limits
    sold_w = fleet.export_cap_w[i] if feed_in > 0 else 0.0
    for used_w in (0.0, pv_w, wanted_w, wanted_w - fleet.cap_w[i, t], wanted_w + sold_w):
        meter_w = wanted_w - used_w
        if -slack <= used_w <= pv_w + slack and -sold_w - slack <= meter_w <= fleet.cap_w[i, t] + slack:
            price = fleet.import_price[i, t] if meter_w > 0 else feed_in
            best = min(best, price * meter_w)
    return float((best + fleet.wear_price[i] * discharge_w) * fleet.step_h / 1000)
