"""The least cost from a step on, over the stored energy, as a list of slopes; exact for convex steps.

The cost-to-go of stored energy s is convex and piecewise linear. Going one step back adds the step's own cost by
inf-convolution, which merges the two sorted lists of slopes (Rockafellar 1970, theorem 16.4); the limits of the store
then clip the list at both ends. The list's left end, its value, each length and each slope carry their derivative with
respect to the import limit, so that one pass gives the cost and its slope over the limit.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from policies.site.step_cost import LENGTH, MAX_PIECES, MOVED, SLACK_WH, SLOPE, TURNED, step_pieces

LEFT, LEFT_MOVED, RIGHT, RIGHT_MOVED, VALUE, VALUE_MOVED = range(6)


class Room(NamedTuple):
    """What the passes over the steps of one site write into.

    The cost-to-go is a list of pieces in the order of their slopes: place k in [span[0], span[1]) has ``slope[k]``
    and the number ``piece[k]``, under which its length and its derivatives stand.
    """

    sides: NDArray[np.uint8]  # (T,) which side of its split a step is held to (step_cost)
    pieces: NDArray[np.float64]  # (4, MAX_PIECES) of one step, convex
    raw: NDArray[np.float64]  # the same, as it is
    slope: NDArray[np.float64]  # currency per Wh
    piece: NDArray[np.int64]
    parts: NDArray[np.float64]  # (4, ...), rows as those of ``pieces``
    span: NDArray[np.int64]  # (3,) begin, end, and how many pieces have been numbered
    ends: NDArray[
        np.float64
    ]  # (6,) of the cost-to-go: left end, right end, cost at the left end, and their changes


@njit(cache=True)
def _insert(slope, piece, span, new, number):  # type: ignore[no-untyped-def]
    """Put the piece ``number`` of slope ``new`` into the sorted list; the shorter side makes room."""
    low, high = span[0], span[1]
    while low < high:
        middle = (low + high) // 2
        if slope[middle] < new:
            low = middle + 1
        else:
            high = middle
    if low - span[0] < span[1] - low:
        span[0] -= 1
        low -= 1
        for k in range(span[0], low):
            slope[k] = slope[k + 1]
        for k in range(span[0], low):
            piece[k] = piece[k + 1]
    else:
        for k in range(span[1], low, -1):
            slope[k] = slope[k - 1]
        for k in range(span[1], low, -1):
            piece[k] = piece[k - 1]
        span[1] += 1
    slope[low], piece[low] = new, number


@njit(cache=True)
def _clip(slope, piece, parts, span, ends, least, most):  # type: ignore[no-untyped-def]
    """Keep the list within ``least`` to ``most``. Returns False where nothing is left."""
    if ends[RIGHT] < least - SLACK_WH or ends[LEFT] > most + SLACK_WH:
        return False
    while ends[LEFT] < least and span[0] < span[1]:
        k = piece[span[0]]
        cut, cut_moved, steep = least - ends[LEFT], -ends[LEFT_MOVED], slope[span[0]]
        if parts[LENGTH, k] <= cut:
            cut, cut_moved = parts[LENGTH, k], parts[MOVED, k]
            span[0] += 1
            ends[LEFT] += cut
            ends[LEFT_MOVED] += cut_moved
        else:
            parts[LENGTH, k] -= cut
            parts[MOVED, k] -= cut_moved
            ends[LEFT], ends[LEFT_MOVED] = least, 0.0
        ends[VALUE] += steep * cut
        ends[VALUE_MOVED] += steep * cut_moved + parts[TURNED, k] * cut
    while ends[RIGHT] > most and span[0] < span[1]:
        k = piece[span[1] - 1]
        if parts[LENGTH, k] <= ends[RIGHT] - most:
            span[1] -= 1
            ends[RIGHT] -= parts[LENGTH, k]
            ends[RIGHT_MOVED] -= parts[MOVED, k]
        else:
            parts[LENGTH, k] -= ends[RIGHT] - most
            parts[MOVED, k] -= ends[RIGHT_MOVED]
            ends[RIGHT], ends[RIGHT_MOVED] = most, 0.0
    return True


@njit(cache=True)
def step_back(site, t, cap_wh, room, least, most):  # type: ignore[no-untyped-def]
    """Add the cost of step t to the cost from its end on, for stored energy between ``least`` and ``most``.

    What is taken out of the store in the step lowers its cost: slopes change sign. Returns False where the limits
    cannot be kept.
    """
    sides, step, _, slope, piece, parts, span, ends = room
    n, begin = step_pieces(site, t, cap_wh, sides[t], step)
    if n == 0:
        return False
    total, total_moved, cost, cost_moved = 0.0, 0.0, begin.cost, begin.cost_moved
    for k in range(n):
        steep, length, moved, turned = step[SLOPE, k], step[LENGTH, k], step[MOVED, k], step[TURNED, k]
        total += length
        total_moved += moved
        cost += steep * length
        cost_moved += steep * moved + turned * length
        if length > 0:
            number = span[2]
            parts[LENGTH, number], parts[MOVED, number], parts[TURNED, number] = length, moved, -turned
            span[2] += 1
            _insert(slope, piece, span, -steep, number)
    ends[LEFT] -= begin.change + total
    ends[LEFT_MOVED] -= begin.change_moved + total_moved
    ends[RIGHT] -= begin.change
    ends[RIGHT_MOVED] -= begin.change_moved
    ends[VALUE] += cost
    ends[VALUE_MOVED] += cost_moved
    return _clip(slope, piece, parts, span, ends, least, min(most, ends[RIGHT]))


@njit(cache=True)
def begin_list(site, room):  # type: ignore[no-untyped-def]
    """The cost after the last step, between the floor and the capacity: less by what is stored above the floor."""
    ends, span = room.ends, room.span
    middle = len(room.slope) // 2
    span[0], span[1], span[2] = middle, middle + 1, 1
    room.slope[middle], room.piece[middle] = -site.end_worth, 0
    room.parts[:, 0] = 0.0
    room.parts[LENGTH, 0] = site.capacity_wh - site.floors_wh[-1]
    ends[:] = 0.0
    ends[LEFT], ends[RIGHT] = site.floors_wh[-1], site.capacity_wh


@njit(cache=True)
def new_room(n_steps):  # type: ignore[no-untyped-def]
    """Room for the passes over ``n_steps`` steps, which may be on either side of their split."""
    size = MAX_PIECES * n_steps + MAX_PIECES
    slope, piece, parts = np.empty(2 * size), np.empty(2 * size, np.int64), np.empty((4, size))
    sides, span, ends = np.zeros(n_steps, np.uint8), np.empty(3, np.int64), np.empty(6)
    step, raw = np.empty((4, MAX_PIECES)), np.empty((4, MAX_PIECES))
    return Room(sides, step, raw, slope, piece, parts, span, ends)


@njit(cache=True)
def cost_at_cap(site, cap_wh, room):  # type: ignore[no-untyped-def]
    """Least cost of a site with its import at or below ``cap_wh`` [Wh per step], and its slope over the cap.

    Infinite where the limits cannot be kept, on the sides that steps are held to.
    """
    begin_list(site, room)
    for t in range(len(site.steps) - 1, -1, -1):
        most = site.capacity_wh if t else np.inf
        if not step_back(site, t, cap_wh, room, site.floors_wh[t], most):
            return np.inf, 0.0
    if room.ends[LEFT] > site.floors_wh[0] + SLACK_WH:
        return np.inf, 0.0
    return room.ends[VALUE], room.ends[VALUE_MOVED]
