"""The coming tick in parts: what the filter knows of the next minutes has faded at its end.

Later ticks are all alike in this: their noise is forgotten.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from policies.forecast import Forecast

PARTS = 3
LEAST_VARIANCE = 1e-4


def parts_of(forecast: Forecast, samples_per_tick: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Median and standard deviation of the log load in the middle of each part of the coming tick. (n, PARTS) each.

    Where the filter is not known the tick has one part only. (n, 1)
    """
    now = forecast.now
    if now is None:
        return forecast.log_median[:, :1].copy(), forecast.log_sd[:, :1].copy()

    def of_noise(ahead: float | NDArray[np.float64]) -> NDArray[np.float64]:
        kept = now.persistence ** np.asarray(ahead)
        return np.asarray(
            2 * kept * now.covariance[:, None]
            + kept**2 * now.var_noise[:, None]
            + now.noise_variance[:, None] * (1 - kept**2)
        )

    middle = 0.5 * (samples_per_tick + 1)
    at = (np.arange(PARTS) + 0.5) * samples_per_tick / PARTS + 0.5
    fades = now.persistence**at - now.persistence**middle
    median = forecast.log_median[:, :1] + fades * now.noise[:, None] + (at - middle) * now.slope[:, None]
    variance = forecast.log_sd[:, :1] ** 2 - of_noise(middle) + of_noise(at)
    variance += (at - middle) * now.drift[:, None]
    return median, np.sqrt(np.maximum(variance, LEAST_VARIANCE))
