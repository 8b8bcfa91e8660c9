"""Which power agent has which site, and where each agent stands.

A site is a number among those of the sites file here, and a place in an inventory at an agent. In what power agents
share with radio agents, ``Agent.cells`` are sites.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from controller.live.electorate import Electorate
from controller.live.fleet import NO_CELLS, Agent, Assigned
from hw.adapters.power import PowerInventory

Sites = NDArray[np.int64]
Float64 = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(slots=True)
class PowerAgent(Agent):
    """One power agent. ``cells`` are its k sites that are in the sites file."""

    power: PowerInventory | None = None
    last_end_us: int = 0  # Unix time at which the last sample taken in ended

    @property
    def longest_term_ms(self) -> int | None:
        """Longest lease that it grants, None before its inventory. [ms]"""
        return None if self.power is None else self.power.longest_term_ms


class PowerFleet(Assigned[PowerAgent]):
    """All power agents and the n sites with power."""

    def __init__(
        self, agent_ids: Sequence[str], site_ids: Sequence[str], electorate: Electorate | None = None
    ) -> None:
        n = len(site_ids)
        super().__init__([PowerAgent(name, i) for i, name in enumerate(agent_ids)], n, electorate)
        self.site_ids = tuple(site_ids)
        self._number_of = {name: i for i, name in enumerate(site_ids)}
        # what the agents' inventories say; (n,) each
        self.charge_max_w, self.discharge_max_w = np.zeros(n), np.zeros(n)
        self.reserve_wh, self.import_cap_w = np.full(n, np.inf), np.zeros(n)
        self.is_simulated = np.zeros(n, np.bool_)

    def join(self, agent: PowerAgent, inventory: PowerInventory) -> list[str]:
        """Take in an inventory. Returns what is wrong with it, one sentence for each kind of problem."""
        self.agent_of[agent.cells] = self.place_of[agent.cells] = -1
        self.reserve_wh[agent.cells] = np.inf
        agent.cells = agent.places = agent.strangers = NO_CELLS
        agent.power, has = inventory, inventory.abilities
        found = np.full(has.n_sites, -1, np.int64)
        unknown, taken, seen = [], [], set()
        for place, name in enumerate(has.site_id):
            number = self._number_of.get(name, -1)
            if number < 0:
                unknown.append(name)
            elif number in seen or self.agent_of[number] >= 0:
                taken.append(name)
            else:
                found[place] = number
                seen.add(number)
        agent.places, agent.strangers = np.flatnonzero(found >= 0), np.flatnonzero(found < 0)
        agent.cells = found[agent.places]
        self.agent_of[agent.cells], self.place_of[agent.cells] = agent.number, agent.places
        for name in ("charge_max_w", "discharge_max_w", "reserve_wh", "import_cap_w"):
            getattr(self, name)[agent.cells] = getattr(has, name)[agent.places]
        self.is_simulated[agent.cells] = has.is_simulated
        said = (
            (unknown, "are not in the sites file; add them to it"),
            (taken, "are reported by another agent or twice; let one agent have each site"),
        )
        return [
            f"agent {agent.agent_id!r}: {len(names)} sites, such as {names[0]!r}, {what}. They charge safely"
            for names, what in said
            if names
        ]
