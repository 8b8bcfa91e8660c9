"""The ``predictive`` planner: cheapest joint levels over the horizon, with service at a price.

For each group and each coming tick it prices every joint level: expected power of the cells, plus the risk price for
offered traffic that is expected to miss its target (the upper tail of the log-normal forecast of every cell, with
what sleeping cells hand over added to their candidates), plus a price for each change. A dynamic programme over the
horizon gives the cheapest plan; its first tick is the decision.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray
from scipy.special import ndtri

from hw.tables import Tables, draw
from hw.world import SYMBOL
from policies.bounds import CutGap
from policies.coming_tick import parts_of
from policies.coupled import plan_groups, reason_of
from policies.coupled_price import least_slope
from policies.expected import USUAL_EPSILON, Prices, margin, tail_traffic, target_load, watched_prices
from policies.forecast import Forecast
from policies.horizon import priced_ticks
from policies.joint import joint_states
from policies.network import Network
from policies.policy import Decision, Reason, View
from policies.price_ratio import PriceRatio
from policies.profile import PredictiveProfile
from policies.shortfall import Shortfall

USUAL_SD = 0.3  # of the log load around its slow level, for which risk prices are set
# power of the spread with which they grow: so synthetic networks spend alike at any spread
RISK_BY_SD = 1.25


class PredictivePlanner:
    """Plans all groups from a forecast. One instance per network; it counts what each cell missed."""

    needs_forecast = True

    def __init__(
        self,
        network: Network,
        tables: Tables,
        settings: PredictiveProfile,
        *,
        samples_per_tick: int,
        watched: bool = False,
    ) -> None:
        """``watched``: the guard loop (policies/surge.py) runs too, so a surge that it foresees costs little."""
        self._network, self._tables, self._settings = network, tables, settings
        self._watched = watched
        self._states = joint_states(network, tables.asleep)
        self._limit = target_load(tables)
        self._samples_per_tick = samples_per_tick
        self._risk = settings.risk_price * USUAL_EPSILON / settings.epsilon
        self._shortfall, self._price_ratio = Shortfall(network, tables, self._limit), PriceRatio()
        self._model = network.groups.model
        sizes = np.diff(network.groups.group_start)
        self._in_group = np.zeros(network.n_cells, np.bool_)
        self._in_group[network.groups.member] = np.repeat(sizes > 1, sizes)
        self._slope = least_slope(tables)
        self.gap, self.planned = CutGap(network, tables), 0.0  # price of the last plan of coupled cells
        self._single, self._coupled = np.flatnonzero(sizes == 1), np.flatnonzero(sizes > 1)

    def plan(self, view: View) -> Decision:
        """Levels for the coming tick. Cells without a forecast stay awake."""
        forecast = view.forecast
        if forecast is None:
            raise ValueError("the predictive planner needs a forecast")
        self._shortfall.learn(view)
        level = np.full(self._network.n_cells, SYMBOL, np.uint8)
        reason = np.full(self._network.n_cells, Reason.NO_FORECAST, np.uint8)
        idle_power = self._tables.idle_power[self._model].astype(np.float64)
        s = self._settings
        days = self._shortfall.days(view.tick_s)
        risk = self._risk_price(view)
        ready = days >= s.off_air_after_h / 24
        price = Prices(
            power=idle_power,
            risk=risk * idle_power * self._tables.size[self._model],
            least_margin=float(ndtri(1 - s.epsilon)),
            change=s.change_price,
            group_change=s.change_price * s.group_change,
            off_air=s.off_air_caution,
            surge_probability=s.surge_probability,
            surge_load=s.surge_load,
            ready=ready,
            open_sd=self._open_sd(forecast),
        )
        belief = (forecast.log_median, forecast.log_sd, forecast.known)
        fixed = (self._tables, self._limit, self._network.groups, self._states, self._samples_per_tick)
        soon = parts_of(forecast, self._samples_per_tick)
        _plan_singles(*fixed, self._single, *belief, soon, price, view.level, level, reason)
        if len(self._coupled):
            planned = np.zeros(len(self._coupled))  # [power_unit x ticks]
            plan_groups(
                *fixed, self._coupled, *belief, price, self._slope, view.level, level, reason, planned
            )
            self.planned = float(planned.sum())
            if len(self.gap.parts):
                of_parts = float(planned[np.isin(self._coupled, self.gap.parts)].sum())
                self.gap.add(fixed, belief, price, view.level, of_parts)
        return Decision(level, reason, price.risk)

    def _open_sd(self, forecast: Forecast) -> NDArray[np.float64]:
        """What the guard loop does not foresee of the coming sample. (n,)"""
        if not self._watched:
            return np.zeros(self._network.n_cells)
        return forecast.log_sd[:, 0].copy() if forecast.now is None else forecast.now.next_sd()

    def _risk_price(self, view: View) -> NDArray[np.float64]:
        """Price of missed traffic, per full-rate tick, in idle power. (n,)"""
        risk = self._risk * np.where(self._in_group, self._settings.group_risk, 1.0)
        risk *= self._shortfall.factor(view.allowance)
        risk /= self._price_ratio.ratio(view)
        if not self._watched:
            return np.asarray(risk * (1 + self._settings.caution / (1 + self._shortfall.days(view.tick_s))))
        risk *= self._shortfall.unfair(view.allowance, view.tick_s)
        now = None if view.forecast is None else view.forecast.now
        if now is not None:
            # the wider the load spreads within minutes, the more traffic a given price lets through
            risk *= (np.sqrt(now.noise_variance) / USUAL_SD) ** RISK_BY_SD
        return np.asarray(risk)


@njit(cache=True)
def _price_levels(  # type: ignore[no-untyped-def]
    tables,
    limit,
    model,
    levels,
    late,
    log_median,
    log_sd,
    soon,
    risk,
    least_margin,
    open_sd,
    price,
    tail,
    by_level,
):
    """Expected price of every level in one tick. ``tail`` holds the priced risk of the tick after it; renewed.

    ``by_level`` is the levels that the cell may use (L,) and scratch (L,).
    """
    mean = min(math.exp(log_median + 0.5 * log_sd * log_sd), 1.0)
    allowed, watched = by_level
    watched[:] = 0
    for part in range(len(soon[0]) if open_sd > 0 else 0):
        watched_prices(
            tables,
            limit,
            model,
            allowed,
            soon[0][part],
            soon[1][part],
            risk,
            least_margin,
            open_sd,
            1 / len(soon[0]),
            watched,
        )
    for s in range(len(levels)):
        level = levels[s]
        if open_sd > 0 and tables.wake_samples[level] == 0:
            price[s] = watched[level]
            continue
        following = tail[s]
        tail[s] = 0.0 if level <= SYMBOL else risk * tail_traffic(mean, log_sd, limit[model, level])
        # part of the next tick is still served by this level if waking takes long
        caught = (tail[s] if following < 0 else following) * late[s]
        price[s] = draw(tables, model, level, np.float32(mean), np.float32(0)) + tail[s] + caught
        if level > SYMBOL and margin(log_median, log_sd, limit[model, level]) < least_margin:
            price[s] = np.inf


@njit(cache=True)
def _plan_single(  # type: ignore[no-untyped-def]
    tables, limit, model, levels, spt, log_median, log_sd, soon, risk, least_margin, change, now, open_sd
):
    """Level of a cell of its own, and the level it would take if changes were free.

    ``log_median`` (H,), ``soon`` median and deviation of the log load in each part of the coming tick.
    """
    n, (ticks, weight) = len(levels), priced_ticks(len(log_median))
    to_go, cost, price, tail = np.zeros(n), np.empty(n), np.empty(n), np.full(n, -1.0)
    late = np.minimum(tables.wake_samples[levels] / spt, 1.0)
    allowed, watched = np.zeros(len(tables.asleep), np.bool_), np.empty(len(tables.asleep))
    for level in levels:
        allowed[level] = True
    for k in range(len(ticks) - 1, -1, -1):
        h = ticks[k]
        part = soon if h == 0 else (log_median[h : h + 1], log_sd[h : h + 1])
        _price_levels(
            tables,
            limit,
            model,
            levels,
            late,
            log_median[h],
            log_sd[h],
            part,
            risk,
            least_margin,
            open_sd,
            price,
            tail,
            (allowed, watched),
        )
        for s in range(n):
            cost[s] = weight[k] * price[s] + to_go[s]
        if k > 0:
            least = cost.min() + change
            for s in range(n):
                to_go[s] = min(cost[s], least)
    free = 0
    best, least = 0, np.inf
    for s in range(n):
        if cost[s] < cost[free]:
            free = s
        total = cost[s] + (change if levels[s] != now else 0.0)
        if total < least:
            best, least = s, total
    return levels[best], levels[free]


@njit(parallel=True, cache=True)
def _plan_singles(  # type: ignore[no-untyped-def]
    tables, limit, groups, states, spt, chosen, log_median, log_sd, known, soon, price, now, level, reason
):
    for at in prange(len(chosen)):
        g = chosen[at]
        i = groups.member[groups.group_start[g]]
        if not known[i]:
            continue
        first = states.level_start[g]
        levels = states.levels[first : first + states.n_states[g]]
        level[i], free = _plan_single(
            tables,
            limit,
            groups.model[i],
            levels,
            spt,
            log_median[i],
            log_sd[i],
            (soon[0][i], soon[1][i]),
            price.risk[i],
            price.least_margin,
            price.change * price.power[i],
            now[i],
            price.open_sd[i],
        )
        reason[i] = reason_of(level[i], free, levels[-1])
