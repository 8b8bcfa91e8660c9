"""Site-days behind the real guard on the real plant; each weakened term is caught; mains and link go together."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from benchmarks.reserve_run import Belief
from benchmarks.site_reserve import CATALOGUE, STEPS_PER_DAY, site_years
from controller.strict_yaml import load_yaml
from hw.power import flows as f
from hw.power.plant import Command, Inputs, Plant, make_plant, start_state, step
from hw.power.spec import PlantSpec
from policies.site.pack import HIGHEST_SOC, cable_losses_w, charging_w, parameter, reserve_pack
from policies.site.reserve import Agents, Backup, Loads, floor_wh

STEP_S = 900
SITES, DAYS = 30, 12


def test_no_adversary_breaks_a_floor_or_misses_an_outage() -> None:
    found = site_years(SITES, DAYS, seed=3)
    assert found.violations == 0
    assert found.outages_missed == 0
    # and it was put to the test
    assert found.outages_judged > 3
    assert found.discharged_kwh > 50
    assert (found.reasons > 0).all()


@pytest.mark.parametrize("weak", [{"reserve": 0.5}, {"ageing": 0.5}, {"temperature": 0.5}])
def test_half_a_term_is_caught(weak: dict[str, Any]) -> None:
    assert site_years(SITES, DAYS, seed=3, belief=Belief(**weak)).violations > 0


@pytest.mark.parametrize("every", [1, STEPS_PER_DAY])
def test_the_real_planner_keeps_the_floors(every: int) -> None:
    found = site_years(5, 6, seed=4, replan_every=every)
    assert found.violations == 0
    assert found.outages_missed == 0
    assert found.discharged_kwh > 1


def plant_of(n: int) -> Plant:
    return make_plant([load_yaml(CATALOGUE / "macro-lfp-200ah.yaml", PlantSpec)] * n)


@pytest.mark.parametrize("acknowledged", [False, True])
@pytest.mark.parametrize("cells_c", [25.0, -8.0])
@pytest.mark.parametrize("health", [1.0, 0.75])
def test_mains_and_link_lost_together(acknowledged: bool, cells_c: float, health: float) -> None:
    """At its floor a site carries its class with nobody there to help; a little below it does not."""
    plant, radio_s, transport_s = plant_of(2), 4500.0, 9000.0
    n_steps = int(transport_s / STEP_S)
    full, asleep, program, transport = 1900.0, 800.0, 1000.0, 220.0

    def both(power_w: float) -> np.ndarray[Any, np.dtype[np.float64]]:
        return np.full((2, n_steps), power_w)

    def at_bus(radio_w: float) -> np.ndarray[Any, np.dtype[np.float64]]:
        return cable_losses_w(plant, both(radio_w), both(transport))[0]

    transport_bus = cable_losses_w(plant, both(0), both(transport))[1]
    loads = Loads(at_bus(asleep), at_bus(full), at_bus(program), transport_bus)
    peak = loads.full_radio_w[:, 0] + transport_bus[:, 0]
    pack = reserve_pack(plant, np.full(2, health), np.full((2, 1), cells_c), peak, transport_bus[:, 0])
    backup = Backup(np.full(2, radio_s), np.full(2, transport_s), np.full(2, 1800.0))
    reserve = floor_wh(backup, loads, Agents(np.full(2, acknowledged), np.full(2, 900.0)), pack, STEP_S)
    assert not reserve.alarm.any()
    stored = reserve.floor_wh[:, 0] * np.array([1.001, 0.97])
    state = start_state(plant, stored / (plant.rated_wh * health), np.full(2, health))
    failed = np.zeros(2, bool)
    for k in range(n_steps):
        if acknowledged:
            radio = full if k == 0 else program if k * STEP_S < radio_s else 0.0
        else:
            radio = asleep if k < 2 else full
        none = np.zeros(2)
        inputs = Inputs(
            np.full(2, radio),
            np.full(2, transport),
            none,
            none,
            np.full(2, cells_c),
            np.zeros(2, bool),
        )
        flows = step(plant, state, inputs, Command(none, none, none), STEP_S)
        failed |= (flows[:, f.RADIO_SHED] > 0) & ((k + 1) * STEP_S <= radio_s)
        failed |= flows[:, f.TRANSPORT_SHED] > 0
    assert failed.tolist() == [False, True]


def test_the_pack_for_the_reserve() -> None:
    plant = plant_of(1)
    spec = load_yaml(CATALOGUE / "macro-lfp-200ah.yaml", PlantSpec)
    rated = spec.battery.rated_wh
    cells_c = np.array([[25.0, -20.0, 70.0]])
    pack = reserve_pack(plant, np.array([0.8]), cells_c, np.array([500.0]), np.array([200.0]))
    assert pack.capacity_wh == pytest.approx(np.full((1, 3), HIGHEST_SOC * 0.8 * rated))
    assert pack.radio_cutoff_wh[0, 0] == pytest.approx(0.8 * rated * spec.bus.radio_disconnect_soc)
    assert pack.transport_cutoff_wh[0, 0] == pytest.approx(0.8 * rated * spec.bus.transport_disconnect_soc)
    # the cold locks energy in; outside its temperatures the pack gives nothing
    assert pack.radio_cutoff_wh[0, 1] > pack.radio_cutoff_wh[0, 0]
    assert pack.radio_cutoff_wh[0, 2] == pack.transport_cutoff_wh[0, 2] == 0.8 * rated
    # a load near the pack's limit is carried only down to the charge that still gives its power
    near = 0.95 * spec.battery.discharge_rate * rated
    heavy = reserve_pack(plant, np.array([0.8]), cells_c[:, :1], np.array([near]), np.array([200.0]))
    knots = spec.battery.discharge_share_by_soc
    soc = np.interp(0.95, [share for _, share in knots[:2]], [soc for soc, _ in knots[:2]])
    at_power = soc * 0.8 * rated
    assert heavy.radio_cutoff_wh[0, 0] == pytest.approx(max(at_power, pack.radio_cutoff_wh[0, 0]))
    with pytest.raises(ValueError, match="peak_w must be of shape"):
        reserve_pack(plant, np.array([0.8]), cells_c, np.ones(2), np.ones(1))


def test_charging_is_bounded_by_cells_charge_and_rectifiers() -> None:
    plant = plant_of(1)
    best = parameter(plant, "charge_rate")[0] * plant.rated_wh[0]
    cells_c, no_load = np.array([[25.0, -10.0]]), np.zeros((1, 2))
    assert charging_w(plant, cells_c, no_load, soc=0.5).tolist() == [[pytest.approx(best), 0.0]]
    assert charging_w(plant, cells_c, no_load)[0, 0] < best
    rectifiers = parameter(plant, "modules")[0] * parameter(plant, "module_w")[0]
    busy = np.full((1, 2), rectifiers - 300)
    assert charging_w(plant, cells_c, busy)[0, 0] == pytest.approx(300)
    assert charging_w(plant, cells_c, busy + 1000)[0, 0] == 0
