"""The predictive planner against a twin that tries every plan, and what it must never decide."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hw.tables import Tables
from hw.world import SYMBOL
from policies.expected import USUAL_EPSILON, target_load
from policies.forecast import Forecast
from policies.network import Network
from policies.policy import Allowance, Reason, View
from policies.predictive import PredictivePlanner
from policies.profile import PredictiveProfile, Profile
from tests.policies.naive_planner import SPT, Twin

AT_LIMIT = 0.999  # of what a level can offer within its target, from which traffic counts as missed
LEAST_LEFT = 0.02  # of the allowance of missed traffic, however much was missed
RF32, RF8, OFF, DORMANT = 2, 4, 5, 6


def some(profile: Profile, **change: float) -> PredictiveProfile:
    """The shipped prices with some replaced; floats, so that the kernels are compiled once."""
    floats = {name: float(value) for name, value in change.items()}
    return profile.predictive.model_copy(update={"off_air_after_h": 0.0} | floats)


def view(
    offered: Any, level: Any, forecast: Forecast | None, *, allowed: float = 0.01, tick_s: int = 900
) -> View:
    level = np.asarray(level, np.uint8)
    return View(
        local_hour=0,
        tick_s=tick_s,
        level=level,
        held_s=np.zeros(len(level), np.int64),
        offered=np.asarray(offered, np.float32),
        forecast=forecast,
        allowance=Allowance(np.inf, allowed),
    )


def belief(median: Any, sd: Any) -> Forecast:
    median = np.asarray(median, float)
    spread = np.broadcast_to(np.asarray(sd, float), median.shape).copy()
    return Forecast(np.log(median), spread, np.ones(len(median), bool))


def unmeasured(n: int) -> np.ndarray:
    return np.full((n, SPT), np.nan, np.float32)


def agree(
    chosen: tuple[int, ...], why: tuple[int, ...], twin: Twin, totals: np.ndarray, free: np.ndarray
) -> None:
    """The chosen state is the cheapest; the reasons follow from the cheapest if changes were free."""
    scale = 1e-5 * twin.idle_power * len(chosen)
    assert totals[twin.states.index(chosen)] <= totals.min() + scale + 2e-6 * abs(totals.min())
    first, second = np.partition(free, 1)[:2] if len(free) > 1 else (free[0], np.inf)
    if second - first > 2 * scale:
        best, deepest = twin.states[int(free.argmin())], twin.states[-1]
        for level, freely, most, reason in zip(chosen, best, deepest, why, strict=True):
            kept = Reason.DEEPEST if level == most else Reason.DEEPER_TOO_RISKY
            assert reason == (kept if level == freely else Reason.CHANGE_NOT_WORTH)


class Case:
    """Prices, wake-up times, forecasts and a past, all drawn from one seed."""

    def __init__(
        self, seed: int, network: Network, tables: Tables, profile: Profile, horizon: int, ready: bool
    ) -> None:
        rng = np.random.default_rng(seed)
        self.network, self.n, self.past = network, network.n_cells, int(rng.integers(0, 4))
        self.options = some(
            profile,
            epsilon=rng.choice([0.005, 0.03, 0.3]),
            risk_price=rng.choice([1, 5, 40]),
            off_air_caution=rng.choice([1, 3]),
            off_air_after_h=0 if ready else 1000,
            change_price=rng.choice([0, 0.02, 0.1]),
            group_change=rng.choice([1, 1.25]),
            group_risk=rng.choice([1, 3]),
            caution=rng.uniform(0, 2),
            surge_probability=rng.choice([0, 0.0005, 0.01]),
            surge_load=rng.uniform(0, 1),
        )
        waking = np.where(np.arange(7) > SYMBOL, rng.choice([0, 1, 3, 20], 7), 0)
        self.tables = tables._replace(wake_samples=waking.astype(np.int32))
        self.median = np.exp(rng.uniform(np.log(0.002), np.log(0.6), (self.n, 1)))
        self.median = (self.median * rng.lognormal(0, 0.3, (self.n, horizon))).clip(0.002, 0.95)
        self.sd = rng.uniform(0.05, 0.9, (self.n, horizon))
        self.now = [int(rng.choice(np.flatnonzero(row)[1:])) for row in network.allowed]
        self.rng = rng

    @property
    def coupled(self) -> bool:
        """Whether the cells are one group."""
        return self.network.n_groups == 1 < self.n

    def missed(self, i: int, seen: np.ndarray, limit: np.ndarray) -> float:
        """Traffic of cell i that its level, or while some are off air the room of its group, could not serve."""
        row = np.nan_to_num(seen[i])
        off = self.tables.asleep[self.now]
        if not (self.coupled and off.any()):
            return float(row[(row > 0) & (row >= AT_LIMIT * limit[i])].sum())
        awake = 1 - self.tables.target / self.tables.full_rate
        room = sum(min(x, awake) for x, gone in zip(limit, off, strict=True) if not gone)
        return float(row[np.nan_to_num(seen).sum(0) >= AT_LIMIT * room].sum())

    @property
    def mean(self) -> np.ndarray:
        """Expected load, never above the cell's own rate. (n, H)"""
        return np.minimum(np.exp(np.log(self.median) + self.sd**2 / 2), 1)

    def decide(self) -> Any:
        """The decision after some measured ticks and one unmeasured, and the risk price that follows."""
        planner = PredictivePlanner(self.network, self.tables, self.options, samples_per_tick=SPT)
        limit = target_load(self.tables)[0][self.now]
        offered, missed, days = np.zeros(self.n), np.zeros(self.n), np.zeros(self.n)
        allowed = float(self.rng.choice([0.01, 0.3]))
        for turn in range(self.past + 1):
            seen = self.rng.lognormal(-1, 0.7, (self.n, SPT)).clip(0, 1).astype(np.float32)
            seen[self.rng.random((self.n, SPT)) < 0.2] = np.nan
            seen[:, 4] = np.minimum(limit * np.float32(0.9995), 1)  # what saturated cells report
            if turn == self.past:
                seen[:] = np.nan
            decision = planner.plan(
                view(seen, self.now, belief(self.median, self.sd), allowed=allowed, tick_s=21600)
            )
            for i, row in enumerate(seen):
                known = row[~np.isnan(row)]
                offered[i] += known.sum()
                missed[i] += self.missed(i, seen, limit)
                days[i] += (len(known) > 0) / 4  # ticks of six hours
        used = np.array([m / o / allowed if o else 0 for m, o in zip(missed, offered, strict=True)])
        price = (1 + self.options.caution / (1 + days)) / np.maximum(1 - used, LEAST_LEFT) ** 2
        price *= USUAL_EPSILON / self.options.epsilon * (self.options.group_risk if self.coupled else 1)
        return decision, self.options.risk_price * price * self.tables.power[0, SYMBOL, 0]


