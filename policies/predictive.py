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

from hw.tables import Tables, draw
from hw.world import SYMBOL
from policies.bounds import CutGap
from policies.coupled import plan_groups, reason_of
from policies.coupled_price import least_slope
from policies.expected import Prices, tail_traffic, target_load, watched_price
from policies.forecast import Forecast
from policies.joint import joint_states
from policies.network import Network
from policies.policy import Decision, Reason, View
from policies.profile import PredictiveProfile

# A cell's risk price rises with the square of the share of its allowance that is left, down to this.
LEAST_LEFT = 0.02
UNJUDGED_DAYS = 2.0
AT_LIMIT = 0.999  # of the limit; what is reported as carried never exceeds a level's capacity
TINY = 1e-30


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
        self._offered = np.zeros(network.n_cells)  # traffic so far, in full-rate samples
        self._missed = np.zeros(network.n_cells)  # of it, what missed its target
        self._ticks_seen = np.zeros(network.n_cells)
        self._model = network.groups.model
        sizes = np.diff(network.groups.group_start)
        self._slope = least_slope(tables)
        self.gap, self.planned = CutGap(network, tables), 0.0  # price of the last plan of coupled cells
        self._single, self._coupled = np.flatnonzero(sizes == 1), np.flatnonzero(sizes > 1)

    def plan(self, view: View) -> Decision:
        """Levels for the coming tick. Cells without a forecast stay awake."""
        forecast = view.forecast
        if forecast is None:
            raise ValueError("the predictive planner needs a forecast")
        self._learn_shortfall(view)
        level = np.full(self._network.n_cells, SYMBOL, np.uint8)
        reason = np.full(self._network.n_cells, Reason.NO_FORECAST, np.uint8)
        idle_power = self._tables.power[self._model, SYMBOL, 0].astype(np.float64)
        s = self._settings
        days = self._ticks_seen * view.tick_s / 86400
        missed = self._missed / np.maximum(self._offered, 1e-9)
        left = np.maximum(1 - missed / view.allowance.of_cell, LEAST_LEFT)
        risk = s.risk_price * (1 + s.caution / (1 + days)) / left**2
        if self._watched:
            # the price is bold: a cell that takes more than its part of what the network may miss pays more; its
            # first days count little
            taken = missed * days / (days + UNJUDGED_DAYS) / view.allowance.of_all
            risk *= 1 + taken**2
        ready = days >= s.off_air_after_h / 24
        price = Prices(
            power=idle_power,
            risk=risk * idle_power * self._tables.size[self._model],
            change=s.change_price,
            off_air=s.off_air_caution,
            surge_probability=s.surge_probability,
            surge_load=s.surge_load,
            ready=ready,
            open_sd=self._open_sd(forecast),
        )
        belief = (forecast.log_median, forecast.log_sd, forecast.known)
        fixed = (self._tables, self._limit, self._network.groups, self._states, self._samples_per_tick)
        _plan_singles(*fixed, self._single, *belief, price, view.level, level, reason)
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
        return forecast.log_sd[:, 0] if forecast.now is None else forecast.now.next_sd()

    def _learn_shortfall(self, view: View) -> None:
        """Count the traffic of each cell, and how much of it missed its target."""
        limit = np.maximum(self._limit[self._model, view.level], TINY)
        offered = np.nan_to_num(view.offered)
        self._ticks_seen += np.isfinite(view.offered).any(1)
        self._offered += offered.sum(1)
        missed = offered >= limit[:, None] * AT_LIMIT
        if view.awake is not None:
            missed &= ~view.awake
        self._missed += np.where(missed, offered, 0).sum(1)


@njit(cache=True)
def _plan_single(  # type: ignore[no-untyped-def]
    tables, limit, model, levels, spt, log_median, log_sd, risk, change, now, open_sd
):
    """Level of a cell of its own, and the level it would take if changes were free. ``log_median`` (H,)."""
    n, horizon = len(levels), len(log_median)
    to_go, cost, later = np.zeros(n), np.empty(n), np.zeros(n)
    for h in range(horizon - 1, -1, -1):
        mean = min(math.exp(log_median[h] + 0.5 * log_sd[h] * log_sd[h]), 1.0)
        for s in range(n):
            level = levels[s]
            if open_sd > 0 and tables.wake_samples[level] == 0:
                cost[s] = to_go[s] + watched_price(
                    tables, limit, model, level, log_median[h], log_sd[h], risk, open_sd
                )
                continue
            tail = 0.0 if level <= SYMBOL else risk * tail_traffic(mean, log_sd[h], limit[model, level])
            # part of the next tick is still served by this level if waking takes long
            caught = (later[s] if h < horizon - 1 else tail) * min(tables.wake_samples[level] / spt, 1.0)
            cost[s] = draw(tables, model, level, np.float32(mean), np.float32(0)) + tail + caught + to_go[s]
            later[s] = tail
        if h > 0:
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
    tables, limit, groups, states, spt, chosen, log_median, log_sd, known, price, now, level, reason
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
            price.risk[i],
            price.change * price.power[i],
            now[i],
            price.open_sd[i],
        )
        reason[i] = reason_of(level[i], free, levels[-1])
