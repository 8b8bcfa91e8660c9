"""The cheapest way of every group through its priced states: the dynamic programme of the oracle.

Going from one joint state to another costs a price per changed cell, and the service lost while cells wake up: for
its wake-up time a waking cell is still served by the level it leaves, beside the new levels of the other cells.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from policies.hindsight import BELOW, ENERGY, N_SUMS, UNSERVED

CHANGES = 3  # of the totals of a plan: energy, unserved, below, changes


@njit(inline="always")  # type: ignore[untyped-decorator]
def _wakes_up(wakes, old, new):  # type: ignore[no-untyped-def]
    """Number of the wake-up time that a change of level takes, -1 for none."""
    w = wakes.of_level[old]
    if w < 0 or w <= wakes.of_level[new]:
        return -1
    return w


@njit(cache=True)  # type: ignore[untyped-decorator]
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


@njit(inline="always")  # type: ignore[untyped-decorator]
def _off(levels, shape, wakes, state, sleepers, mask):  # type: ignore[no-untyped-def]
    """Whether all cells of ``mask`` are at a level that takes time to leave."""
    n = len(shape[0])
    for k in range(len(sleepers)):
        if mask >> k & 1 and wakes.of_level[levels[state * n + sleepers[k]]] < 0:
            return False
    return True


@njit(cache=True)  # type: ignore[untyped-decorator]
def _woken(cost, row, levels, shape, wakes, prices, old, sleepers, mask):  # type: ignore[no-untyped-def]
    """Cheapest state that ``old`` can wake to when exactly the cells of ``mask`` wake up and no other cell moves."""
    radix, stride = shape
    n = len(radix)
    combos, woken = 1, 0
    for k in range(len(sleepers)):
        if mask >> k & 1:
            combos *= radix[sleepers[k]]
            woken += 1
    last = N_SUMS + 2 * len(wakes.samples) - 2
    harmless = row[old, last] == 0 and row[old, last + 1] == 0
    least = np.inf
    for combo in range(combos):
        rest, state, waking = combo, old, True
        for k in range(len(sleepers)):
            if mask >> k & 1:
                j = sleepers[k]
                state += (rest % radix[j] - (old // stride[j]) % radix[j]) * stride[j]
                rest //= radix[j]
                waking = waking and _wakes_up(wakes, levels[old * n + j], levels[state * n + j]) >= 0
        if not waking or cost[state] >= least:
            continue
        price = cost[state]
        if not harmless:
            missed, slow = _delay(row, levels, shape, wakes, old, state)
            price += prices[0] * missed + prices[1] * slow
        least = min(least, price)
    return least + woken * prices[2]


@njit(cache=True)  # type: ignore[untyped-decorator]
def _move(cost, levels, shape, wakes, price, j):  # type: ignore[no-untyped-def]
    """Let cell j change its level without waking up, in place: ``cost`` by the new state becomes that by the old."""
    radix, stride = shape
    n = len(radix)
    line = np.empty(radix[j])
    for s in range(len(cost)):
        if (s // stride[j]) % radix[j] != 0:
            continue
        any_new = np.inf
        for b in range(radix[j]):
            any_new = min(any_new, cost[s + b * stride[j]])
        for a in range(radix[j]):
            old = levels[(s + a * stride[j]) * n + j]
            least = any_new
            if wakes.of_level[old] >= 0:
                least = np.inf
                for b in range(radix[j]):
                    new = s + b * stride[j]
                    if _wakes_up(wakes, old, levels[new * n + j]) < 0:
                        least = min(least, cost[new])
            line[a] = min(cost[s + a * stride[j]], least + price)
        for a in range(radix[j]):
            cost[s + a * stride[j]] = line[a]


@njit(cache=True)  # type: ignore[untyped-decorator]
def _before(cost, row, levels, shape, wakes, prices, sleepers, out):  # type: ignore[no-untyped-def]
    """Cheapest cost ``out`` (S,) by the state before a tick, from the cost by the state in it.

    Every set of cells that may wake up together is tried; the others move freely. Exact.
    """
    n = len(shape[0])
    out[:] = np.inf
    for mask in range(1 << len(sleepers)):
        trial = cost.copy()
        if mask:
            for s in range(len(cost)):
                trial[s] = np.inf
                if _off(levels, shape, wakes, s, sleepers, mask):
                    trial[s] = _woken(cost, row, levels, shape, wakes, prices, s, sleepers, mask)
        for j in range(n):
            free = True
            for k in range(len(sleepers)):
                free = free and not (mask >> k & 1 and sleepers[k] == j)
            if free:
                _move(trial, levels, shape, wakes, prices[2], j)
        for s in range(len(out)):
            out[s] = min(out[s], trial[s])


@njit(cache=True)  # type: ignore[untyped-decorator]
def _group_plan(rows, levels, shape, wakes, prices, plan, totals):  # type: ignore[no-untyped-def]
    """Cheapest states of one group from all awake. ``rows`` (ticks, S, columns)."""
    ticks, count = rows.shape[0], rows.shape[1]
    n = len(shape[0])
    sleepers = np.array([j for j in range(n) if wakes.of_level[levels[(count - 1) * n + j]] >= 0], np.int64)
    to_go, here = np.zeros((ticks + 1, count)), np.empty(count)
    for q in range(ticks - 1, -1, -1):
        for s in range(count):
            row = rows[q, s]
            here[s] = to_go[q + 1, s] + row[ENERGY] + prices[0] * row[UNSERVED] + prices[1] * row[BELOW]
        _before(here, rows[q], levels, shape, wakes, prices, sleepers, to_go[q])
    totals[:] = 0
    now = 0
    for q in range(ticks):
        best, least = 0, np.inf
        for s in range(count):
            row = rows[q, s]
            price = row[ENERGY] + prices[0] * row[UNSERVED] + prices[1] * row[BELOW] + to_go[q + 1, s]
            for j in range(n):
                price += prices[2] * (levels[now * n + j] != levels[s * n + j])
            if price < least and len(sleepers):
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


@njit(parallel=True, cache=True)  # type: ignore[untyped-decorator]
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
