"""The guard loop: it wakes when and as far as it pays, only ever wakes, and follows the load like the forecaster."""

from __future__ import annotations

from dataclasses import replace
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.forecast.samples import Forecaster
from hw.tables import Tables, draw
from hw.world import SYMBOL
from policies.expected import USUAL_EPSILON, tail_traffic, target_load
from policies.forecast import Forecast, Now
from policies.profile import Profile
from policies.surge import SurgeGuard

DEEPEST = 4  # 8 of 64 TxRU, the deepest level on air


def guard_of(network: Any, tables: Tables, profile: Profile, **change: Any) -> SurgeGuard:
    surge = profile.surge.model_copy(update=change)
    return SurgeGuard(network, tables, profile.model_copy(update={"surge": surge}), sample_s=60)


def sure(load: Any, sd: float = 0.17) -> Forecast:
    """Cells that are known to lie around ``load``, with noise that is forgotten from sample to sample."""
    load = np.asarray(load, float)
    n, nothing = len(load), np.zeros(len(load))
    now = Now(
        np.log(load),
        nothing.copy(),
        nothing.copy(),
        nothing.copy(),
        nothing.copy(),
        nothing,
        nothing,
        np.full(n, sd**2),
        0.0,
    )
    return Forecast(np.log(load)[:, None], np.full((n, 1), sd), np.ones(n, bool), now)


@pytest.mark.parametrize("epsilon", [0.002, 0.03, 0.3])
def test_it_serves_at_the_cheapest_level_with_its_risk_that_is_no_likelier_to_miss_than_epsilon(
    small_network: Any, tables: Tables, profile: Profile, epsilon: float
) -> None:
    profile = profile.with_epsilon(epsilon)
    loads = np.linspace(0.05, 0.9, 35)
    network = small_network(len(loads), {})
    guard = guard_of(network, tables, profile)
    guard.begin(np.full(len(loads), DEEPEST, np.uint8), sure(loads), None)
    served = guard.watch(np.minimum(loads, 0.5).astype(np.float32))
    mean = np.exp(np.log(loads) + 0.5 * 0.17**2)
    price = profile.surge.risk_price * USUAL_EPSILON / profile.predictive.epsilon * tables.power[0, SYMBOL, 0]
    for k, load in enumerate(mean):
        cost = {SYMBOL: float(draw(tables, 0, SYMBOL, np.float32(load), np.float32(0)))}
        for level in range(SYMBOL + 1, DEEPEST + 1):
            limit = float(target_load(tables)[0, level])
            if 1 - NormalDist(np.log(loads[k]), 0.17).cdf(np.log(limit)) <= profile.predictive.epsilon:
                cost[level] = float(draw(tables, 0, level, np.float32(load), np.float32(0)))
                cost[level] += price * tail_traffic(load, 0.17, limit)
        assert served[k] == min(cost, key=lambda level: (cost[level], -level)), loads[k]
    assert set(served.tolist()) == set(range(SYMBOL, DEEPEST + 1))


@given(
    level=st.integers(SYMBOL, DEEPEST),
    load=st.floats(0, 1, width=32),
    carried=st.one_of(st.just(float("nan")), st.floats(0, 1, width=32)),
    risk=st.one_of(st.none(), st.floats(0, 1e6)),
)
def test_it_only_ever_wakes_and_never_trusts_silence(
    small_network: Any, tables: Tables, profile: Profile, level: int, load: float, carried: float, risk: Any
) -> None:
    guard = guard_of(small_network(2, {}), tables, profile)
    levels = np.array([level, SYMBOL], np.uint8)
    guard.begin(levels, sure([max(load, 0.002)] * 2), None if risk is None else np.full(2, risk))
    served = guard.watch(np.array([carried, np.nan], np.float32))
    assert served[1] == SYMBOL, "a cell at full has nothing to wake from"
    assert SYMBOL <= served[0] <= level
    if np.isnan(carried) or carried >= tables.capacity[0, level]:
        assert served[0] == SYMBOL


