"""How far values lie from the median: a linear model of the log of the miss, and the quantiles of misses so scaled."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import Ridge
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from controller.forecast.layout import columns_at
from controller.forecast.metadata import QUANTILES
from controller.training.blend import Blend
from controller.training.candidates import anchor_columns, residual_target
from controller.training.choose import Fold

Float64 = NDArray[np.float64]

LEAST_MISS = 0.02  # added before the log, so that a lucky hit does not count as certainty
LIMITS = (float(np.log(0.02)), float(np.log(2.0)))  # of the spread, in logs of the log load
ALPHA = 30.0


@dataclass(frozen=True, slots=True)
class Spread:
    """Fitted spread. A anchors, Q quantiles."""

    anchors: tuple[int, ...]
    horizon_steps: int
    models: list[Pipeline]  # one for each anchor
    place: Float64  # (A, Q) quantiles of miss over spread, ascending
    limits: tuple[float, float] = LIMITS

    @property
    def n_quantiles(self) -> int:
        """Number of quantiles."""
        return int(self.place.shape[1])

    def log_spread(self, features: NDArray[np.float32]) -> Float64:
        """Log of the spread at each anchor, as the estimators predict it. (m, F) -> (m, A)"""
        inputs = [features[:, columns_at(h, self.horizon_steps)] for h in self.anchors]
        return np.stack([model.predict(x) for model, x in zip(self.models, inputs, strict=True)], 1)

    def linear(self) -> tuple[Float64, Float64]:
        """Weights on ``anchor_columns``, each anchor on its own ones, and offsets. (C, A), (A,)"""
        columns = anchor_columns(self.anchors, self.horizon_steps)
        weights = np.zeros((len(columns), len(self.anchors)))
        offsets = np.empty(len(self.anchors))
        at = {column: k for k, column in enumerate(columns)}
        for a, (h, model) in enumerate(zip(self.anchors, self.models, strict=True)):
            scaler, ridge = model[0], model[1]
            own = ridge.coef_ / scaler.scale_
            offsets[a] = ridge.intercept_ - own @ scaler.mean_
            for column, weight in zip(columns_at(h, self.horizon_steps), own, strict=True):
                weights[at[column], a] += weight
        return weights, offsets


def fit_spread(folds: list[Fold], blend: Blend) -> Spread:
    """Fit on what the blend missed in the validation parts."""
    horizon = folds[0].rows.target.shape[1]
    features = np.concatenate([fold.rows.features for fold in folds])
    misses = np.concatenate([residual_target(fold.rows) - blend.correction(fold.made) for fold in folds])
    models, place = [], []
    for h in blend.anchors:
        miss = misses[:, h - 1]
        known = np.isfinite(miss)
        inputs = features[:, columns_at(h, horizon)][known]
        model = make_pipeline(StandardScaler(), Ridge(ALPHA))
        model.fit(inputs, np.log(np.abs(miss[known]) + LEAST_MISS))
        scale = np.exp(np.clip(model.predict(inputs), *LIMITS))
        place.append(np.quantile(miss[known] / scale, QUANTILES))
        models.append(model)
    return Spread(blend.anchors, horizon, models, _ascending(np.array(place)))


def _ascending(place: Float64) -> Float64:
    """Keep quantiles apart, also where few misses make some coincide."""
    steps = np.maximum(np.diff(place, axis=1), 1e-3)
    return np.concatenate([place[:, :1], place[:, :1] + np.cumsum(steps, 1)], 1)
