"""``hw.plant.execute`` for single cells on air, written once more with whole-array NumPy: the peer of the kernel."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hw.plant import BELOW, CHANGES, LOST, N_COLUMNS, OFFERED, UNSERVED
from hw.tables import LATENCY_BINS, LATENCY_CAP_MS, Tables
from hw.world import LOAD_BINS, SYMBOL

Float32 = NDArray[np.float32]


def execute_numpy(
    tables: Tables, path: Float32, ul_per_dl: Float32, plan: NDArray[np.uint8], samples_per_day: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Figures per cell and day (n, D, columns) and traffic by added latency (n, bins). One level per sample.

    For fully recorded cells of one model without levels off air; days must be whole.
    """
    n, samples = path.shape
    n_levels, days = len(tables.asleep), samples // samples_per_day
    table = np.zeros((n, days, N_COLUMNS + 2 * n_levels))
    level = plan.astype(np.intp)
    rate, capacity = tables.rate[0][level], tables.capacity[0][level]

    def by_day(values: NDArray[np.float32] | NDArray[np.bool_]) -> NDArray[np.float64]:
        return np.asarray(values.reshape(n, days, -1).sum(2, dtype=np.float64))

    load = np.minimum(path / rate, np.float32(1))
    at = load * np.float32(LOAD_BINS)
    bin_below = np.minimum(at.astype(np.intp), LOAD_BINS - 1)
    low = tables.power[0][level, bin_below]
    energy = low + (tables.power[0][level, bin_below + 1] - low) * (at - bin_below.astype(np.float32))
    energy += tables.ul_power[0][level] * np.minimum(ul_per_dl * load, np.float32(1))

    full_rate = np.float32(tables.full_rate)
    alone = full_rate * (1 - path)
    throughput = np.where(path <= capacity, full_rate * (rate - path), np.float32(0))
    reduced = level > SYMBOL
    slow = reduced & (
        throughput < np.minimum(np.float32(tables.target), np.float32(tables.target_share) * alone)
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        lost = np.where(reduced & (alone > 0), path * np.maximum(1 - throughput / alone, 0), 0)
        added_ms = 1000 * tables.object_mbit * (1 / throughput - 1 / alone)
        latency_bin = (LATENCY_BINS - 1) * np.sqrt(np.clip(added_ms, 0, LATENCY_CAP_MS) / LATENCY_CAP_MS)
    latency_bin = np.where(reduced & (throughput < alone), latency_bin, 0).astype(np.intp)

    table[:, :, OFFERED] = by_day(path)
    table[:, :, UNSERVED] = by_day(np.maximum(path - capacity, 0))
    table[:, :, BELOW] = by_day(np.where(slow, path, 0))
    table[:, :, LOST] = by_day(lost)
    before = np.concatenate([np.full((n, 1), SYMBOL, np.uint8), plan[:, :-1]], axis=1)
    table[:, :, CHANGES] = by_day((plan != before) & (np.maximum(plan, before) > SYMBOL))
    for k in range(n_levels):
        here = plan == k
        table[:, :, N_COLUMNS + k] = by_day(here)
        table[:, :, N_COLUMNS + n_levels + k] = by_day(np.where(here, energy, 0))
    flat = (np.arange(n)[:, None] * LATENCY_BINS + latency_bin).ravel()
    latency = np.bincount(flat, path.ravel(), n * LATENCY_BINS).reshape(n, LATENCY_BINS)
    return table, latency
