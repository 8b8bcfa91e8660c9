"""A made-up but plausible site section: thirty sites, the courses of six over a fortnight with one outage."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from controller.report.sitedata import SitePage

POLICIES = ("idle", "rule", "threshold", "plan_24h", "plan", "oracle")
SHARE = {"idle": 0.0, "rule": 0.031, "threshold": 0.044, "plan_24h": 0.049, "plan": 0.071, "oracle": 0.0735}
HOUR_STEPS = 4
CAPACITY_WH, CHARGE_W = 19_000.0, 2_500.0
Float = NDArray[np.float64]


def make_site(
    seed: int = 1, n_sites: int = 30, n_kept: int = 6, n_days: int = 14
) -> tuple[dict[str, Any], SitePage]:
    """The section of the report and the page's series."""
    rng = np.random.default_rng(seed)
    steps = np.arange(n_days * 24 * HOUR_STEPS)
    hour = (steps / HOUR_STEPS + 17) % 24  # 16:00 UTC is 17:00 in Madrid
    load_w = 2600 + 900 * np.sin((hour - 10) / 24 * 2 * np.pi) + rng.normal(0, 120, (n_kept, len(steps)))
    load_w *= rng.uniform(0.7, 1.4, (n_kept, 1))
    sun = np.clip(np.sin((hour - 6.5) / 12 * np.pi), 0, None) * (hour > 6.5) * (hour < 18.5)
    pv_w = 2400 * sun * np.repeat(rng.uniform(0.2, 1, (n_kept, n_days)), 24 * HOUR_STEPS, axis=1)
    price = np.where((hour < 8), 0.38, np.where((hour >= 18) & (hour < 22), 1.24, 0.72)) + 0 * load_w
    mains = np.ones(load_w.shape)
    mains[0, 112:120] = 0  # an evening's outage of 2 h
    outdoor_c = 14 + 7 * np.sin((hour - 9) / 24 * 2 * np.pi) + np.cumsum(rng.normal(0, 0.12, load_w.shape), 1)
    shared = {
        "load_w": load_w,
        "pv_w": pv_w,
        "import_price": price,
        "floor_wh": 2.6 * load_w.mean(1, keepdims=True) * (1 + 0.18 * np.sin((hour - 8) / 24 * 2 * np.pi)),
        "battery_c": 0.6 * outdoor_c + 12,
        "outdoor_c": outdoor_c,
        "mains": mains,
    }
    series = {name: array.astype(np.float32) for name, array in shared.items()}
    for eager, policy in enumerate(POLICIES):
        for name, array in _battery(shared, eager / 5).items():
            series[f"{name}/{policy}"] = array.astype(np.float32)
    ids = [f"MAD-{i:03d}" for i in range(n_sites)]
    page = SitePage(
        site_id=ids[:n_kept],
        start=np.datetime64("2024-03-20T16:00:00", "s"),
        step_s=900,
        time_zone="Europe/Madrid",
        currency="EUR",
        policy_names=list(POLICIES),
        day_first_step=28,
        series=series,
        fleet=[_row(rng, name) for name in ids],
        series_note=f"The courses of {n_kept} of {n_sites} sites were kept.",
    )
    return _report(), page


def _battery(shared: dict[str, Float], eager: float) -> dict[str, Float]:
    """A battery that fills when the price is low and gives ``eager`` of what the evening asks for."""
    need_w = shared["load_w"] - shared["pv_w"]
    price, mains, floor_wh = shared["import_price"], shared["mains"], shared["floor_wh"]
    charge_w, discharge_w = np.zeros(need_w.shape), np.zeros(need_w.shape)
    stored_wh, now_wh = np.zeros(need_w.shape), np.full(len(need_w), 15_000.0)
    for step in range(need_w.shape[1]):
        stored_wh[:, step] = now_wh
        spare_wh = np.maximum(now_wh - floor_wh[:, step], 0)
        want_w = eager * np.maximum(need_w[:, step], 0) * (price[:, step] > 1)
        out_w = np.where(
            mains[:, step] > 0, np.minimum(want_w, 4 * 0.95 * spare_wh), np.maximum(need_w[:, step], 0)
        )
        room_w = np.minimum(CHARGE_W, 4 * (CAPACITY_WH - now_wh) / 0.97)
        in_w = np.where((mains[:, step] > 0) & (price[:, step] < 0.5), room_w, 0)
        now_wh = now_wh + 0.25 * (0.97 * in_w - out_w / 0.97)
        charge_w[:, step], discharge_w[:, step] = in_w, out_w
    import_w = np.maximum(need_w + charge_w / 0.95 - discharge_w / 0.95, 0) * mains
    return {"charge_w": charge_w, "discharge_w": discharge_w, "stored_wh": stored_wh, "import_w": import_w}


def figures(policy: str, scale: float, shift: float = 0.0) -> dict[str, Any]:
    """The figures of a policy for a load of ``scale``, saving ``shift`` more."""
    saved = SHARE[policy] + (shift if policy != "idle" else 0.0)
    wear = 90 * scale * saved
    cost = 480 * scale * (1 - saved)
    return {
        "bill": cost - wear,
        "energy_cost": 0.8 * cost,
        "demand_cost": 0.2 * cost - wear,
        "wear_cost": wear,
        "cost": cost,
        "saved_cost": 480 * scale * saved,
        "saved_share": saved,
        "captured_share": saved / (SHARE["oracle"] + shift),
        "peak_kw": 3.9 * (1 - 2.6 * saved) * min(scale, 1.6),
        "import_kwh": 1900 * scale * (1 + 0.2 * saved),
        "co2_kg": 410 * scale * (1 + 0.1 * saved),
        "green_share": 0.21,
        "cycles_per_year": 2300 * saved,
        "life_years": 14.2 - 40 * saved,
        "reserve_margin_kwh": max(0.06, 4.8 - 62 * saved),
        "battery_max_c": 31.4 + 20 * saved,
        "outages": 1,
        "outages_carried": 1,
        "outage_lost_h": 0.0,
        "shed_kwh": 0.0,
        "guard_interventions": 0 if policy == "idle" else 3,
        "outage_h": 2.0,
    }


def _row(rng: np.random.Generator, name: str) -> dict[str, Any]:
    scale, shift = rng.uniform(0.7, 1.5), rng.normal(0, 0.009)
    alarms = ["battery holds 2.1 h, its class asks for 3 h"] if name.endswith("7") else []
    return {
        "site_id": name,
        "site_class": str(rng.choice(["urban", "suburban", "rural"])),
        "policies": {policy: figures(policy, scale, shift) for policy in POLICIES},
        "alarms": alarms,
    }


def _report() -> dict[str, Any]:
    policies = {policy: figures(policy, 33.0) for policy in POLICIES}
    policies["idle"] |= {"captured_share": None, "captured_share_reason": "idle is the baseline"}
    policies["plan"]["plan_gap"] = 0.0031
    policies["mine"] = {"applicable": False, "reason": "it has no plan for batteries"}
    return {
        "currency": "EUR",
        "tariff": "three-period",
        "n_sites": 30,
        "n_alarms": 3,
        "complete": True,
        "notes": [
            "The trace holds 14 days of a billing month: the demand charge is that share of the month's."
        ],
        "policies": policies,
    }
