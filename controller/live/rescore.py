"""A recorded run under another policy: what it would have held, changed and drawn with the same traffic.

Both sides are counted alike, in the samples of the reports: the level that is commanded when a report comes in holds
for the samples in it. Traffic is what each cell carried, so what neighbours carried for a sleeping cell stays with
them: a difference in energy is that of the levels, not of a new distribution of the traffic.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from controller.live.events import Connected, Decided, Event, Reported, Taken, Woken
from controller.live.follower import Followers
from controller.live.journal_reader import JournalReader, Lost
from controller.live.rerun import Core
from controller.live.table_power import table_power
from hw.adapters.radio import Inventory, Report
from hw.world import SYMBOL, World

Float64 = NDArray[np.float64]
MAX_NAMED = 20  # cells that are named as different


@dataclass(frozen=True, slots=True)
class Side:
    """What one policy did. L levels of the world."""

    cell_hours: Float64  # (L,) held
    changes_per_cell_day: float
    energy: float  # [power_unit x h]


@dataclass(frozen=True, slots=True)
class Score:
    """A recorded run beside the same inputs under another policy."""

    level_names: tuple[str, ...]
    power_unit: str
    recorded: Side
    rescored: Side
    cells: int
    differing_cells: list[tuple[str, float]]  # name and hours at another level, the most first
    n_differing: int
    lost_records: int  # inputs that are missing


class _Tally:
    """Sums of one policy over n cells."""

    def __init__(self, n_cells: int, n_levels: int) -> None:
        self.level = np.full(n_cells, SYMBOL, np.uint8)
        self.hours = np.zeros(n_levels)
        self.energy = 0.0
        self.changes = 0

    def command(self, record: object) -> None:
        """Take in what was decided."""
        if isinstance(record, Decided | Woken):
            self.changes += len(record.cell)
            self.level[record.cell] = record.level if isinstance(record, Decided) else SYMBOL

    def side(self, cell_days: float) -> Side:
        """The figures."""
        return Side(self.hours, self.changes / cell_days if cell_days else 0.0, self.energy)


class _Rescoring:
    """Both sides of one run."""

    def __init__(self, cell_id: NDArray[np.str_], world: World) -> None:
        n = len(cell_id)
        self._number = {str(name): i for i, name in enumerate(cell_id)}
        self._world = world
        self._cells: dict[str, tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.int32]]] = {}
        self.recorded = _Tally(n, world.n_levels)
        self.rescored = _Tally(n, world.n_levels)
        self.differs_h = np.zeros(n)
        self.cell_hours = 0.0

    def connect(self, inventory: Inventory) -> None:
        """Find the cells of an agent, and their models."""
        have = inventory.abilities
        number = np.array([self._number.get(name, -1) for name in have.cell_id], np.intp)
        places = np.flatnonzero(number >= 0)
        names, products = np.array(have.cell_id), np.array(have.product)
        models = self._world.models_of(products[places], names[places])
        self._cells[inventory.agent_id] = (places, number[places], models)

    def count(self, report: Report) -> None:
        """Book the samples of a report on both sides."""
        if report.agent_id not in self._cells or not report.carried.size:
            return
        places, number, models = self._cells[report.agent_id]
        carried = report.carried[places]
        hours = report.interval_ms / 3.6e6
        for tally in (self.recorded, self.rescored):
            level = tally.level[number]
            tally.hours += np.bincount(level, minlength=len(tally.hours)) * (carried.shape[1] * hours)
            tally.energy += float(np.nansum(draw(self._world, models, level, carried))) * hours
        apart = self.recorded.level[number] != self.rescored.level[number]
        self.differs_h[number[apart]] += carried.shape[1] * hours
        self.cell_hours += carried.size * hours


def draw(
    world: World, model: NDArray[np.int32], level: NDArray[np.uint8], carried: NDArray[np.float32]
) -> Float64:
    """Power of n cells at their levels with the traffic carried (n, s), NaN where not known. (n, s) [power_unit]"""
    at = (model, level)
    return table_power(world.rate_ratio[at], world.power[at], world.ul_power[at], world.ul_per_dl, carried)


def rescore(
    journal: JournalReader, run: int, make_core: Callable[[], Core], cell_id: NDArray[np.str_], world: World
) -> Score:
    """Feed the inputs of a run to a core with another policy, before agents that follow it.

    ``make_core`` gives a core that has resumed nothing; ``cell_id`` (n,) are the names of the network's cells. Raises
    JournalError where the beginning of the run is not kept.
    """
    both, agents, core = _Rescoring(cell_id, world), Followers(), make_core()
    last = journal.state_before(run).commands()
    both.recorded.level[last.cell] = last.level
    lost = 0
    for record in journal.records(run):
        if isinstance(record, Lost):
            lost += record.records
        elif not isinstance(record, Taken):
            both.recorded.command(record)
        else:
            _feed(core, agents, both, record.event)
    cell_days = both.cell_hours / 24
    order = np.argsort(-both.differs_h, kind="stable")[:MAX_NAMED]
    named = [(str(cell_id[i]), float(both.differs_h[i])) for i in order if both.differs_h[i] > 0]
    return Score(
        world.level_names,
        world.power_unit,
        both.recorded.side(cell_days),
        both.rescored.side(cell_days),
        len(cell_id),
        named,
        int((both.differs_h > 0).sum()),
        lost,
    )


def _feed(core: Core, agents: Followers, both: _Rescoring, event: Event) -> None:
    """One recorded event, and all that comes of it before the next."""
    if isinstance(event, Connected):
        both.connect(event.inventory)
    if isinstance(event, Reported):
        both.count(event.report)
    first = agents.instead_of(event)
    queue = deque([] if first is None else [first])
    while queue:
        output = core.feed(queue.popleft())
        for made in output.durable:
            both.rescored.command(made)
        queue.extend(agents.carry_out(output))
