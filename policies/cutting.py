"""Cuts groups that are too large to plan jointly into parts, along the candidates that matter least.

A cell that sleeps hands its traffic only to candidates of its own part, so the parts are independent and each is
planned exactly. What that costs at most is bounded, see policies/bounds.py.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def cut_groups(
    joint_log: NDArray[np.float64],
    source: NDArray[np.intp],
    target: NDArray[np.int32],
    strength: NDArray[np.float64],
    most_log: float,
) -> NDArray[np.int32]:
    """Part of each cell, such that the levels of a part multiply to at most ``most_log``. (n,)

    Cells join along the strongest tie first, as long as the part stays small enough.

    Parameters
    ----------
    joint_log : logarithm of the number of levels of each cell. (n,)
    source, target, strength : the ties, each between two cells. (e,)
    """
    parent = np.arange(len(joint_log))
    size = joint_log.copy()

    def root(cell: int) -> int:
        while parent[cell] != cell:
            parent[cell] = parent[parent[cell]]
            cell = int(parent[cell])
        return cell

    for tie in np.lexsort((target, source, -strength)):
        one, other = root(int(source[tie])), root(int(target[tie]))
        if one != other and size[one] + size[other] <= most_log:
            parent[other] = one
            size[one] += size[other]
    return np.array([root(cell) for cell in range(len(parent))], np.int32)


def tie_strength(
    n: int, source: NDArray[np.intp], target: NDArray[np.int32], overlap: NDArray[np.float32]
) -> NDArray[np.float64]:
    """How much it would cost to part a cell from a candidate. (e,)

    First what the candidate can reach, then how many of the cell's other candidates know it as theirs too: the
    layers of one sector do, the cell of the next site does not.
    """
    ties = set(zip(source.tolist(), target.tolist(), strict=True))
    own: dict[int, list[int]] = {}
    for cell, candidate in ties:
        own.setdefault(cell, []).append(candidate)
    common = [
        sum((other, c) in ties or (c, other) in ties for other in own[s] if other != c)
        for s, c in zip(source.tolist(), target.tolist(), strict=True)
    ]
    return overlap + np.array(common, np.float64) / (n + 1)
