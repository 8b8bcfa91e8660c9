"""Energy that cells draw, by level, beside what they would have drawn without any saving."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hw.ports import Floats, Int64
from hw.sim_plant.draw import draw_cells
from hw.tables import Tables
from hw.world import FULL, SYMBOL


@dataclass(frozen=True, slots=True)
class RadioEnergy:
    """Energy since the start, of recorded traffic alone. n cells, L levels. [power_unit x samples]"""

    by_level: Floats  # (n, L) at the commanded level, waking included
    none: Floats  # (n,) had every cell been at ``full`` all the time, with its own traffic

    @property
    def saved_ratio(self) -> float:
        """Energy saved against ``none``. [ratio]"""
        none = float(self.none.sum())
        return 1 - float(self.by_level.sum()) / none if none > 0 else 0.0


class EnergyBook:
    """Adds up energy span by span."""

    def __init__(self, tables: Tables, model: NDArray[np.int32]) -> None:
        n = len(model)
        self._tables, self._model = tables, model
        self._by_level = np.zeros((n, len(tables.asleep)))
        self._none = np.zeros(n)
        self._last_level = np.full(n, SYMBOL)
        self._of_sample = np.zeros((2, n))  # drawn, and at full service
        self._known = np.zeros(n, np.bool_)
        self.last_power = np.full(n, np.nan)  # mean of the last sample (n,)
        self.last_full_service_power = np.full(n, np.nan)  # the same, had every cell been at full service

    def energy(self) -> RadioEnergy:
        """What was drawn so far."""
        return RadioEnergy(self._by_level.copy(), self._none.copy())

    def add(
        self,
        cell: NDArray[np.int32],
        level: Int64,
        own: NDArray[np.float32],
        asked: NDArray[np.float32],
        ul_per_dl: NDArray[np.float32],
        share: Floats,
    ) -> None:
        """Add a span of the running sample at recorded cells (k,).

        ``own`` is the traffic that a cell is offered itself, ``asked`` that with what others hand over, ``share`` the
        length of the span over that of a sample.
        """
        used = share * self._drawn(cell, level, asked, ul_per_dl)
        at_full_service = share * self._drawn(cell, np.full(len(cell), SYMBOL), own, ul_per_dl)
        self._none[cell] += share * self._drawn(cell, np.full(len(cell), FULL), own, ul_per_dl)
        last, asleep = self._last_level[cell], self._tables.asleep
        waking = self._tables.wake_energy[self._model[cell], last] * (asleep[last] > asleep[level])
        self._last_level[cell] = level
        self._by_level[cell, level] += used + waking
        self._of_sample[0, cell] += used + waking
        self._of_sample[1, cell] += at_full_service
        self._known[cell] = True

    def end_sample(self) -> None:
        """The running sample is over."""
        self.last_power, self.last_full_service_power = np.where(self._known, self._of_sample, np.nan)
        self._of_sample = np.zeros_like(self._of_sample)
        self._known[:] = False

    def _drawn(
        self,
        cell: NDArray[np.int32],
        level: Int64,
        offered: NDArray[np.float32],
        ul_per_dl: NDArray[np.float32],
    ) -> Floats:
        found = np.empty(len(cell))
        draw_cells(self._tables, self._model[cell], level, offered, ul_per_dl, found)
        return found
