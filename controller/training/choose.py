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

FOLDS = 2
FEWEST_DAYS = 2  # of training before a validation part, and at all
LONGEST_FOLD_DAYS = 28
FOLD_SHARE = 0.15  # of the training part
MLP_DAYS = 28  # with less the network learns the days, not the cells
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
    with_mlp = starts[0] >= MLP_DAYS * series.per_day
    folds: list[Fold] = []
    anchors = anchors_of(series.per_day)
    for k, start in enumerate(starts):
        progress(f"validation {k + 1} of {len(starts)}", k / (len(starts) + 1))
        fitted = fit(series, start, with_mlp=with_mlp, seed=seed)
        rng = np.random.default_rng([seed, 1, k])
        rows = later_rows(series, start, min(start + length, until), rng)
        folds.append(Fold(rows, fitted.correct(rows.features)))
    return _decide(folds, anchors, with_mlp)


def _unvalidated(series: Series, until: int, seed: int) -> Choice:
    """The seasonal profile, where the training part is too short to compare anything."""
    rng = np.random.default_rng([seed, 1])
    rows = later_rows(series, until - series.per_day, until, rng)
    anchors = anchors_of(series.per_day)
    nothing = np.zeros((len(rows.cell), len(anchors)))
    made = Corrections(np.zeros(rows.target.shape), nothing, nothing)
    blend = Blend(anchors, np.repeat(single(SEASONAL), len(anchors), 0))
    return Choice(SEASONAL, blend, [Fold(rows, made)])


def fit(series: Series, until: int, *, with_mlp: bool, seed: int) -> Candidates:
    """Candidates fitted on everything before step ``until``."""
    rows = training_rows(series, until, np.random.default_rng([seed, 0]))
    return fit_candidates(rows, with_mlp=with_mlp, seed=seed)


def _decide(folds: list[Fold], anchors: tuple[int, ...], with_mlp: bool) -> Choice:
    """The best candidate. A combination is judged on each fold with the shares that were best on the other ones."""
    volume = np.array([volumes(fold.rows, anchors) for fold in folds])  # (K, A)
    shares = combinations(with_mlp)
    found = np.stack([errors(fold.rows, fold.made, anchors, shares) for fold in folds])  # (K, A, C)
    share = shares[_relative(found, volume).argmin(1)]
    others = np.stack([_relative(np.delete(found, k, 0), np.delete(volume, k, 0)) for k in range(len(folds))])
    picked = np.take_along_axis(found, others.argmin(2)[:, :, None], 2)[:, :, 0]
    validated = {COMBINATION: _wape(picked, volume)}
    blends = {COMBINATION: Blend(anchors, share)}
    for name in (SEASONAL, *NAMES[: 2 + with_mlp]):
        alone = single(name)
        blends[name] = Blend(anchors, np.repeat(alone, len(anchors), 0))
        validated[name] = _wape(
            np.stack([errors(fold.rows, fold.made, anchors, alone)[:, 0] for fold in folds]), volume
        )
    best = min(validated, key=lambda name: validated[name])
    return Choice(best, blends[best], folds, validated)


def _relative(found: NDArray[np.float64], volume: NDArray[np.float64]) -> NDArray[np.float64]:
    """Errors over folds, each against its load. (A, C)"""
    return np.asarray(found.sum(0) / np.maximum(volume.sum(0), 1e-12)[:, None])


def _wape(found: NDArray[np.float64], volume: NDArray[np.float64]) -> float:
    """Mean over the anchors of error over load. (K, A) each"""
    return float((found.sum(0) / np.maximum(volume.sum(0), 1e-12)).mean())
