"""What the radio of each site draws under a radio policy: the load that the site's power system sees."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from controller.errors import ConfigError
from controller.replay.power import tick_power
from controller.replay.run import plans_of
from controller.replay.stage import Progress, Stage, quiet
from controller.worlds import EvaluatedWorld
from hw.world import FULL
from traces.trace import Cells

Float64 = NDArray[np.float64]


class RadioPower(NamedTuple):
    """Power of the cells of each site. n sites, T planning ticks."""

    site_id: NDArray[np.str_]  # (n,)
    power_w: Float64  # (n, T)
    # of the cell-ticks, those without a record, taken from the same time of other days [ratio]
    filled_share: float


def watt_per_unit(world: EvaluatedWorld, given: float | None) -> float:
    """W of one unit of power of the world; ``given`` counts where the world has no W.

    Raises ConfigError where neither says it.
    """
    known = world.world.watt_per_unit or given
    if known is None:
        raise ConfigError(
            f"world {world.world.name} has no power in W, but a site has: choose a world such as earth-macro, "
            "or say in the sites file what one unit draws: radio_w_per_unit"
        )
    return known


def radio_power(stage: Stage, policy: str, unit_w: float, progress: Progress = quiet) -> RadioPower:
    """Replay one causal policy and add up its cells by site."""
    power = np.empty((stage.network.n_cells, stage.clock.n_ticks))
    unknown = 0
    for (block, scene), planned in zip(stage.scenes(), plans_of(policy, stage, progress), strict=True):
        figures = scene.execute(planned.plan, served=planned.served, energy_per_tick=True)
        power[stage.blocks[block]], gone = tick_power(scene, figures)
        unknown += gone
    return by_site(stage.task.trace.cells, power * unit_w, unknown)


def by_site(cells: Cells, power_w: Float64, unknown: int) -> RadioPower:
    """Add up cells (n_cells, T) by site; ``unknown`` cell-ticks had no record."""
    site_id, number = np.unique(cells.site_id, return_inverse=True)
    total = np.zeros((len(site_id), power_w.shape[1]))
    np.add.at(total, number, power_w)
    return RadioPower(site_id, total, unknown / power_w.size)


def rated_power_w(cells: Cells, world: EvaluatedWorld, unit_w: float) -> Float64:
    """What each site draws with all its cells awake at full load, in the order of ``by_site``. (n,) [W]"""
    one = world.baseline.world
    model = one.models_of(cells.product, cells.cell_id)
    cell_w = unit_w * (one.power[model, FULL].max(1) + one.ul_power[model, FULL]).astype(np.float64)
    number = np.unique(cells.site_id, return_inverse=True)[1]
    return np.asarray(np.bincount(number, cell_w), np.float64)
