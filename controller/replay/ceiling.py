"""The oracle in a replay: the bound, and a plan that holds the limits when the plant carries it out."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from controller.replay.stage import Progress, Stage
from hw.plant import BELOW, CHANGES, UNSERVED
from policies.oracle import Budgets, solve
from policies.price_tables import Levels, PriceTables, wake_times

TIGHTENINGS = 6


@dataclass(frozen=True, slots=True)
class Ceiling:
    """The least energy of any plan within the limits, and a plan that comes near."""

    bound: float  # [power_unit x samples]
    plans: list[Levels]  # of each block


def find_ceiling(stage: Stage, progress: Progress, *, any_wakes: bool = False) -> Ceiling:
    """Bound and plan of a staged task.

    Tables are float32, so the plan is mixed for slightly tighter budgets until the plant finds the limits held. The
    bound is not touched by that. With the guard loop it wakes cells to full service in any
    sample; with ``any_wakes`` to any level (docs/decisions/0013).
    """
    tables, budgets = _price(stage, progress, any_wakes)
    solver = solve(tables, budgets, progress=lambda share: progress("oracle", 0.5 + 0.4 * share))
    aimed = budgets
    for _ in range(TIGHTENINGS):
        plans = solver.plans(aimed)
        over = _spent(stage, plans) / np.maximum(budgets.as_array(), 1e-12)
        if (over <= 1).all():
            break
        unserved, below, changes = aimed.as_array() / np.where(over > 1, over * 1.005, 1)
        aimed = replace(aimed, unserved=unserved, below=below, changes=changes)
    return Ceiling(solver.bound, plans)


def _price(stage: Stage, progress: Progress, any_wakes: bool) -> tuple[PriceTables, Budgets]:
    """Priced states of all blocks and what the limits allow in all."""
    service = stage.task.world.evaluation.service
    offered, samples = [], 0.0
    priced: PriceTables | None = None
    for block, scene in stage.scenes():
        if priced is None:
            priced = PriceTables(
                stage.clock.n_ticks,
                wake_times(scene.tables, stage.network.allowed),
                stage.task.guard,
                full_wakes=not any_wakes,
            )
        priced.add(scene.tables, scene.network, scene.path, scene.ul_per_dl, stage.clock.per_tick)
        groups = scene.network.groups
        of_cell = np.asarray(np.nansum(scene.path, axis=1, dtype=np.float64))
        of_cell *= scene.tables.size[groups.model]
        offered.append(np.add.reduceat(of_cell[groups.member], groups.group_start[:-1]))
        samples += float(np.isfinite(scene.path).sum())
        progress("oracle", 0.5 * (block + 1) / len(stage.blocks))
    assert priced is not None
    of_group = np.concatenate(offered)
    return priced, Budgets(
        unserved=service.unserved_share * float(of_group.sum()),
        below=service.below_target_share * float(of_group.sum()),
        changes=service.level_changes_per_cell_day * samples / stage.clock.per_day,
        below_of_group=service.cell_below_target_share * of_group,
        groups_over=int(service.cells_over_limit_share * stage.network.n_cells),
    )


def _spent(stage: Stage, plans: list[Levels]) -> NDArray[np.float64]:
    """Unserved, below-target traffic and changes when the plant carries the plans out. (3,)"""
    spent = np.zeros(3)
    for block, scene in stage.scenes():
        table = scene.execute(plans[block].plan, served=plans[block].served).table
        spent += table[:, :, [UNSERVED, BELOW, CHANGES]].sum((0, 1))
    return spent
