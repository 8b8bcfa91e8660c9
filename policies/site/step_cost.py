"""What a step costs over the change of stored energy: a few straight pieces.

Energies of a step are in Wh at the meter. ``c`` is what the battery adds to the meter, below zero while it discharges,
``d`` what it adds to the store. With load l, PV p, import price a, feed-in price f and import limit k the meter sees
``l + c - used PV``. PV beyond the load charges for nothing, then for the lost feed-in, then the grid charges; at a
price below zero PV is curtailed and the load imports what the limit allows. The battery never discharges beyond
``l - p``.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

MAX_PIECES = 6
SLACK_WH = 1e-6  # rounding that is no breach of a limit


class Pieces(NamedTuple):
    """The convex cost of one step as straight pieces over the change of stored energy, from the left.

    ``moved`` is how much longer a piece gets per Wh of a higher import limit.
    """

    slope: NDArray[np.float64]  # (MAX_PIECES,) currency per Wh stored
    length: NDArray[np.float64]  # (MAX_PIECES,) [Wh stored]
    moved: NDArray[np.float64]  # (MAX_PIECES,)


@njit(cache=True)
def room_at_meter(fleet, i, t, cap_wh):  # type: ignore[no-untyped-def]
    """Least and most that the battery of site i may add to the meter in step t, and d(most) / d(cap). [Wh]"""
    hard_wh = fleet.cap_w[i, t] * fleet.step_h
    net_wh = (fleet.load_w[i, t] - fleet.pv_w[i, t]) * fleet.step_h
    room_wh = min(hard_wh, cap_wh) - net_wh
    most_wh = fleet.charge_max_w[i, t] * fleet.step_h
    least_wh = -min(fleet.discharge_max_w[i, t] * fleet.step_h, max(net_wh, 0.0))
    if room_wh >= most_wh:
        return least_wh, most_wh, 0.0
    if least_wh > room_wh > least_wh - SLACK_WH:
        room_wh = least_wh
    return least_wh, room_wh, 1.0 if cap_wh < hard_wh else 0.0


@njit(cache=True)
def store_change(fleet, i, meter_wh):  # type: ignore[no-untyped-def]
    """Change of stored energy from what the battery adds to the meter. [Wh]"""
    if meter_wh > 0:
        return meter_wh * fleet.charge_efficiency[i]
    return meter_wh / fleet.discharge_efficiency[i]


@njit(cache=True)
def _add(pieces, n, at, to, ends, slope, per_meter):  # type: ignore[no-untyped-def]
    """Append the piece up to ``to`` = (place, its change with the cap); a slope that falls is levelled (hull)."""
    end, end_moved = to if to[0] < ends[0] else ends
    if end <= at[0]:
        return n, at
    slope, length, moved = slope / per_meter, (end - at[0]) * per_meter, (end_moved - at[1]) * per_meter
    while n > 0 and pieces.slope[n - 1] >= slope:
        n -= 1
        total = length + pieces.length[n]
        slope = (slope * length + pieces.slope[n] * pieces.length[n]) / total
        length, moved = total, moved + pieces.moved[n]
    pieces.slope[n], pieces.length[n], pieces.moved[n] = slope, length, moved
    return n + 1, (end, end_moved)


@njit(cache=True)
def step_pieces(fleet, i, t, cap_wh, pieces):  # type: ignore[no-untyped-def]
    """Write the cost of step t of site i at an import limit into ``pieces``.

    Returns their number, the change of stored energy where they begin [Wh], the cost there, and its change per Wh of
    the limit. A step whose limit cannot be kept at all gets no piece.
    """
    least, most, most_moved = room_at_meter(fleet, i, t, cap_wh)
    if most < least:
        return 0, 0.0, 0.0, 0.0
    load = fleet.load_w[i, t] * fleet.step_h
    surplus = max(fleet.pv_w[i, t] * fleet.step_h - load, 0.0)
    price, wear = fleet.import_price[i, t] / 1000, fleet.wear_price[i] / 1000
    feed_in = max(fleet.export_price[i, t], 0.0) / 1000
    sold = min(surplus, fleet.export_cap_w[i] * fleet.step_h) if feed_in > 0 else 0.0
    store, draw = fleet.charge_efficiency[i], 1 / fleet.discharge_efficiency[i]
    at, ends, zero = (least, 0.0), (most, most_moved), (0.0, 0.0)
    n = 0
    if price >= 0:
        cost, cost_moved = price * max(load - fleet.pv_w[i, t] * fleet.step_h, 0.0) - feed_in * sold, 0.0
        cost += (price - wear) * least
        n, at = _add(pieces, n, at, zero, ends, price - wear, draw)
        n, at = _add(pieces, n, at, (surplus - sold, 0.0), ends, 0.0, store)
        n, at = _add(pieces, n, at, (surplus, 0.0), ends, feed_in, store)
        n, at = _add(pieces, n, at, ends, ends, price, store)
    else:
        limit = min(fleet.cap_w[i, t] * fleet.step_h, cap_wh)
        full = (
            limit - load,
            1.0 if cap_wh < fleet.cap_w[i, t] * fleet.step_h else 0.0,
        )  # import at its limit
        cost, cost_moved = price * min(load + least, limit) - wear * least, 0.0
        if full[0] < least:
            cost_moved = price * full[1]
        if full[0] <= 0:
            n, at = _add(pieces, n, at, full, ends, price - wear, draw)
            n, at = _add(pieces, n, at, zero, ends, -wear, draw)
        else:
            n, at = _add(pieces, n, at, zero, ends, price - wear, draw)
            n, at = _add(pieces, n, at, full, ends, price, store)
        n, at = _add(pieces, n, at, ends, ends, 0.0, store)
    if n == 0:  # no room at all: one piece of no length keeps the step possible
        pieces.slope[0], pieces.length[0], pieces.moved[0] = 0.0, 0.0, 0.0
        n = 1
    return n, store_change(fleet, i, least), cost, cost_moved


def new_pieces() -> Any:
    """Room for the pieces of one step."""
    return Pieces(np.empty(MAX_PIECES), np.empty(MAX_PIECES), np.empty(MAX_PIECES))
