"""The guard loop once more, sample by sample in plain Python, with the filter in matrix form."""

from __future__ import annotations

from statistics import NormalDist
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hw.tables import Tables
from hw.world import SYMBOL
from policies.expected import target_load
from policies.forecast import Forecast, Now
from policies.kalman import FLOOR, MEASURED_VARIANCE
from policies.profile import Profile
from policies.shortfall import AT_LIMIT
from policies.surge import SurgeGuard
from tests.policies.naive_planner import naive_power, naive_tail

CANDIDATES = {1: (0,), 2: (0, 1)}
GROUPS = ([0, 1, 2], [3], [4])
N = 5
PERSISTENCE = 0.8
NOT_WOKEN = 99


class Cell:
    """Where one cell stands: level and noise of its log load, their covariance."""

    def __init__(self, now: Now, i: int) -> None:
        self.x = np.array([now.level[i], now.noise[i]])
        self.P = np.array([[now.var_level[i], now.covariance[i]], [now.covariance[i], now.var_noise[i]]])
        self.F, self.move = np.diag([1, now.persistence]), np.array([now.slope[i], 0])
        self.Q = np.diag([now.drift[i], now.noise_variance[i] * (1 - now.persistence**2)])

    def step(self, load: float) -> None:
        self.x, self.P = self.F @ self.x + self.move, self.F @ self.P @ self.F.T + self.Q
        if not np.isnan(load):
            h = np.ones(2)
            gain = self.P @ h / (h @ self.P @ h + MEASURED_VARIANCE)
            self.x = self.x + gain * (np.log(max(load, FLOOR)) - h @ self.x)
            self.P = self.P - np.outer(gain, h) @ self.P

    def coming(self) -> tuple[float, float]:
        """Mean and standard deviation of the log of the next sample."""
        ahead = self.F @ self.P @ self.F.T + self.Q
        return float((self.F @ self.x + self.move).sum()), float(np.sqrt(ahead.sum()))


class Twin:
    """What ``SurgeGuard`` does in one tick."""

    def __init__(
        self,
        tables: Tables,
        hold: int,
        level: np.ndarray,
        forecast: Forecast,
        risk: np.ndarray,
        epsilon: float,
    ) -> None:
        assert forecast.now is not None
        self.t, self.hold, self.level, self.known, self.risk = tables, hold, level, forecast.known, risk
        self.cells = [Cell(forecast.now, i) for i in range(N)]
        self.limit, self.epsilon = target_load(tables)[0], epsilon
        self.before, self.left, self.first = [NOT_WOKEN] * N, [0] * N, True

    def watch(self, carried: np.ndarray) -> list[int]:
        for i in range(0 if self.first else N):
            self.cells[i].step(float(carried[i]))
        self.first, served = False, [int(level) for level in self.level]
        for group in GROUPS:
            off = any(self.t.asleep[self.level[i]] for i in group)
            for members in [group] if off else [[i] for i in group]:
                if all(self.level[i] <= SYMBOL for i in members):
                    self.left[members[0]] = 0
                    continue
                if off:
                    wake = any(self.left[i] > 0 for i in members) or self.must(members, carried)
                    if not wake:
                        saving, price, likely = self.balance(members, carried)
                        wake = price > saving or likely > self.epsilon
                    wanted = {i: SYMBOL if wake else int(self.level[i]) for i in members}
                else:
                    must = self.must(members, carried)
                    wanted = {i: SYMBOL if must else self.cheapest(i, carried) for i in members}
                for i in members:
                    if self.level[i] > SYMBOL:
                        self.settle(i, wanted[i], served)
                    else:
                        self.left[i] = 0
        self.before = [s if s < lv else NOT_WOKEN for s, lv in zip(served, self.level, strict=True)]
        return served

    def settle(self, i: int, wanted: int, served: list[int]) -> None:
        """Hold the level that a cell was woken to, and begin to hold where it goes further up."""
        last = min(self.before[i], int(self.level[i]))
        served[i] = min(wanted, last) if self.left[i] else wanted
        self.left[i] = max((self.hold if served[i] < last else self.left[i]) - 1, 0)

    def cheapest(self, i: int, carried: np.ndarray) -> int:
        """The level from the planned one up that costs least with its risk, of those likely enough to serve."""
        at, sd = self.cells[i].coming()
        if not self.known[i]:
            at = float(np.log(max(carried[i], FLOOR)))
        mean = min(np.exp(at + sd**2 / 2), 1.0)
        cost = {SYMBOL: naive_power(self.t, SYMBOL, mean)}
        for level in range(SYMBOL + 1, int(self.level[i]) + 1):
            reach = float(self.limit[level])
            if 1 - NormalDist(at, sd).cdf(float(np.log(reach))) <= self.epsilon:
                cost[level] = naive_power(self.t, level, mean) + self.risk[i] * naive_tail(mean, sd, reach)
        return min(cost, key=lambda level: cost[level])

    def must(self, members: list[int], carried: np.ndarray) -> bool:
        """A cell on air that was not measured, or ran at its limit."""
        for i in members:
            serving = min(self.before[i], int(self.level[i]))
            if self.t.asleep[self.level[i]]:
                continue
            if np.isnan(carried[i]) or (
                serving > SYMBOL and carried[i] >= AT_LIMIT * self.t.capacity[0, serving]
            ):
                return True
        return False

    def balance(self, members: list[int], carried: np.ndarray) -> tuple[float, float, float]:
        """What the levels save, the price of the risk of staying, and its largest probability."""
        off = any(self.t.asleep[self.level[i]] for i in members)
        saving = price = likely = 0.0
        for i in members:
            level = int(self.level[i])
            if self.t.asleep[level]:
                load = 0.0 if np.isnan(carried[i]) else float(carried[i])
                saving += naive_power(self.t, SYMBOL, load) - naive_power(self.t, level, 0)
                continue
            if level <= SYMBOL and not off:
                continue
            at, sd = self.cells[i].coming()
            if off or not self.known[i]:
                at = float(np.log(max(carried[i], FLOOR)))
            mean = min(np.exp(at + sd**2 / 2), 1.0)
            reach = self.limit[level] if level > SYMBOL else 1 - self.t.target / self.t.full_rate
            price += self.risk[i] * naive_tail(mean, sd, float(reach))
            likely = max(likely, 1 - NormalDist(at, sd).cdf(float(np.log(reach))))
            saving += naive_power(self.t, SYMBOL, mean) - naive_power(self.t, level, mean)
        return saving, price, likely


