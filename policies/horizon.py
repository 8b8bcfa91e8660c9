"""The ticks of a horizon as planners price them: near ones one by one, later ones a few at a time."""

from __future__ import annotations

import numpy as np
from numba import njit

NEAR, FAR = 8, 4  # ticks priced one by one, and how many later ones are priced together


@njit(cache=True)
def priced_ticks(horizon):  # type: ignore[no-untyped-def]
    """Ticks to price, and how many each stands for. A level is kept through the ticks that are priced together."""
    near = min(horizon, NEAR)
    count = near + -(-(horizon - near) // FAR)
    at, weight = np.arange(count), np.ones(count)
    for k in range(near, count):
        first = near + (k - near) * FAR
        last = min(first + FAR, horizon)
        at[k], weight[k] = (first + last - 1) // 2, last - first
    return at, weight
