"""Between ticks of samples and a forecaster of steps: where each cell's level is expected in the coming ticks.

::

    samples of each tick -> whole steps of the model -> quantiles of the coming steps -> course of the coming ticks

Steps lie at UTC multiples of their length. In the log, the level runs straight from the middle of one step to that of
the next: from the mean of the last measured step through the medians of those that follow. How far it may be off is
known as well: not at all in the middle of the last step, by the model's spread in the middles of the others, and in
neighbouring steps partly alike. So what the level is off now tells something about the coming ticks.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from controller.errors import ModelError
from controller.forecast.layout import DAY_S
from controller.forecast.metadata import QUANTILES
from controller.forecast.runtime import Source, StepForecast
from controller.forecast.samples import Course
from policies.kalman import FLOOR

Float64 = NDArray[np.float64]

LEAST_MEASURED = 0.5  # of a step's samples, for the step to count as measured
LARGEST_MOVE = 0.7  # of the log level within one tick
FOLLOWED = 0.5  # of the movement within a tick; the filter sees the rest in the samples
ALIKE = 0.4  # correlation of the errors of neighbouring steps
LEAST_SPREAD = 0.05  # of the log mean of a coming step
MEDIAN = QUANTILES.index(0.5)
UPPER = {
    QUANTILES.index(0.95): 1.645,
    QUANTILES.index(0.99): 2.326,
}  # in standard deviations above the median
LONGEST_USE = np.timedelta64(366, "D")  # after its training: what a year has changed the model has never seen


class StepSource(Protocol):
    """A forecaster of steps, as an outlook needs it; see StepForecaster."""

    def observe(self, load: NDArray[np.float32], begin: np.datetime64) -> None:
        """Take in the loads (n,) of the step that began at ``begin`` and has ended, NaN unknown. [ratio]"""
        ...

    def forecast(self) -> StepForecast:
        """Quantiles of the steps that follow the last observed one."""
        ...


def check_step(step_s: int, tick_s: int, source: str) -> None:
    """Raise ModelError where steps of the model of file ``source`` are no whole number of planning ticks."""
    if step_s < tick_s or step_s % tick_s or DAY_S % step_s:
        raise ModelError(
            f"{source}: it forecasts steps of {step_s} s, which do not fit planning ticks of {tick_s} s: a step must "
            "be a whole number of ticks and divide a day; train a model on a trace with such steps, or go without"
        )


class Outlook:
    """Gathers samples into steps and says where the level goes. Call ``observe`` and then ``course`` in each tick."""

    def __init__(
        self,
        steps: StepSource,
        n_cells: int,
        *,
        step_s: int,
        sample_s: int,
        tick_s: int,
        horizon_ticks: int,
        trained_until: np.datetime64,
    ) -> None:
        """``trained_until``: UTC; before it the forecaster is fed but not asked, as long after as is sensible."""
        self._steps, self._step_s, self._sample_s, self._tick_s = steps, step_s, sample_s, tick_s
        self._per_step = max(1, step_s // sample_s)
        self._use_from, self._use_until = _seconds(trained_until), _seconds(trained_until + LONGEST_USE)
        middles = tick_s * (np.arange(horizon_ticks) + 0.5)
        self._at = np.concatenate(
            [[0.0], middles, [tick_s]]
        )  # now, middles of the coming ticks, end of the first [s]
        self._n_steps = 2 + int(self._at.max()) // step_s  # that these can reach
        self._sum, self._count = np.zeros(n_cells), np.zeros(n_cells, np.int64)
        self._step: int | None = None  # the one being gathered, in steps since 1970
        self._last = np.full(n_cells, np.nan)  # mean of the step before it
        self._coming: StepForecast | None = None
        self.model_cell_ticks = 0  # in which a model guided a cell

    def observe(self, offered: NDArray[np.float32], begin: np.datetime64) -> None:
        """Take in the samples of the tick that began at ``begin``. ``offered`` (n, samples) NaN unknown [ratio]."""
        step = (_seconds(begin) + self._sample_s * np.arange(offered.shape[1])) // self._step_s
        for one in np.unique(step):
            self._reach(int(one))
            if one != self._step:
                continue  # a clock that was set back: that step is closed
            part = offered[:, step == one]
            self._sum += np.nansum(part, axis=1, dtype=np.float64)
            self._count += np.isfinite(part).sum(1)

    def course(self, now: np.datetime64) -> Course | None:
        """Where the level goes from ``now`` (UTC) on, None where no cell is guided."""
        moment = _seconds(now)
        self._reach(moment // self._step_s)
        if self._coming is None or not self._use_from <= moment < self._use_until:
            return None
        level, spread = self._knots(self._coming)
        guided = (self._coming.source != Source.NONE) & np.isfinite(level).all(1) & np.isfinite(spread).all(1)
        if not guided.any():
            return None
        by_model = guided & (self._coming.source != Source.SEASONAL)
        self.model_cell_ticks += int(by_model.sum())
        level[~guided], spread[~guided] = 0.0, 0.0
        since = moment - _seconds(self._coming.begin)
        weight = _weights((since + self._at) / self._step_s + 0.5, level.shape[1])
        return self._between(level @ weight.T, spread, weight, guided)

    def _between(self, level: Float64, spread: Float64, weight: Float64, guided: NDArray[np.bool_]) -> Course:
        """The course from levels (n, P) at the times of ``_at`` and the spread (n, K) at the K knots."""
        moves = np.clip(np.diff(level[:, :-1], axis=1), -LARGEST_MOVE, LARGEST_MOVE)
        within = np.clip(level[:, -1] - level[:, 0], -LARGEST_MOVE, LARGEST_MOVE)
        knot = np.arange(spread.shape[1])
        alike = ALIKE ** np.abs(knot[:, None] - knot)
        off = spread[:, None, :] * weight[:-1]  # (n, P, K) what the error at each knot adds at each time
        var = np.einsum("npk,kl,npl->np", off, alike, off)
        shared = np.einsum("nk,kl,npl->np", off[:, 0], alike, off[:, 1:])
        slope = FOLLOWED * within * self._sample_s / self._tick_s
        ahead = level[:, :1] + np.cumsum(moves, axis=1)
        return Course(guided, slope, level[:, 0].copy(), ahead, var[:, 0].copy(), var[:, 1:], shared)

    def _reach(self, step: int) -> None:
        """Close all steps before ``step``; of those that a leap of the clock leaves out only the last."""
        if self._step is None:
            self._step = step
        if step <= self._step:
            return
        self._close(self._step)
        if step > self._step + 1:
            self._close(step - 1)
        self._step = step

    def _close(self, step: int) -> None:
        """Hand a finished step to the forecaster and ask for those that follow."""
        measured = self._count >= LEAST_MEASURED * self._per_step
        self._last = np.where(measured, self._sum / np.maximum(self._count, 1), np.nan)
        self._sum[:], self._count[:] = 0.0, 0
        begin = step * self._step_s
        self._steps.observe(self._last.astype(np.float32), np.datetime64(begin, "s"))
        if self._use_from <= begin + self._step_s < self._use_until:
            self._coming = self._steps.forecast()

    def _knots(self, coming: StepForecast) -> tuple[Float64, Float64]:
        """Log level and its standard deviation in the middles of the last and the coming steps. (n, K) each"""
        quantile = coming.quantile[:, : self._n_steps].astype(np.float64)
        with np.errstate(invalid="ignore"):
            log = np.log(np.maximum(quantile, FLOOR))
            median, spread = log[:, :, MEDIAN], np.full(log.shape[:2], LEAST_SPREAD)
            for q, deviations in UPPER.items():
                spread = np.maximum(spread, (log[:, :, q] - median) / deviations)
            last = np.log(np.maximum(self._last, FLOOR))
        unknown = np.isnan(last)
        first = np.where(unknown, median[:, 0], last)
        return np.column_stack([first, median]), np.column_stack(
            [np.where(unknown, spread[:, 0], 0.0), spread]
        )


def _weights(at: Float64, n_knots: int) -> Float64:
    """Shares of the knots in points ``at`` between them, counted in knots; flat after the last. (P, K)"""
    at = np.clip(at, 0, n_knots - 1)
    return np.asarray(np.maximum(0, 1 - np.abs(at[:, None] - np.arange(n_knots))))


def _seconds(moment: np.datetime64) -> int:
    return int(moment.astype("datetime64[s]").astype(np.int64))
