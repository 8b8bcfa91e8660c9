"""Small synthetic networks and a way to replay them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from controller.replay.run import PolicyRun, run_policy
from controller.replay.stage import Stage, Task
from controller.worlds import EvaluatedWorld
from policies.profile import Profile
from traces import Trace
from traces.synthesis import SynthSpec, generate


@pytest.fixture(scope="session")
def single_layer() -> Trace:
    """Six coverage cells over two days, quarter-hourly, some of it missing."""
    return generate(SynthSpec(n_sites=2, layers=1, days=2, seed=3, missing_share=0.02, median_load=0.15))


@pytest.fixture(scope="session")
def multi_layer() -> Trace:
    """Three sites of one sector and three layers over two days, quarter-hourly, as an operator logged them."""
    return generate(
        SynthSpec(n_sites=3, sectors=1, layers=3, days=2, seed=5, median_load=0.1, logged_share=1.0)
    )


@pytest.fixture(scope="session")
def quick(profile: Profile) -> Profile:
    """The shipped profile, but groups may leave the air after two hours instead of a day."""
    predictive = profile.predictive.model_copy(update={"off_air_after_h": 2.0})
    return profile.model_copy(update={"predictive": predictive})


@pytest.fixture(scope="session")
def make_stage(world: EvaluatedWorld, quick: Profile) -> Callable[..., Stage]:
    """A trace made ready to be replayed in the default world with the quick profile."""

    def make(trace: Trace, sigma: float | None = None, **change: Any) -> Stage:
        return Stage(Task(trace, **({"world": world, "profile": quick} | change)), sigma=sigma)

    return make


@pytest.fixture(scope="session")
def replay(make_stage: Callable[..., Stage]) -> Callable[..., PolicyRun]:
    """Run one policy over a trace and keep the series of all cells."""

    def run(name: str, trace: Trace, **change: Any) -> PolicyRun:
        stage = make_stage(trace, **change)
        return run_policy(name, stage, keep=np.ones(trace.n_cells, np.bool_))

    return run
