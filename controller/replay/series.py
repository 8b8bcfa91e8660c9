"""What the page draws, from the runs of a replay."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from controller.replay.recording import scored_samples, tick_loads
from controller.replay.run import PolicyRun
from controller.replay.scene import make_clock
from controller.replay.stage import Stage, Task
from controller.report.pagedata import CellDetail, CurvePoint, PageData, PolicySeries, WorstCell
from hw.plant import BELOW, CHANGES, N_COLUMNS, OFFERED, UNSERVED
from policies.policy import REASON_WORDS, Reason

MAX_CELLS = 1000  # cells that the page can open
N_WORST = 10
_WORDS = {int(reason): words for reason, words in REASON_WORDS.items()}  # numbers have gaps


def kept_cells(n_cells: int) -> NDArray[np.bool_]:
    """Cells whose series the page keeps: all, or evenly spread ones of a large network. (n_cells,)"""
    keep = np.zeros(n_cells, np.bool_)
    keep[np.unique(np.linspace(0, n_cells - 1, min(n_cells, MAX_CELLS)).astype(int))] = True
    return keep


def page_data(task: Task, stage: Stage, runs: dict[str, PolicyRun], curve: list[CurvePoint]) -> PageData:
    """Series and drill-down of all runs."""
    clock = make_clock(task.trace, task.world)
    keep = kept_cells(task.trace.n_cells)
    loads, total, known = [], np.zeros(clock.n_ticks), np.zeros(clock.n_ticks)
    for block, scene in stage.scenes():
        mean, offered = tick_loads(scene)
        loads.append(mean[keep[stage.blocks[block]]])
        total += offered
        known += scored_samples(scene).sum(0)
    with np.errstate(invalid="ignore", divide="ignore"):
        offered_mean = np.where(known > 0, total / known, np.nan).astype(np.float32)
    hours = clock.sample_s / 3600
    names = task.trace.cells.cell_id[stage.order]
    none = runs["none"].outcome.table if "none" in runs else None
    policies = {
        name: _policy_series(run, names, none, hours, clock.per_day)
        for name, run in runs.items()
        if run.series
    }
    chosen = names[keep[stage.order]]
    note = ""
    if len(chosen) < len(names):
        note = f"{len(chosen)} of {len(names)} cells can be opened, spread evenly over the network."
    return PageData(
        first_tick=clock.start,
        tick_s=clock.tick_s,
        time_zone=clock.time_zone,
        level_names=list(task.world.world.level_names),
        reason_names=[_WORDS.get(number, "") for number in range(max(Reason) + 1)],
        offered=offered_mean,
        policies=policies,
        curve=curve,
        cells=_details([str(c) for c in chosen], np.concatenate(loads), runs),
        cells_note=note,
    )


def _policy_series(
    run: PolicyRun, names: NDArray[np.str_], none: NDArray[np.float64] | None, hours: float, per_day: int
) -> PolicySeries:
    assert run.series is not None
    samples = run.series.level_samples
    whole = samples.sum(1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.where(whole > 0, samples / whole, np.nan).astype(np.float32)
    outcome = run.outcome
    by_level = outcome.table[:, :, N_COLUMNS + outcome.n_levels :].sum((0, 1)) * hours
    return PolicySeries(
        level_share=share,
        energy=(run.series.energy * hours).astype(np.float32),
        energy_by_level=by_level,
        worst_cells=_worst(run, names, none, per_day),
    )


def _worst(
    run: PolicyRun, names: NDArray[np.str_], none: NDArray[np.float64] | None, per_day: int
) -> list[WorstCell]:
    """The ten cells that were served worst, by traffic below target, then unserved."""
    table, n_levels = run.outcome.table, run.outcome.n_levels
    cell = table.sum(1)
    offered = np.maximum(cell[:, OFFERED], 1e-12)
    below, unserved = cell[:, BELOW] / offered, cell[:, UNSERVED] / offered
    energy = table[:, :, N_COLUMNS + n_levels :].sum((1, 2))
    base = energy if none is None else none[:, :, N_COLUMNS + n_levels :].sum((1, 2))
    samples = table[:, :, N_COLUMNS : N_COLUMNS + n_levels].sum((1, 2))
    worst = np.lexsort((-unserved, -below))[:N_WORST]
    return [
        WorstCell(
            cell_id=str(names[i]),
            below_target_share=float(below[i]),
            unserved_share=float(unserved[i]),
            energy_saved_vs_none=float(1 - energy[i] / base[i]) if base[i] > 0 else 0.0,
            level_changes_per_day=float(cell[i, CHANGES] / max(samples[i] / per_day, 1e-9)),
        )
        for i in worst
        if cell[i, OFFERED] > 0
    ]


def _details(names: list[str], load: NDArray[np.float32], runs: dict[str, PolicyRun]) -> CellDetail:
    unknown = np.full(load.shape, np.nan, np.float32)
    series = {name: run.series for name, run in runs.items() if run.series is not None}
    forecast = next((s for s in series.values() if s.expected), None)
    return CellDetail(
        cell_id=names,
        load=load,
        expected=np.concatenate(forecast.expected) if forecast else unknown,
        upper=np.concatenate(forecast.upper) if forecast else unknown,
        level={name: np.concatenate(s.level) for name, s in series.items()},
        reason={name: np.concatenate(s.reason) for name, s in series.items() if s.reason},
    )
