"""The path inside a step keeps what was recorded and has the noise that was assumed."""

from __future__ import annotations

import hashlib
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from traces import TraceError
from traces.path import sample_path, samples_per_step

PER_STEP = 12


def path_of(
    load: Any, *, per_step: int = PER_STEP, sigma: float = 0.3, seed: int = 0, **more: Any
) -> NDArray[Any]:
    load = np.atleast_2d(np.asarray(load, np.float32))
    names = np.asarray(more.pop("cell_id", [f"c{i}" for i in range(len(load))]))
    return sample_path(
        load,
        names,
        per_step=per_step,
        sigma=sigma,
        correlation_samples=more.pop("correlation", 5.0),
        seed=seed,
    )


def naive_path(
    load: NDArray[np.float32], white: NDArray[np.float32], per_step: int, sigma: float, correlation: float
) -> list[float]:
    """The path of one cell from its white noise, step by step, by the words of docs/evaluation.md."""
    known = [s for s in range(len(load)) if not math.isnan(load[s])]
    middle = [s * per_step + (per_step - 1) / 2 for s in known]
    rho = math.exp(-1 / correlation)
    path, noise = [], 0.0
    for t, draw in enumerate(white.tolist()):
        noise = draw if t == 0 else rho * noise + math.sqrt(1 - rho**2) * draw
        line = float(np.interp(t, middle, [float(load[s]) for s in known])) if known else 0.0
        path.append(line * math.exp(sigma * noise))
    for s in range(len(load)):
        step = slice(s * per_step, (s + 1) * per_step)
        mean = sum(path[step]) / per_step
        scale = math.nan if math.isnan(load[s]) else float(load[s]) / mean if mean > 0 else 0.0
        path[step] = [min(value * scale, 1.0) if not math.isnan(scale) else math.nan for value in path[step]]
    return path


loads = arrays(
    np.float32,
    st.tuples(st.integers(1, 4), st.integers(1, 6)),
    elements=st.one_of(st.floats(0, 1, width=32).filter(lambda x: x == 0 or x > 1e-6), st.just(math.nan)),
)


@pytest.mark.kernel
@settings(max_examples=60)
@given(
    load=loads, per_step=st.integers(2, 20), sigma=st.sampled_from([0.0, 0.15, 0.45]), seed=st.integers(0, 9)
)
def test_the_kernel_does_what_its_twin_does(
    load: NDArray[np.float32], per_step: int, sigma: float, seed: int
) -> None:
    path = path_of(load, per_step=per_step, sigma=sigma, seed=seed)
    assert path.shape == (len(load), load.shape[1] * per_step)
    assert path.dtype == np.float32
    np.testing.assert_array_equal(np.isnan(path), np.repeat(np.isnan(load), per_step, axis=1))
    assert (path[~np.isnan(path)] >= 0).all()
    assert (path[~np.isnan(path)] <= 1).all()
    for i in range(len(load)):
        white = white_noise(f"c{i}", seed, path.shape[1])
        expected = naive_path(load[i], white, per_step, sigma, 5.0)
        np.testing.assert_allclose(path[i], expected, rtol=2e-5, atol=1e-7)


def white_noise(cell: str, seed: int, samples: int) -> NDArray[np.float32]:
    """The white noise of a cell, by the key that its docstring names: seed and cell identifier."""
    key = int.from_bytes(hashlib.sha256(cell.encode()).digest()[:8], "little")
    stream = np.random.Generator(np.random.Philox(key=np.array([seed, key], np.uint64)))
    return stream.standard_normal(samples, dtype=np.float32)


def test_every_step_keeps_its_mean_up_to_the_cap() -> None:
    rng = np.random.default_rng(1)
    load = rng.uniform(0, 1, (50, 40)).astype(np.float32)
    path = path_of(load, per_step=60)
    steps = path.reshape(50, 40, 60)
    means, capped = steps.mean(2, dtype=float), (steps == 1).any(2)
    np.testing.assert_allclose(means[~capped], load[~capped], rtol=1e-5)
    assert capped.any()
    assert (means[capped] < load[capped]).all()
    assert capped[load < 0.3].mean() < 0.01


