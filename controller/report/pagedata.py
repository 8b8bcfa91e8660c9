"""What the page draws beyond the figures of report.json: series over time and the cells to drill into."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


@dataclass(slots=True)
class WorstCell:
    """One of the cells that a policy served worst."""

    cell_id: str
    below_target_share: float  # of the cell's own traffic [ratio]
    unserved_share: float  # of the cell's own traffic [ratio]
    energy_saved_vs_none: float  # [ratio]
    level_changes_per_day: float


@dataclass(slots=True)
class PolicySeries:
    """One policy over time, all scored cells together. T planning ticks, L levels."""

    level_share: NDArray[np.float32]  # (T, L) share of scored cell-time [ratio]; NaN where nothing was scored
    energy: NDArray[np.float32]  # (T,) energy per tick, unit of the report
    energy_by_level: NDArray[np.float64]  # (L,) energy spent while at each level
    worst_cells: list[WorstCell] = field(default_factory=list)  # at most ten, worst first


@dataclass(slots=True)
class CurvePoint:
    """One run of a policy on the curve of savings against service."""

    policy: str
    label: str  # what differs, such as "risk x2" or "sigma 0.45"
    target_mbit_s: float
    sigma: float
    ee_gain_vs_none: float
    energy_saved_vs_none: float
    below_target_share: float
    unserved_share: float
    limits_held: bool


@dataclass(slots=True)
class CellDetail:
    """The cells that the page can open. C cells, T ticks; levels are indices into ``PageData.level_names``."""

    cell_id: list[str]
    load: NDArray[np.float32]  # (C, T) mean offered load of the tick [ratio], NaN unrecorded
    expected: NDArray[np.float32]  # (C, T) forecast median for the tick, made before it [ratio], NaN none
    upper: NDArray[np.float32]  # (C, T) forecast 0.95 quantile, made before the tick [ratio], NaN none
    level: dict[str, NDArray[np.uint8]]  # policy -> (C, T)
    reason: dict[
        str, NDArray[np.uint8]
    ]  # policy -> (C, T) indices into ``PageData.reason_names``; may be absent


@dataclass(slots=True)
class PageData:
    """Everything the page draws that is not a figure of report.json."""

    first_tick: np.datetime64  # UTC
    tick_s: int
    time_zone: str
    level_names: list[str]
    reason_names: list[str]
    offered: NDArray[np.float32]  # (T,) mean offered load of the scored cells [ratio]
    policies: dict[str, PolicySeries]
    curve: list[CurvePoint]
    cells: CellDetail
    cells_note: str = ""  # says which cells can be opened when not all can
