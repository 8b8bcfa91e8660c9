"""Runs the policies over a network, block by block, and keeps what they did."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from controller.replay.ceiling import find_ceiling
from controller.replay.figures import Outcome, join
from controller.replay.logged import logged_plan, why_not_logged
from controller.replay.planning import (
    ANALYSIS,
    CAUSAL,
    FIXED,
    MODELLED,
    TRUE,
    Planned,
    fixed_plan,
    make_controller,
    make_planner,
    run_controller,
)
from controller.replay.recording import Series, add_series
from controller.replay.scene import Scene, make_tables
from controller.replay.stage import Progress, Stage, Task, quiet
from hw.plant import Figures
from hw.tables import Tables
from policies.policy import Allowance
from policies.predictive import PredictivePlanner
from policies.surge import SurgeGuard


@dataclass(slots=True)
class PolicyRun:
    """What one policy did."""

    outcome: Outcome
    wall_s: float
    series: Series | None = None
    bound: float | None = None  # oracle only: least energy of any plan [power_unit x samples]
    bound_gap: float | None = None
    guard: bool = False  # whether cells were woken between plans
    model_share: float = 0.0  # of the cell-ticks, those in which a model said how the load moves
    plan_gap: float | None = None  # price of the plans of cut groups over their bound, less 1


def why_not(name: str, task: Task) -> str | None:
    """Reason why a policy does not apply to a task, None where it does."""
    return why_not_logged(task.trace, task.world.world) if name == "logged" else None


def run_policy(
    name: str, stage: Stage, *, keep: NDArray[np.bool_] | None = None, progress: Progress = quiet
) -> PolicyRun:
    """Replay one policy over all blocks. ``keep`` marks the cells whose series are kept, None for no series."""
    began = time.perf_counter()
    ceiling = find_ceiling(stage, progress) if name == "oracle" else None
    parts: list[Figures] = []
    series: Series | None = None
    used, planned_at, bound = 0, 0.0, 0.0
    for block, scene in stage.scenes():
        if ceiling is not None:
            planned = Planned(*ceiling.plans[block])
        else:
            planned = _plan(name, stage, block, scene, keep is not None, progress)
        used += planned.model_cell_ticks
        planned_at, bound = planned_at + planned.cut[0], bound + planned.cut[1]
        figures = scene.execute(planned.plan, awake=planned.awake, energy_per_tick=keep is not None)
        if keep is not None:
            series = add_series(series, scene, planned, figures, keep[stage.blocks[block]])
        parts.append(Figures(figures.table, figures.latency, figures.energy_tick[:, :0], figures.n_levels))
    run = PolicyRun(join(parts), time.perf_counter() - began, series)
    run.guard = planned.awake is not None
    run.model_share = used / (stage.network.n_cells * stage.clock.n_ticks)
    run.plan_gap = planned_at / bound - 1 if bound > 0 else None
    if ceiling is not None:
        run.bound, run.bound_gap = ceiling.bound, run.outcome.energy / ceiling.bound - 1
    return run


def plans_of(name: str, stage: Stage, progress: Progress = quiet) -> list[Planned]:
    """What a causal policy decides, block by block."""
    return [_plan(name, stage, b, scene, False, progress) for b, scene in stage.scenes()]


def score(stage: Stage, plans: list[Planned], target_mbit_s: float | None = None) -> Outcome:
    """Carry out given plans, at another throughput target if given."""
    parts = []
    for block, scene in stage.scenes():
        tables: Tables | None = None
        if target_mbit_s is not None:
            tables = make_tables(stage.task.world, scene.clock, target_mbit_s)
        planned = plans[block]
        parts.append(scene.execute(planned.plan, awake=planned.awake, tables=tables))
    return join(parts)


def _plan(name: str, stage: Stage, block: int, scene: Scene, keep: bool, progress: Progress) -> Planned:
    task, n_blocks = stage.task, len(stage.blocks)
    if name in FIXED:
        return fixed_plan(FIXED[name], scene)
    if name == "logged":
        part = task.trace.select_cells(stage.blocks[block])
        return Planned(logged_plan(part, task.world.world, scene.clock.per_step))
    if name not in CAUSAL + ANALYSIS:
        raise KeyError(name)
    planner = make_planner(name, scene, stage.profile, guard=task.guard)
    service = task.world.evaluation.service
    allowance = Allowance(service.below_target_share, service.cell_below_target_share)
    model = task.model if name == MODELLED else None
    controller = make_controller(
        planner, scene, stage.profile, allowance, model=model, true_inputs=name == TRUE
    )
    surge = None
    if task.guard:
        surge = SurgeGuard(scene.network, scene.tables, stage.profile, sample_s=scene.clock.sample_s)
    planned = run_controller(
        controller,
        scene,
        surge=surge,
        keep_forecast=keep,
        progress=lambda s: progress(name, (block + s) / n_blocks),
    )
    if isinstance(planner, PredictivePlanner):
        planned.cut = (planner.gap.planned, planner.gap.bound)
    return planned
