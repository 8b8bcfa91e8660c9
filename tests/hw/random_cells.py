"""Small random worlds, networks, paths and plans from a seed."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hw.sharing import Groups
from hw.tables import Tables
from hw.world import LOAD_BINS

# full, symbol, two RF channel levels, carrier shutdown, deep dormancy
ASLEEP = np.array([False, False, False, False, True, True])
WAKE_SAMPLES = np.array([0, 0, 1, 1, 2, 3], np.int32)
N_LEVELS = len(ASLEEP)


class Case(NamedTuple):
    """Everything that a plan is carried out on."""

    tables: Tables
    groups: Groups
    path: NDArray[np.float32]
    ul_per_dl: NDArray[np.float32]
    plan: NDArray[np.uint8]


def random_tables(rng: np.random.Generator, n_models: int = 2, *, wake_energy: bool = True) -> Tables:
    """Levels of falling rate and power; some RF channel levels carry less than their rate."""
    rate = np.ones((n_models, N_LEVELS), np.float32)
    rate[:, 2] = rng.uniform(0.7, 0.9, n_models)
    rate[:, 3] = rng.uniform(0.3, 0.6, n_models)
    rate[:, ASLEEP] = 0
    capacity = rate.copy()
    capacity[:, 2:4] *= rng.choice([1.0, 0.7], (n_models, 2))
    rise = np.cumsum(rng.exponential(1, LOAD_BINS + 1)) / LOAD_BINS
    idle = np.sort(rng.uniform(1, 100, (n_models, N_LEVELS)))[:, ::-1]
    slope = rng.uniform(10, 200, (n_models, N_LEVELS))
    power = idle[:, :, None] + slope[:, :, None] * rise
    power[:, ASLEEP] = np.sort(rng.uniform(0.1, 1, (n_models, 2)))[:, ::-1, None]
    return Tables(
        asleep=ASLEEP,
        rate=rate,
        capacity=capacity,
        power=np.ascontiguousarray(power, np.float32),
        ul_power=np.where(ASLEEP, 0, rng.uniform(0, 20, (n_models, N_LEVELS))).astype(np.float32),
        idle_power=power[:, 1, 0].astype(np.float32),
        wake_samples=WAKE_SAMPLES,
        wake_energy=np.where(ASLEEP & wake_energy, rng.uniform(1, 9, (n_models, N_LEVELS)), 0).astype(
            np.float32
        ),
        full_rate=1000.0,
        target=float(rng.choice([25.0, 300.0])),
        target_share=0.8,
        object_mbit=1.0,
        size=np.array([1.0, 0.25][:n_models]),
    )


def random_groups(rng: np.random.Generator, sizes: list[int], n_models: int = 2) -> Groups:
    """Groups of these sizes over shuffled cells, each cell with some of the others as candidates."""
    n = sum(sizes)
    cells = rng.permutation(n)
    member, candidates = [], dict[int, list[int]]()
    for size, end in zip(sizes, np.cumsum(sizes), strict=True):
        own = np.sort(cells[end - size : end])
        member += own.tolist()
        for i in own:
            others = own[(own != i) & (rng.random(size) < 0.7)]
            candidates[int(i)] = others.tolist()
    return Groups(
        model=rng.integers(0, n_models, n).astype(np.int32),
        candidate_start=np.cumsum([0, *(len(candidates[i]) for i in range(n))]).astype(np.int32),
        candidate=np.array([c for i in range(n) for c in candidates[i]], np.int32),
        group_start=np.cumsum([0, *sizes]).astype(np.int32),
        member=np.array(member, np.int32),
        overlap=np.array([rng.choice([1.0, 1.0, 0.4]) for i in range(n) for _ in candidates[i]], np.float32),
    )


def random_path(
    rng: np.random.Generator, n: int, samples: int, *, unrecorded: float = 0.15
) -> NDArray[np.float32]:
    """Loads from idle to full; a share of the cells loses single samples, another one whole stretches."""
    path = np.minimum(rng.lognormal(-1.5, 1, (n, samples)), 1).astype(np.float32)
    path[rng.random(path.shape) < 0.03] = 0
    path[(rng.random((n, 1)) < 0.5) & (rng.random(path.shape) < unrecorded)] = np.nan
    for i in np.flatnonzero(rng.random(n) < 3 * unrecorded):
        first = rng.integers(0, samples)
        path[i, first : first + rng.integers(1, samples + 1)] = np.nan
    return path


def random_case(
    seed: int,
    sizes: list[int],
    *,
    ticks: int,
    per_tick: int,
    cut: int = 0,
    steps: int = 1,
    unrecorded: float = 0.15,
) -> Case:
    """A random case; the last tick is ``cut`` samples short, uplink has a ratio for each of ``steps``."""
    rng = np.random.default_rng(seed)
    samples, n = ticks * per_tick - cut, sum(sizes)
    assert samples % steps == 0
    sticky = rng.random((n, ticks)) < 0.4
    plan = rng.integers(0, N_LEVELS, (n, ticks))
    for tick in range(1, ticks):
        plan[:, tick] = np.where(sticky[:, tick], plan[:, tick - 1], plan[:, tick])
    return Case(
        random_tables(rng),
        random_groups(rng, sizes),
        random_path(rng, n, samples, unrecorded=unrecorded),
        rng.uniform(0, 2, (n, steps)).astype(np.float32),
        plan.astype(np.uint8),
    )
