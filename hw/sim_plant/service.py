"""What users get and what radios draw, as the counters of the simulated plant show it sample by sample."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hw.ports import Float32, Floats, Int64
from hw.tables import Tables

# what counters can tell apart; powers of two, so that a journal of them packs well
STEP_MBIT_S = 1 / 16
STEP_WH = 1 / 64
US_PER_H = 3.6e9


class UserService:
    """Throughput of users of n cells, weighted by the traffic that they get, span by span."""

    def __init__(self, tables: Tables, model: NDArray[np.int32]) -> None:
        n = len(model)
        self._tables, self._model = tables, model
        self._traffic, self._weighted = np.zeros(n), np.zeros(n)

    def add(
        self, cell: NDArray[np.int32], serving: Int64, offered: Float32, carried: Float32, share: Floats
    ) -> None:
        """Add a span of the running sample at different cells (k,), with the level that serves in each.

        Users share what a level leaves free; one that cannot carry what a cell is offered itself leaves nothing.
        ``offered`` and ``carried`` are ratios of the full rate, ``share`` is the length of the span in samples.
        """
        tables, model = self._tables, self._model[cell]
        free = np.maximum(tables.rate[model, serving].astype(np.float64) - carried, 0.0)
        free[offered > tables.capacity[model, serving]] = 0.0
        traffic = share * np.nan_to_num(carried)
        self._traffic[cell] += traffic
        self._weighted[cell] += traffic * tables.full_rate * tables.size[model] * np.nan_to_num(free)

    def end_sample(self, slower: Floats) -> Floats:
        """The running sample is over; users were ``slower`` (n,) by a share. NaN: nobody was served. (n,) [Mbit/s]"""
        served = self._traffic > 0
        mean = np.divide(self._weighted, self._traffic, where=served, out=np.full(len(served), np.nan))
        self._traffic, self._weighted = np.zeros_like(mean), np.zeros_like(mean)
        return counted((1 - slower) * mean, STEP_MBIT_S)


def counted(values: Floats, step: float) -> Floats:
    """What a counter with such steps shows. Shape of ``values``."""
    return np.asarray(np.round(values / step) * step)


def energy_wh(power_w: Floats, sample_us: int) -> Floats:
    """What a meter shows for a sample. (n,)"""
    return counted(power_w * (sample_us / US_PER_H), STEP_WH)
