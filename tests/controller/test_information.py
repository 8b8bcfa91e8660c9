"""Whatever comes after a tick cannot change its decision: no policy and no forecast looks ahead, bit for bit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import cycle
from typing import Any

import numpy as np
import pytest

from controller.replay import planners, planning
from controller.replay import stage as staging
from controller.replay.planners import CAUSAL
from controller.replay.run import PolicyRun, plans_of
from controller.replay.scene import Scene, make_scene
from tests.controller.stepwise import Stepwise, model
from traces import SiteEnergy, Trace

PER_TICK = PER_STEP = 15
SERIES = ("level", "reason", "expected", "upper")


def random_load(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return rng.uniform(0, 1, shape)


def nothing(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return np.zeros(shape)


def full(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return np.ones(shape)


def unrecorded(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return np.full(shape, np.nan)


FUTURES = ((random_load, unrecorded), (nothing, full))  # each pair at every other moment
# in the middle of a tick, its last sample, its first; in the first night, the first day and the second night
MOMENTS = (7, 29, 30, 15 * 21 + 4, 15 * 40, 15 * 99 + 14, 15 * 130 + 1)


# what each replay is given; the models come into use in the first morning
REPLAYED = [pytest.param(name, {}, id=name) for name in CAUSAL]
GUARDED = [pytest.param("predictive", {"guard": True}, id="predictive with guard")]
MODELLED = [
    pytest.param(
        "predictive",
        {"model": model(step_s=step_s, trained_until="2025-03-02T22:00:00Z")},
        id=f"predictive with steps of {step_s} s",
    )
    for step_s in (900, 3600)
]


@pytest.fixture(autouse=True)
def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "StepForecaster", Stepwise)


@pytest.fixture(params=["single_layer", "multi_layer"])
def network(request: pytest.FixtureRequest) -> Trace:
    found: Trace = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def with_path(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """From now on, replays run on a path that is rewritten from one sample on."""

    def rewrite(change: Callable[[np.ndarray], np.ndarray] | None) -> None:
        def changed(trace: Trace, world: Any, **how: Any) -> Scene:
            scene = make_scene(trace, world, **how)
            return scene if change is None else replace(scene, path=change(scene.path.copy()))

        monkeypatch.setattr(staging, "make_scene", changed)

    return rewrite


def differ(one: PolicyRun, other: PolicyRun) -> np.ndarray:
    """Ticks in which any decision, reason or forecast differs. (T,)"""
    assert one.series is not None
    assert other.series is not None
    found = np.zeros(one.series.level[0].shape[1], bool)
    for name in SERIES:
        for a, b in zip(getattr(one.series, name), getattr(other.series, name), strict=True):
            found |= (a.view(f"u{a.itemsize}") != b.view(f"u{b.itemsize}")).any(0)
    return found


@pytest.mark.parametrize(("policy", "given"), REPLAYED + GUARDED + MODELLED)
def test_traffic_after_a_tick_cannot_change_it(
    policy: str,
    given: dict[str, Any],
    network: Trace,
    replay: Callable[..., PolicyRun],
    with_path: Callable[..., None],
) -> None:
    """A tick that begins with sample k decides on samples before k; everything from k on is rewritten."""
    truth, rng = replay(policy, network, **given), np.random.default_rng(1)
    assert (truth.model_share > 0.5) == ("model" in given)
    changed_later = False
    for moment, futures in zip(MOMENTS, cycle(FUTURES)):
        for future in futures:

            def rewrite(path: np.ndarray, moment: int = moment, future: Any = future) -> np.ndarray:
                path[:, moment:] = future(rng, path[:, moment:].shape)
                return path

            with_path(rewrite)
            ticks = differ(truth, replay(policy, network, **given))
            known = moment // PER_TICK + 1
            assert not ticks[:known].any(), (
                f"tick {int(ticks.argmax())} knew sample {moment}: {future.__name__}"
            )
            changed_later |= bool(ticks.any())
    assert changed_later or policy == "timer", "the test would notice nothing"


@pytest.mark.parametrize(("policy", "given"), [*REPLAYED[1:], *GUARDED, *MODELLED])
def test_traffic_just_before_a_tick_does_change_it(
    policy: str,
    given: dict[str, Any],
    network: Trace,
    replay: Callable[..., PolicyRun],
    with_path: Callable[..., None],
) -> None:
    """The same test one tick earlier must fail, or it proves nothing."""
    truth = replay(policy, network, **given)
    changed = 0
    for tick in (30, 60, 90, 120, 150):

        def rewrite(path: np.ndarray, tick: int = tick) -> np.ndarray:
            path[:, (tick - 1) * PER_TICK : tick * PER_TICK] = 0.9
            return path

        with_path(rewrite)
        changed += bool(differ(truth, replay(policy, network, **given))[tick])
    assert changed == 5


@pytest.mark.parametrize("policy", CAUSAL)
def test_the_guard_loop_decides_a_sample_on_those_before_it(
    policy: str, network: Trace, make_stage: Any, with_path: Callable[..., None]
) -> None:
    def woken() -> np.ndarray:
        planned = plans_of(policy, make_stage(network, guard=True))[0]
        assert planned.served is not None
        return planned.served

    truth, rng, changed_later = woken(), np.random.default_rng(3), False
    for moment, futures in zip(MOMENTS, cycle(FUTURES)):
        for future in futures:

            def rewrite(path: np.ndarray, moment: int = moment, future: Any = future) -> np.ndarray:
                path[:, moment:] = future(rng, path[:, moment:].shape)
                return path

            with_path(rewrite)
            differs = (woken() != truth).any(0)
            assert not differs[: moment + 1].any(), f"sample {int(differs.argmax())} knew sample {moment}"
            changed_later |= bool(differs[: (moment // PER_TICK + 1) * PER_TICK].any())
    assert changed_later or policy != "predictive", "no wake inside a tick depends on it"


def rewritten(trace: Trace, step: int, future: Any, rng: np.random.Generator) -> Trace:
    """The trace with everything that was recorded from ``step`` on replaced."""

    def later(series: np.ndarray, scale: float = 1.0) -> np.ndarray:
        series = series.copy()
        series[:, step:] = scale * future(rng, series[:, step:].shape)
        return series

    assert trace.ul_prb_ratio is not None
    assert trace.dl_volume_bit is not None
    energy = trace.site_energy
    return replace(
        trace,
        dl_prb_ratio=later(trace.dl_prb_ratio),
        ul_prb_ratio=later(trace.ul_prb_ratio),
        dl_volume_bit=later(trace.dl_volume_bit, 1e9),
        active_users=None,
        activation={level: later(share) for level, share in trace.activation.items()},
        site_energy=energy and SiteEnergy(energy.site_id, later(energy.energy), energy.unit),
    )


@pytest.mark.parametrize(("policy", "given"), REPLAYED + MODELLED)
def test_recorded_steps_cannot_change_what_was_decided_before_them(
    policy: str, given: dict[str, Any], network: Trace, replay: Callable[..., PolicyRun], make_stage: Any
) -> None:
    """The path joins recorded steps by straight lines, so a step reaches back into the recorded one before it."""
    truth, rng = replay(policy, network, **given), np.random.default_rng(2)
    path = make_stage(network).scene(0).path
    for step, futures in zip((2, 25, 96, 131), cycle(FUTURES)):
        for future in futures:
            other = rewritten(network, step, future, rng)
            same = path.view(np.uint32) == make_stage(other).scene(0).path.view(np.uint32)
            first = int(np.argmin(same.all(0)))
            recorded = [np.flatnonzero(~row[:step])[-1] for row in network.missing if not row[:step].all()]
            assert first >= min(recorded) * PER_STEP, "the path reaches back further than to the step before"
            ticks = differ(truth, replay(policy, other, **given))
            assert not ticks[: first // PER_TICK + 1].any(), f"a decision before step {step} knew of it"


def test_true_inputs_are_no_causal_policy(
    network: Trace, replay: Callable[..., PolicyRun], with_path: Callable[..., None]
) -> None:
    """It reads the tick to come, so it is no candidate for live control and is not among the causal policies."""
    assert planners.TRUE not in CAUSAL + planners.POLICIES
    truth = replay(planners.TRUE, network)

    def busy(path: np.ndarray) -> np.ndarray:
        path[:, 130 * PER_TICK :] = 0.9
        return path

    with_path(busy)
    ticks = differ(truth, replay(planners.TRUE, network))
    assert ticks.any()
    assert ticks.argmax() <= 130


@pytest.mark.parametrize("step_s", [900, 3600])
def test_a_model_is_used_from_the_end_of_its_training_on(
    step_s: int, network: Trace, replay: Callable[..., PolicyRun]
) -> None:
    """Before it, every decision and forecast is that of the seasonal filter, bit for bit."""
    seasonal = replay(
        planners.SEASONAL, network, model=model(step_s=step_s, trained_until="2025-03-02T22:00:00Z")
    )
    assert not differ(seasonal, replay("predictive", network)).any()
    until = f"{network.start + np.timedelta64(30, 'h')}Z"
    late = replay("predictive", network, model=model(step_s=step_s, trained_until=until))
    ticks = differ(seasonal, late)
    assert ticks.argmax() == 30 * 4
    assert late.model_share == pytest.approx(18 / 48, abs=0.01)
