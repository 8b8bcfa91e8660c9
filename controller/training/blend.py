"""How much of each candidate is believed: shares that gave the least error at later origins."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from controller.forecast.layout import OFFSET, ahead_columns
from controller.training.candidates import UNDER, Corrections, between_anchors
from controller.training.rows import Rows

Float64 = NDArray[np.float64]

NAMES = ("ridge", "boosting", "mlp")
TENTHS = 10  # shares are tried in tenths


def load_of(u: NDArray[np.floating]) -> Float64:
    """The load behind its log. [ratio]"""
    return np.asarray(np.clip(np.exp(u) - OFFSET, 0, 1), np.float64)


@dataclass(frozen=True, slots=True)
class Blend:
    """Shares of the candidates at each anchor; what is missing to 1 stays with the seasonal profile. (A, 3)"""

    anchors: tuple[int, ...]
    share: Float64

    def ridge_share(self) -> Float64:
        """How much of the ridge is in the whole, at each anchor. (A,)"""
        return np.asarray(self.share @ UNDER, np.float64)

    def correction(self, made: Corrections) -> Float64:
        """What is added to the profile, at every horizon. (m, H)"""
        spread = between_anchors(self.anchors, made.ridge.shape[1])
        ridge = made.ridge * (self.ridge_share() @ spread)
        return np.asarray(
            ridge + (made.boosting * self.share[:, 1]) @ spread + (made.mlp * self.share[:, 2]) @ spread
        )


def combinations() -> Float64:
    """All shares in tenths that add to at most 1. (C, 3)"""
    tenths = range(TENTHS + 1)
    return np.array([c for c in product(tenths, repeat=len(NAMES)) if sum(c) <= TENTHS]) / TENTHS


def single(name: str) -> Float64:
    """Shares of one candidate alone, ``seasonal`` for none. (1, 3)"""
    return np.array([[float(name == other) for other in NAMES]])


def errors(rows: Rows, made: Corrections, anchors: tuple[int, ...], shares: Float64) -> Float64:
    """Sum of absolute errors in load of every blend at every anchor. (A, C)"""
    base = rows.features[:, list(ahead_columns("base", rows.target.shape[1]))]
    found = np.empty((len(anchors), len(shares)))
    for a, h in enumerate(anchors):
        known = np.isfinite(rows.target[:, h - 1])
        truth = load_of(rows.target[known, h - 1])
        ridge, boosting, mlp = made.ridge[known, h - 1], made.boosting[known, a], made.mlp[known, a]
        for c, (share, (_, b, m)) in enumerate(zip(shares @ UNDER, shares, strict=True)):
            u = base[known, h - 1] + share * ridge + b * boosting + m * mlp
            found[a, c] = np.abs(load_of(u) - truth).sum()
    return found


def volumes(rows: Rows, anchors: tuple[int, ...]) -> Float64:
    """Sum of the load that errors are counted against, at every anchor. (A,)"""
    return np.array([np.nansum(load_of(rows.target[:, h - 1])) for h in anchors])
