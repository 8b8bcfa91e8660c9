"""What a planner sees and answers: arrays over cells in, levels and reasons out."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from policies.forecast import Forecast


class Reason(IntEnum):
    """Why a cell is at its level."""

    FIXED = 0
    NO_FORECAST = 1
    DEEPEST = 2
    DEEPER_TOO_RISKY = 3
    CHANGE_NOT_WORTH = 4
    TIMER_WINDOW = 5
    OUTSIDE_WINDOW = 6
    BELOW_THRESHOLD = 7
    ABOVE_THRESHOLD = 8
    BETWEEN_THRESHOLDS = 9
    GUARD_TELEMETRY = 10
    GUARD_BUDGET = 11
    GUARD_LEVEL = 12
    GUARD_OVERLOAD = 13
    GUARD_UNCOVERED = 14
    GUARD_ANCHOR = 40


REASON_WORDS = {
    Reason.FIXED: "fixed by the policy",
    Reason.NO_FORECAST: "awake: nothing measured",
    Reason.DEEPEST: "deepest level it may use, within risk",
    Reason.DEEPER_TOO_RISKY: "a deeper level would risk the target",
    Reason.CHANGE_NOT_WORTH: "kept: a change would not pay",
    Reason.TIMER_WINDOW: "inside the night window",
    Reason.OUTSIDE_WINDOW: "outside the night window",
    Reason.BELOW_THRESHOLD: "load below the sleep threshold",
    Reason.ABOVE_THRESHOLD: "load above the wake threshold",
    Reason.BETWEEN_THRESHOLDS: "load between the thresholds",
    Reason.GUARD_TELEMETRY: "guard: telemetry missing or implausible, so awake",
    Reason.GUARD_BUDGET: "guard: changes of the day used up",
    Reason.GUARD_LEVEL: "guard: level not allowed for this cell",
    Reason.GUARD_OVERLOAD: "guard: a cell of the group ran at its limit, so awake",
    Reason.GUARD_UNCOVERED: "guard: no candidate cell on air to carry its traffic, so awake",
    Reason.GUARD_ANCHOR: "guard: anchor of a 5G cell that rests less deep, so awake",
}


@dataclass(frozen=True, slots=True)
class Allowance:
    """Service limits on traffic that misses its throughput target. [ratio]"""

    of_all: float  # of the traffic of the network
    of_cell: float  # of a cell's own


@dataclass(frozen=True, slots=True)
class View:
    """What a planner knows at a tick. n cells, s samples of the tick that just ended."""

    local_hour: float  # local time of day [h]
    tick_s: int
    level: NDArray[np.uint8]  # (n,) reported level
    held_s: NDArray[np.int64]  # (n,) time at that level [s]
    offered: NDArray[np.float32]  # (n, s) estimated offered load, NaN unknown [ratio]
    forecast: Forecast | None
    allowance: Allowance
    awake: NDArray[np.bool_] | None = None  # (n, s) samples in which the guard loop had the cell at full


@dataclass(frozen=True, slots=True)
class Decision:
    """Level and reason of each cell for the coming tick. (n,)"""

    level: NDArray[np.uint8]
    reason: NDArray[np.uint8]
    risk: NDArray[np.float64] | None = (
        None  # price of a sample of missed traffic, for the guard loop [power_unit]
    )


class Planner(Protocol):
    """A policy: from a view to a decision. It may keep state, but has no clock, file or random of its own."""

    needs_forecast: bool

    def plan(self, view: View) -> Decision:
        """Levels for the coming tick."""
        ...
