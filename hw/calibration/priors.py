"""What hardware of one kind has in common: middle values along paths from general to specific.

A path names ever closer kinds, such as (product, configuration). The value of a path is the weighted median
of its members, drawn towards the value of the path above it while there are few of them. An unknown path
takes the value of the longest part of it that is known, at last that of the whole network.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from hw.calibration.measurements import Float64

Path = tuple[str, ...]

_STRENGTH = 1.5  # members' worth of weight that the path above has


def middle_values(values: Float64, weights: Float64, paths: Sequence[Path]) -> dict[Path, float]:
    """Middle value of every path and of every beginning of one, from members with a weight above zero."""
    members: dict[Path, list[int]] = {}
    for i, path in enumerate(paths):
        if weights[i] > 0:
            for depth in range(len(path) + 1):
                members.setdefault(path[:depth], []).append(i)
    found: dict[Path, float] = {}
    for path in sorted(members, key=len):
        own = np.array(members[path])
        middle, weight = weighted_median(values[own], weights[own]), weights[own].sum()
        # products differ in kind, so a product is not drawn to the network's middle
        strength = _STRENGTH if len(path) > 1 else 0.0
        found[path] = float((weight * middle + strength * found.get(path[:-1], 0.0)) / (weight + strength))
    return found


def look_up(found: Mapping[Path, float], path: Path) -> float:
    """Value of the longest known beginning of ``path``."""
    for depth in range(len(path), -1, -1):
        if path[:depth] in found:
            return found[path[:depth]]
    raise KeyError(path)


def weighted_median(values: Float64, weights: Float64) -> float:
    """Value that half of the weight does not exceed, halfway to the next where it is exactly half."""
    order = np.argsort(values, kind="stable")
    ordered, share = values[order], np.cumsum(weights[order]) / weights.sum()
    low = int(np.searchsorted(share, 0.5 - 1e-12))
    high = min(low + 1, len(ordered) - 1) if abs(share[low] - 0.5) < 1e-12 else low
    return float((ordered[low] + ordered[high]) / 2)
