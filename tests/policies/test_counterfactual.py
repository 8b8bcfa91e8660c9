"""The counterfactual: a slow twin of every figure, what a guard stopped, and what is said without a forecast."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from hw.tables import Tables
from hw.world import LOAD_BINS, SYMBOL
from policies.counterfactual import UPPER, Counterfactuals
from policies.forecast import Forecast
from policies.policy import Decision, Reason

CANDIDATES = {1: (0,), 2: (0, 1), 4: (3,), 5: (3, 6)}
N = 8
RF8, OFF, DORMANT = 4, 5, 6
WAKE_S = np.array([0, 0, 1, 1, 1, 60, 180], np.float32)
TICK_S = 900


def beliefs(seed: int) -> Forecast:
    rng = np.random.default_rng(seed)
    log_median = rng.uniform(-4, 0.3, (N, 2))
    return Forecast(log_median, rng.uniform(0.05, 0.8, (N, 2)), rng.random(N) > 0.15)


def naive_power(tables: Tables, level: int, offered: float) -> float:
    rate = tables.rate[0, level]
    load = min(offered / rate, 1.0) if rate > 0 else 0.0
    return float(np.interp(load * LOAD_BINS, np.arange(LOAD_BINS + 1), tables.power[0, level]))


class Twin:
    """One tick, cell by cell from the definitions."""

    def __init__(self, tables: Tables, network: Any, level: np.ndarray, forecast: Forecast) -> None:
        self.tables, self.level, self.asleep = tables, level, tables.asleep
        start, flat = network.groups.candidate_start, network.groups.candidate
        self.candidates = [set(flat[start[i] : start[i + 1]].tolist()) for i in range(N)]
        self.known = forecast.known
        self.median, self.sd = forecast.log_median[:, 0], forecast.log_sd[:, 0]
        self.upper = np.minimum(np.exp(self.median + norm.ppf(UPPER) * self.sd), 1)
        self.mean = np.minimum(np.exp(self.median + self.sd**2 / 2), 1)

    def limit(self, level: int) -> float:
        """Largest load r with rate x (g - r) >= min(target, share x rate x (1 - r)), by trying."""
        if level <= SYMBOL:
            return np.inf
        t = self.tables
        load = np.linspace(0, t.capacity[0, level], 20_001)
        kept = t.full_rate * (t.rate[0, level] - load) >= np.minimum(
            t.target, t.target_share * t.full_rate * (1 - load)
        )
        return float(load[kept].max())

    def room(self, i: int) -> float:
        on_air = [c for c in self.candidates[i] if not self.asleep[self.level[c]] and self.known[c]]
        awake = 1 - self.tables.target / self.tables.full_rate
        reach = {c: min(self.limit(int(self.level[c])), awake) for c in on_air}
        room = sum(max(reach[c] - self.upper[c], 0) for c in on_air)
        for j in range(N):
            if j != i and self.asleep[self.level[j]] and self.candidates[j] & self.candidates[i]:
                room = room - self.upper[j] if self.known[j] else -np.inf
        return max(room, 0.0)

    def weigh(self, i: int, level: int) -> tuple[float, float, float]:
        """Limit, probability beyond it, expected power."""
        if not self.known[i]:
            return np.nan if self.asleep[level] else self.limit(level), np.nan, np.nan
        if not self.asleep[level]:
            limit, power = self.limit(level), naive_power(self.tables, level, self.mean[i])
        else:
            limit, power = self.room(i), naive_power(self.tables, level, 0)
            on_air = [c for c in self.candidates[i] if not self.asleep[self.level[c]] and self.known[c]]
            free = {c: max(self.tables.capacity[0, self.level[c]] - self.mean[c], 0) for c in on_air}
            for c in on_air if sum(free.values()) > 0 else []:
                share = free[c] * min(self.mean[i] / sum(free.values()), 1)
                power += naive_power(self.tables, self.level[c], self.mean[c] + share)
                power -= naive_power(self.tables, self.level[c], self.mean[c])
        with np.errstate(divide="ignore"):
            over = norm.sf((np.log(limit) - self.median[i]) / self.sd[i])
        return limit, 0.0 if level <= SYMBOL else float(over), power


@pytest.mark.kernel
@given(seed=st.integers(0, 10_000), level=st.lists(st.integers(0, 6), min_size=N, max_size=N))
def test_every_figure_is_that_of_the_twin(
    seed: int, level: list[int], small_network: Any, tables: Tables
) -> None:
    network = small_network(N, CANDIDATES)
    chosen = np.array([lv if network.allowed[i, lv] else SYMBOL for i, lv in enumerate(level)], np.uint8)
    forecast = beliefs(seed)
    twin = Twin(tables, network, chosen, forecast)
    finder = Counterfactuals(network, tables, WAKE_S)
    found = finder.of(chosen, Decision(chosen, np.zeros(N, np.uint8)), forecast, TICK_S)
    for i in range(N):
        further = [lv for lv in range(chosen[i] + 1, 7) if network.allowed[i, lv]]
        assert found.deeper[i] == (further[0] if further else chosen[i])
        awake = twin.weigh(i, SYMBOL)[2]
        close = {"rtol": 1e-3, "atol": 2e-5}
        for at, limit, saving in (
            (found.level[i], found.limit[i], found.saving[i]),
            (found.deeper[i], found.deeper_limit[i], found.deeper_saving[i]),
        ):
            expected, _, power = twin.weigh(i, int(at))
            np.testing.assert_allclose(limit, expected, **close)
            np.testing.assert_allclose(saving, (awake - power) * TICK_S / 3600, rtol=1e-3, atol=1e-2)
        weighed = finder.weigh(i, chosen, forecast)
        for at in np.flatnonzero(network.allowed[i]):
            limit, over, power = twin.weigh(i, int(at))
            np.testing.assert_allclose(weighed.limit[at], limit, **close)
            np.testing.assert_allclose(weighed.over[at], over, rtol=1e-2, atol=1e-3)
            np.testing.assert_allclose(weighed.power[at], power, rtol=1e-3)
        np.testing.assert_allclose(finder.room(chosen, forecast)[i], twin.room(i), **close)
    assert np.isnan(found.upper).tolist() == (~forecast.known).tolist()
    assert found.wake_s.tolist() == WAKE_S[chosen].tolist()


def test_it_names_the_guard_that_stopped_a_deeper_level(small_network: Any, tables: Tables) -> None:
    network = small_network(N, CANDIDATES)
    wanted = np.full(N, RF8, np.uint8)
    decided, reason = wanted.copy(), np.full(N, Reason.DEEPEST, np.uint8)
    decided[2], reason[2] = SYMBOL, Reason.GUARD_TELEMETRY
    reason[3] = Reason.PLUGIN
    found = Counterfactuals(network, tables, WAKE_S).of(wanted, Decision(decided, reason), None, TICK_S)
    assert found.guard.tolist() == [0, 0, Reason.GUARD_TELEMETRY, 0, 0, 0, 0, 0]
    assert found.wanted[2] == RF8
    assert found.level[2] == SYMBOL
    assert found.deeper[2] == 2


def test_without_a_forecast_nothing_is_claimed(small_network: Any, tables: Tables) -> None:
    network = small_network(N, CANDIDATES)
    level = np.full(N, SYMBOL, np.uint8)
    finder = Counterfactuals(network, tables, WAKE_S)
    found = finder.of(level, Decision(level, np.zeros(N, np.uint8)), None, TICK_S)
    for name in ("upper", "saving", "deeper_saving"):
        assert np.isnan(getattr(found, name)).all(), name
    assert np.isinf(found.limit).all()
    assert (found.deeper_limit < 1).all(), "what a level on air bears needs no forecast"
    assert np.isnan(finder.weigh(1, level, None).limit[tables.asleep]).all()
    assert np.isnan(finder.weigh(1, level, None).over).all()
    assert not finder.room(level, None).any()


def test_it_is_cheap_for_many_cells(small_network: Any, tables: Tables) -> None:
    """10,000 cells take 0.4 ms; the bound leaves room for a busy machine."""
    n = 10_000
    network = small_network(n, {i: (i - 1,) for i in range(1, n, 3)})
    rng = np.random.default_rng(0)
    forecast = Forecast(rng.uniform(-4, 0, (n, 4)), rng.uniform(0.1, 0.5, (n, 4)), np.ones(n, bool))
    level = np.where(network.allowed[:, OFF], OFF, RF8).astype(np.uint8)
    finder = Counterfactuals(network, tables, WAKE_S)
    took = []
    for _ in range(4):
        began = time.process_time()
        found = finder.of(level, Decision(level, np.zeros(n, np.uint8)), forecast, TICK_S)
        took.append(time.process_time() - began)
    assert min(took[1:]) < 0.01
    assert sum(array.nbytes for array in found) == 28 * n
