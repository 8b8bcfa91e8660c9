"""A realistic report with its page, made from a seed: 60 cells, 14 days of 15 min ticks, a daily shape."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from controller.report.pagedata import CellDetail, CurvePoint, PageData, PolicySeries, WorstCell

LEVELS = ["full", "symbol", "rf_channel_32", "rf_channel_16", "rf_channel_8", "carrier_shutdown"]
POWER = np.array([150.0, 70.0, 62.0, 58.0, 56.0, 12.0])
REASONS = [
    "fixed by the policy",
    "awake: nothing measured yet",
    "deepest level it may use, within risk",
    "a deeper level would risk the target",
    "kept: a change would not pay",
    "guard: telemetry missing, so awake",
    "guard: changes of the day used up",
]
TICKS_PER_DAY = 96
NASTY_ID = "</script><script>alert('1')</script> & \"quoted\" ${css} é%20+#"

# energy saved, below target, unserved, cells over the limit
OUTCOME = {
    "none": (0.0, 0.0, 0.0, 0.0),
    "symbol": (0.288, 0.0, 0.0, 0.0),
    "timer": (0.412, 0.0183, 0.0021, 0.31),
    "threshold": (0.364, 6.4e-4, 4.1e-5, 0.0051),
    "predictive": (0.3909, 8.74e-4, 3.2e-5, 0.0072),
    "oracle": (0.4412, 9.99e-4, 9.4e-5, 0.0098),
}


def make(seed: int = 1, n_cells: int = 60, n_days: int = 14) -> tuple[dict[str, Any], PageData]:
    """A report document and its page."""
    rng = np.random.default_rng(seed)
    load = _load(rng, n_cells, n_days * TICKS_PER_DAY)
    levels = {name: _levels(rng, name, load) for name in OUTCOME}
    page = _page(rng, load, levels)
    spent = {name: float(np.nansum(series.energy)) for name, series in page.policies.items()}
    shares = {name: np.nanmean(series.level_share, axis=0) for name, series in page.policies.items()}
    policies = {name: _policy(name, shares[name], spent["none"]) for name in OUTCOME}
    policies["oracle"]["bound_gap"] = 4.1e-4
    policies["none"] |= {"captured_share": 0.0, "captured_share_beyond_symbol": None}
    policies["none"]["captured_share_beyond_symbol_reason"] = "none saves less than symbol"
    policies["logged"] = {"applicable": False, "reason": "the trace records no energy-saving activation"}
    return _report(policies, n_cells, n_days, float(np.isnan(load).mean())), page


def _load(rng: np.random.Generator, n_cells: int, n_ticks: int) -> np.ndarray:
    hour = np.arange(n_ticks) / TICKS_PER_DAY * 24
    shape = 0.55 + 0.4 * np.sin((hour - 9) / 24 * 2 * np.pi) + 0.1 * np.sin((hour - 3) / 12 * 2 * np.pi)
    noise = np.exp(rng.normal(0, 0.25, (n_cells, n_ticks)))
    load = np.clip(rng.uniform(0.05, 0.6, (n_cells, 1)) * shape * noise, 0.002, 1).astype(np.float32)
    for cell in range(0, n_cells, 4):
        gap = rng.integers(0, n_ticks - 12)
        load[cell, gap : gap + 12] = np.nan
    load[:, 500:506] = np.nan
    return load


def _levels(rng: np.random.Generator, name: str, load: np.ndarray) -> np.ndarray:
    level = np.zeros(load.shape, np.uint8)
    if name == "none":
        return level
    level[:] = 1
    if name != "symbol":
        calm = np.nan_to_num(load, nan=1.0) * (1.2 if name == "predictive" else 1.0)
        for depth, bar in enumerate((0.3, 0.15, 0.07), start=2):
            level[calm < bar] = depth
        level[1::3][calm[1::3] < 0.03] = 5
    level[np.isnan(load)] = 0
    return level


def _page(rng: np.random.Generator, load: np.ndarray, levels: dict[str, np.ndarray]) -> PageData:
    n_cells = len(load)
    ids = [f"cell-{i:03d}" for i in range(n_cells)]
    ids[7 % n_cells] = NASTY_ID
    scored = ~np.isnan(load)
    upper = load * np.float32(1.5)
    upper[:, :TICKS_PER_DAY] = np.nan
    return PageData(
        first_tick=np.datetime64("2024-03-20T16:00:00", "s"),
        tick_s=900,
        time_zone="Europe/Madrid",
        level_names=list(LEVELS),
        reason_names=list(REASONS),
        offered=np.where(
            scored.any(axis=0), np.nansum(load, axis=0) / np.maximum(scored.sum(axis=0), 1), np.nan
        ).astype(np.float32),
        policies={name: _series(rng, ids, level, scored, load) for name, level in levels.items()},
        curve=_curve(),
        cells=CellDetail(
            cell_id=ids,
            load=load,
            expected=(upper * np.float32(0.62)).astype(np.float32),
            upper=upper,
            level=levels,
            reason={
                name: rng.choice([2, 3, 4, 6], load.shape, p=[0.7, 0.2, 0.09, 0.01]).astype(np.uint8)
                for name in ("timer", "predictive")
            },
        ),
        cells_note="All cells can be opened.",
    )


def _series(
    rng: np.random.Generator, ids: list[str], level: np.ndarray, scored: np.ndarray, load: np.ndarray
) -> PolicySeries:
    at = np.array([((level == i) & scored).sum(axis=0) for i in range(len(LEVELS))], np.float64)
    known = scored.sum(axis=0)
    share = np.where(known, at / np.maximum(known, 1), np.nan).T.astype(np.float32)
    power = np.where(scored, POWER[level] * (1 + np.nan_to_num(load)), 0.0) * 0.25
    by_level = np.array([power[level == i].sum() for i in range(len(LEVELS))])
    worst = [
        WorstCell(
            ids[(7 + 5 * i) % len(ids)],
            0.03 / (i + 1),
            0.002 / (i + 1),
            rng.uniform(0.2, 0.5),
            rng.uniform(2, 12),
        )
        for i in range(10)
    ]
    return PolicySeries(share, power.sum(axis=0).astype(np.float32), by_level, worst)


def _curve() -> list[CurvePoint]:
    points = []
    for policy, best in (("predictive", 0.3909), ("threshold", 0.364), ("oracle", 0.4412)):
        for target, sigma in ((25.0, 0.3), (5.0, 0.3), (50.0, 0.3), (25.0, 0.15), (25.0, 0.45)):
            for factor in (0.25, 0.5, 1.0, 2.0, 4.0):
                below = (
                    8e-4
                    * factor**2
                    * (target / 25) ** 0.7
                    * (sigma / 0.3)
                    * (0 if factor < 0.3 and target < 10 else 1)
                )
                saved = best + 0.018 * np.log2(factor) - 0.05 * (sigma - 0.3)
                points.append(
                    CurvePoint(
                        policy,
                        f"risk x{factor:g}",
                        target,
                        sigma,
                        saved / (1 - saved),
                        saved,
                        below,
                        below / 20,
                        below <= 1e-3,
                    )
                )
    return points


def _policy(name: str, share: np.ndarray, baseline: float) -> dict[str, Any]:
    saved, below, unserved, cells = OUTCOME[name]
    figures = {
        "energy": baseline * (1 - saved),
        "ee_gain_vs_none": saved / (1 - saved),
        "energy_saved_vs_none": saved,
        "captured_share": saved / 0.4412,
        "captured_share_beyond_symbol": max(0.0, (saved - 0.288) / (0.4412 - 0.288)),
        "unserved_share": unserved,
        "below_target_share": below,
        "cells_over_limit_share": cells,
        "worst_cell_unserved_share": 40 * unserved,
        "throughput_loss_mean": saved / 8,
        "added_latency_ms_p95": 4.0 * (name != "none"),
        "level_changes_per_cell_day": 0.0 if name in ("none", "symbol") else 9.83,
        "emergency_wakes_per_cell_day": 0.0,
    }
    return {
        "applicable": True,
        "energy_unit": "P1 deep sleep x h",
        **figures,
        "guard": False,
        "alarms": 3 if name == "threshold" else 0,
        "level_share": {level: float(x) for level, x in zip(LEVELS, share, strict=True)},
        "limits_held": name != "timer",
        "wall_s": 1.27,
        "after_48h": {
            key: value * (1 if key.startswith("captured") else 0.98) for key, value in figures.items()
        },
    }


def _report(policies: dict[str, Any], n_cells: int, n_days: int, missing: float) -> dict[str, Any]:
    return {
        "schema": "quietcell.report/1",
        "complete": True,
        "trace": {
            "source": "synthetic <sample> & co",
            "n_cells": n_cells,
            "n_steps": n_days * 24,
            "step_s": 3600,
            "missing_share": missing,
            "scored_share": 1 - missing,
        },
        "world": "3gpp-cat1-set1",
        "world_parameters": {
            "name": "3gpp-cat1-set1",
            "model": "3gpp",
            "radio": {"source": "3GPP TR 38.864 V18.1.0", "duplex": "TDD", "txru": 64},
            "full_rate_mbit_s": 1000.0,
            "txru_ladder": [32, 16, 8],
            "traffic_path": {"sample_s": 60, "sigma": 0.3, "correlation_s": 300.0},
            "plan_interval_s": 900,
            "service": {"target_share_of_none": 0.8, "cell_below_target_share": 0.01},
            "ul_per_dl": 0.25,
            "rf_channel": {"loss_db_per_halving": 3.0, "wake_s": 1.0},
            "carrier_shutdown": {"wake_s": 60.0},
        },
        "seed": 1,
        "limits": {
            "unserved_share": 1e-4,
            "below_target_share": 1e-3,
            "cells_over_limit_share": 0.01,
            "target_mbit_s": 25.0,
        },
        "policies": policies,
        "assumptions": ["Uplink load is taken as 0.25 of downlink load: the trace records none."],
        "notes": ["PRB load is read as a ratio."],
        "quarantine": {"negative utilisation": 12, "duplicate time": 3},
    }


@pytest.fixture(scope="session")
def make_report() -> Callable[..., tuple[dict[str, Any], PageData]]:
    """The factory itself: ``make_report(seed=1, n_cells=60, n_days=14)``."""
    return make


@pytest.fixture
def made() -> tuple[dict[str, Any], PageData]:
    """A fresh report and its page."""
    return make()
