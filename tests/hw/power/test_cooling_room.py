"""Rooms as lumps of heat, and what is worked out from weather."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from hw.power import room
from tests.hw.power.rooms import NAMES, room_spec

ROOMS = room.make_rooms([room_spec(name).room for name in NAMES])


@pytest.mark.parametrize("step_s", [60, 900, 86_400])
def test_end_and_mean_are_those_of_the_differential_equation(step_s: float) -> None:
    steps = room.transition(ROOMS.rate, ROOMS.gain, step_s)
    x, u = np.array([31.0, 12.0, 22.0]), np.array([900.0, 150.0, -5.0])
    for i in range(len(NAMES)):
        # three temperatures and their integrals
        change = lambda _, y, i=i: np.concatenate([ROOMS.rate[i] @ y[:3] + ROOMS.gain[i] @ u, y[:3]])  # noqa: E731
        y = solve_ivp(
            change, (0, step_s), np.concatenate([x, np.zeros(3)]), rtol=1e-10, atol=1e-9, method="LSODA"
        ).y[:, -1]
        assert steps.keep[i] @ x + steps.push[i] @ u == pytest.approx(y[:3], rel=1e-6)
        assert steps.hold[i] @ x + steps.lean[i] @ u == pytest.approx(y[3:] / step_s, rel=1e-6)


def test_two_steps_are_one_of_twice_the_length() -> None:
    one, two = (room.transition(ROOMS.rate, ROOMS.gain, s) for s in (450.0, 900.0))
    np.testing.assert_allclose(one.keep @ one.keep, two.keep, atol=1e-12)
    np.testing.assert_allclose(one.keep @ one.push + one.push, two.push, atol=1e-12)


@pytest.mark.parametrize("step_s", [0.0, -60.0, np.inf, np.nan])
def test_steps_without_length_are_refused(step_s: float) -> None:
    with pytest.raises(ValueError, match="step_s must be above 0"):
        room.transition(ROOMS.rate, ROOMS.gain, step_s)


def test_dew_points_are_those_of_the_tables() -> None:
    # psychrometric tables at sea level
    found = room.dewpoint_c(np.array([25.0, 30.0, 20.0, 10.0]), np.array([0.5, 0.8, 1.0, 0.0]))
    assert found[:3] == pytest.approx([13.86, 26.17, 20.0], abs=0.05)
    assert found[3] < -50  # bone-dry air has one, too


def test_sun_heats_by_the_area_of_each_room() -> None:
    area = np.array([0.5, 0.8])
    assert room.solar_heat_w(area, np.array([1000.0, 500.0])).tolist() == [500, 400]
    assert room.solar_heat_w(area, np.array([[1000.0, -3.0], [100.0, 0.0]])).tolist() == [[500, 0], [80, 0]]
