"""Which level each cell is wanted at: as planned, awake where the guard loop or anything else says so."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from controller.live.fleet import Agent, Cells, Fleet
from controller.live.ladder import Ladder
from controller.live.readiness import Readiness
from controller.live.reconcile import STUCK_TICKS, Standing
from hw.world import DEEPEST, SYMBOL
from policies.policy import Reason

Mask = NDArray[np.bool_]
UInt8 = NDArray[np.uint8]


class Wanted(Readiness):
    """Plan, and everything that keeps a cell awake in spite of it. n cells."""

    def __init__(
        self,
        fleet: Fleet,
        standing: Standing,
        group_of: NDArray[np.intp],
        ladder: Ladder,
        is_stopped: bool,
    ) -> None:
        super().__init__(fleet, is_stopped=is_stopped)
        n = len(group_of)
        self._ladder = ladder
        self._fleet, self._standing, self._group_of = fleet, standing, group_of
        self.planned = standing.leases.level.copy()  # (n,)
        self._reason = np.full(n, Reason.FIXED, np.uint8)
        self.freed = np.zeros(
            n, np.bool_
        )  # (n,) may rest since the last plan, and so no deeper before the next
        self.guarded = np.full(n, DEEPEST, np.uint8)  # (n,) level that the guard loop lets no cell go below
        self.slow = np.zeros(n, np.bool_)  # (n,) awake for the users of their group, until the next plan
        self.no_agent_is_silent = False  # whether cells without an agent count as silent by now

    def plan(self, level: UInt8, reason: UInt8, first_sample: int, now_us: int) -> None:
        """A new plan, made from samples since ``first_sample``: agents not heard that long go no deeper."""
        fleet, standing = self._fleet, self._standing
        whole = self._fleet.of_agents([0 <= agent.first_sample <= first_sample for agent in fleet.agents])
        level = np.maximum(level, SYMBOL)
        self.guarded = np.where(self.surging, self.guarded, DEEPEST).astype(np.uint8)
        self.planned = np.where(whole, level, np.minimum(level, standing.leases.level)).astype(np.uint8)
        self._reason = np.where(whole, reason, Reason.GUARD_UNHEARD).astype(np.uint8)
        standing.held[:] = self.freed[:] = self.slow[:] = False
        self.begin_plan(now_us)

    @property
    def surging(self) -> Mask:
        """Cells that the guard loop has woken from their planned level. (n,)"""
        return self.guarded < self.planned

    def end_plan(self) -> None:
        """No plan holds any more: all cells are wanted awake."""
        self.planned = np.full_like(self.planned, SYMBOL)
        self._reason = np.full_like(self._reason, Reason.GUARD_STOPPED)

    def levels(self) -> tuple[UInt8, UInt8]:
        """Level and reason of each cell. (n,) each"""
        fleet, standing = self._fleet, self._standing
        level, reason = self.planned.copy(), self._reason.copy()
        self._limit(level, reason)
        self._guard(level, reason)
        cells = np.arange(len(level))
        silent = self._fleet.of_agents(self.silent.tolist())
        silent[fleet.agent_of < 0] = self.no_agent_is_silent
        unusable = (fleet.agent_of >= 0) & ~fleet.allowed[cells, level]
        for stays, why in (
            (self.slow, Reason.GUARD_SERVICE),
            (unusable, Reason.GUARD_LEVEL),
            (
                standing.held | standing.local | standing.unknown | self._beside_missing(),
                Reason.GUARD_UNACCOUNTED,
            ),
            (silent, Reason.GUARD_TELEMETRY),
            (self.led_by_other(), Reason.GUARD_STOPPED),
            (self.stopped(), Reason.GUARD_STOPPED),
        ):
            awake = stays & (level > SYMBOL)
            level[awake], reason[awake] = SYMBOL, why
        return level, reason

    def _guard(self, level: UInt8, reason: UInt8) -> None:
        """Wake cells as the guard loop says, in place; to full where a command of another level might not arrive."""
        woken = self.guarded < level
        if not woken.any():
            return
        leases = self._standing.leases
        unsure = (leases.level > self.guarded) & ~(self.ready() & leases.confirmed)
        level[woken] = np.where(unsure, np.minimum(self.guarded, SYMBOL), self.guarded)[woken]
        reason[woken] = Reason.GUARD_SURGE

    def _limit(self, level: UInt8, reason: UInt8) -> None:
        """Let no cell go deeper than the ladder says, in place."""
        deepest, why = self._ladder.deepest.copy(), self._ladder.why.copy()
        real = self.real()
        deepest[real], why[real] = SYMBOL, Reason.GUARD_STAGE
        later = self.freed & (level > self._standing.leases.level)
        deepest[later] = np.minimum(deepest, self._standing.leases.level)[later]
        why[later] = Reason.GUARD_STAGE
        lower = level > deepest
        level[lower], reason[lower] = deepest[lower], why[lower]

    def withheld(self, plan_id: str, unix_us: int) -> tuple[Cells, UInt8, UInt8]:
        """Show the plan to the ladder. Returns the cells that may not follow it, their planned levels and reasons."""
        real = self.real()
        kept = self._ladder.plan(plan_id, np.where(real, SYMBOL, self.planned).astype(np.uint8), unix_us)
        cells = np.flatnonzero(kept | (real & (self.planned > SYMBOL)))
        return cells, self.planned[cells], self._reason[cells]

    def real(self) -> Mask:
        """Cells of plants that do not say that they are simulated. (n,)"""
        return self._fleet.of_agents(
            [
                agent.inventory is not None and not agent.inventory.abilities.is_simulated
                for agent in self._fleet.agents
            ]
        )

    def imagined(self) -> Mask:
        """Cells that do not follow plans and are planned on as if they did. (n,)"""
        return self._ladder.shadows | self.real()

    def may_wake(self, cells: Cells) -> Cells:
        """Of cells (k,) those that are not left alone: nothing is sent to those but the end of a lease of ours."""
        leases = self._standing.leases
        ours = (leases.level[cells] > SYMBOL) | ~leases.confirmed[cells]
        alone = self._ladder.alone[cells] | self.real()[cells] | self.led_by_other()[cells]
        return np.asarray(cells[ours | ~alone])

    def leaves_alone(self, agent: Agent) -> bool:
        """Whether no cell of an agent is any of ours; before its inventory, whether no cell at all is."""
        cells = np.arange(len(self.planned)) if agent.inventory is None else agent.cells
        return not len(self.may_wake(cells))

    def _beside_missing(self) -> Mask:
        """Cells of groups of which a cell has long been deeper than it should be: nobody may count on that one."""
        standing = self._standing
        missing = (standing.differs_ticks >= STUCK_TICKS) & (standing.reported > standing.leases.level)
        found = np.zeros(len(missing), np.bool_)
        if missing.any():
            found = np.isin(self._group_of, self._group_of[missing])
        return found
