"""The forecaster of all cells, step by step: remembers, forecasts, calibrates itself.

::

    load of a step -> score of what was forecast for it -> memory
    memory -> features -> model, or seasonal profile -> calibration -> quantiles

It has no clock: a step comes with the time at which it began. Steps that were missed are taken as not measured;
steps that are already known are set aside and counted.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import IntEnum
from functools import cache

import numpy as np
from numpy.typing import NDArray

from controller.errors import ModelError
from controller.forecast.calendar import Calendar
from controller.forecast.calibration import Calibrator
from controller.forecast.layout import N_DAYS, steps_per_day
from controller.forecast.memory import Ahead, Memory
from controller.forecast.metadata import QUANTILES
from controller.forecast.model_file import LoadedModel
from controller.forecast.seasonal import seasonal_quantiles

Float32 = NDArray[np.float32]

HIGHEST_LOAD = 1.01  # above it a PRB ratio is absurd [ratio]
OWN_SHARE = 0.5  # of the day's slots, from which a cell's profile is its own
BATCH_CELLS = 512  # features of a batch stay in the cache
N_THREADS = 2  # that forecast batches side by side; kernels and model hold no lock
ANCHORS_PER_DAY = (1 / 24, 4 / 24, 12 / 24, 1.0)  # of the calibration, where no model says otherwise [day]
SEASONAL_EDGES = (0.02, 0.05, 0.12, 0.3)  # of the forecast median between groups of cells [ratio]


class Source(IntEnum):
    """What a cell's forecast rests on."""

    NONE = 0  # nothing was ever measured in the network
    MODEL = 1
    SEASONAL = 2  # the cell's own daily profile
    # as MODEL or SEASONAL, but on the profile of its site or the network: it has too little of its own
    GROUP = 3


@dataclass(frozen=True, slots=True)
class StepForecast:
    """Forecast of the coming steps. n cells, H steps, Q quantiles."""

    begin: np.datetime64  # UTC, of the first of them
    step_s: int
    quantile: Float32  # (n, H, Q) load not exceeded with the probabilities of QUANTILES, NaN for NONE [ratio]
    source: NDArray[np.uint8]  # (n,) see Source


