"""Series at other steps: prices hold, weather goes along lines that keep the mean of each hour."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from traces import TraceError
from traces.grid import GridSeries, along_lines, as_steps

START = np.datetime64("2024-01-01T00:00:00", "s")


def series(values: list[float], step_s: int = 3600, **more: bool) -> GridSeries:
    return GridSeries("x", START, step_s, np.array(values, np.float64), "W", **more)


def after(seconds: int) -> np.datetime64:
    return START + np.timedelta64(seconds, "s")


def test_prices_hold_through_their_hour() -> None:
    assert as_steps(series([0.1, 0.3]), START, 8, 900).tolist() == [0.1] * 4 + [0.3] * 4


def test_longer_steps_take_the_mean_by_time() -> None:
    assert as_steps(series([1, 2, 6]), after(1800), 1, 7200).tolist() == [(0.5 * 1 + 2 + 0.5 * 6) / 2]
    assert as_steps(series([1, 2, 6], 900), START, 1, 2700).tolist() == [3.0]
    assert as_steps(series([1, 3]), after(3000), 1, 1200).tolist() == pytest.approx([2.0])


def test_lines_of_one_hour_by_hand() -> None:
    # hours 0, 4, 4 W: borders 0, 2, 4, 4; middle of the second 2 * 4 - (2 + 4) / 2 = 5
    quarters = along_lines(series([0, 4, 4]), after(3600), 4, 900)
    assert quarters.tolist() == pytest.approx([2.75, 4.25, 4.75, 4.25])


def test_power_is_never_negative_at_sunrise() -> None:
    free = along_lines(series([0, 0.2, 3.0, 0]), START, 16, 900)
    held = along_lines(series([0, 0.2, 3.0, 0]), START, 16, 900, never_negative=True)
    assert free.min() < 0
    assert held.min() == 0
    assert held[:4].tolist() == [0] * 4
    assert held.reshape(4, 4).mean(axis=1) == pytest.approx([0, 0.2, 3.0, 0])


@given(
    st.lists(st.floats(0, 1000), min_size=1, max_size=12),
    st.sampled_from([60, 300, 900, 1200]),
    st.booleans(),
)
def test_lines_keep_the_mean_of_every_hour(values: list[float], step_s: int, bound: bool) -> None:
    per_hour = 3600 // step_s
    found = along_lines(series(values), START, len(values) * per_hour, step_s, never_negative=bound)
    assert found.reshape(-1, per_hour).mean(axis=1) == pytest.approx(values, abs=1e-9)
    if bound:
        assert found.min() >= 0


def test_a_typical_year_repeats_by_date_and_29_february_is_28_february() -> None:
    days = np.repeat(np.arange(365.0), 24)
    typical = GridSeries("t", np.datetime64("2021-01-01T06:00:00", "s"), 3600, days, "degC", True)
    leap = as_steps(typical, np.datetime64("2024-02-28T06:00:00", "s"), 3, 86_400)
    assert leap.tolist() == [58, 58, 59]  # 28 and 29 February, 1 March
    turn = as_steps(typical, np.datetime64("2023-12-31T05:00:00", "s"), 26, 3600)
    assert turn.tolist() == [363] + [364] * 24 + [0]
    assert as_steps(typical, np.datetime64("1999-07-01T06:00:00", "s"), 1, 3600).tolist() == [181]


def test_a_typical_year_may_begin_before_midnight_utc() -> None:
    days = np.repeat(np.arange(365.0), 24)
    typical = GridSeries("t", np.datetime64("2020-12-31T23:00:00", "s"), 3600, days, "degC", True)
    assert as_steps(typical, np.datetime64("2023-02-28T22:00:00", "s"), 2, 3600).tolist() == [58, 59]


def test_what_is_not_there_is_refused_with_the_moment() -> None:
    with pytest.raises(TraceError, match="no value at 2024-01-01T01:00:00Z"):
        as_steps(series([1, np.nan, 2]), START, 12, 900)
    with pytest.raises(TraceError, match="no value at 2023-12-31T23:00:00Z"):
        as_steps(series([1]), after(-900), 2, 900)
    with pytest.raises(TraceError, match="reaches from 2024-01-01T00:00:00Z to 2024-01-01T01:00:00Z"):
        along_lines(series([1]), START, 5, 900)
