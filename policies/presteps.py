r"""What a cell goes through, in order, before it leaves the air; it stays on air until the last step is confirmed.

::

                  +------ wanted on air, or refused ------+
                  v                                       |
    ON_AIR --> CHECK --> RECONFIGURE --> HAND_OVER --> TELL --> LEAVE --> OFF_AIR
      ^   wanted                    each once the one before is confirmed     |
      |                                                                       v
      +------------------------------- confirmed ------------------------- WAKE

- CHECK: no emergency call is up and no public warning is being sent (TS 38.300, clauses 16.4 and 16.5);
- RECONFIGURE: carrier aggregation and dual connectivity no longer use the cell;
- HAND_OVER: users are with the candidates; TELL: the neighbours know that it will be off air;
- LEAVE: the level is commanded and acknowledged.

A step that is refused, or that no longer is wanted, puts the cell back on air; the plan asks again in a later tick.
From LEAVE on the level may be in force, so the way back is to WAKE. Waking is one step, and nothing delays it.
All changes of a step are made in ``advance``.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

Steps = NDArray[np.uint8]


class Step(IntEnum):
    """Where a cell stands."""

    ON_AIR = 0
    CHECK = 1
    RECONFIGURE = 2
    HAND_OVER = 3
    TELL = 4
    LEAVE = 5
    OFF_AIR = 6
    WAKE = 7


SLEEP_ORDER = (Step.CHECK, Step.RECONFIGURE, Step.HAND_OVER, Step.TELL, Step.LEAVE)
WAKE_ORDER = (Step.WAKE,)


def steps_of(
    before: NDArray[np.uint8], level: NDArray[np.uint8], asleep: NDArray[np.bool_]
) -> list[tuple[Step, ...]]:
    """Steps that each cell takes from level ``before`` to ``level`` (n,); none where it stays on or off air.

    ``asleep`` (L,) marks the levels off air.
    """
    leaves, wakes = ~asleep[before] & asleep[level], asleep[before] & ~asleep[level]
    of_case = ((), SLEEP_ORDER, WAKE_ORDER)
    return [of_case[int(case)] for case in np.where(leaves, 1, np.where(wakes, 2, 0))]


def advance(
    step: Steps, wants_off: NDArray[np.bool_], confirmed: NDArray[np.bool_], refused: NDArray[np.bool_]
) -> Steps:
    """The next step of each cell. n cells.

    Parameters
    ----------
    step : where each cell stands, one of ``Step``. (n,)
    wants_off : the plan has the cell off air. (n,)
    confirmed, refused : what the network said of the step that the cell stands at; refused wins. (n,)
    """
    if (step > Step.WAKE).any():
        raise ValueError("step holds a number that is no step")
    going = (step >= Step.CHECK) & (step <= Step.LEAVE)
    done = confirmed & ~refused
    following = step.copy()
    following[(step == Step.ON_AIR) & wants_off] = Step.CHECK
    following[going & done] += 1
    back = going & (refused | ~wants_off)
    following[back] = np.where(step[back] == Step.LEAVE, Step.WAKE, Step.ON_AIR)
    following[(step == Step.OFF_AIR) & ~wants_off] = Step.WAKE
    following[(step == Step.WAKE) & done] = Step.ON_AIR
    return following


def may_rest(step: Steps) -> NDArray[np.bool_]:
    """Whether the level off air may be commanded: every step before it is confirmed. (n,)"""
    return np.asarray((step == Step.LEAVE) | (step == Step.OFF_AIR))
