"""The oracle against the best plan within the budgets, found by carrying out every plan of tiny networks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hw.plant import CHANGES, UNSERVED, execute
from hw.sharing import Groups
from hw.tables import Tables
from policies.network import Network
from policies.oracle import Budgets, Solver, solve
from policies.price_tables import PriceTables, wake_times
from tests.hw.random_cells import ASLEEP, Case, random_case, random_tables
from tests.policies.brute_force import (
    EXAMPLES,
    PER_TICK,
    all_plans,
    allowed_levels,
    members_of,
    network_of,
    of_group,
    plant_totals,
    priced,
)


def network_totals(case: Case, plan: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Energy, unserved, below target and changes of each group. Shape (groups, 4)."""
    return np.array(
        [
            plant_totals(of_group(case, g), plan[members_of(case.groups, g)][None])[0]
            for g in range(len(case.groups.group_start) - 1)
        ]
    )


def spread_budgets(
    rng: np.random.Generator, totals: list[NDArray[np.float64]], *, own: float = np.inf, over: int = 0
) -> Budgets:
    """Budgets that some plans keep and others exceed; ``own`` share of it is for each group."""
    most = np.sum([t.max(0) for t in totals], axis=0)[1:]
    unserved, below, changes = most * rng.uniform(0.05, 0.5, 3)
    return Budgets(unserved, below, changes, np.full(len(totals), own * below), over)


def solved(case: Case, network: Network, ticks: int, budgets: Budgets) -> tuple[Solver, NDArray[np.uint8]]:
    solver = solve(priced(case, network, ticks), budgets, progress=lambda _: None)
    return solver, solver.plans(budgets)[0].plan


@pytest.mark.kernel
@settings(max_examples=EXAMPLES)
@given(seed=st.integers(0, 2**32 - 1), sizes=st.sampled_from([[2], [1, 1], [1, 2]]), limited=st.booleans())
def test_the_bound_is_below_every_plan_within_the_budgets(seed: int, sizes: list[int], limited: bool) -> None:
    rng, ticks = np.random.default_rng(seed), 2
    case = random_case(seed, sizes, ticks=ticks, per_tick=PER_TICK, unrecorded=0.05)
    network = network_of(case.groups, allowed_levels(rng, case.groups), ASLEEP)
    totals = []
    for g in range(len(sizes)):
        plans = all_plans(network.allowed[members_of(case.groups, g)], ticks)
        totals.append(plant_totals(of_group(case, g), plans))
    over = int(rng.integers(0, 2)) if limited else 0
    budgets = spread_budgets(rng, totals, own=0.4 if limited else np.inf, over=over)
    together, too_much = totals[0], (totals[0][:, 2] > budgets.below_of_group[0]).astype(int)
    for g, more in enumerate(totals[1:], start=1):
        together = (together[:, None] + more).reshape(-1, 4)
        too_much = (too_much[:, None] + (more[:, 2] > budgets.below_of_group[g])).ravel()
    within = (together[:, 1:] <= budgets.as_array()).all(1) & (too_much <= budgets.groups_over)
    assert within.any()
    least = together[within, 0].min()
    solver, plan = solved(case, network, ticks, budgets)
    assert solver.bound <= least * (1 + 1e-5)
    assert network_totals(case, plan)[:, 0].sum() >= solver.bound * (1 - 1e-5)


def test_the_plan_of_the_oracle_keeps_the_budgets_and_comes_near_the_bound() -> None:
    sizes, ticks = [1] * 30 + [2] * 30 + [3] * 10, 8
    case = random_case(4, sizes, ticks=ticks, per_tick=PER_TICK, unrecorded=0)
    case = case._replace(tables=random_tables(np.random.default_rng(4), wake_energy=False))
    network = network_of(case.groups, allowed_levels(np.random.default_rng(4), case.groups), ASLEEP)
    offered = float(case.path.sum(dtype=float))
    budgets = Budgets(0.02 * offered, 0.1 * offered, 2.0 * len(case.path), np.full(len(sizes), np.inf), 0)
    solver, plan = solved(case, network, ticks, budgets)
    energy, *spent = network_totals(case, plan).sum(0)
    assert (np.array(spent) <= budgets.as_array() * (1 + 1e-5)).all()
    assert 0 <= energy / solver.bound - 1 < 0.01
    assert network.allowed[np.arange(len(plan))[:, None], plan].all()


def test_the_oracle_of_a_part_needs_no_more_than_the_whole() -> None:
    """Budgets of the parts add up to those of the whole, which may shift them between groups."""
    case = random_case(6, [2, 1, 2], ticks=3, per_tick=PER_TICK, unrecorded=0)
    network = network_of(case.groups, allowed_levels(np.random.default_rng(6), case.groups), ASLEEP)
    share = Budgets(0.1, 0.5, 3.0, np.full(1, np.inf), 0)
    whole, _ = solved(case, network, 3, Budgets(0.3, 1.5, 9.0, np.full(3, np.inf), 0))
    parts = 0.0
    for g in range(3):
        allowed = network.allowed[members_of(case.groups, g)]
        part = of_group(case, g)
        parts += solved(part, network_of(part.groups, allowed, ASLEEP), 3, share)[0].bound
    assert whole.bound <= parts * (1 + 1e-4)


def test_with_nothing_to_spend_the_oracle_stays_awake() -> None:
    case = random_case(2, [2, 1], ticks=3, per_tick=PER_TICK, unrecorded=0)
    network = network_of(case.groups, allowed_levels(np.random.default_rng(2), case.groups), ASLEEP)
    _, plan = solved(case, network, 3, Budgets(0, 0, 0, np.zeros(2), 0))
    assert (plan == 1).all()


def test_the_oracle_sleeps_through_an_idle_night_and_wakes_in_time(tables: Tables) -> None:
    # cell 0 may leave the air, cell 1 carries its traffic; idle, idle, idle, then too busy for one cell
    quiet, busy = [0.05] * 45, [0.7] * 15
    parts = ([0, 0], [0, 1, 1], [1], [0, 2], [0, 1])
    groups = Groups(*(np.array(x, np.int32) for x in parts), np.ones(1, np.float32))
    allowed = np.array([[1, 1, 0, 0, 0, 1, 1], [1, 1, 0, 0, 0, 0, 0]], bool)
    network = network_of(groups, allowed, tables.asleep)
    path = np.array([quiet + busy] * 2, np.float32)
    priced_states = PriceTables(4, wake_times(tables, allowed))
    priced_states.add(tables, network, path, np.full((2, 1), 0.25, np.float32), 15)
    answers = {
        unserved: solve(
            priced_states, Budgets(unserved, 1e9, 2.0, np.full(1, np.inf), 0), progress=lambda _: None
        )
        for unserved in (0.0, 100.0)
    }
    # waking takes 3 minutes, in which 0.4 per minute would be lost: awake a tick earlier if nothing may be lost
    strict, loose = (
        answers[u].plans(Budgets(u, 1e9, 2.0, np.full(1, np.inf), 0))[0].plan for u in (0.0, 100.0)
    )
    assert strict.tolist() == [[6, 6, 1, 1], [1, 1, 1, 1]]
    assert loose[0, 0] == 6
    figures = execute(
        tables,
        groups,
        path,
        np.full((2, 1), 0.25, np.float32),
        strict,
        samples_per_tick=15,
        samples_per_day=60,
    )
    assert figures.table[0, 0, CHANGES] == 2
    assert figures.table[:, :, UNSERVED].sum() == 0
    assert answers[100.0].bound < answers[0.0].bound
