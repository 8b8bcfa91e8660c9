"""The battery plan of one site by HiGHS: what the kernel of ``policies.site.problem`` is judged by.

A linear program where it is proven tight. At an import price of zero or more, charging and discharging at once stores
no more than their difference does and imports more, so some optimum does only one; binaries forbid it at steps below
zero. Importing and exporting at once pays only where feed-in is paid better than import costs; binaries forbid it
there.

``losses`` adds what the rectifier loses beyond the fleet's constant efficiencies, convex and piecewise linear in the
import (a secant through each pair of points). As a lower bound on the loss it is tight where import costs something; at
a price below zero a loss would be earned, so it is refused there.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import csr_array, diags_array, eye_array, hstack, vstack

from policies.site.cap_search import status_at_cap
from policies.site.problem import INFEASIBLE_CAP, Fleet
from policies.site.site_terms import effective_floors, site_terms

CHARGE, DISCHARGE, STORED, IMPORT, EXPORT, USED_PV, CHARGES, IMPORTS, LOSS, OVER, N_BLOCKS = range(11)


class Losses(NamedTuple):
    """Further loss of a rectifier over the import without it; beyond the last point its slope goes on."""

    import_w: NDArray[np.float64]  # (k,) rising
    loss_w: NDArray[np.float64]  # (k,) convex over import_w, not falling, at least 0


class ReferencePlan(NamedTuple):
    """The optimum of one site; NaN where ``status`` is not OK of ``policies.site.problem``."""

    cost: float  # energy, wear, what events cost, and demand charge [currency]
    bound: float  # no plan costs less, once what it stores at the end is taken off at end_price [currency]
    battery_w: NDArray[np.float64]  # (T,) at the meter, above zero discharges
    stored_wh: NDArray[np.float64]  # (T + 1,)
    import_w: NDArray[np.float64]  # (T,) with the further loss
    status: int


def plan_reference(fleet: Fleet, i: int, *, losses: Losses | None = None, gap: float = 1e-9) -> ReferencePlan:
    """The plan of site i within ``gap`` (relative) of the optimum.

    Raises RuntimeError where HiGHS gives up, ValueError where ``losses`` are not convex or a price is below zero with
    them. Where only the further losses break a limit, the status says that it is the cap.
    """
    n_steps = fleet.load_w.shape[1]
    floors = np.empty(n_steps + 1)
    effective_floors(fleet, i, floors)
    cost, integral, bounds, rows = program(fleet, i, floors, losses)
    result = milp(cost, integrality=integral, bounds=bounds, constraints=rows, options={"mip_rel_gap": gap})
    if result.status == 2:
        status = int(status_at_cap(site_terms(fleet, i), np.inf)) or INFEASIBLE_CAP
        nothing = np.full(n_steps, np.nan)
        return ReferencePlan(np.nan, np.nan, nothing, np.append(nothing, np.nan), nothing, status)
    if result.x is None:
        raise RuntimeError(f"HiGHS gave up: {result.message}")
    steps = result.x[:-1].reshape(N_BLOCKS, n_steps)
    bound = result.fun if not integral.any() else result.mip_dual_bound
    stored_wh = np.append(floors[0], steps[STORED])
    total = float(result.fun + fleet.end_price[i] * stored_wh[-1]) / 1000
    battery_w, import_w = steps[DISCHARGE] - steps[CHARGE], steps[IMPORT] + steps[LOSS]
    return ReferencePlan(total, float(bound) / 1000, battery_w, stored_wh, import_w, 0)


def _secants(losses: Losses, price: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Slopes and intercepts [W] of the lines below which the loss is not."""
    at, loss = np.asarray(losses.import_w, np.float64), np.asarray(losses.loss_w, np.float64)
    if at.ndim != 1 or at.shape != loss.shape or len(at) < 2 or not (np.diff(at) > 0).all():
        raise ValueError("losses need two points or more, of rising import")
    slope = np.diff(loss) / np.diff(at)
    if not (loss >= 0).all() or (slope < 0).any() or (np.diff(slope) < -1e-12).any():
        raise ValueError("losses must be convex, not fall, and not be below zero")
    if (price < 0).any():
        raise ValueError("losses over the import need prices of zero or more: below, a loss would be earned")
    return slope, loss[:-1] - slope * at[:-1]


