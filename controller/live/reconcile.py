"""What agents say against what was commanded, and which cells that wakes.

A report is compared cell by cell, by revision:

- higher than ours: somebody else commanded the cell; what it is at is not ours;
- ours, at another level, though it was confirmed: the lease has ended;
- lower than ours: the command is on its way, until it has been for ``LOST_TICKS`` guard ticks.

At the first report of a stream, of a boot, and after a digest that did not match, nothing is on its way: only a lease
that runs with our very revision and level is taken over. Whatever sleeps without a lease of ours is woken, and held
awake until the next plan. Cells under local control are left alone. A level that the world does not have counts as
deeper than all others and is that of no command.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from controller.live.fleet import UNKNOWN_LEVEL, Agent, Cells
from controller.live.leases import LARGEST_REVISION, Leases
from hw.adapters.radio import Answers, Outcome, Report
from hw.world import SYMBOL

LOST_TICKS = 3  # guard ticks after which a command without a trace is taken as lost
# guard ticks after which a wake is repeated, then always after the last; a first report may be older than the wake
AGAIN_TICKS = (2, 3, 4, 6, 8, 12)
STUCK_TICKS = 6  # guard ticks at another level than commanded, from which on a cell counts as stuck


class Standing:
    """Where n cells stand, as their agents last said."""

    def __init__(self, leases: Leases, wake_ticks: NDArray[np.int64]) -> None:
        """``wake_ticks`` (L,): guard ticks for which a cell that was woken still shows the level it leaves."""
        n = len(leases.level)
        # nobody knows how long a cell takes to leave a level that the world does not have: no patience with it
        self._wake_ticks = np.zeros(UNKNOWN_LEVEL + 1, np.int64)
        self._wake_ticks[: len(wake_ticks)] = wake_ticks
        self.leases = leases
        self.reported = np.full(n, SYMBOL, np.uint8)  # (n,) level of the plant
        self.leased = np.full(n, SYMBOL, np.uint8)  # (n,) level by lease at the agent
        self.local = np.zeros(n, np.bool_)  # (n,) switched or locked by hand
        self.held = np.zeros(n, np.bool_)  # (n,) awake until the next plan
        self.differs_ticks = np.zeros(n, np.int64)  # (n,) guard ticks at another level than commanded
        self.stuck = np.zeros(n, np.bool_)  # (n,) long at another level than commanded

    @property
    def unknown(self) -> NDArray[np.bool_]:
        """Cells at a level that the world does not have. (n,)"""
        return np.asarray(self.reported == UNKNOWN_LEVEL)

    def take(self, agent: Agent, report: Report) -> Cells:
        """Take in a valid report. Returns cells to wake, which are at a level that is not ours."""
        cells, places = agent.cells, agent.places
        leased = agent.world_level[report.commanded_level[places]]
        self.reported[cells] = agent.world_level[report.level[places]]
        self.leased[cells] = leased
        self.local[cells] = report.local_control[places]
        agent.is_stopped = report.is_stopped
        agent.pass_report()
        if not agent.is_reconciled:
            agent.is_reconciled = True
            return self._reconcile(cells, leased, report.revision[places], report.lease_left_ms[places])
        return self._follow(cells, leased, report.revision[places])

    def answered(self, agent: Agent, answers: Answers) -> Cells:
        """Take in valid answers. Returns cells to wake, whose command was refused while they are at a deeper level."""
        if agent.inventory is None or not len(agent.cells):
            return agent.cells[:0]
        number = np.full(agent.inventory.abilities.n_cells, -1, np.int64)
        number[agent.places] = agent.cells
        cells = number[answers.cell]
        ours = cells >= 0
        ours[ours] = answers.revision[ours] == self.leases.revision[cells[ours]]
        done = np.isin(answers.outcome, (Outcome.ACCEPTED, Outcome.APPLIED))
        applied = ours & (answers.outcome == Outcome.APPLIED)
        self.leases.confirm(cells[applied])
        refused = ours & ~done
        # a refused wake is repeated at the next guard tick
        refused[refused] = self.leases.level[cells[refused]] > SYMBOL
        level = agent.world_level[np.minimum(answers.level, len(agent.world_level) - 1)]
        return self._give_up(cells[refused], level[refused])

    def lose(self, agent: Agent) -> None:
        """An agent restarted: none of its leases is left."""
        deep = agent.cells[self.leases.level[agent.cells] > SYMBOL]
        self.leases.drop(deep)
        self.held[deep] = True

    def pass_tick(self, heard: NDArray[np.bool_]) -> Cells:
        """A guard tick in which ``heard`` (n,) cells were reported. Returns cells to wake once more.

        A wake is repeated until the cell is awake; a command without a trace is given up.
        """
        leases = self.leases
        leases.pass_tick()
        deep = (self.reported > SYMBOL) | (self.leased > SYMBOL)
        differs = heard & (
            (np.maximum(self.reported, SYMBOL) != leases.level)
            | (np.maximum(self.leased, SYMBOL) != leases.level)
        )
        waking = (self.reported > leases.level) & (np.maximum(self.leased, SYMBOL) == leases.level)
        patience = np.where(waking, self._wake_ticks[np.maximum(self.reported, SYMBOL)], 0)
        self.differs_ticks = np.where(differs, self.differs_ticks + 1, 0)
        late = self.differs_ticks - patience
        self.stuck = (late >= STUCK_TICKS) & ~self.local
        lost = np.flatnonzero((leases.level > SYMBOL) & (leases.pending_ticks >= LOST_TICKS) & heard)
        due = np.isin(late, AGAIN_TICKS) | ((late > 0) & (late % AGAIN_TICKS[-1] == 0))
        asleep = differs & deep & (leases.level <= SYMBOL) & ~self.local & due
        return np.union1d(np.flatnonzero(asleep), self._give_up(lost))

    def _reconcile(
        self,
        cells: Cells,
        leased: NDArray[np.uint8],
        revision: NDArray[np.uint64],
        left_ms: NDArray[np.int64],
    ) -> Cells:
        leases = self.leases
        level = leases.level[cells]
        local = self.local[cells]
        same = (revision == leases.revision[cells]) & (leased == level)
        kept = same & (level > SYMBOL) & (left_ms > 0) & ~local
        leases.raise_to(cells, revision)
        leases.confirm(cells[kept])
        self.held[cells[~kept]] = True
        leases.drop(cells[~kept])
        deep = (leased > SYMBOL) | (self.reported[cells] > SYMBOL)
        return np.asarray(cells[deep & ~kept & ~local])

    def _follow(self, cells: Cells, leased: NDArray[np.uint8], revision: NDArray[np.uint64]) -> Cells:
        leases = self.leases
        own, level = leases.revision[cells], leases.level[cells]
        foreign = revision > own
        same = (revision == own) & (leased == level)
        ended = (revision == own) & ~same & leases.confirmed[cells]
        leases.confirm(cells[same])
        if not (foreign | ended).any():
            return cells[:0]
        leases.raise_to(cells[foreign], revision[foreign])
        gone = cells[foreign | ended]
        wake = self._give_up(gone)
        return wake[~self.local[wake]]

    def _give_up(self, cells: Cells, level: NDArray[np.uint8] | None = None) -> Cells:
        """No lease of ours holds for cells (k,), which are at ``level`` (k,). Returns those that are to be woken."""
        self.held[cells[self.leases.level[cells] > SYMBOL]] = True
        self.leases.drop(cells)
        deep = (self.reported[cells] > SYMBOL) | (self.leased[cells] > SYMBOL)
        if level is not None:
            deep |= level > SYMBOL
        return np.asarray(cells[deep])


def report_fault(agent: Agent, report: Report) -> str:
    """Why a report cannot be used, empty where it can."""
    have = agent.inventory
    assert have is not None
    n, n_levels = have.abilities.n_cells, len(have.abilities.level_names)
    states = (
        report.level,
        report.commanded_level,
        report.revision,
        report.lease_left_ms,
        report.local_control,
    )
    samples = (n, *report.carried.shape[1:2])
    measured = (report.carried, *(x for x in (report.throughput, report.energy_wh) if x.size))
    if any(x.shape != (n,) for x in states) or any(x.ndim != 2 or x.shape != samples for x in measured):
        return "its lists do not have one value a cell"
    if n and max(int(report.level.max()), int(report.commanded_level.max())) >= n_levels:
        return "it names a level that its inventory does not have"
    if n and int(report.revision.max()) > LARGEST_REVISION:
        return "it holds a revision beyond all bounds"
    if report.boot_id in agent.past_boots:
        return "it is of an earlier boot"
    if report.boot_id == agent.boot_id and (
        report.sequence <= agent.sequence or report.monotonic_us < agent.monotonic_us
    ):
        return "it is no newer than the last one"
    return ""


def answers_fault(agent: Agent, answers: Answers) -> str:
    """Why answers cannot be used, empty where they can."""
    n = 0 if agent.inventory is None else agent.inventory.abilities.n_cells
    k = len(answers.cell)
    lists = (answers.revision, answers.outcome, answers.cause, answers.level)
    if any(one.shape != (k,) for one in lists):
        return "its lists differ in length"
    if k and not 0 <= int(answers.cell.min()) <= int(answers.cell.max()) < n:
        return "it names a cell that its inventory does not have"
    return ""
