"""One trace in one world: what its replays leave behind, and its figures over seeds with their intervals."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from controller.constraints import Constraints
from controller.evaluation.against_logged import LOGGED, SAVED_VS_LOGGED, add_saving, savings_by_product
from controller.evaluation.bootstrap import Draws, block_days, interval, resample
from controller.evaluation.forecast_shortfall import Part, first_day, part_of, shortfall, why_no_part
from controller.evaluation.sums import ENERGY, FIGURES, SAMPLES, figures_of, sums_by
from controller.replay.report import Replay
from controller.replay.scene import make_clock
from controller.replay.stage import Task
from controller.worlds import EvaluatedWorld
from traces import Trace
from traces.groups import independent_groups

Float64 = NDArray[np.float64]
Report = dict[str, Any]

WITHOUT_INTERVAL = (
    "cells_over_limit_share",
    "worst_cell_unserved_share",
    "throughput_loss_mean",
    "added_latency_ms_p95",
    "emergency_wakes_per_cell_day",
    "alarms",
)


@dataclass(slots=True)
class Case:
    """A trace in a world. P policies that apply, U groups of cells, D days, n cells."""

    trace: Trace
    world: EvaluatedWorld
    constraints: Constraints | None = None
    reports: list[Report] = field(default_factory=list)  # one of each finished replay
    _group_sums: list[Float64] = field(default_factory=list)  # (P, U, D, N_SUMS)
    _cell_energy: list[Float64] = field(default_factory=list)  # (P, n)
    _task: Task | None = None  # of the last kept replay; all differ in their seed only
    _shortfall: list[Part] = field(default_factory=list)
    _ceiling_ratio: list[float] = field(default_factory=list)  # bound over energy of the oracle's plan

    @property
    def name(self) -> str:
        """Trace and world in words."""
        return f"{self.trace.source}, {self.world.world.name}"

    def keep(self, replay: Replay) -> Report:
        """Take over what the summary needs of a finished replay. Returns its report."""
        order = replay.stage.order
        group = independent_groups(self.trace.cells)[order]
        sums, energy = [], []
        for run in replay.runs.values():
            sums.append(sums_by(run.outcome, group))
            of_cell = np.empty(self.trace.n_cells)
            of_cell[order] = sums_by(run.outcome, np.arange(len(order), dtype=np.int32))[:, :, ENERGY].sum(1)
            energy.append(of_cell)
        oracle = replay.runs["oracle"]
        assert oracle.bound is not None
        self._group_sums.append(np.stack(sums))
        self._cell_energy.append(np.stack(energy))
        self._ceiling_ratio.append(oracle.bound / oracle.outcome.energy if oracle.outcome.energy > 0 else 1.0)
        self._task = replay.task
        if replay.task.model is not None and why_no_part(replay.task, tuple(replay.runs)) is None:
            self._shortfall.append(part_of(replay))
        self.reports.append(report_of(replay))
        return self.reports[-1]

    def summary(self, draws: int, seed: int) -> Report:
        """Figures of every policy over the seeds, with intervals. At least one replay must be kept."""
        first = self.reports[0]
        sums = self._scored_sums()
        figures = self._draw_figures(sums, draws, seed)
        document: Report = {
            "trace": first["trace"]["source"],
            "world": first["world"],
            "seeds": [report["seed"] for report in self.reports],
            "limits": first["limits"],
            "n_cells": self.trace.n_cells,
            "n_groups": sums.shape[0],
            "n_days": sums.shape[1],
            "block_days": block_days(sums.shape[1]),
            "policies": {},
        }
        if "levers" in first["world_parameters"]:
            document["levers"] = first["world_parameters"]["levers"]
        ran = self._policies()
        for name, policy in first["policies"].items():
            if not policy["applicable"]:
                document["policies"][name] = {"applicable": False, "reason": policy["reason"]}
                continue
            document["policies"][name] = self._policy(name, figures, ran.index(name))
        self._add_savings(document["policies"], ran, draws, seed)
        return document | self._forecast_shortfall(ran, draws, seed)

    def _forecast_shortfall(self, ran: tuple[str, ...], draws: int, seed: int) -> Report:
        """The forecast part of the shortfall where a model was given, or the reason why it is not known."""
        task = self._task
        if task is None or task.model is None:
            return {}
        why = why_no_part(task, ran)
        if why is not None:
            return {"forecast_shortfall": None, "forecast_shortfall_reason": why}
        sums = self._scored_sums(first_day(task))
        if not sums.size:
            why = "nothing was recorded after the end of the model's training"
            return {"forecast_shortfall": None, "forecast_shortfall_reason": why}
        return {"forecast_shortfall": shortfall(self._shortfall, sums, ran, task, draws, seed)}

    def _policies(self) -> tuple[str, ...]:
        return tuple(name for name, policy in self.reports[0]["policies"].items() if policy["applicable"])

    def _scored_sums(self, first: int = 0) -> Float64:
        """Sums of the groups and days, from day ``first`` on, that have scored samples. (U, D, S, P, N_SUMS)"""
        sums = np.moveaxis(np.stack(self._group_sums), (2, 3), (0, 1))[:, first:]
        samples = sums[:, :, 0, 0, SAMPLES]
        return np.asarray(sums[samples.any(1)][:, samples.any(0)])

    def _draw_figures(self, sums: Float64, draws: int, seed: int) -> Draws:
        """Figures of resampled networks, mean over seeds. (B, P, F)"""
        n_units, n_days, *rest = sums.shape
        ratio, per_day = np.array(self._ceiling_ratio), make_clock(self.trace, self.world).per_day

        def mean_figures(values: Float64) -> Float64:
            by_seed = figures_of(values.reshape(-1, *rest), self._policies(), ratio, per_day)
            return np.asarray(by_seed.mean(1))

        return resample(sums.reshape(n_units, n_days, -1), draws, seed).apply(mean_figures)

    def _policy(self, name: str, figures: Draws, at: int) -> Report:
        own = [report["policies"][name] for report in self.reports]
        held = [policy["limits_held"] for policy in own]
        document: Report = {"applicable": True, "limits_held": all(held), "limits_held_by_seed": held}
        for i, figure in enumerate(FIGURES):
            document |= _over_seeds(own, figure)
            if document[figure] is not None:
                bounds = interval(figures.pick(at, i))
                document[figure] |= {"low": bounds.low, "high": bounds.high}
                if bounds.low is None:
                    document[figure] |= {"low_reason": bounds.reason, "high_reason": bounds.reason}
        for figure in WITHOUT_INTERVAL:
            document |= _over_seeds(own, figure)
        return document | _over_seeds(own, SAVED_VS_LOGGED)

    def _add_savings(self, policies: Report, ran: tuple[str, ...], draws: int, seed: int) -> None:
        """Add intervals over stations and the split by product to the savings against ``logged``."""
        if LOGGED not in ran:
            return
        energy = np.stack(self._cell_energy)
        found = savings_by_product(self.trace, self.world.world, ran, energy, draws, seed)
        for name, savings in found.items():
            if policies[name][SAVED_VS_LOGGED] is not None:
                policies[name][SAVED_VS_LOGGED] = policies[name][SAVED_VS_LOGGED] | savings


def report_of(replay: Replay) -> Report:
    """The report of a replay, finished or not, with savings against ``logged`` and without the empty curve."""
    report = replay.report()
    report.pop("sensitivity", None)
    add_saving(report)
    return report


def _over_seeds(own: list[Report], figure: str) -> Report:
    """A figure of one policy: by seed and their mean, or null and the first reason found."""
    values = [policy[figure] for policy in own]
    if None in values:
        reason = own[values.index(None)].get(f"{figure}_reason", "undefined")
        return {figure: None, f"{figure}_reason": reason}
    return {figure: {"mean": sum(values) / len(values), "by_seed": values}}
