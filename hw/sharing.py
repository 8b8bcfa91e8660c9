"""Cells that can serve each other's traffic: groups, their candidates, and where traffic lands.

Traffic is conserved. What a cell off air would have carried lands on those of its candidates that are on air,
in proportion to their room; what finds no room is unserved. Cells hand over in the order of the group: who
comes later finds less room.
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


@njit(cache=True)
def local_candidates(members, candidate_start, candidate):  # type: ignore[no-untyped-def]
    """Candidate matrix of a group in local numbers. (members, members) bool."""
    n = len(members)
    matrix = np.zeros((n, n), np.bool_)
    for k in range(n):
        for c in range(candidate_start[members[k]], candidate_start[members[k] + 1]):
            for other in range(n):
                if members[other] == candidate[c]:
                    matrix[k, other] = True
    return matrix


@njit(cache=True)
def share_out(tables, models, matrix, offered, service_level, load, room, placed):  # type: ignore[no-untyped-def]
    """Where the traffic of one sample of a group lands.

    Writes the traffic each cell carries into ``load`` and what cell k hands to cell c into ``placed[k, c]``.
    A cell whose ``offered`` is NaN carries and takes nothing.
    """
    n = len(offered)
    for k in range(n):
        level = service_level[k]
        load[k], room[k] = 0.0, 0.0
        if not np.isnan(offered[k]) and not tables.asleep[level]:
            load[k] = min(offered[k], tables.capacity[models[k], level])
            room[k] = tables.capacity[models[k], level] - load[k]
    for k in range(n):
        if np.isnan(offered[k]) or not tables.asleep[service_level[k]]:
            continue
        total = 0.0
        for c in range(n):
            if matrix[k, c]:
                total += room[c]
        share = min(offered[k] / total, 1.0) if total > 0 else 0.0
        for c in range(n):
            placed[k, c] = room[c] * share if matrix[k, c] else 0.0
            load[c] += placed[k, c]
            room[c] -= placed[k, c]
