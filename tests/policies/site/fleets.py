"""Small planning problems for the tests of the battery planner: by hand, and random ones."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from policies.site.problem import Fleet, Plans

PER_SITE = (
    "export_cap_w",
    "capacity_wh",
    "start_wh",
    "end_wh",
    "end_price",
    "charge_efficiency",
    "discharge_efficiency",
)
PER_SITE += ("wear_price", "peak_w", "demand_price")


def one_site(load_w: Any, import_price: Any, **changes: Any) -> Fleet:
    """One site of hourly steps: 1 kWh, starts and may end empty, 1 kW, efficiencies 1 and 0.9, nothing else."""
    n_steps = len(np.atleast_1d(load_w))
    fields: dict[str, Any] = {
        "load_w": load_w,
        "pv_w": 0,
        "import_price": import_price,
        "export_price": 0,
        "export_cap_w": 0,
        "floor_wh": 0,
        "capacity_wh": 1000,
        "start_wh": 0,
        "end_wh": 0,
        "end_price": 0,
        "charge_max_w": 1000,
        "discharge_max_w": 1000,
        "charge_efficiency": 1,
        "discharge_efficiency": 0.9,
        "wear_price": 0,
        "cap_w": np.inf,
        "peak_w": 0,
        "demand_price": 0,
        "event_w": np.inf,
        "event_price": 0,
    } | changes
    shapes = {name: (1,) if name in PER_SITE else (1, n_steps) for name in fields}
    shapes["floor_wh"] = (1, n_steps + 1)
    arrays = {
        name: np.ascontiguousarray(np.broadcast_to(np.asarray(value, np.float64), shapes[name]))
        for name, value in fields.items()
    }
    return Fleet(step_h=1.0, **arrays)


def random_fleet(
    rng: np.random.Generator, n: int, n_steps: int, *, negative: bool = False, feed_in_above: bool = False
) -> Fleet:
    """Sites with and without PV, feed-in, caps and demand charge; some cannot keep their limits."""

    def each(low: float, high: float) -> NDArray[np.float64]:
        return rng.uniform(low, high, (n, 1))

    def some(share: float, value: Any, other: float) -> Any:
        return np.where(rng.random((n, 1)) < share, value, other)

    shape, step_h = (n, n_steps), 0.25
    capacity_wh = each(2000, 20_000)
    day = np.maximum(np.sin(np.linspace(0, 2 * np.pi * max(n_steps / 96, 1), n_steps)), 0)
    price = rng.uniform(0.05, 0.4, shape) - (some(0.5, each(0.1, 0.6), 0.0) if negative else 0.0)
    export_price = rng.uniform(0.02, 0.5, shape) if feed_in_above else price * each(0.2, 1)
    fields = {
        "load_w": rng.uniform(500, 4000, shape),
        "pv_w": day * some(0.6, each(500, 6000), 0.0) * rng.uniform(0.3, 1, shape),
        "import_price": price,
        "export_price": export_price,
        "export_cap_w": some(0.5, each(0, 3000), 0.0),
        "floor_wh": capacity_wh * each(0, 0.6) * rng.uniform(0.7, 1, (n, n_steps + 1)),
        "capacity_wh": capacity_wh,
        "start_wh": capacity_wh * each(0.1, 1),
        "end_wh": capacity_wh * each(0.1, 0.8),
        "end_price": each(0, 0),
        "charge_max_w": np.full(shape, each(0, 4000)),
        "discharge_max_w": rng.uniform(0.8, 1, shape) * each(0, 4000),
        "charge_efficiency": each(0.85, 0.99),
        "discharge_efficiency": each(0.85, 0.99),
        "wear_price": some(0.8, each(0, 0.08), 0.0),
        "cap_w": np.full(shape, some(0.3, each(2500, 6000), np.inf)),
        "peak_w": some(0.5, each(0, 5000), 0.0),
        "demand_price": some(0.7, each(0, 15), 0.0),
        "event_w": np.full(shape, np.inf),
        "event_price": np.zeros(shape),
    }
    arrays = {
        name: np.ascontiguousarray(value[:, 0] if name in PER_SITE else value, np.float64)
        for name, value in fields.items()
    }
    return Fleet(step_h=step_h, **arrays)


def bill(fleet: Fleet, plans: Plans, i: int) -> float:
    """What the plan of site i costs, from its battery power and meter alone."""
    total, highest = 0.0, float(fleet.peak_w[i])
    for t in range(fleet.load_w.shape[1]):
        bought, sold = float(plans.import_w[i, t]), float(plans.export_w[i, t])
        total += fleet.import_price[i, t] * bought - fleet.export_price[i, t] * sold
        total += fleet.wear_price[i] * max(float(plans.battery_w[i, t]), 0)
        total += fleet.event_price[i, t] * max(bought - float(fleet.event_w[i, t]), 0)
        highest = max(highest, bought)
    return float(total * fleet.step_h + fleet.demand_price[i] * highest) / 1000


def broken_limits(fleet: Fleet, plans: Plans, i: int) -> list[str]:
    """Limits that the plan of site i breaks, each recomputed from battery power and meter, step by step."""
    broken, slack = [], 1e-4
    stored = reach = min(float(fleet.start_wh[i]), float(fleet.capacity_wh[i]))
    n_steps = fleet.load_w.shape[1]
    for t in range(n_steps):
        battery, load, pv = float(plans.battery_w[i, t]), fleet.load_w[i, t], fleet.pv_w[i, t]
        charge, discharge = max(-battery, 0), max(battery, 0)
        stored += fleet.step_h * charge * fleet.charge_efficiency[i]
        stored -= fleet.step_h * discharge / fleet.discharge_efficiency[i]
        most = fleet.step_h * fleet.charge_max_w[i, t] * fleet.charge_efficiency[i]
        reach = min(reach + most, float(fleet.capacity_wh[i]))
        floor = max(fleet.floor_wh[i, t + 1], fleet.end_wh[i] if t == n_steps - 1 else 0)
        bought, sold, wasted = plans.import_w[i, t], plans.export_w[i, t], plans.curtailed_w[i, t]
        checks = {
            "balance": abs(bought - sold + pv - wasted + discharge - load - charge) < slack,
            "stored": abs(stored - plans.stored_wh[i, t + 1]) < slack,
            "floor": stored > min(floor, reach) - slack,
            "capacity": stored < fleet.capacity_wh[i] + slack,
            "charge": charge < fleet.charge_max_w[i, t] + slack,
            "discharge": discharge < min(fleet.discharge_max_w[i, t], max(load - pv, 0)) + slack,
            "cap": bought < fleet.cap_w[i, t] + slack,
            "feed-in": sold < min(fleet.export_cap_w[i], pv) + slack,
            "curtailed": -slack < wasted < pv + slack,
            "one sign": min(bought, sold) == 0 and bought >= 0 and sold >= 0,
        }
        broken += [f"{name} at {t}" for name, kept in checks.items() if not kept]
    return broken
