"""How many steps the load's clock runs after the energy's.

Load and energy often come from different systems, and one may stamp a step by its beginning and the other by its
end. One step of error blurs every edge: a level that is active for five hours loses a fifth of its effect. Cells
that were recorded over less than half of the trace come from another extract and are judged apart.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hw.calibration.measurements import Float64, Indices, Measurements

_MAX_OFFSET_S = 7200
_MIN_ROWS = 12  # a cell with fewer rows has no vote
_MIN_GAIN = 0.2  # share of the error that an offset must remove to be believed
_MIN_VOTES = 2 / 3  # share of the cells that must fit better with it


@dataclass(frozen=True, slots=True)
class Clock:
    """The offset of one group of cells: energy of step t belongs to load of step t + ``offset_steps``."""

    group: str  # "long records" or "short records"
    n_cells: int
    offset_steps: int
    error: float  # of straight lines per cell at this offset, sum of |error| over sum of energy [ratio]
    error_as_stamped: float  # the same at offset 0 [ratio]


def record_groups(load: Float64) -> dict[str, Indices]:
    """Cells by length of their record, from ``load`` (C, T): at least half of the longest, or shorter."""
    finite = np.isfinite(load)
    n_steps = load.shape[1]
    span = np.where(finite.any(axis=1), n_steps - finite[:, ::-1].argmax(axis=1) - finite.argmax(axis=1), 0)
    short = span < span.max() / 2
    groups = {"long records": np.flatnonzero(~short), "short records": np.flatnonzero(short)}
    return {name: cells for name, cells in groups.items() if len(cells)}


def estimate_clocks(m: Measurements) -> list[Clock]:
    """The offset of each group of cells.

    An offset other than 0 is believed only if it removes a fifth of the error of straight lines (energy of the
    station on the load and the activations of one cell) and two thirds of the cells fit better with it.
    """
    reach = max(1, _MAX_OFFSET_S // m.step_s)
    offsets = np.array(sorted(range(-reach, reach + 1), key=abs))
    return [_clock(m, name, cells, offsets) for name, cells in record_groups(m.load).items()]


def offset_of_cells(m: Measurements, clocks: list[Clock]) -> Indices:
    """Offset of each cell. (C,) [steps]"""
    offset = np.zeros(len(m.cell_id), np.intp)
    by_name = {clock.group: clock.offset_steps for clock in clocks}
    for name, cells in record_groups(m.load).items():
        offset[cells] = by_name.get(name, 0)
    return offset


def _clock(m: Measurements, name: str, cells: Indices, offsets: Indices) -> Clock:
    errors = np.array([[_line_error(m, c, o) for o in offsets] for c in cells])  # (cells, offsets, 2)
    errors = errors[np.isfinite(errors).all(axis=(1, 2))]
    if not len(errors):
        return Clock(name, len(cells), 0, 0.0, 0.0)
    ratio = errors[:, :, 0].sum(axis=0) / errors[:, :, 1].sum(axis=0)
    best = int(np.argmin(ratio))
    own = errors[:, :, 0] / errors[:, :, 1]
    votes = (own[:, best] < own[:, 0]).mean()
    if ratio[best] > (1 - _MIN_GAIN) * ratio[0] or votes < _MIN_VOTES:
        best = 0
    return Clock(name, len(cells), int(offsets[best]), float(ratio[best]), float(ratio[0]))


def _line_error(m: Measurements, cell: int, offset: int) -> tuple[float, float]:
    """Absolute error of the straight line, and the energy it was measured on; NaN with too few rows."""
    n_steps = m.energy.shape[1]
    low, high = max(0, -offset), min(n_steps, n_steps - offset)
    y = m.energy[m.site_of_cell[cell], low:high]
    load = m.load[cell, low + offset : high + offset]
    rows = np.isfinite(y) & np.isfinite(load)
    if rows.sum() < _MIN_ROWS:
        return np.nan, np.nan
    active = [np.nan_to_num(a[cell, low + offset : high + offset][rows]) for a in m.activation.values()]
    x = np.column_stack([np.ones(rows.sum()), load[rows], *active])
    residual = y[rows] - x @ np.linalg.lstsq(x, y[rows], rcond=1e-8)[0]
    return float(np.abs(residual).sum()), float(y[rows].sum())
