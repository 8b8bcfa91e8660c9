"""Invented loads with a daily shape, for tests of the forecaster."""

from __future__ import annotations

import numpy as np

from traces import Trace
from traces.trace import make_cells

START = np.datetime64("2024-03-04T00:00:00", "s")  # a Monday


def invented_load(n_cells: int, days: int, per_day: int = 24, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    t = np.arange(days * per_day)
    shape = -2.0 + np.sin(2 * np.pi * t / per_day - 1) + 0.4 * np.sin(4 * np.pi * t / per_day)
    noise = np.zeros((n_cells, len(t)))
    for k in range(1, len(t)):
        noise[:, k] = 0.7 * noise[:, k - 1] + rng.normal(0, 0.2, n_cells)
    u = shape + rng.normal(0, 0.3, (n_cells, 1)) + noise
    load = np.clip(np.exp(u), 0, 1).astype(np.float32)
    load[rng.random(load.shape) < 0.03] = np.nan
    return load


def invented_trace(n_cells: int, days: int, per_day: int = 24, seed: int = 0) -> Trace:
    ids = [f"c{k}" for k in range(n_cells)]
    cells = make_cells(ids, site_id=[f"s{k // 2}" for k in range(n_cells)])
    load = invented_load(n_cells, days, per_day, seed)
    return Trace("invented", cells, START, 86400 // per_day, "UTC", load)
