"""What the users of a site ask for: offered traffic per sector, as a share of the sector's full rate.

offered = level x daily and weekly shape x growth x events x day factor x correlated noise + bursts

The levels and noises are set so that single-layer hourly networks look like a measured 5G network: mean
utilisations from a few percent to above one half, log-normal noise of about 0.3 at night and 0.2 in the
evening that is forgotten within a few hours.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter
from scipy.special import expit, logit

from traces.synth.clock import Clock
from traces.synth.shapes import AREAS, MINUTES_PER_DAY, AreaType
from traces.synth.spec import Event, SynthSpec, site_random

Float64 = NDArray[np.float64]
DEMAND_STREAM, BURST_STREAM, EVENT_STREAM = 3, 4, 5

SITE_LEVEL_SIGMA, SECTOR_LEVEL_SIGMA = 0.9, 0.8  # of the log odds of the mean load
PHASE_SIGMA_H, PEAKEDNESS_SIGMA = 0.4, 0.12  # how much the sectors' daily shapes differ
DAY_SIGMA = 0.06
SLOW_SIGMA, SLOW_TAU_S = 0.18, 4800.0  # people come and go
FAST_SIGMA, FAST_TAU_S = 0.33, 300.0  # sessions start and end
REFERENCE_LOAD, NOISE_EXPONENT = 0.2, -0.25  # few users are noisier than many
BURST_TAU_S, BURST_MEDIAN, BURST_SIGMA = 1200.0, 0.1, 0.8  # share of the sector's rate
EVENT_RAMP_H = 1.0
EVENT_HOUR, EVENT_HOUR_SIGMA = 19.0, 0.7


def averaged_sigma(sigma: float, tau_s: float, step_s: float) -> float:
    """Standard deviation of the step mean of an Ornstein-Uhlenbeck process of correlation time ``tau_s``."""
    x = step_s / tau_s
    return float(sigma * np.sqrt(2 / x * (1 - (1 - np.exp(-x)) / x)))


def correlated_noise(
    random: np.random.Generator, shape: tuple[int, int], sigma: float, tau_s: float, step_s: float
) -> Float64:
    """Stationary Gaussian noise per row, first order, as means over the steps. Shape ``shape``."""
    memory = float(np.exp(-step_s / tau_s))
    white = random.standard_normal(shape)
    white[:, 1:] *= np.sqrt(1 - memory**2)
    noise: Float64 = lfilter([1.0], [1.0, -memory], white, axis=1)
    return noise * averaged_sigma(sigma, tau_s, step_s)


def sector_demand(spec: SynthSpec, clock: Clock, table: Float64, area: AreaType, site: int) -> Float64:
    """Offered traffic of each sector of a site. (sectors, n_steps) [ratio of the sector's full rate]

    ``table`` is the ``day_table`` of the site's area type.
    """
    random = site_random(spec, site, DEMAND_STREAM)
    sectors, n_steps = spec.sectors, spec.n_steps
    odds = logit(spec.median_load * AREAS[area].level_ratio) + SITE_LEVEL_SIGMA * random.standard_normal()
    level = expit(odds + SECTOR_LEVEL_SIGMA * random.standard_normal((sectors, 1)))
    expected = level * _shapes(random, clock, table, sectors)
    expected *= (1 + spec.growth_per_week) ** (clock.elapsed_h / 168)
    expected *= _events(spec, clock, site)
    days = np.exp(DAY_SIGMA * random.standard_normal(clock.n_days + 1) - DAY_SIGMA**2 / 2)
    expected *= days[clock.day]
    spread = np.clip(expected / REFERENCE_LOAD, 0.05, 5) ** NOISE_EXPONENT
    noise = correlated_noise(random, (sectors, n_steps), SLOW_SIGMA, SLOW_TAU_S, spec.step_s)
    noise += correlated_noise(random, (sectors, n_steps), FAST_SIGMA, FAST_TAU_S, spec.step_s)
    variance = sum(
        averaged_sigma(sigma, tau_s, spec.step_s) ** 2
        for sigma, tau_s in ((SLOW_SIGMA, SLOW_TAU_S), (FAST_SIGMA, FAST_TAU_S))
    )
    expected *= np.exp(spread * noise - spread**2 * variance / 2)  # mean one
    return np.asarray(expected + _bursts(spec, site))


def _shapes(random: np.random.Generator, clock: Clock, table: Float64, sectors: int) -> Float64:
    """Shape of the day for each sector, shifted and sharpened a little. (sectors, n_steps) [ratio]"""
    shift_h = PHASE_SIGMA_H * random.standard_normal((sectors, 1))
    power = 1 + PEAKEDNESS_SIGMA * random.standard_normal((sectors, 1))
    minute = ((clock.local_hour + shift_h) * 60).astype(np.int64) % MINUTES_PER_DAY
    shape: Float64 = table[clock.is_weekend.astype(np.int64), minute] ** power
    return np.asarray(shape / shape.mean(axis=1, keepdims=True))


def _bursts(spec: SynthSpec, site: int) -> Float64:
    """Sudden extra traffic that fades within an hour. (sectors, n_steps) [ratio]"""
    random = site_random(spec, site, BURST_STREAM)
    count = random.poisson(spec.bursts_per_sector_day * spec.days, spec.sectors)
    sector = np.repeat(np.arange(spec.sectors), count)
    step = random.integers(0, spec.n_steps, len(sector))
    height = BURST_MEDIAN * np.exp(BURST_SIGMA * random.standard_normal(len(sector)))
    impulse = np.zeros((spec.sectors, spec.n_steps))
    np.add.at(impulse, (sector, step), height)
    memory = float(np.exp(-spec.step_s / BURST_TAU_S))
    impulse *= BURST_TAU_S / spec.step_s * (1 - memory)  # mean of the first step
    faded: Float64 = lfilter([1.0], [1.0, -memory], impulse, axis=1)
    return faded


def _events(spec: SynthSpec, clock: Clock, site: int) -> Float64:
    """Factor of all events at a site, the named and the drawn. (n_steps,) [ratio]"""
    factor = np.ones(spec.n_steps)
    for event in [*(e for e in spec.events if e.site == site), *_drawn_events(spec, site)]:
        begin, end = event.start_h, event.start_h + event.duration_h
        edges = [begin - EVENT_RAMP_H, begin, end, end + EVENT_RAMP_H]
        factor *= np.interp(clock.elapsed_h, edges, [1, event.factor, event.factor, 1])
    return factor


def _drawn_events(spec: SynthSpec, site: int) -> list[Event]:
    random = site_random(spec, site, EVENT_STREAM)
    found = []
    for _ in range(random.poisson(spec.events_per_site_week * spec.days / 7)):
        start_h = 24 * random.integers(spec.days) + random.normal(EVENT_HOUR, EVENT_HOUR_SIGMA)
        duration_h, factor = random.uniform(2, 4), 1 + random.lognormal(np.log(2), 0.3)
        found.append(Event(site=site, start_h=max(start_h, 0), duration_h=duration_h, factor=min(factor, 20)))
    return found
