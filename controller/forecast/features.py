"""From the remembered history to the columns of ``layout``: one kernel over the asked-for cells.

It holds no lock of Python, so that several batches of cells can be filled at once.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from controller.forecast.layout import AHEAD, LIMIT, N_DAYS, N_LAGS, SHARED
from controller.forecast.state import FeatureState

N_SHARED, N_AHEAD = len(SHARED), len(AHEAD)


class Moment(NamedTuple):
    """Where the network stands after its last observed step. H steps ahead, S slots a day."""

    at: int  # place of the last step in the ring
    slot: int  # of the last step in the local day
    ahead_slot: NDArray[np.int64]  # (H,) slots of the coming steps in the local day
    ahead_week_slot: NDArray[np.int64]  # (H,) in the local week
    rest_day: NDArray[np.float32]  # (H,) 1 on a weekend or holiday
    holiday: NDArray[np.float32]  # (H,)
    network_shape: NDArray[np.float32]  # (S,) mean over cells of the profile less its own mean
    network_lag: float  # mean of the last residual over cells
    site_lag: NDArray[np.float32]  # (n,) mean of the last residual over the site's other cells
    network_profile: NDArray[np.float32]  # (S,) mean profile over cells, without gaps
    site_profile: NDArray[
        np.float32
    ]  # (G, S) mean u over the cells of a site when last in that slot, NaN unknown
    site: NDArray[np.int32]  # (n,) site of each cell


def last_residual(state: FeatureState, at: int, slot: int) -> NDArray[np.float32]:
    """u - p of the last step, NaN where there is no value. (n,)"""
    return np.asarray(np.clip(state.history[:, at] - state.profile[:, slot], -LIMIT, LIMIT), np.float32)


def fill_features(
    state: FeatureState, moment: Moment, cells: NDArray[np.int64], out: NDArray[np.float32]
) -> None:
    """Write the columns of ``cells`` (m,) into ``out`` (m, F)."""
    assert out.shape == (len(cells), N_SHARED + N_AHEAD * len(moment.ahead_slot))
    _fill(state, moment, cells, out)


@njit(inline="always")
def _limited(value):  # type: ignore[no-untyped-def]
    """A difference of logs as a feature: limited, 0 where unknown."""
    if np.isnan(value):
        return np.float32(0.0)
    return np.float32(min(max(value, -LIMIT), LIMIT))


@njit(cache=True)
def _base(state, moment, i, profile):  # type: ignore[no-untyped-def]
    """Daily profile of a cell into ``profile`` (S,), gaps filled from its group. Returns its mean.

    The group is the site where it has been measured, else the network; its profile is moved to the cell's own height.
    """
    total, offset, n_own = 0.0, 0.0, 0
    for slot in range(len(profile)):
        group = moment.site_profile[moment.site[i], slot]
        profile[slot] = moment.network_profile[slot] if np.isnan(group) else group
        own = state.profile[i, slot]
        if not np.isnan(own):
            offset += own - profile[slot]
            n_own += 1
    offset /= max(n_own, 1)
    for slot in range(len(profile)):
        own = state.profile[i, slot]
        profile[slot] = profile[slot] + offset if np.isnan(own) else own
        total += profile[slot]
    return total / len(profile)


@njit(cache=True)
def _fill_shared(state, moment, i, profile, profile_mean, row):  # type: ignore[no-untyped-def]
    """The shared columns of one cell."""
    ring, per_day = state.history.shape[1], len(profile)
    hour = max(per_day // 24, 2)
    quarter = max(per_day // 4, 2)
    sums, counts = np.zeros(4), np.zeros(4)  # residual of 1 h, 6 h, 24 h; roughness
    absolute, day_total, missing = 0.0, 0.0, 0
    later = np.float32(np.nan)
    for k in range(per_day):
        u = state.history[i, (moment.at - k) % ring]
        # local slots walk back with the steps; a change of daylight saving blurs one day
        residual = min(max(u - profile[(moment.slot - k) % per_day], -LIMIT), LIMIT)
        if k < N_LAGS:
            row[k] = _limited(residual)
        if np.isnan(u):
            missing += 1
            later = u
            continue
        for w in range(3):
            if k < (hour, quarter, per_day)[w]:
                sums[w] += residual
                counts[w] += 1
        absolute += abs(residual)
        day_total += u
        if not np.isnan(later):
            sums[3] += min(abs(later - u), LIMIT)
            counts[3] += 1
        later = u
    level = state.total[i] / state.n_values[i] if state.n_values[i] > 0 else profile_mean
    known = per_day - missing
    row[N_LAGS] = sums[0] / max(counts[0], 1)
    row[N_LAGS + 1] = sums[1] / max(counts[1], 1)
    row[N_LAGS + 2] = sums[2] / max(counts[2], 1)
    row[N_LAGS + 3] = absolute / max(known, 1)
    row[N_LAGS + 4] = sums[3] / max(counts[3], 1)
    row[N_LAGS + 5] = level
    row[N_LAGS + 6] = _limited(day_total / known - level) if known > 0 else 0.0
    row[N_LAGS + 7] = _limited(profile_mean - level)
    row[N_LAGS + 8] = _limited(profile.max() - profile_mean)
    row[N_LAGS + 9] = _limited(profile.min() - profile_mean)
    row[N_LAGS + 10] = missing / per_day
    row[N_LAGS + 11] = min(state.age[i] / per_day, 1.0)
    row[N_LAGS + 12] = min(state.n_values[i] / (per_day * N_DAYS), 1.0)
    row[N_LAGS + 13] = _limited(moment.network_lag)
    row[N_LAGS + 14] = _limited(moment.site_lag[i])
    angle = 2 * np.pi * moment.slot / per_day
    row[N_LAGS + 15] = np.sin(angle)
    row[N_LAGS + 16] = np.cos(angle)
    row[N_LAGS + 17] = np.sin(2 * angle)
    row[N_LAGS + 18] = np.cos(2 * angle)


@njit(cache=True)
def _fill_ahead(state, moment, i, profile, profile_mean, row):  # type: ignore[no-untyped-def]
    """The ahead columns of one cell, all blocks of a horizon at once."""
    ring, per_day, horizon = state.history.shape[1], len(profile), len(moment.ahead_slot)
    far = max(per_day // 24, 2)
    for h in range(horizon):
        slot, week_slot = moment.ahead_slot[h], moment.ahead_week_slot[h]
        base = profile[slot]
        # the same step of the latest day that has it; one step later there is known unless it is yet to come
        back = ((h + per_day) // per_day) * per_day - h - 1  # steps before the last one
        history = state.history[i]
        yesterday = history[(moment.at - back) % ring]
        row[h] = base
        row[horizon + h] = _limited(profile[(slot - 1) % per_day] - base)
        row[2 * horizon + h] = _limited(profile[(slot + 1) % per_day] - base)
        row[3 * horizon + h] = _limited(profile[(slot - far) % per_day] - base)
        row[4 * horizon + h] = _limited(profile[(slot + far) % per_day] - base)
        row[5 * horizon + h] = _limited(state.mean[i, slot] - base)
        row[6 * horizon + h] = _limited(moment.network_shape[slot] + profile_mean - base)
        row[7 * horizon + h] = _limited(yesterday - base)
        row[8 * horizon + h] = _limited(history[(moment.at - back - 1) % ring] - base)
        row[9 * horizon + h] = _limited(history[(moment.at - back + 1) % ring] - base) if back > 0 else 0.0
        row[10 * horizon + h] = _limited(history[(moment.at - back - per_day) % ring] - base)
        # a week before a step more than a week ahead is not known; the ring then holds its own place
        week = ring - h - 1
        row[11 * horizon + h] = _limited(history[(moment.at - week) % ring] - base) if week >= 0 else 0.0
        row[12 * horizon + h] = _limited(state.week[i, week_slot] - base)
        row[13 * horizon + h] = state.spread[i, slot]
        row[14 * horizon + h] = moment.rest_day[h]
        row[15 * horizon + h] = moment.holiday[h]


@njit(cache=True, nogil=True)
def _fill(state, moment, cells, out):  # type: ignore[no-untyped-def]
    profile = np.empty(state.profile.shape[1], np.float32)
    for k in range(len(cells)):
        i = cells[k]
        mean = _base(state, moment, i, profile)
        _fill_shared(state, moment, i, profile, mean, out[k, :N_SHARED])
        _fill_ahead(state, moment, i, profile, mean, out[k, N_SHARED:])
