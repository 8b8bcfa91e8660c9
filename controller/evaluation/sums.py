"""Sums of what policies did, per unit of cells and day, and the figures that follow from sums."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from controller.replay.figures import Outcome
from hw.plant import BELOW, CHANGES, N_COLUMNS, OFFERED, UNSERVED

Float64 = NDArray[np.float64]

ENERGY, SAMPLES, N_SUMS = 0, 1, 6
_TRAFFIC = 2  # first of the columns that are taken over from hw.plant
_COLUMNS = (OFFERED, UNSERVED, BELOW, CHANGES)

FIGURES = (
    "ee_gain_vs_none",
    "energy_saved_vs_none",
    "captured_share",
    "captured_share_beyond_symbol",
    "unserved_share",
    "below_target_share",
    "level_changes_per_cell_day",
)


def sums_by(outcome: Outcome, unit: NDArray[np.int32]) -> Float64:
    """Sums of one policy. ``unit`` of each row of the outcome, 0 to U - 1. Shape (U, D, N_SUMS)."""
    table, n_levels = outcome.table, outcome.n_levels
    rows = np.empty((*table.shape[:2], N_SUMS))
    rows[:, :, ENERGY] = table[:, :, N_COLUMNS + n_levels :].sum(2)
    rows[:, :, SAMPLES] = table[:, :, N_COLUMNS : N_COLUMNS + n_levels].sum(2)
    rows[:, :, _TRAFFIC:] = table[:, :, _COLUMNS]
    order = np.argsort(unit, kind="stable")
    first = np.flatnonzero(np.diff(unit[order], prepend=-1))
    return np.asarray(np.add.reduceat(rows[order], first, axis=0))


def figures_of(
    sums: Float64, policies: tuple[str, ...], ceiling_ratio: Float64, samples_per_day: int
) -> Float64:
    """The figures of ``FIGURES``, NaN where undefined.

    Parameters
    ----------
    sums : shape (..., S, P, N_SUMS) for S seeds and P policies, among them ``none``, ``symbol`` and ``oracle``.
    ceiling_ratio : bound over energy of the oracle's plan for each seed. Shape (S,). [ratio]

    Returns shape (..., S, P, F) for the F figures in their order.
    """
    energy, samples, offered, unserved, below, changes = np.moveaxis(sums, -1, 0)

    def of(name: str) -> slice:
        where = policies.index(name)
        return slice(where, where + 1)

    efficiency = _ratio(offered - unserved, energy)
    none, symbol = energy[..., of("none")], energy[..., of("symbol")]
    ceiling = energy[..., of("oracle")] * ceiling_ratio[:, None]
    found = {
        "ee_gain_vs_none": _ratio(efficiency, efficiency[..., of("none")]) - 1,
        "energy_saved_vs_none": 1 - _ratio(energy, none),
        "captured_share": _captured(energy, none, ceiling),
        "captured_share_beyond_symbol": _captured(energy, symbol, ceiling),
        "unserved_share": _ratio(unserved, offered),
        "below_target_share": _ratio(below, offered),
        "level_changes_per_cell_day": _ratio(changes, samples / samples_per_day),
    }
    return np.stack([found[name] for name in FIGURES], -1)


def _captured(energy: Float64, baseline: Float64, ceiling: Float64) -> Float64:
    possible = baseline - ceiling
    return _ratio(baseline - energy, np.where(possible > 1e-9 * baseline, possible, 0.0))


def _ratio(part: Float64, whole: Float64) -> Float64:
    """``part / whole``, NaN where ``whole`` is not above zero."""
    part, whole = np.broadcast_arrays(part, whole)
    undefined = np.full(part.shape, np.nan)
    return np.asarray(np.divide(part, whole, out=undefined, where=whole > 0))
