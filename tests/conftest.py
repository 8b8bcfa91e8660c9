"""What tests of several rooms share: the default world, the shipped profile, and small networks by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest

from controller.strict_yaml import load_yaml
from controller.worlds import DEFAULT_WORLD, EvaluatedWorld, load_world
from hw.tables import Tables, pack
from policies.network import Network, build_network
from policies.profile import Profile
from traces import Trace, make_cells

BuildNetwork = Callable[[int, Mapping[int, tuple[int, ...]]], Network]
BuildTrace = Callable[..., Trace]


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """Kernels run in one thread: on networks of a few cells, threads only wait for each other."""
    numba.set_num_threads(1)
    yield
    numba.set_num_threads(numba.config.NUMBA_NUM_THREADS)


@pytest.fixture(scope="session")
def world() -> EvaluatedWorld:
    return load_world(DEFAULT_WORLD)


@pytest.fixture(scope="session")
def tables(world: EvaluatedWorld) -> Tables:
    return pack(world.world, sample_s=60, target_mbit_s=25, target_share=0.8)


@pytest.fixture(scope="session")
def profile() -> Profile:
    """The shipped profile: tests that depend on its numbers replace them."""
    return load_yaml(Path(str(files("policies"))) / "profiles" / "balanced.yaml", Profile)


@pytest.fixture(scope="session")
def small_network(world: EvaluatedWorld) -> BuildNetwork:
    """A network of n cells in the default world, from the candidates of its capacity cells."""

    def build(n: int, candidates: Mapping[int, tuple[int, ...]]) -> Network:
        cells = make_cells([f"c{i}" for i in range(n)], candidates)
        model = np.zeros(n, np.int32)
        return build_network(world.world, model, cells.is_capacity, cells.candidate_start, cells.candidate)

    return build


@pytest.fixture(scope="session")
def small_trace() -> BuildTrace:
    """A trace from recorded loads (cells, steps) and candidates, in UTC."""

    def build(
        load: Any, candidates: Mapping[int, tuple[int, ...]] | None = None, *, step_s: int = 900, **more: Any
    ) -> Trace:
        load = np.asarray(load, np.float32)
        cells = make_cells([f"c{i}" for i in range(len(load))], candidates, site_id=["s"] * len(load))
        fields: dict[str, Any] = {"start": np.datetime64("2025-03-03T00:00:00", "s"), "time_zone": "UTC"}
        return Trace(source="by hand", cells=cells, step_s=step_s, dl_prb_ratio=load, **(fields | more))

    return build
