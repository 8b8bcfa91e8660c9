"""What the radio of each site draws under a radio policy: the load that the site's power system sees."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from controller.errors import ConfigError
from controller.replay.run import plans_of
from controller.replay.stage import Progress, Stage, quiet
from controller.worlds import EvaluatedWorld

Float64 = NDArray[np.float64]


class RadioPower(NamedTuple):
    """Power of the cells of each site. n sites, T planning ticks."""

    site_id: NDArray[np.str_]  # (n,)
    power_w: Float64  # (n, T)
    filled_share: float  # of the cell-ticks, those without a record, taken from the same time of other days [ratio]


def watt_per_unit(world: EvaluatedWorld, given: float | None) -> float:
    """W of one unit of power of the world. Raises ConfigError where the world has no W and none is given."""
    if given is not None:
        return given
    if world.world.watt_per_unit is None:
        raise ConfigError(
            f"world {world.world.name} has no power in W, but a site has: choose a world such as earth-macro, "
            "or say in the sites file what one unit draws: radio_w_per_unit"
        )
    return world.world.watt_per_unit


def radio_power(stage: Stage, policy: str, unit_w: float, progress: Progress = quiet) -> RadioPower:
    """Replay one causal policy and add up its cells by site.

    Ticks of a cell without a record take its mean at the same time of day on other days, or its mean.
    """
    cells = stage.task.trace.cells
    clock = stage.clock
    power = np.empty((stage.network.n_cells, clock.n_ticks))
    unknown = 0
    for (block, scene), planned in zip(stage.scenes(), plans_of(policy, stage, progress), strict=True):
        figures = scene.execute(planned.plan, awake=planned.awake, energy_per_tick=True)
        recorded = _recorded_samples(scene.path, clock.per_tick)
        unknown += int((recorded == 0).sum())
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = figures.energy_tick.astype(np.float64) / recorded
        power[stage.blocks[block]] = _filled(mean, clock.per_day // clock.per_tick) * unit_w
    site_id, number = np.unique(cells.site_id, return_inverse=True)
    by_site = np.zeros((len(site_id), clock.n_ticks))
    np.add.at(by_site, number, power)
    return RadioPower(site_id, by_site, unknown / power.size)


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
    np.add.at(total, (slice(None), slot), known)
    np.add.at(count, (slice(None), slot), ~gaps)
    recorded = np.maximum((~gaps).sum(1), 1)
    mean = known.sum(1) / recorded
    typical = np.where(count > 0, total / np.maximum(count, 1), mean[:, None])
    return np.where(gaps, typical[:, slot], power)
