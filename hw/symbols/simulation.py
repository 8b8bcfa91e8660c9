"""The per-slot simulator: what a carrier draws with given traffic, slot by slot, and how long its data waits.

Power is that of ``hw.radio``: linear in the RB share, so a slot needs only the number of its active symbols and the RBs
sent in them. ``tests/hw/naive_symbols.py`` adds up the same symbols one by one.

The radio decides on what it knows. Without levers it sends what comes in the slot in which it comes, and empty symbols
rest in micro sleep. With light sleep it goes down after the feedback to its last data, if the time to the next
mandatory slot outlasts the transition and pays for it; data that comes meanwhile waits until the radio is up. With
filling, data waits until it fills a slot, its latency budget ends or the radio is on air anyway, and is packed into as
few symbols as carry it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from hw.radio import Radio, dl_symbol_power, ul_symbol_power
from hw.symbols.frame import SYMBOLS_PER_SLOT
from hw.symbols.layout import Layout
from hw.symbols.levers import LeverSpec, Sleep, rest_ms

Float64 = NDArray[np.float64]
ENERGY, NONE, LIGHT, SLEEPS, USED, BUSY, N_COLUMNS = 0, 1, 2, 3, 4, 5, 6  # of the table of windows
NEVER = 1 << 40  # slots
TINY = 1e-9


class Slots(NamedTuple):
    """A layout in numbers by slot, repeating after S slots."""

    mandatory: NDArray[np.bool_]  # (S,)
    until_mandatory: NDArray[np.int64]  # (S,) slots to the next mandatory slot, counted from the slot itself
    since_dl: NDArray[np.int64]  # (S,) slots back to the last one that can send; 0 in one that can
    capacity: Float64  # (S,) [full slots of data]
    n_dl: NDArray[np.int64]  # (S,) downlink symbols
    n_send: NDArray[np.int64]  # (S,) always-on symbols
    send_rb: Float64  # (S,) RBs of the always-on symbols [symbols at full band]
    room: Float64  # (S,) free RBs of the always-on symbols that may carry data [symbols at full band]
    n_pdcch: NDArray[np.int64]  # (S,) PDCCH symbols that are not always on
    pdcch_rb: Float64  # (S,) RBs of PDCCH [symbols at full band]
    n_ul: NDArray[np.int64]  # (S,) uplink symbols
    n_listen: NDArray[np.int64]  # (S,) mandatory uplink symbols
    data_symbols: int  # of a whole downlink slot


class Costs(NamedTuple):
    """Powers by symbol; energy is relative power x symbols."""

    rest: float  # micro sleep
    light: float
    static: float  # a downlink symbol adds it
    dynamic: float  # and this at full band
    uplink: float  # an uplink symbol adds it
    transition: float  # energy of one light sleep


class Rule(NamedTuple):
    """Levers in slots."""

    light: bool
    filling: bool
    budget: int
    feedback: int
    rest: int  # shortest light sleep
    transition: int
    wake: int


@dataclass(frozen=True, slots=True)
class SymbolRun:
    """What a simulation did. W windows, n transmissions."""

    power: Float64  # (W,) mean relative power
    power_none: Float64  # (W,) the same without any rest
    light_share: Float64  # (W,) of the time [ratio]
    sleeps_per_ms: Float64  # (W,)
    used_share: Float64  # (W,) of the downlink symbols, always-on symbols included [ratio]
    busy_slots: Float64  # (W,) slots in which data was sent
    wait_ms: Float64  # (n,) from the slot in which a transmission came to the one in which it was done


def slots_of(layout: Layout) -> Slots:
    """Numbers by slot of a layout."""
    bits = np.arange(SYMBOLS_PER_SLOT)
    dl, send, ul, listen = (
        (mask[:, None] >> bits & 1).astype(np.bool_)
        for mask in (layout.dl, layout.send, layout.ul, layout.listen)
    )
    pdcch = dl & (np.cumsum(dl, axis=1) <= layout.pdcch_symbols)
    data = dl & ~pdcch
    free = 1 - layout.rb_share
    data_symbols = SYMBOLS_PER_SLOT - layout.pdcch_symbols
    capacity = (data * free).sum(1) / data_symbols
    mandatory = layout.mandatory
    able = capacity > 0
    return Slots(
        mandatory=mandatory,
        until_mandatory=_until(mandatory),
        since_dl=_until(able[::-1])[::-1].copy(),
        capacity=capacity,
        n_dl=dl.sum(1),
        n_send=send.sum(1),
        send_rb=layout.rb_share.sum(1),
        room=(data * send * free).sum(1),
        n_pdcch=(pdcch & ~send).sum(1),
        pdcch_rb=(pdcch * np.minimum(layout.pdcch_prb / layout.n_prb, free)).sum(1),
        n_ul=ul.sum(1),
        n_listen=listen.sum(1),
        data_symbols=data_symbols,
    )


def _until(marked: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Slots from each slot to the next marked one, itself included; a huge number without any. (S,)"""
    at = np.arange(len(marked))
    if not marked.any():
        return np.full(len(marked), np.iinfo(np.int32).max, np.int64)
    marks = np.flatnonzero(np.tile(marked, 2))
    return np.asarray(marks[np.searchsorted(marks, at)] - at, np.int64)


