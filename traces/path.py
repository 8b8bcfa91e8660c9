"""The path of the traffic inside a recorded step: what a 60 s sample may have looked like.

The recorded value of a step is the mean of this path. Recorded values are joined by straight lines between
step middles, multiplied by log-normal noise with an exponential autocorrelation, scaled so that each step
keeps its recorded mean, and capped at 1. This is an assumption of the evaluation, not a measurement.

Each cell draws from a stream of its own, keyed by seed and cell identifier, so that a part of a network
replays exactly as it does within the whole.
"""

from __future__ import annotations

import hashlib
import math

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from traces.errors import TraceError
from traces.trace import Float32, Strings


def samples_per_step(step_s: int, sample_s: int) -> int:
    """Number of samples in a step; 1 where steps are shorter than a sample.

    Raises TraceError where a step is not a whole number of samples.
    """
    if step_s <= sample_s:
        return 1
    if step_s % sample_s:
        raise TraceError(
            f"step of {step_s} s is not a whole number of {sample_s} s samples; resample the trace"
        )
    return step_s // sample_s


def sample_path(
    load: Float32, cell_id: Strings, *, per_step: int, sigma: float, correlation_samples: float, seed: int
) -> Float32:
    """Path of the offered load at sample grain.

    Parameters
    ----------
    load : recorded load, NaN where unrecorded. Shape (n_cells, n_steps). [ratio]
    cell_id : identifiers that key the random streams. Shape (n_cells,).
    per_step : samples in a step.
    sigma : standard deviation of the log of the noise.
    correlation_samples : samples after which the autocorrelation has fallen to 1/e.

    Returns
    -------
    Shape (n_cells, n_steps * per_step), NaN where the step is unrecorded. [ratio]
    """
    n_cells, n_steps = load.shape
    path = np.empty((n_cells, n_steps * per_step), np.float32)
    if per_step == 1:
        path[:] = load
        return path
    for cell, name in enumerate(cell_id):
        cell_key = int.from_bytes(hashlib.sha256(str(name).encode()).digest()[:8], "little")
        stream = np.random.Generator(np.random.Philox(key=np.array([seed, cell_key], np.uint64)))
        stream.standard_normal(out=path[cell], dtype=np.float32)
    _shape_paths(path, np.ascontiguousarray(load), per_step, sigma, math.exp(-1 / correlation_samples))
    return path


def expected_path(load: Float32, per_step: int) -> Float32:
    """The path without its noise: straight lines between step middles, each step at its recorded mean.

    ``load`` (n_cells, n_steps) NaN unrecorded [ratio]. Returns (n_cells, n_steps * per_step), NaN where unrecorded.
    """
    path = np.zeros((len(load), load.shape[1] * per_step), np.float32)
    if per_step == 1:
        path[:] = load
    else:
        _shape_paths(path, np.ascontiguousarray(load), per_step, 0.0, 1.0)
    return path


@njit(cache=True)
def _join_middles(load: Float32, per_step: int, out: NDArray[np.float64]) -> None:
    """Straight lines between the middles of recorded steps; NaN inside unrecorded steps. One cell."""
    known = np.flatnonzero(~np.isnan(load))
    middles = known * per_step + (per_step - 1) / 2
    at = np.arange(len(out)).astype(np.float64)
    if len(known):
        out[:] = np.interp(at, middles, load[known].astype(np.float64))
    for step in range(len(load)):
        if np.isnan(load[step]):
            out[step * per_step : (step + 1) * per_step] = np.nan


@njit(cache=True)
def _shape_path(path: Float32, load: Float32, per_step: int, sigma: float, rho: float) -> None:
    """Turn white noise in ``path`` into the path of one cell, in place."""
    mean = np.empty(len(path))
    _join_middles(load, per_step, mean)
    innovation = math.sqrt(1 - rho * rho)
    state = float(path[0])
    for step in range(len(load)):
        first = step * per_step
        total = 0.0
        for t in range(first, first + per_step):
            if t > 0:
                state = rho * state + innovation * path[t]
            value = mean[t] * math.exp(sigma * state - sigma * sigma / 2)
            total += value
            path[t] = value
        scale = load[step] * per_step / total if total > 0 else 0.0
        for t in range(first, first + per_step):
            path[t] = min(path[t] * scale, 1.0) if not np.isnan(load[step]) else np.nan


@njit(parallel=True, cache=True)
def _shape_paths(path: Float32, load: Float32, per_step: int, sigma: float, rho: float) -> None:
    for cell in prange(len(path)):
        _shape_path(path[cell], load[cell], per_step, sigma, rho)