class StepForecaster:
    """Forecasts n cells at ``site`` (n,). Without a model the seasonal profile forecasts.

    Raises ModelError for a model of another step, and for a step that does not divide a day.
    """

    def __init__(
        self, site: NDArray[np.int32], step_s: int, time_zone: str, model: LoadedModel | None
    ) -> None:
        try:
            per_day = steps_per_day(step_s)
        except ValueError as error:
            raise ModelError(f"{error}; resample the measurements") from error
        if model is not None and model.info.step_s != step_s:
            raise ModelError(
                f"{model.source}: it forecasts steps of {model.info.step_s} s, the measured ones have {step_s} s; "
                "train a model on a trace of that step"
            )
        self._step_s, self._model = step_s, model
        self._horizon = per_day if model is None else model.info.horizon_steps
        self._calendar = Calendar(step_s, time_zone, None if model is None else model.info.country)
        self.memory = Memory(np.asarray(site, np.int32), per_day)
        self.calibrator = _make_calibrator(len(site), self._horizon, per_day, model)
        self._raw = np.empty((len(site), self._horizon, len(QUANTILES)), np.float32)
        self._next: np.datetime64 | None = None
        self.ignored_steps = 0  # that were already known
        self.absurd_values = 0  # that were no load, and taken as missing

    def observe(self, load: Float32, begin: np.datetime64) -> None:
        """Take in the loads (n,) of the step that began at ``begin`` (UTC) and has ended, NaN missing. [ratio]"""
        begin = begin.astype("datetime64[s]")
        if self._next is not None and begin < self._next:
            self.ignored_steps += 1
            return
        absurd = ~((load >= 0) & (load <= HIGHEST_LOAD)) & ~np.isnan(load)
        self.absurd_values += int(absurd.sum())
        self._skip_to(begin)
        self._take(np.where(absurd, np.nan, np.minimum(load, 1)).astype(np.float32), begin)

    def forecast(self) -> StepForecast:
        """Quantiles of the steps that follow the last observed one. At least one must have been observed."""
        if self._next is None:
            raise ValueError("nothing has been observed yet")
        moment = self.memory.moment(self._ahead(self._next))
        quantile = np.empty_like(self._raw)

        def forecast_batch(first: int) -> None:
            cells = np.arange(first, min(first + BATCH_CELLS, len(quantile)))
            batch = slice(first, first + len(cells))
            self._raw[batch] = self._forecast_raw(self.memory.features(moment, cells))
            self.calibrator.apply(self._raw[batch], quantile[batch], first)

        starts = range(0, len(quantile), BATCH_CELLS)
        if len(starts) == 1:
            forecast_batch(0)
        else:
            list(_pool().map(forecast_batch, starts))
        self.calibrator.remember(self._raw)
        source = self._source()
        quantile[source == Source.NONE] = np.nan
        return StepForecast(self._next, self._step_s, quantile, source)

    def _forecast_raw(self, features: Float32) -> Float32:
        """Quantiles before calibration; the seasonal profile stands in where a model gives no number. (m, H, Q)"""
        if self._model is None:
            return seasonal_quantiles(features, self._horizon)
        made = self._model.run(features)
        broken = ~np.isfinite(made).all((1, 2))
        if broken.any():
            made[broken] = seasonal_quantiles(features[broken], self._horizon)
        return made

    def _source(self) -> NDArray[np.uint8]:
        usual = Source.SEASONAL if self._model is None else Source.MODEL
        known = self.memory.state.slots_known
        own = known >= OWN_SHARE * self.memory.per_day
        source = np.where(own, usual, Source.GROUP).astype(np.uint8)
        if not known.any():
            source[:] = Source.NONE
        return source

    def _skip_to(self, begin: np.datetime64) -> None:
        """Take missed steps as not measured; after more than the memory's length it is as good as empty."""
        if self._next is None:
            return
        missed = int((begin - self._next) // np.timedelta64(self._step_s, "s"))
        nothing = np.full(len(self._raw), np.nan, np.float32)
        remembered = N_DAYS * self.memory.per_day
        if missed > remembered:
            self._next = begin - np.timedelta64(remembered * self._step_s, "s")
        while self._next < begin:
            self._take(nothing, self._next)

    def _take(self, load: Float32, begin: np.datetime64) -> None:
        day, week = self._calendar.slots(begin, 1)
        # what a model was fitted to, it forecasts better than what comes
        known = self._model is not None and begin < self._model.info.trained_span[1]
        self.calibrator.score(np.full_like(load, np.nan) if known else load)
        self.memory.observe(load, int(day[0]), int(week[0]))
        self._next = begin + np.timedelta64(self._step_s, "s")

    def _ahead(self, begin: np.datetime64) -> Ahead:
        return Ahead(
            *self._calendar.slots(begin, self._horizon), *self._calendar.day_types(begin, self._horizon)
        )


@cache
def _pool() -> ThreadPoolExecutor:
    """Threads of all forecasters of this process."""
    return ThreadPoolExecutor(N_THREADS, thread_name_prefix="forecast")


def _make_calibrator(n_cells: int, horizon: int, per_day: int, model: LoadedModel | None) -> Calibrator:
    """The calibration of a model begins with its validation's scores."""
    if model is not None and model.info.score_counts:
        info = model.info
        edges = np.asarray(info.score_edges, np.float32)
        return Calibrator(n_cells, horizon, info.anchors, edges, np.asarray(info.score_counts))
    anchors = sorted({min(max(1, round(share * per_day)), horizon) for share in ANCHORS_PER_DAY} | {1})
    return Calibrator(n_cells, horizon, tuple(anchors), np.asarray(SEASONAL_EDGES, np.float32), None)