@pytest.mark.kernel
@given(
    seed=st.integers(0, 10_000),
    level=st.lists(st.integers(SYMBOL, 6), min_size=N, max_size=N),
    price=st.sampled_from([0.1, 1.0, 90.0, 1e4]),
    epsilon=st.sampled_from([0.003, 0.03, 0.4]),
)
def test_the_guard_loop_wakes_as_its_twin_does(
    seed: int,
    level: list[int],
    price: float,
    epsilon: float,
    small_network: Any,
    tables: Tables,
    profile: Profile,
) -> None:
    network = small_network(N, CANDIDATES)
    rng = np.random.default_rng(seed)
    chosen = np.array([lv if network.allowed[i, lv] else SYMBOL for i, lv in enumerate(level)], np.uint8)

    def some(low: float, high: float) -> np.ndarray:
        return rng.uniform(low, high, N)

    variance = some(0.01, 0.2)
    now = Now(
        some(-3, -0.5), some(-0.3, 0.3), variance, -0.3 * variance, some(0.2, 0.3), some(-0.05, 0.05),
        some(0, 0.01), some(0.02, 0.2), PERSISTENCE,
    )  # fmt: skip
    forecast = Forecast(now.level[:, None], np.full((N, 1), 0.3), rng.random(N) > 0.2, now)
    risk = price * some(50, 100)
    surge = profile.surge.model_copy(update={"hold_s": int(rng.integers(1, 4)) * 60})
    twin = Twin(tables, surge.hold_s // 60, chosen, forecast, risk, epsilon)
    settings = profile.model_copy(update={"surge": surge}).with_epsilon(epsilon)
    guard = SurgeGuard(network, tables, settings, sample_s=60)
    guard.begin(chosen, forecast, risk)
    for _ in range(8):
        carried = rng.lognormal(-2, 0.8, N).clip(0, 1).astype(np.float32)
        carried[rng.random(N) < 0.1] = np.nan
        carried[tables.asleep[chosen]] = 0
        assert guard.watch(carried).tolist() == twin.watch(carried)
