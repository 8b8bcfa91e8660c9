"""Which levels a cell may use, and which cells are planned together."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.worlds import EvaluatedWorld
from policies.network import MAX_JOINT_STATES, Network, build_network

BuildNetwork = Callable[[int, Mapping[int, tuple[int, ...]]], Network]


def groups_of(network: Network) -> list[list[int]]:
    start, member = network.groups.group_start, network.groups.member
    return [member[a:b].tolist() for a, b in pairwise(start)]


def candidates_of(network: Network) -> dict[int, list[int]]:
    start, candidate = network.groups.candidate_start, network.groups.candidate
    found = {i: candidate[start[i] : start[i + 1]].tolist() for i in range(network.n_cells)}
    return {i: own for i, own in found.items() if own}


def naive_groups(n: int, candidates: Mapping[int, tuple[int, ...]]) -> list[list[int]]:
    """Connected components, by merging sets."""
    groups = [{i} for i in range(n)]
    for i, others in candidates.items():
        for other in others:
            one, two = (next(g for g in groups if c in g) for c in (i, other))
            if one is not two:
                groups.remove(two)
                one |= two
    return sorted(sorted(g) for g in groups)


topologies = st.integers(1, 7).flatmap(
    lambda n: st.tuples(
        st.just(n),
        st.dictionaries(
            st.integers(0, n - 1),
            st.lists(st.integers(0, n - 1), min_size=1, max_size=2, unique=True),
            max_size=3,
        ),
    )
)


@settings(max_examples=80)
@given(topology=topologies)
def test_groups_are_what_candidates_tie_together(
    world: EvaluatedWorld, topology: tuple[int, dict[int, list[int]]]
) -> None:
    n, drawn = topology
    candidates = {i: tuple(c for c in own if c != i) for i, own in sorted(drawn.items())}
    candidates = {i: own for i, own in candidates.items() if own}
    few_levels = replace(
        world.world, has_level=np.isin(np.arange(7), [0, 1, 5])[None]
    )  # no group is too large
    network = build_network(
        few_levels,
        np.zeros(n, np.int32),
        np.array([i in candidates for i in range(n)]),
        np.cumsum([0, *(len(candidates.get(i, ())) for i in range(n))]).astype(np.int32),
        np.array([c for own in candidates.values() for c in own], np.int32),
    )
    assert groups_of(network) == naive_groups(n, candidates)
    assert candidates_of(network) == {i: list(own) for i, own in candidates.items()}
    for i in range(n):
        assert np.flatnonzero(network.allowed[i]).tolist() == [0, 1, 5][: 3 if i in candidates else 2]
    assert network.single.tolist() == [g[0] for g in groups_of(network) if len(g) == 1]
    assert network.coupled.tolist() == [k for k, g in enumerate(groups_of(network)) if len(g) > 1]
    assert network.too_large == ()


def test_a_coverage_cell_stays_on_air_whatever_overlaps_it(world: EvaluatedWorld) -> None:
    is_capacity = np.array([False, True, True, False])
    network = build_network(
        world.world,
        np.zeros(4, np.int32),
        is_capacity,
        np.array([0, 1, 2, 2, 2], np.int32),  # 0 overlapped by 1, 1 by 3; 2 is of capacity without candidates
        np.array([1, 3], np.int32),
    )
    off_air = network.allowed[:, world.world.asleep].any(1)
    assert off_air.tolist() == [False, True, False, False]
    assert network.is_capacity.tolist() == off_air.tolist()
    # what ties a coverage cell to another plays no part, since it never hands over
    assert groups_of(network) == [[0], [1, 3], [2]]
    assert candidates_of(network) == {1: [3]}


def test_a_level_that_the_hardware_lacks_is_not_allowed(world: EvaluatedWorld) -> None:
    has_level = world.world.has_level.copy()
    has_level[0, [3, 6]] = False
    lacking = replace(world.world, has_level=has_level)
    network = build_network(
        lacking,
        np.zeros(2, np.int32),
        np.array([True, False]),
        np.array([0, 1, 1], np.int32),
        np.array([1], np.int32),
    )
    assert np.flatnonzero(network.allowed[0]).tolist() == [0, 1, 2, 4, 5]
    assert np.flatnonzero(network.allowed[1]).tolist() == [0, 1, 2, 4]


@pytest.mark.parametrize("n_capacity", [3, 4])
def test_a_group_too_large_to_plan_is_cut(small_network: BuildNetwork, n_capacity: int) -> None:
    # 6 levels of each capacity cell and 4 of the coverage cell; beside it a small group and a single cell
    n = n_capacity + 4
    coverage = n_capacity
    candidates = dict.fromkeys(range(n_capacity), (coverage,)) | {n - 2: (n - 1,)}
    network = small_network(n, candidates)
    fits = 6**n_capacity * 4 <= MAX_JOINT_STATES
    assert fits == (n_capacity == 3)
    assert network.too_large == (() if fits else (n_capacity + 1,))
    # the last capacity cell finds no room beside the coverage cell, so it stays on air
    together = [[0, 1, 2, 3]] if fits else [[0, 1, 2, coverage], [3]]
    assert groups_of(network) == [*together, [coverage + 1], [n - 2, n - 1]]
    assert network.allowed[:n_capacity, 5:].all(1).tolist() == [True, True, True, False][:n_capacity]
    assert not len(network.beyond.source)  # a cell that lost all its candidates never sleeps
    assert network.allowed[:, :5].all()
    assert network.allowed[n - 2, 5:].all()


def test_a_network_without_candidates(small_network: BuildNetwork) -> None:
    network = small_network(3, {})
    assert groups_of(network) == [[0], [1], [2]]
    assert network.n_cells == network.n_groups == 3
    assert len(network.coupled) == 0
