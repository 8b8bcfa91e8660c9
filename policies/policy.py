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
    GUARD_DWELL = 15
    GUARD_HYSTERESIS = 16
    GUARD_LEAST_AWAKE = 17
    GUARD_FLAPPING = 18
    GUARD_CLUSTER = 19
    GUARD_EXCLUDED = 20
    GUARD_PROTECTED = 21
    GUARD_EVENT = 22
    GUARD_EMERGENCY = 23
    GUARD_FLOOR = 24
    GUARD_UNHEARD = 25
    GUARD_ANCHOR = 26
    GUARD_SURGE = 27
    GUARD_UNACCOUNTED = 28
    GUARD_STOPPED = 29
    GUARD_STAGE = 30
    GUARD_OVERRIDE = 31
    GUARD_ROLLBACK = 32
    GUARD_SERVICE = 33
    PLUGIN = 50
    PLUGIN_REFUSED = 51
    PLUGIN_FAILED = 52


GUARD_REASONS = range(10, 34)  # a guard speaks

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
    Reason.GUARD_DWELL: "guard: too short at its level to go deeper",
    Reason.GUARD_HYSTERESIS: "guard: the plan has not held for long enough to go deeper",
    Reason.GUARD_LEAST_AWAKE: "guard: woken a short time ago, so awake",
    Reason.GUARD_FLAPPING: "guard: locked awake after flapping",
    Reason.GUARD_CLUSTER: "guard: enough cells of the site go deeper in this tick",
    Reason.GUARD_EXCLUDED: "guard: inside an exclusion window, so awake",
    Reason.GUARD_PROTECTED: "guard: protected cell, so awake",
    Reason.GUARD_EVENT: "guard: an event is on or near, so awake",
    Reason.GUARD_EMERGENCY: "guard: emergency lock, so awake",
    Reason.GUARD_FLOOR: "guard: too few cells of the site on air, so awake",
    Reason.GUARD_UNHEARD: "guard: nothing measured in the last tick, so no deeper",
    Reason.GUARD_ANCHOR: "guard: anchor of a 5G cell that rests less deep, so awake",
    Reason.GUARD_SURGE: "guard: staying at the level no longer pays (guard loop), so woken",
    Reason.GUARD_UNACCOUNTED: "guard: the site does not stand where it was commanded, so awake",
    Reason.GUARD_STOPPED: "guard: stopped, without a plan or led by another controller, so awake",
    Reason.GUARD_STAGE: "guard: not yet allowed to act on this cell, so awake",
    Reason.GUARD_OVERRIDE: "guard: overridden by an operator",
    Reason.GUARD_ROLLBACK: "guard: users of this site were slower than planned, so awake for a time",
    Reason.GUARD_SERVICE: "guard: users of the group were slower than the service target, so awake",
    Reason.PLUGIN: "chosen by a plug-in or a policy network",
    Reason.PLUGIN_REFUSED: "awake: the plug-in gave no level that this cell may use",
    Reason.PLUGIN_FAILED: "awake: the plug-in failed",
}


def words_by_code() -> list[str]:
    """Words of every reason at the place of its code; empty where no reason has the code."""
    return [REASON_WORDS.get(code, "") for code in range(max(Reason) + 1)]  # type: ignore[call-overload]


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
    # (n, s) level with the guard loop, which wakes cells between plans
    served: NDArray[np.uint8] | None = None
    # (n,) price of energy in the coming tick, in any unit; None: energy counts alike at all times
    energy_price: NDArray[np.float64] | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """Level and reason of each cell for the coming tick. (n,)"""

    level: NDArray[np.uint8]
    reason: NDArray[np.uint8]
    # price of a sample of missed traffic, for the guard loop [power_unit]
    risk: NDArray[np.float64] | None = None
    alarm: NDArray[np.bool_] | None = None  # cells that the guards begin to lock awake for flapping


class Planner(Protocol):
    """A policy: from a view to a decision. It may keep state, but has no clock, file or random of its own."""

    needs_forecast: bool

    def plan(self, view: View) -> Decision:
        """Levels for the coming tick."""
        ...
