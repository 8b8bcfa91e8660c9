"""What energy costs, or emits, where each cell stands: for a radio plan that sleeps deeper where that is much.

sites file -> controller/site/sleep_price.py -> EnergyPrices -> View.energy_price of each tick
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

# price of energy in the tick that begins at a moment (UTC), in any unit. (n,)
PriceAt = Callable[[np.datetime64], NDArray[np.float64]]


@dataclass(frozen=True, slots=True, eq=False)
class EnergyPrices:
    """Prices of every tick, by kind of place. n cells, K kinds, T ticks. It is a ``PriceAt``."""

    start: np.datetime64  # UTC
    tick_s: int
    price: NDArray[np.float64]  # (K, T) as known at the begin of each tick, in any unit
    kind: NDArray[np.intp]  # (n,)

    @classmethod
    def everywhere(
        cls, start: np.datetime64, tick_s: int, price: NDArray[np.float64], n_cells: int
    ) -> EnergyPrices:
        """The same ``price`` (T,) at all cells."""
        return cls(start, tick_s, price[None], np.zeros(n_cells, np.intp))

    def select(self, index: NDArray[np.intp]) -> EnergyPrices:
        """The same for the cells at ``index``."""
        return replace(self, kind=self.kind[index])

    def __call__(self, now: np.datetime64) -> NDArray[np.float64]:
        """Price in the tick that begins ``now`` (UTC). (n,)"""
        tick = int((now - self.start) // np.timedelta64(self.tick_s, "s"))
        return np.asarray(self.price[self.kind, tick])
