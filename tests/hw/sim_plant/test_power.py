"""Site power of the simulated plant: safe charging by itself, limits held, reserve kept."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hw.ports import PowerSetting
from hw.power import flows as f
from hw.power.plant import make_plant, start_state, step
from hw.sim_plant.faults import Fault
from hw.sim_plant.power import PowerSim
from tests.hw.power.plants import catalogue, command, inputs
from tests.hw.sim_plant.made import RADIO_W, M, at, sites

ALL = np.arange(M)


def put(sim: PowerSim, battery_w: float, samples: float, until: float | None = None, **more: Any) -> Any:
    usual = {
        "import_limit_w": np.inf,
        "is_safe": False,
        "radio_ratio": 1.0,
        "keeps_transport": True,
        "extends": False,
    } | more
    arrays: dict[str, Any] = {name: np.full(M, value) for name, value in usual.items()}
    until_us = np.full(M, 0 if until is None else at(until))
    setting = PowerSetting(site=ALL, battery_w=np.full(M, battery_w), until_us=until_us, **arrays)
    return sim.apply(setting, at(samples))


def last(sim: PowerSim, name: str) -> float:
    return float(getattr(sim.samples.after(sim.samples.last - 1)[0], name)[0])


def test_a_setpoint_over_whole_samples_is_what_the_physics_makes_of_it() -> None:
    sim = sites()
    assert put(sim, 1000.0, 0).all()
    sim.advance(at(5))
    plant = make_plant([catalogue()])
    state = start_state(plant, np.array([0.5]), np.array([1.0]))
    for sample in sim.samples.after(0):
        flows = step(plant, state, inputs(radio_w=RADIO_W), command(battery_w=1000.0), 60.0)[0]
        assert sample.stored_wh[0] == state.stored_wh[0]
        assert sample.import_w[0] == pytest.approx(flows[f.GRID_IMPORT])
        assert sample.battery_a[0] == pytest.approx(1000 / 53.5)
        assert sample.load_w[0] == 3300
        assert 3.2 < sample.cell_v[0] < 3.35
    assert sim.battery_w[0] == 1000


def test_a_timer_in_the_middle_of_a_sample_ends_the_discharge_then() -> None:
    sim = sites()
    put(sim, 1000.0, 0, until=1.25)
    sim.advance(at(1.2))
    assert not sim.is_safe.any()
    sim.advance(at(2))
    assert sim.is_safe.all()
    charging_w = 0.5 * 10240
    assert last(sim, "battery_a") * 53.5 == pytest.approx(0.25 * 1000 - 0.75 * charging_w, rel=1e-3)
    sim.advance(at(3))
    assert sim.battery_w[0] == pytest.approx(-charging_w, rel=1e-3)


def test_safe_charging_fills_the_pack_under_the_cap_of_the_connection() -> None:
    free, capped = sites(soc=0.97), sites(soc=0.97, cap_w=4500.0)
    for sim in (free, capped):
        sim.advance(at(3))
    assert last(free, "import_w") > 4600
    assert last(capped, "import_w") <= 4500
    free.advance(at(120))
    assert last(free, "soc") == pytest.approx(1, abs=1e-4)
    assert last(free, "battery_a") <= 0


def test_an_import_limit_is_held_by_the_battery() -> None:
    sim = sites()
    put(sim, 0.0, 0, import_limit_w=3000.0)
    sim.advance(at(3))
    assert last(sim, "import_w") == pytest.approx(3000, rel=0.01)
    assert last(sim, "battery_a") > 0


@settings(max_examples=20)
@given(
    steps=st.lists(
        st.tuples(st.floats(0, 2), st.floats(-9000, 9000), st.floats(-1, 5), st.floats(0, 9000)), max_size=5
    ),
    soc=st.floats(0.38, 0.42),  # the reserve is at 0.39
)
def test_no_setpoint_takes_a_site_with_mains_below_its_reserve(
    steps: list[tuple[float, float, float, float]], soc: float
) -> None:
    sim, now, ends = sites(soc), 0.0, np.inf
    for passed, battery_w, timer, limit_w in steps:
        now += passed
        if put(sim, battery_w, now, until=now + timer, import_limit_w=limit_w).all():
            ends = now + timer
        before_wh = sim.state.stored_wh[0]
        sim.advance(at(now + 10 * passed))
        now += 10 * passed
        lost_wh = 0.1  # by self-discharge
        assert sim.state.stored_wh[0] >= min(before_wh, 4000.0) - lost_wh
        assert sim.is_safe.all() == (np.isinf(ends) or at(ends) <= at(now))


def test_a_discharge_ends_at_the_reserve() -> None:
    sim = sites(soc=0.4)
    put(sim, 3000.0, 0)
    sim.advance(at(20))
    assert not sim.is_safe.any()
    np.testing.assert_allclose(sim.state.stored_wh, 4000.0, atol=0.1)  # self-discharge goes on


def test_a_mains_failure_is_carried_by_the_pack_for_what_the_setpoint_keeps() -> None:
    sim = sites(soc=0.6, mains=[True, False])
    put(sim, 0.0, 9, radio_ratio=0.5, until=15)
    sim.advance(at(12))
    assert not sim.samples.after(sim.samples.last - 1)[0].mains.any()
    assert last(sim, "load_w") == pytest.approx(1800)
    sim.advance(at(16.5))  # nobody renewed it: all radios are wanted again
    assert last(sim, "load_w") == pytest.approx(3300)
    assert last(sim, "battery_a") > 0
    put(sim, 0.0, 17, radio_ratio=0.0, keeps_transport=False)
    sim.advance(at(19))
    assert last(sim, "load_w") == 0


def test_faults_of_site_power() -> None:
    sim = sites()
    sim.inject(Fault.OUTAGE, np.array([0]), at(0), heals=False)
    sim.inject(Fault.STUCK_RELAY, np.array([1]), at(0), heals=False)
    sim.inject(Fault.LOCAL_CONTROL, np.array([2]), at(0), heals=False)
    np.testing.assert_array_equal(put(sim, 800.0, 0), [True, True, False])
    np.testing.assert_array_equal(sim.is_safe, [False, True, True])
    sim.inject(Fault.WRONG_UNIT, np.array([1]), at(1), heals=False)
    sim.advance(at(2))
    first, second = sim.samples.after(0)
    np.testing.assert_array_equal(second.mains, [False, True, True])
    assert second.soc[1] == pytest.approx(100 * first.soc[1], rel=0.05)
    sim.inject(Fault.FROZEN_COUNTERS, ALL, at(2), heals=False)
    sim.advance(at(4))
    for name in ("soc", "import_w", "mains"):
        np.testing.assert_array_equal(getattr(sim.samples.after(3)[0], name), getattr(second, name))
    sim.inject(Fault.OUTAGE, ALL, at(4), heals=True)
    sim.inject(Fault.FROZEN_COUNTERS, ALL, at(4), heals=True)
    sim.advance(at(5))
    assert sim.samples.after(4)[0].mains.all()
    sim.inject(Fault.PARTIAL, ALL, at(5), heals=False)
    np.testing.assert_array_equal(put(sim, 0.0, 5, is_safe=True), [True, False, True])
    np.testing.assert_array_equal(put(sim, np.nan, 6), [False, False, False])
