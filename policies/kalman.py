"""The filter of the log load, one sample at a time: a slow level plus noise that forgets within minutes.

``state`` is any tuple of arrays with ``level``, ``noise``, ``var_level``, ``covariance`` and ``var_noise`` (n,): the
forecaster keeps one (controller/forecast/samples.py), and the guard loop follows a copy between plans.
"""

from __future__ import annotations

import math

from numba import njit

FLOOR = 0.002  # offered load below which its log tells nothing about the cell [ratio]
MEASURED_VARIANCE = 1e-3  # of a report itself, so that no sample is believed wholly


@njit(inline="always")
def advance(state, i, slope, drift, noise_variance, persistence):  # type: ignore[no-untyped-def]
    """Carry cell i one sample on: the level moves by ``slope`` and wanders, the noise fades and is renewed."""
    state.level[i] += slope
    state.var_level[i] += drift
    state.noise[i] *= persistence
    state.covariance[i] *= persistence
    state.var_noise[i] = state.var_noise[i] * persistence**2 + noise_variance * (1 - persistence**2)


@njit(inline="always")
def take_in(state, i, load):  # type: ignore[no-untyped-def]
    """Measure a load of cell i. Returns how far its log was off, and the variance that was expected of that."""
    variance = state.var_level[i] + 2 * state.covariance[i] + state.var_noise[i] + MEASURED_VARIANCE
    gain_level = (state.var_level[i] + state.covariance[i]) / variance
    gain_noise = (state.covariance[i] + state.var_noise[i]) / variance
    innovation = math.log(max(load, FLOOR)) - state.level[i] - state.noise[i]
    state.level[i] += gain_level * innovation
    state.noise[i] += gain_noise * innovation
    shared = state.covariance[i] * (1 - gain_level) - gain_level * state.var_noise[i]
    state.var_level[i] -= gain_level * (state.var_level[i] + state.covariance[i])
    state.var_noise[i] -= gain_noise * (state.covariance[i] + state.var_noise[i])
    state.covariance[i] = shared
    return innovation, variance
