"""Power of cells by a world's tables, for what was carried at levels that are known."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hw.world import LOAD_BINS

Float64 = NDArray[np.float64]


def table_power(
    rate: NDArray[Any], power: NDArray[Any], ul_power: NDArray[Any], ul_per_dl: Any, carried: NDArray[Any]
) -> Float64:
    """Power of n cells at one level each, NaN where their traffic is not known. (n, s) [power_unit]

    Parameters
    ----------
    rate, ul_power : of the cells' levels. Shape (n,).
    power : at the load points of the cells' levels. Shape (n, B).
    ul_per_dl : uplink over downlink, one for all or shape (n, 1). [ratio]
    carried : traffic. Shape (n, s). [ratio of full rate]
    """
    own = rate.astype(np.float64)[:, None]
    load = np.minimum(np.divide(carried, own, out=np.zeros(carried.shape), where=own > 0), 1)
    load[np.isnan(carried)] = np.nan
    at = np.nan_to_num(load) * LOAD_BINS
    below = np.minimum(at.astype(np.intp), LOAD_BINS - 1)
    points = power.astype(np.float64)
    rows = np.arange(len(points))[:, None]
    low = points[rows, below]
    dl = low + (points[rows, below + 1] - low) * (at - below)
    ul = ul_power.astype(np.float64)[:, None] * np.minimum(ul_per_dl * load, 1)
    return np.asarray(dl + ul)
