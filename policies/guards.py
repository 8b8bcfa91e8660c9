"""Limits that are checked last. A guard may only move a cell toward awake, and never delays a wake-up."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hw.world import SYMBOL
from policies.network import Network
from policies.policy import Decision, Reason
from policies.profile import GuardProfile


class Guards:
    """Allowed levels, fresh telemetry, the daily budget of changes, and somebody on air for every cell off air."""

    def __init__(self, network: Network, asleep: NDArray[np.bool_], settings: GuardProfile) -> None:
        """Guards of one network; ``asleep`` (L,) marks the levels off air."""
        self._network, self._asleep, self._settings = network, asleep, settings
        self._source = np.repeat(np.arange(network.n_cells), np.diff(network.groups.candidate_start))
        self._group_of = np.empty(network.n_cells, np.intp)
        sizes = np.diff(network.groups.group_start)
        self._group_of[network.groups.member] = np.repeat(np.arange(network.n_groups), sizes)
        self._changes = np.zeros(network.n_cells, np.int64)
        self._day = -1

    def apply(
        self,
        decision: Decision,
        level: NDArray[np.uint8],
        fresh: NDArray[np.bool_],
        overloaded: NDArray[np.bool_],
        day: int,
    ) -> Decision:
        """The decision, moved toward awake where a limit says so.

        Parameters
        ----------
        level : level in use. (n,)
        fresh : True where the last tick was measured; a whole group is awake as soon as one of its cells is not. (n,)
        overloaded : True where a cell ran at the limit of its level, so that nobody knows what was offered; its
            whole group is awake for the next tick. (n,)
        day : number of the local day; the budget of changes begins anew with it.
        """
        if day != self._day:
            self._day = day
            self._changes[:] = 0
        wanted, reason = decision.level.copy(), decision.reason.copy()

        def wake(cells: NDArray[np.bool_], why: Reason) -> None:
            wanted[cells] = SYMBOL
            reason[cells] = why

        wake(~self._network.allowed[np.arange(len(wanted)), wanted], Reason.GUARD_LEVEL)
        wake(self._anywhere_in_group(overloaded) & (wanted > SYMBOL), Reason.GUARD_OVERLOAD)
        wake(self._anywhere_in_group(~fresh) & (wanted > SYMBOL), Reason.GUARD_TELEMETRY)
        # going deeper must leave one change of the day for the way back
        spent = self._changes + 2 > self._settings.max_changes_per_cell_day
        deeper = wanted > np.maximum(level, SYMBOL)
        held = spent & deeper
        wanted[held], reason[held] = level[held], Reason.GUARD_BUDGET
        # a joint plan is all or none: where one cell may not go deeper, its partners do not either
        partner = self._anywhere_in_group(held) & ~held & deeper
        wanted[partner], reason[partner] = level[partner], Reason.GUARD_BUDGET
        wake(self._uncovered(wanted), Reason.GUARD_UNCOVERED)
        wake(self._network.legs_above(wanted, self._asleep), Reason.GUARD_ANCHOR)
        self._changes += (wanted != level) & (np.maximum(wanted, level) > SYMBOL)
        return Decision(wanted, reason, decision.risk)

    def _uncovered(self, level: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """True for cells off air of which no candidate is on air. (n,)"""
        off = self._asleep[level]
        on_air = np.bincount(self._source, ~off[self._network.groups.candidate], self._network.n_cells)
        return np.asarray(off & (on_air == 0))

    def _anywhere_in_group(self, cells: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """True for every cell of a group in which ``cells`` holds somewhere. (n,)"""
        return np.asarray((np.bincount(self._group_of, cells, self._network.n_groups) > 0)[self._group_of])
