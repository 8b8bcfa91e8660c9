"""Whether a reported state of charge can be believed, and what is stored at least.

The open-circuit voltage of LFP cells is so flat that between a fifth and nine tenths of the charge a voltage says next
to nothing. So nothing is estimated here: an interval is kept that must hold the true state of charge, and a report is
asked whether it lies in it. The interval moves with the measured current, widens by what that measurement may be off,
and is cut by what the voltage excludes and by each report that is believed. A report is refused when it is::

    stale       older than allowed, or absent
    absurd      no number, outside 0..1, or without a voltage or a current to hold it against
    jump        away from the last report by more than the current explains
    voltage     where the voltage, with the drop over the cell's resistance, cannot be
    coulomb     outside the interval: a sensor that drifts or stands still shows here, after some charge has passed

After a refusal it takes several good reports in a row until the state of charge is trusted again. Without a
measurement the interval widens at what the pack could give and take.

A sensor that was outside stays suspect and no longer cuts the interval, even where its reports come to lie in it: one
that says too much by a constant does so once the pack is full, at the end of its scale. It is itself again when it
jumps back, or agrees, and not from the end of its scale, with a voltage that only a full or an empty cell has.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

# Rest voltage of an LFP cell against graphite by state of charge, rounded; assumed, in want of the maker's own table.
# Its plateaus at 3.3 V are those of Safari and Delacourt, doi 10.1149/1.3567007.
LFP_SOC = np.array([0.0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.6, 0.7, 0.9, 0.97, 1.0])
LFP_REST_V = np.array([2.60, 2.90, 3.05, 3.18, 3.24, 3.27, 3.285, 3.295, 3.32, 3.33, 3.345, 3.42])


class ChargeReason(IntEnum):
    """What was found about a report."""

    GOOD = 0
    PROVING = 1
    STALE = 2
    ABSURD = 3
    JUMP = 4
    VOLTAGE = 5
    COULOMB = 6


CHARGE_WORDS = {
    ChargeReason.GOOD: "state of charge as expected",
    ChargeReason.PROVING: "state of charge good again, not yet for long enough",
    ChargeReason.STALE: "state of charge stale",
    ChargeReason.ABSURD: "state of charge, voltage or current missing or absurd",
    ChargeReason.JUMP: "state of charge jumped",
    ChargeReason.VOLTAGE: "state of charge disagrees with the voltage",
    ChargeReason.COULOMB: "state of charge disagrees with the charge counted",
}
_GOOD, _PROVING, _STALE, _ABSURD, _JUMP, _VOLTAGE, _COULOMB = range(7)


class Tolerances(NamedTuple):
    """How far off a measurement may be. All sites alike."""

    max_age_s: float = 1800.0
    soc: float = 0.03  # of a report
    voltage_v: float = 0.05  # of a cell's voltage: sensor, hysteresis of the plateau, spread of the cells
    current_gain: float = 0.02
    current_offset_per_h: float = 0.002  # of the capacity
    good_reports: int = 3  # in a row, before trust returns


class Cells(NamedTuple):
    """The pack as its sensors see it. All (n,)."""

    capacity_ah: Floats  # at its declared age
    resistance_ohm: Floats  # highest of one cell, polarisation included, at its coldest
    charge_max_a: Floats
    discharge_max_a: Floats


class Report(NamedTuple):
    """Telemetry of one tick. All (n,); NaN where a value is missing."""

    soc: Floats  # [ratio]
    cell_v: Floats  # mean of the cells
    current_a: Floats  # mean since the last tick, > 0 discharges
    age_s: Floats


class ChargeState(NamedTuple):
    """What is remembered of each site, changed in place. All (n,)."""

    low: Floats  # the state of charge is at least this [ratio]
    high: Floats
    last_soc: Floats  # NaN before the first report
    good: NDArray[np.int64]  # good reports in a row
    suspect: Bools  # was outside and has not shown since that it is itself again


class Checked(NamedTuple):
    """What may be believed. All (n,)."""

    trusted: Bools
    low: Floats  # [ratio]
    high: Floats
    reason: NDArray[np.uint8]


def unknown_charge(n: int) -> ChargeState:
    """n sites of which nothing was heard yet."""
    return ChargeState(
        np.zeros(n), np.ones(n), np.full(n, np.nan), np.zeros(n, np.int64), np.zeros(n, np.bool_)
    )


@njit(inline="always")
def _soc_at(rest_v, upper):  # type: ignore[no-untyped-def]
    """The lowest or the highest state of charge with this rest voltage."""
    last = len(LFP_REST_V) - 1
    if rest_v <= LFP_REST_V[0]:
        return 0.0
    if rest_v >= LFP_REST_V[last]:
        return 1.0
    k = 1
    while LFP_REST_V[k] < rest_v or (upper and LFP_REST_V[k] == rest_v):
        k += 1
    share = (rest_v - LFP_REST_V[k - 1]) / (LFP_REST_V[k] - LFP_REST_V[k - 1])
    return LFP_SOC[k - 1] + share * (LFP_SOC[k] - LFP_SOC[k - 1])


@njit(cache=True)
def _by_voltage(cell_v, current_a, resistance_ohm, tolerance_v):  # type: ignore[no-untyped-def]
    """States of charge that a voltage under current leaves possible: the drop is anything up to all of it."""
    drop_v = current_a * resistance_ohm
    low = _soc_at(cell_v + min(drop_v, 0.0) - tolerance_v, False)
    return low, _soc_at(cell_v + max(drop_v, 0.0) + tolerance_v, True)


@njit(inline="always")
def _on_scale(soc):  # type: ignore[no-untyped-def]
    """A state of charge as a sensor can show it; NaN stays."""
    if soc > 1:
        return 1.0
    return 0.0 if soc < 0 else soc


@njit(cache=True)
def _site(state, report, cells, allowed, i, elapsed_h):  # type: ignore[no-untyped-def]
    """Take in one report; returns what was found."""
    soc, current_a = report.soc[i], report.current_a[i]
    if not report.age_s[i] <= allowed.max_age_s:
        reason = _STALE
    elif not (0 <= soc <= 1 and np.isfinite(report.cell_v[i]) and np.isfinite(current_a)):
        reason = _ABSURD
    else:
        reason = _GOOD
    if reason != _GOOD:
        state.low[i] = max(0.0, state.low[i] - cells.discharge_max_a[i] * elapsed_h / cells.capacity_ah[i])
        state.high[i] = min(1.0, state.high[i] + cells.charge_max_a[i] * elapsed_h / cells.capacity_ah[i])
        state.last_soc[i] = np.nan
        return reason
    moved = -current_a * elapsed_h / cells.capacity_ah[i]
    off = allowed.current_gain * abs(moved) + allowed.current_offset_per_h * elapsed_h
    low, high = max(0.0, state.low[i] + moved - off), min(1.0, state.high[i] + moved + off)
    by_low, by_high = _by_voltage(report.cell_v[i], current_a, cells.resistance_ohm[i], allowed.voltage_v)
    expected = _on_scale(state.last_soc[i] + moved)
    jumped = abs(soc - expected) > allowed.soc + off  # never for NaN
    fits = by_low - allowed.soc <= soc <= by_high + allowed.soc
    counted = low - allowed.soc <= soc <= high + allowed.soc
    came_back = jumped and not low - allowed.soc <= expected <= high + allowed.soc
    if not (fits and counted):
        state.suspect[i] = True
    elif came_back or (0 < soc < 1 and by_high - by_low <= 2 * allowed.soc):
        state.suspect[i] = False
    low, high = max(low, by_low), min(high, by_high)
    if low > high:  # the count has lost its way: begin again with what the voltage allows
        low, high = by_low, by_high
    if fits and counted and not jumped and not state.suspect[i]:
        low, high = max(low, soc - allowed.soc), min(high, soc + allowed.soc)
        if low > high:  # both touch within the tolerance of the report
            low = high = (low + high) / 2
    state.low[i], state.high[i], state.last_soc[i] = low, high, soc
    if not fits:
        return _VOLTAGE
    if jumped:
        return _JUMP
    return _GOOD if counted else _COULOMB


@njit(cache=True)
def _prove(state, report, cells, allowed, i, elapsed_h):  # type: ignore[no-untyped-def]
    """Take in one report; it is good once enough in a row were."""
    found = _site(state, report, cells, allowed, i, elapsed_h)
    state.good[i] = state.good[i] + 1 if found == _GOOD else 0
    return _PROVING if found == _GOOD and state.good[i] < allowed.good_reports else found


@njit(parallel=True, cache=True)
def _check(state, report, cells, allowed, elapsed_h, trusted, reason):  # type: ignore[no-untyped-def]
    for i in prange(len(trusted)):
        reason[i] = _prove(state, report, cells, allowed, i, elapsed_h)
        trusted[i] = reason[i] == _GOOD


def check_charge(
    state: ChargeState, report: Report, cells: Cells, elapsed_s: float, allowed: Tolerances | None = None
) -> Checked:
    """Hold the reports of n sites against what is known; ``state`` is changed in place.

    ``elapsed_s`` is the time since the last call. Raises ValueError where shapes do not fit, a capacity is not positive
    or time runs backwards.
    """
    n = len(state.low)
    for fields in (report, cells):
        for name, array in fields._asdict().items():
            if array.shape != (n,):
                raise ValueError(f"{name} must be of shape {(n,)}, not {array.shape}")
    if not (cells.capacity_ah > 0).all():
        raise ValueError("capacity_ah must be positive")
    if not elapsed_s >= 0:
        raise ValueError(f"elapsed_s must not be negative, not {elapsed_s}")
    trusted, reason = np.empty(n, np.bool_), np.empty(n, np.uint8)
    _check(state, report, cells, allowed or Tolerances(), elapsed_s / 3600, trusted, reason)
    return Checked(trusted, state.low.copy(), state.high.copy(), reason)
