"""Awake energy of stations and cells: E = sum over cells of base + slope x shape(load).

``shape`` rises from 0 to 1 over the load and is common to a radio product: straight between ``KNOTS``,
increments not negative. The base is shared equally by the cells of a station. Base and slopes are each
station's own, drawn towards the middle of hardware of its kind: a linear Gaussian model whose prior middles,
spreads and noise come from all stations (empirical Bayes), solved under base, slope >= 0. Rows far off their
curve weigh less (Huber).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import nnls

from hw.calibration.measurements import Float64, Mask, Measurements, SiteRows
from hw.calibration.priors import (
    Middles,
    base_path,
    base_size,
    middle_values,
    slope_size,
    typical_txru,
)

KNOTS = np.array([0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0])

_ROUNDS = 4
_HUBER = 3.0  # residuals beyond this many standard deviations weigh less
_ROWS_FOR_TRUST = 8.0  # rows at which a station's own value weighs half in the middle of its kind
_STRAIGHT_ROWS = 50.0  # rows' worth of pull of a product's shape towards a straight line
_WIDE = 2.0  # relative spread before anything is known, and the largest afterwards
_NARROW = 0.02  # least relative spread between stations of a kind
_LEAST_NOISE = 1e-3  # relative; keeps constant energy solvable
_TINY = 1e-6  # of the network's middle energy: least prior middle


@dataclass(slots=True)
class Awake:
    """Fitted awake energy. S stations, C cells."""

    base: Float64  # (S,) energy of a step per cell at load 0 [energy unit]
    slope: Float64  # (C,) further energy of a step at load 1 [energy unit]
    shape: dict[str, Float64]  # product -> (len(KNOTS),) values at KNOTS, 0 to 1
    middles: Middles | None = None  # of each kind of hardware, once known
    spread: tuple[float, float] = (_WIDE, _WIDE)  # relative, of base and slope between stations of a kind
    noise: float = 0.05  # relative to a station's middle energy


def shaped_load(load: Float64, product: list[str], shape: dict[str, Float64]) -> Float64:
    """Shape of each cell's product at ``load`` (R, n). (R, n) [ratio]"""
    return np.column_stack([np.interp(load[:, i], KNOTS, shape[p]) for i, p in enumerate(product)])


def fit_awake(m: Measurements, rows: list[SiteRows], awake: list[Mask]) -> Awake:
    """Fit to the rows marked in ``awake``, one mask (R,) for each station.

    Stations and cells without a row get the middle of their kind.
    """
    estimate = _Estimate(m, rows, awake)
    for _ in range(_ROUNDS):
        estimate.fit_sites()
        estimate.update_middles()
        estimate.update_shapes()
        estimate.update_noise()
    estimate.fit_sites()
    return estimate.fit


