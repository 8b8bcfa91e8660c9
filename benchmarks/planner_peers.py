"""The same battery plan stated for cvxpy and for PyPSA, at prices at which it is a linear program."""

from __future__ import annotations

import logging
import warnings
from typing import Any

import numpy as np

from policies.site.problem import Fleet
from policies.site.site_terms import effective_floors


def _limits(fleet: Fleet, i: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Floors (T + 1,), and per step the most that may be discharged, sold and imported. [W]"""
    floors = np.empty(fleet.load_w.shape[1] + 1)
    effective_floors(fleet, i, floors)
    surplus = fleet.pv_w[i] - fleet.load_w[i]
    discharge = np.minimum(fleet.discharge_max_w[i], np.maximum(-surplus, 0))
    sold = np.where((fleet.export_price[i] > 0) & (surplus > 0), fleet.export_cap_w[i], 0.0)
    return floors, discharge, sold, np.minimum(fleet.cap_w[i], fleet.load_w[i] + fleet.charge_max_w[i])


def solve_cvxpy(fleet: Fleet, i: int) -> float:
    """Least bill of site i by cvxpy with HiGHS. [currency]"""
    import cvxpy as cp

    n_steps, step_h = fleet.load_w.shape[1], fleet.step_h
    floors, discharge_most, sold_most, import_most = _limits(fleet, i)
    charge, discharge, bought, sold, used = (cp.Variable(n_steps, nonneg=True) for _ in range(5))
    stored, peak = cp.Variable(n_steps + 1), cp.Variable()
    limits: list[Any] = [
        stored[0] == floors[0],
        cp.diff(stored)
        == step_h * (fleet.charge_efficiency[i] * charge - discharge / fleet.discharge_efficiency[i]),
        stored[1:] >= floors[1:],
        stored <= fleet.capacity_wh[i],
        bought - sold + used + discharge == fleet.load_w[i] + charge,
        charge <= fleet.charge_max_w[i],
        discharge <= discharge_most,
        sold <= sold_most,
        used <= fleet.pv_w[i],
        bought <= import_most,
        bought <= peak,
        peak >= fleet.peak_w[i],
    ]
    energy = fleet.import_price[i] @ bought - np.maximum(fleet.export_price[i], 0) @ sold
    cost = step_h * (energy + fleet.wear_price[i] * cp.sum(discharge)) + fleet.demand_price[i] * peak
    problem = cp.Problem(cp.Minimize(cost), limits)
    problem.solve(solver=cp.HIGHS)
    return float(problem.value) / 1000


def _solve_pypsa(fleet: Fleet, i: int) -> float:
    """Least bill of site i by PyPSA with HiGHS: bus, generators, links and a store; the peak is a link's size."""
    import pandas as pd
    import pypsa

    for name in ("pypsa", "linopy"):
        logging.getLogger(name).setLevel(logging.ERROR)
    n_steps, step_h = fleet.load_w.shape[1], fleet.step_h
    floors, discharge_most, sold_most, import_most = _limits(fleet, i)
    net, at = pypsa.Network(), pd.RangeIndex(n_steps)
    net.set_snapshots(at)
    net.snapshot_weightings = net.snapshot_weightings.astype(float) * step_h

    def share(most: np.ndarray, size: float) -> Any:
        return pd.Series(most / size if size > 0 else np.zeros(n_steps), at)

    net.add("Bus", ["site", "pack", "grid"])
    net.add("Load", "load", bus="site", p_set=pd.Series(fleet.load_w[i], at))
    pv = max(float(fleet.pv_w[i].max()), 1.0)
    net.add("Generator", "pv", bus="site", p_nom=pv, p_max_pu=share(fleet.pv_w[i], pv))
    price, size = pd.Series(fleet.import_price[i], at), float(import_most.max())
    net.add(
        "Generator", "grid", bus="grid", p_nom=size, p_max_pu=share(import_most, size), marginal_cost=price
    )
    net.add(
        "Link", "meter", bus0="grid", bus1="site", p_nom_extendable=True, p_nom_min=fleet.peak_w[i],
        capital_cost=fleet.demand_price[i],
    )  # fmt: skip
    feed_in, most_sold = np.maximum(fleet.export_price[i], 0), max(float(sold_most.max()), 1.0)
    net.add(
        "Generator", "feed-in", bus="site", p_nom=most_sold, sign=-1, p_max_pu=share(sold_most, most_sold),
        marginal_cost=pd.Series(-feed_in, at),
    )  # fmt: skip
    charge = float(fleet.charge_max_w[i].max())
    net.add(
        "Link", "charge", bus0="site", bus1="pack", p_nom=charge, p_max_pu=share(fleet.charge_max_w[i], charge),
        efficiency=fleet.charge_efficiency[i],
    )  # fmt: skip
    drawn, ratio = discharge_most / fleet.discharge_efficiency[i], fleet.discharge_efficiency[i]
    net.add(
        "Link", "discharge", bus0="pack", bus1="site", p_nom=max(float(drawn.max()), 1.0), efficiency=ratio,
        p_max_pu=share(drawn, max(float(drawn.max()), 1.0)), marginal_cost=fleet.wear_price[i] * ratio,
    )  # fmt: skip
    capacity = fleet.capacity_wh[i]
    net.add(
        "Store", "store", bus="pack", e_nom=capacity, e_initial=floors[0], e_cyclic=False,
        e_min_pu=share(floors[1:], capacity),
    )  # fmt: skip
    net.optimize(solver_name="highs", log_to_console=False)
    # in thousandths, as the reference: HiGHS takes a reduced cost of 1e-7 for none
    return (float(net.objective) + float(getattr(net, "objective_constant", 0) or 0)) / 1000


def solve_pypsa(fleet: Fleet, i: int) -> float:
    """Least bill of site i by PyPSA with HiGHS; its notices about coming pandas versions are kept quiet. [currency]"""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return _solve_pypsa(fleet, i)
