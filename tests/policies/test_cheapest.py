"""The dynamic programme of the oracle against every plan of tiny groups, each carried out by the plant."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from policies.cheapest import cheapest_plans
from policies.joint import joint_states
from policies.network import Network
from policies.price_tables import PriceTables
from tests.hw.random_cells import ASLEEP, Case, random_case, random_tables
from tests.policies.brute_force import (
    EXAMPLES,
    PER_TICK,
    all_plans,
    allowed_levels,
    network_of,
    plant_totals,
    priced,
)

SIZES_AND_TICKS = [(1, 4), (2, 3), (3, 2)]
SEEDS = st.integers(0, 2**32 - 1)


def tiny(
    seed: int, n: int, ticks: int, *, unrecorded: float = 0.0, wake_energy: bool = False
) -> tuple[Case, Network]:
    """One group of n cells, idle in some ticks and busy in others, and what its cells may do."""
    rng = np.random.default_rng(seed)
    case = random_case(seed, [n], ticks=ticks, per_tick=PER_TICK, cut=seed % 2, unrecorded=unrecorded)
    swing = np.repeat(rng.choice([0.02, 0.2, 1.0, 3.0], ticks), PER_TICK)[: case.path.shape[1]]
    path = np.minimum(case.path * swing, 1).astype(np.float32)
    case = case._replace(tables=random_tables(rng, wake_energy=wake_energy), path=path)
    return case, network_of(case.groups, allowed_levels(rng, case.groups), ASLEEP)


class Answer(NamedTuple):
    """The plan of each group and its totals."""

    plan: NDArray[np.uint16]
    totals: NDArray[np.float64]


def ask(tables: PriceTables, prices: NDArray[np.float64]) -> Answer:
    (states, groups, table, _), n_groups = tables.blocks[0], len(tables.blocks[0].states.n_states)
    plan, totals = np.zeros((n_groups, tables.ticks), np.uint16), np.zeros((n_groups, 4))
    cheapest_plans(states, groups.group_start, tables.ticks, table, tables.wakes, prices, plan, totals)
    return Answer(plan, totals)


def random_prices(rng: np.random.Generator) -> NDArray[np.float64]:
    """Prices around those at which it pays to sleep for a tick and wake up, some of them zero."""
    return np.asarray(10.0 ** rng.uniform([1, 1, -1], [3.5, 3.5, 2]) * (rng.random(3) < 0.8))


@pytest.mark.kernel
@pytest.mark.parametrize(("n", "ticks"), SIZES_AND_TICKS)
@settings(max_examples=EXAMPLES)
@given(seed=SEEDS)
def test_no_plan_is_cheaper_than_the_cheapest(seed: int, n: int, ticks: int) -> None:
    case, network = tiny(seed, n, ticks)
    tables = priced(case, network, ticks)
    totals = plant_totals(case, all_plans(network.allowed, ticks))
    rng = np.random.default_rng(seed)
    for prices in (random_prices(rng) for _ in range(4)):
        weights = np.array([1.0, *prices])
        answer = ask(tables, prices)
        found = float(answer.totals[0] @ weights)
        assert found == pytest.approx((totals @ weights).min(), rel=1e-4, abs=1e-3)
        # the plan does in the plant what the tables promise
        levels = joint_states(network, ASLEEP).levels.reshape(-1, n)[answer.plan[0]].T
        carried_out = plant_totals(case, levels[None])[0]
        np.testing.assert_allclose(answer.totals[0], carried_out, rtol=1e-4, atol=1e-4)


@pytest.mark.kernel
@settings(max_examples=EXAMPLES)
@given(seed=SEEDS, shape=st.sampled_from(SIZES_AND_TICKS))
def test_what_is_left_out_only_lowers_the_cheapest_cost(seed: int, shape: tuple[int, int]) -> None:
    n, ticks = shape
    case, network = tiny(seed, n, ticks, unrecorded=0.2, wake_energy=True)
    tables = priced(case, network, ticks)
    totals = plant_totals(case, all_plans(network.allowed, ticks))
    rng = np.random.default_rng(seed)
    for prices in (random_prices(rng) for _ in range(4)):
        weights = np.array([1.0, *prices])
        least = (totals @ weights).min()
        assert float(ask(tables, prices).totals[0] @ weights) <= least * (1 + 1e-5) + 1e-3
