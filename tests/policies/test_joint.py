"""Joint levels of groups: every combination once, and what can be said about its neighbours and its service."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hw.sharing import Groups
from policies.joint import States, hamming, joint_states, relax_changes, state_of
from policies.network import NOTHING_BEYOND, Network

ASLEEP = np.array([False, False, False, True, True])


def states_of(allowed: NDArray[np.bool_], sizes: list[int]) -> States:
    n = len(allowed)
    groups = Groups(
        np.zeros(n, np.int32),
        np.zeros(n + 1, np.int32),
        np.zeros(0, np.int32),
        np.cumsum([0, *sizes]).astype(np.int32),
        np.arange(n, dtype=np.int32),
        np.zeros(0, np.float32),
    )
    return joint_states(
        Network(groups, allowed, allowed[:, ASLEEP].any(1), np.full(n, -1, np.int32), NOTHING_BEYOND),
        ASLEEP,
    )


def levels_of_group(states: States, g: int, n: int) -> NDArray[np.uint8]:
    first = states.level_start[g]
    return states.levels[first : first + states.n_states[g] * n].reshape(-1, n)


allowed_rows = st.lists(
    st.lists(st.booleans(), min_size=3, max_size=3).map(lambda deeper: [True, True, *deeper]),
    min_size=1,
    max_size=6,
).map(lambda rows: np.array(rows, np.bool_))


@settings(max_examples=60)
@given(allowed=allowed_rows, data=st.data())
def test_every_joint_level_once(allowed: NDArray[np.bool_], data: st.DataObject) -> None:
    sizes = []
    while sum(sizes) < len(allowed):
        sizes.append(data.draw(st.integers(1, min(3, len(allowed) - sum(sizes)))))
    states = states_of(allowed, sizes)
    assert states.state_start.tolist() == [0, *np.cumsum(states.n_states)]
    first = 0
    for g, n in enumerate(sizes):
        rows = allowed[first : first + n]
        levels = levels_of_group(states, g, n)
        choices = [[level for level in range(1, 5) if row[level]] for row in rows]
        assert sorted(map(tuple, levels.tolist())) == sorted(product(*choices))
        assert (levels[0] == 1).all()
        assert states.cell_start[g] == first
        radix, stride = states.radix[first : first + n], states.stride[first : first + n]
        assert radix.tolist() == [len(c) for c in choices]
        for j in range(n):
            for s in range(len(levels)):
                digit = (s // stride[j]) % radix[j]
                assert levels[s, j] == choices[j][digit]
                if digit + 1 < radix[j]:
                    assert (levels[s + stride[j]] != levels[s]).tolist() == [k == j for k in range(n)]
        check_service(states, g, levels)
        first += n


def check_service(states: States, g: int, levels: NDArray[np.uint8]) -> None:
    """States with the same cells off air and the same levels on air have the same service."""
    service_as = states.service_as[states.state_start[g] : states.state_start[g + 1]]
    seen: dict[tuple[int, ...], int] = {}
    for s, row in enumerate(levels):
        served = tuple(-1 if ASLEEP[level] else int(level) for level in row)
        if -1 not in served:
            assert service_as[s] == -1
        else:
            assert service_as[s] == seen.setdefault(served, s)


def test_groups_with_the_same_choices_share_nothing_they_could_spoil() -> None:
    allowed = np.array([[True, True, False, True, False], [True, True, True, False, False]] * 3)
    states = states_of(allowed, [2, 2, 2])
    np.testing.assert_array_equal(levels_of_group(states, 0, 2), levels_of_group(states, 2, 2))
    assert states.level_start.tolist() == [0, 8, 16]
    assert states.n_states.tolist() == [4, 4, 4]


@pytest.mark.kernel
@settings(max_examples=60)
@given(
    radix=st.lists(st.integers(1, 4), min_size=1, max_size=3),
    price=st.sampled_from([0.0, 0.3, 5.0, np.inf]),
    seed=st.integers(0, 2**32 - 1),
)
def test_relaxing_gives_the_cheapest_way_of_changing_cells(radix: list[int], price: float, seed: int) -> None:
    states = list(product(*(range(r) for r in radix)))
    stride = [int(np.prod(radix[j + 1 :])) for j in range(len(radix))]
    cost = np.random.default_rng(seed).uniform(0, 3, len(states))
    expected = []
    for before in states:
        changed = [sum(a != b for a, b in zip(before, after, strict=True)) for after in states]
        expected.append(min(c + (k * price if k else 0.0) for c, k in zip(cost, changed, strict=True)))
    relax_changes(cost, np.array(radix, np.int32), np.array(stride, np.int32), price)
    np.testing.assert_allclose(cost, expected, rtol=1e-12)


@pytest.mark.kernel
def test_changed_cells_are_counted() -> None:
    levels = np.array([1, 1, 1, 1, 2, 3, 2, 2, 3], np.uint8)
    assert hamming(levels, 0, 0, 3) == 0
    assert hamming(levels, 0, 3, 3) == 2
    assert hamming(levels, 3, 6, 3) == 1
    assert hamming(levels, 0, 6, 3) == 3


@pytest.mark.kernel
def test_a_group_is_found_in_its_state_or_awake() -> None:
    states = states_of(np.array([[1, 1, 1, 1, 0], [1, 1, 0, 1, 1]], bool), [2])
    levels, count = levels_of_group(states, 0, 2), int(states.n_states[0])
    members = np.array([2, 0], np.int32)
    for wanted in product(range(5), repeat=2):
        now = np.array([wanted[1], 9, wanted[0]], np.uint8)
        where = [s for s in range(count) if tuple(levels[s]) == wanted]
        assert state_of(levels.ravel(), count, members, now) == (where[0] if where else 0)