def costs_of(radio: Radio, sleep: Sleep, layout: Layout, txru_share: float = 1.0) -> Costs:
    """Powers of a radio by symbol. Raises ValueError where its power is not linear in the RB share."""
    if radio.variable_eta:
        raise ValueError("the simulator needs a radio whose power is linear in the RB share")
    empty, full = (float(dl_symbol_power(radio, share, txru_share)) for share in (0.0, 1.0))
    return Costs(
        rest=radio.micro_sleep,
        light=radio.light_sleep,
        static=empty - radio.micro_sleep,
        dynamic=full - empty,
        uplink=ul_symbol_power(radio, txru_share) - radio.micro_sleep,
        transition=sleep.transition_energy_ms * SYMBOLS_PER_SLOT * layout.slots_per_ms,
    )


def rule_of(levers: LeverSpec, sleep: Sleep, radio: Radio, layout: Layout) -> Rule:
    """Levers in slots of a layout, times rounded up."""
    per_ms = layout.slots_per_ms
    return Rule(
        light=levers.light_sleep,
        filling=levers.filling,
        budget=int(levers.latency_budget_ms * per_ms),
        feedback=math.ceil(levers.feedback_ms * per_ms),
        rest=math.ceil(min(rest_ms(radio, sleep), np.iinfo(np.int32).max / 8) * per_ms),
        transition=math.ceil(sleep.transition_ms * per_ms),
        wake=math.ceil(sleep.wake_ms * per_ms),
    )


