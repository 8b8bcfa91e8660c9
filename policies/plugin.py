"""Policies of others: what their factory is told, and a planner around theirs that lets no fault through.

::

    view (a copy) -> plan() of the plug-in -> checked -> guards, like any other decision
                          |                     |
                          |                     +-- a cell without a level that it may use: that cell is awake
                          +-- an exception, another type or shape: all cells are awake

Either way the fault is counted and the controller goes on. See docs/policies.md for the contract.
"""

from __future__ import annotations

import copy
import logging
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hw.tables import Tables
from hw.world import SYMBOL
from policies.network import Network
from policies.policy import GUARD_REASONS, Decision, Planner, Reason, View
from policies.profile import Profile


@dataclass(frozen=True, slots=True)
class PolicyContext:
    """What a policy is built for: a network, or a part of one that can be planned alone. n cells, L levels."""

    network: Network
    tables: Tables  # of the world: what each level draws and carries
    level_names: tuple[str, ...]  # (L,) shallow to deep
    wake_s: NDArray[np.float32]  # (L,) from the command to the first traffic [s]
    profile: Profile  # the operator's settings
    samples_per_tick: int
    watched: bool = False  # whether the guard loop runs too


@dataclass(slots=True)
class Faults:
    """What a policy did wrong."""

    failed_ticks: int = 0  # without a usable answer
    refused_cell_ticks: int = 0  # without a level that the cell may use
    first: str = ""  # what was wrong the first time

    def add(self, other: Faults) -> None:
        """Add those of another part of the network."""
        self.failed_ticks += other.failed_ticks
        self.refused_cell_ticks += other.refused_cell_ticks
        self.first = self.first or other.first


class CheckedPlanner:
    """A planner that answers for one of others, and is awake where that one gives no usable answer.

    It hands copies on, so that nothing the other does to its input is seen elsewhere. Prices for the guard loop are
    not taken over: they could keep it from waking.
    """

    def __init__(self, planner: Planner, network: Network) -> None:
        self.needs_forecast = bool(planner.needs_forecast)
        self.faults = Faults()
        self._planner, self._allowed = planner, network.allowed

    def plan(self, view: View) -> Decision:
        """Levels for the coming tick."""
        try:
            level, reason = self._answer(self._planner.plan(copy.deepcopy(view)))
        except (Exception, SystemExit) as error:
            self.faults.failed_ticks += 1
            self._tell(f"{type(error).__name__}: {error}")
            n = len(self._allowed)
            return Decision(np.full(n, SYMBOL, np.uint8), np.full(n, Reason.PLUGIN_FAILED, np.uint8))
        n_levels = self._allowed.shape[1]
        whole = np.isfinite(level) & (level == np.floor(level)) & (level >= 0) & (level < n_levels)
        usable = np.where(whole, level, SYMBOL).astype(np.uint8)
        refused = ~whole | ~self._allowed[np.arange(len(usable)), usable]
        if refused.any():
            self.faults.refused_cell_ticks += int(refused.sum())
            i = int(refused.argmax())
            self._tell(f"level {level[i]:g} for cell number {i}, which may use {_levels(self._allowed[i])}")
        usable[refused], reason[refused] = SYMBOL, Reason.PLUGIN_REFUSED
        return Decision(usable, reason)

    def _answer(self, decision: object) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
        """Level and reason of each cell. Raises TypeError, ValueError where the answer has another form."""
        if not isinstance(decision, Decision):
            raise TypeError(f"plan() gave a {type(decision).__name__}, not a policies.policy.Decision")
        level, reason = np.asarray(decision.level), np.asarray(decision.reason)
        n = len(self._allowed)
        if level.shape != (n,) or level.dtype.kind not in "uif":
            raise ValueError(f"level is {level.dtype} of shape {level.shape}, not integers of shape ({n},)")
        if reason.shape != (n,) or reason.dtype.kind not in "ui":
            raise ValueError(
                f"reason is {reason.dtype} of shape {reason.shape}, not integers of shape ({n},)"
            )
        own = np.isin(reason, [code for code in Reason if code not in GUARD_REASONS])
        return level.astype(np.float64), np.where(own, reason, Reason.PLUGIN).astype(np.uint8)

    def _tell(self, fault: str) -> None:
        """Keep and log the first fault only; the counts say how often."""
        if not self.faults.first:
            self.faults.first = fault[:300]
            logging.getLogger(__name__).warning("a policy plug-in is at fault: %s", self.faults.first)


def _levels(allowed: NDArray[np.bool_]) -> str:
    return ", ".join(map(str, np.flatnonzero(allowed)))
