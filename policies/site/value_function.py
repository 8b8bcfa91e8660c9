"""The least cost from a step on, over the stored energy, as a list of slopes; exact for convex steps.

The cost-to-go of stored energy s is convex and piecewise linear. Going one step back adds the step's own cost by
inf-convolution, which merges the two sorted lists of slopes (Rockafellar 1970, theorem 16.4); the limits of the store
then clip the list at both ends. The list's left end, its value and each length carry their derivative with respect
to the import limit, so that one pass gives the cost and its slope over the limit.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from policies.site.step_cost import MAX_PIECES, SLACK_WH, Pieces, step_pieces

TIE = 1e-13  # slopes that differ by less are equal [currency per Wh]: the battery then idles
LEFT, LEFT_MOVED, RIGHT, RIGHT_MOVED, VALUE, VALUE_MOVED = range(6)


@njit(cache=True)
def _insert(slopes, lengths, moved, span, slope, length, length_moved):  # type: ignore[no-untyped-def]
    """Put one piece into the sorted list ``[span[0], span[1])``; the shorter side makes room."""
    low, high = span[0], span[1]
    while low < high:
        middle = (low + high) // 2
        if slopes[middle] < slope:
            low = middle + 1
        else:
            high = middle
    if low - span[0] < span[1] - low:
        span[0] -= 1
        for k in range(span[0], low - 1):
            slopes[k], lengths[k], moved[k] = slopes[k + 1], lengths[k + 1], moved[k + 1]
        low -= 1
    else:
        for k in range(span[1], low, -1):
            slopes[k], lengths[k], moved[k] = slopes[k - 1], lengths[k - 1], moved[k - 1]
        span[1] += 1
    slopes[low], lengths[low], moved[low] = slope, length, length_moved


@njit(cache=True)
def _clip(slopes, lengths, moved, span, ends, least, most):  # type: ignore[no-untyped-def]
    """Keep the list within ``least`` to ``most``. Returns False where nothing is left."""
    if ends[RIGHT] < least - SLACK_WH or ends[LEFT] > most + SLACK_WH:
        return False
    while ends[LEFT] < least and span[0] < span[1]:
        k = span[0]
        cut, cut_moved = least - ends[LEFT], -ends[LEFT_MOVED]
        if lengths[k] <= cut:
            cut, cut_moved = lengths[k], moved[k]
            span[0] += 1
            ends[LEFT] += cut
            ends[LEFT_MOVED] += cut_moved
        else:
            lengths[k] -= cut
            moved[k] -= cut_moved
            ends[LEFT], ends[LEFT_MOVED] = least, 0.0
        ends[VALUE] += slopes[k] * cut
        ends[VALUE_MOVED] += slopes[k] * cut_moved
    while ends[RIGHT] > most and span[0] < span[1]:
        k = span[1] - 1
        if lengths[k] <= ends[RIGHT] - most:
            span[1] -= 1
            ends[RIGHT] -= lengths[k]
            ends[RIGHT_MOVED] -= moved[k]
        else:
            lengths[k] -= ends[RIGHT] - most
            moved[k] -= ends[RIGHT_MOVED]
            ends[RIGHT], ends[RIGHT_MOVED] = most, 0.0
    return True


@njit(cache=True)
def _step_back(fleet, i, t, cap_wh, pieces, slopes, lengths, moved, span, ends):  # type: ignore[no-untyped-def]
    """Add the cost of step t to the cost from its end on. Returns False where its limits cannot be kept."""
    n, begin, cost, cost_moved = step_pieces(fleet, i, t, cap_wh, pieces)
    if n == 0:
        return False
    length, length_moved = 0.0, 0.0
    for k in range(n):
        length += pieces.length[k]
        length_moved += pieces.moved[k]
        cost += pieces.slope[k] * pieces.length[k]
        cost_moved += pieces.slope[k] * pieces.moved[k]
        # what is taken out of the store in the step lowers its cost: slopes change sign
        if pieces.length[k] > 0:
            _insert(slopes, lengths, moved, span, -pieces.slope[k], pieces.length[k], pieces.moved[k])
    ends[LEFT] -= begin + length
    ends[LEFT_MOVED] -= length_moved
    ends[RIGHT] -= begin
    ends[VALUE] += cost
    ends[VALUE_MOVED] += cost_moved
    return True


@njit(cache=True)
def _begin(fleet, i, floors, slopes, lengths, moved, span, ends):  # type: ignore[no-untyped-def]
    """The cost after the last step, between the floor and the capacity: less by what is stored above the floor."""
    capacity_wh = fleet.capacity_wh[i]
    middle = len(slopes) // 2
    span[0], span[1] = middle, middle + 1
    slopes[middle], lengths[middle], moved[middle] = -fleet.end_price[i] / 1000, capacity_wh - floors[-1], 0.0
    ends[:] = 0.0
    ends[LEFT], ends[RIGHT] = floors[-1], capacity_wh


@njit(cache=True)
def new_list(n_steps):  # type: ignore[no-untyped-def]
    """Room for the slope list of a site: slopes, lengths, their derivatives, the span in use, ends."""
    size = 2 * (MAX_PIECES * n_steps + MAX_PIECES)
    pieces = Pieces(np.empty(MAX_PIECES), np.empty(MAX_PIECES), np.empty(MAX_PIECES))
    return pieces, np.empty(size), np.empty(size), np.empty(size), np.empty(2, np.int64), np.empty(6)


@njit(cache=True)
def cost_at_cap(fleet, i, cap_wh, floors, room):  # type: ignore[no-untyped-def]
    """Least cost of site i with its import at or below ``cap_wh`` [Wh per step], and its slope over the cap.

    ``floors`` (T + 1,) can be met by charging. Infinite where the limits cannot be kept.
    """
    pieces, slopes, lengths, moved, span, ends = room
    n_steps = fleet.load_w.shape[1]
    capacity_wh = fleet.capacity_wh[i]
    _begin(fleet, i, floors, slopes, lengths, moved, span, ends)
    for t in range(n_steps - 1, -1, -1):
        if not _step_back(fleet, i, t, cap_wh, pieces, slopes, lengths, moved, span, ends):
            return np.inf, 0.0
        least, most = (floors[t], capacity_wh) if t else (floors[0], ends[RIGHT])
        if not _clip(slopes, lengths, moved, span, ends, least, most):
            return np.inf, 0.0
    if ends[LEFT] > floors[0] + SLACK_WH:
        return np.inf, 0.0
    return ends[VALUE], ends[VALUE_MOVED]


@njit(cache=True)
def _longer(array, size):  # type: ignore[no-untyped-def]
    """The array, or a longer copy that holds ``size``."""
    if size <= len(array):
        return array
    copy = np.empty(2 * size, array.dtype)
    copy[: len(array)] = array
    return copy


@njit(cache=True)
def _walk(start, left, slopes, lengths, begin, pieces, n):  # type: ignore[no-untyped-def]
    """Best stored energy after a step that begins with ``start`` stored: from idle as far as it pays.

    The cost from the step's end on is the list ``left, slopes, lengths``, the step's own ``begin, pieces``.
    """
    right, finish = left + lengths.sum(), start + begin + pieces.length[:n].sum()
    low, high = max(left, start + begin), min(right, finish)
    if low >= high:
        return min(low, finish)
    y = min(max(start, low), high)
    a, edge = 0, left  # list piece a begins at edge
    while a < len(slopes) - 1 and edge + lengths[a] <= y:
        edge += lengths[a]
        a += 1
    b, own = 0, start + begin
    while b < n - 1 and own + pieces.length[b] <= y:
        own += pieces.length[b]
        b += 1
    began = y
    while a < len(slopes) and b < n and slopes[a] + pieces.slope[b] < -TIE:
        list_end, own_end = edge + lengths[a], own + pieces.length[b]
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
            own -= pieces.length[b]
        elif a < len(slopes) and b < n and slopes[a] + pieces.slope[b] > TIE:
            y = max(edge, own)
        else:
            return y


@njit(cache=True)
def best_path(fleet, i, cap_wh, floors, room, stored_wh):  # type: ignore[no-untyped-def]
    """Write the stored energy (T + 1,) of the cheapest plan under ``cap_wh`` [Wh per step], which can be kept."""
    pieces, slopes, lengths, moved, span, ends = room
    n_steps, capacity_wh = fleet.load_w.shape[1], fleet.capacity_wh[i]
    first, left = np.zeros(n_steps + 2, np.int64), np.empty(n_steps + 1)  # lists in the order they are made
    kept_slopes, kept_lengths = np.empty(64 * n_steps + 64), np.empty(64 * n_steps + 64)
    _begin(fleet, i, floors, slopes, lengths, moved, span, ends)
    for k in range(n_steps):
        t = n_steps - k
        left[k] = ends[LEFT]
        first[k + 1] = first[k] + span[1] - span[0]
        kept_slopes, kept_lengths = _longer(kept_slopes, first[k + 1]), _longer(kept_lengths, first[k + 1])
        kept_slopes[first[k] : first[k + 1]] = slopes[span[0] : span[1]]
        kept_lengths[first[k] : first[k + 1]] = lengths[span[0] : span[1]]
        if t > 1:
            _step_back(fleet, i, t - 1, cap_wh, pieces, slopes, lengths, moved, span, ends)
            _clip(slopes, lengths, moved, span, ends, floors[t - 1], capacity_wh)
    stored_wh[0] = floors[0]
    for t in range(n_steps):
        k = n_steps - 1 - t
        n, begin, _, _ = step_pieces(fleet, i, t, cap_wh, pieces)
        inside = slice(first[k], first[k + 1])
        stored_wh[t + 1] = _walk(
            stored_wh[t], left[k], kept_slopes[inside], kept_lengths[inside], begin, pieces, n
        )
