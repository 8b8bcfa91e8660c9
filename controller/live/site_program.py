"""The rules by which a power agent runs its on-battery programs: those of policies/site/outage.py."""

from __future__ import annotations

import numpy as np

from hw.adapters.power import OnBattery
from hw.agents.durable import Position
from hw.agents.program import StageOrder
from policies.site.outage import Program, ProgramState, check_program, run_program


def _program(program: OnBattery) -> Program:
    return Program(
        program.after_s[None, :],
        program.below_ratio[None, :],
        program.radio_ratio[None, :],
        program.keeps_transport[None, :],
        np.array([program.back_s]),
    )


class SiteProgram:
    """Implements hw.agents.program.ProgramRules, one site at a time."""

    def check(self, program: OnBattery) -> None:
        """Raise ValueError where the program is none that can run."""
        check_program(_program(program))

    def run(
        self, program: OnBattery, position: Position, mains: bool, soc: float, elapsed_s: float
    ) -> tuple[Position, StageOrder]:
        """One step of a site."""
        last = len(program.after_s) - 1  # a new program may be shorter than the one that was running
        state = ProgramState(
            np.array([min(position.stage, last)], np.int64),
            np.array([position.on_battery_s]),
            np.array([position.mains_s]),
        )
        orders = run_program(_program(program), state, np.array([mains]), np.array([soc]), elapsed_s)
        after = Position(int(state.stage[0]), float(state.on_battery_s[0]), float(state.mains_s[0]))
        return after, StageOrder(float(orders.radio_ratio[0]), bool(orders.transport[0]))
