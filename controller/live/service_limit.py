"""The service target as a hard limit on what users measured, sample by sample."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from controller.live.observing import Measured
from hw.tables import Tables
from policies.trust.rollback import hard_limit_wakes

Mask = NDArray[np.bool_]


class ServiceLimit:
    """Remembers which of n cells measure user throughput: from then on, a value that is missing breaks the limit."""

    def __init__(self, tables: Tables, model: NDArray[np.int32], group: NDArray[np.intp]) -> None:
        """``model`` (n,) row of the tables, ``group`` (n,) number of the group."""
        self._target, self._target_share = tables.target, tables.target_share
        self._full_rate = tables.full_rate * tables.size[model]
        self._group = group
        self._measures = np.zeros(len(model), np.bool_)

    def broken(self, measured: Measured, level: NDArray[np.uint8]) -> Mask:
        """Cells below full service at ``level`` (n,) in whose group users were below the limit in one sample. (n,)

        Where nothing was carried, or that is not known, nobody asked for service; other guards look after silence.
        """
        carried, throughput = measured.carried[:, 0], measured.throughput[:, 0]
        self._measures |= np.isfinite(throughput)
        kpi = np.where(carried > 0, throughput, np.inf)
        own = self._target_share * self._full_rate * (1 - np.nan_to_num(carried))
        limit = np.where(self._measures, np.minimum(self._target, own), np.nan)
        return hard_limit_wakes(kpi.astype(np.float64), limit, level, self._group)
