"""What planners assume of the plant is what it does."""

from __future__ import annotations

import numpy as np
import pytest

from hw.power import flows as f
from hw.power.plant import step
from hw.power.view import meter_load_w, planning_view, pv_meter_w
from tests.hw.power.plants import NAMES, catalogue, changed, command, inputs, sites


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
    for function in (meter_load_w, pv_meter_w):
        with pytest.raises(ValueError, match="both series must have shape"):
            function(plant, np.zeros(2), np.zeros((2, 4)))


@pytest.mark.parametrize("inverter_w", [0.0, 2500.0])
def test_what_pv_is_worth_is_what_the_meter_saves(inverter_w: float) -> None:
    pv = {
        "converter_w": 3000.0,
        "converter_efficiency": 0.95,
        "inverter_w": inverter_w,
        "inverter_efficiency": 0.9,
    }
    spec = changed(catalogue(), pv=pv, battery={"self_discharge_per_month": 0.0})
    for radio_w, pv_w in ((3000.0, 1000.0), (500.0, 3000.0), (0.0, 2000.0)):
        net = []
        for sun_w in (0.0, pv_w):
            plant, state = sites(spec)
            given = inputs(radio_w=radio_w, pv_w=sun_w)
            flows = step(plant, state, given, command(export_w=np.inf), 900)[0]
            net.append(flows[f.GRID_IMPORT] - flows[f.GRID_EXPORT])
        found = pv_meter_w(plant, np.array([radio_w + 300]), np.array([pv_w]))
        assert found[0] == pytest.approx(net[0] - net[1], rel=1e-9)
        series = pv_meter_w(plant, np.full((1, 3), radio_w + 300), np.full((1, 3), pv_w))
        assert series == pytest.approx(np.repeat(found, 3)[None])


@pytest.mark.parametrize("name", NAMES)
def test_a_plan_made_with_the_view_comes_true(name: str) -> None:
    """A day of charging at night and discharging by day, at the limits of the view and between its cut-off and 0.9."""
    plant, state = sites(catalogue(name), soc=0.5)
    radio_w = 800.0 if name.startswith("urban") else 3500.0
    view = planning_view(plant, state, np.array([radio_w + 300]), np.array([25.0]))
    idle_w = meter_load_w(plant, np.array([radio_w + 300]), np.array([500.0]))[0]
    planned_wh, most_wh = state.stored_wh[0], 0.9 * view.capacity_wh[0]
    imported = planned = 0.0
    for quarter in range(96):
        if quarter < 30:
            room_w = (most_wh - planned_wh) * 4 / view.charge_efficiency[0]
            battery_w = -min(view.charge_max_w[0], max(room_w, 0.0))
        else:
            room_w = (planned_wh - 1.5 * view.cutoff_wh[0]) * 4 * view.discharge_efficiency[0]
            battery_w = min(view.discharge_max_w[0], radio_w, max(room_w, 0.0))
        flows = step(plant, state, inputs(radio_w=radio_w), command(battery_w=battery_w), 900)[0]
        stored_w = (
            -battery_w * view.charge_efficiency[0]
            if battery_w < 0
            else -battery_w / view.discharge_efficiency[0]
        )
        planned_wh += stored_w / 4
        imported += flows[f.GRID_IMPORT] / 4
        planned += (idle_w - battery_w / view.rectifier_efficiency[0]) / 4
        assert state.stored_wh[0] == pytest.approx(planned_wh, abs=0.003 * view.capacity_wh[0])
    assert imported == pytest.approx(planned, rel=0.005)


def test_charging_has_what_the_load_leaves_of_the_rectifiers() -> None:
    plant, state = sites(catalogue(), soc=0.5)
    for radio_w in (9000.0, 14000.0):
        view = planning_view(plant, state, np.array([radio_w + 300]), np.array([25.0]))
        flows = step(plant, state, inputs(radio_w=radio_w), command(battery_w=-1e6), 300)[0]
        assert flows[f.BATTERY_IN] == pytest.approx(view.charge_max_w[0])
        assert view.charge_max_w[0] < 2700
