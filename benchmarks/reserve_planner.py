"""The real planner behind the guard: re-planned daily or at every step, at prices that tempt it to empty the pack."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from benchmarks.reserve_run import RECTIFIER_EFFICIENCY, PlannerOf
from benchmarks.reserve_world import STEP_S, STEPS_PER_DAY
from hw.power.plant import Plant
from policies.site.guard import Wanted
from policies.site.pack import parameter
from policies.site.problem import Fleet, plan_fleet
from policies.site.safe_charging import Ahead

Floats = NDArray[np.float64]
WEAR_PER_KWH, DEMAND_PER_KW = 0.03, 8.0


def replanned(plant: Plant, hard_cap_w: Floats, every: int, rng: np.random.Generator) -> PlannerOf:
    """A planner that plans anew every so many steps, to the end of what is known.

    Prices are drawn for each site and step, a twentieth of them below zero, so that it moves much and to the limits.
    """
    n, planned, made_at = len(hard_cap_w), np.zeros((len(hard_cap_w), 0)), 0
    price = np.zeros((n, 0))

    def ask(step: int, stored_wh: Floats, ahead: Ahead, at: int) -> Wanted:
        nonlocal planned, made_at, price
        if at == 0:
            price = rng.lognormal(-2.3, 0.8, (n, ahead.charge_max_w.shape[1]))
            price[rng.random(price.shape) < 0.05] *= -1
        if step % every == 0 or step % STEPS_PER_DAY == 0:
            planned, made_at = plan(plant, hard_cap_w, price, stored_wh, ahead, at), at
        meter_w = planned[:, at - made_at]
        return Wanted(meter_w * RECTIFIER_EFFICIENCY, hard_cap_w)

    return ask


def plan(plant: Plant, hard_cap_w: Floats, price: Floats, stored_wh: Floats, ahead: Ahead, at: int) -> Floats:
    """Battery power at the meter, (n, steps from ``at`` on). [W]"""
    load = np.ascontiguousarray(ahead.meter_load_w[:, at:])
    ratio, n = RECTIFIER_EFFICIENCY, len(load)
    capacity = plant.rated_wh * 0.95
    floor = np.minimum(ahead.floor_wh[:, at:], capacity[:, None])
    none = np.zeros_like(load)
    fleet = Fleet(
        step_h=STEP_S / 3600,
        load_w=load,
        pv_w=none,
        import_price=np.ascontiguousarray(price[:, at:]),
        export_price=none,
        export_cap_w=np.zeros(n),
        floor_wh=np.ascontiguousarray(floor),
        capacity_wh=capacity,
        start_wh=np.clip(np.nan_to_num(stored_wh), 0, capacity),
        end_wh=floor[:, -1].copy(),
        end_price=np.zeros(len(floor)),
        charge_max_w=np.ascontiguousarray(ahead.charge_max_w[:, at:] / ratio),
        discharge_max_w=np.minimum(
            load, (parameter(plant, "discharge_rate") * plant.rated_wh / ratio)[:, None]
        ),
        charge_efficiency=parameter(plant, "charge_efficiency") * ratio,
        discharge_efficiency=parameter(plant, "discharge_efficiency") / ratio * 0.9,
        wear_price=np.full(n, WEAR_PER_KWH),
        cap_w=np.tile(hard_cap_w[:, None], load.shape[1]),
        peak_w=np.zeros(n),
        demand_price=np.full(n, DEMAND_PER_KW),
        event_w=np.full(load.shape, np.inf),
        event_price=none,
    )
    return np.asarray(plan_fleet(fleet).battery_w)
