"""Layers of different rate, overlap in part, and groups that are cut: against small exact plans."""

from __future__ import annotations

from itertools import product
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.clusters import belief, make_clusters
from benchmarks.milp_cluster import cheapest, priced_states
from hw.sharing import local_candidates, share_out
from hw.tables import Tables
from hw.world import SYMBOL
from policies.expected import target_load, watched_prices
from policies.forecast import Forecast
from policies.policy import Allowance, View
from policies.predictive import PredictivePlanner
from policies.profile import Profile

COVERAGE, MID, LARGE = 0, 1, 2
DORMANT = 7


def carried(levels: list[int], offered: list[float]) -> tuple[np.ndarray, np.ndarray]:
    """What each cell of a sector carries of its own rate, and what it hands over of the world's. (3,), (3, 3)"""
    clusters = make_clusters(1)
    groups, n = clusters.network.groups, 3
    load, room, placed = np.empty(n), np.empty(n), np.zeros((n, n))
    share_out(
        clusters.tables,
        groups.model,
        local_candidates(groups.member, groups),
        np.array(offered, np.float32),
        np.array(levels),
        load,
        room,
        placed,
    )
    return load, placed


def test_traffic_is_converted_by_the_full_rates() -> None:
    # 2 % of 1000 Mbit/s are 20 of the 75 and 850 Mbit/s that have room for them
    load, placed = carried([SYMBOL, SYMBOL, DORMANT], [0.0, 0.0, 0.02])
    assert placed[LARGE].sum() * 1000 == pytest.approx(20)
    assert load[COVERAGE] * 75 == pytest.approx(20 * 75 / 925)
    assert load[MID] * 850 == pytest.approx(20 * 850 / 925)


def test_a_coverage_layer_alone_takes_no_more_than_it_has() -> None:
    load, placed = carried([SYMBOL, DORMANT, DORMANT], [0.2, 0.05, 0.05])
    assert load[COVERAGE] == pytest.approx(1)
    assert placed.sum() * 1000 == pytest.approx(0.8 * 75)


def test_a_candidate_takes_no_more_than_it_reaches_and_the_others_take_the_rest() -> None:
    clusters = make_clusters(2, overlap_next=0.25, most_states=10_000)
    groups, n = clusters.network.groups, 6
    assert clusters.network.n_groups == 1
    load, room, placed = np.empty(n), np.empty(n), np.zeros((n, n))
    levels = np.array([SYMBOL, SYMBOL, DORMANT, SYMBOL, SYMBOL, SYMBOL])
    offered = np.array([0.9, 0.99, 0.03, 0.1, 0.1, 0.1], np.float32)
    matrix = local_candidates(groups.member, groups)
    share_out(clusters.tables, groups.model, matrix, offered, levels, load, room, placed)
    assert placed[2, 3] == pytest.approx(0.25 * 0.03)  # by room it would take most
    assert placed[2].sum() == pytest.approx(0.0075 + 0.0075 + 0.0085)  # the others are full


@pytest.mark.parametrize("seed", range(6))
def test_no_plan_of_a_sector_beats_ours(seed: int) -> None:
    clusters, forecast = make_clusters(1), belief(1, seed, 2)
    clusters.planner.plan(clusters.view(forecast, np.full(3, SYMBOL, np.uint8)))
    exact = cheapest(*priced_states(clusters, forecast))
    assert clusters.planner.planned == pytest.approx(exact, rel=1e-6)


@pytest.mark.parametrize("seed", range(4))
def test_the_stated_bound_of_a_cut_group_is_below_the_exact_plan_of_the_whole(seed: int) -> None:
    forecast = belief(2, seed, 1)
    cut = make_clusters(2, overlap_next=0.5)
    whole = make_clusters(2, overlap_next=0.5, most_states=10_000)
    assert cut.network.too_large == (6,)
    assert [len(g) for g in np.split(cut.network.groups.member, cut.network.groups.group_start[1:-1])] == [
        3,
        3,
    ]
    cut.planner.plan(cut.view(forecast, np.full(6, SYMBOL, np.uint8)))
    exact = cheapest(*priced_states(whole, forecast))
    lone = cut.planner.planned - cut.planner.gap.planned  # of the part that lost no candidate
    assert cut.planner.gap.bound + lone <= exact * (1 + 1e-9)
    assert cut.planner.gap.ratio is not None
    assert cut.planner.gap.ratio >= 0


