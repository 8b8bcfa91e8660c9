"""The plant as its telemetry sees it agrees with the plant that keeps the books."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hw.plant import OFFERED, UNSERVED, execute
from hw.tables import Tables
from hw.telemetry import SimulatedPlant
from tests.hw.naive_plant import naive_execute
from tests.hw.random_cells import Case, random_case


def report(case: Case, per_tick: int) -> NDArray[np.float32]:
    """Everything that a simulated plant reports while it steps through the plan."""
    plant = SimulatedPlant(case.tables, case.groups, case.path, samples_per_tick=per_tick)
    return np.concatenate([plant.step(case.plan[:, tick]) for tick in range(case.plan.shape[1])], axis=1)


@pytest.mark.kernel
@settings(max_examples=100)
@given(
    seed=st.integers(0, 2**32 - 1),
    sizes=st.sampled_from([[1], [2], [1, 3], [4, 1], [1, 2, 1]]),
    ticks=st.integers(1, 6),
    per_tick=st.sampled_from([1, 2, 5]),
)
def test_what_is_reported_was_offered_and_served(
    seed: int, sizes: list[int], ticks: int, per_tick: int
) -> None:
    case = random_case(seed, sizes, ticks=ticks, per_tick=per_tick, cut=seed % per_tick)
    carried = report(case, per_tick)
    assert carried.shape == case.path.shape
    np.testing.assert_array_equal(np.isnan(carried), np.isnan(case.path))
    naive = naive_execute(*case, samples_per_tick=per_tick, samples_per_day=1000)
    np.testing.assert_allclose(carried, naive.carried, rtol=1e-5, atol=1e-6)
    booked = execute(*case, samples_per_tick=per_tick, samples_per_day=1000).table[:, 0]
    groups = case.groups
    for first, end in zip(groups.group_start[:-1], groups.group_start[1:], strict=True):
        members = groups.member[first:end]
        served = (booked[members, OFFERED] - booked[members, UNSERVED]).sum()
        size = case.tables.size[groups.model[members]][:, None]
        assert np.nansum(carried[members] * size, dtype=float) == pytest.approx(served, rel=1e-4, abs=1e-5)


def test_a_cell_off_air_reports_nothing_carried(tables: Tables) -> None:
    case = random_case(1, [1], ticks=1, per_tick=3)._replace(
        tables=tables,
        path=np.array([[0.3, 0.3, np.nan]], np.float32),
        plan=np.array([[5]], np.uint8),
    )
    np.testing.assert_array_equal(report(case, 3), np.array([[0, 0, np.nan]], np.float32))


def test_two_plants_do_not_share_what_they_remember() -> None:
    case = random_case(3, [1, 2], ticks=5, per_tick=4)
    np.testing.assert_array_equal(report(case, 4), report(case, 4))
