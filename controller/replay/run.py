"""Runs the policies over a network, block by block, and keeps what they did."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from controller.replay.figures import Outcome, join
from controller.replay.logged import logged_plan, why_not_logged
from controller.replay.planning import (
    CAUSAL,
    FIXED,
    Planned,
    fixed_plan,
    make_controller,
    make_planner,
    run_controller,
)
from controller.replay.scene import Scene, make_network, make_scene, make_tables
from controller.worlds import EvaluatedWorld
from hw.plant import Figures
from hw.tables import Tables
from policies.oracle import Budgets, PriceTables, solve
from policies.profile import Profile
from traces import Trace
from traces.groups import pack_groups

BLOCK_SAMPLES = 60_000_000  # cells x samples of one block: 240 MB of path

Progress = Callable[[str, float], None]


def quiet(_what: str, _share: float) -> None:
    """Progress that nobody watches."""


@dataclass(frozen=True, slots=True)
class Task:
    """What is replayed."""

    trace: Trace
    world: EvaluatedWorld
    profile: Profile
    seed: int = 0


@dataclass(slots=True)
class Series:
    """A policy over time. T ticks, L levels, C kept cells."""

    level_samples: NDArray[np.float64]  # (T, L) scored samples
    energy: NDArray[np.float64]  # (T,)
    level: list[NDArray[np.uint8]] = field(default_factory=list)  # kept cells of each block, (C, T)
    reason: list[NDArray[np.uint8]] = field(default_factory=list)
    expected: list[NDArray[np.float32]] = field(default_factory=list)
    upper: list[NDArray[np.float32]] = field(default_factory=list)


@dataclass(slots=True)
class PolicyRun:
    """What one policy did."""

    outcome: Outcome
    wall_s: float
    series: Series | None = None
    bound: float | None = None  # oracle only: least energy of any plan [power_unit x samples]
    bound_gap: float | None = None


class Stage:
    """A task cut into blocks of whole groups; the last block stays in memory."""

    def __init__(self, task: Task, *, sigma: float | None = None, profile: Profile | None = None) -> None:
        self.task, self._sigma = task, sigma
        self.profile = profile or task.profile
        network = make_network(task.trace, task.world)
        self.too_large = network.too_large
        group = np.empty(network.n_cells, np.int32)
        group[network.groups.member] = np.repeat(
            np.arange(network.n_groups), np.diff(network.groups.group_start)
        )
        # number groups by their first cell, as pack_groups expects
        _, group = np.unique(group, return_inverse=True)
        samples = self._clock_samples()
        self.blocks = list(pack_groups(group.astype(np.int32), max(1, BLOCK_SAMPLES // samples)))
        self._last: tuple[int, Scene] | None = None

    def _clock_samples(self) -> int:
        from controller.replay.scene import make_clock

        return make_clock(self.task.trace, self.task.world).n_samples

    def scene(self, block: int) -> Scene:
        """The scene of one block."""
        if self._last is None or self._last[0] != block:
            self._last = None
            part = self.task.trace.select_cells(self.blocks[block])
            self._last = (block, make_scene(part, self.task.world, seed=self.task.seed, sigma=self._sigma))
        return self._last[1]

    def scenes(self) -> Iterator[tuple[int, Scene]]:
        """All blocks in order."""
        for block in range(len(self.blocks)):
            yield block, self.scene(block)

    @property
    def order(self) -> NDArray[np.intp]:
        """Cells of the trace in the order of the blocks."""
        return np.concatenate(self.blocks)


def why_not(name: str, task: Task) -> str | None:
    """Reason why a policy does not apply to a task, None where it does."""
    return why_not_logged(task.trace, task.world.world) if name == "logged" else None


def run_policy(
    name: str, stage: Stage, *, keep: NDArray[np.bool_] | None = None, progress: Progress = quiet
) -> PolicyRun:
    """Replay one policy over all blocks. ``keep`` marks the cells whose series are kept, None for no series."""
    began = time.perf_counter()
    if name == "oracle":
        plans, bound, gap = _oracle_plans(stage, progress)
    parts: list[Figures] = []
    series: Series | None = None
    for block, scene in stage.scenes():
        share = block / len(stage.blocks)
        planned = (
            Planned(plans[block])
            if name == "oracle"
            else _plan(name, stage, block, scene, keep is not None, lambda s, at=share: progress(name, at + s / len(stage.blocks)))
        )
        per_tick = 1 if planned.plan.shape[1] != scene.clock.n_ticks else None
        figures = scene.execute(planned.plan, per_tick=per_tick, energy_per_tick=keep is not None)
        if keep is not None:
            series = _add_series(series, scene, planned, figures, keep[stage.blocks[block]])
        parts.append(Figures(figures.table, figures.latency, figures.energy_tick[:, :0], figures.n_levels))
    run = PolicyRun(join(parts), time.perf_counter() - began, series)
    if name == "oracle":
        run.bound, run.bound_gap = bound, gap
    return run


def plans_of(name: str, stage: Stage, progress: Progress = quiet) -> list[NDArray[np.uint8]]:
    """The plans of a causal policy, block by block."""
    return [_plan(name, stage, b, scene, False, lambda s: progress(name, s)).plan for b, scene in stage.scenes()]


def score(stage: Stage, plans: list[NDArray[np.uint8]], target_mbit_s: float | None = None) -> Outcome:
    """Carry out given plans, at another throughput target if given."""
    parts = []
    for block, scene in stage.scenes():
        tables: Tables | None = None
        if target_mbit_s is not None:
            tables = make_tables(stage.task.world, scene.clock, target_mbit_s)
        parts.append(scene.execute(plans[block], tables=tables))
    return join(parts)


def _plan(
    name: str, stage: Stage, block: int, scene: Scene, keep: bool, progress: Callable[[float], None]
) -> Planned:
    task = stage.task
    if name in FIXED:
        return fixed_plan(FIXED[name], scene)
    if name == "logged":
        part = task.trace.select_cells(stage.blocks[block])
        return Planned(logged_plan(part, task.world.world, scene.clock.per_step))
    if name not in CAUSAL:
        raise KeyError(name)
    planner = make_planner(name, scene, stage.profile)
    allowed = task.world.evaluation.service.below_target_share
    controller = make_controller(planner, scene, stage.profile, allowed)
    return run_controller(controller, scene, keep_forecast=keep, progress=progress)


def _oracle_plans(stage: Stage, progress: Progress) -> tuple[list[NDArray[np.uint8]], float, float]:
    """Plans of the oracle, its bound and gap."""
    service = stage.task.world.evaluation.service
    offered, samples, per_day = 0.0, 0.0, 1
    priced: PriceTables | None = None
    for block, scene in stage.scenes():
        clock = scene.clock
        priced = priced or PriceTables(clock.n_ticks)
        priced.add(scene.tables, scene.network, scene.path, scene.ul_per_dl, clock.per_tick)
        known = ~np.isnan(scene.path)
        offered += float(scene.path[known].sum(dtype=np.float64))
        samples, per_day = samples + float(known.sum()), clock.per_day
        progress("oracle", 0.5 * (block + 1) / len(stage.blocks))
    assert priced is not None
    budgets = Budgets(
        unserved=service.unserved_share * offered,
        below=service.below_target_share * offered,
        changes=service.level_changes_per_cell_day * samples / per_day,
    )
    found = solve(priced, budgets, progress=lambda share: progress("oracle", 0.5 + 0.5 * share))
    return found.plans, found.bound, found.bound_gap


def _add_series(
    series: Series | None, scene: Scene, planned: Planned, figures: Figures, keep: NDArray[np.bool_]
) -> Series:
    """Add one block to the series of a policy."""
    clock = scene.clock
    n_levels = figures.n_levels
    if series is None:
        series = Series(np.zeros((clock.n_ticks, n_levels)), np.zeros(clock.n_ticks))
    plan = planned.plan
    if plan.shape[1] != clock.n_ticks:  # a plan per sample: show the middle of each tick, count every sample
        count = np.zeros((clock.n_samples, n_levels))
        for level in range(n_levels):
            count[:, level] = ((plan == level) & ~np.isnan(scene.path)).sum(0)
        starts = np.arange(0, clock.n_samples, clock.per_tick)
        series.level_samples += np.add.reduceat(count, starts)
        series.energy += np.add.reduceat(figures.energy_tick.sum(0, dtype=np.float64), starts)
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
