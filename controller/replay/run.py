"""Runs the policies over a network, block by block, and keeps what they did."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from controller.replay.ceiling import find_ceiling
from controller.replay.figures import Outcome, join
from controller.replay.logged import logged_plan, why_not_logged
from controller.replay.planners import FIXED
from controller.replay.planning import Planned, fixed_plan, run_controller, set_up
from controller.replay.power import tick_power
from controller.replay.recording import Series, add_series
from controller.replay.scene import Scene, make_tables
from controller.replay.stage import Progress, Stage, Task, quiet
from hw.plant import Figures
from hw.tables import Tables
from policies.plugin import Faults
from policies.predictive import PredictivePlanner


@dataclass(slots=True)
class PolicyRun:
    """What one policy did."""

    outcome: Outcome
    wall_s: float
    series: Series | None = None
    bound: float | None = None  # oracle only: least energy of any plan [power_unit x samples]
    bound_gap: float | None = None
    guard: bool = False  # whether cells were woken between plans
    alarms: int = 0  # times that the guards locked a cell awake for flapping
    model_share: float = 0.0  # of the cell-ticks, those in which a model said how the load moves
    faults: Faults | None = None  # of a policy that is not ours
    plan_gap: float | None = None  # price of the plans of cut groups over their bound, less 1
    power: NDArray[np.float64] | None = None  # mean of each cell and tick (n_cells, ticks), where asked for
    unknown_ticks: int = 0  # cell-ticks of it without a record


def why_not(name: str, task: Task) -> str | None:
    """Reason why a policy does not apply to a task, None where it does."""
    return why_not_logged(task.trace, task.world.world) if name == "logged" else None


def run_policy(
    name: str,
    stage: Stage,
    *,
    keep: NDArray[np.bool_] | None = None,
    progress: Progress = quiet,
    with_power: bool = False,
) -> PolicyRun:
    """Replay one policy over all blocks. ``keep`` marks the cells whose series are kept, None for no series."""
    began = time.perf_counter()
    ceiling = find_ceiling(stage, progress) if name == "oracle" else None
    parts: list[Figures] = []
    series: Series | None = None
    used, alarms, faults, planned_at, bound = 0, 0, Faults(), 0.0, 0.0
    power = np.empty((stage.network.n_cells, stage.clock.n_ticks)) if with_power else None
    unknown_ticks = 0
    for block, scene in stage.scenes():
        if ceiling is not None:
            planned = Planned(*ceiling.plans[block])
        else:
            planned = _plan(name, stage, block, scene, keep is not None, progress)
        used += planned.model_cell_ticks
        planned_at, bound = planned_at + planned.cut[0], bound + planned.cut[1]
        alarms += planned.alarms
        if planned.faults is not None:
            faults.add(planned.faults)
        # the baselines rest in micro sleep only, also where levers are pulled
        tables = make_tables(stage.task.world.baseline, scene.clock) if name in FIXED else None
        figures = scene.execute(
            planned.plan,
            served=planned.served,
            tables=tables,
            energy_per_tick=keep is not None or power is not None,
        )
        if power is not None:
            power[stage.blocks[block]], unknown = tick_power(scene, figures)
            unknown_ticks += unknown
        if keep is not None:
            series = add_series(series, scene, planned, figures, keep[stage.blocks[block]])
        parts.append(Figures(figures.table, figures.latency, figures.energy_tick[:, :0], figures.n_levels))
    run = PolicyRun(join(parts), time.perf_counter() - began, series)
    run.guard, run.alarms = planned.served is not None, alarms
    run.power, run.unknown_ticks = power, unknown_ticks
    run.model_share = used / (stage.network.n_cells * stage.clock.n_ticks)
    run.faults = faults if name in stage.task.foreign else None
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
        parts.append(scene.execute(planned.plan, served=planned.served, tables=tables))
    return join(parts)


def _plan(name: str, stage: Stage, block: int, scene: Scene, keep: bool, progress: Progress) -> Planned:
    task, n_blocks = stage.task, len(stage.blocks)
    if name in FIXED:
        return fixed_plan(FIXED[name], scene)
    if name == "logged":
        part = task.trace.select_cells(stage.blocks[block])
        return Planned(logged_plan(part, task.world.world, scene.clock.per_step))
    controller, surge = set_up(
        name,
        task,
        scene,
        stage.profile,
        constraints=stage.constraints(block),
        energy_price=stage.energy_price(block),
    )
    planned = run_controller(
        controller,
        scene,
        surge=surge,
        keep_forecast=keep,
        progress=lambda s: progress(name, (block + s) / n_blocks),
    )
    if isinstance(controller.planner, PredictivePlanner):
        planned.cut = (controller.planner.gap.planned, controller.planner.gap.bound)
    return planned
