"""Which agent has which cell of the network, and where each agent stands.

A cell is a number in the network's cell table here, and a place in an inventory at an agent; a level is a number in
the world here, and a place in the inventory's levels there. What an inventory says that the cell table does not bear
out makes a cell or a whole agent unusable: it stays at full service.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from controller.live.electorate import Electorate
from hw.adapters.radio import Inventory
from hw.world import SYMBOL

Cells = NDArray[np.int64]
UNKNOWN_LEVEL = 255  # of a cell that is at a level which the world does not have
UNKNOWN = "unknown"  # its name
RECHECK_REPORTS = 2  # the first report after a refused renewal may have been made before it
MAX_BOOTS = 8  # past boots of an agent that are remembered
NO_CELLS = np.zeros(0, np.int64)


@dataclass(slots=True)
class Agent:
    """One agent. k of its cells are in the cell table; L levels of its inventory."""

    agent_id: str
    number: int
    inventory: Inventory | None = None
    cells: Cells = field(default_factory=lambda: NO_CELLS)  # (k,) numbers in the cell table
    places: Cells = field(default_factory=lambda: NO_CELLS)  # (k,) their places in the inventory
    strangers: Cells = field(default_factory=lambda: NO_CELLS)  # places of cells that are not in the table
    world_level: NDArray[np.uint8] = field(default_factory=lambda: np.zeros(0, np.uint8))  # (L,)
    own_level: Cells = field(default_factory=lambda: NO_CELLS)  # by level of the world, -1 where it has none
    boot_id: bytes = b""
    past_boots: tuple[bytes, ...] = ()
    monotonic_us: int = 0  # of the last report
    plan_us: int = 0  # of the last report before the last plan
    sequence: int = 0
    is_connected: bool = False
    is_reconciled: bool = False
    is_stopped: bool = False
    follows_other: bool = False  # says that it follows a later leader
    recheck_reports: int = 0  # reports until its state is to be reconciled anew; 0: never
    reports: int = 0  # since the last guard tick
    silent_ticks: int = 0  # guard ticks in a row without a report
    first_sample: int = -1  # number of the first sample of this boot; -1: none yet
    last_sample: int = -1

    @property
    def longest_term_ms(self) -> int | None:
        """Longest lease that it grants, None before its inventory. [ms]"""
        return None if self.inventory is None else self.inventory.longest_term_ms

    @property
    def may_rest(self) -> bool:
        """Whether its cells may be commanded to rest, for all that is known of the agent itself."""
        return self.is_connected and self.is_reconciled and not self.follows_other

    def recheck(self) -> None:
        """Reconcile its state anew, once a report comes that was surely made from now on."""
        self.recheck_reports = self.recheck_reports or RECHECK_REPORTS

    def pass_report(self) -> None:
        """A report has come."""
        if self.recheck_reports:
            self.recheck_reports -= 1
            self.is_reconciled &= self.recheck_reports > 0

    def begin_stream(self) -> None:
        """Begin a new stream: it has an order of its own, and what the last report said is no longer held to."""
        self.monotonic_us = self.sequence = self.silent_ticks = 0
        self.is_connected, self.is_reconciled = True, False

    def begin_boot(self, boot_id: bytes) -> None:
        """Begin a new boot: its reports and samples count anew, and those of the boot before no more."""
        before = [boot for boot in (*self.past_boots, self.boot_id) if boot not in (b"", boot_id)]
        self.past_boots = tuple(before[-MAX_BOOTS:])
        self.boot_id = boot_id
        self.monotonic_us = self.sequence = self.plan_us = 0
        self.first_sample = self.last_sample = -1
        self.is_reconciled, self.recheck_reports = False, 0


A = TypeVar("A", bound=Agent)


class Assigned(Generic[A]):
    """Agents, and which of them has which of n cells or sites at which place of its inventory."""

    def __init__(self, agents: Sequence[A], n: int, electorate: Electorate | None = None) -> None:
        """``electorate``: None where no other agents vote."""
        self.agents = list(agents)
        self.electorate = electorate or Electorate(len(agents))
        self._by_id = {agent.agent_id: agent for agent in agents}
        self.agent_of = np.full(n, -1, np.int64)  # (n,) -1: no agent has it
        self.place_of = np.full(n, -1, np.int64)

    def get(self, agent_id: str) -> A | None:
        """The agent of a name, None where none is configured."""
        return self._by_id.get(agent_id)

    def of_agents(self, values: Sequence[bool]) -> NDArray[np.bool_]:
        """What is said of agents, by cell or site; False for those without one. (n,)"""
        padded = np.array([*values, False], np.bool_)
        return np.asarray(padded[self.agent_of])

    def by_agent(self, numbers: Cells) -> Iterator[tuple[A, NDArray[np.intp]]]:
        """Agents of cells or sites (k,) in their order, with the places of their own in ``numbers``."""
        agent = self.agent_of[numbers]
        order = np.argsort(agent, kind="stable")
        starts = np.flatnonzero(np.diff(agent[order], prepend=-1))
        for own in np.split(order[starts[0] :], starts[1:] - starts[0]) if len(starts) else ():
            yield self.agents[agent[own[0]]], own


class EnergyUnit(NamedTuple):
    """What energies of the world are given in."""

    name: str
    wh: float | None  # of one unit; None where W is not known


class Fleet(Assigned[Agent]):
    """All agents and cells. n cells, L levels of the world."""

    def __init__(
        self,
        agent_ids: Sequence[str],
        cell_id: NDArray[np.str_],
        product: NDArray[np.str_],
        allowed: NDArray[np.bool_],
        asleep: NDArray[np.bool_],
        level_names: tuple[str, ...],
        unit: EnergyUnit,
        electorate: Electorate | None = None,
    ) -> None:
        """``product`` (n,) "" unknown; ``allowed`` (n, L) by role and topology; ``asleep`` (L,) off air."""
        super().__init__([Agent(name, i) for i, name in enumerate(agent_ids)], len(cell_id), electorate)
        self._names = [str(name) for name in cell_id]
        self._number_of = {str(name): i for i, name in enumerate(cell_id)}
        self._product, self._by_role, self._asleep, self.unit = product, allowed, asleep, unit
        self._level_of = {name: level for level, name in enumerate(level_names)}
        self.allowed = np.zeros_like(allowed)  # (n, L) at its agent too

    @property
    def level_names(self) -> tuple[str, ...]:
        """Levels of the world, shallow to deep."""
        return tuple(self._level_of)

    @property
    def names(self) -> tuple[str, ...]:
        """Identifiers of the cells, by number."""
        return tuple(self._names)

    def name(self, cell: int) -> str:
        """Identifier of a cell."""
        return self._names[cell]

    def join(self, agent: Agent, inventory: Inventory) -> list[str]:
        """Take in the inventory of an agent. Returns what is wrong with it, one sentence for each kind of problem."""
        self._leave(agent)
        agent.inventory = inventory
        problem = self._unusable(inventory)
        if problem:
            return [problem]
        have = inventory.abilities
        levels = [self._level_of.get(name, UNKNOWN_LEVEL) for name in have.level_names]
        agent.world_level = np.array(levels, np.uint8)
        agent.own_level = np.full(len(self._level_of), -1, np.int64)
        known = np.flatnonzero(agent.world_level < UNKNOWN_LEVEL)
        agent.own_level[agent.world_level[known]] = known
        found, problems = self._find_cells(agent, inventory)
        agent.places = np.flatnonzero(found >= 0)
        agent.strangers = np.flatnonzero(found < 0)
        agent.cells = found[agent.places]
        self.agent_of[agent.cells], self.place_of[agent.cells] = agent.number, agent.places
        offered = np.zeros((have.n_cells, len(self._level_of)), np.bool_)
        offered[:, agent.world_level[known]] = have.allowed[:, known]
        offered &= ~self._asleep | have.is_capacity[:, None]
        self.allowed[agent.cells] = self._by_role[agent.cells] & offered[agent.places]
        return problems

    def _leave(self, agent: Agent) -> None:
        """Take the cells from an agent."""
        self.agent_of[agent.cells] = self.place_of[agent.cells] = -1
        self.allowed[agent.cells] = False
        agent.cells = agent.places = agent.strangers = NO_CELLS

    def _find_cells(self, agent: Agent, inventory: Inventory) -> tuple[Cells, list[str]]:
        """Number of each cell of an inventory, -1 where it cannot be used, and why."""
        have = inventory.abilities
        found = np.full(have.n_cells, -1, np.int64)
        unknown, taken, other, seen = [], [], [], set()
        for place, name in enumerate(have.cell_id):
            number = self._number_of.get(name, -1)
            if number < 0:
                unknown.append(name)
            elif number in seen or self.agent_of[number] >= 0:
                taken.append(name)
            elif "" not in (self._product[number], have.product[place]) and (
                self._product[number] != have.product[place]
            ):
                other.append(name)
            else:
                found[place] = number
                seen.add(number)
        said = (
            (unknown, "are not in the cell table; add them to it"),
            (taken, "are reported by another agent or twice; let one agent have each cell"),
            (other, "have another product than the cell table says; correct the table"),
        )
        return found, [
            f"agent {agent.agent_id!r}: {len(names)} cells, such as {names[0]!r}, {what}. They stay at full service"
            for names, what in said
            if names
        ]

    def _unusable(self, inventory: Inventory) -> str:
        """Why nothing of an inventory can be used, empty where it can."""
        have = inventory.abilities
        n, n_levels, full = have.n_cells, len(have.level_names), have.full_service_level
        shapes = (
            len(have.product) == n
            and have.is_capacity.shape == (n,)
            and have.allowed.shape == (n, n_levels)
            and 0 <= full < n_levels
        )
        where = f"agent {inventory.agent_id!r}"
        if not shapes:
            return f"{where}: the lists of its inventory differ in length; correct the agent"
        known = [self._level_of[name] for name in have.level_names if name in self._level_of]
        if sorted(set(known)) != known:
            return f"{where}: its levels do not run from shallow to deep; correct the agent"
        level = self._level_of.get(have.level_names[full])
        if level is None or level > SYMBOL:
            return f"{where}: it falls back to {have.level_names[full]!r}, which is no full service; correct the agent"
        return ""