def without(network: Network, levels: dict[int, list[int]]) -> Network:
    """The same network with some levels taken away from some cells, to keep the number of plans small."""
    allowed = network.allowed.copy()
    for cell, unwanted in levels.items():
        allowed[cell, unwanted] = False
    return replace(network, allowed=allowed)


@pytest.mark.kernel
@given(seed=st.integers(0, 2**32), horizon=st.integers(1, 4))
@settings(max_examples=60, deadline=None)
def test_single_cells_take_the_cheapest_of_all_plans(
    seed: int, horizon: int, tables: Tables, profile: Profile, small_network: Any
) -> None:
    network = without(small_network(2, {}), {1: [2 + seed % 3]})
    case = Case(seed, network, tables, profile, horizon, ready=True)
    decision, risk = case.decide()
    for i in range(2):
        twin = Twin(case.tables, network, [i], case.options)
        own = slice(i, i + 1)
        totals, free = twin.totals(case.mean[own].T, case.sd[own].T, tuple(case.now[own]), risk[own], True)
        agree((int(decision.level[i]),), (int(decision.reason[i]),), twin, totals, free)


SHAPES: dict[str, tuple[int, dict[int, tuple[int, ...]], dict[int, list[int]]]] = {
    "coverage and capacity": (2, {1: (0,)}, {0: [3], 1: [2, 4]}),
    "two that cover each other": (2, {0: (1,), 1: (0,)}, {0: [3, 4], 1: [2, OFF]}),
    "two capacity cells on one": (3, {1: (0,), 2: (0, 1)}, {0: [2, 3], 1: [2, 3, 4], 2: [2, 3, DORMANT]}),
}


