"""The predictive planner once more, the slow way: prices by quadrature, plans by trying all of them."""

from __future__ import annotations

from itertools import pairwise, product
from statistics import NormalDist
from typing import Any

import numpy as np

from hw.tables import Tables
from hw.world import FULL, LOAD_BINS, SYMBOL
from policies.expected import target_load
from policies.network import Network
from policies.profile import PredictiveProfile

SPT = 15  # samples per tick
CORRELATION = 0.5  # of what a cell hands over with its candidate's own traffic


def naive_tail(mean: float, sd: float, limit: float) -> float:
    """E[r; r > limit] of a log-normal r, by Simpson's rule over the standard normal."""
    if limit <= 0:
        return mean
    mu = np.log(mean) - sd * sd / 2
    low = max((np.log(limit) - mu) / sd, sd - 9.0)
    if low > sd + 9:
        return 0.0
    z = np.linspace(low, sd + 9, 1201)
    value = np.exp(mu + sd * z - z * z / 2) / np.sqrt(2 * np.pi)
    weight = np.ones(len(z))
    weight[1:-1:2], weight[2:-1:2] = 4, 2
    return float((z[1] - z[0]) / 3 * (weight * value).sum())


def naive_power(tables: Tables, level: int, offered: float) -> float:
    rate = tables.rate[0, level]
    load = 0.0 if tables.asleep[level] else min(offered / rate, 1.0)
    return float(np.interp(load * LOAD_BINS, np.arange(LOAD_BINS + 1), tables.power[0, level]))


class Twin:
    """One group of cells, priced and planned by brute force."""

    def __init__(
        self, tables: Tables, network: Network, members: list[int], options: PredictiveProfile
    ) -> None:
        self.tables, self.options = tables, options
        choices = [[lv for lv in np.flatnonzero(network.allowed[i]) if lv != FULL] for i in members]
        self.states = [tuple(int(lv) for lv in state) for state in product(*choices)]
        start, flat = network.groups.candidate_start, network.groups.candidate
        self.candidates = [[members.index(int(c)) for c in flat[start[i] : start[i + 1]]] for i in members]
        self.limit = target_load(tables)[0]
        self.idle_power = float(tables.power[0, SYMBOL, 0])

    def totals(
        self, mean: np.ndarray, sd: np.ndarray, now: tuple[int, ...], risk: np.ndarray, ready: bool
    ) -> Any:
        """Cheapest total cost of each first state, and the same if its first change were free."""
        ticks = len(mean)
        cost, tail = np.empty((ticks, len(self.states))), np.empty((ticks, len(self.states)))
        for h in range(ticks):
            for s, state in enumerate(self.states):
                cost[h, s], tail[h, s] = self.price(state, mean[h], sd[h], risk, ready)
        slowest = np.array([max(self.tables.wake_samples[lv] for lv in state) for state in self.states])
        late = np.minimum(slowest / SPT, 1)
        for h in range(ticks):
            caught = np.where(late > 0, tail[min(h + 1, ticks - 1)] * np.where(late > 0, late, 1), 0)
            cost[h] += tail[h] + caught
        change = self.options.change_price * self.idle_power
        change *= self.options.group_change if len(now) > 1 else 1
        levels = np.array(self.states)
        differ = (levels[:, None] != levels[None]).sum(2)
        free = np.full(len(self.states), np.inf)
        for plan in product(range(len(self.states)), repeat=ticks):
            total = sum(cost[h, s] for h, s in enumerate(plan))
            total += change * sum(differ[a, b] for a, b in pairwise(plan))
            free[plan[0]] = min(free[plan[0]], total)
        awake = tuple(SYMBOL for _ in now)
        begin = self.states.index(now if now in self.states else awake)
        return free + change * differ[begin], free

    def price(
        self, state: tuple[int, ...], mean: np.ndarray, sd: np.ndarray, risk: np.ndarray, ready: bool
    ) -> Any:
        """Expected power and priced risk of one joint state in one tick."""
        asleep = [bool(self.tables.asleep[lv]) for lv in state]
        if any(asleep) and not ready:
            return np.inf, np.inf
        capacity = [float(self.tables.capacity[0, lv]) for lv in state]
        load = [0.0 if off else min(m, c) for m, c, off in zip(mean, capacity, asleep, strict=True)]
        handed = np.zeros((len(state), len(state)))
        below = 0.0
        for k in [k for k, off in enumerate(asleep) if off]:
            room = {c: capacity[c] - load[c] for c in self.candidates[k] if not asleep[c]}
            placed = min(mean[k], sum(room.values()))
            for c, free in room.items():
                handed[k, c] = free * placed / sum(room.values()) if placed else 0.0
                load[c] += handed[k, c]
            below += risk[k] * (mean[k] - placed)
        power = sum(naive_power(self.tables, lv, load[k]) for k, lv in enumerate(state))
        for k, level in enumerate(state):
            if asleep[k] or (level == SYMBOL and not handed[:, k].any()):
                continue
            if self._over(k, level, mean, sd, handed[:, k]) > self.options.epsilon:
                return np.inf, np.inf
            below += risk[k] * self._below(k, level, mean, sd, handed[:, k], any(asleep))
        return power, below * (self.options.off_air_caution if any(asleep) else 1)

    def _below(
        self, k: int, level: int, mean: np.ndarray, sd: np.ndarray, handed: np.ndarray, shared: bool
    ) -> float:
        """Expected traffic below target of a cell on air with what others hand it."""
        reach = self._reach(level)
        total, spread = self._carried(k, mean, sd, handed)
        missed = naive_tail(total, spread, reach)
        surged = total + self.options.surge_load
        if shared and surged > reach:
            missed += self.options.surge_probability * surged
        return missed

    def _carried(self, k: int, mean: np.ndarray, sd: np.ndarray, handed: np.ndarray) -> tuple[float, float]:
        """Mean of what a cell carries with what others hand it, and its log standard deviation."""
        deviation = mean * np.sqrt(np.exp(sd**2) - 1)
        share = handed * deviation / mean
        total = mean[k] + handed.sum()
        variance = deviation[k] ** 2 + (share**2 + 2 * CORRELATION * share * deviation[k]).sum()
        return float(total), float(np.sqrt(np.log(1 + variance / total**2)))

    def _reach(self, level: int) -> float:
        return 1 - self.tables.target / self.tables.full_rate if level == SYMBOL else float(self.limit[level])

    def _over(self, k: int, level: int, mean: np.ndarray, sd: np.ndarray, handed: np.ndarray) -> float:
        """Probability that what a cell carries, as a log-normal load, is above what its level serves on target."""
        total, spread = self._carried(k, mean, sd, handed)
        return 1 - NormalDist(np.log(total) - spread**2 / 2, spread).cdf(np.log(self._reach(level)))
