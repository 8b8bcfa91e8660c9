"""A forecaster that knows the process but not the draw: what the best causal policy could know at most.

It is told the path without its noise, also of the steps to come, and the law of the noise (docs/evaluation.md). The
noise itself it learns like everybody, from the samples that have ended. For analysis: it bounds what a better
forecast can give, and what remains of the shortfall no causal policy can know.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from controller.forecast.samples import Course, Forecaster
from controller.replay.scene import Scene
from policies.forecast import Forecast, Now
from policies.profile import ForecastProfile
from traces.path import expected_path

FLOOR = 1e-6  # load of a sample without traffic, whose log is needed [ratio]
LEAST_SD = 0.05  # log standard deviation of a tick
SURE = 1e-9  # variance of what is known


class KnownProcess(Forecaster):
    """Tells where the expected path goes, and what the last sample says about the noise around it."""

    def __init__(self, scene: Scene, settings: ForecastProfile) -> None:
        clock = scene.clock
        super().__init__(scene.network.n_cells, settings, sample_s=clock.sample_s, tick_s=clock.tick_s)
        self._variance, self._persistence = scene.sigma**2, math.exp(-1 / scene.correlation_samples)
        recorded = scene.path.reshape(scene.network.n_cells, -1, clock.per_step).mean(2)
        line = expected_path(recorded, clock.per_step)
        self._recorded = np.isfinite(line)
        log = np.log(np.maximum(line, FLOOR)) - self._variance / 2
        last = np.maximum.accumulate(np.where(self._recorded, np.arange(log.shape[1]), 0), axis=1)
        self._log = np.nan_to_num(np.take_along_axis(log, last, axis=1), nan=math.log(FLOOR))
        self._last = np.full(scene.network.n_cells, np.nan, np.float32)
        self._per_tick, self._ticks, self._tick = clock.per_tick, settings.horizon_ticks, 0

    def observe(self, offered: NDArray[np.float32], slot: int) -> None:
        """Take in the samples of the tick that ended."""
        super().observe(offered, slot)
        self._last = offered[:, -1]

    def forecast(self, slot: int, course: Course | None = None) -> Forecast:  # noqa: ARG002 - it knows better
        """The expected path of the coming ticks, and the noise as far as the last sample shows it."""
        begin = self._tick * self._per_tick
        self._tick += 1
        noise, seen = self._noise(begin)
        n, end = len(noise), self._log.shape[1]
        median, sd = np.empty((n, self._ticks)), np.empty((n, self._ticks))
        for h in range(self._ticks):
            first = min(begin + h * self._per_tick, end - 1)
            part = self._log[:, first : first + self._per_tick]
            kept = self._persistence ** (h * self._per_tick + 0.5 * (self._per_tick + 1))
            median[:, h] = part.mean(1) + kept * noise
            open_variance = self._variance * np.where(seen, 1 - kept * kept, 1)
            sd[:, h] = np.sqrt(part.var(1) + open_variance)
        known = self._recorded[:, min(begin, end - 1)]
        return Forecast(median, np.maximum(sd, LEAST_SD), known, self._now_at(begin, noise, seen))

    def _noise(self, begin: int) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Noise of the last sample before ``begin``, 0 where it was not measured, and whether it was. (n,)"""
        seen = np.isfinite(self._last) & (self._last > 0)
        with np.errstate(invalid="ignore", divide="ignore"):
            noise = np.log(self._last) - self._log[:, max(begin - 1, 0)]
        return np.where(seen, noise, 0.0), seen

    def _now_at(self, begin: int, noise: NDArray[np.float64], seen: NDArray[np.bool_]) -> Now:
        """Where the cells stand, for the guard loop. The expected path is followed on a straight line."""
        n, end = self._log.shape
        level = self._log[:, max(begin - 1, 0)]
        until = min(begin + self._per_tick, end) - 1
        slope = (self._log[:, until] - level) / max(until - begin + 1, 1)
        sure = np.full(n, SURE)
        return Now(
            level.copy(),
            noise.copy(),
            sure.copy(),
            np.zeros(n),
            np.where(seen, 0.0, self._variance),
            slope,
            sure,
            np.full(n, self._variance),
            self._persistence,
        )
