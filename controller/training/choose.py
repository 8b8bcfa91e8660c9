"""Choice of the model by rolling origin: fit on what came first, compare on what came next, twice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from controller.training.blend import NAMES, Blend, combinations, errors, single, volumes
from controller.training.candidates import Candidates, Corrections, anchors_of, fit_candidates
from controller.training.rows import Rows, Series, later_rows, training_rows

Progress = Callable[[str, float], None]
Float64 = NDArray[np.float64]

FOLDS = 2
FEWEST_DAYS = 2  # of training before a validation part, and at all
LONGEST_FOLD_DAYS = 28
FOLD_SHARE = 0.15  # of the training part
AS_GOOD = 0.005  # shares whose error is at most this much above the least are as good; their mean is taken
# Few days share their whims, so what was learnt from them is believed in part: as if so many more days had been seen,
# on which d days of training were worth a total share of d / (d + DAYS_TO_HALF). A share further off costs BEND x the
# square of the distance, as errors of the validation parts do, relative to the error.
PRIOR_DAYS, DAYS_TO_HALF, BEND = 2, 3, 0.13
COMBINATION, SEASONAL = "combination", "seasonal"


@dataclass(frozen=True, slots=True)
class Fold:
    """One origin of the validation: what was seen after it, and what each candidate made of it."""

    rows: Rows
    made: Corrections


@dataclass(frozen=True, slots=True)
class Choice:
    """What was chosen, and by what. A anchors."""

    name: str
    blend: Blend
    folds: list[Fold]
    validated_days: float  # that the folds span together
    validated: dict[str, float] = field(
        default_factory=dict
    )  # WAPE of every candidate over the folds and anchors


def validation_starts(until: int, per_day: int) -> tuple[list[int], int]:
    """First steps of the validation parts, and their length. [step]"""
    length = per_day * int(np.clip(FOLD_SHARE * (until // per_day), 1, LONGEST_FOLD_DAYS))
    starts = [until - k * length for k in range(FOLDS, 0, -1)]
    return [start for start in starts if start >= FEWEST_DAYS * per_day], length


def choose(series: Series, until: int, seed: int, progress: Progress) -> Choice:
    """Compare the candidates on the last parts before step ``until``."""
    starts, length = validation_starts(until, series.per_day)
    if not starts:
        return _unvalidated(series, until, seed)
    folds: list[Fold] = []
    anchors = anchors_of(series.per_day)
    for k, start in enumerate(starts):
        progress(f"validation {k + 1} of {len(starts)}", k / (len(starts) + 1))
        fitted = fit(series, start, seed=seed)
        rng = np.random.default_rng([seed, 1, k])
        rows = later_rows(series, start, min(start + length, until), rng)
        folds.append(Fold(rows, fitted.correct(rows.features)))
    days = [start // series.per_day for start in starts]
    return _decide(folds, anchors, float(np.mean(days)), len(folds) * length / series.per_day)


def _unvalidated(series: Series, until: int, seed: int) -> Choice:
    """The seasonal profile, where the training part is too short to compare anything."""
    rng = np.random.default_rng([seed, 1])
    rows = later_rows(series, until - series.per_day, until, rng)
    anchors = anchors_of(series.per_day)
    nothing = np.zeros((len(rows.cell), len(anchors)))
    made = Corrections(np.zeros(rows.target.shape), nothing, nothing)
    blend = Blend(anchors, np.repeat(single(SEASONAL), len(anchors), 0))
    return Choice(SEASONAL, blend, [Fold(rows, made)], 1)


def fit(series: Series, until: int, *, seed: int) -> Candidates:
    """Candidates fitted on everything before step ``until``."""
    rows = training_rows(series, until, np.random.default_rng([seed, 0]))
    return fit_candidates(rows, seed=seed)


def _decide(folds: list[Fold], anchors: tuple[int, ...], trained_days: float, seen_days: float) -> Choice:
    """The combination that was best over all folds. Reported is what it gives on each with the shares of the others."""
    volume = np.array([volumes(fold.rows, anchors) for fold in folds])  # (K, A)
    shares = combinations()
    found = np.stack([errors(fold.rows, fold.made, anchors, shares) for fold in folds])  # (K, A, C)
    validated = {}
    for name in (SEASONAL, *NAMES):
        alone = np.flatnonzero((shares == single(name)).all(1))[0]
        validated[name] = _wape(found[:, :, alone], volume)
    away = shares.sum(1) - trained_days / (trained_days + DAYS_TO_HALF)
    doubt = PRIOR_DAYS / seen_days * BEND * away**2  # (C,)

    def chosen(on: list[int]) -> Float64:
        return _as_good_as_the_best(shares, _relative(found[on], volume[on]), doubt * len(folds) / len(on))

    every = list(range(len(folds)))
    picked = np.empty_like(volume)
    for k, fold in enumerate(folds):
        share = chosen([j for j in every if j != k] or every)
        picked[k] = [errors(fold.rows, fold.made, anchors, share[[a]])[a, 0] for a in range(len(anchors))]
    validated[COMBINATION] = _wape(picked, volume)
    return Choice(COMBINATION, Blend(anchors, chosen(every)), folds, seen_days, validated)


def _as_good_as_the_best(shares: Float64, error: Float64, doubt: Float64) -> Float64:
    """Shares for each anchor, by its errors and half of its neighbours'. (C, 3), (A, C), (C,) -> (A, 3)

    The least of many errors is partly luck; the mean of all shares that are about as good is steadier.
    """
    padded = np.pad(error, ((1, 1), (0, 0)), mode="edge")
    smooth = (padded[:-2] + 2 * padded[1:-1] + padded[2:]) / 4
    least = smooth.min(1, keepdims=True)
    cost = smooth / np.maximum(least, 1e-12) + doubt
    good = cost <= cost.min(1, keepdims=True) + AS_GOOD
    return np.asarray((good @ shares) / good.sum(1, keepdims=True))


def _relative(found: Float64, volume: Float64) -> Float64:
    """Errors over folds, each against its load. (A, C)"""
    return np.asarray(found.sum(0) / np.maximum(volume.sum(0), 1e-12)[:, None])


def _wape(found: Float64, volume: Float64) -> float:
    """Mean over the anchors of error over load. (K, A) each"""
    return float((found.sum(0) / np.maximum(volume.sum(0), 1e-12)).mean())
