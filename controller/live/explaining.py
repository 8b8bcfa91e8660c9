"""The last plan of a cell in full: what was decided, and against what."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from controller.live.fleet import EnergyUnit
from controller.tick import Commands
from hw.adapters.control import CellExplanation, CellStatus, LevelOutlook
from policies.counterfactual import UPPER
from policies.policy import REASON_WORDS, Reason


class LastPlan(NamedTuple):
    """A planning tick that is over. Nobody changes its arrays any more."""

    begin: np.datetime64
    commands: Commands
    length_s: int
    unit: EnergyUnit
    asleep: NDArray[np.bool_]  # (L,) off air


def explained(
    plan: LastPlan, number: int, now: CellStatus, level_names: tuple[str, ...]
) -> CellExplanation | None:
    """Why a cell, which stands as ``now``, was planned as it was; None where plans are not weighed."""
    weighed, commands, unit = plan.commands.counterfactual, plan.commands, plan.unit
    if weighed is None or commands.before is None:
        return None

    def outlook(level: int, limit: float, saving: float) -> LevelOutlook:
        unit_wh = np.nan if unit.wh is None else unit.wh
        return LevelOutlook(
            level_names[level], bool(plan.asleep[level]), float(limit), float(saving), float(saving) * unit_wh
        )

    level, deeper, guard = (int(of[number]) for of in (weighed.level, weighed.deeper, weighed.guard))
    reason = Reason(commands.reason[number])
    return CellExplanation(
        now=now,
        begin_unix_us=int(plan.begin.astype("datetime64[us]").astype(np.int64)),
        length_s=plan.length_s,
        before=level_names[commands.before[number]],
        wanted=level_names[weighed.wanted[number]],
        planned=outlook(level, weighed.limit[number], weighed.saving[number]),
        reason=reason.name.lower(),
        reason_words=REASON_WORDS[reason],
        guard_words=REASON_WORDS[Reason(guard)] if guard else "",
        upper=float(weighed.upper[number]),
        upper_probability=UPPER,
        deeper=None
        if deeper == level
        else outlook(deeper, weighed.deeper_limit[number], weighed.deeper_saving[number]),
        wake_s=float(weighed.wake_s[number]),
        energy_unit=unit.name,
    )
