"""What a planner is told about the future."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri


@dataclass(frozen=True, slots=True)
class Forecast:
    """Log-normal forecast of the offered load of the samples in each coming tick. n cells, H ticks."""

    log_median: NDArray[np.float64]  # (n, H) log of the median [log ratio]
    log_sd: NDArray[np.float64]  # (n, H)
    known: NDArray[np.bool_]  # (n,) False for cells that were never measured

    def quantile(self, probability: float) -> NDArray[np.float32]:
        """Offered load not exceeded with ``probability``, NaN where nothing is known. (n, H) [ratio]"""
        value = np.exp(self.log_median + float(ndtri(probability)) * self.log_sd)
        return np.where(self.known[:, None], np.minimum(value, 1.0), np.nan).astype(np.float32)
