"""The guard loop: between plans a cell is woken in the minute in which staying at its level no longer pays.

It serves at the cheapest level from the planned one up at which missing the target is unlikely enough, its risk at
its price included.
It follows what each cell carries from sample to sample, with the filter of the forecaster, which says where the next
sample lies and how far it may be off. A woken cell stays up for ``hold_s`` at least. While cells of a group are off
air, its cells stay as planned or all serve at full, where the risk costs more than their levels save. A sample that was
not measured, or in which a cell ran at its limit, wakes it to full at once.

It only ever wakes: the plan decides how deep a cell may rest, the guard the minutes in which it does not.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.special import ndtri

from hw.tables import Tables, draw
from hw.world import DEEPEST, SYMBOL
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
        self._before = np.full(n, DEEPEST, np.uint8)  # level that a cell was woken to in the last sample
        on_air = ~tables.asleep & (tables.wake_samples == 0)
        self._usable = np.ascontiguousarray(network.allowed & on_air)  # (n, L) that a cell may be woken to
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

    def watch(self, carried: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Level at which each cell is to serve in the coming sample, after ``carried`` (n,) in the last one. [ratio]

        Never deeper than planned. (n,)
        """
        carried = np.ascontiguousarray(carried)  # so that one compiled kernel serves replay and live
        served = self._level.copy()
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
            self._usable,
            self._before,
            self._left,
            served,
        )
        self._before = np.where(served < self._level, served, DEEPEST).astype(np.uint8)
        return served


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
    tables,
    limit,
    groups,
    now,
    known,
    next_sd,
    hold,
    risk,
    least_margin,
    level,
    carried,
    usable,
    before,
    left,
    served,
):
    # one loop without calls: handing all these arrays to another function costs more than the work
    for g in range(len(groups.group_start) - 1):
        members = groups.member[groups.group_start[g] : groups.group_start[g + 1]]
        off, wake, price, saving = _any_off(tables, level, members), False, 0.0, 0.0
        for i in members:
            must, risked, saved, found = False, 0.0, 0.0, level[i]
            model, last, serving = groups.model[i], carried[i], min(before[i], level[i])
            if tables.asleep[level[i]]:
                saved = _saved_off_air(tables, model, level[i], last)
            elif np.isnan(last) or (serving > SYMBOL and last >= AT_LIMIT * tables.capacity[model, serving]):
                must = True
            elif level[i] > SYMBOL or off:
                # what neighbours off air hand over is in no forecast of this cell
                at = math.log(max(last, FLOOR))
                if known[i] and not off:
                    at = now.level[i] + now.slope[i] + now.persistence * now.noise[i]
                if off:
                    must, risked, saved = _balance(
                        tables, limit, model, level[i], at, next_sd[i], risk[i], least_margin
                    )
                else:
                    found = _cheapest(
                        tables, limit, model, usable[i], level[i], at, next_sd[i], risk[i], least_margin
                    )
            if off:
                wake, price, saving = wake or must or left[i] > 0, price + risked, saving + saved
            else:  # nobody hands anything over, so each cell is watched by itself
                _settle(np.uint8(SYMBOL) if must else found, hold, level, before, left, served, i)
        if off:
            for i in members:
                _settle(
                    np.uint8(SYMBOL) if wake or price > saving else level[i],
                    hold,
                    level,
                    before,
                    left,
                    served,
                    i,
                )


@njit(inline="always")
def _any_off(tables, level, members):  # type: ignore[no-untyped-def]
    """Whether a cell of the group is planned off air."""
    off = False
    for i in members:
        off |= tables.asleep[level[i]]
    return off


@njit(inline="always")
def _saved_off_air(tables, model, level, last):  # type: ignore[no-untyped-def]
    """What a cell off air saves, which has carried ``last`` while it wakes."""
    nothing = np.float32(0)
    load = nothing if np.isnan(last) else last
    saved = np.float64(draw(tables, model, SYMBOL, load, nothing))
    return saved - draw(tables, model, level, nothing, nothing)


@njit(inline="always")
def _balance(tables, limit, model, level, at, sd, risk, least_margin):  # type: ignore[no-untyped-def]
    """Whether a cell beside others off air must wake, else the priced risk of its level and what it saves."""
    mean = min(math.exp(at + 0.5 * sd * sd), 1.0)
    reach = np.float64(limit[model, level])
    if level <= SYMBOL:
        reach = 1 - tables.target / (tables.full_rate * tables.size[model])
    saved = np.float64(draw(tables, model, SYMBOL, np.float32(mean), np.float32(0)))
    saved -= draw(tables, model, level, np.float32(mean), np.float32(0))
    return margin(at, sd, reach) < least_margin, risk * tail_traffic(mean, sd, reach), saved


@njit(inline="always")
def _cheapest(tables, limit, model, usable, deepest, at, sd, risk, least_margin):  # type: ignore[no-untyped-def]
    """Cheapest level from the planned one up, at which missing the target is unlikely enough."""
    mean = np.float32(min(math.exp(at + 0.5 * sd * sd), 1.0))
    found, least = SYMBOL, np.float64(draw(tables, model, SYMBOL, mean, np.float32(0)))
    for level in range(deepest, SYMBOL, -1):
        if level != deepest and not usable[level]:
            continue
        cost = np.float64(draw(tables, model, level, mean, np.float32(0)))
        reach = np.float64(limit[model, level])
        if cost > least or margin(at, sd, reach) < least_margin:
            continue
        cost += risk * tail_traffic(mean, sd, reach)
        if cost < least or (cost == least and level == deepest):
            found, least = level, cost
    return np.uint8(found)


@njit(inline="always")
def _settle(wanted, hold, level, before, left, served, i):  # type: ignore[no-untyped-def]
    """Serve cell i at the wanted level, or no deeper than it did until ``left`` is over."""
    if level[i] <= SYMBOL:
        left[i] = 0
        return
    last = min(before[i], level[i])
    served[i] = min(wanted, last) if left[i] > 0 else wanted
    if served[i] < last:
        left[i] = hold
    left[i] = max(left[i] - 1, 0)
