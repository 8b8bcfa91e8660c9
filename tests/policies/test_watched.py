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


def watched(case: Case, network: Network, *, full_wakes: bool = False) -> PriceTables:
    tables = PriceTables(TICKS, wake_times(case.tables, network.allowed), True, full_wakes)
    tables.add(case.tables, network, case.path, case.ul_per_dl, PER_TICK)
    return tables


def wakes_of(planned: int, levels: NDArray[np.intp], *, full_wakes: bool) -> list[int]:
    """Levels at which the guard loop may have a cell that is planned at one of its levels."""
    if ASLEEP[planned]:
        return [int(planned)]
    return [
        int(lv)
        for lv in levels
        if lv == planned or (SYMBOL <= lv < planned and not (full_wakes and lv > SYMBOL))
    ]


def at_once(case: Case) -> Case:
    """The case in a world in which every level wakes within a sample."""
    tables = case.tables
    return case._replace(tables=tables._replace(wake_samples=np.zeros_like(tables.wake_samples)))


def carried_out(case: Case, plan: NDArray[np.uint8], served: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Energy, unserved, below target and planned changes of a plan whose cells wake in some samples. (4,)"""
    level = np.minimum(np.repeat(plan, PER_TICK, axis=1), served)
    figures = execute(
        case.tables,
        case.groups,
        case.path,
        case.ul_per_dl,
        level,
        samples_per_tick=1,
        samples_per_day=SAMPLES,
    )
    count_changes(case.path, plan, served, PER_TICK, SAMPLES, figures.table)
    total = figures.table.sum((0, 1))
    return np.array([figures.energy.sum(), *total[[UNSERVED, BELOW, CHANGES]]])


@pytest.mark.kernel
@settings(max_examples=max(2, EXAMPLES // 10))
@given(seed=st.integers(0, 2**32 - 1), full_wakes=st.booleans())
def test_a_cell_alone_wakes_in_the_cheapest_samples(seed: int, full_wakes: bool) -> None:
    rng = np.random.default_rng(seed)
    case = at_once(random_case(seed, [1], ticks=TICKS, per_tick=PER_TICK, unrecorded=0.05))
    network = network_of(case.groups, allowed_levels(rng, case.groups), ASLEEP)
    prices = np.array([1.0, *rng.uniform(0, 300, 2), rng.uniform(0, 50)])
    levels = np.flatnonzero(network.allowed[0])
    least = np.inf
    for plan in product(levels, repeat=TICKS):
        served, totals = np.repeat(np.array([plan], np.uint8), PER_TICK, axis=1), [(np.inf, 0)]
        for t in range(SAMPLES):  # of a cell alone each sample is served for itself
            totals = []
            for level in wakes_of(plan[t // PER_TICK], levels, full_wakes=full_wakes):
                served[0, t] = level
                total = float(prices @ carried_out(case, np.array([plan], np.uint8), served))
                totals.append((total, level))
            served[0, t] = min(totals)[1]
        least = min(least, min(totals)[0])
    answer = _ask(watched(case, network, full_wakes=full_wakes), prices[1:])
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
        served = np.repeat(plan, PER_TICK, axis=1)
        for k in range(n):
            for t in range(SAMPLES):
                levels = np.flatnonzero(network.allowed[k])
                served[k, t] = rng.choice(wakes_of(plan[k, t // PER_TICK], levels, full_wakes=False))
        assert least <= float(prices @ carried_out(case, plan, served)) * (1 + 1e-5)


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
    plan, served = solver.plans(budgets)[0]
    assert served is not None
    assert (served <= np.repeat(plan, PER_TICK, axis=1)).all()
    spent = carried_out(case, plan, served)
    assert (spent[1:] <= budgets.as_array() * (1 + 1e-5) + 1e-9).all()
    assert solver.bound <= spent[0] * (1 + 1e-6)
    to_full = solve(watched(case, network, full_wakes=True), budgets, progress=lambda _: None)
    assert solver.bound <= to_full.bound * (1 + 1e-6)
    without = PriceTables(TICKS, wake_times(case.tables, network.allowed))
    without.add(case.tables, network, case.path, case.ul_per_dl, PER_TICK)
    assert to_full.bound <= solve(without, budgets, progress=lambda _: None).bound * (1 + 1e-6)
