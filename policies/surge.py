"""The guard loop: between plans a cell is woken in the minute in which staying at its level no longer pays.

It follows what each cell carries from sample to sample, with the filter of the forecaster, which says where the next
sample lies and how far it may be off. Where the risk of missing the target, at its price, exceeds what the level saves,
it serves at full until the risk has passed, and no shorter than ``hold_s``; so does its whole group while cells of it
are off air. A sample that was not measured, or in which a cell ran at its limit, wakes at once.

It only ever wakes: the plan decides the levels, the guard the minutes in which they are not used.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.special import ndtri

from hw.tables import Tables, draw
from hw.world import SYMBOL
from policies.expected import USUAL_EPSILON, margin, tail_traffic, target_load
from policies.forecast import Forecast, Now
from policies.kalman import FLOOR, advance, take_in
from policies.network import Network
from policies.profile import ForecastProfile, Profile
from policies.shortfall import AT_LIMIT


class SurgeGuard:
    """Watches the cells of one network sample by sample. ``begin`` each tick, then ``watch`` each sample of it."""

    def __init__(self, network: Network, tables: Tables, profile: Profile, *, sample_s: int) -> None:
        n = network.n_cells
        self._network, self._tables = network, tables
        self._limit = target_load(tables)
        idle_power = tables.idle_power[network.groups.model].astype(np.float64)
        epsilon = profile.predictive.epsilon
        self._least_margin = float(ndtri(1 - epsilon))
        self._usual_risk = self._risk = profile.surge.risk_price * USUAL_EPSILON / epsilon * idle_power
        self._hold = -(-profile.surge.hold_s // sample_s)
        self._left = np.zeros(n, np.int64)  # samples for which a woken cell stays awake at least
        self._level = np.full(n, SYMBOL, np.uint8)
        self._awake = np.zeros(n, np.bool_)
        self._unknown = _start(n, profile.forecast, sample_s)
        self._now, self._known, self._fresh = self._unknown, np.zeros(n, np.bool_), False

    def begin(
        self, level: NDArray[np.uint8], forecast: Forecast | None, risk: NDArray[np.float64] | None
    ) -> None:
        """A new tick with planned levels (n,), and the forecast and the risk prices (n,) of the plan, if any."""
        self._risk = self._usual_risk if risk is None else risk
        self._level = level
        if forecast is None or forecast.now is None:
            self._now, self._known = self._unknown, np.zeros(len(level), np.bool_)
        else:
            self._now, self._known = forecast.now, forecast.known
        self._fresh = True  # the forecast knows the sample before the tick

    def watch(self, carried: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Cells that must serve at full in the coming sample, after ``carried`` (n,) in the last one. [ratio]"""
        carried = np.ascontiguousarray(carried)  # so that one compiled kernel serves replay and live
        awake = np.zeros(len(carried), np.bool_)
        if not self._fresh and self._now is not self._unknown:
            _follow(self._now, carried)
        self._fresh = False
        _watch(
            self._tables,
            self._limit,
            self._network.groups,
            self._now,
            self._known,
            self._now.next_sd(),
            self._hold,
            self._risk,
            self._least_margin,
            self._level,
            carried,
            self._awake,
            self._left,
            awake,
        )
        self._awake = awake
        return awake


def _start(n: int, settings: ForecastProfile, sample_s: int) -> Now:
    """What is assumed of cells that nobody forecasts: the last sample says all about the next one."""
    nothing, noise = np.zeros(n), np.full(n, settings.noise_sigma**2)
    persistence = math.exp(-sample_s / settings.correlation_s)
    return Now(nothing, nothing, nothing, nothing, nothing, nothing, nothing, noise, persistence)


@njit(cache=True)
def _follow(now, carried):  # type: ignore[no-untyped-def]
    """Filter one sample (n,) into where the cells stand."""
    for i in range(len(carried)):
        advance(now, i, now.slope[i], now.drift[i], now.noise_variance[i], now.persistence)
        if not np.isnan(carried[i]):
            take_in(now, i, carried[i])


@njit(cache=True)
def _watch(  # type: ignore[no-untyped-def]
    tables, limit, groups, now, known, next_sd, hold, risk, least_margin, level, carried, before, left, awake
):
    # one loop without calls: handing all these arrays to another function costs more than the work
    nothing = np.float32(0)
    for g in range(len(groups.group_start) - 1):
        members = groups.member[groups.group_start[g] : groups.group_start[g + 1]]
        off, wake, price, saving = False, False, 0.0, 0.0
        for i in members:
            off |= tables.asleep[level[i]]
        for i in members:
            must, risked, saved = False, 0.0, 0.0
            model, last, serving = groups.model[i], carried[i], SYMBOL if before[i] else level[i]
            if tables.asleep[level[i]]:
                load = nothing if np.isnan(last) else last
                saved += draw(tables, model, SYMBOL, load, nothing)
                saved -= draw(tables, model, level[i], nothing, nothing)
            elif np.isnan(last) or (serving > SYMBOL and last >= AT_LIMIT * tables.capacity[model, serving]):
                must = True
            elif level[i] > SYMBOL or off:
                # what neighbours off air hand over is in no forecast of this cell
                at = math.log(max(last, FLOOR))
                if known[i] and not off:
                    at = now.level[i] + now.slope[i] + now.persistence * now.noise[i]
                mean = min(math.exp(at + 0.5 * next_sd[i] * next_sd[i]), 1.0)
                reach = np.float64(limit[model, level[i]])
                if level[i] <= SYMBOL:
                    reach = 1 - tables.target / (tables.full_rate * tables.size[model])
                must = margin(at, next_sd[i], reach) < least_margin
                risked = risk[i] * tail_traffic(mean, next_sd[i], reach)
                saved += draw(tables, model, SYMBOL, np.float32(mean), nothing)
                saved -= draw(tables, model, level[i], np.float32(mean), nothing)
            if off:
                wake, price, saving = wake or must or left[i] > 0, price + risked, saving + saved
            else:  # nobody hands anything over, so each cell is watched by itself
                _settle(must or risked > saved, hold, level, before, left, awake, i)
        if off:
            for i in members:
                _settle(wake or price > saving, hold, level, before, left, awake, i)


@njit(inline="always")
def _settle(wake, hold, level, before, left, awake, i):  # type: ignore[no-untyped-def]
    """Wake cell i, or keep it awake until ``left`` is over."""
    if level[i] <= SYMBOL:
        left[i] = 0
        return
    awake[i] = wake or left[i] > 0
    if awake[i] and not before[i]:
        left[i] = hold
    left[i] = max(left[i] - 1, 0)
