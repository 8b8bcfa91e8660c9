"""Mean power of every cell in every planning tick, from what a plan drew in its recorded samples."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from controller.replay.scene import Scene
from hw.plant import Figures

Float64 = NDArray[np.float64]


def tick_power(scene: Scene, figures: Figures) -> tuple[Float64, int]:
    """Mean power (n, ticks) [power_unit] of a block, and the number of cell-ticks without a record.

    Those take the cell's mean at the same time of day on other days, or its mean.
    """
    clock = scene.clock
    recorded = _recorded_samples(scene.path, clock.per_tick)
    energy = figures.energy_tick
    if energy.shape[1] == clock.n_samples:  # of a plan that was carried out sample by sample
        energy = np.add.reduceat(
            energy, np.arange(0, clock.n_samples, clock.per_tick), axis=1, dtype=np.float64
        )
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = energy.astype(np.float64) / recorded
    return _filled(mean, clock.per_day // clock.per_tick), int((recorded == 0).sum())


def _recorded_samples(path: NDArray[np.float32], per_tick: int) -> Float64:
    """Recorded samples of each tick. (n, T)"""
    known = ~np.isnan(path)
    starts = np.arange(0, path.shape[1], per_tick)
    return np.add.reduceat(known, starts, axis=1).astype(np.float64)


def _filled(power: Float64, ticks_per_day: int) -> Float64:
    """Power with its gaps filled from the same time of other days, then from the cell's mean. (n, T)"""
    gaps = np.isnan(power)
    if not gaps.any():
        return power
    n, ticks = power.shape
    slot = np.arange(ticks) % ticks_per_day
    known = np.where(gaps, 0.0, power)
    total, count = np.zeros((n, ticks_per_day)), np.zeros((n, ticks_per_day))
    for day in range(0, ticks, ticks_per_day):
        width = min(ticks_per_day, ticks - day)
        total[:, :width] += known[:, day : day + width]
        count[:, :width] += ~gaps[:, day : day + width]
    recorded = np.maximum((~gaps).sum(1), 1)
    mean = known.sum(1) / recorded
    typical = np.where(count > 0, total / np.maximum(count, 1), mean[:, None])
    return np.where(gaps, typical[:, slot], power)
