"""One site's problem as the passes over its steps read it: a row of terms per step, and a few that hold for all steps.

Each pass asks for the same terms, so they are worked out once a plan. And one table is handed from kernel to kernel at
a fraction of what handing on the many arrays of a fleet takes. Energies are in Wh per step at the meter, prices in
currency per Wh.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

# Columns of a step. NET: load less PV; MOST, LEAST: what the battery may add to the meter but for the limits of the
# import, HARD: that of the connection, EVENT: the lower of HARD and a grid event's; SURPLUS: PV beyond the load, SOLD:
# what of it can be fed in; KINK: what the battery adds where an event's limit is reached, MORE: what a Wh beyond costs.
LOAD, NET, MOST, LEAST, HARD, EVENT, PRICE, FEED_IN, SURPLUS, SOLD, KINK, MORE, N_TERMS = range(13)


class Site(NamedTuple):
    """One site and T steps."""

    steps: NDArray[np.float64]  # (T, N_TERMS)
    floors_wh: NDArray[np.float64]  # (T + 1,) as ``effective_floors`` lowers them
    capacity_wh: float
    charge_efficiency: float
    discharge_efficiency: float
    wear: float  # per Wh saved at the meter by discharging
    end_worth: float  # per Wh stored at the end
    demand_rate: float  # what a Wh more in the highest step costs
    paid_wh: float  # highest import that was billed already


@njit(cache=True)
def effective_floors(fleet, i, floors):  # type: ignore[no-untyped-def]
    """Write the floors (T + 1,) that hold for site i: those of the fleet, lowered to what full charging can reach.

    The first is the energy stored at the start, which the plan cannot change.
    """
    capacity_wh, n_steps = fleet.capacity_wh[i], fleet.load_w.shape[1]
    reach = min(fleet.start_wh[i], capacity_wh)
    floors[0] = reach
    for t in range(n_steps):
        stored = fleet.charge_max_w[i, t] * fleet.step_h * fleet.charge_efficiency[i]
        reach = min(capacity_wh, reach + stored)
        floor = fleet.floor_wh[i, t + 1]
        if t == n_steps - 1:
            floor = max(floor, fleet.end_wh[i])
        floors[t + 1] = min(floor, reach)


@njit(cache=True)
def _write_step(fleet, i, t, row):  # type: ignore[no-untyped-def]
    step_h, price = fleet.step_h, fleet.import_price[i, t]
    row[LOAD] = fleet.load_w[i, t] * step_h
    row[NET] = (fleet.load_w[i, t] - fleet.pv_w[i, t]) * step_h
    row[MOST] = fleet.charge_max_w[i, t] * step_h
    row[LEAST] = -min(fleet.discharge_max_w[i, t] * step_h, max(row[NET], 0.0))
    row[HARD] = fleet.cap_w[i, t] * step_h
    row[EVENT] = min(fleet.cap_w[i, t], fleet.event_w[i, t]) * step_h
    row[PRICE] = price / 1000
    row[FEED_IN] = max(fleet.export_price[i, t], 0.0) / 1000
    row[SURPLUS] = max(-row[NET], 0.0)
    row[SOLD] = min(row[SURPLUS], fleet.export_cap_w[i] * step_h) if row[FEED_IN] > 0 else 0.0
    row[KINK] = (fleet.event_w[i, t] + fleet.pv_w[i, t] - fleet.load_w[i, t]) * step_h
    # below a price of zero the load takes no more than the event's limit for its own sake: the whole price counts
    more = fleet.event_price[i, t]
    row[MORE] = (more if price >= 0 else max(price + more, 0.0)) / 1000


@njit(cache=True)
def site_terms(fleet, i):  # type: ignore[no-untyped-def]
    """The terms of site i of a fleet (``policies.site.problem.Fleet``)."""
    n_steps = fleet.load_w.shape[1]
    steps, floors = np.empty((n_steps, N_TERMS)), np.empty(n_steps + 1)
    for t in range(n_steps):
        _write_step(fleet, i, t, steps[t])
    effective_floors(fleet, i, floors)
    return Site(
        steps,
        floors,
        fleet.capacity_wh[i],
        fleet.charge_efficiency[i],
        fleet.discharge_efficiency[i],
        fleet.wear_price[i] / 1000,
        fleet.end_price[i] / 1000,
        fleet.demand_price[i] / 1000 / fleet.step_h,
        fleet.peak_w[i] * fleet.step_h,
    )
