"""What each cell will be offered: a filter on recent samples, carried along the cell's own daily profile.

The log of the offered load is a slowly wandering level plus noise that forgets within minutes. A two-state Kalman
filter per cell separates them; the seasonal profile (mean log load by time of day, older days fading) moves the level
ahead. The forecast is log-normal: a median and a log standard deviation for the samples of each coming tick.

Everything is learnt while running, from samples whose interval has ended. Arrays are per cell, updated in place.

Where a course is given (controller/forecast/outlook.py), the level follows it instead of the profile. The filter then
says how far the traffic is off the course now and, from what it has measured, how uncertain the coming tick is. The
course says how much of the distance lasts and how the uncertainty grows.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from policies.forecast import Forecast, Now
from policies.kalman import FLOOR, advance, take_in
from policies.profile import ForecastProfile

JUMP = 8.0  # squared surprise of a tick, in variances, from which the level is taken to have jumped
LARGEST_OFF = 1.5  # log distance from a course beyond which no more of it is taken to fade


class FilterState(NamedTuple):
    """State of the filter of each cell. n cells, S slots of a day."""

    level: NDArray[np.float64]  # (n,) log of the slow level
    noise: NDArray[np.float64]  # (n,) log deviation of the last sample from it
    var_level: NDArray[np.float64]  # (n,)
    covariance: NDArray[np.float64]  # (n,)
    var_noise: NDArray[np.float64]  # (n,)
    spread: NDArray[np.float64]  # (n,) measured over assumed noise variance, fading
    wander: NDArray[np.float64]  # (n,) measured over assumed drift variance, fading
    profile: NDArray[np.float32]  # (n, S) mean log load by time of day
    days: NDArray[np.uint16]  # (n, S) days behind each mean
    samples: NDArray[np.int64]  # (n,) samples seen


class FilterSettings(NamedTuple):
    """Constants of the filter, per sample."""

    persistence: float  # of the noise from sample to sample
    noise_variance: float
    drift_variance: float  # of the level per sample
    unprofiled_variance: float  # more of it where the time of day has no profile yet
    profile_weight: float
    memory_days: float
    spread_memory: float  # samples
    wander_memory: float  # ticks
    mean_share: float  # variance of the mean noise of a tick over that of one sample


class Course(NamedTuple):
    """Where the log level is expected from now on, and how far off it may be. n cells, H ticks, their middles."""

    guided: NDArray[np.bool_]  # (n,) False where the cell's own profile has to do; then the rest is 0
    slope: NDArray[np.float64]  # (n,) movement per sample of the coming tick
    now: NDArray[np.float64]  # (n,) expected log of the mean load now
    ahead: NDArray[np.float64]  # (n, H) the same in each coming tick
    var_now: NDArray[np.float64]  # (n,) variance of what the level is off ``now``
    var_ahead: NDArray[np.float64]  # (n, H)
    shared: NDArray[np.float64]  # (n, H) covariance of the two


class Guide(NamedTuple):
    """A course as the kernels follow it, from the level that the filter found. n cells, H ticks."""

    guided: NDArray[np.bool_]  # (n,)
    slope: NDArray[np.float64]  # (n,) movement per sample of the coming tick
    lead: NDArray[np.float64]  # (n, H) level in the middle of each coming tick, less that of now
    open: NDArray[np.float64]  # (n, H) variance of that level


def no_guide(n_cells: int, horizon_ticks: int) -> Guide:
    """The guide of cells that nothing is known about."""
    nothing = np.zeros((n_cells, horizon_ticks))
    return Guide(np.zeros(n_cells, np.bool_), np.zeros(n_cells), nothing, nothing)


class Forecaster:
    """Forecasts all cells. Feed it with ``observe`` once per tick, then ask ``forecast``."""

    def __init__(self, n_cells: int, settings: ForecastProfile, *, sample_s: int, tick_s: int) -> None:
        slots = max(1, 86400 // tick_s)
        self._samples_per_tick = max(1, tick_s // sample_s)
        self._horizon = settings.horizon_ticks
        noise = settings.noise_sigma**2
        minutes = sample_s / 60
        self._settings = FilterSettings(
            persistence=math.exp(-sample_s / settings.correlation_s),
            noise_variance=noise,
            drift_variance=settings.drift_variance_per_min * minutes,
            unprofiled_variance=settings.unprofiled_variance_per_min * minutes,
            profile_weight=settings.profile_weight,
            memory_days=settings.profile_memory_days,
            spread_memory=settings.spread_memory_h * 3600 / sample_s,
            wander_memory=settings.wander_memory_h * 3600 / tick_s,
            mean_share=_mean_share(math.exp(-sample_s / settings.correlation_s), self._samples_per_tick),
        )
        n = n_cells
        self._unguided = no_guide(n, self._horizon)
        self._guide = self._unguided  # of the tick that is running
        self.state = FilterState(
            level=np.full(n, math.log(0.3)),
            noise=np.zeros(n),
            var_level=np.ones(n),
            covariance=np.zeros(n),
            var_noise=np.full(n, noise),
            spread=np.ones(n),
            wander=np.ones(n),
            profile=np.zeros((n, slots), np.float32),
            days=np.zeros((n, slots), np.uint16),
            samples=np.zeros(n, np.int64),
        )

    def observe(self, offered: NDArray[np.float32], slot: int) -> None:
        """Take in the samples of the tick that ended. ``offered`` (n, samples) NaN unknown [ratio]."""
        _observe(self.state, self._settings, self._guide, offered, slot % self.state.profile.shape[1])
        self._guide = self._unguided

    def forecast(self, slot: int, course: Course | None = None) -> Forecast:
        """Forecast of the coming ticks, the first of which begins now in time-of-day slot ``slot``.

        The level of cells that ``course`` guides moves along it, also when the samples of the coming tick come in.
        """
        self._guide = self._unguided if course is None else self._follow(course)
        shape = (len(self.state.level), self._horizon)
        log_median, log_sd = np.empty(shape), np.empty(shape)
        _forecast(
            self.state,
            self._settings,
            self._guide,
            slot % self.state.profile.shape[1],
            self._samples_per_tick,
            log_median,
            log_sd,
        )
        return Forecast(log_median, log_sd, self.state.samples > 0, self._now())

    def _now(self) -> Now:
        """Where the filter stands, for whoever follows the samples of the coming tick."""
        state, s = self.state, self._settings
        return Now(
            state.level.copy(),
            state.noise.copy(),
            state.var_level.copy(),
            state.covariance.copy(),
            state.var_noise.copy(),
            self._guide.slope,
            s.drift_variance * state.wander,
            s.noise_variance * state.spread,
            s.persistence,
        )

    def _follow(self, course: Course) -> Guide:
        """Movement from the filtered level: of what it is off the course now, a part lasts (a Gaussian condition)."""
        state = self.state
        # the course is about means, the filter about medians of log-normal samples
        expected = course.now - 0.5 * self._settings.noise_variance * state.spread
        off = np.where(course.guided, state.level - expected, 0.0)
        lasts = course.shared / (course.var_now + state.var_level)[:, None]
        lead = (
            course.ahead
            - course.now[:, None]
            + (lasts - 1) * np.clip(off, -LARGEST_OFF, LARGEST_OFF)[:, None]
        )
        return Guide(course.guided, course.slope, lead, course.var_ahead - lasts * course.shared)

    def weight(self) -> NDArray[np.float64]:
        """Expected offered load of each cell now, to split what was measured for several. (n,) [ratio]"""
        return np.exp(self.state.level)


def _mean_share(persistence: float, samples: int) -> float:
    """Variance of the mean of ``samples`` correlated draws over that of one."""
    lag = np.arange(1, samples)
    return float((samples + 2 * ((samples - lag) * persistence**lag).sum()) / samples**2)


@njit(cache=True)
def _observe_cell(state, settings, guide, i, offered, slot):  # type: ignore[no-untyped-def]
    """Filter the samples of one tick of one cell and update its profile."""
    s = settings
    log_sum, count = 0.0, 0
    ahead = guide.lead[i, 0] if guide.guided[i] else _profile_move(state, s, i, slot)
    expected = state.level[i] + ahead
    drift = s.drift_variance * state.wander[i]
    noise_mean = s.noise_variance * state.spread[i] * s.mean_share
    expected_variance = state.var_level[i] + drift * 0.5 * len(offered) + noise_mean
    for t in range(len(offered)):
        noise_variance = s.noise_variance * state.spread[i]
        advance(state, i, guide.slope[i], drift, noise_variance, s.persistence)
        if not np.isfinite(offered[t]):
            continue
        innovation, variance = take_in(state, i, offered[t])
        if state.samples[i] > len(offered):
            excess = min(innovation * innovation / variance, 16.0) - 1
            # a plain mean until there is enough to forget
            memory = min(float(state.samples[i]), s.spread_memory)
            state.spread[i] = max(0.2, state.spread[i] * (1 + excess / memory))
        state.samples[i] += 1
        log_sum += math.log(max(offered[t], FLOOR))
        count += 1
    if count == len(offered) and state.samples[i] > 4 * count:
        miss = log_sum / count - expected
        excess = min(miss * miss / expected_variance, 16.0) - 1
        state.wander[i] = min(max(0.4, state.wander[i] * (1 + excess / s.wander_memory)), 20.0)
        if excess > JUMP:
            state.var_level[i] += 0.25 * miss * miss
    if count > 0:
        state.days[i, slot] += 1
        share = 1 / min(float(state.days[i, slot]), s.memory_days)
        state.profile[i, slot] += share * (log_sum / count - state.profile[i, slot])


@njit(inline="always")
def _profile_move(state, settings, i, slot):  # type: ignore[no-untyped-def]
    """How far the profile moves the log level into ``slot``; 0 where it is not known yet."""
    before = (slot - 1) % state.profile.shape[1]
    if state.days[i, slot] == 0 or state.days[i, before] == 0:
        return 0.0
    return settings.profile_weight * min(max(state.profile[i, slot] - state.profile[i, before], -0.7), 0.7)


@njit(parallel=True, cache=True)
def _observe(state, settings, guide, offered, slot):  # type: ignore[no-untyped-def]
    for i in prange(len(offered)):
        _observe_cell(state, settings, guide, i, offered[i], slot)


@njit(parallel=True, cache=True)
def _forecast(state, settings, guide, slot, samples_per_tick, log_median, log_sd):  # type: ignore[no-untyped-def]
    s = settings
    slots = state.profile.shape[1]
    for i in prange(len(log_median)):
        moved, variance, first = 0.0, 0.0, 0.0
        noise_variance = s.noise_variance * state.spread[i]
        for h in range(log_median.shape[1]):
            at = (slot + h) % slots
            ahead = samples_per_tick * h + 0.5 * (samples_per_tick + 1)
            step = samples_per_tick if h > 0 else 0.5 * (samples_per_tick + 1)
            if guide.guided[i] and h > 0:
                # what a course leaves open in the first tick was measured; how that grows the course says
                variance = first + max(guide.open[i, h] - guide.open[i, 0], 0.0)
            else:
                variance += step * s.drift_variance * state.wander[i]
                first = variance
            if guide.guided[i]:
                moved = guide.lead[i, h]
            else:
                moved += _profile_move(state, s, i, at)
                if state.days[i, at] == 0:
                    variance += step * s.unprofiled_variance
            kept = s.persistence**ahead
            log_median[i, h] = state.level[i] + moved + kept * state.noise[i]
            total = state.var_level[i] + 2 * kept * state.covariance[i] + kept * kept * state.var_noise[i]
            total += variance
            log_sd[i, h] = math.sqrt(total + noise_variance * (1 - kept * kept))
