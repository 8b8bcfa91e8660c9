"""Tunes the baselines ``rule`` and ``threshold`` for each site by grid search on the month before."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from controller.site.figures import site_figures
from controller.site.month import Month, run_month
from policies.site.dispatch import Dispatch
from policies.site.rules import RULES, THRESHOLDS, Rule, RuleDispatch, Threshold, ThresholdDispatch

Float64 = NDArray[np.float64]
Make = Callable[[Month, NDArray[np.float64]], Dispatch]  # the dispatch of settings (n, k)


def make_rule(month: Month, settings: Float64) -> Dispatch:
    """``rule`` with its settings for each site. (n, 3)"""
    return month.returning(RuleDispatch(month.scene.plant, Rule(*settings.T), month.rank))


def make_threshold(month: Month, settings: Float64) -> Dispatch:
    """``threshold`` with its settings for each site. (n, 2)"""
    before = month.highest_before_w
    return month.returning(ThresholdDispatch(month.scene.plant, Threshold(*settings.T), month.rank, before))


def tuned(month: Month, make: Make, grid: Sequence[tuple[float, ...]]) -> Float64:
    """For each site the settings that cost least over ``month``. (n, k)"""
    n = month.scene.n_sites
    choices = np.array(grid)
    sites = np.repeat(np.arange(n), len(choices))
    settings = np.tile(choices, (n, 1))
    trial = month.take(sites)
    cost = site_figures(trial.scene, run_month(trial, make(trial, settings))).cost.reshape(n, len(choices))
    return np.asarray(choices[np.argmin(cost, axis=1)])


BASELINES: dict[str, tuple[Make, Sequence[tuple[float, ...]]]] = {
    "rule": (make_rule, RULES),
    "threshold": (make_threshold, THRESHOLDS),
}
