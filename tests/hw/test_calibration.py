"""Calibrations of synthetic networks whose truth is known."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hw.calibration import Calibration, Measurements, cross_validate, fit_power, make_world, predict
from hw.calibration.clock import estimate_clocks
from hw.calibration.measurements import pair, without_absurd
from hw.calibration.model import LevelFit
from hw.errors import WorldError

HOURS = 96
NIGHT = (np.arange(HOURS) % 24 >= 1) & (np.arange(HOURS) % 24 < 6)
EFFECT = -0.4


def network(
    n_sites: int = 12,
    *,
    cells: int = 1,
    n_resting: int = 12,
    effect: float = EFFECT,
    noise: float = 0.005,
    lag: int = 0,
    seed: int = 0,
    **change: Any,
) -> Measurements:
    """Stations of two products, A and B in turn. ``n_resting`` of them rest on three nights of four.

    A cell draws (10 + 8 load + 2 sqrt(load)) x size of its station, B 1.5 times as much; ``lag`` moves the
    load behind the energy.
    """
    rng = np.random.default_rng(seed)
    n = n_sites * cells
    site = np.repeat(np.arange(n_sites), cells)
    product = np.array(["A", "B"])[site % 2]
    day = 0.4 + 0.35 * np.sin(2 * np.pi * (np.arange(HOURS) - 9) / 24)
    load = np.clip(day * rng.uniform(0.5, 1.2, (n, 1)) * rng.lognormal(0, 0.25, (n, HOURS)), 0.01, 0.95)
    quiet = np.arange(HOURS) % 24 < 8
    load[:, quiet] = rng.uniform(0.005, 0.03, (n, int(quiet.sum())))
    rest = np.zeros((n, HOURS))
    rest[site < n_resting] = NIGHT & (np.arange(HOURS) // 24 != 2)
    size = rng.uniform(0.9, 1.1, n_sites)[site] * np.where(product == "A", 1.0, 1.5)
    power = size[:, None] * (10 + 8 * load + 2 * np.sqrt(load)) * (1 + effect * rest)
    energy = np.stack([power[site == s].sum(axis=0) for s in range(n_sites)])
    energy *= rng.normal(1, noise, energy.shape)
    if lag:
        load, rest = (np.concatenate([x[:, :lag] * np.nan, x[:, :-lag]], axis=1) for x in (load, rest))
    fields: dict[str, Any] = {
        "site_id": np.array([f"s{s}" for s in range(n_sites)]),
        "cell_id": np.array([f"s{s}/c{c}" for s, c in zip(site, np.arange(n), strict=True)]),
        "site_of_cell": site,
        "product": product,
        "config": np.full(n, "n78"),
        "txru": np.full(n, 4),
        "load": load,
        "energy": energy,
        "step_s": 3600,
        "energy_unit": "norm",
        "activation": {"night_shutdown": rest},
    }
    return Measurements(**fields | change)


def error(fitted: Calibration, m: Measurements) -> float:
    """Weighted error of the calibration on the measurements."""
    found = predict(fitted, m)
    rows = np.isfinite(found) & np.isfinite(m.energy)
    return float(np.abs(found - m.energy)[rows].sum() / m.energy[rows].sum())


def level(fitted: Calibration, product: str = "A", name: str = "night_shutdown") -> LevelFit:
    return fitted.products[product].levels[name]


def test_finds_the_truth() -> None:
    m = network()
    fitted = fit_power(m)
    assert error(fitted, m) < 0.006
    for product in "AB":
        found = level(fitted, product)
        assert found.identified
        assert found.effect == pytest.approx(EFFECT, abs=0.01)
        assert found.effect_low is not None
        assert found.effect_high is not None
        assert found.effect_low <= found.effect <= found.effect_high <= found.effect_low + 0.03
        assert found.n_stations == 6
        assert found.n_steps == 6 * 3 * 5
    ratio = fitted.products["A"].idle_per_full
    assert ratio == pytest.approx(0.5, abs=0.03)
    assert fitted.products["B"].base == pytest.approx(1.5 * (fitted.products["A"].base or 0), rel=0.1)


def test_shape_is_the_curve_of_the_hardware() -> None:
    fitted = fit_power(network(40, noise=0.002))
    values = np.array(fitted.shapes[0].values)
    knots = np.array(fitted.knots)
    seen = knots <= 0.5  # compared where the network has load
    at_half = np.interp(0.5, knots, values)
    truth = (8 * knots + 2 * np.sqrt(knots)) / (4 + 2 * np.sqrt(0.5))
    np.testing.assert_allclose(values[seen][2:] / at_half, truth[seen][2:], atol=0.06)
    assert values[3] / at_half > 0.2 * 1.1  # above the straight line at load 0.1


@pytest.mark.parametrize("lag", [0, 1, 2])
def test_clock_offset_is_found_and_corrected(lag: int) -> None:
    m = network(lag=lag)
    fitted = fit_power(m, compare_as_stamped=True)
    assert [clock.offset_steps for clock in fitted.clocks] == [lag]
    assert level(fitted).effect == pytest.approx(EFFECT, abs=0.01)
    assert error(fitted, m) < 0.006
    as_stamped = level(fitted).effect_as_stamped
    assert as_stamped is not None
    assert as_stamped == pytest.approx(EFFECT, abs=0.01) if lag == 0 else as_stamped > EFFECT + 0.04


def test_cells_of_another_extract_have_a_clock_of_their_own() -> None:
    m = network(16, lag=1)
    ahead = network(16)
    load, rest = m.load.copy(), m.activation["night_shutdown"].copy()
    for cell in range(8):  # recorded for a day only, on the clock of the energy
        load[cell], rest[cell] = np.nan, np.nan
        load[cell, 30:54] = ahead.load[cell, 30:54]
        rest[cell, 30:54] = ahead.activation["night_shutdown"][cell, 30:54]
    clocks = estimate_clocks(replace(m, load=load, activation={"night_shutdown": rest}))
    assert [(clock.n_cells, clock.offset_steps) for clock in clocks] == [(8, 0), (8, 1)]


def test_noise_has_no_clock() -> None:
    rng = np.random.default_rng(3)
    m = network(energy=rng.uniform(5, 15, (12, HOURS)))
    assert [clock.offset_steps for clock in estimate_clocks(m)] == [0]


@pytest.mark.parametrize(("n_resting", "identified"), [(8, False), (10, True)])
def test_a_level_needs_five_stations(n_resting: int, identified: bool) -> None:
    m = network(n_resting=n_resting)  # half of them of product A
    fitted = fit_power(m)
    found = level(fitted)
    assert found.identified is identified
    world = make_world(fitted)
    assert ("night_shutdown" in world.level_names) is identified
    if not identified:
        assert found.reason == "4 stations show it on and off at overlapping load; 5 are needed"
        assert found.effect is None
        others = np.isin(m.site_of_cell, np.arange(n_resting), invert=True)
        assert error(fitted, replace(m, energy=np.where(others[:, None], m.energy, np.nan))) < 0.006


def test_a_level_that_follows_the_load_is_not_identified() -> None:
    m = network(n_resting=0)
    follows = np.clip(0.9 - 2 * m.load, 0, 1)
    seldom = np.zeros_like(m.load)
    seldom[:, ::10] = 0.3
    fitted = fit_power(replace(m, activation={"es_mode6": follows, "es_mode3": seldom}))
    assert (
        level(fitted, name="es_mode6").reason == "6 stations have it on, none on and off at overlapping load"
    )
    assert level(fitted, name="es_mode3").reason == "no station has it on for half of a step or more"
    assert make_world(fitted).level_names == ("full", "symbol")


def test_a_level_is_not_told_apart_by_rows_of_another() -> None:
    """A level that is off only where an identified one is on has no off rows of its own."""
    m = network()
    rest = m.activation["night_shutdown"]
    fitted = fit_power(replace(m, activation={"night_shutdown": rest, "es_mode6": 0.9 * (1 - rest)}))
    assert level(fitted).identified
    assert level(fitted, name="es_mode6").n_stations == 0


def test_a_level_that_costs_energy_is_credited_nothing() -> None:
    fitted = fit_power(network(effect=+0.2))
    assert level(fitted).effect == 0
    assert (level(fitted).effect_low or 0) > 0.1
    world = make_world(fitted)
    np.testing.assert_array_equal(world.power[:, 2], world.power[:, 0])


def test_products_of_one_station_that_rest_together() -> None:
    """They can hardly be told apart: their effects stay near the one they have together.

    What the level saves falls with load, which the model does not know; told apart by that, one product would
    save more than it draws.
    """
    m = network(20, cells=2, n_resting=0, noise=0.01)
    rest = np.zeros_like(m.load)
    rest[:24] = (np.arange(HOURS) % 24 < 9) | (np.arange(HOURS) % 24 >= 20)
    saved = np.stack([(2 * rest * (1 - m.load))[m.site_of_cell == s].sum(axis=0) for s in range(20)])
    product = np.array(["A", "B"] * 20)
    fitted = fit_power(
        replace(m, product=product, energy=m.energy - saved, activation={"night_shutdown": rest})
    )
    effects = [level(fitted, p).effect or 0 for p in "AB"]
    assert np.mean(effects) == pytest.approx(-0.15, abs=0.05)
    assert max(effects) - min(effects) < 0.15


def test_a_step_without_load_shows_no_level() -> None:
    m = network(8, cells=2, n_resting=8)
    rest = m.activation["night_shutdown"].copy()
    rest[::2] = 0
    load = np.where(rest > 0, np.nan, m.load)
    fitted = fit_power(replace(m, load=load, activation={"night_shutdown": rest}))
    assert fitted.products["A"].levels == {}


def test_a_few_outliers_do_not_bend_the_curve() -> None:
    m = network(n_resting=0)
    plain = fit_power(m)
    high = m.load > np.quantile(m.load, 0.97)  # one product's outliers, where they tilt the curve
    spoiled = fit_power(
        replace(m, energy=np.where(high & (np.arange(12) % 2 == 0)[:, None], 3, 1) * m.energy)
    )
    for site in range(0, 12, 2):
        assert spoiled.stations[site].base == pytest.approx(plain.stations[site].base, rel=0.05)


def test_an_unrecorded_cell_stands_in_from_the_others() -> None:
    m = network(6, cells=2, n_resting=0)
    load = m.load.copy()
    load[1::2] = 0.1 + 0.5 * load[::2]  # the second cell follows the first
    hidden = load.copy()
    hidden[1::2][:, np.random.default_rng(5).random(HOURS) < 0.6] = np.nan
    rows = pair(replace(m, load=hidden), np.zeros(12, np.intp), np.ones((6, HOURS), np.bool_))
    for site in rows:
        np.testing.assert_allclose(site.load, load[site.cells].T, atol=0.1)  # within the recorded range
        assert np.abs(site.load - load[site.cells].T).mean() < 0.005
        np.testing.assert_array_equal(site.recorded, np.isfinite(hidden[site.cells].T))


def test_absurd_energy_is_set_aside_and_counted() -> None:
    m = network()
    rng = np.random.default_rng(1)
    bad = rng.random(m.energy.shape) < 0.02
    spoiled = replace(m, energy=np.where(bad, 1000 * m.energy, m.energy))
    kept, count = without_absurd(spoiled)
    assert count == bad.sum()
    np.testing.assert_array_equal(np.isnan(kept.energy), bad)
    errors = cross_validate(spoiled, lambda done: None).unseen_hours
    assert errors is not None
    assert errors.wmape < 0.01
    assert errors.n_steps == (~bad).sum()
    fitted = fit_power(spoiled)
    assert fitted.n_steps_absurd == bad.sum()
    assert level(fitted).effect == pytest.approx(EFFECT, abs=0.01)


def test_cross_validation_on_hours_days_and_stations() -> None:
    found = cross_validate(network(), lambda done: None)
    assert found.unseen_hours is not None
    assert found.unseen_days is not None
    assert found.unseen_stations is not None
    assert found.unseen_hours_as_stamped is None
    assert 0.003 < found.unseen_hours.wmape < 0.008
    assert found.unseen_hours.wmape < found.unseen_hours.wmape_lines
    assert found.unseen_days.wmape < 0.01
    assert 0.01 < found.unseen_stations.wmape < 0.1  # sizes differ by up to 10 %
    assert found.unseen_hours.n_steps == 12 * HOURS
    assert set(found.unseen_hours.by_product) == {"A", "B"}


def test_unseen_stations_are_unseen() -> None:
    """A station unlike all others is missed by what it is unlike, or its energy was used."""
    m = network()
    energy = m.energy.copy()
    energy[0] *= 5
    found = cross_validate(replace(m, energy=energy), lambda done: None)
    assert found.unseen_stations is not None
    assert found.unseen_hours is not None
    share = energy[0].sum() / energy.sum()
    assert found.unseen_stations.wmape > 0.7 * share
    assert found.unseen_hours.wmape < 0.02


@pytest.mark.parametrize("n_hours", [1, 5, 30])
def test_one_station(n_hours: int) -> None:
    m = network(1, n_resting=0, load=network(1).load)
    energy = np.where(np.arange(HOURS) < n_hours, m.energy, np.nan)
    m = replace(m, energy=energy)
    fitted = fit_power(m)
    assert error(fitted, m) < 0.02
    found = cross_validate(m, lambda done: None)
    assert found.unseen_stations is None
    assert (found.unseen_hours is None) == (n_hours == 1)


def test_what_cannot_be_fitted_says_why() -> None:
    m = network()
    with pytest.raises(WorldError, match="no step has a measured energy"):
        replace(m, energy=np.full_like(m.energy, np.nan))
    with pytest.raises(WorldError, match="must be above zero"):
        replace(m, energy=np.zeros_like(m.energy))
    with pytest.raises(WorldError, match="activation night_shutdown has shape"):
        replace(m, activation={"night_shutdown": m.load[:, 1:]})
    early = np.arange(HOURS) < 40
    apart = replace(m, load=np.where(early, m.load, np.nan), energy=np.where(early, np.nan, m.energy))
    with pytest.raises(WorldError, match="no step has both"):
        fit_power(replace(apart, energy=np.where(np.arange(HOURS) < 60, np.nan, m.energy)))


@settings(max_examples=25, deadline=None)
@given(st.floats(1e-6, 1e6), st.integers(0, 5))
def test_scale_of_energy_does_not_matter(scale: float, seed: int) -> None:
    m = network(4, cells=2, n_resting=4, seed=seed)
    plain, scaled = fit_power(m), fit_power(replace(m, energy=m.energy * scale))
    np.testing.assert_allclose(predict(scaled, m), scale * predict(plain, m), rtol=1e-4)
