"""What comparisons of cells need to know of a network."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from controller.live.kpi_rows import Network
from hw.tables import Tables

Ints = NDArray[np.intp]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of the network. n cells."""

    cell_id: tuple[str, ...]
    site_id: tuple[str, ...]  # (n,)
    site: Ints  # (n,) number of each cell's site, in the order of their names
    group: Ints  # (n,)
    model: NDArray[np.int32]  # (n,) row of the tables
    is_capacity: Mask  # (n,)
    neighbour: Ints  # (e, 2) pairs of cells that touch each other beyond their groups
    tables: Tables
    ul_per_dl: float  # uplink over downlink [ratio]
    tick_s: int
    time_zone: str
    seed: int
    rows_of: Network
