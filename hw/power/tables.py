"""Small tables, linear between their knots, one row of each per site."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numba import njit
from numpy.typing import NDArray

from hw.power.spec import MAX_KNOTS

CHARGE_BY_C, DISCHARGE_BY_C, USABLE_BY_C, CHARGE_BY_SOC, DISCHARGE_BY_SOC, N_TABLES = range(6)

Knots = Sequence[tuple[float, float]]


def pack_tables(per_site: Sequence[Sequence[Knots]]) -> NDArray[np.float64]:
    """Tables as one array (n, N_TABLES, 2, MAX_KNOTS); short ones repeat their last knot."""
    packed = np.empty((len(per_site), N_TABLES, 2, MAX_KNOTS))
    for i, tables in enumerate(per_site):
        for j, knots in enumerate(tables):
            padded = [*knots, *[knots[-1]] * (MAX_KNOTS - len(knots))]
            packed[i, j] = np.array(padded).T
    return packed


@njit(cache=True, error_model="numpy")
def look_up(tables, i, table, x):  # type: ignore[no-untyped-def]
    """Value of a table of site i at x; beyond its ends the value of the end."""
    if x <= tables[i, table, 0, 0]:
        return tables[i, table, 1, 0]
    for k in range(1, MAX_KNOTS):
        right = tables[i, table, 0, k]
        if x <= right:
            left = tables[i, table, 0, k - 1]
            low, high = tables[i, table, 1, k - 1], tables[i, table, 1, k]
            return low + (high - low) * (x - left) / (right - left)
    return tables[i, table, 1, MAX_KNOTS - 1]


@njit(cache=True, error_model="numpy")
def look_up_inside(tables, i, table, x):  # type: ignore[no-untyped-def]
    """As ``look_up``, but 0 beyond the ends of the table, and where x is unknown."""
    if not (tables[i, table, 0, 0] <= x <= tables[i, table, 0, MAX_KNOTS - 1]):
        return 0.0
    return look_up(tables, i, table, x)
