"""Radios of the simulated plant are those of the replay, and wake by themselves."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hw.plant import execute
from hw.sim_plant.radio import RadioSim, RadioTruth
from hw.sim_plant.timing import SampleClock
from hw.telemetry import SimulatedPlant
from tests.hw.random_cells import N_LEVELS, Case, random_case

SAMPLE_US = 60_000_000
ORIGIN_US = 7_000_000_123


def radios(case: Case) -> RadioSim:
    n = len(case.path)
    truth = RadioTruth(
        case.tables,
        case.groups,
        case.path,
        case.ul_per_dl,
        np.ones((n, N_LEVELS), np.bool_),
        np.ones(n, np.bool_),
    )
    return RadioSim(truth, SampleClock(ORIGIN_US, 0, SAMPLE_US), ORIGIN_US)


def at(samples: float) -> int:
    return ORIGIN_US + round(samples * SAMPLE_US)


def command(sim: RadioSim, level: Any, samples: float, until: float = 0) -> Any:
    n = sim.truth.n_cells
    until_us = np.full(n, at(until) if until else 0)
    return sim.apply(np.arange(n), np.broadcast_to(level, n).astype(np.uint8), until_us, at(samples))


@settings(max_examples=60)
@given(
    seed=st.integers(0, 2**32 - 1),
    sizes=st.sampled_from([[1], [1, 3], [4, 1, 1], [1, 2, 1]]),
    ticks=st.integers(1, 6),
    per_tick=st.sampled_from([1, 2, 5]),
)
def test_in_whole_ticks_it_is_the_plant_of_the_replay(
    seed: int, sizes: list[int], ticks: int, per_tick: int
) -> None:
    case = random_case(seed, sizes, ticks=ticks, per_tick=per_tick)
    twin = SimulatedPlant(case.tables, case.groups, case.path, samples_per_tick=per_tick)
    sim = radios(case)
    for tick in range(ticks):
        command(sim, case.plan[:, tick], tick * per_tick)
        sim.advance(at((tick + 1) * per_tick))
        carried = np.stack([s.carried for s in sim.samples.after(tick * per_tick)], axis=1)
        np.testing.assert_array_equal(carried, twin.step(case.plan[:, tick]))
    figures = execute(*case, samples_per_tick=per_tick, samples_per_day=1000)
    energy = sim.book.energy()
    np.testing.assert_allclose(energy.by_level, figures.level_energy[:, 0], rtol=1e-5, atol=1e-9)
    none = execute(*case[:4], np.zeros_like(case.plan), samples_per_tick=per_tick, samples_per_day=1000)
    assert energy.none.sum() == pytest.approx(none.energy.sum(), rel=1e-5)
