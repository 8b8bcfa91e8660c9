"""What is remembered of each cell: seven days of history, its daily and weekly profile.

``FeatureState`` is fed step by step. All arrays are per cell, updated in place by one kernel; nothing is recomputed
from the past. A step is a slot of the local day and of the local week.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from controller.forecast.layout import LIMIT, N_DAYS, OFFSET

WEEK_MEMORY = 5.0  # weeks behind the mean of a slot of the week


class FeatureState(NamedTuple):
    """History of n cells. R = N_DAYS x S steps, S steps a day."""

    history: NDArray[np.float32]  # (n, R) u = log(load + OFFSET) of the last R steps, a ring; NaN missing
    profile: NDArray[np.float32]  # (n, S) median of u over the days, NaN unknown
    mean: NDArray[np.float32]  # (n, S) mean of the same
    spread: NDArray[np.float32]  # (n, S) mean absolute deviation from the profile
    week: NDArray[np.float32]  # (n, 7 S) mean of u by slot of the week, older weeks fading; NaN unknown
    weeks: NDArray[np.uint8]  # (n, 7 S) weeks behind it
    slots_known: NDArray[np.int32]  # (n,) slots of the day with a profile
    total: NDArray[np.float64]  # (n,) sum of u over the ring
    n_values: NDArray[np.int32]  # (n,) values in the ring
    age: NDArray[np.int32]  # (n,) steps since the last value; R where there is none


def new_state(n_cells: int, per_day: int) -> FeatureState:
    """The state of cells of which nothing is known."""
    ring = N_DAYS * per_day

    def unknown(columns: int) -> NDArray[np.float32]:
        return np.full((n_cells, columns), np.nan, np.float32)

    return FeatureState(
        history=unknown(ring),
        profile=unknown(per_day),
        mean=unknown(per_day),
        spread=np.zeros((n_cells, per_day), np.float32),
        week=unknown(ring),
        weeks=np.zeros((n_cells, ring), np.uint8),
        slots_known=np.zeros(n_cells, np.int32),
        total=np.zeros(n_cells),
        n_values=np.zeros(n_cells, np.int32),
        age=np.full(n_cells, ring, np.int32),
    )


def observe(state: FeatureState, load: NDArray[np.float32], at: int, slot: int, week_slot: int) -> None:
    """Take in the loads (n,) of one step, NaN missing, into place ``at`` of the ring. [ratio]

    ``slot`` is the step's place in the local day, ``week_slot`` in the local week from Monday.
    """
    assert load.shape == state.age.shape
    _observe(state, load, at, slot, week_slot)


@njit(cache=True)
def _observe_cell(state, i, load, at, slot, week_slot, days):  # type: ignore[no-untyped-def]
    """One value of one cell. ``days`` is scratch of N_DAYS values."""
    ring, per_day = state.history.shape[1], state.profile.shape[1]
    old = state.history[i, at]
    if not np.isnan(old):
        state.total[i] -= old
        state.n_values[i] -= 1
    u = np.float32(np.log(load + OFFSET))
    state.history[i, at] = u
    if np.isnan(u):
        state.age[i] = min(state.age[i] + 1, ring)
        return
    state.age[i] = 0
    state.total[i] += u
    state.n_values[i] += 1
    weeks = min(state.weeks[i, week_slot] + 1.0, WEEK_MEMORY)
    before = u if state.weeks[i, week_slot] == 0 else state.week[i, week_slot]
    state.week[i, week_slot] = before + (u - before) / weeks
    state.weeks[i, week_slot] = weeks
    n = 0
    for day in range(N_DAYS):
        value = state.history[i, (at - day * per_day) % ring]
        if not np.isnan(value):
            days[n] = value
            n += 1
    if np.isnan(state.profile[i, slot]):
        state.slots_known[i] += 1
    days[:n].sort()
    middle = 0.5 * (days[(n - 1) // 2] + days[n // 2])
    state.profile[i, slot] = middle
    state.mean[i, slot] = days[:n].mean()
    deviation = 0.0
    for k in range(n):
        deviation += min(abs(days[k] - middle), LIMIT)
    # a single day says nothing about the spread, two say little
    state.spread[i, slot] = deviation / max(n - 1, 1)


@njit(cache=True)
def _observe(state, load, at, slot, week_slot):  # type: ignore[no-untyped-def]
    days = np.empty(N_DAYS, np.float32)
    for i in range(len(load)):
        _observe_cell(state, i, load[i], at, slot, week_slot, days)
