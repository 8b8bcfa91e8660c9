"""The kernels of the power plant against their naive twin."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hw.power import flows as f
from hw.power.plant import make_plant, start_state, step
from tests.hw.power.naive_plant import NaivePlant
from tests.hw.power.plants import random_specs, random_step


@pytest.mark.kernel
@settings(max_examples=60)
@given(seed=st.integers(0, 2**32 - 1), step_s=st.sampled_from([60.0, 300.0, 900.0, 3600.0]))
@example(seed=70, step_s=3600.0)  # a pack that ages while it is full
def test_the_plant_does_what_its_twin_does(seed: int, step_s: float) -> None:
    rng = np.random.default_rng(seed)
    n, steps = 4, 12
    specs = random_specs(rng, n)
    plant = make_plant(specs)
    state = start_state(plant, rng.uniform(0, 1, n), rng.uniform(0.5, 1, n))
    twins = [NaivePlant(spec, *x) for spec, *x in zip(specs, state.stored_wh, state.health, strict=True)]
    for _ in range(steps):
        met, wish = random_step(rng, n)
        flows = step(plant, state, met, wish, step_s)
        for i, twin in enumerate(twins):
            now = {name: x[i] for name, x in met._asdict().items()}
            want = {name: float(x[i]) for name, x in wish._asdict().items()}
            expected = twin.step(now, want, step_s)
            assert flows[i] == pytest.approx(expected, rel=1e-6, abs=1e-4), f.FLOW_NAMES
            assert int(state.lvd_stage[i]) == twin.stage
            assert int(state.rectifier["working"][i]) == twin.working
            twin.health, twin.stored_wh = float(state.health[i]), float(state.stored_wh[i])