def test_the_noise_has_the_sigma_and_the_correlation_that_were_assumed() -> None:
    # a long step of small load: no cap, and the scaling to the mean moves the level only
    for sigma in (0.15, 0.3, 0.45):
        path = path_of(np.full((40, 1), 0.05), per_step=4000, sigma=sigma)
        log = np.log(path.astype(float))
        log -= log.mean(1, keepdims=True)
        assert log.std() == pytest.approx(sigma, rel=0.03)
        for lag, expected in ((1, math.exp(-1 / 5)), (5, math.exp(-1)), (25, math.exp(-5))):
            correlation = (log[:, lag:] * log[:, :-lag]).mean() / log.var()
            assert correlation == pytest.approx(expected, abs=0.03)
        assert np.abs(np.corrcoef(log)[np.triu_indices(40, 1)]).max() < 0.3


def test_cells_draw_from_streams_of_their_own() -> None:
    rng = np.random.default_rng(2)
    load, names = rng.uniform(0.01, 0.2, (6, 5)), [f"site/{i}" for i in range(6)]
    whole = path_of(load, cell_id=names)
    some = [4, 1]
    np.testing.assert_array_equal(path_of(load[some], cell_id=[names[i] for i in some]), whole[some])
    np.testing.assert_array_equal(path_of(load, cell_id=names), whole)
    assert not (path_of(load, cell_id=names, seed=1) == whole).any()
    assert not (path_of(load, cell_id=[f"x{n}" for n in names]) == whole).any()


def test_the_noise_before_a_step_does_not_know_what_comes_after() -> None:
    load = np.random.default_rng(3).uniform(0.1, 0.4, (1, 8))
    later = load.copy()
    later[0, 6:] = 0.9
    # lines run to the middle of the next step, so steps 0 to 4 are untouched
    np.testing.assert_array_equal(path_of(load)[:, : 5 * PER_STEP], path_of(later)[:, : 5 * PER_STEP])
    shorter = path_of(load[:, :6])
    np.testing.assert_array_equal(shorter[:, : 5 * PER_STEP], path_of(load)[:, : 5 * PER_STEP])


def test_without_noise_the_path_runs_straight_between_the_middles() -> None:
    path = path_of([0.2, 0.4, 0.6, 0.8], per_step=10, sigma=0)[0]
    slope = np.diff(path)
    np.testing.assert_allclose(slope[10:29], 0.02, rtol=1e-4)
    # before the first and after the last middle the line is flat, and scaled to the mean of the step
    np.testing.assert_allclose(slope[:4], 0, atol=1e-7)
    np.testing.assert_allclose(slope[-4:], 0, atol=1e-7)
    np.testing.assert_allclose(path.reshape(4, 10).mean(1), [0.2, 0.4, 0.6, 0.8], rtol=1e-5)


def test_lines_cross_what_was_not_recorded() -> None:
    path = path_of([0.2, math.nan, 0.6], per_step=10, sigma=0)[0]
    assert np.isnan(path[10:20]).all()
    slope = np.diff(path[:10])
    np.testing.assert_allclose(slope[5:], slope[5], rtol=1e-3)
    np.testing.assert_allclose(path[:10].mean(), 0.2, rtol=1e-5)
    np.testing.assert_allclose(slope[5] / path[4:6].mean(), 0.02 / 0.21, rtol=0.1)


def test_one_step_alone_is_flat_without_noise() -> None:
    np.testing.assert_allclose(path_of([0.3], sigma=0), np.full((1, PER_STEP), 0.3), rtol=1e-6)
    assert path_of([0.3]).mean(dtype=float) == pytest.approx(0.3)


def test_nothing_recorded_and_nothing_offered() -> None:
    assert np.isnan(path_of([math.nan, math.nan])).all()
    assert (path_of([0.0, 0.0]) == 0).all()
    path = path_of([0.0, 0.5, 0.0])[0]
    assert (path[:PER_STEP] == 0).all()
    assert (path[-PER_STEP:] == 0).all()
    assert path[PER_STEP : 2 * PER_STEP].mean(dtype=float) == pytest.approx(0.5, rel=1e-5)


def test_a_step_no_longer_than_a_sample_is_left_as_it_is() -> None:
    load = np.array([[0.2, math.nan, 1.0]], np.float32)
    np.testing.assert_array_equal(path_of(load, per_step=1, sigma=0.45), load)


@pytest.mark.parametrize(("step_s", "samples"), [(3600, 60), (900, 15), (60, 1), (10, 1), (61, 0)])
def test_steps_hold_whole_samples(step_s: int, samples: int) -> None:
    if samples:
        assert samples_per_step(step_s, 60) == samples
    else:
        with pytest.raises(TraceError, match=r"61 s is not a whole number of 60 s samples; resample"):
            samples_per_step(step_s, 60)
