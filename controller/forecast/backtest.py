"""What a forecaster would have said at every step of a trace, made by running it through the trace."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from controller.forecast.metadata import QUANTILES
from controller.forecast.model_file import LoadedModel
from controller.forecast.runtime import StepForecaster
from traces import Trace

EVERY = 16  # steps between two reports of progress


@dataclass(frozen=True, slots=True)
class Backtest:
    """Forecasts made at O origins for K horizons. The forecast of origin o and horizon h is of step o + h - 1."""

    origin: NDArray[np.int64]  # (O,) number of observed steps
    horizons: tuple[int, ...]
    quantile: NDArray[np.float32]  # (n, O, K, Q) [ratio]

    def truth(self, load: NDArray[np.float32]) -> NDArray[np.float32]:
        """What came of ``load`` (n, T), NaN where not recorded or after its end. (n, O, K) [ratio]"""
        step = self.origin[:, None] + np.asarray(self.horizons) - 1
        inside = step < load.shape[1]
        found = load[:, np.minimum(step, load.shape[1] - 1)]
        return np.where(inside, found, np.float32(np.nan))


def quiet(share: float) -> None:
    """Progress that nobody watches."""
    del share


def backtest(
    model: LoadedModel | None,
    trace: Trace,
    *,
    horizons: Sequence[int],
    first_origin: int,
    last_origin: int | None = None,
    progress: Callable[[float], None] = quiet,
) -> Backtest:
    """Walk through the trace and keep the forecasts of the origins from ``first_origin`` to ``last_origin``.

    The calibration needs a forecast at every step, so all are made from two days before the first origin on.
    """
    last = trace.n_steps if last_origin is None else last_origin
    forecaster = StepForecaster(trace.cells.site_numbers(), trace.step_s, trace.time_zone, model)
    begin = max(first_origin - 2 * forecaster.memory.per_day, 1)
    origin = np.arange(first_origin, last + 1)
    quantile = np.full((trace.n_cells, len(origin), len(horizons), len(QUANTILES)), np.nan, np.float32)
    times = trace.times()
    at = [h - 1 for h in horizons]
    for step in range(last):
        forecaster.observe(trace.dl_prb_ratio[:, step], times[step])
        if step + 1 >= begin:
            made = forecaster.forecast()
            if step + 1 >= first_origin:
                quantile[:, step + 1 - first_origin] = made.quantile[:, at]
        if step % EVERY == 0:
            progress(step / last)
    return Backtest(origin, tuple(horizons), quantile)