@pytest.mark.kernel
@pytest.mark.parametrize("shape", SHAPES)
@given(
    seed=st.integers(0, 2**32), horizon=st.integers(1, 3), ready=st.sampled_from([True, True, True, False])
)
@settings(max_examples=30, deadline=None)
def test_groups_take_the_cheapest_of_all_joint_plans(
    shape: str, seed: int, horizon: int, ready: bool, tables: Tables, profile: Profile, small_network: Any
) -> None:
    n, candidates, fewer = SHAPES[shape]
    network = without(small_network(n, candidates), fewer)
    case = Case(seed, network, tables, profile, min(horizon, 4 - n // 2), ready)
    decision, risk = case.decide()
    twin = Twin(case.tables, network, list(range(n)), case.options)
    totals, free = twin.totals(case.mean.T, case.sd.T, tuple(case.now), risk, ready)
    agree(tuple(decision.level.tolist()), tuple(decision.reason.tolist()), twin, totals, free)


# --- what it must never decide ---


@pytest.mark.kernel
def test_target_load_is_where_a_minute_begins_to_miss_its_target(tables: Tables) -> None:
    """By the definition, rate x (g - r) < min(target, share x rate x (1 - r)), on a fine grid of loads."""
    r = np.linspace(0, 1, 20001)
    for target in (5.0, 25.0, 150.0):
        here = tables._replace(target=target)
        for level, g in enumerate(tables.rate[0]):
            below = 1000 * (g - r) < np.minimum(target, 0.8 * 1000 * (1 - r))
            limit = target_load(here)[0, level]
            if level <= SYMBOL:
                assert limit == np.inf
            elif tables.asleep[level]:
                assert limit == 0
            else:
                assert limit == pytest.approx(r[below.argmax()], abs=1e-4)


@pytest.fixture
def site(tables: Tables, profile: Profile, small_network: Any) -> Callable[..., PredictivePlanner]:
    """A planner of a coverage cell 0, its capacity cell 1 and a cell 2 of its own."""

    def build(**change: float) -> PredictivePlanner:
        options = some(profile, **({"surge_probability": 0} | change))
        return PredictivePlanner(small_network(3, {1: (0,)}), tables, options, samples_per_tick=SPT)

    return build


QUIET = belief(np.full((3, 4), 0.004), 0.2)


def test_quiet_cells_rest_and_the_capacity_cell_leaves_the_air(site: Any) -> None:
    decision = site().plan(view(unmeasured(3), [1, 1, 1], QUIET))
    assert decision.level.tolist() == [RF8, DORMANT, RF8]
    assert decision.reason.tolist() == [Reason.DEEPEST] * 3


@pytest.mark.parametrize("unknown", [0, 1])
def test_a_group_with_a_cell_that_was_never_measured_is_awake(site: Any, unknown: int) -> None:
    known = np.ones(3, bool)
    known[unknown] = False
    decision = site().plan(view(unmeasured(3), [RF8, OFF, RF8], replace(QUIET, known=known)))
    assert decision.level.tolist() == [SYMBOL, SYMBOL, RF8]
    assert decision.reason.tolist() == [Reason.NO_FORECAST, Reason.NO_FORECAST, Reason.DEEPEST]


def test_without_a_forecast_it_refuses_to_guess(site: Any) -> None:
    with pytest.raises(ValueError, match="needs a forecast"):
        site().plan(view(unmeasured(3), [1, 1, 1], None))


def test_nobody_leaves_the_air_before_all_cells_of_the_group_were_measured_long_enough(site: Any) -> None:
    planner = site(off_air_after_h=2)
    seen = np.full((3, SPT), 0.004, np.float32)
    partner_missing = seen.copy()
    partner_missing[0] = np.nan
    first_off = None
    for tick in range(1, 20):
        decision = planner.plan(view(partner_missing if tick <= 5 else seen, [RF8, RF8, RF8], QUIET))
        if first_off is None and decision.level[1] in (OFF, DORMANT):
            first_off = tick
    assert first_off == 5 + 2 * 4  # cell 0 was measured from the sixth tick on; 2 h are eight ticks


def test_a_change_that_costs_more_than_it_saves_is_not_made(site: Any) -> None:
    decision = site(change_price=50).plan(view(unmeasured(3), [RF32, RF32, SYMBOL], QUIET))
    assert decision.level.tolist() == [RF32, RF32, SYMBOL]
    assert decision.reason.tolist() == [Reason.CHANGE_NOT_WORTH] * 3


def test_a_cell_that_missed_its_target_is_planned_with_more_care(site: Any) -> None:
    expected = belief(np.full((3, 4), 0.30), 0.2)
    before, after = site(caution=0), site(caution=0)
    calm = np.full((3, SPT), 0.3, np.float32)
    missed = calm.copy()
    missed[2] = 0.9
    level = [SYMBOL, SYMBOL, RF32]
    for _ in range(8):
        careless = before.plan(view(calm, level, expected)).level
        careful = after.plan(view(missed, level, expected)).level
    assert careless[2] > careful[2]
    assert (careless[:2] == careful[:2]).all()  # each cell pays for its own misses


@given(load=st.floats(0.002, 0.6), sd=st.floats(0.05, 0.8), epsilon=st.floats(0.001, 0.3))
@settings(max_examples=60, deadline=None)
def test_no_cell_rests_where_missing_the_target_is_likelier_than_epsilon(
    tables: Tables, profile: Profile, small_network: Any, load: float, sd: float, epsilon: float
) -> None:
    """However cheap the risk is."""
    options = some(profile, risk_price=1e-9, change_price=0, epsilon=epsilon)
    planner = PredictivePlanner(small_network(1, {}), tables, options, samples_per_tick=SPT)
    level = int(planner.plan(view(unmeasured(1), [1], belief([[load] * 4], sd))).level[0])
    likely = [1 - NormalDist(np.log(load), sd).cdf(np.log(x)) for x in target_load(tables)[0, RF32 : RF8 + 1]]
    allowed = [lv for lv, p in zip(range(RF32, RF8 + 1), likely, strict=True) if p <= epsilon]
    assert level == max(allowed, default=SYMBOL)


@given(load=st.floats(0.002, 0.6), sd=st.floats(0.05, 0.8), factor=st.floats(1, 30))
@settings(max_examples=60, deadline=None)
def test_a_dearer_risk_never_takes_a_cell_deeper(
    tables: Tables, profile: Profile, small_network: Any, load: float, sd: float, factor: float
) -> None:
    """With one tick ahead and free changes the deepest level that pays can only become shallower."""
    network = small_network(1, {})
    chosen = []
    for risk_price in (5, 5 * factor):
        options = some(profile, risk_price=risk_price, change_price=0)
        planner = PredictivePlanner(network, tables, options, samples_per_tick=SPT)
        chosen.append(int(planner.plan(view(unmeasured(1), [1], belief([[load]], sd))).level[0]))
    assert chosen[1] <= chosen[0]


def test_the_plan_of_a_cell_does_not_depend_on_the_others(
    tables: Tables, profile: Profile, small_network: Any
) -> None:
    rng = np.random.default_rng(4)
    whole = small_network(9, {1: (0,), 2: (0, 1), 5: (4,), 7: (8,)})
    median, sd = rng.lognormal(-2.5, 1, (9, 4)).clip(0.002, 0.9), rng.uniform(0.1, 0.6, (9, 4))
    now = rng.choice([1, 2, 3, 4], 9)
    everything = PredictivePlanner(whole, tables, some(profile), samples_per_tick=SPT)
    together = everything.plan(view(unmeasured(9), now, belief(median, sd))).level
    parts = [
        ([0, 1, 2], {1: (0,), 2: (0, 1)}),
        ([3], {}),
        ([4, 5], {1: (0,)}),
        ([6], {}),
        ([7, 8], {0: (1,)}),
    ]
    for index, candidates in parts:
        alone = PredictivePlanner(
            small_network(len(index), candidates), tables, some(profile), samples_per_tick=SPT
        )
        decision = alone.plan(view(unmeasured(len(index)), now[index], belief(median[index], sd[index])))
        assert decision.level.tolist() == together[index].tolist()
