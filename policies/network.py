"""The cells as the engine sees them: arrays of models, allowed levels, candidates and independent groups.

A group is a connected component of the candidate graph: what one of its cells does can only touch cells of
the same group. Most groups are single cells.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from hw.sharing import Groups
from hw.world import World
from policies.cutting import cut_groups, tie_strength

MAX_JOINT_STATES = 2048  # a group with more joint levels is cut into parts


class Beyond(NamedTuple):
    """Ties between cells of different parts of a group that was cut. e ties."""

    source: NDArray[np.int32]  # (e,) cell that may sleep
    candidate: NDArray[np.int32]  # (e,) cell that could carry its traffic, were it not of another part
    overlap: NDArray[np.float32]  # (e,) share of the traffic that it reaches [ratio]


NOTHING_BEYOND = Beyond(np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros(0, np.float32))


@dataclass(frozen=True, slots=True)
class Network:
    """Cells and groups. n cells, L levels of the world."""

    groups: Groups
    allowed: NDArray[np.bool_]  # (n, L) levels that the cell may use
    is_capacity: NDArray[np.bool_]  # (n,)
    anchor: NDArray[np.int32]  # (n,) LTE cell under which a 5G leg is served, -1 none
    beyond: Beyond  # candidates that cells which may sleep lost to a cut
    too_large: tuple[int, ...] = ()  # sizes of groups that were cut into parts

    @property
    def n_cells(self) -> int:
        """Number of cells."""
        return len(self.groups.model)

    @property
    def n_groups(self) -> int:
        """Number of independent groups."""
        return len(self.groups.group_start) - 1

    @property
    def group_of(self) -> NDArray[np.intp]:
        """Group of each cell. (n,)"""
        found = np.empty(self.n_cells, np.intp)
        sizes = np.diff(self.groups.group_start)
        found[self.groups.member] = np.repeat(np.arange(self.n_groups), sizes)
        return found

    @property
    def coupled(self) -> NDArray[np.intp]:
        """Indices of the groups of several cells."""
        return np.flatnonzero(np.diff(self.groups.group_start) > 1)

    @property
    def single(self) -> NDArray[np.int32]:
        """Cells that form a group of their own."""
        alone = np.diff(self.groups.group_start) == 1
        return np.asarray(self.groups.member[self.groups.group_start[:-1][alone]])

    def legs_above(self, level: NDArray[np.uint8], asleep: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """True for anchors off air that would rest deeper than a cell they anchor. (n,)

        A leg that wakes finds its anchor on air, as a level is never slower to wake than a deeper one.
        """
        legs = np.flatnonzero(self.anchor >= 0)
        anchors = self.anchor[legs]
        found = np.zeros(self.n_cells, np.bool_)
        found[anchors[asleep[level[anchors]] & (level[legs] < level[anchors])]] = True
        return found


def build_network(
    world: World,
    model: NDArray[np.int32],
    is_capacity: NDArray[np.bool_],
    candidate_start: NDArray[np.int32],
    candidate: NDArray[np.int32],
    *,
    overlap: NDArray[np.float32] | None = None,
    anchor: NDArray[np.int32] | None = None,
) -> Network:
    """Derive allowed levels and groups.

    A coverage cell may use every level on air, a capacity cell with candidates every level of its model; an anchor
    only if all cells that it anchors may leave the air too. A group whose joint levels exceed ``MAX_JOINT_STATES``
    is cut into parts; a cell without a candidate in its part stays on air.

    Parameters
    ----------
    overlap : share of the cell's traffic that each candidate reaches; all of it by default. Shape of ``candidate``.
    anchor : LTE cell under which each cell is served, -1 none. (n,)
    """
    n = len(model)
    source = np.repeat(np.arange(n), np.diff(candidate_start))
    reached = np.ones(len(candidate), np.float32) if overlap is None else overlap
    anchors = np.full(n, -1, np.int32) if anchor is None else anchor
    may_sleep = _beside_legs(is_capacity & (np.diff(candidate_start) > 0), anchors)
    allowed = world.has_level[model] & (~world.asleep[None, :] | may_sleep[:, None])
    part, sizes = _parts(allowed, source, candidate, reached, anchors)
    keep = part[source] == part[candidate]
    with_candidate = np.bincount(source[keep], minlength=n) > 0
    legs = np.flatnonzero(anchors >= 0)
    torn = anchors[legs[part[legs] != part[anchors[legs]]]]  # anchors without their legs in the part
    stays = np.zeros(n, np.bool_)
    stays[torn] = True
    may_sleep = _beside_legs(may_sleep & with_candidate & ~stays, anchors)
    allowed &= ~world.asleep[None, :] | may_sleep[:, None]
    # candidates and anchors only couple cells where somebody may sleep
    coupled = np.asarray(allowed[:, world.asleep].any(1))
    lost = ~keep & coupled[source]
    beyond = Beyond(source[lost].astype(np.int32), candidate[lost], reached[lost])
    keep &= coupled[source]
    legs = legs[coupled[anchors[legs]]]
    label = _groups(n, np.concatenate([source[keep], legs]), np.concatenate([candidate[keep], anchors[legs]]))
    member = np.argsort(label, kind="stable").astype(np.int32)
    group_start = np.concatenate([[0], np.cumsum(np.bincount(label))]).astype(np.int32)
    kept_start = np.concatenate([[0], np.cumsum(np.bincount(source[keep], minlength=n))])
    groups = Groups(
        model=model,
        candidate_start=kept_start.astype(np.int32),
        candidate=np.ascontiguousarray(candidate[keep], np.int32),
        group_start=group_start,
        member=member,
        overlap=np.ascontiguousarray(reached[keep], np.float32),
    )
    return Network(groups, allowed, may_sleep, anchors, beyond, sizes)


def _beside_legs(may_sleep: NDArray[np.bool_], anchor: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Of the cells that may sleep, those that anchor nobody who never does. (n,)"""
    always_on = np.zeros(len(anchor), np.bool_)
    always_on[anchor[(anchor >= 0) & ~may_sleep]] = True
    return np.asarray(may_sleep & ~always_on)


