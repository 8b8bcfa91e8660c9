"""What every joint level would have cost with the guard loop, in hindsight: in each sample any cell may be woken.

Which samples those are, and to which level, depends on what missed traffic costs, so these tables are made anew for
every pair of prices. Columns as in policies/hindsight.py. Only cells on air wake between plans, at once. One off air
needs minutes, which no table by sample can hold, and stays as planned.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from hw.sharing import local_candidates, share_out
from hw.tables import draw, limit_throughput, user_throughput
from hw.world import SYMBOL
from policies.hindsight import BELOW, ENERGY, UNSERVED, forbid, shared_service, wake_clock_of


@njit(cache=True)
def _sample_alone(tables, models, path, ul_per_dl, t, per_step, own):  # type: ignore[no-untyped-def]
    """Energy, unserved and below-target traffic of each cell at each level on its own. ``own`` (3, n, L)."""
    own[:] = 0
    for k in range(len(models)):
        offered = path[k, t]
        if np.isnan(offered):
            continue
        for level in range(SYMBOL, len(tables.asleep)):
            own[ENERGY, k, level] = draw(tables, models[k], level, offered, ul_per_dl[k, t // per_step])
            if level <= SYMBOL or tables.asleep[level]:
                continue
            missed = max(offered - tables.capacity[models[k], level], np.float32(0))
            limit = limit_throughput(tables, models[k], offered)
            slow = user_throughput(tables, models[k], level, offered, offered) < limit
            own[UNSERVED, k, level] = missed * tables.size[models[k]]
            own[BELOW, k, level] = offered * tables.size[models[k]] if slow else 0.0


@njit(cache=True)
def _deeper(tables, levels, service_as, own, found):  # type: ignore[no-untyped-def]
    """States that only sleep deeper than another one: what is on air draws and misses the same. In ``found``."""
    n = own.shape[1]
    for s in range(len(service_as)):
        first = service_as[s]
        if first < 0 or first == s:
            continue
        for column in range(3):
            found[column, s] += found[column, first]
        for k in range(n):
            level = levels[first * n + k]
            if tables.asleep[level]:
                found[ENERGY, s] -= own[ENERGY, k, level]


@njit(cache=True)
def _sample_states(  # type: ignore[no-untyped-def]
    tables, models, matrix, levels, service_as, path, ul_per_dl, t, per_step, own, scratch, found
):
    """Energy, unserved and below-target traffic of every joint state in one sample. ``found`` (3, S)."""
    n, n_states = len(models), len(service_as)
    _sample_alone(tables, models, path, ul_per_dl, t, per_step, own)
    found[:] = 0
    offered, load, room, placed, at = scratch
    for s in range(n_states):
        alone = service_as[s] < 0
        for k in range(n):
            level = levels[s * n + k]
            at[k] = level
            if alone or tables.asleep[level]:
                for column in range(3):
                    found[column, s] += own[column, k, level]
        if service_as[s] != s:
            continue
        for k in range(n):
            offered[k] = path[k, t]
        share_out(tables, models, matrix, offered, at, load, room, placed)
        for k in range(n):
            if not np.isnan(offered[k]) and not tables.asleep[at[k]]:
                asked = np.float32(max(load[k], np.float64(offered[k])))
                found[ENERGY, s] += draw(tables, models[k], at[k], asked, ul_per_dl[k, t // per_step])
        missed, slow = shared_service(tables, models, offered, at, load, placed)
        found[UNSERVED, s] += missed
        found[BELOW, s] += slow
    _deeper(tables, levels, service_as, own, found)


@njit(cache=True)
def _cheapest_woken(tables, levels, found, prices, shape, full_wakes, cost, best):  # type: ignore[no-untyped-def]
    """For every state the cheapest that is reached from it by waking some of its cells. (S,) into ``best``.

    With ``full_wakes`` they wake to full only.
    """
    radix, stride = shape
    for s in range(len(best)):
        cost[s] = found[ENERGY, s] + prices[0] * found[UNSERVED, s] + prices[1] * found[BELOW, s]
        best[s] = s
    for j in range(len(radix)):  # one cell after the other covers every set of cells
        for s in range(len(best)):
            if tables.asleep[levels[s * len(radix) + j]]:
                continue
            digit = (s // stride[j]) % radix[j]
            if digit == 0:
                continue
            # the state one level up knows the best of all levels above it by now
            woken = s - (digit if full_wakes else 1) * stride[j]
            if cost[best[woken]] < cost[best[s]]:
                best[s] = best[woken]


@njit(cache=True)
def _group(  # type: ignore[no-untyped-def]
    tables,
    models,
    matrix,
    levels,
    service_as,
    shape,
    path,
    ul_per_dl,
    clock,
    wakes,
    full_wakes,
    prices,
    plan,
    out,
    served,
):
    """All states of a group into ``out`` (ticks, S, columns), or what a ``plan`` (ticks,) ``served`` (n, samples)."""
    samples_per_tick, per_step = clock
    n, n_states = len(models), len(service_as)
    own, found = np.zeros((3, n, len(tables.asleep))), np.zeros((3, n_states))
    cost, best = np.empty(n_states), np.empty(n_states, np.int64)
    scratch = (np.empty(n, np.float32), np.empty(n), np.empty(n), np.zeros((n, n)), np.empty(n, np.int64))
    wake_clock = wake_clock_of(path, samples_per_tick)
    for t in range(path.shape[1]):
        _sample_states(
            tables, models, matrix, levels, service_as, path, ul_per_dl, t, per_step, own, scratch, found
        )
        _cheapest_woken(tables, levels, found, prices, shape, full_wakes, cost, best)
        q = t // samples_per_tick
        if len(plan):
            s = plan[q]
            for k in range(n):
                served[k, t] = levels[best[s] * n + k]
            continue
        for s in range(n_states):
            for column in range(3):
                out[q, s, column] += found[column, best[s]]
            for w in range(len(wakes.samples)):
                if wake_clock[t] < wakes.samples[w]:
                    out[q, s, 3 + 2 * w] += found[UNSERVED, best[s]]
                    out[q, s, 4 + 2 * w] += found[BELOW, best[s]]


@njit(cache=True)
def _parts(groups, states, g):  # type: ignore[no-untyped-def]
    """Members, models, candidate matrix, joint levels, ``service_as`` and the shape (radix, stride) of group g."""
    members = groups.member[groups.group_start[g] : groups.group_start[g + 1]]
    n, count = len(members), states.n_states[g]
    cells = slice(states.cell_start[g], states.cell_start[g] + n)
    return (
        members,
        groups.model[members],
        local_candidates(members, groups),
        states.levels[states.level_start[g] : states.level_start[g] + count * n],
        states.service_as[states.state_start[g] : states.state_start[g] + count],
        (states.radix[cells], states.stride[cells]),
    )


@njit(parallel=True, cache=True)
def price_watched(tables, groups, states, path, ul_per_dl, clock, wakes, full_wakes, prices, ticks, out):  # type: ignore[no-untyped-def]
    """As ``hindsight.price_states``, with the cheapest wakes in each sample at ``prices`` (2,)."""
    out[:] = 0
    for g in prange(len(states.n_states)):
        members, models, matrix, levels, service_as, shape = _parts(groups, states, g)
        first, count = states.state_start[g] * ticks, len(service_as)
        table = out[first : first + count * ticks].reshape(ticks, count, out.shape[1])
        _group(
            tables,
            models,
            matrix,
            levels,
            service_as,
            shape,
            path[members],
            ul_per_dl[members],
            clock,
            wakes,
            full_wakes,
            prices,
            np.zeros(0, np.uint16),
            table,
            np.zeros((0, 0), np.uint8),
        )
        forbid(table, states.forbidden[states.state_start[g] : states.state_start[g] + count])


@njit(parallel=True, cache=True)
def served_of(  # type: ignore[no-untyped-def]
    tables, groups, states, path, ul_per_dl, clock, wakes, full_wakes, prices, plans, served
):
    """Fill ``served`` (n, samples), levels with wakes, for ``plans`` (g, ticks), each at its ``prices`` (g, 2)."""
    for g in prange(len(states.n_states)):
        members, models, matrix, levels, service_as, shape = _parts(groups, states, g)
        mine = np.zeros((len(members), path.shape[1]), np.uint8)
        _group(
            tables,
            models,
            matrix,
            levels,
            service_as,
            shape,
            path[members],
            ul_per_dl[members],
            clock,
            wakes,
            full_wakes,
            prices[g],
            plans[g],
            np.zeros((0, 0, 0), np.float32),
            mine,
        )
        for k in range(len(members)):
            served[members[k]] = mine[k]
