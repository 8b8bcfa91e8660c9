"""Joint levels of groups: what the cells of one group can do together, as one flat list of states."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from policies.network import Network


class States(NamedTuple):
    """Joint states of all groups, for kernels. g groups.

    State ``s`` of group k, cell j of the group: ``levels[level_start[k] + s * n_k + j]``. The first state is
    all awake. ``radix`` and ``stride`` walk along one cell's levels: neighbours of s along cell j differ by
    ``stride[cell_start[k] + j]``. ``service_as`` is the state of the group with the same service, in which
    each cell off air is at the first of its levels off air; -1 where all cells are on air.
    """

    n_states: NDArray[np.int32]  # (g,)
    level_start: NDArray[np.int64]  # (g,)
    levels: NDArray[np.uint8]  # flat
    cell_start: NDArray[np.int64]  # (g,) offset into radix and stride
    radix: NDArray[np.int32]  # number of levels of each member
    stride: NDArray[np.int32]
    state_start: NDArray[np.int64]  # (g + 1,) offset of a group's states in arrays with one entry per state
    service_as: NDArray[np.int32]  # (all states,)
    forbidden: NDArray[np.bool_]  # (all states,) an anchor would rest deeper than a leg of its


@dataclass(frozen=True, slots=True)
class _Pattern:
    levels: NDArray[np.uint8]  # (S, members)
    radix: tuple[int, ...]
    stride: tuple[int, ...]
    service_as: NDArray[np.int32]
    forbidden: NDArray[np.bool_]


def joint_states(network: Network, asleep: NDArray[np.bool_]) -> States:
    """Enumerate the joint levels of every group; ``full`` is left out, symbol shutdown costs no service.

    ``asleep`` (L,) marks the levels off air.
    """
    allowed = network.allowed.copy()
    allowed[:, 0] = False
    start, member = network.groups.group_start, network.groups.member
    known: dict[bytes, _Pattern] = {}
    patterns: list[_Pattern] = []
    for k in range(network.n_groups):
        members = member[start[k] : start[k + 1]]
        rows = allowed[members]
        anchor = _local(network.anchor, members)
        key = rows.tobytes() + anchor.tobytes()
        if key not in known:
            known[key] = _enumerate(rows, asleep, anchor)
        patterns.append(known[key])
    counts = np.array([len(p.levels) for p in patterns], np.int64)
    sizes = np.array([p.levels.size for p in patterns], np.int64)
    members = np.array([len(p.radix) for p in patterns], np.int64)
    return States(
        n_states=counts.astype(np.int32),
        level_start=np.concatenate([[0], np.cumsum(sizes)[:-1]]),
        levels=np.concatenate([p.levels.ravel() for p in patterns]),
        cell_start=np.concatenate([[0], np.cumsum(members)[:-1]]),
        radix=np.concatenate([np.array(p.radix, np.int32) for p in patterns]),
        stride=np.concatenate([np.array(p.stride, np.int32) for p in patterns]),
        state_start=np.concatenate([[0], np.cumsum(counts)]),
        service_as=np.concatenate([p.service_as for p in patterns]),
        forbidden=np.concatenate([p.forbidden for p in patterns]),
    )


def _local(anchor: NDArray[np.int32], members: NDArray[np.int32]) -> NDArray[np.int32]:
    """Place of each member's anchor among the members, -1 where it is none of them. (members,)"""
    same = anchor[members][:, None] == members[None, :]
    return np.where(same.any(1), same.argmax(1), -1).astype(np.int32)


def _enumerate(allowed: NDArray[np.bool_], asleep: NDArray[np.bool_], anchor: NDArray[np.int32]) -> _Pattern:
    choices = [np.flatnonzero(row) for row in allowed]
    radix = tuple(len(c) for c in choices)
    stride = tuple(int(np.prod(radix[j + 1 :], dtype=np.int64)) for j in range(len(radix)))
    levels = np.array(list(product(*choices)), np.uint8)
    first_off = [next((i for i, level in enumerate(c) if asleep[level]), len(c)) for c in choices]
    steps = np.array(list(product(*(range(r) for r in radix))), np.int64)
    service_as = (np.minimum(steps, first_off) * np.array(stride)).sum(1)
    service_as[~asleep[levels].any(1)] = -1
    forbidden = np.zeros(len(levels), np.bool_)
    for leg in np.flatnonzero(anchor >= 0):
        of_anchor = levels[:, anchor[leg]]
        forbidden |= asleep[of_anchor] & (levels[:, leg] < of_anchor)
    return _Pattern(levels, radix, stride, service_as.astype(np.int32), forbidden)


@njit(inline="always")
def hamming(levels, base, other, n):  # type: ignore[no-untyped-def]
    """Number of cells whose level differs between two states that begin at ``base`` and ``other``."""
    differ = 0
    for j in range(n):
        if levels[base + j] != levels[other + j]:
            differ += 1
    return differ


@njit(cache=True)
def relax_changes(cost, radix, stride, price):  # type: ignore[no-untyped-def]
    """Cheapest of ``cost`` over all states when each changed cell costs ``price``, in place. Shape (S,).

    The charge is a sum over cells, so one pass along each cell's levels is exact.
    """
    for j in range(len(radix)):
        step, block = stride[j], stride[j] * radix[j]
        for first in range(0, len(cost), block):
            for s in range(first, first + step):
                least = cost[s]
                for at in range(s + step, s + block, step):
                    least = min(least, cost[at])
                for at in range(s, s + block, step):
                    cost[at] = min(cost[at], least + price)


@njit(inline="always")
def state_of(levels, n_states, members, now):  # type: ignore[no-untyped-def]
    """Number of the joint state that a group is in; all awake where it is none of them."""
    n = len(members)
    for s in range(n_states):
        same = True
        for j in range(n):
            same = same and levels[s * n + j] == now[members[j]]
        if same:
            return s
    return 0