def _parts(
    allowed: NDArray[np.bool_],
    source: NDArray[np.intp],
    candidate: NDArray[np.int32],
    overlap: NDArray[np.float32],
    anchor: NDArray[np.int32],
) -> tuple[NDArray[np.int32], tuple[int, ...]]:
    """Cells that are planned together, and the sizes of the groups that had to be cut for it."""
    n = len(allowed)
    legs = np.flatnonzero(anchor >= 0)
    rows, columns = np.concatenate([source, legs]), np.concatenate([candidate, anchor[legs]])
    part = _groups(n, rows, columns)
    joint_log = np.log(np.maximum(allowed[:, 1:].sum(1), 1))
    size = np.bincount(part)
    large = (np.bincount(part, joint_log) > np.log(MAX_JOINT_STATES) + 1e-9) & (size > 1)
    if large.any():
        strength = np.concatenate([tie_strength(n, source, candidate, overlap), np.full(len(legs), 2.0)])
        within = large[part[rows]]
        cells = large[part]
        parted = cut_groups(
            joint_log, rows[within], columns[within], strength[within], np.log(MAX_JOINT_STATES) + 1e-9
        )
        part = np.where(cells, n + parted, part).astype(np.int32)
    return part, tuple(int(s) for s in size[large])


def _groups(n: int, source: NDArray[np.intp], target: NDArray[np.int32]) -> NDArray[np.int32]:
    """Connected components, numbered in the order of their first cell. (n,)"""
    graph = coo_array((np.ones(len(source), np.int8), (source, target)), shape=(n, n))
    _, label = connected_components(graph, directed=False)
    _, first = np.unique(label, return_index=True)
    rank = np.argsort(np.argsort(first))
    return np.asarray(rank[label], np.int32)
