"""Default peers that need no training of ours: naive ones and statsforecast, at their documented settings.

Forecasts are limited to 0..1, which helps every peer.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from statsforecast.models import MSTL, AutoETS, SeasonalNaive

from benchmarks.forecast_protocol import DAY, HORIZONS, QUANTILES, Case, Float32, Float64, Forecast, filled

WEEK = 7 * DAY
WINDOWS_DAYS = (7, 28, None)  # of the hour-of-day peers; None: all history
MOST_CELLS = 120  # that AutoETS and MSTL run for
MSTL_HISTORY_DAYS = 28
MSTL_EVERY = 7  # origins where it sees weeks, as it decomposes anew at each; all hours of the day come up


def naive_peers(case: Case) -> list[Forecast]:
    """Last recorded value, same hour yesterday, mean and median of the hour of day over three lengths of history."""
    known = pd.DataFrame(case.load.T).ffill().to_numpy().T
    shape = case.empty().shape
    last = np.broadcast_to(known[:, case.origins - 1][:, :, None], shape)
    yesterday = filled(case.load)[:, case.targets - DAY].astype(np.float32)
    peers = [
        Forecast("last_value", "default", last.astype(np.float32)),
        Forecast("yesterday", "default", yesterday),
    ]
    for days in WINDOWS_DAYS:
        if days is None or days * DAY < case.refits[0]:
            peers += _hour_of_day(case, days)
    return peers


def _hour_of_day(case: Case, days: int | None) -> list[Forecast]:
    """Mean, and quantiles with the median, of the days before that have a value at this hour."""
    mean, quantile = case.empty(), case.empty(len(QUANTILES))
    for place, origin in enumerate(case.origins):
        for k, target in enumerate(case.targets[place]):
            first = target % DAY if days is None else target - days * DAY
            past = case.load[:, max(first, target % DAY) : origin : DAY]
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", RuntimeWarning)  # no value at this hour yet
                mean[:, place, k] = np.nanmean(past, 1)
                quantile[:, place, k] = np.nanquantile(past, QUANTILES, axis=1).T
    suffix = "" if days is None else f"_{days}d"
    return [
        Forecast(f"hour_mean{suffix}", "default", mean),
        Forecast(f"hour_median{suffix}", "default", quantile[..., 0], quantile),
    ]


def statsforecast_peers(case: Case, *, quick: bool) -> list[Forecast]:
    """SeasonalNaive for all cells; AutoETS and MSTL, where they are too slow for all, for fixed random ones."""
    weekly = case.refits[0] >= MSTL_HISTORY_DAYS * DAY
    seasons, most = [DAY, WEEK] if weekly else [DAY], 4 if quick else MOST_CELLS
    tasks = [
        ("SeasonalNaive", _seasonal_naive, case.trace.n_cells, 1, None),
        ("AutoETS", _ets, most, 1, None),
        (f"MSTL{seasons}", _mstl, most, MSTL_EVERY if weekly else 1, MSTL_HISTORY_DAYS * DAY),
    ]
    series, found = filled(case.load), []
    for name, make, most_cells, every, history in tasks:
        n_cells = min(most_cells, case.trace.n_cells)
        cells = np.sort(np.random.default_rng(0).permutation(case.trace.n_cells)[:n_cells])
        places = np.arange(0, len(case.origins), every)
        median = case.empty()
        for cell in cells:
            job = Job(make, series[cell], case.refits, case.origins[places], history, seasons)
            median[cell, places] = job.run()
        whole = n_cells == case.trace.n_cells and every == 1
        partial = "" if whole else f"{n_cells} cells, one origin in {every}"
        found.append(Forecast(name, "default", np.clip(median, 0, 1), partial=partial))
    return found


Model = SeasonalNaive | AutoETS | MSTL


@dataclass(frozen=True)
class Job:
    """One series to forecast."""

    make: Callable[[list[int]], Model]
    series: Float64  # (n_steps,) without gaps but at its begin
    refits: tuple[int, ...]
    origins: NDArray[np.intp]
    history: int | None  # steps that the model sees; None: all
    seasons: list[int]

    def run(self) -> Float32:
        """Fit at each refit and move on with the fitted parameters in between. (n_origins, n_horizons)"""
        begin = int(np.isnan(self.series).sum())
        out = np.full((len(self.origins), len(HORIZONS)), np.nan, np.float32)
        fitted_at, model = -1, self.make(self.seasons)
        for place, origin in enumerate(self.origins):
            refit = max(one for one in self.refits if one <= origin)
            if refit != fitted_at:
                model, fitted_at = self.make(self.seasons), refit
                model.fit(self.series[_first(begin, refit, self.history) : refit])
            seen = self.series[_first(begin, origin, self.history) : origin]
            ahead = model.forward(seen, h=max(HORIZONS))["mean"]
            out[place] = ahead[[h - 1 for h in HORIZONS]]
        return out


def _first(begin: int, end: int, history: int | None) -> int:
    return begin if history is None else max(begin, end - history)


def _seasonal_naive(_: list[int]) -> SeasonalNaive:
    return SeasonalNaive(season_length=DAY)


def _ets(_: list[int]) -> AutoETS:
    return AutoETS(season_length=DAY)


def _mstl(seasons: list[int]) -> MSTL:
    return MSTL(season_length=seasons)
