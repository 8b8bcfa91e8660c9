"""The forecaster: its filter against a twin in matrices, its quantiles against traffic of a known process."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from controller.forecast.samples import Forecaster
from policies.profile import ForecastProfile, Profile

SPT, TICK_S, SLOTS = 15, 900, 96


def make(n: int, settings: ForecastProfile, *, sample_s: int = 60, tick_s: int = TICK_S) -> Forecaster:
    return Forecaster(n, settings, sample_s=sample_s, tick_s=tick_s)


class Twin:
    """One cell: a Kalman filter of the pair (level, noise) in matrices, with the profile beside it."""

    def __init__(self, s: ForecastProfile, sample_s: int, spt: int, slots: int) -> None:
        self.s, self.spt, self.slots, minutes = s, spt, slots, sample_s / 60
        self.rho = math.exp(-sample_s / s.correlation_s)
        self.drift, self.unprofiled = (
            s.drift_variance_per_min * minutes,
            s.unprofiled_variance_per_min * minutes,
        )
        self.spread_memory = s.spread_memory_h * 3600 / sample_s
        self.wander_memory = s.wander_memory_h * 3600 / (sample_s * spt)
        self.x, self.P = np.array([math.log(0.3), 0.0]), np.diag([1.0, s.noise_sigma**2])
        self.spread = self.wander = 1.0
        self.days: list[list[float]] = [[] for _ in range(slots)]
        self.profile = np.zeros(slots)
        self.seen = 0

    def move(self, slot: int) -> float:
        before = (slot - 1) % self.slots
        if not self.days[slot] or not self.days[before]:
            return 0.0
        return self.s.profile_weight * float(np.clip(self.profile[slot] - self.profile[before], -0.7, 0.7))

    def observe(self, offered: np.ndarray, slot: int) -> None:
        q = self.s.noise_sigma**2
        lags = np.abs(np.subtract.outer(np.arange(self.spt), np.arange(self.spt)))
        mean_noise = q * self.spread * (self.rho**lags).sum() / self.spt**2
        expected = self.x[0] + self.move(slot)
        uncertain = self.P[0, 0] + self.drift * self.wander * len(offered) / 2 + mean_noise
        drift = self.drift * self.wander
        forget, H = np.diag([1.0, self.rho]), np.ones((1, 2))
        values = []
        for sample in offered:
            self.x = forget @ self.x
            self.P = forget @ self.P @ forget + np.diag([drift, q * self.spread * (1 - self.rho**2)])
            if not np.isfinite(sample):
                continue
            value = math.log(max(float(sample), 0.002))
            surprise, variance = value - self.x.sum(), float((H @ self.P @ H.T).item()) + 1e-3
            if self.seen > len(offered):
                excess = min(surprise**2 / variance, 16) - 1
                self.spread = max(0.2, self.spread * (1 + excess / min(self.seen, self.spread_memory)))
            gain = self.P @ H.T / variance
            self.x = self.x + gain[:, 0] * surprise
            left = np.eye(2) - gain @ H
            self.P = left @ self.P @ left.T + 1e-3 * gain @ gain.T
            self.seen += 1
            values.append(value)
        if len(values) == len(offered) and self.seen > 4 * len(values):
            miss = float(np.mean(values)) - expected
            excess = min(miss**2 / uncertain, 16) - 1
            self.wander = float(np.clip(self.wander * (1 + excess / self.wander_memory), 0.4, 20))
            if excess > 8:
                self.P[0, 0] += miss**2 / 4
        if values:
            self.days[slot].append(float(np.mean(values)))
            share = 1 / min(len(self.days[slot]), self.s.profile_memory_days)
            self.profile[slot] += share * (self.days[slot][-1] - self.profile[slot])

    def forecast(self, slot: int) -> list[tuple[float, float]]:
        """Median and standard deviation of the log for the middle of each coming tick."""
        found, moved, unknown = [], 0.0, 0.0
        for h in range(self.s.horizon_ticks):
            at, ahead = (slot + h) % self.slots, self.spt * h + (self.spt + 1) / 2
            moved += self.move(at)
            if not self.days[at]:
                unknown += self.unprofiled * (self.spt if h else ahead)
            forget = np.diag([1.0, self.rho**ahead])
            P = forget @ self.P @ forget
            fresh = self.s.noise_sigma**2 * self.spread * (1 - self.rho ** (2 * ahead))
            variance = P.sum() + ahead * self.drift * self.wander + unknown + fresh
            found.append((self.x[0] + moved + self.rho**ahead * self.x[1], math.sqrt(variance)))
        return found


@pytest.mark.kernel
@given(seed=st.integers(0, 2**32), gaps=st.sampled_from([0.0, 0.1, 0.6]))
@settings(max_examples=12, deadline=None)
def test_filter_and_forecast_are_those_of_the_twin(seed: int, gaps: float, profile: Profile) -> None:
    """Three days of eight ticks: ordinary traffic, zeros, whole ticks missing, a jump."""
    rng = np.random.default_rng(seed)
    spt, slots, n, first = 6, 8, 2, int(rng.integers(0, 8))
    options = profile.forecast.model_copy(update={"correlation_s": 5400.0})
    forecaster = make(n, options, sample_s=1800, tick_s=10800)
    twins = [Twin(options, 1800, spt, slots) for _ in range(n)]
    load = rng.lognormal(-2, 0.5, (n, 3 * slots, spt)).clip(0, 1)
    load[0, 14:] *= 5
    load[rng.random(load.shape) < gaps] = np.nan
    load[1, rng.random(3 * slots) < 0.15] = np.nan
    load[1, rng.random(3 * slots) < 0.1] = 0
    for tick in range(3 * slots):
        slot = (first + tick) % slots
        offered = load[:, tick].astype(np.float32)
        forecaster.observe(offered, slot)
        forecast = forecaster.forecast(slot + 1)
        for i, twin in enumerate(twins):
            twin.observe(offered[i], slot)
            expected = np.array(twin.forecast((slot + 1) % slots))
            np.testing.assert_allclose(forecast.log_median[i], expected[:, 0], rtol=1e-6, atol=1e-6)
            np.testing.assert_allclose(forecast.log_sd[i], expected[:, 1], rtol=1e-6)
            assert forecast.known[i] == (twin.seen > 0)


def draw_traffic(
    rng: np.random.Generator, n: int, days: int, sigma: float, drift: float, swing: float
) -> np.ndarray:
    """Log-normal traffic: a level that wanders and returns within a day, a daily shape, noise that forgets.

    Shape (n, ticks, samples). [ratio]
    """
    samples = days * SLOTS * SPT
    rho, back = math.exp(-60 / 300), math.exp(-1 / 720)
    shape = swing * np.sin(np.arange(samples) / (SLOTS * SPT) * 2 * np.pi)
    log = rng.normal(-2.5, 0.5, (n, 1)) + shape
    level, noise = np.zeros(n), rng.normal(0, sigma, n)
    steps = rng.normal(0, math.sqrt(drift), (samples, n))
    shocks = rng.normal(0, sigma * math.sqrt(1 - rho**2), (samples, n))
    for t in range(samples):
        level, noise = back * level + steps[t], rho * noise + shocks[t]
        log[:, t] += level + noise
    return np.exp(log).astype(np.float32).reshape(n, days * SLOTS, SPT)


WORLDS = [  # sigma and drift of the traffic over those that the filter begins with, swing of the daily shape
    pytest.param(1.0, 1.0, 0.0, 0.03, id="as assumed"),
    pytest.param(0.5, 1.0, 0.0, 0.05, id="calmer"),
    pytest.param(1.5, 1.0, 0.0, 0.025, id="noisier"),
    pytest.param(1.0, 0.2, 1.0, 0.015, id="daily shape"),
]
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


@pytest.mark.parametrize(("sigma", "drift", "swing", "within"), WORLDS)
def test_quantiles_cover_what_they_say(
    sigma: float, drift: float, swing: float, within: float, profile: Profile
) -> None:
    """After a day of learning, over all samples of each coming tick and many cells."""
    s, n, days = profile.forecast, 100, 4
    rng = np.random.default_rng(11)
    load = draw_traffic(rng, n, days, sigma * s.noise_sigma, drift * s.drift_variance_per_min, swing)
    forecaster = make(n, s)
    hits = np.zeros((s.horizon_ticks, len(QUANTILES)))
    ticks = 0
    for tick in range(load.shape[1] - s.horizon_ticks):
        forecaster.observe(load[:, tick], tick % SLOTS)
        if tick < SLOTS:
            continue
        forecast, ticks = forecaster.forecast(tick + 1), ticks + 1
        for k, probability in enumerate(QUANTILES):
            bound = forecast.quantile(probability)
            ahead = load[:, tick + 1 : tick + 1 + s.horizon_ticks]
            hits[:, k] += (ahead <= np.where(bound >= 1, np.inf, bound)[:, :, None]).mean((0, 2))
    off = hits / ticks - QUANTILES
    assert np.abs(off).max() < within, np.round(off, 3)


def test_a_median_moves_ahead_with_the_daily_profile(profile: Profile) -> None:
    """Traffic that doubles at the same time every day: on the fourth day part of the jump is expected."""
    forecaster = make(1, profile.forecast)
    jump = np.where(np.arange(SLOTS) >= 32, 0.2, 0.1).astype(np.float32)
    expected = []
    for _day in range(4):
        for slot in range(SLOTS):
            if slot == 31:
                forecast = forecaster.forecast(slot)
                expected.append(forecast.log_median[0, 1] - forecast.log_median[0, 0])
            forecaster.observe(np.full((1, SPT), jump[slot]), slot)
    assert expected[0] == pytest.approx(0, abs=0.05)
    assert expected[3] == pytest.approx(profile.forecast.profile_weight * math.log(2), abs=0.05)


def test_what_was_never_measured_is_not_known(profile: Profile) -> None:
    forecaster = make(3, profile.forecast)
    for slot in range(4):
        offered = np.full((3, SPT), np.nan, np.float32)
        offered[1, 7] = 0.1
        forecaster.observe(offered, slot)
    forecast = forecaster.forecast(4)
    assert forecast.known.tolist() == [False, True, False]
    assert np.isnan(forecast.quantile(0.95)[[0, 2]]).all()
    assert np.isfinite(forecast.quantile(0.95)[1]).all()


def test_the_longer_nothing_is_measured_the_less_is_certain(profile: Profile) -> None:
    forecaster = make(1, profile.forecast)
    for slot in range(SLOTS):
        forecaster.observe(np.full((1, SPT), 0.1, np.float32), slot)
    spreads = []
    for slot in range(8):
        spreads.append(float(forecaster.forecast(slot).log_sd[0, 0]))
        forecaster.observe(np.full((1, SPT), np.nan, np.float32), slot)
    assert (np.diff(spreads) > 0).all()


def test_cells_do_not_touch_each_other(profile: Profile) -> None:
    rng = np.random.default_rng(2)
    load = draw_traffic(rng, 5, 1, 0.3, 0.001, 0.5)
    together, alone = make(5, profile.forecast), make(1, profile.forecast)
    for tick in range(SLOTS):
        together.observe(load[:, tick], tick)
        alone.observe(load[3:4, tick], tick)
    assert (together.forecast(0).log_median[3] == alone.forecast(0).log_median[0]).all()
    assert (together.forecast(0).log_sd[3] == alone.forecast(0).log_sd[0]).all()


absurd = st.one_of(
    st.floats(0, 1, width=32),
    st.sampled_from([np.nan, np.inf, -np.inf, -1.0, 0.0, 1.0, 5.0, 1e-30, 3e38]).map(np.float32),
)


@pytest.mark.kernel
@given(
    ticks=st.lists(hnp.arrays(np.float32, (2, 5), elements=absurd, fill=absurd), min_size=1, max_size=25),
    first=st.integers(0, 23),
)
@settings(max_examples=80, deadline=None)
def test_whatever_is_measured_the_forecast_is_a_number(ticks: Any, first: int, profile: Profile) -> None:
    forecaster = make(2, profile.forecast, sample_s=720, tick_s=3600)
    for turn, offered in enumerate(ticks):
        forecaster.observe(offered, first + turn)
        forecast = forecaster.forecast(first + turn + 1)
        assert np.isfinite(forecast.log_median).all()
        assert np.isfinite(forecast.log_sd).all()
        assert (forecast.log_sd > 0).all()
        assert np.isfinite(forecaster.weight()).all()
        known = forecast.quantile(0.95)[forecast.known]
        assert ((known > 0) & (known <= 1)).all()


@pytest.mark.parametrize("steady", [0.0, 1.0])
def test_weeks_of_the_same_value_stay_sane(steady: float, profile: Profile) -> None:
    """Nothing at all, or a cell that is always full: the spread shrinks to its floor and no further."""
    forecaster = make(1, profile.forecast)
    for tick in range(21 * SLOTS):
        forecaster.observe(np.full((1, SPT), steady, np.float32), tick % SLOTS)
    forecast = forecaster.forecast(0)
    assert np.exp(forecast.log_median[0]) == pytest.approx(max(steady, 0.002), rel=1e-3)
    assert (forecast.log_sd > 0.05).all()
