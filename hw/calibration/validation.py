"""Error of a calibration by cross-validation, beside straight lines on the same rows.

Nothing of a fold's energy reaches the fit that predicts it: clocks, shapes, middles, effects and the
stations' own values are fitted anew on the other folds. Loads and activations of the fold are known, as they
are in a replay.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from hw.calibration.clock import estimate_clocks, offset_of_cells
from hw.calibration.effects import gather_evidence
from hw.calibration.fitting import fit_power, predict
from hw.calibration.measurements import Float64, Indices, Measurements, SiteRows, pair, without_absurd
from hw.calibration.model import ErrorFigures, ErrorSummary
from hw.errors import WorldError

_FOLDS = 5
_STATION_FOLDS = 10
_DAY_S = 86400
_LEAST_ROWS = 8  # a station with fewer takes the line of its products

Folds = NDArray[np.intp]
Progress = Callable[[float], None]


def cross_validate(m: Measurements, progress: Progress) -> ErrorSummary:
    """Error on unseen hours, days and stations. ``progress`` is told the share of the work that is done."""
    m, _ = without_absurd(m)
    n_sites, n_steps = m.energy.shape
    rng = np.random.default_rng(0)
    hours = rng.integers(_FOLDS, size=m.energy.shape)
    day = np.arange(n_steps) * m.step_s // _DAY_S
    days = (day[None, :] + rng.integers(_FOLDS, size=(n_sites, 1))) % _FOLDS
    measured = np.flatnonzero(np.isfinite(m.energy).any(axis=1))
    fold_of_site = np.zeros(n_sites, np.intp)
    fold_of_site[measured] = rng.permutation(len(measured)) % _STATION_FOLDS
    stations = np.repeat(fold_of_site[:, None], n_steps, axis=1)
    ways: list[tuple[str, Folds, bool]] = [
        ("unseen_hours", hours, True),
        ("unseen_days", days, True),
        ("unseen_stations", stations, True),
    ]
    if any(clock.offset_steps for clock in estimate_clocks(m)):
        ways.append(("unseen_hours_as_stamped", hours, False))
    found: dict[str, ErrorFigures | None] = {"unseen_hours_as_stamped": None}
    for i, (name, folds, correct_clocks) in enumerate(ways):
        told = partial(_tell_part, progress, i, len(ways))
        found[name] = _figures(m, folds, correct_clocks, told)
    return ErrorSummary(**found)


def _tell_part(progress: Progress, part: int, n_parts: int, done: float) -> None:
    progress((part + done) / n_parts)


def _figures(m: Measurements, folds: Folds, correct_clocks: bool, progress: Progress) -> ErrorFigures | None:
    """Error over all folds; None if no fold leaves enough to fit."""
    ours, lines = np.full(m.energy.shape, np.nan), np.full(m.energy.shape, np.nan)
    numbers = np.unique(folds)
    for done, fold in enumerate(numbers, start=1):
        held = folds == fold
        try:
            train = replace(m, energy=np.where(held, np.nan, m.energy))
            calibration = fit_power(train, correct_clocks=correct_clocks)
            ours[held] = predict(calibration, m)[held]
            lines[held] = straight_lines(train, offset_of_cells(m, calibration.clocks))[held]
        except WorldError:
            pass  # nothing is left to fit: the fold is not scored, and n_steps says so
        progress(done / len(numbers))
    scored = np.isfinite(m.energy) & np.isfinite(ours)
    return _score(m, ours, lines, scored) if scored.any() else None


def _score(m: Measurements, ours: Float64, lines: Float64, scored: NDArray[np.bool_]) -> ErrorFigures:
    by_product = {}
    for product in np.unique(m.product):
        has_product = np.isin(np.arange(len(m.site_id)), m.site_of_cell[m.product == product])
        if scored[has_product].any():
            by_product[str(product)] = _wmape(m, ours, scored & has_product[:, None])
    return ErrorFigures(
        wmape=_wmape(m, ours, scored),
        wmape_lines=_wmape(m, lines, scored),
        bias=float((ours - m.energy)[scored].sum() / m.energy[scored].sum()),
        n_stations=int(scored.any(axis=1).sum()),
        n_steps=int(scored.sum()),
        by_product=by_product,
    )


def _wmape(m: Measurements, predicted: Float64, rows: NDArray[np.bool_]) -> float:
    return float(np.abs(predicted - m.energy)[rows].sum() / m.energy[rows].sum())


def straight_lines(m: Measurements, offset_of_cell: Indices) -> Float64:
    """The peer: least-squares lines of energy on the load of each cell and its activations. (S, T)

    A station with fewer than eight steps of energy takes the line of its products, on the sum over its cells.
    """
    sites = pair(m, offset_of_cell, np.ones(m.energy.shape, np.bool_))
    levels = sorted({level for (_, level), e in gather_evidence(m, sites).items() if e.contrast})
    groups: dict[str, list[SiteRows]] = {}
    for rows in sites:
        groups.setdefault("+".join(sorted(set(m.product[rows.cells].tolist()))), []).append(rows)
    out = np.full(m.energy.shape, np.nan)
    middle = float(np.nanmedian(m.energy))
    for group in groups.values():
        pooled = [_design(rows, levels, summed=True) for rows in group]
        line = _line(np.concatenate(pooled), np.concatenate([rows.energy for rows in group]), middle)
        for rows, x in zip(group, pooled, strict=True):
            if np.isfinite(rows.energy).sum() >= _LEAST_ROWS:
                own = _design(rows, levels, summed=False)
                out[rows.site, rows.step] = own @ _line(own, rows.energy, middle)
            else:
                out[rows.site, rows.step] = x @ line
    return out


def _design(rows: SiteRows, levels: list[str], *, summed: bool) -> Float64:
    """Number of cells, loads, activations; each over the cells one by one or summed. (R, ...)"""
    n = len(rows.cells)
    parts = [rows.load, *(rows.activation[level] for level in levels)]
    if summed:
        parts = [part.sum(axis=1, keepdims=True) for part in parts]
    return np.column_stack([np.full(len(rows.step), float(n)), *parts])


def _line(x: Float64, energy: Float64, middle: float) -> Float64:
    """Least squares on the rows with energy; without any, the middle of the network per cell."""
    rows = np.isfinite(energy)
    if not rows.any():
        return np.concatenate([[middle], np.zeros(x.shape[1] - 1)])
    return np.asarray(np.linalg.lstsq(x[rows], energy[rows], rcond=1e-8)[0], np.float64)
