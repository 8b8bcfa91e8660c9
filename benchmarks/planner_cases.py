"""Random sites for the battery planner's benchmark, and what they pay while the battery does what it must only."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from policies.site.problem import PER_STEP, Fleet, Plans, settle

Floats = NDArray[np.float64]


def random_sites(rng: np.random.Generator, n: int, n_steps: int, step_h: float = 0.25) -> Fleet:
    """Sites with and without PV, feed-in, import cap and demand charge; half of them meet prices below zero.

    Feed-in is paid up to the import price, or better at a fifth of the sites. Some cannot keep their limits.
    """
    shape = (n, n_steps)

    def each(low: float, high: float) -> Floats:
        return rng.uniform(low, high, (n, 1))

    def some(share: float, value: Any, other: float) -> Any:
        return np.where(rng.random((n, 1)) < share, value, other)

    hour = np.arange(n_steps) * step_h
    sun = np.maximum(np.sin((hour % 24 - 6) * np.pi / 12), 0)
    busy = 1 + each(0, 0.4) * np.sin((hour % 24 - 9) * np.pi / 12)
    price = each(0.05, 0.25) * (1 + each(0, 0.8) * rng.uniform(-1, 1, shape))
    price = price - some(0.5, each(0.05, 0.4), 0.0) * sun
    capacity_wh = each(2000, 20_000)
    fields = {
        "load_w": each(800, 4000) * busy * rng.uniform(0.8, 1.2, shape),
        "pv_w": sun * some(0.6, each(500, 6000), 0.0) * rng.uniform(0.3, 1, shape),
        "import_price": price,
        "export_price": price * some(0.2, each(1, 1.5), 1.0) * each(0.2, 1),
        "export_cap_w": some(0.5, each(0, 3000), 0.0),
        "floor_wh": capacity_wh * each(0, 0.6) * rng.uniform(0.7, 1, (n, n_steps + 1)),
        "capacity_wh": capacity_wh,
        "start_wh": capacity_wh * each(0.1, 1),
        "end_wh": capacity_wh * each(0.1, 0.8),
        "end_price": each(0, 0),
        "charge_max_w": np.full(shape, each(300, 4000)),
        "discharge_max_w": rng.uniform(0.8, 1, shape) * each(300, 4000),
        "charge_efficiency": each(0.88, 0.97),
        "discharge_efficiency": each(0.88, 0.99),
        "wear_price": each(0, 0.06),
        "cap_w": np.full(shape, some(0.3, each(2500, 6000), np.inf)),
        "peak_w": some(0.5, each(0, 5000), 0.0),
        "demand_price": some(0.7, each(0, 15), 0.0),
        "event_w": np.full(shape, np.inf),
        "event_price": np.zeros(shape),
    }
    over_time = (*PER_STEP, "floor_wh")
    arrays = {name: value if name in over_time else value[:, 0] for name, value in fields.items()}
    return Fleet(step_h=step_h, **{name: np.ascontiguousarray(value) for name, value in arrays.items()})


def bill(fleet: Fleet, battery_w: Floats, import_w: Floats, export_w: Floats) -> Floats:
    """Energy, wear and demand charge (n,) of what happened, from powers (n, T) alone. [currency]"""
    energy = fleet.import_price * import_w - fleet.export_price * export_w
    energy += fleet.wear_price[:, None] * np.maximum(battery_w, 0)
    peak_w = np.maximum(fleet.peak_w, import_w.max(1))
    total: Floats = (energy.sum(1) * fleet.step_h + fleet.demand_price * peak_w) / 1000
    return total


def plan_bill(fleet: Fleet, plans: Plans) -> Floats:
    """The bill (n,) of plans, recomputed from the battery's power. [currency]"""
    import_w, export_w, _ = settle(fleet, plans.battery_w, plans.import_w.max(1))
    return bill(fleet, plans.battery_w, import_w, export_w)


def idle_bill(fleet: Fleet) -> Floats:
    """The bill (n,) where the battery charges only for its floors, as late as it can, and discharges only where the
    import cap forces it. [currency]"""
    store, draw, step_h = fleet.charge_efficiency[:, None], fleet.discharge_efficiency[:, None], fleet.step_h
    meter_wh = np.minimum(fleet.charge_max_w, fleet.cap_w - fleet.load_w + fleet.pv_w) * step_h
    most_wh = np.where(meter_wh > 0, meter_wh * store, meter_wh / draw)
    needed_wh = fleet.floor_wh.copy()
    needed_wh[:, -1] = np.maximum(needed_wh[:, -1], fleet.end_wh)
    full_wh = fleet.charge_max_w * step_h * store
    start_wh = reach_wh = np.minimum(fleet.start_wh, fleet.capacity_wh)
    for t in range(full_wh.shape[1]):  # floors out of reach are lowered, as the planner's are
        reach_wh = np.minimum(reach_wh + full_wh[:, t], fleet.capacity_wh)
        needed_wh[:, t + 1] = np.minimum(needed_wh[:, t + 1], reach_wh)
    for t in range(full_wh.shape[1] - 1, -1, -1):
        needed_wh[:, t] = np.maximum(needed_wh[:, t], needed_wh[:, t + 1] - most_wh[:, t])
    stored_wh, battery_w = start_wh, np.empty_like(full_wh)
    for t in range(full_wh.shape[1]):
        change = np.maximum(np.minimum(most_wh[:, t], 0), needed_wh[:, t + 1] - stored_wh)
        stored_wh = stored_wh + change
        battery_w[:, t] = np.where(change > 0, -change / store[:, 0], -change * draw[:, 0]) / step_h
    import_w, export_w, _ = settle(fleet, battery_w, np.full(len(start_wh), np.inf))
    return bill(fleet, battery_w, import_w, export_w)
