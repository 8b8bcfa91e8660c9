"""What each cell has missed so far, and how much dearer that makes its risk.

Missed is traffic offered while the level in use could not serve it on target. A cell whose allowance is nearly used up
pays more for further risk, without limit. With the guard loop prices are bold, so one that takes more than its part of
what the whole network may miss pays more too, once it was seen for some days.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hw.tables import Tables
from policies.network import Network
from policies.policy import Allowance, View

LEAST_LEFT = 0.02  # share of the allowance that is counted on at least
AT_LIMIT = 0.999  # of the limit; what is reported as carried never exceeds a level's capacity
UNJUDGED_DAYS = 4.0  # which count half in what a cell took of the network's allowance
FAIR_SHARE = 0.8  # of the network's allowance, up to which a cell may take without paying more
STEEPNESS = 4  # power of what it takes above that
TINY = 1e-30


class Shortfall:
    """Counts the traffic of each cell, and how much of it missed its target. n cells."""

    def __init__(self, network: Network, tables: Tables, limit: NDArray[np.float32]) -> None:
        """``limit`` (M, L) largest load on target, see ``policies.expected.target_load``."""
        n = network.n_cells
        self._asleep, self._size = tables.asleep, tables.size
        self._awake = (1 - tables.target / (tables.full_rate * tables.size))[network.groups.model]
        self._group_of = network.group_of
        self._model, self._limit = network.groups.model, limit
        self._offered = np.zeros(n)  # traffic so far [full-rate samples]
        self._missed = np.zeros(n)  # of it, what missed its target
        self._ticks = np.zeros(n)

    def learn(self, view: View) -> None:
        """Take in the tick that ended."""
        offered = np.nan_to_num(view.offered)
        self._ticks += np.isfinite(view.offered).any(1)
        self._offered += offered.sum(1)
        missed = offered >= self._reach(view.level, offered)
        if view.served is not None:  # a cell that was woken serves what it is offered by itself
            alone = np.maximum(self._limit[self._model[:, None], view.served], TINY) * AT_LIMIT
            missed = np.where(view.served < view.level[:, None], offered >= alone, missed)
        self._missed += np.where(missed, offered, 0).sum(1)

    def _reach(self, level: NDArray[np.uint8], offered: NDArray[np.float32]) -> NDArray[np.float64]:
        """Load from which traffic of a cell misses its target. (n, samples)"""
        alone = np.maximum(self._limit[self._model, level], TINY)[:, None] * AT_LIMIT
        off = self._asleep[level]
        if not off.any():
            return alone
        # while some cells of a group are off air all share its room: none misses until that is used up
        size = self._size[self._model]
        room = np.bincount(
            self._group_of, np.where(off, 0, np.minimum(self._limit[self._model, level], self._awake) * size)
        )
        carried = np.zeros((len(room), offered.shape[1]))
        np.add.at(carried, self._group_of, offered * size[:, None])
        full = (carried >= AT_LIMIT * room[:, None])[self._group_of]
        shared = (np.bincount(self._group_of, off) > 0)[self._group_of]
        return np.where(shared[:, None], np.where(full, 0.0, np.inf), alone)

    def days(self, tick_s: int) -> NDArray[np.float64]:
        """How long each cell has been measured. (n,)"""
        return np.asarray(self._ticks * tick_s / 86400)

    def factor(self, allowance: Allowance) -> NDArray[np.float64]:
        """Factor on the risk price, by the part of a cell's own allowance that is left. (n,)"""
        left = np.maximum(1 - self._share() / allowance.of_cell, LEAST_LEFT)
        return np.asarray(left**-2)

    def unfair(self, allowance: Allowance, tick_s: int) -> NDArray[np.float64]:
        """Factor on the risk price of cells that take more than their part of the network's allowance. (n,)"""
        days = self.days(tick_s)
        taken = self._share() / allowance.of_all * days / (days + UNJUDGED_DAYS)
        return np.asarray(np.maximum(taken / FAIR_SHARE, 1) ** STEEPNESS)

    def _share(self) -> NDArray[np.float64]:
        """Missed of all traffic so far. (n,)"""
        return np.asarray(self._missed / np.maximum(self._offered, 1e-9))
