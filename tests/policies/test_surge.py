"""The guard loop: it wakes when staying does not pay, only ever wakes, and follows the load like the forecaster."""

from __future__ import annotations

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
def test_it_wakes_exactly_where_the_risk_costs_too_much_or_is_likelier_than_epsilon(
    small_network: Any, tables: Tables, profile: Profile, epsilon: float
) -> None:
    profile = profile.with_epsilon(epsilon)
    loads = np.linspace(0.05, 0.6, 23)
    network = small_network(len(loads), {})
    guard = guard_of(network, tables, profile)
    guard.begin(np.full(len(loads), DEEPEST, np.uint8), sure(loads), None)
    awake = guard.watch(loads.astype(np.float32))
    mean = np.exp(np.log(loads) + 0.5 * 0.17**2)
    limit = target_load(tables)[0, DEEPEST]
    idle = tables.power[0, SYMBOL, 0]
    for k, load in enumerate(mean):
        beyond = tail_traffic(load, 0.17, limit)
        saved = draw(tables, 0, SYMBOL, np.float32(load), np.float32(0)) - draw(
            tables, 0, DEEPEST, np.float32(load), np.float32(0)
        )
        likely = 1 - NormalDist(np.log(loads[k]), 0.17).cdf(np.log(limit))
        price = profile.surge.risk_price * USUAL_EPSILON / profile.predictive.epsilon * idle
        assert awake[k] == (price * beyond > saved or likely > profile.predictive.epsilon), loads[k]
    assert awake.any()
    assert not awake.all()


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
    awake = guard.watch(np.array([carried, np.nan], np.float32))
    assert not awake[1], "a cell at full has nothing to wake from"
    if level > SYMBOL and (np.isnan(carried) or carried >= tables.capacity[0, level]):
        assert awake[0]
    if level == SYMBOL:
        assert not awake[0]


def test_a_woken_cell_stays_awake_for_the_least_time(
    small_network: Any, tables: Tables, profile: Profile
) -> None:
    guard = guard_of(small_network(1, {}), tables, profile, hold_s=240)
    guard.begin(np.array([DEEPEST], np.uint8), None, None)
    seen = [bool(guard.watch(np.array([load], np.float32))[0]) for load in (0.02, 0.9, *[0.02] * 6)]
    assert seen == [False, True, True, True, True, False, False, False]


def test_a_group_wakes_as_one(small_network: Any, tables: Tables, profile: Profile) -> None:
    guard = guard_of(small_network(4, {1: (0,)}), tables, profile)
    off = len(tables.asleep) - 1
    guard.begin(np.array([SYMBOL, off, DEEPEST, DEEPEST], np.uint8), None, None)
    assert guard.watch(np.array([0.1, 0.0, 0.02, 0.9], np.float32)).tolist() == [False, False, False, True]
    assert guard.watch(np.array([0.99, 0.0, 0.02, 0.02], np.float32)).tolist() == [False, True, False, False]


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


def test_two_guards_in_a_row_decide_the_same(small_network: Any, tables: Tables, profile: Profile) -> None:
    rng = np.random.default_rng(1)
    carried = rng.uniform(0, 0.6, (40, 3)).astype(np.float32)

    def decided() -> list[list[bool]]:
        guard = guard_of(small_network(3, {}), tables, profile)
        guard.begin(np.full(3, DEEPEST, np.uint8), sure([0.1, 0.2, 0.3]), None)
        return [guard.watch(row).tolist() for row in carried]

    assert decided() == decided()
    assert pytest.approx(np.mean(decided()), abs=0.5) == 0.5
