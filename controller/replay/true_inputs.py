"""A forecaster that reads the traffic to come. It is for analysis: what ``predictive`` loses for lack of a forecast."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from controller.forecast.samples import Course, Forecaster
from controller.replay.scene import Scene
from policies.forecast import Forecast
from policies.kalman import FLOOR
from policies.profile import ForecastProfile

LEAST_SD = 0.05  # log standard deviation of a tick whose samples are all alike


class TrueInputs(Forecaster):
    """Tells the mean and the spread of the samples that each coming tick will have; no causal policy can.

    It shares out the traffic of cells off air as the filter does, which goes on observing.
    """

    def __init__(self, scene: Scene, settings: ForecastProfile) -> None:
        clock = scene.clock
        super().__init__(scene.network.n_cells, settings, sample_s=clock.sample_s, tick_s=clock.tick_s)
        self._mean, self._sd = log_moments(scene.path, clock.per_tick)
        self._known = np.isfinite(self._mean)
        self._mean, self._sd = _carried_on(self._mean), _carried_on(self._sd)
        self._tick, self._ahead = 0, np.arange(settings.horizon_ticks)

    def forecast(self, slot: int, course: Course | None = None) -> Forecast:  # noqa: ARG002 - it knows better
        """The truth of the ticks that follow those asked for so far; a cell is known where the next is recorded."""
        at = np.minimum(self._tick + self._ahead, self._mean.shape[1] - 1)
        known = self._known[:, at[0]].copy()
        self._tick += 1
        # contiguous as those of the filter, so that the kernels need not be compiled anew
        mean, sd = (np.ascontiguousarray(values[:, at]) for values in (self._mean, self._sd))
        return Forecast(np.nan_to_num(mean), np.fmax(sd, LEAST_SD), known)


def log_moments(path: NDArray[np.float32], per_tick: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and standard deviation of the log of the samples in each tick, NaN unrecorded. (n, T)"""
    starts = np.arange(0, path.shape[1], per_tick)
    log = np.log(np.maximum(path, FLOOR))
    recorded = np.isfinite(log)
    log[~recorded] = 0
    count = np.add.reduceat(recorded, starts, axis=1, dtype=np.float64)
    total = np.add.reduceat(log, starts, axis=1, dtype=np.float64)
    square = np.add.reduceat(log * log, starts, axis=1, dtype=np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = total / count
        return mean, np.sqrt(np.maximum(square / count - mean * mean, 0.0))


def _carried_on(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The values with those of unrecorded ticks replaced by the last recorded before them."""
    last = np.where(np.isfinite(values), np.arange(values.shape[1]), 0)
    return np.take_along_axis(values, np.maximum.accumulate(last, axis=1), axis=1)
