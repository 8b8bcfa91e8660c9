"""The cells as the engine sees them: arrays of models, allowed levels, candidates and independent groups.

A group is a connected component of the candidate graph: what one of its cells does can only touch cells of
the same group. Most groups are single cells.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from hw.sharing import Groups
from hw.world import World

MAX_JOINT_STATES = 2048  # a group with more joint levels keeps its cells on air


@dataclass(frozen=True, slots=True)
class Network:
    """Cells and groups. n cells, L levels of the world."""

    groups: Groups
    allowed: NDArray[np.bool_]  # (n, L) levels that the cell may use
    is_capacity: NDArray[np.bool_]  # (n,)
    too_large: tuple[int, ...] = ()  # sizes of groups whose cells were kept on air

    @property
    def n_cells(self) -> int:
        """Number of cells."""
        return len(self.groups.model)

    @property
    def n_groups(self) -> int:
        """Number of independent groups."""
        return len(self.groups.group_start) - 1

    @property
    def coupled(self) -> NDArray[np.intp]:
        """Indices of the groups of several cells."""
        return np.flatnonzero(np.diff(self.groups.group_start) > 1)

    @property
    def single(self) -> NDArray[np.int32]:
        """Cells that form a group of their own."""
        alone = np.diff(self.groups.group_start) == 1
        return np.asarray(self.groups.member[self.groups.group_start[:-1][alone]])


def build_network(
    world: World,
    model: NDArray[np.int32],
    is_capacity: NDArray[np.bool_],
    candidate_start: NDArray[np.int32],
    candidate: NDArray[np.int32],
) -> Network:
    """Derive allowed levels and groups.

    A coverage cell may use every level on air, a capacity cell with candidates every level of its model. In a
    group whose joint levels exceed ``MAX_JOINT_STATES`` no cell may leave the air; it falls apart into single
    cells.
    """
    n = len(model)
    has_candidates = np.diff(candidate_start) > 0
    may_sleep = np.asarray(is_capacity & has_candidates)
    allowed = world.has_level[model] & (~world.asleep[None, :] | may_sleep[:, None])
    source = np.repeat(np.arange(n), np.diff(candidate_start))
    label = _groups(n, source, candidate)
    levels = np.maximum(allowed[:, 1:].sum(1), 1)
    joint_log = np.bincount(label, np.log(levels))
    size = np.bincount(label)
    large = (joint_log > np.log(MAX_JOINT_STATES)) & (size > 1)
    if large.any():
        allowed &= ~(large[label][:, None] & world.asleep[None, :])
    # candidates only couple cells where somebody may sleep
    coupled = np.asarray(allowed[:, world.asleep].any(1))
    keep = coupled[source]
    label = _groups(n, source[keep], candidate[keep])
    member = np.argsort(label, kind="stable").astype(np.int32)
    group_start = np.concatenate([[0], np.cumsum(np.bincount(label))]).astype(np.int32)
    kept_start = np.concatenate([[0], np.cumsum(np.where(coupled, np.diff(candidate_start), 0))])
    groups = Groups(
        model=model,
        candidate_start=kept_start.astype(np.int32),
        candidate=np.ascontiguousarray(candidate[keep], np.int32),
        group_start=group_start,
        member=member,
    )
    return Network(groups, allowed, may_sleep, tuple(int(s) for s in size[large]))


def _groups(n: int, source: NDArray[np.intp], target: NDArray[np.int32]) -> NDArray[np.int32]:
    """Connected components, numbered in the order of their first cell. (n,)"""
    graph = coo_array((np.ones(len(source), np.int8), (source, target)), shape=(n, n))
    _, label = connected_components(graph, directed=False)
    _, first = np.unique(label, return_index=True)
    rank = np.argsort(np.argsort(first))
    return np.asarray(rank[label], np.int32)
