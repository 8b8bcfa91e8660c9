"""Measured energy of base stations beside the load of their cells, and its rows as the fit reads them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from hw.calibration.priors import CellKind
from hw.errors import WorldError

Float64 = NDArray[np.float64]
Strings = NDArray[np.str_]
Indices = NDArray[np.intp]
Mask = NDArray[np.bool_]

_ABSURD = 10.0
_MIN_COMMON = 8  # steps that two cells must share before one's load stands in for the other's


@dataclass(frozen=True, slots=True)
class Measurements:
    """What was recorded. S stations, C cells, T steps; NaN where nothing was recorded."""

    site_id: Strings  # (S,)
    cell_id: Strings  # (C,)
    site_of_cell: Indices  # (C,) index of the cell's station
    product: Strings  # (C,) radio product
    config: Strings  # (C,) what else is known of the hardware, such as carrier and bandwidth
    load: Float64  # (C, T) PRB utilisation [ratio]
    energy: Float64  # (S, T) energy of the step, above zero [energy_unit]
    txru: NDArray[np.int_]  # (C,) transceiver units, 0 unknown
    step_s: int
    energy_unit: str
    activation: Mapping[str, Float64] = field(
        default_factory=dict
    )  # level -> (C, T) share of the step [ratio]

    def __post_init__(self) -> None:
        n_sites, n_cells, n_steps = len(self.site_id), len(self.cell_id), self.load.shape[-1]
        shapes = {"load": (self.load, (n_cells, n_steps)), "energy": (self.energy, (n_sites, n_steps))}
        shapes |= {f"activation {k}": (v, (n_cells, n_steps)) for k, v in self.activation.items()}
        for name, (array, shape) in shapes.items():
            if array.shape != shape:
                raise WorldError(f"calibration: {name} has shape {array.shape}, expected {shape}")
        if not np.isfinite(self.energy).any():
            raise WorldError("calibration: no step has a measured energy; energy must hold finite values")
        if (self.energy <= 0).any():
            raise WorldError("calibration: energy must be above zero; set steps without energy to NaN")

    def kinds(self) -> list[CellKind]:
        """The hardware of each cell."""
        known = zip(self.product.tolist(), self.config.tolist(), self.txru.tolist(), strict=True)
        return [CellKind(product, config, txru) for product, config, txru in known]

    def cells_of_sites(self) -> list[Indices]:
        """Indices of the cells of each station."""
        order = np.argsort(self.site_of_cell, kind="stable")
        bounds = np.searchsorted(self.site_of_cell[order], np.arange(len(self.site_id) + 1))
        return [order[a:b] for a, b in pairwise(bounds)]


@dataclass(frozen=True, slots=True)
class SiteRows:
    """Steps of one station with a load of at least one cell. R rows, n cells."""

    site: int
    cells: Indices  # (n,)
    step: Indices  # (R,) step of the energy
    energy: Float64  # (R,) NaN where not recorded
    load: Float64  # (R, n) on the clock of the energy; unrecorded loads stand in from the other cells [ratio]
    recorded: Mask  # (R, n) True where the load was recorded
    activation: dict[str, Float64]  # level -> (R, n), 0 where not recorded [ratio]


def without_absurd(m: Measurements) -> tuple[Measurements, int]:
    """Without energies above ten times the middle of their station, which no load explains; their number."""
    absurd = np.zeros(m.energy.shape, np.bool_)
    for site in np.flatnonzero(np.isfinite(m.energy).any(axis=1)):
        absurd[site] = m.energy[site] > _ABSURD * np.nanmedian(m.energy[site])
    return replace(m, energy=np.where(absurd, np.nan, m.energy)), int(absurd.sum())


def pair(m: Measurements, offset_of_cell: Indices, wanted: Mask) -> list[SiteRows]:
    """Rows of each station, energy of step t beside load of step t + offset, for the ``wanted`` steps (S, T).

    A station with several cells often lacks the load of one of them. It stands in from the mean of the
    recorded ones, by a straight line over the steps both have, or as the cell's own mean.
    """
    shifted = {level: _shift(a, offset_of_cell) for level, a in m.activation.items()}
    load = _shift(m.load, offset_of_cell)
    rows = []
    for site, cells in enumerate(m.cells_of_sites()):
        own = load[cells].T
        recorded = np.isfinite(own)
        step = np.flatnonzero(wanted[site] & recorded.any(axis=1))
        filled = own if recorded[step].all() else _stand_in(own, recorded)
        active = {level: np.nan_to_num(a[cells].T[step]) for level, a in shifted.items()}
        rows.append(SiteRows(site, cells, step, m.energy[site, step], filled[step], recorded[step], active))
    return rows


def _shift(values: Float64, offset_of_cell: Indices) -> Float64:
    """``values`` with column t holding what was at t + offset; NaN beyond the ends."""
    n_steps = values.shape[1]
    out = np.full(values.shape, np.nan)
    for offset in np.unique(offset_of_cell):
        rows = offset_of_cell == offset
        low, high = max(0, -offset), min(n_steps, n_steps - offset)
        out[rows, low:high] = values[rows, low + offset : high + offset]
    return out


def _stand_in(load: Float64, recorded: Mask) -> Float64:
    """``load`` (T, n) with every gap filled in steps where another cell was recorded."""
    filled = load.copy()
    count = recorded.sum(axis=1)
    total = np.where(recorded, load, 0.0).sum(axis=1)
    for c in np.flatnonzero(~recorded.all(axis=0)):
        others = count - recorded[:, c]
        mean = np.divide(
            total - np.where(recorded[:, c], load[:, c], 0.0), others, where=others > 0, out=total * 0
        )
        gap = ~recorded[:, c] & (others > 0)
        own, common = load[recorded[:, c], c], recorded[:, c] & (others > 0)
        if common.sum() >= _MIN_COMMON and np.ptp(mean[common]) > 0:
            slope, level = np.polyfit(mean[common], load[common, c], 1)
            filled[gap, c] = np.clip(level + slope * mean[gap], own.min(), own.max())
        else:
            filled[gap, c] = own.mean() if len(own) else mean[gap]
    return filled
