"""How many steps the load's clock runs after the energy's.

Load and energy often come from different systems, and one may stamp a step by its beginning and the other
by its end. One step of error blurs every edge: a level that is active for five hours loses a fifth of its
effect. Cells whose records are of another length often come from another extract and are judged apart.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hw.calibration.measurements import Float64, Indices, Measurements
from hw.calibration.model import ClockFit

_DAY_S = 86400
_MAX_OFFSET_S = 7200
_MIN_ROWS = 12  # a cell with fewer rows has no vote
_MIN_GAIN = 0.2  # share of the error that an offset must remove to be believed
_MIN_VOTES = 2 / 3  # share of the cells that must fit better with it


def record_groups(load: Float64, step_s: int) -> dict[str, Indices]:
    """Cells by length of their record, to the nearest power of two of a day, from ``load`` (C, T)."""
    finite = np.isfinite(load)
    n_steps = load.shape[1]
    span = np.where(finite.any(axis=1), n_steps - finite[:, ::-1].argmax(axis=1) - finite.argmax(axis=1), 1)
    days = 2.0 ** np.round(np.log2(span * step_s / _DAY_S))
    return {f"records of about {d:g} days": np.flatnonzero(days == d) for d in np.unique(days)}


def estimate_clocks(m: Measurements) -> list[ClockFit]:
    """The offset of each group of cells.

    An offset other than 0 is believed only if it removes a fifth of the error of straight lines (energy of
    the station on the load and the activations of one cell) and two thirds of the cells fit better with it.
    """
    reach = max(1, _MAX_OFFSET_S // m.step_s)
    offsets = np.array(sorted(range(-reach, reach + 1), key=abs))
    active = np.stack([np.nan_to_num(a) for a in m.activation.values()]) if m.activation else None
    return [
        _clock(m, active, name, cells, offsets) for name, cells in record_groups(m.load, m.step_s).items()
    ]


def offset_of_cells(m: Measurements, clocks: Sequence[ClockFit]) -> Indices:
    """Offset of each cell. (C,) [steps]"""
    offset = np.zeros(len(m.cell_id), np.intp)
    by_name = {clock.group: clock.offset_steps for clock in clocks}
    for name, cells in record_groups(m.load, m.step_s).items():
        offset[cells] = by_name.get(name, 0)
    return offset


def _clock(m: Measurements, active: Float64 | None, name: str, cells: Indices, offsets: Indices) -> ClockFit:
    errors = np.array([[_line_error(m, active, c, o) for o in offsets] for c in cells])  # (cells, offsets, 2)
    errors = errors[np.isfinite(errors).all(axis=(1, 2))]
    if not len(errors):
        return ClockFit(group=name, n_cells=len(cells), offset_steps=0, error=None, error_as_stamped=None)
    ratio = errors[:, :, 0].sum(axis=0) / errors[:, :, 1].sum(axis=0)
    best = int(np.argmin(ratio))
    own = errors[:, :, 0] / errors[:, :, 1]
    votes = (own[:, best] < own[:, 0]).mean()
    if ratio[best] > (1 - _MIN_GAIN) * ratio[0] or votes < _MIN_VOTES:
        best = 0
    return ClockFit(
        group=name,
        n_cells=len(cells),
        offset_steps=int(offsets[best]),
        error=float(ratio[best]),
        error_as_stamped=float(ratio[0]),
    )


def _line_error(m: Measurements, active: Float64 | None, cell: int, offset: int) -> tuple[float, float]:
    """Absolute error of the straight line, and the energy it was measured on; NaN with too few rows."""
    n_steps = m.energy.shape[1]
    low, high = max(0, -offset), min(n_steps, n_steps - offset)
    y = m.energy[m.site_of_cell[cell], low:high]
    load = m.load[cell, low + offset : high + offset]
    rows = np.isfinite(y) & np.isfinite(load)
    if rows.sum() < _MIN_ROWS:
        return np.nan, np.nan
    x = np.column_stack([np.ones(rows.sum()), load[rows]])
    if active is not None:
        x = np.column_stack([x, active[:, cell, low + offset : high + offset][:, rows].T])
    residual = y[rows] - x @ np.linalg.lstsq(x, y[rows], rcond=1e-8)[0]
    return float(np.abs(residual).sum()), float(y[rows].sum())
