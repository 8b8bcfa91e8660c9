"""What the guards remember between ticks, and the one place where it changes.

::

    open_tick    the new date, a clock that was set back, what was measured, levels that changed by themselves
    (the guards look at the state and change nothing)
    close_tick   the commanded changes, reversals and lock-outs, wishes
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from hw.world import SYMBOL
from policies.profile import GuardProfile

NEVER = -(2**60)  # longer ago than any time [s]


@dataclass(slots=True)
class GuardState:
    """What happened so far. n cells; times are UTC. Plain arrays and numbers, so that it can be kept over a restart."""

    turn: int  # ticks so far
    day: int  # local day that the changes are counted for
    now_s: int  # time of the last tick [s]
    level: NDArray[np.uint8]  # (n,) commanded last
    changes: NDArray[np.int64]  # (n,) changes of that day
    changed_s: NDArray[np.int64]  # (n,) time of the last change [s]
    woken_s: NDArray[np.int64]  # (n,) time of the last wake-up [s]
    heard_s: NDArray[np.int64]  # (n,) time of the last measurement [s]
    wished: NDArray[np.int64]  # (n,) ticks in a row in which the plan was deeper than the level
    direction: NDArray[np.int8]  # (n,) of the last change: 1 deeper, -1 toward awake, 0 none yet
    reversal_s: NDArray[np.int64]  # (n, max_reversals + 1) times of the last reversals, oldest first [s]
    locked_until_s: NDArray[np.int64]  # (n,) end of the lock-out [s]

    def open_tick(
        self,
        now_s: int,
        day: int,
        level: NDArray[np.uint8],
        fresh: NDArray[np.bool_],
        limits: GuardProfile,
    ) -> None:
        """Take in what is reported at the begin of a tick: ``level`` and ``fresh`` (n,)."""
        if day > self.day:
            self.changes[:] = 0
        if day > self.day or day < self.day - 1:  # a date that goes back a little gives nothing back
            self.day = day
        if self.turn == 0:  # nobody knows what was before
            self.changed_s[:], self.level = now_s, level.copy()
            self.woken_s[level <= SYMBOL] = now_s
        if now_s < self.now_s:
            self._set_back(now_s, limits)
        self.now_s = now_s
        self.heard_s[fresh] = now_s
        self._change(self.level, level)

    def close_tick(
        self,
        level: NDArray[np.uint8],
        commanded: NDArray[np.uint8],
        wished: NDArray[np.bool_],
        limits: GuardProfile,
    ) -> NDArray[np.bool_]:
        """Take in the changes from ``level`` to ``commanded`` (n,). Returns the cells whose lock-out begins. (n,)

        ``wished`` (n,) marks the cells that the caps let go deeper than ``level``.
        """
        commanded = np.maximum(commanded, SYMBOL).astype(np.uint8)
        self.changes += commanded != level
        self._change(level, commanded)
        self.wished = np.where(wished & (commanded <= level), self.wished + 1, 0)
        flaps = self.now_s - self.reversal_s[:, 0] < limits.reversal_window_s
        alarm = flaps & (self.locked_until_s <= self.now_s)
        self.locked_until_s[alarm] = self.now_s + limits.lockout_s
        self.reversal_s[self.locked_until_s > self.now_s] = NEVER  # counted anew once the lock-out is over
        self.level = commanded
        self.turn += 1
        return np.asarray(alarm)

    def _change(self, before: NDArray[np.uint8], after: NDArray[np.uint8]) -> None:
        """Note when levels changed, in which direction, and who turned back."""
        past = (self.direction, self.changed_s, self.woken_s, self.reversal_s)
        _note_changes(before, after, self.now_s, *past)

    def _set_back(self, now_s: int, limits: GuardProfile) -> None:
        """The clock was set back: what lies ahead now counts from now, so that nothing waits for ever."""
        for times in (self.changed_s, self.woken_s, self.heard_s, self.reversal_s):
            np.minimum(times, now_s, out=times)
        np.minimum(self.locked_until_s, now_s + limits.lockout_s, out=self.locked_until_s)


@njit(cache=True)
def _note_changes(before, after, now_s, direction, changed_s, woken_s, reversal_s):  # type: ignore[no-untyped-def]
    for i in range(len(before)):
        if before[i] == after[i]:
            continue
        way = 1 if after[i] > before[i] else -1
        if way == -direction[i]:
            reversal_s[i, :-1] = reversal_s[i, 1:]
            reversal_s[i, -1] = now_s
        direction[i] = way
        changed_s[i] = now_s
        if after[i] <= SYMBOL:
            woken_s[i] = now_s


def new_state(n_cells: int, limits: GuardProfile) -> GuardState:
    """The state of guards that have seen nothing yet. All cells are awake."""

    def at(time_s: int, *columns: int) -> NDArray[np.int64]:
        return np.full((n_cells, *columns), time_s, np.int64)

    return GuardState(
        turn=0,
        day=NEVER,
        now_s=NEVER,
        level=np.full(n_cells, SYMBOL, np.uint8),
        changes=at(0),
        changed_s=at(NEVER),
        woken_s=at(NEVER),
        heard_s=at(NEVER),
        wished=at(0),
        direction=np.zeros(n_cells, np.int8),
        reversal_s=at(NEVER, limits.max_reversals + 1),
        locked_until_s=at(NEVER),
    )