def program(
    fleet: Fleet, i: int, floors: NDArray[np.float64], losses: Losses | None = None
) -> tuple[NDArray[np.float64], NDArray[np.uint8], Bounds, LinearConstraint]:
    """Costs, integrality, bounds and rows. Columns: the blocks of T steps each, then the month's highest import [W]."""
    n_steps, step_h = fleet.load_w.shape[1], fleet.step_h
    load, pv, price = fleet.load_w[i], fleet.pv_w[i], fleet.import_price[i]
    feed_in = np.maximum(fleet.export_price[i], 0)
    discharge = np.minimum(fleet.discharge_max_w[i], np.maximum(load - pv, 0))
    sold = np.where((feed_in > 0) & (pv > load), np.minimum(fleet.export_cap_w[i], pv), 0.0)
    most = np.minimum(fleet.cap_w[i], load + fleet.charge_max_w[i])
    both_battery, both_meter = price < 0, (feed_in > price) & (sold > 0)
    cost = np.zeros((N_BLOCKS, n_steps))
    cost[DISCHARGE], cost[IMPORT], cost[EXPORT] = fleet.wear_price[i], price, -feed_in
    cost[LOSS], cost[OVER] = price, np.maximum(fleet.event_price[i], -price)
    cost[STORED, -1] = -fleet.end_price[i] / step_h
    upper, lower = np.zeros_like(cost), np.zeros_like(cost)
    upper[CHARGE], upper[DISCHARGE], upper[STORED] = fleet.charge_max_w[i], discharge, fleet.capacity_wh[i]
    upper[IMPORT], upper[EXPORT], upper[USED_PV] = most, sold, pv
    upper[CHARGES], upper[IMPORTS] = both_battery, both_meter
    upper[OVER] = np.where(np.isfinite(fleet.event_w[i]), np.inf, 0.0)
    lower[STORED] = floors[1:]
    integral = np.zeros_like(cost, np.uint8)
    integral[CHARGES], integral[IMPORTS] = both_battery, both_meter
    one, none = eye_array(n_steps, format="csr"), csr_array((n_steps, n_steps))
    keep = one - eye_array(n_steps, k=-1, format="csr")
    stored = [
        -step_h * fleet.charge_efficiency[i] * one,
        step_h / fleet.discharge_efficiency[i] * one,
        keep,
        *[none] * 7,
    ]
    meter = [one, -one, none, -one, one, -one, none, none, none, none]
    peak = [none, none, none, one, none, none, none, none, one, none]
    blocks = [stored, meter, peak]
    begin = np.zeros(n_steps)
    begin[0] = floors[0]
    inf = np.full(n_steps, np.inf)
    limits = [(begin, begin), (-load, -load), (-inf, np.zeros(n_steps))]
    for at, column, binary, cap, is_one in (
        (both_battery, CHARGE, CHARGES, fleet.charge_max_w[i], True),
        (both_battery, DISCHARGE, CHARGES, discharge, False),
        (both_meter, IMPORT, IMPORTS, most, True),
        (both_meter, EXPORT, IMPORTS, sold, False),
    ):
        row = [none] * N_BLOCKS
        row[column] = diags_array(at.astype(float), format="csr")
        row[binary] = diags_array(np.where(at, -cap if is_one else cap, 0.0), format="csr")
        blocks.append(row)
        limits.append((-inf, np.where(at & (not is_one), cap, 0.0)))
    if np.isfinite(fleet.event_w[i]).any():
        blocks.append([*peak[:-1], -one])
        limits.append((-inf, fleet.event_w[i]))
    if losses is not None:
        upper[LOSS] = np.inf
        blocks.append(peak)
        limits.append((-inf, fleet.cap_w[i]))
        for slope, above in zip(*_secants(losses, price), strict=True):
            blocks.append([none, none, none, slope * one, none, none, none, none, -one, none])
            limits.append((-inf, np.full(n_steps, -above)))
    highest = [csr_array((n_steps, 1)) for _ in blocks]
    highest[2] = csr_array(-np.ones((n_steps, 1)))
    matrix = vstack([hstack([*row, last]) for row, last in zip(blocks, highest, strict=True)], format="csr")
    rows = LinearConstraint(matrix, *(np.concatenate([limit[k] for limit in limits]) for k in (0, 1)))
    bounds = Bounds(np.append(lower.ravel(), fleet.peak_w[i]), np.append(upper.ravel(), np.inf))
    # in thousandths of the currency: HiGHS takes a reduced cost of 1e-7 for none
    costs = np.append(cost.ravel() * step_h, fleet.demand_price[i])
    return costs, np.append(integral.ravel(), np.uint8(0)), bounds, rows
