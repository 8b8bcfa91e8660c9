"""From what a plan did to the figures of a report, as docs/evaluation.md defines them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hw.plant import BELOW, CHANGES, LOST, N_COLUMNS, OFFERED, UNSERVED, WAKES, Figures
from hw.spec import ServiceSpec
from hw.tables import latency_quantile_ms

AFTER_DAYS = 2  # figures after the first 48 h stand beside those of the whole
ROUNDING = 1e-6  # the oracle's tables are float32: so far above 1 a captured share means 1


class CeilingError(RuntimeError):
    """A policy within the limits came out above the ceiling: the evaluation itself is wrong."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a policy did to all cells. n cells, D days, L levels."""

    table: NDArray[np.float64]  # (n, D, N_COLUMNS + 2 L), see hw.plant
    latency: NDArray[np.float64]  # traffic by added latency
    n_levels: int

    def days(self, first: int) -> Outcome:
        """The same from day ``first`` on. Latency is not split by day and is left out."""
        return Outcome(self.table[:, first:], np.zeros(0), self.n_levels)

    def cells(self, index: NDArray[np.intp]) -> Outcome:
        """The same for the cells at ``index``."""
        return Outcome(self.table[index], np.zeros(0), self.n_levels)

    @property
    def energy(self) -> float:
        """Energy in power_unit x samples."""
        return float(self.table[:, :, N_COLUMNS + self.n_levels :].sum())

    @property
    def offered(self) -> float:
        """Offered traffic in full-rate samples."""
        return float(self.table[:, :, OFFERED].sum())

    @property
    def served(self) -> float:
        """Served traffic in full-rate samples."""
        return self.offered - float(self.table[:, :, UNSERVED].sum())

    @property
    def samples(self) -> float:
        """Scored samples."""
        return float(self.table[:, :, N_COLUMNS : N_COLUMNS + self.n_levels].sum())


def join(parts: list[Figures]) -> Outcome:
    """Figures of all blocks as one outcome, in the order of the blocks."""
    return Outcome(
        table=np.concatenate([p.table for p in parts]),
        latency=np.sum([p.latency.sum(0, dtype=np.float64) for p in parts], axis=0),
        n_levels=parts[0].n_levels,
    )


def share(part: float, whole: float) -> float:
    """``part`` of ``whole``, 0 of nothing."""
    return float(part / whole) if whole > 0 else 0.0


def service_figures(outcome: Outcome, service: ServiceSpec, samples_per_day: int) -> dict[str, Any]:
    """Figures that need no other policy."""
    total = outcome.table.sum((0, 1))
    cell = outcome.table.sum(1)
    busy = cell[:, OFFERED] > 0
    cell_below = np.divide(cell[:, BELOW], cell[:, OFFERED], where=busy, out=np.zeros(len(cell)))
    cell_unserved = np.divide(cell[:, UNSERVED], cell[:, OFFERED], where=busy, out=np.zeros(len(cell)))
    over = int((cell_below > service.cell_below_target_share).sum())
    scored = int((cell[:, N_COLUMNS : N_COLUMNS + outcome.n_levels].sum(1) > 0).sum())
    figures = {
        "unserved_share": share(total[UNSERVED], total[OFFERED]),
        "below_target_share": share(total[BELOW], total[OFFERED]),
        "cells_over_limit_share": share(over, scored),
        "worst_cell_unserved_share": float(cell_unserved.max(initial=0.0)),
        "throughput_loss_mean": share(total[LOST], total[OFFERED]),
        "level_changes_per_cell_day": share(total[CHANGES], outcome.samples / samples_per_day),
        "emergency_wakes_per_cell_day": share(total[WAKES], outcome.samples / samples_per_day),
    }
    return figures | {"limits_held": limits_held(figures, service)}


def limits_held(figures: dict[str, Any], service: ServiceSpec) -> bool:
    """Whether all service limits are held."""
    return bool(
        figures["unserved_share"] <= service.unserved_share
        and figures["below_target_share"] <= service.below_target_share
        and figures["cells_over_limit_share"] <= service.cells_over_limit_share
        and figures["level_changes_per_cell_day"] <= service.level_changes_per_cell_day
    )


def gain(outcome: Outcome, baseline: Outcome) -> float | None:
    """Gain in energy efficiency, served bits over joules, against a baseline. [ratio]"""
    if min(outcome.energy, baseline.energy, baseline.served) <= 0:
        return None
    return float((outcome.served / outcome.energy) / (baseline.served / baseline.energy) - 1)


def captured(energy: float, baseline: float, ceiling: float) -> float | None:
    """Share of what could be saved from ``baseline`` down to ``ceiling`` that was saved."""
    possible = baseline - ceiling
    return (baseline - energy) / possible if possible > 1e-9 * baseline else None


def captured_figures(
    name: str,
    energy: float,
    energy_none: float,
    energy_symbol: float | None,
    ceiling: float | None,
    held: bool,
) -> dict[str, Any]:
    """``captured_share`` and ``captured_share_beyond_symbol``, null with a reason where undefined."""
    found: dict[str, Any] = {}
    for key, baseline in (("captured_share", energy_none), ("captured_share_beyond_symbol", energy_symbol)):
        value = None if ceiling is None or baseline is None else captured(energy, baseline, ceiling)
        found[key] = value
        if ceiling is None:
            found[f"{key}_reason"] = "no ceiling was computed"
        elif baseline is None:
            found[f"{key}_reason"] = "what symbol shutdown saves is not identified in this world"
        elif value is None:
            found[f"{key}_reason"] = "nothing can be saved beyond the baseline"
        elif value > 1 + ROUNDING:
            if held and name != "logged":
                raise CeilingError(
                    f"{name}: {key} is {value:.6f}; a policy within the limits cannot beat the ceiling"
                )
            found[key] = None
            found[f"{key}_reason"] = (
                "it changes levels at other instants than the ceiling"
                if held
                else "service limits were missed, so the ceiling does not apply"
            )
        else:
            found[key] = min(value, 1.0)
    return found


def level_shares(outcome: Outcome, level_names: tuple[str, ...]) -> dict[str, float]:
    """Share of scored cell-time at each level that was used; they sum to 1."""
    samples = outcome.table[:, :, N_COLUMNS : N_COLUMNS + outcome.n_levels].sum((0, 1))
    return {
        name: share(float(s), outcome.samples) for name, s in zip(level_names, samples, strict=True) if s > 0
    }


def latency_p95_ms(outcome: Outcome) -> float:
    """95th percentile of the added latency of one object, weighted by traffic. [ms]"""
    return latency_quantile_ms(outcome.latency, 0.95)
