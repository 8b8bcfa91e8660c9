"""The seasonal profile as a forecast of its own: the baseline, and what is left when there is no model."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from controller.forecast.layout import OFFSET, ahead_columns, shared_column

# Quantiles of a residual in mean absolute deviations, somewhat heavier in the tail than a normal one. The online
# calibration corrects them.
PLACES = np.array([0.0, 1.05, 1.7, 2.3, 4.0], np.float32)
LEAST_DEVIATION = 0.1  # of the log load


def seasonal_quantiles(features: NDArray[np.float32], horizon_steps: int) -> NDArray[np.float32]:
    """Quantiles of the coming steps from the columns ``base`` and ``spread`` alone. (m, F) -> (m, H, Q) [ratio]"""
    base = features[:, list(ahead_columns("base", horizon_steps))]
    spread = features[:, list(ahead_columns("spread", horizon_steps))]
    general = features[:, shared_column("volatility_24h"), None]
    deviation = np.maximum(0.5 * (spread + general), LEAST_DEVIATION)
    u = base[:, :, None] + deviation[:, :, None] * PLACES
    return np.asarray(np.clip(np.exp(u) - np.float32(OFFSET), 0, 1), np.float32)
