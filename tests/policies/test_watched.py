"""The oracle with the guard loop: as cheap as the best set of samples to wake in, and never dearer than any other."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hw.plant import BELOW, CHANGES, UNSERVED, count_changes, execute
from hw.world import SYMBOL
from policies.network import Network
from policies.oracle import Budgets, _ask, solve
from policies.price_tables import PriceTables, wake_times
from tests.hw.random_cells import ASLEEP, Case, random_case
from tests.policies.brute_force import EXAMPLES, PER_TICK, allowed_levels, network_of

TICKS = 2
SAMPLES = TICKS * PER_TICK


def watched(case: Case, network: Network) -> PriceTables:
    tables = PriceTables(TICKS, wake_times(case.tables, network.allowed), guard=True)
    tables.add(case.tables, network, case.path, case.ul_per_dl, PER_TICK)
    return tables


def at_once(case: Case) -> Case:
    """The case in a world in which every level wakes within a sample."""
    tables = case.tables
    return case._replace(tables=tables._replace(wake_samples=np.zeros_like(tables.wake_samples)))


def carried_out(case: Case, plan: NDArray[np.uint8], awake: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Energy, unserved, below target and planned changes of a plan whose cells wake in some samples. (4,)"""
    level = np.repeat(plan, PER_TICK, axis=1)
    level[awake & (level > SYMBOL)] = SYMBOL
    figures = execute(
        case.tables,
        case.groups,
        case.path,
        case.ul_per_dl,
        level,
        samples_per_tick=1,
        samples_per_day=SAMPLES,
    )
    count_changes(case.path, plan, awake, PER_TICK, SAMPLES, figures.table)
    total = figures.table.sum((0, 1))
    return np.array([figures.energy.sum(), *total[[UNSERVED, BELOW, CHANGES]]])


@pytest.mark.kernel
@settings(max_examples=max(2, EXAMPLES // 10))
@given(seed=st.integers(0, 2**32 - 1))
def test_a_cell_alone_wakes_in_the_cheapest_samples(seed: int) -> None:
    rng = np.random.default_rng(seed)
    case = at_once(random_case(seed, [1], ticks=TICKS, per_tick=PER_TICK, unrecorded=0.05))
    network = network_of(case.groups, allowed_levels(rng, case.groups), ASLEEP)
    prices = np.array([1.0, *rng.uniform(0, 300, 2), rng.uniform(0, 50)])
    levels = np.flatnonzero(network.allowed[0])
    masks = np.array(list(product([False, True], repeat=SAMPLES)))
    least = min(
        float(prices @ carried_out(case, np.array([plan], np.uint8), mask[None]))
        for plan in product(levels, repeat=TICKS)
        for mask in masks
    )
    answer = _ask(watched(case, network), prices[1:])
    assert float(prices @ answer.totals[0]) == pytest.approx(least, rel=1e-5)


@pytest.mark.kernel
@settings(max_examples=EXAMPLES)
@given(seed=st.integers(0, 2**32 - 1), sizes=st.sampled_from([[2], [1, 2], [3]]))
def test_no_plan_with_any_wakes_is_cheaper(seed: int, sizes: list[int]) -> None:
    rng = np.random.default_rng(seed)
    case = random_case(seed, sizes, ticks=TICKS, per_tick=PER_TICK, unrecorded=0.05)
    network = network_of(case.groups, allowed_levels(rng, case.groups), ASLEEP)
    prices = np.array([1.0, *rng.uniform(0, 300, 2), rng.uniform(0, 50)])
    least = float(prices @ _ask(watched(case, network), prices[1:]).totals.sum(0))
    n = len(case.path)
    for _ in range(30):
        plan = np.array([rng.choice(np.flatnonzero(row[1:]) + 1, TICKS) for row in network.allowed], np.uint8)
        awake = rng.random((n, SAMPLES)) < rng.uniform(0, 1)
        awake &= ~ASLEEP[np.repeat(plan, PER_TICK, axis=1)]
        assert least <= float(prices @ carried_out(case, plan, awake)) * (1 + 1e-5)


@pytest.mark.kernel
@settings(max_examples=max(2, EXAMPLES // 4))
@given(seed=st.integers(0, 2**32 - 1))
def test_the_plan_costs_what_the_plant_makes_of_it(seed: int) -> None:
    """Where cells wake at once, tables and plant agree, and the bound lies below that of planning alone."""
    rng = np.random.default_rng(seed)
    case = at_once(random_case(seed, [1, 1, 1], ticks=TICKS, per_tick=PER_TICK, unrecorded=0.05))
    network = network_of(case.groups, allowed_levels(rng, case.groups), ASLEEP)
    offered = float(np.nansum(case.path))
    budgets = Budgets(0.02 * offered, 0.05 * offered, 2.0, np.full(3, np.inf), 0)
    solver = solve(watched(case, network), budgets, progress=lambda _: None)
    plan, awake = solver.plans(budgets)[0]
    assert awake is not None
    spent = carried_out(case, plan, awake)
    assert (spent[1:] <= budgets.as_array() * (1 + 1e-5) + 1e-9).all()
    assert solver.bound <= spent[0] * (1 + 1e-6)
    without = PriceTables(TICKS, wake_times(case.tables, network.allowed))
    without.add(case.tables, network, case.path, case.ul_per_dl, PER_TICK)
    assert solver.bound <= solve(without, budgets, progress=lambda _: None).bound * (1 + 1e-6)
