r"""What is commanded of each cell, and the one place where that changes.

::

                    command (new revision)
         +----------------------------------------+
         |                                        v
    FULL SERVICE                               LEASED  --command (new revision)--> LEASED
         ^                                        |
         +--- wake (new revision) ----------------+
         +--- drop: the agent says that the lease is over, was refused, or never came

A command is not confirmed until the agent answers or reports its revision. Revisions only count up, also over those
that an agent reports; FULL SERVICE is SYMBOL here, whatever an agent calls it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from controller.live.fleet import Agent, Cells
from hw.active_set import CELL, active_digest
from hw.world import SYMBOL

Mask = NDArray[np.bool_]
UInt8 = NDArray[np.uint8]
UInt64 = NDArray[np.uint64]
LARGEST_REVISION = 2**62  # beyond it a report is not believed, so that counting up never runs over


class Leases:
    """Commanded state of n cells."""

    def __init__(self, n_cells: int) -> None:
        self.level = np.full(n_cells, SYMBOL, np.uint8)  # (n,) commanded
        self.revision = np.zeros(n_cells, np.uint64)  # (n,) of the last command
        self.confirmed = np.ones(n_cells, np.bool_)  # (n,)
        self.pending_ticks = np.zeros(n_cells, np.int64)  # (n,) guard ticks since a command not yet confirmed
        self._digest: dict[int, bytes] = {}  # of the active set, by number of the agent

    def command(self, cells: Cells, level: UInt8) -> UInt64:
        """New levels (k,) for cells (k,). Returns their revisions. (k,)"""
        self.revision[cells] += np.uint64(1)
        self.level[cells] = level
        self.confirmed[cells], self.pending_ticks[cells] = False, 0
        self._digest.clear()
        return self.revision[cells]

    def wake(self, cells: Cells) -> UInt64:
        """Full service for cells (k,). Returns their revisions. (k,)"""
        return self.command(cells, np.full(len(cells), SYMBOL, np.uint8))

    def drop(self, cells: Cells) -> None:
        """The agent holds no lease of ours for cells (k,)."""
        self.level[cells], self.confirmed[cells] = SYMBOL, True
        self._digest.clear()

    def confirm(self, cells: Cells) -> None:
        """The agent has what was commanded of cells (k,)."""
        self.confirmed[cells] = True

    def restore(self, cells: Cells, revision: UInt64, level: UInt8) -> None:
        """Commands (k,) of a journal, which nobody has confirmed yet."""
        self.revision[cells], self.level[cells] = revision, np.maximum(level, SYMBOL)
        self.confirmed[cells] = False
        self._digest.clear()

    def raise_to(self, cells: Cells, revision: UInt64) -> None:
        """Agents have seen revisions (k,) of cells (k,); later ones are higher."""
        self.revision[cells] = np.maximum(self.revision[cells], revision)
        self._digest.clear()

    def pass_tick(self) -> None:
        """A guard tick has passed."""
        self.pending_ticks[~self.confirmed] += 1

    def is_active(self, agent: Agent) -> bool:
        """Whether an agent holds any lease."""
        return bool((self.level[agent.cells] > SYMBOL).any())

    def digest(self, agent: Agent) -> bytes:
        """Digest of what an agent's active set must be."""
        known = self._digest.get(agent.number)
        if known is None:
            leased = self.level[agent.cells] > SYMBOL
            cells = agent.cells[leased]
            active = np.empty(len(cells), CELL)
            active["place"], active["revision"] = agent.places[leased], self.revision[cells]
            active["level"] = agent.own_level[self.level[cells]]
            known = self._digest[agent.number] = active_digest(active)
        return known
