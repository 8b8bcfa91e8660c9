"""The candidates of a forecast model: what each adds to the seasonal profile, in logs.

- ``ridge``: one linear model for each horizon, fitted towards the median by reweighting.
- ``boosting``: histogram boosting on what two thirds of the ridge leave, at a few anchor horizons: trees that stand on
  all of it repeat its mistakes, those that stand on nothing spend themselves on what is linear.
- ``mlp``: a few small networks on what the ridge leaves, at all anchors at once; their mean is taken.

Between anchors a correction is a straight line over the log of the horizon.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import Ridge
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from controller.forecast.layout import AHEAD, SHARED, ahead_columns, columns_at
from controller.training.rows import Rows

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]

N_ANCHORS = 8
RIDGE_ALPHA = 10.0
REWEIGHTINGS = 2  # rounds towards the median
LEAST_MISS = 0.05  # below it a residual counts as squared; log load
UNDER = np.array([1.0, 2 / 3, 1.0])  # how much of the ridge each candidate stands on: itself, boosting, mlp
N_TREES = 60  # of each anchor; all together bound the time of a forecast, see benchmarks/forecast_speed.py
N_BINS = 255  # of each column of the trees; finding them weighs most in small trainings
N_NETWORKS = 3
MLP_SIZES = (48, 48)
MLP_LIMIT = 1.0  # of what a network learns from, either way; a squared error would follow the few beyond it


def anchors_of(horizon_steps: int) -> tuple[int, ...]:
    """Horizons at which boosting and network are fitted: even steps in the log of the horizon, both ends among them."""
    spaced = horizon_steps ** (np.arange(N_ANCHORS) / (N_ANCHORS - 1))
    return tuple(int(h) for h in np.unique(np.rint(spaced)))


def between_anchors(anchors: tuple[int, ...], horizon_steps: int) -> Float64:
    """Shares of the anchors at each horizon. (A, H)"""
    at = np.log(np.arange(1, horizon_steps + 1))
    return np.stack([np.interp(at, np.log(anchors), unit) for unit in np.eye(len(anchors))])


def anchor_columns(anchors: tuple[int, ...], horizon_steps: int) -> list[int]:
    """Columns that network and scale look at: the shared ones and every block at every anchor."""
    own = [ahead_columns(name, horizon_steps)[h - 1] for h in anchors for name in AHEAD]
    return [*range(len(SHARED)), *own]


def residual_target(rows: Rows) -> Float32:
    """What is to be added to the profile. (m, H), NaN unknown"""
    base = rows.features[:, list(ahead_columns("base", rows.target.shape[1]))]
    return np.asarray(rows.target - base, np.float32)


@dataclass(frozen=True, slots=True)
class Corrections:
    """What each candidate adds. m rows; boosting and networks come on top of ``UNDER`` times the ridge."""

    ridge: Float64  # (m, H)
    boosting: Float64  # (m, A)
    mlp: Float64  # (m, A)


@dataclass(frozen=True, slots=True)
class Candidates:
    """Fitted candidates."""

    anchors: tuple[int, ...]
    ridge: list[Pipeline]  # one for each horizon
    boosting: list[HistGradientBoostingRegressor]  # one for each anchor
    scaler: StandardScaler  # of the networks' inputs
    mlp: list[MLPRegressor]

    @property
    def horizon_steps(self) -> int:
        """Steps ahead."""
        return len(self.ridge)

    def correct(self, features: Float32) -> Corrections:
        """What each candidate adds to the profile. ``features`` (m, F)"""
        horizon = self.horizon_steps
        ridge = np.empty((len(features), horizon))
        for h, model in enumerate(self.ridge, start=1):
            ridge[:, h - 1] = model.predict(features[:, columns_at(h, horizon)])
        trees = [
            model.predict(features[:, columns_at(h, horizon)])
            for h, model in zip(self.anchors, self.boosting, strict=True)
        ]
        inputs = self.scaler.transform(features[:, anchor_columns(self.anchors, horizon)])
        networks = [model.predict(inputs).reshape(len(inputs), -1) for model in self.mlp]
        return Corrections(ridge, np.stack(trees, 1), np.mean(networks, 0))


def fit_candidates(rows: Rows, *, seed: int) -> Candidates:
    """Fit all candidates on the same rows."""
    horizon = rows.target.shape[1]
    anchors = anchors_of(horizon)
    residual = residual_target(rows)
    ridge = [_fit_ridge(rows, residual[:, h - 1], h, horizon) for h in range(1, horizon + 1)]
    boosting, left = [], np.zeros((len(residual), len(anchors)), np.float32)
    for a, h in enumerate(anchors):
        linear = ridge[h - 1].predict(rows.features[:, columns_at(h, horizon)])
        boosting.append(_fit_boosting(rows, residual[:, h - 1] - UNDER[1] * linear, h, horizon, seed))
        left[:, a] = residual[:, h - 1] - UNDER[2] * linear
    return Candidates(anchors, ridge, boosting, *_fit_mlp(rows, left, anchors, horizon, seed))


def _fit_ridge(rows: Rows, residual: Float32, h: int, horizon: int) -> Pipeline:
    """Linear model of one horizon; weights of 1 / |miss| turn the mean into the median.

    Rows weigh as their usual load: a line cannot be right everywhere, and errors count in loads.
    """
    known = np.isfinite(residual)
    inputs, target = rows.features[:, columns_at(h, horizon)][known], residual[known]
    usual = np.exp(rows.features[known, ahead_columns("base", horizon)[h - 1]])
    weight = rows.weight[known] * usual / usual.mean()
    model = make_pipeline(StandardScaler(), Ridge(RIDGE_ALPHA))
    used = weight
    for _ in range(REWEIGHTINGS + 1):
        model.fit(inputs, target, ridge__sample_weight=used)
        miss = np.abs(target - model.predict(inputs))
        used = weight / np.maximum(miss, LEAST_MISS)
        used *= weight.sum() / used.sum()
    return model


def _fit_boosting(
    rows: Rows, rest: Float32, h: int, horizon: int, seed: int
) -> HistGradientBoostingRegressor:
    """Boosting of one anchor on absolute error."""
    known = np.isfinite(rest)
    columns = columns_at(h, horizon)
    model = HistGradientBoostingRegressor(
        loss="absolute_error",
        max_iter=N_TREES,
        max_bins=N_BINS,
        learning_rate=0.08,
        max_leaf_nodes=31,
        min_samples_leaf=max(20, min(100, int(known.sum()) // 500)),
        l2_regularization=1.0,
        early_stopping=False,
        random_state=seed,
    )
    return model.fit(rows.features[:, columns][known], rest[known], sample_weight=rows.weight[known])


def _fit_mlp(
    rows: Rows, left: Float32, anchors: tuple[int, ...], horizon: int, seed: int
) -> tuple[StandardScaler, list[MLPRegressor]]:
    """Networks on all anchors; a target that is not known asks for no change. Few passes, or they learn the days."""
    known = np.isfinite(left).mean(1)
    enough = known >= min(0.5, known.max())
    scaler = StandardScaler()
    inputs = scaler.fit_transform(rows.features[:, anchor_columns(anchors, horizon)][enough])
    target = np.clip(np.nan_to_num(left[enough]), -MLP_LIMIT, MLP_LIMIT)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the number of passes is the budget
        return scaler, [
            MLPRegressor(
                hidden_layer_sizes=MLP_SIZES,
                alpha=1e-2,
                batch_size=min(512, len(inputs)),
                max_iter=6,
                learning_rate_init=2e-3,
                random_state=seed + k,
            ).fit(inputs, target, sample_weight=rows.weight[enough])
            for k in range(N_NETWORKS)
        ]