class _Estimate:
    """The fit so far, and the steps that improve one part of it while the others are held fixed."""

    def __init__(self, m: Measurements, rows: list[SiteRows], awake: list[Mask]) -> None:
        middle = float(np.nanmedian(m.energy))
        self.floor = _TINY * middle
        self.kinds = m.kinds()
        self.kinds_of_site = [[self.kinds[c] for c in own] for own in m.cells_of_sites()]
        self.typical = typical_txru(self.kinds)
        self.site_of_cell = m.site_of_cell
        self.used = [r for r in rows if awake[r.site].any()]
        self.awake = [awake[r.site].astype(np.float64) for r in self.used]
        self.weights = list(self.awake)
        self.scale = [float(np.median(r.energy[a > 0])) for r, a in zip(self.used, self.awake, strict=True)]
        self.fit = Awake(
            np.full(len(m.site_id), middle / 2),
            np.full(len(m.cell_id), middle / 2),
            dict.fromkeys(sorted({kind.product for kind in self.kinds}), KNOTS),
        )
        self.variances: list[Float64] = []

    def fit_sites(self) -> None:
        """Base and slopes of each station, with their relative posterior variances (1 + n,)."""
        self.variances = []
        for rows, w, scale in zip(self.used, self.weights, self.scale, strict=True):
            x, prior = self._features(rows), self._prior(rows)
            noise = self.fit.noise * scale
            spread = np.r_[self.fit.spread[0], np.full(len(rows.cells), self.fit.spread[1])] * prior
            gram = (x * w[:, None]).T @ x / noise**2 + np.diag(spread**-2)
            found = _solve_not_negative(gram, x.T @ (w * rows.energy) / noise**2 + prior / spread**2)
            self.fit.base[rows.site], self.fit.slope[rows.cells] = found[0], found[1:]
            self.variances.append(np.diag(np.linalg.inv(gram)) / prior**2)

    def update_middles(self) -> None:
        """Middles of each kind, spreads around them, and the values of stations and cells without a row."""
        fit = self.fit
        site_rows, cell_rows = np.zeros(len(fit.base)), np.zeros(len(fit.slope))
        for rows, awake in zip(self.used, self.awake, strict=True):
            site_rows[rows.site] = awake.sum()
            cell_rows[rows.cells] = awake @ rows.recorded
        base_sizes = np.array([base_size(kinds, self.typical) for kinds in self.kinds_of_site])
        slope_sizes = np.array([slope_size(kind, self.typical) for kind in self.kinds])
        site_weights, cell_weights = (n / (n + _ROWS_FOR_TRUST) for n in (site_rows, cell_rows))
        fit.middles = Middles(
            middle_values(fit.base / base_sizes, site_weights, [base_path(k) for k in self.kinds_of_site]),
            middle_values(fit.slope / slope_sizes, cell_weights, [kind.slope_path for kind in self.kinds]),
            self.typical,
        )
        squares = [self._squares(r, v) for r, v in zip(self.used, self.variances, strict=True)]
        fit.spread = (
            max(_NARROW, float(np.sqrt(np.mean([s[0] for s in squares])))),
            max(_NARROW, float(np.sqrt(np.mean(np.concatenate([s[1:] for s in squares]))))),
        )
        for site in np.flatnonzero(site_rows == 0):
            fit.base[site] = fit.middles.base_of(self.kinds_of_site[site])
        for cell in np.flatnonzero(site_rows[self.site_of_cell] == 0):
            fit.slope[cell] = fit.middles.slope_of(self.kinds[cell])

    def update_shapes(self) -> None:
        """Shape of each product from the rows of all its stations, other products' cells held fixed."""
        fit, width = self.fit, np.diff(KNOTS)
        gram = {p: np.zeros((len(width), len(width))) for p in fit.shape}
        moment = {p: np.zeros(len(width)) for p in fit.shape}
        pull: dict[str, list[float]] = {p: [] for p in fit.shape}
        for rows, weights, scale in zip(self.used, self.weights, self.scale, strict=True):
            w = weights / scale**2
            product, slope = np.array([self.kinds[c].product for c in rows.cells]), fit.slope[rows.cells]
            curve = self._features(rows)[:, 1:] * slope
            rest = rows.energy - len(rows.cells) * fit.base[rows.site] - curve.sum(axis=1)
            filled = np.clip((rows.load[:, :, None] - KNOTS[:-1]) / width, 0, 1)  # (R, n, bins)
            for p in np.unique(product).tolist():
                own = product == p
                x = (slope[own, None] * filled[:, own]).sum(axis=1)
                gram[p] += (x * w[:, None]).T @ x
                moment[p] += x.T @ (w * (rest + curve[:, own].sum(axis=1)))
                pull[p].append(float((slope[own] ** 2).mean() * w.mean()))
        for p, strengths in pull.items():
            ridge = _STRAIGHT_ROWS * float(np.mean(strengths)) if strengths else 0.0
            if ridge > 0:
                rise = _solve_not_negative(gram[p] + ridge * np.eye(len(width)), moment[p] + ridge * width)
                risen = np.r_[0.0, np.cumsum(rise)]
                fit.shape[p] = risen / risen[-1] if risen[-1] > 0 else KNOTS

    def update_noise(self) -> None:
        """Relative noise from the median residual, and Huber weights of the rows."""
        residuals = []
        for rows, scale in zip(self.used, self.scale, strict=True):
            residuals.append(np.abs(rows.energy - self._features(rows) @ self._own(rows)) / scale)
        kept = np.concatenate([r[a > 0] for r, a in zip(residuals, self.awake, strict=True)])
        self.fit.noise = max(_LEAST_NOISE, 1.4826 * float(np.median(kept)))
        limit = _HUBER * self.fit.noise
        self.weights = [
            a * np.minimum(1.0, limit / np.maximum(r, limit))
            for r, a in zip(residuals, self.awake, strict=True)
        ]

    def _features(self, rows: SiteRows) -> Float64:
        """Design of one station: its number of cells, then the shape of each cell's load. (R, 1 + n)"""
        product = [self.kinds[c].product for c in rows.cells]
        shaped = shaped_load(rows.load, product, self.fit.shape)
        return np.column_stack([np.full(len(rows.energy), float(len(rows.cells))), shaped])

    def _prior(self, rows: SiteRows) -> Float64:
        """Prior middles of one station's base and slopes. (1 + n,)"""
        middles = self.fit.middles
        if middles is None:
            return self._own(rows)
        kinds = self.kinds_of_site[rows.site]
        prior: Float64 = np.array([middles.base_of(kinds), *(middles.slope_of(kind) for kind in kinds)])
        return np.maximum(prior, self.floor)

    def _own(self, rows: SiteRows) -> Float64:
        """Base and slopes of one station as fitted. (1 + n,)"""
        return np.concatenate([self.fit.base[[rows.site]], self.fit.slope[rows.cells]])

    def _squares(self, rows: SiteRows, variance: Float64) -> Float64:
        """Expected squared relative distance of one station's base and slopes from their middles. (1 + n,)"""
        distance: Float64 = (self._own(rows) / self._prior(rows) - 1) ** 2 + variance
        return np.minimum(distance, _WIDE**2)


def _solve_not_negative(gram: Float64, moment: Float64) -> Float64:
    """The x >= 0 that minimises x' gram x / 2 - moment' x, for a positive definite ``gram``."""
    root = np.linalg.cholesky(gram)
    found, _ = nnls(root.T, np.linalg.solve(root, moment))
    return np.asarray(found, np.float64)
