"""The power plant at its corners, worked out by hand, and over days whatever the length of a step."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hw.power import flows as f
from hw.power.balance import leaks
from hw.power.plant import Command, Inputs, make_plant, start_state, step
from tests.hw.power.plants import NAMES, catalogue, changed, command, inputs, one_step, sites

PV = {"converter_w": 3000.0, "converter_efficiency": 0.95, "inverter_w": 0.0, "inverter_efficiency": 0.9}
QUIET = changed(catalogue(), battery={"self_discharge_per_month": 0.0}, rectifier={"hibernates": False})
SUNNY = changed(QUIET, pv=PV)
FEEDING = changed(QUIET, pv=PV | {"inverter_w": 2500.0})
CABLES_W = 0.012 * (3300 / 53.5) ** 2  # of the usual loads


def test_an_idle_site_draws_its_loads_and_their_losses() -> None:
    flows, state = one_step(QUIET, command())
    out_w = 3300 + CABLES_W
    share = out_w / 12000
    loss_w = 12000 * (0.0048 + 0.0193 * share + 0.015 * share**2)
    assert flows[f.BUS_LOSS] == pytest.approx(CABLES_W)
    assert flows[f.RECTIFIER_OUT] == pytest.approx(out_w)
    assert flows[f.RECTIFIER_LOSS] == pytest.approx(loss_w)
    assert flows[f.GRID_IMPORT] == pytest.approx(out_w + loss_w + 500)
    assert state.stored_wh[0] == 5120


def test_charging_and_discharging_move_what_was_asked() -> None:
    flows, state = one_step(QUIET, command(battery_w=-2000))
    assert flows[f.BATTERY_IN] == 2000
    assert state.stored_wh[0] == pytest.approx(5120 + 0.98 * 500)
    flows, state = one_step(QUIET, command(battery_w=2000))
    assert flows[f.BATTERY_OUT] == 2000
    assert flows[f.RECTIFIER_OUT] == pytest.approx(1300 + CABLES_W)
    assert state.stored_wh[0] == pytest.approx(5120 - 500 / 0.98)


def test_the_pack_is_never_discharged_beyond_the_loads() -> None:
    flows, _ = one_step(FEEDING, command(battery_w=9000, export_w=np.inf))
    assert flows[f.BATTERY_OUT] == pytest.approx(3300 + CABLES_W)
    assert flows[f.GRID_EXPORT] == 0
    flows, _ = one_step(FEEDING, command(battery_w=9000, export_w=np.inf), pv_w=2000)
    assert flows[f.BATTERY_OUT] == pytest.approx(3300 + CABLES_W - 1900)
    flows, _ = one_step(FEEDING, command(battery_w=9000), radio_w=0, transport_w=0)
    assert flows[f.BATTERY_OUT] == 0


@pytest.mark.parametrize(("soc", "wish_w"), [(1.0, -3000), (0.02, 3000)])
def test_full_takes_and_empty_gives_nothing(soc: float, wish_w: float) -> None:
    flows, state = one_step(QUIET, command(battery_w=wish_w), soc=soc)
    assert flows[f.BATTERY_IN] + flows[f.BATTERY_OUT] == 0
    assert state.stored_wh[0] == soc * 10240


def test_a_full_pack_is_kept_full() -> None:
    leaky = changed(QUIET, battery={"self_discharge_per_month": 0.3})
    flows, state = one_step(leaky, command(battery_w=-3000), soc=1.0, step_s=3600)
    assert state.stored_wh[0] == pytest.approx(10240, rel=1e-9)
    assert flows[f.BATTERY_IN] == pytest.approx(flows[f.SELF_DISCHARGE] / 0.98)
    assert flows[f.SELF_DISCHARGE] == pytest.approx(10240 * -np.log(0.7) / 720)


def test_the_import_cap_binds_charging_alone() -> None:
    idle, _ = one_step(QUIET, command())
    cap_w = idle[f.GRID_IMPORT] + 700
    flows, _ = one_step(QUIET, command(battery_w=-3000, cap_w=cap_w))
    assert flows[f.GRID_IMPORT] == pytest.approx(cap_w, rel=1e-9)
    assert 0 < flows[f.BATTERY_IN] < 700
    assert flows[f.CAP_EXCESS] == pytest.approx(0, abs=1e-6)
    flows, _ = one_step(QUIET, command(battery_w=-3000, cap_w=2000))
    assert flows[f.RADIO] + flows[f.TRANSPORT] == 3300
    assert flows[f.BATTERY_IN] == 0
    assert flows[f.CAP_EXCESS] == pytest.approx(flows[f.GRID_IMPORT] - 2000)


@pytest.mark.parametrize("seed", range(3))
def test_the_cap_holds_while_modules_come_and_go(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = 50
    plant, state = sites(catalogue(), n)
    for _ in range(100):
        given = inputs(n)._replace(radio_w=rng.uniform(0, 9000, n))
        idle = step(plant, type(state)(*(a.copy() for a in state)), given, command(n), 300)
        cap_w = idle[:, f.GRID_IMPORT] + rng.uniform(0, 3000, n)
        flows = step(plant, state, given, command(n, battery_w=-6000)._replace(import_cap_w=cap_w), 300)
        charging = flows[:, f.BATTERY_IN] > 0
        assert (flows[charging, f.GRID_IMPORT] <= cap_w[charging] * (1 + 1e-9)).all()
        step(plant, state, inputs(n, radio_w=9000), command(n, battery_w=5000), 300)


def test_pv_serves_the_bus_first_and_surplus_is_curtailed() -> None:
    flows, _ = one_step(SUNNY, command(export_w=np.inf), pv_w=2000)
    assert flows[f.PV_OUT] == pytest.approx(1900)
    assert flows[f.PV_LOSS] == pytest.approx(100)
    assert flows[f.RECTIFIER_OUT] == pytest.approx(3300 + CABLES_W - 1900)
    flows, _ = one_step(SUNNY, command(export_w=np.inf), pv_w=2000, radio_w=0, transport_w=0)
    assert flows[f.PV_CURTAILED] == pytest.approx(2000)
    assert flows[f.GRID_EXPORT] == 0
    flows, _ = one_step(SUNNY, command(battery_w=-1000), pv_w=2000, radio_w=0, transport_w=0)
    assert flows[f.BATTERY_IN] == 1000
    assert flows[f.PV_CURTAILED] == pytest.approx(2000 - 1000 / 0.95)


def test_a_plant_without_panels_has_no_pv() -> None:
    flows, _ = one_step(QUIET, command(export_w=np.inf), pv_w=2000)
    assert flows[f.PV_OUT] == 0
    assert flows[f.PV_CURTAILED] == 2000


def test_feed_in_is_pv_surplus_behind_the_ac_loads_and_below_its_cap() -> None:
    dark = {"radio_w": 0, "transport_w": 0}
    flows, _ = one_step(FEEDING, command(export_w=np.inf), pv_w=2000, **dark)
    standby_w = 12000 * 0.0048
    assert flows[f.EXPORT_OUT] == pytest.approx(1900 * 0.9)
    assert flows[f.GRID_EXPORT] == pytest.approx(1900 * 0.9 - 500 - standby_w)
    assert flows[f.GRID_IMPORT] == 0
    flows, _ = one_step(FEEDING, command(export_w=300), pv_w=2000, **dark)
    assert flows[f.GRID_EXPORT] == pytest.approx(300)
    flows, _ = one_step(FEEDING, command(), pv_w=2000, **dark)
    assert flows[f.GRID_EXPORT] == pytest.approx(0, abs=1e-9)
    assert flows[f.EXPORT_OUT] == pytest.approx(500 + standby_w)


def test_the_pack_helps_where_the_rectifiers_end() -> None:
    flows, _ = one_step(QUIET, command(), radio_w=14000, transport_w=0)
    assert flows[f.RADIO] == pytest.approx(14000)
    assert flows[f.RECTIFIER_OUT] == pytest.approx(12000)
    assert flows[f.BATTERY_OUT] == pytest.approx(2000 + 0.012 * (14000 / 53.5) ** 2)
    flows, _ = one_step(QUIET, command(battery_w=-5000), radio_w=9000, transport_w=0)
    assert flows[f.BATTERY_IN] == pytest.approx(3000 - 0.012 * (9000 / 53.5) ** 2)


@pytest.mark.parametrize("cells_c", [-0.1, 55.1, -40.0, 80.0])
def test_no_charge_outside_its_temperatures(cells_c: float) -> None:
    flows, _ = one_step(QUIET, command(battery_w=-3000), battery_c=cells_c)
    assert flows[f.BATTERY_IN] == 0
    discharge, _ = one_step(QUIET, command(battery_w=3000), battery_c=cells_c)
    assert (discharge[f.BATTERY_OUT] > 0) == (-20 <= cells_c <= 60)


def test_a_pack_too_cold_to_help_drops_the_loads_with_the_mains() -> None:
    flows, state = one_step(QUIET, command(), battery_c=-25, mains=False)
    assert state.lvd_stage[0] == 2
    assert flows[f.RADIO_SHED] + flows[f.TRANSPORT_SHED] == 3300
    assert flows[f.AC_SHED] == 500


def test_an_aged_pack_holds_less() -> None:
    _, state = one_step(QUIET, command(), soc=1.0, health=0.6)
    assert state.stored_wh[0] == pytest.approx(0.6 * 10240)
    plant, state = sites(QUIET, soc=0.9, health=0.6)
    for _ in range(10):
        step(plant, state, inputs(), command(battery_w=-5000), 3600)
    assert state.stored_wh[0] == pytest.approx(state.health[0] * 10240, rel=1e-4)


def outage(spec: Any, step_s: float, hours: float, soc: float, **given: Any) -> tuple[Any, list[Any]]:
    plant, state = sites(spec, soc=soc)
    count = int(hours * 3600 / step_s)
    dark = inputs(mains=False, **given)
    return state, [step(plant, state, dark, command(battery_w=-5000), step_s)[0] for _ in range(count)]


def test_an_outage_sheds_radio_first_and_transport_last() -> None:
    state, flows = outage(QUIET, 60, 3, 0.5)
    radio_h = sum(x[f.RADIO] > 0 for x in flows) / 60
    transport_h = sum(x[f.TRANSPORT] > 0 for x in flows) / 60
    assert radio_h == pytest.approx(0.4 * 10240 * 0.98 / (3300 + CABLES_W), abs=0.02)
    assert transport_h - radio_h == pytest.approx(0.05 * 10240 * 0.98 / 300.4, abs=0.02)
    assert state.lvd_stage[0] == 2
    assert state.stored_wh[0] == pytest.approx(0.05 * 10240 * state.health[0], rel=1e-3)
    assert all(x[f.AC_LOAD] == x[f.GRID_IMPORT] == x[f.RECTIFIER_IN] == 0 for x in flows)


def test_an_outage_by_day_is_carried_by_the_sun() -> None:
    state, flows = outage(SUNNY, 900, 2, 0.5, pv_w=3000, radio_w=1000)
    surplus_w = 2850 - 1300 - 0.012 * (1300 / 53.5) ** 2
    assert flows[0][f.BATTERY_IN] == pytest.approx(surplus_w)
    assert state.stored_wh[0] > 5120 + 1.9 * surplus_w * 0.98
    assert all(x[f.RADIO_SHED] == 0 for x in flows)


def test_loads_come_back_with_the_mains_and_some_charge() -> None:
    plant, state = sites(QUIET, soc=0.12)
    for _ in range(8):
        step(plant, state, inputs(mains=False), command(), 900)
    assert state.lvd_stage[0] == 2
    at, empty_wh = {}, state.stored_wh[0]
    for minute in range(40):
        step(plant, state, inputs(), command(battery_w=-5000), 60)
        at.setdefault(int(state.lvd_stage[0]), (minute, state.stored_wh[0]))
    assert at[1][1] >= 0.15 * 10240 * state.health[0]
    assert at[0][1] >= 0.20 * 10240 * state.health[0]
    assert at[1][0] < at[0][0] < 30
    # without any charge, they wait for the mains to last
    state.stored_wh[0], state.lvd_stage[0] = empty_wh, 2
    stages = []
    for _ in range(40):
        step(plant, state, inputs(), command(battery_w=500), 60)
        stages.append(int(state.lvd_stage[0]))
        assert stages[-1] == 0 or state.stored_wh[0] == empty_wh
    assert stages == [2] * 30 + [0] * 10


def test_a_wish_that_is_no_number_is_no_wish() -> None:
    flows, state = one_step(QUIET, command(battery_w=np.nan))
    assert flows[f.BATTERY_IN] == flows[f.BATTERY_OUT] == 0
    for wish_w in (np.inf, -np.inf, 1e300):
        flows, _ = one_step(QUIET, command(battery_w=wish_w))
        assert np.isfinite(flows).all()
        assert not leaks(flows[None], 900).any()
    assert state.stored_wh[0] == 5120


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"radio_w": np.array([-1.0])}, "radio_w must be finite and not negative"),
        ({"pv_w": np.array([np.nan])}, "pv_w must be finite"),
        ({"battery_c": np.array([np.inf])}, "battery_c must be finite"),
        ({"mains": np.ones(1)}, "mains must be bool"),
        ({"ac_load_w": np.zeros(2)}, r"ac_load_w must have shape \(1,\)"),
    ],
)
def test_inputs_that_cannot_be_are_refused(change: dict[str, Any], complaint: str) -> None:
    plant, state = sites(QUIET)
    with pytest.raises(ValueError, match=complaint):
        step(plant, state, inputs()._replace(**change), command(), 900)
    with pytest.raises(ValueError, match="import_cap_w"):
        step(plant, state, inputs(), command(cap_w=-1.0), 900)
    with pytest.raises(ValueError, match="step_s"):
        step(plant, state, inputs(), command(), 0)
    with pytest.raises(ValueError, match=r"soc must lie in 0\.\.1"):
        start_state(plant, np.array([1.1]), np.ones(1))


@pytest.mark.parametrize("name", NAMES)
def test_results_do_not_depend_on_the_length_of_a_step(name: str) -> None:
    """Five days of loads, weather, wishes and outages that change each hour, in steps of 5, 15 and 60 min."""
    rng = np.random.default_rng(11)
    n, hours = 30, 120
    met = Inputs(
        rng.uniform(0, 5000, (hours, n)),
        rng.uniform(100, 500, (hours, n)),
        rng.uniform(0, 1500, (hours, n)),
        rng.uniform(0, 4000, (hours, n)) * (rng.random((hours, n)) < 0.5),
        np.clip(25 + rng.normal(0, 12, (hours, n)), -25, 58),
        rng.random((hours, n)) < 0.85,
    )
    wish = Command(
        rng.uniform(-5000, 5000, (hours, n)),
        np.where(rng.random((hours, n)) < 0.5, np.inf, rng.uniform(2000, 9000, (hours, n))),
        np.full((hours, n), 500.0),
    )
    plant = make_plant([catalogue(name)] * n)
    ends, sums = [], []
    for step_s in (300, 900, 3600):
        state, total = start_state(plant, np.full(n, 0.6), np.full(n, 0.9)), np.zeros((n, f.N_FLOWS))
        for hour in range(hours):
            now, want = Inputs(*(x[hour] for x in met)), Command(*(x[hour] for x in wish))
            for _ in range(3600 // step_s):
                total += step(plant, state, now, want, step_s) * (step_s / 3600)
        ends.append(np.stack([state.stored_wh, 1 - state.health, state.cycle_damage]))
        sums.append(total[:, : f.STORED_BEFORE])
    for end, total in zip(ends[1:], sums[1:], strict=True):
        assert end == pytest.approx(ends[0], rel=0.005)
        assert total == pytest.approx(sums[0], rel=0.005, abs=1e-3)
