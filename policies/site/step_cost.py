"""What a step costs over the change of stored energy: a few straight pieces.

Energies of a step are in Wh at the meter. ``c`` is what the battery adds to the meter, below zero while it discharges,
``d`` what it adds to the store. With load l, PV p, import price a, feed-in price f and import limit k the meter sees
``l + c - used PV``. PV beyond the load charges for nothing, then for the lost feed-in, then the grid charges; at a
price below zero PV is curtailed and the load imports what the limit allows, unless feeding in earns more. The battery
never discharges beyond ``l - p``. Import above an event's limit costs more, and is no more than what is needed.

The cost is continuous, and convex but for one place at most, where its slope falls: between discharging and charging
at a price below zero, and between feeding in and importing where feed-in is paid better than import costs. A step is
then split there: either side is convex, and so is the hull over both.
"""

from __future__ import annotations

from typing import NamedTuple

from numba import njit

from policies.site.site_terms import (
    EVENT,
    FEED_IN,
    HARD,
    KINK,
    LEAST,
    LOAD,
    MORE,
    MOST,
    NET,
    PRICE,
    SOLD,
    SURPLUS,
)

MAX_PIECES = 6
# Rows of (4, MAX_PIECES) pieces, from the left: currency per Wh stored, Wh stored, and how much longer and steeper a
# piece gets per Wh of a higher import limit.
SLOPE, LENGTH, MOVED, TURNED = range(4)
SLACK_WH = 1e-6  # rounding that is no breach of a limit
BOTH, LEFT_SIDE, RIGHT_SIDE = 0, 1, 2  # which side of the split a step may be on; BOTH: the hull


class Begin(NamedTuple):
    """Where the pieces of a step begin, with the changes per Wh of a higher import limit."""

    change: float  # change of stored energy [Wh]
    change_moved: float
    cost: float  # [currency]
    cost_moved: float


@njit(cache=True)
def room_at_meter(step, cap_wh):  # type: ignore[no-untyped-def]
    """Least and most that the battery may add to the meter in a step (site_terms), and d(most) / d(cap). [Wh]"""
    hard_wh, least_wh, most_wh = step[HARD], step[LEAST], step[MOST]
    room_wh = min(hard_wh, cap_wh) - step[NET]
    if room_wh >= most_wh:
        return least_wh, most_wh, 0.0
    if least_wh > room_wh > least_wh - SLACK_WH:
        room_wh = least_wh
    return least_wh, room_wh, 1.0 if cap_wh < hard_wh else 0.0


@njit(cache=True)
def store_change(site, meter_wh):  # type: ignore[no-untyped-def]
    """Change of stored energy from what the battery adds to the meter. [Wh]"""
    if meter_wh > 0:
        return meter_wh * site.charge_efficiency
    return meter_wh / site.discharge_efficiency


@njit(cache=True)
def _add(pieces, n, at, to, ends, kink, slope, per_meter):  # type: ignore[no-untyped-def]
    """Append the piece up to ``to`` = (place, its change with the cap), but not beyond ``ends``; two at the kink."""
    if at[0] < kink[0] < min(to[0], ends[0]):
        n, at = _add_straight(pieces, n, at, (kink[0], 0.0), ends, slope, per_meter)
    if at[0] >= kink[0]:
        slope += kink[1]
    return _add_straight(pieces, n, at, to, ends, slope, per_meter)


@njit(cache=True)
def _add_straight(pieces, n, at, to, ends, slope, per_meter):  # type: ignore[no-untyped-def]
    end, end_moved = to if to[0] < ends[0] else ends
    if end <= at[0]:
        return n, at
    pieces[SLOPE, n], pieces[LENGTH, n] = slope / per_meter, (end - at[0]) * per_meter
    pieces[MOVED, n], pieces[TURNED, n] = (end_moved - at[1]) * per_meter, 0.0
    return n + 1, (end, end_moved)


@njit(cache=True)
def _feed_in_ends(price, feed_in, sold, surplus, load, limit):  # type: ignore[no-untyped-def]
    """Charging at which importing the load at a price below zero earns what feeding in does, and its change."""
    earned = -price
    at = feed_in * sold / earned - load
    if at > surplus - sold:
        at = (feed_in * surplus - earned * load) / (feed_in + earned)
    if load + at <= limit[0]:
        return at, 0.0
    return surplus - earned * limit[0] / feed_in, -earned * limit[1] / feed_in