def test_it_goes_further_up_where_a_level_it_woke_to_ran_at_its_limit(
    small_network: Any, tables: Tables, profile: Profile
) -> None:
    guard = guard_of(small_network(1, {}), tables, profile)
    forecast = sure([0.45])
    guard.begin(np.array([DEEPEST], np.uint8), forecast, None)
    woken = int(guard.watch(np.array([0.45], np.float32))[0])
    assert SYMBOL < woken < DEEPEST
    assert guard.watch(np.array([tables.capacity[0, DEEPEST]], np.float32))[0] > SYMBOL, (
        "no limit of the level it is at"
    )
    assert guard.watch(np.array([tables.capacity[0, woken]], np.float32))[0] == SYMBOL


def test_it_wakes_to_levels_that_the_cell_may_use(
    small_network: Any, tables: Tables, profile: Profile
) -> None:
    network = small_network(1, {})
    allowed = network.allowed.copy()
    allowed[:, SYMBOL + 1 : DEEPEST] = False
    loads = np.linspace(0.05, 0.6, 23).astype(np.float32)
    seen = set()
    for load in loads:
        guard = guard_of(replace(network, allowed=allowed), tables, profile)
        guard.begin(np.array([DEEPEST], np.uint8), sure([load]), None)
        seen.add(int(guard.watch(np.array([load]))[0]))
    assert seen == {SYMBOL, DEEPEST}


def test_a_woken_cell_stays_awake_for_the_least_time(
    small_network: Any, tables: Tables, profile: Profile
) -> None:
    guard = guard_of(small_network(1, {}), tables, profile, hold_s=240)
    guard.begin(np.array([DEEPEST], np.uint8), None, None)
    seen = [int(guard.watch(np.array([load], np.float32))[0]) for load in (0.02, 0.9, *[0.02] * 6)]
    assert seen == [DEEPEST, *[SYMBOL] * 4, *[DEEPEST] * 3]


def test_a_group_wakes_as_one(small_network: Any, tables: Tables, profile: Profile) -> None:
    guard = guard_of(small_network(4, {1: (0,)}), tables, profile)
    off = len(tables.asleep) - 1
    guard.begin(np.array([SYMBOL, off, DEEPEST, DEEPEST], np.uint8), None, None)
    apart, together = [SYMBOL, off, DEEPEST, SYMBOL], [SYMBOL, SYMBOL, DEEPEST, DEEPEST]
    assert guard.watch(np.array([0.1, 0.0, 0.02, 0.9], np.float32)).tolist() == apart
    assert guard.watch(np.array([0.99, 0.0, 0.02, 0.02], np.float32)).tolist() == together


def test_it_follows_the_samples_as_the_forecaster_does(
    small_network: Any, tables: Tables, profile: Profile
) -> None:
    """Sample by sample through a tick it comes to where the forecaster comes with the whole tick."""
    rng = np.random.default_rng(0)
    n, forecaster = 5, Forecaster(5, profile.forecast, sample_s=60, tick_s=900)
    guard = guard_of(small_network(n, {}), tables, profile)
    for tick in range(6):
        forecast = forecaster.forecast(tick)
        guard.begin(np.full(n, SYMBOL, np.uint8), forecast, None)
        samples = rng.uniform(0.05, 0.4, (n, 15)).astype(np.float32)
        guard.watch(samples[:, 0])  # of the tick before: the forecast knows it
        for t in range(15):
            guard.watch(samples[:, t])
        spread = forecaster.state.spread.copy()
        forecaster.observe(samples, tick)
        if np.array_equal(spread, forecaster.state.spread):  # while the noise is not being learnt yet
            np.testing.assert_allclose(guard._now.level, forecaster.state.level, rtol=1e-9)
            np.testing.assert_allclose(guard._now.noise, forecaster.state.noise, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(guard._now.level, forecaster.state.level, atol=0.05)
        forecaster.state.samples[:] = 10_000  # after so many a tick teaches little about the noise


def test_two_guards_in_a_row_decide_the_same(small_network: Any, tables: Tables, profile: Profile) -> None:
    rng = np.random.default_rng(1)
    carried = rng.uniform(0, 0.6, (40, 3)).astype(np.float32)

    def decided() -> list[list[int]]:
        guard = guard_of(small_network(3, {}), tables, profile)
        guard.begin(np.full(3, DEEPEST, np.uint8), sure([0.1, 0.2, 0.45]), None)
        return [guard.watch(row).tolist() for row in carried]

    assert decided() == decided()
    assert len(set(np.ravel(decided()))) > 2
