"""What planners assume of the plant is what it does."""

from __future__ import annotations

import numpy as np
import pytest

from hw.power import flows as f
from hw.power.plant import step
from hw.power.view import meter_load_w, planning_view
from tests.hw.power.plants import catalogue, changed, command, inputs, sites


def test_the_meter_load_is_what_the_plant_imports_idle() -> None:
    spec = changed(catalogue(), battery={"self_discharge_per_month": 0.0})
    for radio_w in (0, 500, 3000, 9000):
        plant, state = sites(spec, 3)
        flows = step(plant, state, inputs(3, radio_w=radio_w), command(3), 900)
        expected = meter_load_w(plant, np.full(3, radio_w + 300.0), np.full(3, 500.0))
        assert flows[:, f.GRID_IMPORT] == pytest.approx(expected, rel=1e-12)
    series = meter_load_w(plant, np.full((3, 5), 3300.0), np.full((3, 5), 500.0))
    assert series == pytest.approx(
        np.repeat(meter_load_w(plant, np.full(3, 3300.0), np.full(3, 500.0)), 5).reshape(3, 5)
    )


@pytest.mark.parametrize("cells_c", [-5.0, 8.0, 25.0, 50.0])
def test_limits_and_efficiencies_are_those_of_the_plant(cells_c: float) -> None:
    plant, state = sites(catalogue(), 1, soc=0.5, health=0.8)
    view = planning_view(plant, state, np.array([3300.0]), np.array([cells_c]))
    assert view.capacity_wh[0] == pytest.approx(0.8 * 10240)
    charge = step(plant, state, inputs(battery_c=cells_c), command(battery_w=-1e6), 300)[0]
    assert charge[f.BATTERY_IN] == pytest.approx(view.charge_max_w[0])
    gained = (charge[f.STORED_AFTER] - charge[f.STORED_BEFORE]) * 12 + charge[f.SELF_DISCHARGE]
    assert gained == pytest.approx(view.charge_efficiency[0] * charge[f.BATTERY_IN], abs=1e-9)
    big = inputs(battery_c=cells_c, radio_w=11000)
    discharge = step(plant, state, big, command(battery_w=1e6), 300)[0]
    assert discharge[f.BATTERY_OUT] == pytest.approx(view.discharge_max_w[0])
    used = (discharge[f.STORED_BEFORE] - discharge[f.STORED_AFTER]) * 12 - discharge[f.SELF_DISCHARGE]
    assert used == pytest.approx(discharge[f.BATTERY_OUT] / view.discharge_efficiency[0])


@pytest.mark.parametrize("cells_c", [-10.0, 25.0])
def test_the_disconnect_acts_where_the_view_says(cells_c: float) -> None:
    plant, state = sites(catalogue(), 1, soc=0.9, health=0.8)
    view = planning_view(plant, state, np.array([3300.0]), np.array([cells_c]))
    dark = inputs(battery_c=cells_c, radio_w=1500, mains=False)
    at = []
    for _ in range(400):
        before = int(state.lvd_stage[0])
        flows = step(plant, state, dark, command(), 60)[0]
        if state.lvd_stage[0] != before:
            at.append(flows[f.STORED_BEFORE])
    assert at == pytest.approx([view.cutoff_wh[0], view.transport_cutoff_wh[0]], abs=35)


def test_wrong_shapes_are_refused() -> None:
    plant, state = sites(catalogue(), 2)
    with pytest.raises(ValueError, match=r"shape \(2,\)"):
        planning_view(plant, state, np.zeros(3), np.zeros(2))
    with pytest.raises(ValueError, match="shape"):
        meter_load_w(plant, np.zeros(2), np.zeros((2, 4)))
