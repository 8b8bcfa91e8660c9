"""How dear energy is now, against what traffic has met so far: sleep is bolder where it saves more.

A planner weighs power against traffic that may miss its target. Where a unit of energy costs twice its usual price the
same risk buys twice as much, so it is worth taking there, and not where energy is cheap. Over traffic the ratio is 1 in
the mean.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from policies.policy import View

MOST = 4.0  # ratio and its inverse beyond which an hour is not told apart
MEMORY_S = 7 * 86400  # a price of so long ago counts 1/e
UNJUDGED_S = 86400  # a whole day is seen before any hour is called dear


class PriceRatio:
    """Keeps the mean price of energy over each cell's traffic of the days before."""

    def __init__(self) -> None:
        self._traffic: NDArray[np.float64] | float = 0.0  # (n,)
        self._paid: NDArray[np.float64] | float = 0.0  # (n,) for it, at a unit of energy each
        self._seen_s = 0
        self._last: NDArray[np.float64] | None = None  # price of the tick that ends next

    def ratio(self, view: View) -> NDArray[np.float64]:
        """Price of the coming tick over the mean, between 1/MOST and MOST; 1 until a day was seen. (n,)"""
        if self._last is not None:
            offered = np.nansum(view.offered, 1, dtype=np.float64)
            kept = math.exp(-view.tick_s / MEMORY_S)
            self._traffic = kept * self._traffic + offered
            self._paid = kept * self._paid + offered * self._last
            self._seen_s += view.tick_s
        self._last = view.energy_price
        ratio = np.ones(len(view.level))
        if view.energy_price is None or self._seen_s < UNJUDGED_S:
            return ratio
        is_known = np.asarray(self._paid) > 0
        np.divide(view.energy_price * self._traffic, self._paid, out=ratio, where=is_known)
        return np.clip(ratio, 1 / MOST, MOST)
