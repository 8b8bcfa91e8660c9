"""How an LFP pack loses capacity: by its cycles, found by rainflow counting as they close, and by the calendar.

Cycles: a cycle of depth d, over rated capacity, does damage ``(d / cycle_depth) ** depth_exponent / cycles``, times
the mean stress by temperature and rate; the loss is ``(1 - end_health) * damage ** throughput_exponent``. So the data
sheet says how many cycles a pack lasts, and Wang et al. (2011), https://doi.org/10.1016/j.jpowsour.2010.11.134, how
temperature, rate and throughput bend that: ``Q_loss % = B exp((-31700 + 370.3 C) / (R T)) Ah ** 0.55``. Damage adds up.

Calendar: ``loss = k sqrt(t)`` with Arrhenius' law and a cubic of the state of charge, Naumann et al. (2018),
https://doi.org/10.1016/j.est.2018.01.019; kept as the square of the loss, so that it adds up as well.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from hw.power.spec import AgeingSpec

# columns of Plant.ageing
(
    END_LOSS,
    CYCLES,
    CYCLE_DEPTH,
    CYCLE_C,
    CYCLE_RATE,
    DEPTH_EXPONENT,
    THROUGHPUT_EXPONENT,
    CYCLE_ACTIVATION,
    CYCLE_ACTIVATION_PER_RATE,
    CALENDAR_LOSS,
    CALENDAR_ACTIVATION,
    CALENDAR_SOC_CUBIC,
    CALENDAR_SOC_CONSTANT,
    N_AGEING,
) = range(14)

GAS_J_MOL_K = 8.314462618  # CODATA 2018
ZERO_C_K = 273.15
CALENDAR_REFERENCE_K = 298.15
DEAD_BAND = 0.005  # of capacity: reversals below are no cycles, ranges that differ by less are alike
MAX_TURNS = 32  # turning points that may be open at once; beyond, the oldest range counts as half a cycle
LEAST_HEALTH = 0.05

Floats = NDArray[np.float64]


def ageing_row(spec: AgeingSpec) -> tuple[float, ...]:
    """The parameters of one pack in the order of the columns."""
    return (
        1 - spec.end_health,
        spec.cycles,
        spec.cycle_depth,
        spec.cycle_c,
        spec.cycle_rate,
        spec.depth_exponent,
        spec.throughput_exponent,
        spec.cycle_activation_j_mol,
        spec.cycle_activation_per_rate_j_mol,
        spec.calendar_loss_per_sqrt_s,
        spec.calendar_activation_j_mol,
        spec.calendar_soc_cubic,
        spec.calendar_soc_constant,
    )


def losses_of_health(ageing: Floats, health: Floats) -> tuple[Floats, Floats]:
    """Damage of cycles and squared calendar loss of packs of some health, half of the loss from each. (n,), (n,)"""
    half = (1 - health) / 2
    end_loss = np.maximum(ageing[:, END_LOSS], 1e-12)
    return (half / end_loss) ** (1 / ageing[:, THROUGHPUT_EXPONENT]), half**2


@njit(cache=True, error_model="numpy")
def stress(ageing, i, cells_c, rate):  # type: ignore[no-untyped-def]
    """Damage of a cycle at a temperature and a rate over that at the conditions of the data sheet. [ratio]"""
    per_rate = ageing[i, CYCLE_ACTIVATION_PER_RATE]
    now = (per_rate * rate - ageing[i, CYCLE_ACTIVATION]) / (cells_c + ZERO_C_K)
    sheet = (per_rate * ageing[i, CYCLE_RATE] - ageing[i, CYCLE_ACTIVATION]) / (ageing[i, CYCLE_C] + ZERO_C_K)
    return math.exp((now - sheet) / (GAS_J_MOL_K * ageing[i, THROUGHPUT_EXPONENT]))


@njit(cache=True, error_model="numpy")
def mean_stress(ageing, i, mean, cells_c, rate, hours):  # type: ignore[no-untyped-def]
    """The mean stress of the last capacity or so that went in or out, after some more at a temperature and a rate."""
    moved = rate * hours
    return mean + (stress(ageing, i, cells_c, rate) - mean) * moved / (1 + moved)


@njit(cache=True, error_model="numpy")
def damage(ageing, i, depth, count, mean):  # type: ignore[no-untyped-def]
    """What ``count`` cycles of a depth take of the life of pack i at a mean stress. [ratio]"""
    worn = (depth / ageing[i, CYCLE_DEPTH]) ** ageing[i, DEPTH_EXPONENT]
    return count * worn / ageing[i, CYCLES] * mean


@njit(cache=True, error_model="numpy")
def calendar_rate(ageing, i, cells_c):  # type: ignore[no-untyped-def]
    """Square of the calendar loss per second at a factor of 1 for the state of charge. [1/s]"""
    inverse = 1 / (cells_c + ZERO_C_K) - 1 / CALENDAR_REFERENCE_K
    k = ageing[i, CALENDAR_LOSS] * math.exp(-ageing[i, CALENDAR_ACTIVATION] / GAS_J_MOL_K * inverse)
    return k * k


@njit(cache=True, error_model="numpy")
def soc_factor(ageing, i, soc):  # type: ignore[no-untyped-def]
    """Factor of the squared calendar loss for the state of charge. [ratio]"""
    off = soc - 0.5
    factor = ageing[i, CALENDAR_SOC_CUBIC] * off * off * off + ageing[i, CALENDAR_SOC_CONSTANT]
    return factor * factor


@njit(cache=True, error_model="numpy")
def health_of(ageing, i, cycle_damage, calendar_square):  # type: ignore[no-untyped-def]
    """Capacity now over rated capacity. [ratio]"""
    by_cycles = ageing[i, END_LOSS] * cycle_damage ** ageing[i, THROUGHPUT_EXPONENT]
    return max(1 - by_cycles - math.sqrt(calendar_square), LEAST_HEALTH)


@njit(cache=True, error_model="numpy")
def take_in(turns, i, n, value, dead_band):  # type: ignore[no-untyped-def]
    """Meet one more value of series i with n open turning points in ``turns[i]``, the last one provisional.

    Returns how many there are now; call ``close_cycle`` until it finds none.
    """
    if n == 0:
        turns[i, 0] = value
        return 1
    last = turns[i, n - 1]
    if n >= 2 and (value - last) * (last - turns[i, n - 2]) > 0:
        turns[i, n - 1] = value
        return n
    if abs(value - last) <= dead_band:
        return n
    turns[i, n] = value
    return n + 1


@njit(cache=True, error_model="numpy")
def close_cycle(turns, i, n, dead_band):  # type: ignore[no-untyped-def]
    """Take one closed cycle out of the open turning points, by rules 4 to 6 of ASTM E1049-85, 5.4.4.

    Returns how many points are left, the range of the cycle and its count: 1, 0.5 or, where none is closed, 0.
    A range that ends at a provisional point only grows, so what it closes is closed for good.
    """
    if n < 3:
        return n, 0.0, 0.0
    last, before = abs(turns[i, n - 1] - turns[i, n - 2]), abs(turns[i, n - 2] - turns[i, n - 3])
    closed = last >= before - dead_band
    if closed and n > 3:
        turns[i, n - 3] = turns[i, n - 1]
        return n - 2, before, 1.0
    if closed or n == turns.shape[1]:
        first = abs(turns[i, 1] - turns[i, 0])
        for k in range(1, n):
            turns[i, k - 1] = turns[i, k]
        return n - 1, first, 0.5
    return n, 0.0, 0.0


@njit(cache=True, error_model="numpy")
def _count(series, dead_band, ranges, counts):  # type: ignore[no-untyped-def]
    turns, n, found = np.empty((1, MAX_TURNS)), 0, 0
    for value in series:
        n = take_in(turns, 0, n, value, dead_band)
        while True:
            n, closed, count = close_cycle(turns, 0, n, dead_band)
            if count == 0:
                break
            ranges[found], counts[found] = closed, count
            found += 1
    for k in range(n - 1):
        ranges[found], counts[found] = abs(turns[0, k + 1] - turns[0, k]), 0.5
        found += 1
    return found


def count_cycles(series: Floats, dead_band: float = 0.0) -> tuple[Floats, Floats]:
    """Rainflow cycles of a series (T,): their ranges and counts (1 or 0.5), by ASTM E1049-85, 5.4.4.

    Ranges still open at the end count as half cycles.
    """
    ranges, counts = np.empty(len(series) + MAX_TURNS), np.empty(len(series) + MAX_TURNS)
    found = _count(np.ascontiguousarray(series, np.float64), dead_band, ranges, counts)
    return ranges[:found], counts[:found]
