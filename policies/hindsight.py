"""Kernels of the oracle: what every joint level would have cost in every tick, and the cheapest way through them."""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from hw.plant import local_candidates, share_out
from hw.tables import draw, limit_throughput, user_throughput
from hw.world import SYMBOL
from policies.joint import hamming, relax_changes


@njit(inline="always")  # type: ignore[untyped-decorator]
def _minute_service(tables, models, offered, levels, load, placed):  # type: ignore[no-untyped-def]
    """Unserved and below-target traffic of one sample of a group."""
    unserved, below = 0.0, 0.0
    for k in range(len(offered)):
        if np.isnan(offered[k]):
            continue
        level = levels[k]
        limit = limit_throughput(tables, offered[k])
        if not tables.asleep[level]:
            unserved += max(offered[k] - tables.capacity[models[k], level], np.float32(0))
            if user_throughput(tables, models[k], level, load[k], offered[k]) < limit:
                below += offered[k]
            continue
        left = np.float64(offered[k])
        for c in range(len(offered)):
            if placed[k, c] > 0:
                left -= placed[k, c]
                if tables.full_rate * (tables.rate[models[c], levels[c]] - load[c]) < limit:
                    below += placed[k, c]
        if left > 1e-9:
            unserved += left
            below += left
    return unserved, below


@njit(cache=True)  # type: ignore[untyped-decorator]
def _price_group(tables, models, matrix, levels, n_states, path, ul_per_dl, clock, energy, unserved, below):  # type: ignore[no-untyped-def]
    """Energy, unserved and below-target traffic of every state in every tick. ``path`` (members, samples)."""
    samples_per_tick, per_step = clock
    n, samples = path.shape
    offered = np.empty(n, np.float32)
    load, room, placed = np.empty(n), np.empty(n), np.zeros((n, n))
    own = np.empty((n_states, n), np.int64)
    for s in range(n_states):
        for k in range(n):
            own[s, k] = levels[s * n + k]
    for t in range(samples):
        at = (t // samples_per_tick) * n_states
        known = False
        for k in range(n):
            offered[k] = path[k, t]
            known = known or not np.isnan(offered[k])
        if not known:
            continue
        for s in range(n_states):
            placed[:] = 0
            share_out(tables, models, matrix, offered, own[s], load, room, placed)
            for k in range(n):
                if not np.isnan(offered[k]):
                    energy[at + s] += draw(tables, models[k], own[s, k], np.float32(load[k]), ul_per_dl[k, t // per_step])
            missed, slow = _minute_service(tables, models, offered, own[s], load, placed)
            unserved[at + s] += missed
            below[at + s] += slow


@njit(cache=True)  # type: ignore[untyped-decorator]
def _price_single(tables, model, levels, path, ul_per_dl, clock, energy, unserved, below):  # type: ignore[no-untyped-def]
    """``_price_group`` for a cell of its own, level by level."""
    samples_per_tick, per_step = clock
    n_states = len(levels)
    for s in range(n_states):
        level = np.int64(levels[s])
        capacity = tables.capacity[model, level]
        for start in range(0, len(path), samples_per_tick):
            spent, missed, slow = 0.0, 0.0, 0.0
            for t in range(start, min(start + samples_per_tick, len(path))):
                offered = path[t]
                if np.isnan(offered):
                    continue
                spent += draw(tables, model, level, offered, ul_per_dl[t // per_step])
                if level <= SYMBOL:
                    continue
                missed += max(offered - capacity, np.float32(0))
                if user_throughput(tables, model, level, offered, offered) < limit_throughput(tables, offered):
                    slow += offered
            at = (start // samples_per_tick) * n_states + s
            energy[at], unserved[at], below[at] = spent, missed, slow


@njit(parallel=True, cache=True)  # type: ignore[untyped-decorator]
def price_states(tables, groups, states, path, ul_per_dl, clock, ticks, energy, unserved, below):  # type: ignore[no-untyped-def]
    """Fill the flat tables; group g, tick q, state s is at ``state_start[g] * ticks + q * n_states[g] + s``."""
    for g in prange(len(states.n_states)):
        members = groups.member[groups.group_start[g] : groups.group_start[g + 1]]
        n, count = len(members), states.n_states[g]
        levels = states.levels[states.level_start[g] : states.level_start[g] + count * n]
        first = states.state_start[g] * ticks
        last = first + count * ticks
        if n == 1:
            i = members[0]
            _price_single(
                tables, groups.model[i], levels, path[i], ul_per_dl[i], clock,
                energy[first:last], unserved[first:last], below[first:last],
            )  # fmt: skip
        else:
            matrix = local_candidates(members, groups.candidate_start, groups.candidate)
            _price_group(
                tables, groups.model[members], matrix, levels, count, path[members], ul_per_dl[members], clock,
                energy[first:last], unserved[first:last], below[first:last],
            )  # fmt: skip


@njit(parallel=True, cache=True)  # type: ignore[untyped-decorator]
def cheapest_plans(states, group_start, ticks, energy, unserved, below, prices, plan, totals):  # type: ignore[no-untyped-def]
    """Cheapest state of every group in every tick at given prices of unserved, below and changes.

    ``plan`` (g, ticks) uint16 states; ``totals`` (g, 4): energy, unserved, below, changes of that plan.
    """
    for g in prange(len(states.n_states)):
        count = states.n_states[g]
        n = group_start[g + 1] - group_start[g]
        first = states.state_start[g] * ticks
        levels = states.levels[states.level_start[g] : states.level_start[g] + count * n]
        radix = states.radix[states.cell_start[g] : states.cell_start[g] + n]
        stride = states.stride[states.cell_start[g] : states.cell_start[g] + n]
        to_go = np.zeros((ticks + 1, count))
        for q in range(ticks - 1, -1, -1):
            at = first + q * count
            for s in range(count):
                price = energy[at + s] + prices[0] * unserved[at + s] + prices[1] * below[at + s]
                to_go[q, s] = price + to_go[q + 1, s]
            if q > 0:
                relax_changes(to_go[q], radix, stride, prices[2])
        _walk(levels, n, count, ticks, first, energy, unserved, below, prices, to_go, plan[g], totals[g])


@njit(cache=True)  # type: ignore[untyped-decorator]
def _walk(levels, n, count, ticks, first, energy, unserved, below, prices, to_go, plan, totals):  # type: ignore[no-untyped-def]
    """Follow the cheapest way from all awake, and add up what it does."""
    totals[:] = 0
    now = 0
    for q in range(ticks):
        at = first + q * count
        best, least = 0, np.inf
        for s in range(count):
            price = energy[at + s] + prices[0] * unserved[at + s] + prices[1] * below[at + s] + to_go[q + 1, s]
            price += prices[2] * hamming(levels, s * n, now * n, n)
            if price < least:
                best, least = s, price
        totals[3] += hamming(levels, best * n, now * n, n)
        now = best
        plan[q] = best
        totals[0] += energy[at + best]
        totals[1] += unserved[at + best]
        totals[2] += below[at + best]
