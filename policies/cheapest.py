"""The cheapest way of every group through its priced states: the dynamic programme of the oracle.

Going from one joint state to another costs a price per changed cell, and the service lost while cells wake
up: for its wake-up time a waking cell is still served by the level it leaves, beside the new levels of the
other cells. The energy of waking itself is left out, so the cheapest cost is never too high.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from policies.hindsight import BELOW, ENERGY, N_SUMS, UNSERVED

CHANGES = 3  # of the totals of a plan: energy, unserved, below, changes


@njit(inline="always")
def _wakes_up(wakes, old, new):  # type: ignore[no-untyped-def]
    """Number of the wake-up time that a change of level takes, -1 for none."""
    w = wakes.of_level[old]
    if w < 0 or w <= wakes.of_level[new]:
        return -1
    return w


@njit(cache=True)
def _delay(row, levels, shape, wakes, before, after):  # type: ignore[no-untyped-def]
    """Unserved and below-target traffic that waking from ``before`` to ``after`` adds to the tick."""
    radix, stride = shape
    n = len(radix)
    missed, slow = 0.0, 0.0
    for w in range(len(wakes.samples)):
        state = after
        for j in range(n):
            if _wakes_up(wakes, levels[before * n + j], levels[after * n + j]) >= w:
                state += ((before // stride[j]) % radix[j] - (after // stride[j]) % radix[j]) * stride[j]
        if state == after:
            break
        at = N_SUMS + 2 * w
        missed += row[state, at] - row[after, at]
        slow += row[state, at + 1] - row[after, at + 1]
        if w > 0:
            missed -= row[state, at - 2] - row[after, at - 2]
            slow -= row[state, at - 1] - row[after, at - 1]
    return missed, slow


@njit(cache=True)
def _wake_ups(levels, n_states, shape, wakes, sleepers):  # type: ignore[no-untyped-def]
    """Every way in which some cells of a group wake up while the others stay: the moves that cost service.

    Returns the set of waking cells (bits over ``sleepers``), the state before and after, and for each wake-up
    time the state that serves until then, as columns of one array (3 + W, ways), ordered by the set.
    """
    radix, stride = shape
    n, n_wakes = len(radix), len(wakes.samples)
    found = np.empty((3 + n_wakes, n_states * n_states), np.int64)
    count = 0
    for mask in range(1, 1 << len(sleepers)):
        for old in range(n_states):
            for new in range(n_states):
                wanted = True
                for j in range(n):
                    waking = _wakes_up(wakes, levels[old * n + j], levels[new * n + j]) >= 0
                    masked = False
                    for k in range(len(sleepers)):
                        masked = masked or (sleepers[k] == j and (mask >> k & 1) == 1)
                    same = levels[old * n + j] == levels[new * n + j]
                    wanted = wanted and (waking if masked else same)
                if not wanted:
                    continue
                found[0, count], found[1, count], found[2, count] = mask, old, new
                for w in range(n_wakes):
                    via = new
                    for j in range(n):
                        if _wakes_up(wakes, levels[old * n + j], levels[new * n + j]) >= w:
                            via += ((old // stride[j]) % radix[j] - (new // stride[j]) % radix[j]) * stride[j]
                    found[3 + w, count] = via
                count += 1
    return found[:, :count].copy()


@njit(cache=True)
def _move(cost, digit, leaves, radix, stride, price, line):  # type: ignore[no-untyped-def]
    """Let one cell change its level without waking up: in place from cost by new level to cost by old.

    ``digit`` (S,) position of the state along the cell's levels; ``leaves`` (radix, radix) moves that wake.
    """
    for s in range(len(cost)):
        if digit[s] != 0:
            continue
        least = np.inf
        for b in range(radix):
            line[b] = cost[s + b * stride]
            least = min(least, line[b])
        for a in range(radix):
            reached = least
            if leaves[a].any():
                reached = np.inf
                for b in range(radix):
                    if not leaves[a, b]:
                        reached = min(reached, line[b])
            cost[s + a * stride] = min(line[a], reached + price)


@njit(cache=True)
def _priced_rows(rows, q, prices, n_wakes, here, early):  # type: ignore[no-untyped-def]
    """Price of each state in tick q, and of its first samples: ``early[w]`` between two wake-up times."""
    for s in range(len(here)):
        row = rows[q, s]
        here[s] = row[ENERGY] + prices[0] * row[UNSERVED] + prices[1] * row[BELOW]
        before = 0.0
        for w in range(n_wakes):
            until = prices[0] * row[N_SUMS + 2 * w] + prices[1] * row[N_SUMS + 2 * w + 1]
            early[w, s] = until - before
            before = until


@njit(cache=True)
def _before(cost, early, ways, digits, leaves, shape, sleepers, price, scratch, out):  # type: ignore[no-untyped-def]
    """Cheapest cost ``out`` (S,) by the state before a tick, from the cost by the state in it.

    Every set of cells that may wake up together is tried; the others move freely. Exact.
    """
    radix, stride = shape
    trial, line = scratch
    at = 0
    for mask in range(1 << len(sleepers)):
        woken = 0
        for k in range(len(sleepers)):
            woken += mask >> k & 1
        if mask == 0:
            trial[:] = cost
        else:
            trial[:] = np.inf
            while at < ways.shape[1] and ways[0, at] == mask:
                total = cost[ways[2, at]] + woken * price
                for w in range(len(early)):
                    total += early[w, ways[3 + w, at]] - early[w, ways[2, at]]
                trial[ways[1, at]] = min(trial[ways[1, at]], total)
                at += 1
        for j in range(len(radix)):
            locked = False
            for k in range(len(sleepers)):
                locked = locked or (sleepers[k] == j and (mask >> k & 1) == 1)
            if not locked:
                _move(trial, digits[j], leaves[j, : radix[j], : radix[j]], radix[j], stride[j], price, line)
        for s in range(len(out)):
            out[s] = min(out[s], trial[s]) if mask else trial[s]


@njit(cache=True)
def _digits_and_leaves(levels, n_states, shape, wakes):  # type: ignore[no-untyped-def]
    """Position of each state along each cell's levels (n, S), and the moves that wake a cell up (n, R, R)."""
    radix, stride = shape
    n = len(radix)
    digits = np.empty((n, n_states), np.int64)
    leaves = np.zeros((n, radix.max(), radix.max()), np.bool_)
    for j in range(n):
        for s in range(n_states):
            digits[j, s] = (s // stride[j]) % radix[j]
        for a in range(radix[j]):
            for b in range(radix[j]):
                old, new = levels[a * stride[j] * n + j], levels[b * stride[j] * n + j]
                leaves[j, a, b] = _wakes_up(wakes, old, new) >= 0
    return digits, leaves


@njit(cache=True)
def _group_plan(rows, levels, shape, wakes, prices, plan, totals):  # type: ignore[no-untyped-def]
    """Cheapest states of one group from all awake. ``rows`` (ticks, S, columns)."""
    ticks, count = rows.shape[0], rows.shape[1]
    n, n_wakes = len(shape[0]), len(wakes.samples)
    sleepers = np.array([j for j in range(n) if wakes.of_level[levels[(count - 1) * n + j]] >= 0], np.int64)
    ways = _wake_ups(levels, count, shape, wakes, sleepers)
    digits, leaves = _digits_and_leaves(levels, count, shape, wakes)
    to_go, here, early = np.zeros((ticks + 1, count)), np.empty(count), np.empty((n_wakes, count))
    scratch = (np.empty(count), np.empty(shape[0].max()))
    for q in range(ticks - 1, -1, -1):
        _priced_rows(rows, q, prices, n_wakes, here, early)
        here += to_go[q + 1]
        _before(here, early, ways, digits, leaves, shape, sleepers, prices[2], scratch, to_go[q])
    totals[:] = 0
    now = 0
    for q in range(ticks):
        best, least = 0, np.inf
        _priced_rows(rows, q, prices, n_wakes, here, early)
        for s in range(count):
            price = here[s] + to_go[q + 1, s]
            for j in range(n):
                price += prices[2] * (levels[now * n + j] != levels[s * n + j])
            if len(sleepers):  # also where it is dearer: waking can be served better than the new level
                missed, slow = _delay(rows[q], levels, shape, wakes, now, s)
                price += prices[0] * missed + prices[1] * slow
            if price < least:
                best, least = s, price
        missed, slow = _delay(rows[q], levels, shape, wakes, now, best)
        for j in range(n):
            totals[CHANGES] += levels[now * n + j] != levels[best * n + j]
        totals[ENERGY] += rows[q, best, ENERGY]
        totals[UNSERVED] += rows[q, best, UNSERVED] + missed
        totals[BELOW] += rows[q, best, BELOW] + slow
        now = best
        plan[q] = best


@njit(parallel=True, cache=True)
def cheapest_plans(states, group_start, ticks, table, wakes, prices, plan, totals):  # type: ignore[no-untyped-def]
    """Cheapest state of every group in every tick at given prices of unserved, below and changes.

    ``plan`` (g, ticks) uint16 states; ``totals`` (g, 4): energy, unserved, below, changes of that plan.
    """
    for g in prange(len(states.n_states)):
        count = states.n_states[g]
        n = group_start[g + 1] - group_start[g]
        first = states.state_start[g] * ticks
        cells = slice(states.cell_start[g], states.cell_start[g] + n)
        _group_plan(
            table[first : first + count * ticks].reshape(ticks, count, table.shape[1]),
            states.levels[states.level_start[g] : states.level_start[g] + count * n],
            (states.radix[cells], states.stride[cells]),
            wakes,
            prices,
            plan[g],
            totals[g],
        )
