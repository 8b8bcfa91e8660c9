"""The cheapest way through the steps of a site, given what it costs from each step's end on.

Forward from the start, each step stores what is best by its own cost and the cost-to-go after it. A step that the
hull carried across its split (step_cost) is settled on the better side at its own true cost, and the steps after it
begin from there.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from policies.site.step_cost import (
    BOTH,
    LEFT_SIDE,
    LENGTH,
    RIGHT_SIDE,
    SLACK_WH,
    SLOPE,
    cost_of,
    raw_pieces,
    split_at,
    step_pieces,
)
from policies.site.value_function import LEFT, RIGHT, VALUE, begin_list, step_back

TIE = 1e-13  # slopes that differ by less are equal [currency per Wh]: the battery then idles
SAME = 1e-10  # costs of a step that differ by less are equal [currency]


@njit(cache=True)
def _longer(array, size):  # type: ignore[no-untyped-def]
    """The array, or a longer copy that holds ``size``."""
    if size <= len(array):
        return array
    copy = np.empty(2 * size, array.dtype)
    copy[: len(array)] = array
    return copy


@njit(cache=True)
def _walk(start, after, begin, pieces, n):  # type: ignore[no-untyped-def]
    """Best stored energy after a step that begins with ``start`` stored: from idle as far as it pays.

    The cost from the step's end on is the list ``after`` (ends, slopes, lengths), the step's own ``begin, pieces``.
    """
    left, right, slopes, lengths = after
    finish = start + begin
    for k in range(n):
        finish += pieces[LENGTH, k]
    low, high = max(left, start + begin), min(right, finish)
    if low >= high:
        return min(low, finish)
    y = min(max(start, low), high)
    a, edge = 0, left  # list piece a begins at edge
    while a < len(slopes) - 1 and edge + lengths[a] <= y:
        edge += lengths[a]
        a += 1
    b, own = 0, start + begin
    while b < n - 1 and own + pieces[LENGTH, b] <= y:
        own += pieces[LENGTH, b]
        b += 1
    began = y
    while a < len(slopes) and b < n and slopes[a] + pieces[SLOPE, b] < -TIE:
        list_end, own_end = edge + lengths[a], own + pieces[LENGTH, b]
        y = max(y, min(list_end, own_end))
        if list_end <= y:
            edge = list_end
            a += 1
        if own_end <= y:
            own = own_end
            b += 1
    if y > began:
        return min(y, high)
    return max(_walk_back(y, a, edge, slopes, lengths, b, own, pieces, n), low)


@njit(cache=True)
def _walk_back(y, a, edge, slopes, lengths, b, own, pieces, n):  # type: ignore[no-untyped-def]
    """Store less than ``y`` as far as it pays; piece a of the list begins at ``edge``, b of the step at ``own``."""
    while True:
        if edge >= y:  # a piece that ends at y is left for the one before it
            a -= 1
            if a < 0:
                return y
            edge -= lengths[a]
        elif own >= y:
            b -= 1
            if b < 0:
                return y
            own -= pieces[LENGTH, b]
        elif a < len(slopes) and b < n and slopes[a] + pieces[SLOPE, b] > TIE:
            y = max(edge, own)
        else:
            return y


@njit(cache=True)
def _value(y, left, slopes, lengths):  # type: ignore[no-untyped-def]
    """Cost from a step's end on with ``y`` stored, above that at the list's left end. [currency]"""
    value, beyond = 0.0, y - left
    for k in range(len(slopes)):
        part = min(beyond, lengths[k])
        if part <= 0:
            break
        value += slopes[k] * part
        beyond -= part
    return value


@njit(cache=True)
def side_of(site, t, cap_wh, change, room):  # type: ignore[no-untyped-def]
    """The side of the split of step t that a change of stored energy [Wh] is on; BOTH for a convex step."""
    n, begin = raw_pieces(site, t, cap_wh, room.raw)
    split = split_at(room.raw, n)
    if split == 0:
        return BOTH
    return LEFT_SIDE if change <= begin.change + room.raw[LENGTH, :split].sum() else RIGHT_SIDE


@njit(cache=True)
def _better_side(site, t, cap_wh, start, after, pieces):  # type: ignore[no-untyped-def]
    """Best stored energy after step t at its true cost: the best of either side."""
    left, right, slopes, lengths = after
    best, stored = np.inf, start
    for side in (LEFT_SIDE, RIGHT_SIDE):
        n, begin = step_pieces(site, t, cap_wh, side, pieces)
        least = start + begin.change
        if max(left, least) > min(right, least + pieces[LENGTH, :n].sum()) + SLACK_WH:
            continue
        y = _walk(start, after, begin.change, pieces, n)
        cost = cost_of(y - start, n, begin, pieces) + _value(y, left, slopes, lengths)
        if cost < best:
            best, stored = cost, y
    return stored


@njit(cache=True)
def _keep(room, first, k, slopes, lengths):  # type: ignore[no-untyped-def]
    """Copy the cost-to-go behind the first k lists; returns the arrays, longer where they were full."""
    slope, piece, parts, span = room.slope, room.piece, room.parts, room.span
    at = first[k] - span[0]
    first[k + 1] = at + span[1]
    slopes, lengths = _longer(slopes, first[k + 1]), _longer(lengths, first[k + 1])
    for j in range(span[0], span[1]):
        slopes[at + j], lengths[at + j] = slope[j], parts[LENGTH, piece[j]]
    return slopes, lengths


@njit(cache=True)
def best_path(site, cap_wh, room, stored_wh):  # type: ignore[no-untyped-def]
    """Write the stored energy (T + 1,) of the cheapest plan under ``cap_wh`` [Wh per step].

    Returns its cost less what is stored at the end is worth, a bound that no plan on the sides held to undercuts, and
    the step that the hull understates most, -1 where the plan is exact. Both are infinite without a plan.
    """
    n_steps, raw, ends, floors = len(site.steps), room.raw, room.ends, site.floors_wh
    first, edges = (
        np.zeros(n_steps + 2, np.int64),
        np.empty((n_steps + 1, 2)),
    )  # lists in the order they are made
    slopes, lengths = np.empty(64 * n_steps + 64), np.empty(64 * n_steps + 64)
    begin_list(site, room)
    for k in range(n_steps):
        t = n_steps - k - 1
        edges[k, 0], edges[k, 1] = ends[LEFT], ends[RIGHT]
        slopes, lengths = _keep(room, first, k, slopes, lengths)
        most = site.capacity_wh if t else np.inf
        if not step_back(site, t, cap_wh, room, floors[t], most):
            return np.inf, np.inf, -1
    if ends[LEFT] > floors[0] + SLACK_WH:
        return np.inf, np.inf, -1
    bound, total, worst, widest = ends[VALUE], 0.0, -1, SAME
    stored_wh[0] = floors[0]
    for t in range(n_steps):
        k, start, side = n_steps - 1 - t, stored_wh[t], room.sides[t]
        n, begin = raw_pieces(site, t, cap_wh, raw)
        after = edges[k, 0], edges[k, 1], slopes[first[k] : first[k + 1]], lengths[first[k] : first[k + 1]]
        if split_at(raw, n) == 0:
            y = _walk(start, after, begin.change, raw, n)
        else:
            m, own = step_pieces(site, t, cap_wh, side, room.pieces)
            y = _walk(start, after, own.change, room.pieces, m)
            gap = cost_of(y - start, n, begin, raw) - cost_of(y - start, m, own, room.pieces)
            if gap > SAME and side == BOTH:
                if gap > widest:
                    worst, widest = t, gap
                y = _better_side(site, t, cap_wh, start, after, room.pieces)
        total += cost_of(y - start, n, begin, raw)
        stored_wh[t + 1] = y
    return total - site.end_worth * (stored_wh[n_steps] - floors[-1]), bound, worst