@njit(cache=True)
def raw_pieces(site, t, cap_wh, pieces):  # type: ignore[no-untyped-def]
    """Write the cost of step t at an import limit into ``pieces``; the slope may fall once.

    Returns their number and where they begin. A step whose limit cannot be kept at all gets no piece.
    """
    step = site.steps[t]
    least, most, most_moved = room_at_meter(step, cap_wh)
    if most < least:
        return 0, Begin(0.0, 0.0, 0.0, 0.0)
    load, surplus, sold = step[LOAD], step[SURPLUS], step[SOLD]
    price, feed_in, wear = step[PRICE], step[FEED_IN], site.wear
    store, draw = site.charge_efficiency, 1 / site.discharge_efficiency
    at, ends, zero = (least, 0.0), (most, most_moved), (0.0, 0.0)
    n, cost_moved, kink = 0, 0.0, (step[KINK], step[MORE])
    if price >= 0:
        cost = price * max(step[NET], 0.0) - feed_in * sold + (price - wear) * least
        n, at = _add(pieces, n, at, zero, ends, kink, price - wear, draw)
        n, at = _add(pieces, n, at, (surplus - sold, 0.0), ends, kink, 0.0, store)
        n, at = _add(pieces, n, at, (surplus, 0.0), ends, kink, feed_in, store)
        n, at = _add(pieces, n, at, ends, ends, kink, price, store)
    else:
        limit = (cap_wh, 1.0) if cap_wh < step[EVENT] else (step[EVENT], 0.0)
        full = (limit[0] - load, limit[1])  # import at its limit
        cost = price * min(load + least, limit[0]) - wear * least
        if full[0] < least:
            cost_moved = price * full[1]
        if sold > 0:
            turn = _feed_in_ends(price, feed_in, sold, surplus, load, limit)
            if turn[0] > 0:
                cost, cost_moved = -feed_in * sold, 0.0
                unsold = (surplus - sold, 0.0) if surplus - sold < turn[0] else turn
                n, at = _add(pieces, n, at, unsold, ends, kink, 0.0, store)
                n, at = _add(pieces, n, at, turn, ends, kink, feed_in, store)
        elif full[0] <= 0:
            n, at = _add(pieces, n, at, full, ends, kink, price - wear, draw)
            n, at = _add(pieces, n, at, zero, ends, kink, -wear, draw)
        else:
            n, at = _add(pieces, n, at, zero, ends, kink, price - wear, draw)
        n, at = _add(pieces, n, at, full, ends, kink, price, store)
        n, at = _add(pieces, n, at, ends, ends, kink, 0.0, store)
    if least > kink[0]:
        cost += kink[1] * (least - kink[0])
    if n == 0:  # no room at all: one piece of no length keeps the step possible
        pieces[SLOPE, 0], pieces[LENGTH, 0], pieces[MOVED, 0], pieces[TURNED, 0] = 0.0, 0.0, 0.0, 0.0
        n = 1
    return n, Begin(store_change(site, least), 0.0, cost, cost_moved)


@njit(cache=True)
def split_at(pieces, n):  # type: ignore[no-untyped-def]
    """Number of the first piece right of the place where the slope falls; 0: the step is convex."""
    for k in range(1, n):
        if pieces[SLOPE, k] < pieces[SLOPE, k - 1]:
            return k
    return 0


@njit(cache=True)
def _level(pieces, n):  # type: ignore[no-untyped-def]
    """Replace the pieces by their hull: those whose slopes fall become one. Returns the number left."""
    kept = 0
    for k in range(n):
        slope, length, moved = pieces[SLOPE, k], pieces[LENGTH, k], pieces[MOVED, k]
        rise, rise_moved = slope * length, slope * moved + pieces[TURNED, k] * length
        while kept > 0 and pieces[SLOPE, kept - 1] >= slope:
            kept -= 1
            rise += pieces[SLOPE, kept] * pieces[LENGTH, kept]
            rise_moved += (
                pieces[SLOPE, kept] * pieces[MOVED, kept] + pieces[TURNED, kept] * pieces[LENGTH, kept]
            )
            length, moved = length + pieces[LENGTH, kept], moved + pieces[MOVED, kept]
            slope = rise / length
        pieces[SLOPE, kept], pieces[LENGTH, kept], pieces[MOVED, kept] = slope, length, moved
        pieces[TURNED, kept] = (rise_moved - slope * moved) / length if length > 0 else 0.0
        kept += 1
    return kept


@njit(cache=True)
def step_pieces(site, t, cap_wh, side, pieces):  # type: ignore[no-untyped-def]
    """The convex cost of step t on one side of its split, or the hull over both; as ``raw_pieces`` returns it."""
    n, begin = raw_pieces(site, t, cap_wh, pieces)
    split = split_at(pieces, n)
    if split == 0:
        return n, begin
    if side == BOTH:
        return _level(pieces, n), begin
    if side == LEFT_SIDE:
        return split, begin
    change, change_moved, cost, cost_moved = begin
    for k in range(split):
        change += pieces[LENGTH, k]
        change_moved += pieces[MOVED, k]
        cost += pieces[SLOPE, k] * pieces[LENGTH, k]
        cost_moved += pieces[SLOPE, k] * pieces[MOVED, k]
    for k in range(split, n):
        j = k - split
        pieces[SLOPE, j], pieces[LENGTH, j] = pieces[SLOPE, k], pieces[LENGTH, k]
        pieces[MOVED, j], pieces[TURNED, j] = pieces[MOVED, k], 0.0
    return n - split, Begin(change, change_moved, cost, cost_moved)


@njit(cache=True)
def cost_of(change, n, begin, pieces):  # type: ignore[no-untyped-def]
    """Cost of a step at a change of stored energy [Wh], along its pieces. [currency]"""
    cost, left = begin.cost, change - begin.change
    for k in range(n):
        part = min(left, pieces[LENGTH, k])
        if part <= 0:
            break
        cost += pieces[SLOPE, k] * part
        left -= part
    return cost
