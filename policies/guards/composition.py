"""The one way through all guards: what a decision becomes, and what the guards remember of it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hw.world import SYMBOL
from policies.guards import rules
from policies.guards.facts import Facts, Situation, situation
from policies.guards.rules import Guard
from policies.guards.state import new_state
from policies.guards.terms import make_terms
from policies.network import Network
from policies.policy import Decision
from policies.profile import GuardProfile

UInt8 = NDArray[np.uint8]


class Guards:
    """All guards of one network. ``state`` is what they remember."""

    def __init__(
        self,
        network: Network,
        asleep: NDArray[np.bool_],
        limits: GuardProfile,
        site: NDArray[np.int32] | None = None,
    ) -> None:
        """``asleep`` (L,) marks the levels off air; ``site`` (n,) numbers the site of each cell, see ``make_terms``."""
        self.terms = make_terms(network, asleep, limits, site)
        self.state = new_state(network.n_cells, limits)

    def apply(self, decision: Decision, facts: Facts) -> Decision:
        """The decision, moved toward awake where a guard says so; ``alarm`` marks the cells whose lock-out begins."""
        now = situation(facts, self.state, self.terms)
        limits = self.terms.limits
        self.state.open_tick(facts.now_s, facts.day, now.level, facts.fresh, limits)
        wanted, reason, capped = compose(decision, now)
        alarm = self.state.close_tick(now.level, wanted, capped > now.level, limits)
        return Decision(wanted, reason, decision.risk, alarm)


def compose(decision: Decision, now: Situation) -> tuple[UInt8, UInt8, UInt8]:
    """Levels and reasons after all guards, and the levels after the caps alone. Changes nothing. (n,) each"""
    wanted, reason = decision.level.copy(), decision.reason.copy()
    for guard in rules.CAPS:
        _wake(guard, now, wanted, reason)
    capped = wanted.copy()
    for guard in rules.HOLDS:
        _hold(guard, now, wanted, reason)
    for guard in rules.FLOORS:
        _wake(guard, now, wanted, reason)
    return wanted, reason, capped


def _wake(guard: Guard, now: Situation, wanted: UInt8, reason: UInt8) -> None:
    """Wake the cells that a guard stops, in place."""
    cells = guard.stops(wanted, now)
    if not cells.any():
        return
    if guard.whole_group:
        cells = now.terms.anywhere_in_group(cells)
    cells = cells & (wanted > SYMBOL)
    wanted[cells], reason[cells] = SYMBOL, guard.reason


def _hold(guard: Guard, now: Situation, wanted: UInt8, reason: UInt8) -> None:
    """Let no cell of a group go deeper where the guard stops one of them, in place: a joint plan is all or none."""
    deeper = wanted > now.level
    if not deeper.any():
        return
    cells = guard.stops(wanted, now) & deeper
    if not cells.any():
        return
    held = now.terms.anywhere_in_group(cells) & deeper
    wanted[held], reason[held] = now.rest[held], guard.reason
