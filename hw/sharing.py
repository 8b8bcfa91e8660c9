"""Cells that can serve each other's traffic: groups, their candidates, and where traffic lands.

Traffic is conserved. What a cell off air would have carried lands on those of its candidates that are on air,
in proportion to their room and up to the share that each of them overlaps; what finds no room is unserved. Cells
hand over in the order of the group: who comes later finds less room. Loads are ratios of a cell's own full rate,
so what is handed over is converted by the sizes of the two cells.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray


class Groups(NamedTuple):
    """Independent groups and candidates, as ``policies.network`` derives them. n cells, g groups."""

    model: NDArray[np.int32]  # (n,) row of the world's tables
    candidate_start: NDArray[np.int32]  # (n + 1,)
    candidate: NDArray[np.int32]  # candidates of cell i: candidate[start[i]:start[i + 1]]
    group_start: NDArray[np.int32]  # (g + 1,)
    member: NDArray[np.int32]  # cells of group k: member[group_start[k]:group_start[k + 1]]
    overlap: NDArray[np.float32]  # of each candidate: share of the cell's traffic that it can reach [ratio]


@njit(cache=True)
def local_candidates(members, groups):  # type: ignore[no-untyped-def]
    """Overlap of each cell of a group with each of its candidates, 0 for no candidate. (members, members)"""
    n = len(members)
    matrix = np.zeros((n, n), np.float32)
    for k in range(n):
        for c in range(groups.candidate_start[members[k]], groups.candidate_start[members[k] + 1]):
            for other in range(n):
                if members[other] == groups.candidate[c]:
                    matrix[k, other] = groups.overlap[c]
    return matrix


@njit(cache=True)
def share_out(tables, models, matrix, offered, service_level, load, room, placed):  # type: ignore[no-untyped-def]
    """Where the traffic of one sample of a group lands.

    Writes the traffic each cell carries into ``load`` (ratio of its own full rate), and what cell k hands to cell c
    into ``placed[k, c]`` (ratio of the world's full rate). A cell whose ``offered`` is NaN carries and takes nothing.
    """
    n = len(offered)
    asleep, capacity, size = (
        tables.asleep,
        tables.capacity,
        tables.size,
    )  # in a branch numba would count references
    for k in range(n):
        level = service_level[k]
        load[k], room[k] = 0.0, 0.0
        if not np.isnan(offered[k]) and not asleep[level]:
            load[k] = min(offered[k], capacity[models[k], level])
            room[k] = capacity[models[k], level] - load[k]
    for k in range(n):
        if np.isnan(offered[k]) or not asleep[service_level[k]]:
            continue
        asked, total, fits = offered[k] * size[models[k]], 0.0, True
        for c in range(n):
            if matrix[k, c] > 0:
                total += room[c] * size[models[c]]
        share = min(asked / total, 1.0) if total > 0 else 0.0
        for c in range(n):
            placed[k, c] = room[c] * size[models[c]] * share if matrix[k, c] > 0 else 0.0
            fits &= matrix[k, c] >= 1 or placed[k, c] <= matrix[k, c] * asked
        if not fits:
            _place(tables, models, matrix, k, asked, room, placed)
        for c in range(n):
            load[c] += placed[k, c] / size[models[c]]
            room[c] -= placed[k, c] / size[models[c]]


@njit(cache=True)
def _place(tables, models, matrix, k, asked, room, placed):  # type: ignore[no-untyped-def]
    """Place what cell k is ``asked`` for where some candidate cannot reach its part by room: it takes what it can."""
    n, left = len(room), asked
    full = np.zeros(n, np.bool_)
    placed[k, :] = 0.0
    for _ in range(n):
        total, more = 0.0, False
        for c in range(n):
            if matrix[k, c] > 0 and not full[c]:
                total += room[c] * tables.size[models[c]]
        if total <= 0:
            return
        share = min(left / total, 1.0)
        for c in range(n):
            if matrix[k, c] <= 0 or full[c]:
                continue
            part = room[c] * tables.size[models[c]] * share
            if matrix[k, c] < 1 and part > matrix[k, c] * asked:
                placed[k, c], full[c], more = matrix[k, c] * asked, True, True
                left -= placed[k, c]
            else:
                placed[k, c] = part
        if not more:
            return
