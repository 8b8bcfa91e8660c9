"""Is the forecaster still good? Skill of each cell against simple forecasts, coverage, drift, and what to do."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from controller.forecast.backtest import Backtest
from controller.forecast.metadata import QUANTILES, ModelInfo

Float64 = NDArray[np.float64]

DRIFT_FACTOR = 1.3  # of the error at training, from which the model is said to have drifted
COVERAGE_OFF = 0.04  # of the 0.95 quantile, from which its calibration is said to be off
ALARM_SHARE = 0.1  # of the cells worse than yesterday's value, from which training anew is advised
FEWEST_VALUES = 24  # of a cell, to judge it


@dataclass(frozen=True, slots=True)
class Health:
    """What was found over the origins of a backtest. n cells, Q quantiles."""

    wape: float  # one step ahead, over all cells
    skill_last: Float64  # (n,) 1 less error over that of the last value, one step ahead; NaN unknown
    skill_yesterday: Float64  # (n,) the same against the value a day earlier
    coverage: tuple[float, ...]  # (Q,) share of values not above each quantile, one step ahead
    drifting: NDArray[np.bool_]  # (n,) cells worse than yesterday's value
    advice: tuple[str, ...]  # what an operator should do; empty where nothing


def judge(made: Backtest, load: NDArray[np.float32], per_day: int, info: ModelInfo | None) -> Health:
    """Judge the forecasts one step ahead of a backtest, whose first horizon must be 1, on ``load`` (n, T)."""
    assert made.horizons[0] == 1
    truth = made.truth(load)[:, :, 0]
    quantile = made.quantile[:, :, 0]
    last = load[:, made.origin - 1]
    yesterday = load[:, np.maximum(made.origin - per_day, 0)]
    known = np.isfinite(truth) & np.isfinite(quantile[:, :, 0]) & np.isfinite(last) & np.isfinite(yesterday)
    error = _sum(np.abs(truth - quantile[:, :, 0]), known)
    wape = float(error.sum() / max(float(_sum(truth, known).sum()), 1e-12))
    enough = known.sum(1) >= FEWEST_VALUES
    skill_last = _skill(error, _sum(np.abs(truth - last), known), enough)
    skill_yesterday = _skill(error, _sum(np.abs(truth - yesterday), known), enough)
    covered = tuple(float((truth[known] <= quantile[known][:, q]).mean()) for q in range(len(QUANTILES)))
    drifting = np.nan_to_num(skill_yesterday, nan=1.0) < 0
    advice = _advice(wape, covered, float(drifting[enough].mean()) if enough.any() else 0.0, info)
    return Health(wape, skill_last, skill_yesterday, covered, drifting, advice)


def _sum(values: NDArray[np.float32], known: NDArray[np.bool_]) -> Float64:
    return np.asarray(np.where(known, values, 0).sum(1, dtype=np.float64))


def _skill(error: Float64, other: Float64, enough: NDArray[np.bool_]) -> Float64:
    usable = enough & (other > 0)
    return np.where(usable, 1 - error / np.where(usable, other, 1), np.nan)


def _advice(
    wape: float, coverage: tuple[float, ...], worse: float, info: ModelInfo | None
) -> tuple[str, ...]:
    found = []
    reference = None if info is None else info.reference.get("wape_1_step")
    if reference and wape > DRIFT_FACTOR * reference:
        found.append(
            f"retrain: the error {wape:.3f} is above {DRIFT_FACTOR} times the {reference:.3f} at training"
        )
    if worse > ALARM_SHARE:
        found.append(f"retrain: {worse:.0%} of the cells are forecast worse than by yesterday's value")
    off = coverage[QUANTILES.index(0.95)] - 0.95
    if abs(off) > COVERAGE_OFF:
        found.append(
            f"watch the calibration: the 0.95 quantile covers {0.95 + off:.1%}; it adapts within days"
        )
    return tuple(found)
