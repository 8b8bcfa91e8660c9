"""What every joint level would have cost in every tick: the tables behind the oracle.

Kept per group, tick and joint state, as sums over the samples of the tick: energy, unserved and below-target
traffic, and the latter two once more over the first samples of the tick, for each wake-up time: a cell that
wakes is served by the level it leaves for that long.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from hw.sharing import local_candidates, share_out
from hw.tables import draw, limit_throughput, user_throughput
from hw.world import SYMBOL

ENERGY, UNSERVED, BELOW, N_SUMS = 0, 1, 2, 3  # behind them unserved and below for each wake-up time
FORBIDDEN = 1e30  # energy of a joint state that is not allowed
NO_WAKE = 1 << 40  # samples; longer than any wake-up


class Wakes(NamedTuple):
    """Wake-up times of a world. L levels, W distinct wake-up times of at least one sample."""

    samples: NDArray[np.int64]  # (W,)
    of_level: NDArray[np.int64]  # (L,) which of them a level has, -1 none


@njit(cache=True)
def wake_clock_of(path, samples_per_tick):  # type: ignore[no-untyped-def]
    """Samples since the tick began, ``NO_WAKE`` once a cell of the group was unrecorded. (samples,)

    An unrecorded sample ends the waking of its cell. Here it ends that of the whole group, so the price of a
    wake-up is never too high.
    """
    n, samples = path.shape
    clock = np.empty(samples, np.int64)
    for t in range(samples):
        at = t % samples_per_tick
        over = clock[t - 1] == NO_WAKE if at > 0 else False
        for k in range(n):
            over = over or np.isnan(path[k, t]) or (t > 0 and np.isnan(path[k, t - 1]))
        clock[t] = NO_WAKE if over else at
    return clock


@njit(cache=True)
def _price_level(tables, model, level, path, ul_per_dl, clock, wakes, wake_clock, sums):  # type: ignore[no-untyped-def]
    """One cell at one level with its own traffic. Adds to ``sums`` (ticks, N_SUMS + 2 W)."""
    samples_per_tick, per_step = clock
    capacity, asleep = tables.capacity[model, level], tables.asleep[level]
    for t in range(len(path)):
        offered = path[t]
        if np.isnan(offered):
            continue
        row = sums[t // samples_per_tick]
        row[ENERGY] += draw(tables, model, level, offered, ul_per_dl[t // per_step])
        if level <= SYMBOL or asleep:
            continue
        missed = max(offered - capacity, np.float32(0))
        limit = limit_throughput(tables, model, offered)
        slow = offered if user_throughput(tables, model, level, offered, offered) < limit else np.float32(0)
        _add(row, wakes, wake_clock[t], missed * tables.size[model], slow * tables.size[model])


@njit(inline="always")
def _add(row, wakes, at, missed, slow):  # type: ignore[no-untyped-def]
    """Book unserved and below-target traffic of a sample, ``at`` by the wake clock."""
    row[UNSERVED] += missed
    row[BELOW] += slow
    for w in range(len(wakes.samples)):
        if at < wakes.samples[w]:
            row[N_SUMS + 2 * w] += missed
            row[N_SUMS + 2 * w + 1] += slow


@njit(cache=True)
def shared_service(tables, models, offered, levels, load, placed):  # type: ignore[no-untyped-def]
    """Unserved and below-target traffic of one sample of a group that shares traffic. [ratio of the world's rate]"""
    unserved, below = 0.0, 0.0
    for k in range(len(offered)):
        if np.isnan(offered[k]):
            continue
        level, size = levels[k], tables.size[models[k]]
        limit = limit_throughput(tables, models[k], offered[k])
        if not tables.asleep[level]:
            unserved += max(offered[k] - tables.capacity[models[k], level], np.float32(0)) * size
            if user_throughput(tables, models[k], level, load[k], offered[k]) < limit:
                below += offered[k] * size
            continue
        left = offered[k] * size
        for c in range(len(offered)):
            if placed[k, c] > 0:
                left -= placed[k, c]
                free = tables.rate[models[c], levels[c]] - load[c]
                if tables.full_rate * tables.size[models[c]] * free < limit:
                    below += placed[k, c]
        if left > 1e-9:
            unserved += left
            below += left if limit > 0 else 0.0
    return unserved, below


@njit(cache=True)
def _price_shared(tables, models, matrix, levels, path, ul_per_dl, clock, wakes, wake_clock, sums):  # type: ignore[no-untyped-def]
    """A joint state with cells off air, sample by sample; energy of the cells on air only."""
    samples_per_tick, per_step = clock
    n, samples = path.shape
    offered, load, room, placed = np.empty(n, np.float32), np.empty(n), np.empty(n), np.zeros((n, n))
    for t in range(samples):
        for k in range(n):
            offered[k] = path[k, t]
        share_out(tables, models, matrix, offered, levels, load, room, placed)
        row = sums[t // samples_per_tick]
        for k in range(n):
            if not np.isnan(offered[k]) and not tables.asleep[levels[k]]:
                asked = np.float32(max(load[k], np.float64(offered[k])))
                row[ENERGY] += draw(tables, models[k], levels[k], asked, ul_per_dl[k, t // per_step])
        missed, slow = shared_service(tables, models, offered, levels, load, placed)
        _add(row, wakes, wake_clock[t], missed, slow)


@njit(cache=True)
def _price_group(tables, models, matrix, levels, service_as, path, ul_per_dl, clock, wakes, out):  # type: ignore[no-untyped-def]
    """All joint states of a group. ``out`` (ticks, S, N_SUMS + 2 W)."""
    n, ticks, n_states = len(models), out.shape[0], out.shape[1]
    wake_clock = wake_clock_of(path, clock[0])
    alone = np.zeros((n, len(tables.asleep), ticks, out.shape[2]))
    for k in range(n):
        for level in range(SYMBOL, len(tables.asleep)):
            own_sums = alone[k, level]
            _price_level(tables, models[k], level, path[k], ul_per_dl[k], clock, wakes, wake_clock, own_sums)
    own = np.empty(n, np.int64)
    shared = np.zeros((n_states, ticks, out.shape[2])) if n > 1 else np.zeros((0, ticks, out.shape[2]))
    for s in range(n_states):
        for k in range(n):
            own[k] = levels[s * n + k]
        as_state = service_as[s]
        if as_state == s and n > 1:
            _price_shared(tables, models, matrix, own, path, ul_per_dl, clock, wakes, wake_clock, shared[s])
        for q in range(ticks):
            for k in range(n):
                if as_state < 0 or tables.asleep[own[k]]:
                    for column in range(out.shape[2]):
                        out[q, s, column] += alone[k, own[k], q, column]
            if as_state >= 0 and n > 1:
                for column in range(out.shape[2]):
                    out[q, s, column] += shared[as_state, q, column]


@njit(cache=True)
def forbid(table, forbidden):  # type: ignore[no-untyped-def]
    """Make forbidden states too dear for any plan. ``table`` (ticks, S, columns)"""
    for s in range(len(forbidden)):
        if forbidden[s]:
            table[:, s, ENERGY] = FORBIDDEN


@njit(parallel=True, cache=True)
def price_states(tables, groups, states, path, ul_per_dl, clock, wakes, ticks, out):  # type: ignore[no-untyped-def]
    """Fill ``out``; group g, tick q, state s is row ``state_start[g] * ticks + q * n_states[g] + s``."""
    for g in prange(len(states.n_states)):
        members = groups.member[groups.group_start[g] : groups.group_start[g + 1]]
        n, count = len(members), states.n_states[g]
        first = states.state_start[g] * ticks
        table = out[first : first + count * ticks].reshape(ticks, count, out.shape[1])
        _price_group(
            tables,
            groups.model[members],
            local_candidates(members, groups),
            states.levels[states.level_start[g] : states.level_start[g] + count * n],
            states.service_as[states.state_start[g] : states.state_start[g] + count],
            path[members],
            ul_per_dl[members],
            clock,
            wakes,
            table,
        )
        forbid(table, states.forbidden[states.state_start[g] : states.state_start[g] + count])
