"""The parts of the generator against identities and naive twins."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from traces.synth.clock import make_clock
from traces.synth.demand import averaged_sigma, correlated_noise, sector_demand
from traces.synth.measure import hand_over, rates_mbit_s, saturated, significant, split_over_layers
from traces.synth.saving import Night, plan_night, site_energy_wh
from traces.synth.shapes import AREA_TYPES, AREAS, day_table
from traces.synthesis import SynthSpec, generate

SPEC = SynthSpec(n_sites=2, days=2, step_s=900, seed=4)


@pytest.mark.parametrize("area", AREA_TYPES)
def test_day_tables_have_mean_one_and_a_quiet_night(area: str) -> None:
    table = day_table(area)  # type: ignore[arg-type]
    assert table[0].mean() == pytest.approx(1)
    assert table[1].mean() == pytest.approx(AREAS[area].weekend_ratio)  # type: ignore[index]
    assert (table > 0).all()
    night, day = table[0, 2 * 60 : 5 * 60].mean(), table[0, 9 * 60 : 22 * 60].mean()
    assert night < 0.5 * day
    jumps = np.abs(np.diff(table, axis=1, append=table[:, :1]))
    assert jumps.max() < 0.05  # no step, not even at midnight


def test_averaged_sigma_is_that_of_averaged_noise() -> None:
    fine = correlated_noise(np.random.default_rng(1), (4000, 60), 1.0, 300.0, 15.0)
    fine /= averaged_sigma(1.0, 300.0, 15.0)  # the twin: a fine path of unit variance, averaged over 15 min
    assert fine.mean(axis=1).std() == pytest.approx(averaged_sigma(1.0, 300.0, 900.0), rel=0.03)


def test_noise_has_the_same_spread_from_the_first_step_on() -> None:
    noise = correlated_noise(np.random.default_rng(2), (20_000, 40), 0.5, 3600.0, 900.0)
    expected = averaged_sigma(0.5, 3600.0, 900.0)
    np.testing.assert_allclose(noise.std(axis=0), expected, rtol=0.03)
    lagged = np.corrcoef(noise[:, 10], noise[:, 14])[0, 1]
    assert lagged == pytest.approx(np.exp(-1), abs=0.03)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32), layers=st.integers(1, 3), site=st.integers(0, 10**6))
def test_layers_together_carry_what_the_sector_is_offered(seed: int, layers: int, site: int) -> None:
    spec = SynthSpec(layers=layers, days=1, step_s=3600, seed=seed)
    demand = np.random.default_rng(seed).random((3, 24))
    offered = split_over_layers(spec, site, demand)
    rates = rates_mbit_s(spec)
    np.testing.assert_allclose((offered * rates[:, None]).sum(axis=1), demand * rates.sum())
    assert (offered > 0).all()


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32), layers=st.integers(2, 3))
def test_what_a_sleeping_cell_sheds_lands_on_the_coverage_cell(seed: int, layers: int) -> None:
    spec = SynthSpec(layers=layers, days=1, step_s=3600)
    random = np.random.default_rng(seed)
    offered = random.random((3, layers, 24))
    asleep = random.integers(0, 2, offered.shape).astype(float)
    asleep[:, 0] = 0
    kept = hand_over(spec, offered, Night(np.zeros_like(asleep), asleep))
    rates = rates_mbit_s(spec)[:, None]
    np.testing.assert_allclose((kept * rates).sum(axis=1), (offered * rates).sum(axis=1))
    assert (kept[asleep == 1] == 0).all()
    np.testing.assert_array_equal(kept[:, 1:][asleep[:, 1:] == 0], offered[:, 1:][asleep[:, 1:] == 0])


@given(st.lists(st.floats(0, 50), min_size=2))
def test_a_load_never_falls_with_the_offer_and_stays_below_one(offers: list[float]) -> None:
    load = saturated(np.sort(offers))
    assert (np.diff(load) >= -1e-12).all()
    assert load.min() >= 0
    assert load.max() < 1
    low = saturated(np.array([0.01, 0.2, 0.5]))
    np.testing.assert_allclose(low, [0.01, 0.2, 0.5], rtol=0.005)


@given(st.floats(1, 1e15))
def test_three_significant_digits(value: float) -> None:
    rounded = float(significant(np.array([value]))[0])
    assert rounded == pytest.approx(float(f"{value:.2e}"), rel=1e-9) or rounded == pytest.approx(
        value, rel=5e-3
    )
    assert significant(np.zeros(1))[0] == 0


def test_demand_repeats_by_day_and_differs_at_the_weekend() -> None:
    spec = SynthSpec(n_sites=1, days=28, step_s=3600, bursts_per_sector_day=0, median_load=0.2)
    clock = make_clock(spec)
    table = day_table("business")
    demand = np.mean([sector_demand(spec, clock, table, "business", site) for site in range(30)], axis=(0, 1))
    weekend = demand[clock.is_weekend].mean() / demand[~clock.is_weekend].mean()
    assert weekend == pytest.approx(AREAS["business"].weekend_ratio, abs=0.06)
    hourly = demand[~clock.is_weekend].reshape(-1, 24).mean(axis=0)
    np.testing.assert_allclose(hourly / hourly.mean(), table[0].reshape(24, 60).mean(axis=1), atol=0.15)


def test_bursts_add_traffic_that_fades() -> None:
    spec = SynthSpec(n_sites=1, days=7, step_s=300, bursts_per_sector_day=4)
    clock, table = make_clock(spec), day_table("rural")
    calm = sector_demand(
        spec.model_copy(update={"bursts_per_sector_day": 0.0}), clock, table, "rural", site=0
    )
    extra = sector_demand(spec, clock, table, "rural", site=0) - calm
    assert (extra >= -1e-12).all()
    assert extra.max() > 0.05
    after = extra[:, 1:] / np.maximum(extra[:, :-1], 1e-9)
    fading = after[(extra[:, :-1] > 1e-3) & (after < 1)]
    np.testing.assert_allclose(fading, np.exp(-300 / 1200), rtol=1e-3)


def test_only_quiet_capacity_cells_with_room_sleep_and_only_at_night() -> None:
    clock = make_clock(SPEC)
    offered = np.full((3, 3, SPEC.n_steps), 0.05)
    offered[1, 0] = 0.9  # sector 1: no room on the coverage cell
    offered[2, 2] = 0.5  # sector 2: one capacity cell is busy
    night = plan_night(clock, offered)
    hour = clock.local_hour
    window = (hour >= 1) & (hour < 5)
    assert not night.carrier_shutdown[:, :, ~window].any()
    asleep = night.carrier_shutdown[:, :, window]
    assert asleep[0, 1:].all()
    assert not asleep[:, 0].any()
    assert not asleep[1].any()
    assert asleep[2, 1].all()
    assert not asleep[2, 2].any()
    np.testing.assert_array_equal(night.symbol * night.carrier_shutdown, 0)
    assert night.symbol[:, :, (hour < 1) | (hour >= 22)].all()
    assert not night.symbol[:, :, (hour > 8) & (hour < 22)].any()


def test_energy_rises_with_load_and_falls_with_sleep() -> None:
    shape = (3, 3, SPEC.n_steps)
    none, all_night = np.zeros(shape), np.ones(shape)
    idle = site_energy_wh(SPEC, 0, none, Night(none, none))
    assert idle.mean() * 4 == pytest.approx(300 + 9 * 504, rel=0.01)  # 15 min steps, baseband and nine radios
    loaded = site_energy_wh(SPEC, 0, all_night, Night(none, none))
    assert loaded.mean() * 4 == pytest.approx(300 + 9 * 840, rel=0.01)
    symbol = site_energy_wh(SPEC, 0, none, Night(all_night, none))
    asleep = site_energy_wh(SPEC, 0, none, Night(none, all_night))
    assert (asleep < symbol).all() and (symbol < idle).all() and (idle < loaded).all()


def test_volume_follows_load_times_rate() -> None:
    trace = generate(SynthSpec(n_sites=20, days=3, step_s=3600))
    assert (
        trace.dl_volume_bit is not None and trace.ul_volume_bit is not None and trace.ul_prb_ratio is not None
    )
    rate_mbit_s = np.where(trace.cells.txru == 32, 850, 1000)[:, None]
    used = trace.dl_prb_ratio > 0.02
    efficiency = (trace.dl_volume_bit / (trace.dl_prb_ratio * rate_mbit_s * 1e6 * 3600 + 1))[used]
    assert 0.8 < np.median(efficiency) < 1.1
    assert efficiency.min() > 0.3 and efficiency.max() < 2.5
    ul_per_dl = trace.ul_prb_ratio[used] / trace.dl_prb_ratio[used]
    assert np.median(ul_per_dl) == pytest.approx(0.25, abs=0.05)
    assert 0.05 < ul_per_dl.std() < 0.25
