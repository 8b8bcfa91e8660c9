"""What hardware of one kind has in common: middle values along paths from general to specific.

A path names ever closer kinds, such as (product, configuration). The value of a path is the weighted median
of its members, drawn towards the value of the path above it while there are few of them. An unknown path
takes the value of the longest part of it that is known, at last that of the whole network.

Values are compared per size, so that kinds with another number of TxRU help as well: the load-dependent power
scales with the active TxRU (s_a of 3GPP TR 38.864, clause 5.1), the static power, in part common to all,
slower.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]
Path = tuple[str, ...]

_STRENGTH = 0.3  # members' worth of weight that the path above has
_BASE_EXPONENT = 0.3  # of the number of TxRU, an assumption; 0.2 to 0.4 serve as well


@dataclass(frozen=True, slots=True)
class CellKind:
    """The hardware of one cell."""

    product: str
    config: str  # what else is known, such as carrier and bandwidth
    txru: int  # 0 unknown

    @property
    def slope_path(self) -> Path:
        """Path of the cell's slope: product, then configuration with TxRU."""
        return self.product, f"{self.config}, {self.txru} TxRU"


def base_path(kinds: Sequence[CellKind]) -> Path:
    """Path of a station's base: its products, how many cells of each, their configurations with TxRU."""
    products = sorted(kind.product for kind in kinds)
    configs = sorted(" ".join(kind.slope_path) for kind in kinds)
    return "+".join(sorted(set(products))), "+".join(products), "+".join(configs)


@dataclass(frozen=True, slots=True)
class Middles:
    """Middle base and slope of a cell of one TxRU, by path."""

    base: Mapping[Path, float]
    slope: Mapping[Path, float]
    txru: Mapping[str, int]  # typical number by product, of the network for ""

    def base_of(self, kinds: Sequence[CellKind]) -> float:
        """Base of one cell of a station whose cells are of these kinds. [energy unit]"""
        return look_up(self.base, base_path(kinds)) * base_size(kinds, self.txru)

    def slope_of(self, kind: CellKind) -> float:
        """Slope of a cell of this kind. [energy unit]"""
        return look_up(self.slope, kind.slope_path) * slope_size(kind, self.txru)


def typical_txru(kinds: Sequence[CellKind]) -> dict[str, int]:
    """Middle number of TxRU of each product, and of all cells for ""; 1 where none is known."""
    found = {"": _middle_txru(kinds)}
    for product in sorted({kind.product for kind in kinds} - {""}):
        found[product] = _middle_txru([kind for kind in kinds if kind.product == product])
    return found


def slope_size(kind: CellKind, typical: Mapping[str, int]) -> float:
    """What the slope of a cell scales with."""
    return float(kind.txru or typical.get(kind.product, typical[""]))


def base_size(kinds: Sequence[CellKind], typical: Mapping[str, int]) -> float:
    """What the base of one cell of a station scales with."""
    return float(np.mean([slope_size(kind, typical) for kind in kinds]) ** _BASE_EXPONENT)


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
    depth = next(d for d in range(len(path), -1, -1) if path[:d] in found)
    return found[path[:depth]]


def weighted_median(values: Float64, weights: Float64) -> float:
    """Value that half of the weight does not exceed, halfway to the next where it is exactly half."""
    order = np.argsort(values, kind="stable")
    ordered, share = values[order], np.cumsum(weights[order]) / weights.sum()
    low = int(np.searchsorted(share, 0.5 - 1e-12))
    high = min(low + 1, len(ordered) - 1) if abs(share[low] - 0.5) < 1e-12 else low
    return float((ordered[low] + ordered[high]) / 2)


def _middle_txru(kinds: Sequence[CellKind]) -> int:
    known = sorted(kind.txru for kind in kinds if kind.txru)
    return known[len(known) // 2] if known else 1
