"""Groups of cells that can be replayed on their own."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from traces.trace import Cells


def independent_groups(cells: Cells) -> NDArray[np.int32]:
    """Number of the group of each cell, shape (n_cells,), counted from 0 by the group's first cell.

    Two cells are in one group if they share a site, or if one is a candidate or the anchor of the other, also across
    others.
    """
    n = len(cells)
    of_candidate = np.repeat(np.arange(n), np.diff(cells.candidate_start))
    _, first_of_site, site = np.unique(cells.site_id, return_index=True, return_inverse=True)
    legs = np.flatnonzero(cells.anchor >= 0)
    rows = np.concatenate([of_candidate, np.arange(n), legs])
    columns = np.concatenate([cells.candidate, first_of_site[site], cells.anchor[legs]])
    _, label = connected_components(
        coo_array((np.ones(len(rows)), (rows, columns)), shape=(n, n)), directed=False
    )
    _, first, label = np.unique(label, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[label].astype(np.int32)


def pack_groups(group: NDArray[np.int32], max_cells: int) -> Iterator[NDArray[np.intp]]:
    """Cells of whole groups, ascending, at most ``max_cells`` at a time unless one group is larger."""
    sizes = np.bincount(group)
    by_group = np.split(np.argsort(group, kind="stable"), np.cumsum(sizes)[:-1])
    pending: list[NDArray[np.intp]] = []
    n_pending = 0
    for members in by_group:
        if pending and n_pending + len(members) > max_cells:
            yield np.sort(np.concatenate(pending))
            pending, n_pending = [], 0
        pending.append(members)
        n_pending += len(members)
    yield np.sort(np.concatenate(pending))
