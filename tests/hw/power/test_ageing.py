"""Rainflow counting against the standard's example and a twin; ageing against the laws it is made of."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hw.power.ageing import MAX_TURNS, count_cycles, soc_factor, stress
from hw.power.plant import make_plant, start_state, step
from hw.power.view import planning_view
from tests.hw.power.plants import catalogue, changed, command, inputs, sites

SPEC = catalogue()
AGEING = SPEC.battery.ageing


def counted(series: list[float]) -> dict[float, float]:
    found: Counter[float] = Counter()
    for depth, count in zip(*count_cycles(np.array(series, float)), strict=True):
        found[round(float(depth), 9)] += count
    return dict(found)


def naive_rainflow(series: list[float]) -> dict[float, float]:
    """The three-point method on the turning points, written for lists."""
    turns = [x for k, x in enumerate(series) if k == 0 or x != series[k - 1]]
    turns = [
        x
        for k, x in enumerate(turns)
        if k in (0, len(turns) - 1) or (x - turns[k - 1]) * (turns[k + 1] - x) < 0
    ]
    found: Counter[float] = Counter()
    stack: list[float] = []
    for point in turns:
        stack.append(point)
        while len(stack) >= 3:
            x, y = abs(stack[-1] - stack[-2]), abs(stack[-2] - stack[-3])
            if x < y:
                break
            if len(stack) == 3:
                found[round(y, 9)] += 0.5
                stack.pop(0)
            else:
                found[round(y, 9)] += 1
                del stack[-3:-1]
    for before, after in pairwise(stack):
        found[round(abs(after - before), 9)] += 0.5
    return dict(found)


def test_the_example_of_the_standard() -> None:
    """ASTM E1049-85, 5.4.4, figure 6."""
    assert counted([-2, 1, -3, 5, -1, 3, -4, 4, -2]) == {3: 0.5, 4: 1.5, 6: 0.5, 8: 1.0, 9: 0.5}


@pytest.mark.kernel
@given(st.lists(st.integers(-20, 20), min_size=1, max_size=60))
def test_counting_while_values_come_is_counting_turning_points(series: list[int]) -> None:
    values = [float(x) for x in series]
    assert counted(values) == pytest.approx(naive_rainflow(values))


def test_more_open_turning_points_than_there_is_room_count_as_half_cycles() -> None:
    shrinking = [(-1) ** k * (100 - k) for k in range(3 * MAX_TURNS)]
    depths, counts = count_cycles(np.array(shrinking, float))
    assert counts.sum() == (3 * MAX_TURNS - 1) / 2
    assert depths[0] == 199


def test_reversals_within_the_dead_band_are_no_cycles() -> None:
    series = np.array([0.5, 0.504, 0.5, 0.503, 0.9, 0.897, 0.9, 0.5])
    depths, counts = count_cycles(series, 0.005)
    assert depths.tolist() == pytest.approx([0.4, 0.4])
    assert counts.tolist() == [0.5, 0.5]


def test_stress_is_the_law_of_wang() -> None:
    plant, _ = sites(SPEC)
    assert stress(plant.ageing, 0, AGEING.cycle_c, AGEING.cycle_rate) == pytest.approx(1)

    def loss(cells_c: float, rate: float) -> float:  # percent per B at Ah = 1
        return float(np.exp((-31700 + 370.3 * rate) / (8.314462618 * (cells_c + 273.15))))

    for cells_c, rate in ((45.0, 0.5), (0.0, 0.2), (25.0, 1.0)):
        expected = (loss(cells_c, rate) / loss(25, 0.2)) ** (1 / 0.55)
        assert stress(plant.ageing, 0, cells_c, rate) == pytest.approx(expected, rel=1e-9)


def test_the_data_sheet_is_no_better_than_the_cells_of_wang() -> None:
    """Cells of 2.2 Ah at half a full rate, B = 31630, last longer than the telecom pack is said to."""
    factor = 31630 * np.exp((-31700 + 370.3 * 0.5) / (8.314 * 298.15))
    full_cycles = (20 / factor) ** (1 / 0.55) / 2.2
    assert 1 < full_cycles / (AGEING.cycles * AGEING.cycle_depth) < 3


def test_cycles_of_the_data_sheet_end_the_life_of_a_pack() -> None:
    few = {"cycles": 40.0, "calendar_loss_per_sqrt_s": 0.0, "cycle_rate": 0.4}
    spec = changed(
        SPEC,
        battery={
            "ageing": AGEING.model_dump() | few,
            "charge_share_by_soc": [[0, 1], [1, 1]],
            "discharge_share_by_soc": [[0, 1], [1, 1]],
            "charge_efficiency": 1.0,
            "discharge_efficiency": 1.0,
            "self_discharge_per_month": 0.0,
            "cutoff_soc": 0.0,
        },
    )
    plant, state = sites(spec, soc=0.1)
    for cycle in range(41):
        for wish_w in (-4096.0, 4096.0):
            for _ in range(2):
                step(plant, state, inputs(radio_w=6000), command(battery_w=wish_w), 3600)
        if cycle == 0:
            first = 1 - state.health[0]
    assert state.cycles[0] == pytest.approx(40.5, abs=0.5)
    assert state.cycle_damage[0] == pytest.approx(1, rel=0.03)
    assert state.health[0] == pytest.approx(0.8, abs=0.004)
    assert first > 2 * 0.2 / 40  # the first cycles take more than the last ones


def test_the_calendar_takes_its_share_and_heat_more_of_it() -> None:
    idle = changed(SPEC, battery={"self_discharge_per_month": 0.0})
    lost = {}
    for cells_c in (10.0, 25.0, 40.0):
        plant, state = sites(idle, soc=0.5)
        for _ in range(365):
            step(plant, state, inputs(battery_c=cells_c), command(), 86400)
        lost[cells_c] = 1 - state.health[0]
    year_s = 365 * 86400
    assert lost[25.0] == pytest.approx(1.2571e-5 * 0.60225 * np.sqrt(year_s), rel=0.01)
    assert lost[40.0] / lost[25.0] == pytest.approx(
        np.exp(17126 / 8.314 * (1 / 298.15 - 1 / 313.15)), rel=0.01
    )
    assert lost[10.0] < lost[25.0]
    assert soc_factor(plant.ageing, 0, 0.2) < soc_factor(plant.ageing, 0, 0.9)


def test_an_aged_pack_ages_on_from_where_it_is() -> None:
    plant = make_plant([SPEC] * 2)
    state = start_state(plant, np.full(2, 0.5), np.array([1.0, 0.8]))
    step(plant, state, inputs(2), command(2), 3600)
    assert state.health[1] == pytest.approx(0.8, abs=1e-4)
    for _ in range(200):
        step(plant, state, inputs(2), command(2), 86400)
    assert 0.8 - state.health[1] < (1 - state.health[0]) / 2
    assert state.health[1] < 0.8


def test_wear_costs_what_the_pack_costs_over_its_life() -> None:
    plant, state = sites(SPEC)
    view = planning_view(plant, state, np.array([3000.0]), np.array([25.0]))
    through_kwh = 10.24 * AGEING.cycles * AGEING.cycle_depth * 0.98
    assert view.wear_price[0] * through_kwh == pytest.approx(SPEC.battery.price_per_kwh * 10.24)
    hot = planning_view(plant, state, np.array([3000.0]), np.array([45.0]))
    assert hot.wear_price[0] > 3 * view.wear_price[0]
