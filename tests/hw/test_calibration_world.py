"""Worlds made from calibrations of the synthetic networks of test_calibration.py."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hw.calibration import fit_power, make_world, predict
from hw.world import LOAD_BINS, World

_spec = importlib.util.spec_from_file_location("networks", Path(__file__).with_name("test_calibration.py"))
assert _spec is not None
assert _spec.loader is not None
_networks = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_networks)
EFFECT, HOURS = _networks.EFFECT, _networks.HOURS
level, network = _networks.level, _networks.network


def check_world(world: World) -> None:
    """Rises with load, never draws more asleep than awake, symbol as full."""
    awake = world.power[:, :1]
    assert (np.diff(world.power[:, 0], axis=1) >= 0).all()
    assert (world.power <= awake).all()
    np.testing.assert_array_equal(world.power[:, 0], world.power[:, 1])
    assert (world.capacity_ratio[:, :2] == 1).all()
    assert world.has_level[:, :2].all()


def test_world_credits_the_observed_load_range_only() -> None:
    m = network()
    fitted = fit_power(m)
    world = make_world(fitted)
    check_world(world)
    assert world.level_names == ("full", "symbol", "night_shutdown")
    assert world.wake_s.tolist() == [0, 0, 60]
    assert not world.asleep.any()
    load_max = level(fitted).load_max
    assert load_max is not None
    assert load_max == pytest.approx(0.03, abs=0.002)
    row = world.model_of_product["s0/c0"]
    assert world.capacity_ratio[row, 2] == np.float32(load_max)
    last = int(np.ceil(load_max * LOAD_BINS))
    ratio = world.power[row, 2] / world.power[row, 0]
    np.testing.assert_allclose(
        ratio[: last + 1], 1 + fitted.stations[0].cells[0].effects["night_shutdown"], rtol=1e-6
    )
    assert (ratio[last + 1 :] == 1).all()


def test_world_knows_every_cell_every_product_and_strangers() -> None:
    m = network()
    unmeasured = replace(m, energy=np.where(np.arange(12)[:, None] >= 10, np.nan, m.energy))
    world = make_world(fit_power(unmeasured))
    ids = np.array([*m.cell_id, "new", "new too"])
    rows = world.models_of(np.array([*m.product, "A", "Z"]), ids)
    assert len(set(rows[:10])) == 10
    assert world.has_level[rows[:-1], 2].all()
    assert not world.has_level[rows[-1], 2]
    assert world.parameters["cells_without_measured_energy"] == 2
    kind = world.power[rows[10], 0]  # an unmeasured A draws about the middle of the others
    others = world.power[rows[[0, 2, 4, 6, 8]], 0]
    assert (others.min(axis=0) <= kind).all()
    assert (kind <= others.max(axis=0)).all()


def test_world_is_what_predicts() -> None:
    """Naive twin: the energy of a step, added up cell by cell from the world's tables."""
    m = network(6, cells=3, n_resting=6, lag=1)
    rest = m.activation["night_shutdown"] * 0.7
    m = replace(m, activation={"night_shutdown": rest}, product=np.full(18, "A"))
    fitted = fit_power(m)
    world = make_world(fitted)
    found = predict(fitted, m)
    for site in range(6):
        for step in (1, 25, 40, 90):
            total = 0.0
            for cell in np.flatnonzero(m.site_of_cell == site):
                row = world.model_of_product[m.cell_id[cell]]
                share, load = rest[cell, step + 1], m.load[cell, step + 1]
                at = np.interp(load * LOAD_BINS, np.arange(LOAD_BINS + 1), world.power[row, 0])
                effect = fitted.stations[site].cells[cell % 3].effects["night_shutdown"]
                total += float(at * (1 + effect * share))
            assert found[site, step] == pytest.approx(total, rel=1e-4)
    assert np.isnan(found[:, -1]).all()  # no load belongs to the last step


def test_energy_unit_and_step_set_the_power() -> None:
    hourly = make_world(fit_power(network()))
    quarter = make_world(fit_power(replace(network(), step_s=900)))
    np.testing.assert_allclose(quarter.power, 4 * hourly.power, rtol=1e-6)
    assert hourly.power_unit == "norm per h"
    assert hourly.watt_per_unit is None
    watt = make_world(fit_power(replace(network(), energy_unit="Wh")))
    assert (watt.power_unit, watt.watt_per_unit) == ("W", 1.0)


def test_off_air_levels_carry_nothing() -> None:
    m = network()
    world = make_world(fit_power(replace(m, activation={"carrier_shutdown": m.activation["night_shutdown"]})))
    assert world.level_names == ("full", "symbol", "carrier_shutdown")
    assert world.asleep.tolist() == [False, False, True]
    assert (world.rate_ratio[:, 2] == 0).all()
    row = world.model_of_product["s0/c0"]
    assert world.capacity_ratio[row, 2] == 0
    assert world.power[row, 2, 0] / world.power[row, 0, 0] == pytest.approx(1 + EFFECT, abs=0.03)


def test_constant_energy() -> None:
    fitted = fit_power(network(energy=np.full((12, HOURS), 7.0)))
    world = make_world(fitted)
    check_world(world)
    rows = [world.model_of_product[f"s{i}/c{i}"] for i in range(12)]
    np.testing.assert_allclose(world.power[rows], 7, rtol=0.01)
    assert level(fitted).effect == pytest.approx(0, abs=0.001)


def test_more_txru_of_a_known_product_are_scaled() -> None:
    """A kind that was never measured follows its number of TxRU."""
    m = network(n_resting=0)
    txru = np.where(np.arange(12) == 0, 8, 4)
    world = make_world(
        fit_power(replace(m, txru=txru, energy=np.where(np.arange(12)[:, None] < 1, np.nan, m.energy)))
    )
    four, eight = (world.power[world.model_of_product[c], 0] for c in ("s2/c2", "s0/c0"))
    assert (eight[-1] - eight[0]) / (four[-1] - four[0]) == pytest.approx(2, rel=0.25)
    assert 1.1 < eight[0] / four[0] < 1.4


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_world_is_sound_whatever_was_measured(data: st.DataObject) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 10**6)))
    cells = data.draw(st.integers(1, 3))
    m = network(8, cells=cells, n_resting=8, seed=int(rng.integers(99)))
    kind = data.draw(st.sampled_from(["true", "random", "constant", "proportional"]))
    energy = {
        "true": m.energy,
        "random": rng.lognormal(0, 2, m.energy.shape),
        "constant": np.ones_like(m.energy),
        "proportional": np.stack([m.load[m.site_of_cell == s].sum(axis=0) for s in range(8)]),
    }[kind]
    load = np.where(rng.random(m.load.shape) < data.draw(st.sampled_from([0.0, 0.3, 0.9])), np.nan, m.load)
    energy = np.where(rng.random(energy.shape) < data.draw(st.sampled_from([0.0, 0.5, 0.9])), np.nan, energy)
    products = rng.choice(["A", "B", ""], size=8 * cells)
    rest = np.where(rng.random(m.load.shape) < 0.2, rng.random(m.load.shape), m.activation["night_shutdown"])
    measured = replace(m, load=load, energy=energy, product=products, activation={"night_shutdown": rest})
    fitted = fit_power(measured)
    check_world(make_world(fitted))
    found = predict(fitted, measured)
    assert (found[np.isfinite(found)] >= 0).all()
    np.testing.assert_array_equal(predict(fitted, measured), found)
