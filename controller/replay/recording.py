"""Series over time that are kept while a policy is replayed."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from controller.replay.planning import Planned
from controller.replay.scene import Scene
from hw.plant import Figures


@dataclass(slots=True)
class Series:
    """A policy over time. T ticks, L levels, C kept cells."""

    level_samples: NDArray[np.float64]  # (T, L) scored samples
    energy: NDArray[np.float64]  # (T,)
    level: list[NDArray[np.uint8]] = field(default_factory=list)  # kept cells of each block, (C, T)
    reason: list[NDArray[np.uint8]] = field(default_factory=list)
    expected: list[NDArray[np.float32]] = field(default_factory=list)
    upper: list[NDArray[np.float32]] = field(default_factory=list)


def add_series(
    series: Series | None, scene: Scene, planned: Planned, figures: Figures, keep: NDArray[np.bool_]
) -> Series:
    """Add one block to the series of a policy."""
    clock = scene.clock
    n_levels = figures.n_levels
    if series is None:
        series = Series(np.zeros((clock.n_ticks, n_levels)), np.zeros(clock.n_ticks))
    plan = planned.plan
    carried_out = plan if planned.served is None else scene.by_sample(plan, planned.served)
    if carried_out.shape[1] != clock.n_ticks:  # a level per sample: count every one
        count = np.zeros((clock.n_samples, n_levels))
        for level in range(n_levels):
            count[:, level] = ((carried_out == level) & ~np.isnan(scene.path)).sum(0)
        starts = np.arange(0, clock.n_samples, clock.per_tick)
        series.level_samples += np.add.reduceat(count, starts)
        series.energy += np.add.reduceat(figures.energy_tick.sum(0, dtype=np.float64), starts)
        if planned.served is None:  # show the middle of each tick
            plan = plan[:, np.minimum(starts + clock.per_tick // 2, clock.n_samples - 1)]
    else:
        known = scored_samples(scene)
        for level in range(n_levels):
            series.level_samples[:, level] += np.where(plan == level, known, 0).sum(0)
        series.energy += figures.energy_tick.sum(0, dtype=np.float64)
    series.level.append(plan[keep])
    for name in ("reason", "expected", "upper"):
        values = getattr(planned, name)
        if values is not None:
            getattr(series, name).append(values[keep])
    return series


def scored_samples(scene: Scene) -> NDArray[np.int64]:
    """Scored samples of each cell and tick. (n, T)"""
    starts = np.arange(0, scene.clock.n_samples, scene.clock.per_tick)
    return np.asarray(np.add.reduceat(~np.isnan(scene.path), starts, axis=1, dtype=np.int64))


def tick_loads(scene: Scene) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Mean offered load per cell and tick (n, T), NaN unrecorded, and the sum over cells (T,)."""
    starts = np.arange(0, scene.clock.n_samples, scene.clock.per_tick)
    total = np.add.reduceat(np.nan_to_num(scene.path), starts, axis=1, dtype=np.float64)
    known = scored_samples(scene)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(known > 0, total / known, np.nan).astype(np.float32)
    return mean, np.asarray(total.sum(0))
