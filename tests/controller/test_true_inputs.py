"""``predictive`` with true inputs: what it is told is what comes, gaps and the end of the trace included."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from controller.replay.planners import SEASONAL, TRUE
from controller.replay.run import PolicyRun
from controller.replay.true_inputs import LEAST_SD, TrueInputs, log_moments
from policies.profile import Profile
from traces import Trace

PER_TICK = 15


def test_moments_are_those_of_the_recorded_samples() -> None:
    rng = np.random.default_rng(3)
    path = rng.lognormal(-2, 0.4, (3, 40)).astype(np.float32)
    path[1, :15] = np.nan
    path[2, 3:9] = np.nan
    mean, sd = log_moments(path, PER_TICK)
    assert mean.shape == (3, 3)
    for cell in range(3):
        for tick in range(3):
            part = path[cell, tick * PER_TICK : (tick + 1) * PER_TICK]
            log = np.log(part[np.isfinite(part)])
            expected = (log.mean(), log.std()) if len(log) else (np.nan, np.nan)
            found = mean[cell, tick], sd[cell, tick]
            assert found == pytest.approx(expected, abs=1e-3, nan_ok=True)


def test_the_truth_is_told_tick_by_tick(small_trace: Any, make_stage: Any, profile: Profile) -> None:
    load = np.full((2, 8), 0.2)
    load[0, 4:], load[1, 2:4] = 0.4, np.nan
    scene = make_stage(small_trace(load), sigma=1e-9).scene(0)
    told = TrueInputs(scene, profile.forecast)
    forecasts = [told.forecast(slot) for slot in range(8)]
    assert [f.known.tolist() for f in forecasts] == [[True, t not in (2, 3)] for t in range(8)]
    assert np.exp(forecasts[5].log_median[0]) == pytest.approx([0.4] * 4, rel=1e-3)
    assert (forecasts[5].log_sd[0] == LEAST_SD).all(), "never quite certain"
    assert np.exp(forecasts[1].log_median[1]) == pytest.approx([0.2] * 4, rel=1e-2), "a gap lasts as it was"
    assert all(np.isfinite(f.log_median).all() and np.isfinite(f.log_sd).all() for f in forecasts)
    assert np.exp(forecasts[2].log_median[0]) == pytest.approx([0.2, 0.2, 0.4, 0.4], rel=0.03)


@pytest.mark.parametrize("name", ["single_layer", "multi_layer"])
def test_true_inputs_save_more_and_serve_better(
    name: str, replay: Callable[..., PolicyRun], request: pytest.FixtureRequest
) -> None:
    trace: Trace = request.getfixturevalue(name)
    seasonal, true, oracle = replay(SEASONAL, trace), replay(TRUE, trace), replay("oracle", trace)
    assert oracle.bound is not None
    assert oracle.bound < true.outcome.energy < seasonal.outcome.energy
    assert true.model_share == seasonal.model_share == 0