def simulate(
    layout: Layout,
    radio: Radio,
    sleep: Sleep,
    levers: LeverSpec,
    dl_demand: Float64,
    ul_demand: Float64,
    *,
    window_slots: int | None = None,
    txru_share: float = 1.0,
) -> SymbolRun:
    """Simulate traffic on a carrier.

    Parameters
    ----------
    dl_demand : data that comes in each slot. Shape (n_slots,). [RBs of a whole downlink slot]
    ul_demand : the same for uplink; it is received once the radio is up. Shape (n_slots,).
    window_slots : length of the windows that are told apart; the whole by default. A rest at the end is left out.

    Raises ValueError for demand that is negative or not finite.
    """
    n = len(dl_demand)
    if ul_demand.shape != dl_demand.shape or n == 0:
        raise ValueError("dl_demand and ul_demand must have the same, positive length")
    for name, demand in (("dl_demand", dl_demand), ("ul_demand", ul_demand)):
        if not np.isfinite(demand).all() or (demand < 0).any():
            raise ValueError(f"{name} must be finite and not negative")
    length = min(window_slots or n, n)
    table = np.zeros((n // length, N_COLUMNS))
    came = np.flatnonzero(dl_demand > 0)
    wait = np.full(len(came), -1, np.int64)
    slots, costs = slots_of(layout), costs_of(radio, sleep, layout, txru_share)
    rule = rule_of(levers, sleep, radio, layout)
    _simulate(slots, costs, rule, dl_demand, ul_demand, came, length, table, wait)
    symbols = length * SYMBOLS_PER_SLOT
    return SymbolRun(
        power=table[:, ENERGY] / symbols,
        power_none=table[:, NONE] / symbols,
        light_share=table[:, LIGHT] / length,
        sleeps_per_ms=table[:, SLEEPS] * layout.slots_per_ms / length,
        used_share=table[:, USED] / (symbols * layout.dl_symbol_share),
        busy_slots=table[:, BUSY],
        wait_ms=wait[wait >= 0] / layout.slots_per_ms,
    )


@njit(inline="always")
def _book(slots, costs, packed, at, sent, received, row):  # type: ignore[no-untyped-def]
    """Book one slot on air in which ``sent`` full slots of data go out."""
    active, rb = slots.n_send[at], slots.send_rb[at]
    if sent > 0:
        symbols = sent * slots.data_symbols
        rb += symbols + slots.pdcch_rb[at]
        if packed:
            active += slots.n_pdcch[at] + np.int64(np.ceil(max(symbols - slots.room[at], 0.0) - TINY))
        else:
            active = slots.n_dl[at]
    ul_symbols = slots.n_ul[at] if received else slots.n_listen[at]
    energy = SYMBOLS_PER_SLOT * costs.rest + costs.static * active + costs.dynamic * rb
    energy += costs.uplink * ul_symbols
    row[ENERGY] += energy
    row[NONE] += energy + costs.static * (slots.n_dl[at] - active)
    row[USED] += active
    row[BUSY] += sent > 0


@njit(inline="always")
def _book_rest(slots, costs, at, begins, row):  # type: ignore[no-untyped-def]
    """Book one slot in light sleep, and its transition where it ``begins``."""
    row[LIGHT] += 1
    row[SLEEPS] += begins
    row[ENERGY] += SYMBOLS_PER_SLOT * costs.light + begins * costs.transition
    row[NONE] += SYMBOLS_PER_SLOT * costs.rest + costs.static * slots.n_dl[at]


@njit(inline="always")
def _due(slots, rule, t, oldest, full):  # type: ignore[no-untyped-def]
    """The slot by which data must go that waits since ``oldest``: the last one within its budget that can send."""
    if full or not rule.filling:
        return t
    last = oldest + rule.budget
    return max(last - slots.since_dl[last % len(slots.mandatory)], t)


@njit(inline="always")
def _rest_until(rule, t, due, mandatory, last_active, started, up_at):  # type: ignore[no-untyped-def]
    """Since when the radio rests and when it is up again; a rest that is not under way has ``up_at`` <= t."""
    if t < up_at:
        if due < t + NEVER:  # something waits
            up_at = min(up_at, max(due, t + rule.wake, started + rule.transition))
    elif rule.light and t > last_active + rule.feedback and min(mandatory, due) - t >= rule.rest:
        started, up_at = t, mandatory
    return started, up_at


@njit(cache=True)
def _simulate(slots, costs, rule, dl_demand, ul_demand, came, length, table, wait):  # type: ignore[no-untyped-def]
    """All slots in order; what waits is first in, first out. ``wait`` (n transmissions,) in slots."""
    period = len(slots.mandatory)
    started, up_at, last_active = -1, 0, -NEVER
    head, end, backlog, left = (
        0,
        0,
        0.0,
        0.0,
    )  # transmissions head..end wait; their data, and that of the first
    uplink, uplink_since = 0.0, 0  # what is left of it counts from the first that came
    for t in range(len(table) * length):
        at, row = t % period, table[t // length]
        if dl_demand[t] > 0:
            left = dl_demand[t] if head == end else left
            end += 1
            backlog += dl_demand[t]
        if ul_demand[t] > 0:
            uplink_since = uplink_since if uplink > 0 else t
            uplink += ul_demand[t]
        due = t + NEVER  # the latest slot in which what waits must go
        if head < end or uplink > 0:
            oldest = min(came[head] if head < end else t, uplink_since if uplink > 0 else t)
            due = _due(slots, rule, t, oldest, backlog >= 1 - TINY)
        mandatory = t + slots.until_mandatory[at]
        started, up_at = _rest_until(rule, t, due, mandatory, last_active, started, up_at)
        if t < up_at:
            _book_rest(slots, costs, at, t == started, row)
            continue
        go = t >= due or t == mandatory
        sent = min(backlog, slots.capacity[at]) if go and head < end else 0.0
        received = go and uplink > 0 and slots.n_ul[at] > 0
        _book(slots, costs, rule.filling, at, sent, received, row)
        uplink = max(uplink - received, 0.0)
        last_active = t if sent > 0 or received else last_active
        backlog -= sent
        while head < end and sent >= left - TINY:
            sent -= left
            wait[head] = t - came[head]
            head += 1
            left = dl_demand[came[head]] if head < end else 0.0
        left -= sent
        backlog = backlog if head < end else 0.0