def test_parts_of_a_cut_group_are_those_that_share_their_candidates() -> None:
    network = make_clusters(5, overlap_next=0.5).network
    parts = np.split(network.groups.member, network.groups.group_start[1:-1])
    assert [p.tolist() for p in parts] == [[3 * k, 3 * k + 1, 3 * k + 2] for k in range(5)]
    assert network.beyond.source.tolist() == [1, 2, 4, 5, 7, 8, 10, 11]
    assert network.is_capacity.tolist() == [False, True, True] * 5


def test_no_more_escapes_a_part_than_the_next_reaches_and_has_room_for() -> None:
    clusters = make_clusters(2, overlap_next=0.5)
    log_median, log_sd = np.log(np.full((6, 2), 0.1)), np.full((6, 2), 1e-9)
    log_median[3, 1] = np.log(0.8)
    escape = clusters.planner.gap._escape(log_median, log_sd)
    np.testing.assert_allclose(escape[:, 0], [0, 0.5 * 0.085, 0.5 * 0.1, 0, 0, 0])
    np.testing.assert_allclose(escape[1:3, 1], 0.2 * 0.075)


def cheapest_alone(
    tables: Tables, levels: list[int], now: int, log_median: Any, log_sd: Any, prices: Any
) -> float:
    """Price of the best plan of a cell of its own that the guard loop watches, by trying all plans."""
    risk, least_margin, change = prices
    limit = target_load(tables)
    allowed, price = np.isin(np.arange(len(tables.asleep)), levels), []
    for m, sd in zip(log_median, log_sd, strict=True):
        of_level = np.zeros(len(allowed))
        watched_prices(tables, limit, 0, allowed, m, sd, risk, least_margin, log_sd[0], 1.0, of_level)
        price.append(of_level[levels])
    return min(
        sum(price[h][lv] for h, lv in enumerate(plan))
        + change
        * sum(levels[a] != b for a, b in zip(plan, [now, *(levels[lv] for lv in plan)], strict=False))
        for plan in product(range(len(levels)), repeat=len(log_median))
    )


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_while_all_are_on_air_a_watched_group_is_planned_as_its_cells_alone(
    small_network: Any, tables: Tables, profile: Profile, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    log_median = rng.normal(np.log(0.2), 1, (3, 3)).clip(-8, -0.05)
    forecast = Forecast(log_median, rng.uniform(0.05, 0.6, (3, 3)), np.ones(3, bool))
    level = rng.integers(1, 5, 3).astype(np.uint8)
    unknown = np.full((3, 15), np.nan, np.float32)
    view = View(0, 900, level, np.zeros(3, np.int64), unknown, forecast, Allowance(np.inf, 0.01))
    settled = profile.predictive.model_copy(update={"caution": 0.0})
    network = small_network(3, {1: (0, 2), 2: (0, 1)})  # measured for too short a time to leave the air
    planner = PredictivePlanner(network, tables, settled, samples_per_tick=15, watched=True)
    planner.plan(view)
    idle = float(tables.power[0, SYMBOL, 0])
    least_margin = NormalDist().inv_cdf(1 - settled.epsilon)
    prices = (
        settled.risk_price * settled.group_risk * idle,
        least_margin,
        settled.change_price * idle * settled.group_change,
    )
    alone = sum(
        cheapest_alone(tables, [1, 2, 3, 4], int(level[k]), log_median[k], forecast.log_sd[k], prices)
        for k in range(3)
    )
    assert planner.planned == pytest.approx(alone, rel=1e-9)
