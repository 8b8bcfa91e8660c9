"""Site-years for the reserve: loads, temperatures, outages and telemetry of sites, drawn from one seed.

Full-service load of a radio: static power plus a dynamic part that follows a daily profile with log-normal noise, sigma
0.25, that forgets within half an hour; failed neighbours add up to a fifth of a full load. Cells are -5 to 45 degC,
known two days ahead to within 2 K. Sensors use up to half of their tolerances; some reports are late, some lie.
A lie begins while reports are fresh; one that begins unseen agrees with all that is measured.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hw.power.plant import Plant, State
from policies.site.backup import Backup
from policies.site.outage import Program
from policies.site.reserve import Agents
from policies.site.soc_check import LFP_REST_V, LFP_SOC, Report

Floats = NDArray[np.float64]
STEP_S, STEPS_PER_DAY = 900, 96
SIGMA, CORRELATION_S, Z99 = 0.25, 1800.0, 2.326
NEIGHBOURS = 0.2  # of a full load, at most
REACTION_S = 900.0
PACK_V, PACK_CELLS = 51.2, 16
SOC_OFF, VOLTAGE_OFF_V = 0.015, 0.025  # of the sensors, at most
PROGRAM_RATIO = 0.5
COLDEST_C, HOTTEST_C = -5.0, 45.0


class World(NamedTuple):
    """What n sites are and meet. (n,), (n, STEPS_PER_DAY) by time of day or (n, days)."""

    static_w: Floats
    dynamic_w: Floats
    transport_w: Floats
    ac_load_w: Floats
    profile: Floats  # by time of day, load [ratio]
    asleep: Floats  # by time of day, radio power that the plan leaves [ratio]
    level_c: Floats  # by day
    swing_c: Floats
    hard_cap_w: Floats
    backup: Backup
    agents: Agents
    outage_steps: list[dict[int, int]]  # of each site: first step, length
    recovery_limit_w: Floats


def make_world(plant: Plant, days: int, rng: np.random.Generator) -> World:
    """Draw n sites over whole days. Three mains grades: more outages ask for more backup."""
    n = len(plant.rated_wh)
    hour = np.arange(STEPS_PER_DAY) / 4
    peak_h = rng.uniform(12, 21, (n, 1))
    profile = 0.15 + rng.uniform(0.2, 0.45, (n, 1)) * (1 + np.cos((hour - peak_h) * np.pi / 12)) / 2
    grade = rng.integers(0, 3, n)
    static_w, dynamic_w = rng.uniform(600, 1100, n), rng.uniform(500, 1000, n)
    transport_w, ac_load_w = rng.uniform(120, 250, n), rng.uniform(200, 900, n)
    day = np.arange(days)
    weather = rng.normal(0, 3, (n, days))
    for d in range(1, days):
        weather[:, d] = 0.8 * weather[:, d - 1] + 0.6 * weather[:, d]
    season = -np.cos(2 * np.pi * day / 365) * rng.uniform(5, 14, (n, 1))
    level_c = rng.uniform(6, 26, (n, 1)) + season + weather
    radio_s = 1800.0 * (2 + grade)  # 1, 1.5 and 2 h
    backup = Backup(radio_s, radio_s + 3600.0 * rng.integers(0, 3, n), 900.0 * rng.integers(0, 4, n))
    return World(
        static_w,
        dynamic_w,
        transport_w,
        ac_load_w,
        profile,
        np.where((hour < 6) & (rng.random((n, 1)) < 0.8), rng.uniform(0.4, 0.8, (n, 1)), 1.0),
        level_c,
        rng.uniform(2, 6, n),
        1.15 * (static_w + dynamic_w + transport_w) + ac_load_w + rng.uniform(900, 3000, n),
        backup,
        Agents(rng.random(n) < 0.5, np.full(n, REACTION_S)),
        [_outages(float(rate), days, rng) for rate in np.array([2.0, 6.0, 20.0])[grade]],
        rng.uniform(800, 2000, n),
    )


def _outages(per_year: float, days: int, rng: np.random.Generator) -> dict[int, int]:
    """First step and length of the outages of one site; half of them last less than an hour."""
    starts = rng.integers(STEPS_PER_DAY, days * STEPS_PER_DAY, rng.poisson(per_year * days / 365))
    lengths = np.ceil(np.exp(rng.normal(np.log(3.5), 0.9, len(starts)))).astype(int)
    return {int(s): int(k) for s, k in zip(starts, lengths, strict=True)}


def temperature_c(world: World, step: int) -> Floats:
    """Of the cells, (n,)."""
    day, slot = divmod(step, STEPS_PER_DAY)
    after = min(day + 1, world.level_c.shape[1] - 1)
    day = min(day, after)
    share = slot / STEPS_PER_DAY
    level = (1 - share) * world.level_c[:, day] + share * world.level_c[:, after]
    swing = world.swing_c * np.sin(2 * np.pi * (slot / STEPS_PER_DAY - 0.4))
    return np.asarray(np.clip(level + swing, COLDEST_C, HOTTEST_C))


def expected_full_w(world: World) -> Floats:
    """0.99 quantile of the radio at full service by time of day, failed neighbours included. (n, STEPS_PER_DAY)"""
    load = np.minimum(world.profile * np.exp(Z99 * SIGMA) + NEIGHBOURS, 1.0)
    return np.asarray(world.static_w[:, None] + world.dynamic_w[:, None] * load)


def full_w(world: World, slot: int, noise: Floats, neighbours: Floats) -> Floats:
    """Radio at full service in a step, (n,)."""
    load = np.minimum(world.profile[:, slot] * np.exp(SIGMA * noise) + neighbours, 1.0)
    return np.asarray(world.static_w + world.dynamic_w * load)


def next_noise(noise: Floats, rng: np.random.Generator) -> Floats:
    """The log noise of the loads, one step on. (n,)"""
    kept = np.exp(-STEP_S / CORRELATION_S)
    return np.asarray(kept * noise + np.sqrt(1 - kept**2) * rng.standard_normal(len(noise)))


def on_battery_program(radio_s: Floats) -> Program:
    """Sleep at once, radio shed at the declared time. (n, 2)"""
    n = len(radio_s)
    return Program(
        np.stack([np.zeros(n), radio_s], axis=1),
        np.zeros((n, 2)),
        np.tile([PROGRAM_RATIO, 0.0], (n, 1)),
        np.ones((n, 2), bool),
        np.full(n, float(STEP_S)),
    )


class Telemetry:
    """Reports of n packs: noisy within their tolerances, late in spells, now and then a state of charge that lies."""

    def __init__(self, n: int, rng: np.random.Generator) -> None:
        self._rng, self._late = rng, np.zeros(n, np.int64)
        self._lie, self._off = np.zeros(n), rng.uniform(-1, 1, n)
        self.late_steps = self.lying_steps = 0

    def report(self, plant: Plant, state: State, before_wh: Floats) -> Report:
        """What the packs say after a step."""
        rng, n = self._rng, len(before_wh)
        unheard = self._late > 0  # until now
        self._late = np.where(rng.random(n) < 0.001, rng.integers(3, 30, n), np.maximum(self._late - 1, 0))
        soc = state.stored_wh / (plant.rated_wh * state.health)
        begins = (rng.random(n) < 0.0003) & (self._late == 0) & ~unheard
        self._lie[begins] = np.where(soc[begins] < 0.6, 0.3, -0.3)
        # one that outlasts a spell without reports could not be told from the truth by any of these sensors
        self._lie[(rng.random(n) < 0.1) | (self._late > 0)] = 0.0
        self.late_steps += int((self._late > 0).sum())
        self.lying_steps += int((self._lie != 0).sum())
        current_a = (before_wh - state.stored_wh) * 3600 / STEP_S / PACK_V
        rest_v = np.interp(soc, LFP_SOC, LFP_REST_V)
        return Report(
            np.clip(soc + SOC_OFF * self._off * rng.uniform(0.5, 1, n) + self._lie, 0, 1),
            rest_v - 0.0005 * current_a + VOLTAGE_OFF_V * rng.uniform(-1, 1, n),
            current_a,
            np.where(self._late > 0, 7200.0, 60.0),
        )
