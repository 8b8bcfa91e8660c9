"""Changes of a plan and wakes between plans, counted once more from the list of levels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hw.plant import CHANGES, N_COLUMNS, WAKES, count_changes
from hw.world import SYMBOL

PER_TICK, PER_DAY, TICKS = 4, 10, 6
N_LEVELS = 5


@pytest.mark.kernel
@given(seed=st.integers(0, 10_000), gaps=st.sampled_from([0.0, 0.1, 0.5]))
def test_changes_and_wakes_are_those_of_the_twin(seed: int, gaps: float) -> None:
    rng = np.random.default_rng(seed)
    n, samples = 3, PER_TICK * TICKS - 1  # the last tick is cut short
    path = np.where(rng.random((n, samples)) < gaps, np.nan, 0.2).astype(np.float32)
    plan = rng.integers(0, N_LEVELS, (n, TICKS)).astype(np.uint8)
    served = np.where(rng.random((n, samples)) < 0.4, rng.integers(SYMBOL, N_LEVELS, (n, samples)), N_LEVELS)
    served = np.minimum(served, np.repeat(plan, PER_TICK, axis=1)[:, :samples]).astype(np.uint8)
    days = -(-samples // PER_DAY)
    table = np.full((n, days, N_COLUMNS), 7.0)
    table[:, :, WAKES] = 0
    count_changes(path, plan, served, PER_TICK, PER_DAY, table)
    for i in range(n):
        scored = [t for t in range(samples) if np.isfinite(path[i, t])]
        levels = [SYMBOL, *(int(plan[i, t // PER_TICK]) for t in scored)]
        # level that a cell was woken to, as one that was not woken the plan's own or deeper
        to = [int(served[i, t]) if served[i, t] < plan[i, t // PER_TICK] else N_LEVELS for t in scored]
        to = [N_LEVELS, *to]
        for day in range(days):
            mine = [k + 1 for k, t in enumerate(scored) if t // PER_DAY == day]
            changed = [
                k for k in mine if levels[k] != levels[k - 1] and {levels[k], levels[k - 1]} != {0, SYMBOL}
            ]
            assert table[i, day, CHANGES] == len(changed)
            assert table[i, day, WAKES] == sum(to[k] < to[k - 1] for k in mine)
    untouched = [c for c in range(N_COLUMNS) if c not in (CHANGES, WAKES)]
    assert (table[:, :, untouched] == 7).all()
