"""Replays what one decision depends on, from the start of the trace until the cell is at another level again.

Policies of ours see one group of cells at a time, so the sites and candidates tied to the cell are enough and give
what a replay of everything gives. A model learns from all cells of a block, and nobody knows what a policy of others
looks at; for them it is the whole block.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from controller.errors import PolicyError
from controller.replay.planners import ANALYSIS, CAUSAL, MODELLED
from controller.replay.planning import Tick, set_up, ticks_through
from controller.replay.scene import Scene, make_scene
from controller.replay.stage import Progress, Stage, Task
from policies.counterfactual import Weighed
from traces.groups import independent_groups

LOOK_AHEAD_S = 86400  # how long after the decision to look for its end


@dataclass(frozen=True, slots=True)
class Rerun:
    """One decision and the course of its cell around it. n cells of the part, T ticks replayed."""

    scene: Scene
    cell: int  # in the part
    tick: Tick
    before: Tick | None  # None at the first tick
    weighed: Weighed
    level: NDArray[np.uint8]  # (T,) of the cell
    n_replayed: int


def rerun(policy: str, task: Task, cell: int, tick: int, progress: Progress) -> Rerun:
    """Replay up to ``tick`` and on to the end of what was decided. ``cell`` of the trace.

    Raises PolicyError for a policy that does not decide tick by tick.
    """
    if policy not in task.foreign and policy not in CAUSAL + ANALYSIS:
        known = ", ".join(CAUSAL)
        raise PolicyError(
            f"policy {policy!r} does not decide tick by tick; explain one of {known}, or a plug-in"
        )
    scene, cells, local = _part(policy, task, cell)
    wanted = None if task.constraints is None else task.constraints.select(cells)
    price = None if task.energy_price is None else task.energy_price.select(cells)
    controller, surge = set_up(
        policy, task, scene, task.profile, constraints=wanted, energy_price=price, weigh=True
    )
    assert controller.counterfactuals is not None
    clock = scene.clock
    last = min(clock.n_ticks - 1, tick + LOOK_AHEAD_S // clock.tick_s)
    level: list[int] = []
    before = asked = weighed = None
    for one in ticks_through(controller, scene, surge):
        level.append(int(one.commands.level[local]))
        if one.index < tick:
            before = one
        elif one.index == tick:
            asked, forecast = one, one.commands.forecast
            weighed = controller.counterfactuals.weigh(local, one.commands.level, forecast)
        elif level[-1] != level[tick]:
            break
        if one.index == last:
            break
        if one.index % 16 == 0:
            progress(policy, one.index / last)
    assert asked is not None
    assert weighed is not None
    return Rerun(scene, local, asked, before, weighed, np.array(level, np.uint8), len(scene.cell_id))


def _part(policy: str, task: Task, cell: int) -> tuple[Scene, NDArray[np.intp], int]:
    """What the cell's decisions depend on, which cells of the trace that are, and where the cell stands among them."""
    if policy in task.foreign or (task.model is not None and policy == MODELLED):
        stage = Stage(task)
        block = next(b for b, cells in enumerate(stage.blocks) if cell in cells)
        cells = stage.blocks[block]
        return stage.scene(block), cells, int(np.searchsorted(cells, cell))
    group = independent_groups(task.trace.cells)
    part = np.flatnonzero(group == group[cell])
    scene = make_scene(task.trace.select_cells(part), task.world, seed=task.seed)
    return scene, part, int(np.searchsorted(part, cell))
