"""Prices of joint levels: floors never lie above the price, and pruning changes no plan."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.clusters import make_clusters
from hw.sharing import local_candidates
from policies.coupled import cheapest_first, expected_loads
from policies.coupled_horizon import price_horizon
from policies.coupled_price import allowed_levels, floors, least_slope, price_alone
from policies.expected import target_load
from policies.joint import joint_states

NEVER_PRUNED = 1e12
SPT, HORIZON = 15, 3
LEAST_MARGIN = 1.88  # epsilon 0.03


class Drawn:
    """A sector of three layers with loads, prices and changes from a seed."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        clusters = make_clusters(1)
        self.tables, network = clusters.tables, clusters.network
        self.models, members = network.groups.model, network.groups.member
        states = joint_states(network, self.tables.asleep)
        self.levels, self.shape = states.levels, (states.radix, states.stride)
        self.service_as, self.forbidden = states.service_as, states.forbidden
        log_median = rng.normal(np.log(rng.choice([0.003, 0.02, 0.2])), 1, (3, HORIZON)).clip(-9, -0.05)
        log_sd, open_sd = rng.uniform(0.05, 0.7, (3, HORIZON)), np.full(3, rng.choice([0.0, 0.2]))
        self.mean, self.belief = expected_loads(log_median, log_sd, open_sd, members, np.arange(HORIZON))
        self.risk = rng.uniform(500, 20000, 3) * self.tables.size[self.models]
        self.surge = (float(rng.choice([0.0, 0.001, 0.02])), 0.6)
        self.off_air, self.change = float(rng.choice([1.0, 6.0])), float(rng.choice([3.0, 9.0, 40.0]))
        self.matrix = local_candidates(members, network.groups)
        self.slope = least_slope(self.tables)

    def priced(self, change: float) -> Any:
        """Price of every state (H, S), pruned for ``change``."""
        states = (self.levels, self.service_as, self.forbidden)
        return price_horizon(
            self.tables, target_load(self.tables), self.models, self.matrix, states, SPT, self.mean, self.belief,
            self.risk, LEAST_MARGIN, self.surge, self.off_air, self.slope, change,
        )  # fmt: skip

    def floor(self, h: int) -> Any:
        """Floor of every state in a tick. (S,)"""
        alone, floor = np.empty((6, 3, len(self.tables.asleep))), np.empty(len(self.service_as))
        allowed = allowed_levels(self.levels, 3, len(self.tables.asleep))
        price_alone(
            self.tables, target_load(self.tables), self.models, allowed, self.mean[h], self.belief[h], self.risk,
            LEAST_MARGIN, self.surge, self.off_air, alone,
        )  # fmt: skip
        floors(
            self.tables, self.models, self.levels, self.service_as, self.forbidden, self.mean[h], self.risk,
            self.off_air, self.slope, np.zeros(3), alone, floor,
        )  # fmt: skip
        return floor


@pytest.mark.kernel
@settings(max_examples=120, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_no_state_is_cheaper_than_its_floor(seed: int) -> None:
    drawn = Drawn(seed)
    whole = drawn.priced(NEVER_PRUNED)
    on_air = drawn.service_as < 0
    for h in range(HORIZON):
        floor = drawn.floor(h)
        assert (floor <= whole[h] * (1 + 1e-6)).all()
        np.testing.assert_allclose(floor[on_air], whole[h, on_air], rtol=1e-9)


@pytest.mark.kernel
@settings(max_examples=120, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), begin=st.integers(0, 59))
def test_pruning_changes_no_plan(seed: int, begin: int) -> None:
    drawn = Drawn(seed)
    whole, pruned = drawn.priced(NEVER_PRUNED), drawn.priced(drawn.change)
    assert np.isfinite(whole).all()
    kept = np.isfinite(pruned)
    np.testing.assert_array_equal(pruned[kept], whole[kept])
    exact = cheapest_first(whole, np.ones(HORIZON), drawn.levels, drawn.shape, drawn.change, begin)
    assert cheapest_first(pruned, np.ones(HORIZON), drawn.levels, drawn.shape, drawn.change, begin) == exact


def test_the_drawn_sectors_are_awake_asleep_and_in_between() -> None:
    drawn = [Drawn(seed) for seed in range(60)]
    best = [one.service_as[one.priced(one.change)[0].argmin()] for one in drawn]
    assert 10 < sum(service < 0 for service in best) < 50


def test_pruning_prices_few_states() -> None:
    drawn = [Drawn(seed) for seed in range(30)]
    shares = [np.isfinite(one.priced(9.0)[:, one.service_as >= 0]).mean() for one in drawn]
    assert np.mean(shares) < 0.7
