"""What a planner is told about the future."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri


class Now(NamedTuple):
    """Where each cell stands and how it moves: log load = level + noise, as the guard loop follows it. n cells."""

    level: NDArray[np.float64]  # (n,) mean of the slow part
    noise: NDArray[np.float64]  # (n,) mean of the part that forgets within minutes
    var_level: NDArray[np.float64]  # (n,)
    covariance: NDArray[np.float64]  # (n,)
    var_noise: NDArray[np.float64]  # (n,)
    slope: NDArray[np.float64]  # (n,) movement of the level per sample
    drift: NDArray[np.float64]  # (n,) variance that the level gains per sample
    noise_variance: NDArray[np.float64]  # (n,) stationary variance of the noise
    persistence: float  # of the noise from sample to sample

    def next_sd(self) -> NDArray[np.float64]:
        """Standard deviation of the log load of the coming sample. (n,)"""
        p = self.persistence
        noise = self.var_noise * p**2 + self.noise_variance * (1 - p**2)
        return np.asarray(np.sqrt(self.var_level + self.drift + 2 * p * self.covariance + noise))


@dataclass(frozen=True, slots=True)
class Forecast:
    """Log-normal forecast of the offered load of the samples in each coming tick. n cells, H ticks."""

    log_median: NDArray[np.float64]  # (n, H) log of the median [log ratio]
    log_sd: NDArray[np.float64]  # (n, H)
    known: NDArray[np.bool_]  # (n,) False for cells that were never measured
    now: Now | None = None  # for the guard loop, where the forecaster knows it

    def quantile(self, probability: float) -> NDArray[np.float32]:
        """Offered load not exceeded with ``probability``, NaN where nothing is known. (n, H) [ratio]"""
        value = np.exp(self.log_median + float(ndtri(probability)) * self.log_sd)
        return np.where(self.known[:, None], np.minimum(value, 1.0), np.nan).astype(np.float32)
