from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from controller.strict_yaml import load_yaml
from hw.power import flows
from hw.power.plant import Command, Inputs, Plant, State, make_plant, start_state, step
from hw.power.spec import PlantSpec
from hw.power.view import meter_import_w, meter_load_w, swing
from hw.sim_plant.holding import held_w
from policies.site.follow import Loads, Setpoint, follow

N = 5


@pytest.fixture(scope="module")
def plant() -> Plant:
    path = Path(str(files("hw").joinpath("catalogue", "power", "macro-lfp-200ah.yaml")))
    return make_plant([load_yaml(path, PlantSpec)] * N)


def fresh(plant: Plant) -> State:
    return start_state(plant, np.full(N, 0.8), np.ones(N))


def carried_out(plant: Plant, state: State, dc_w: np.ndarray, battery_w: np.ndarray) -> np.ndarray:
    none = np.zeros(N)
    met = Inputs(dc_w, none, none, none, np.full(N, 25.0), np.ones(N, np.bool_))
    return step(plant, state, met, Command(battery_w, np.full(N, np.inf), none), 900)


def test_the_import_limit_holds_on_the_plant(plant: Plant) -> None:
    dc_w, none = np.linspace(1500, 5000, N), np.zeros(N)
    limit_w = meter_load_w(plant, dc_w, none) - 600
    battery_w = follow(plant, fresh(plant), Setpoint(none, limit_w), Loads(dc_w, none, none))
    made = carried_out(plant, fresh(plant), dc_w, battery_w)
    assert made[:, flows.GRID_IMPORT] == pytest.approx(limit_w, abs=8)


@pytest.mark.parametrize("of_the_plant", [False, True])
def test_the_import_limit_holds_while_a_module_may_not_be_put_to_rest(
    plant: Plant, of_the_plant: bool
) -> None:
    """A load that comes and goes wakes all modules, which then draw more; the month's peak would creep up by that."""
    state, none = fresh(plant), np.zeros(N)
    limit_w, highest_w = np.full(N, 3000.0), 0.0
    for t in range(12):
        dc_w = np.full(N, 4000.0 if t % 2 else 300.0)
        if of_the_plant:
            met = Inputs(dc_w, none, none, none, np.full(N, 25.0), np.ones(N, np.bool_))
            battery_w = held_w(plant, state, met, none, limit_w)
        else:
            battery_w = follow(plant, state, Setpoint(none, limit_w), Loads(dc_w, none, none))
        imported_w = carried_out(plant, state, dc_w, battery_w)[:, flows.GRID_IMPORT]
        highest_w = max(highest_w, float(imported_w.max()))
    assert (state.rectifier["locked_until_s"] > 0).all(), "all modules were kept at work for a while"
    assert highest_w == pytest.approx(3000, abs=0.05)


def test_charging_yields_to_the_limit_and_nothing_is_exported(plant: Plant) -> None:
    dc_w, none = np.full(N, 2000.0), np.zeros(N)
    load_w = meter_load_w(plant, dc_w, none)
    charge_w = follow(
        plant, fresh(plant), Setpoint(np.full(N, -3000.0), load_w + 500), Loads(dc_w, none, none)
    )
    assert (charge_w < -400).all()
    assert meter_import_w(plant, fresh(plant), dc_w, none, none, charge_w) == pytest.approx(
        load_w + 500, abs=8
    )
    assert (
        follow(plant, fresh(plant), Setpoint(np.full(N, 1e9), np.full(N, np.inf)), Loads(dc_w, none, none))
        < 2200
    ).all()


@pytest.mark.parametrize("left_w", [-500.0, 0.0, 100.0, 500.0, 1000.0])
def test_what_is_asked_for_beyond_the_limit_is_cut_to_the_limit_itself(plant: Plant, left_w: float) -> None:
    """However absurd: rectifiers that are full do not tell how much they are asked for."""
    dc_w, none = np.linspace(2000, 4200, N), np.zeros(N)
    limit_w = meter_load_w(plant, dc_w, none) + left_w
    for asked_w in (-30_000.0, -8000.0, -3000.0):
        battery_w = follow(
            plant, fresh(plant), Setpoint(np.full(N, asked_w), limit_w), Loads(dc_w, none, none)
        )
        assert meter_import_w(plant, fresh(plant), dc_w, none, none, battery_w) == pytest.approx(
            limit_w, abs=0.5
        )


def test_an_idle_pack_imports_what_the_meter_says(plant: Plant) -> None:
    dc_w, ac_w, none = np.linspace(500, 6000, N), np.full(N, 300.0), np.zeros(N)
    assert meter_import_w(plant, fresh(plant), dc_w, ac_w, none, none) == pytest.approx(
        meter_load_w(plant, dc_w, ac_w)
    )


def test_a_swing_is_what_the_meter_shows_of_the_packs_change(plant: Plant) -> None:
    dc_w, none = np.linspace(1500, 5000, N), np.zeros(N)
    at_w = meter_import_w(plant, fresh(plant), dc_w, none, none, none)
    lower_w = meter_import_w(plant, fresh(plant), dc_w, none, none, 0.3 * dc_w)
    assert swing(plant, dc_w).discharge == pytest.approx(0.3 * dc_w / (at_w - lower_w), rel=0.01)
