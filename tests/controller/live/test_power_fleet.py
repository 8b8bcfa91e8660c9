"""Which power agent has which site: inventories against the sites file."""

from __future__ import annotations

import numpy as np

from controller.live.power.fleet import PowerFleet
from hw.adapters.power import PowerInventory
from hw.ports import PowerAbilities


def inventory(agent_id: str, *site_id: str) -> PowerInventory:
    rated = np.full(len(site_id), 1000.0)
    has_dead_man = np.ones(len(site_id), np.bool_)
    abilities = PowerAbilities(site_id, rated, rated, rated, rated, rated, has_dead_man)
    return PowerInventory(agent_id, b"boot", abilities, 60_000, 360_000, 0)


def test_a_site_has_one_place_at_one_agent() -> None:
    fleet = PowerFleet(["p1", "p2"], ["a", "b"])
    first, second = fleet.agents
    (problem,) = fleet.join(first, inventory("p1", "a", "a"))
    assert "1 sites, such as 'a', are reported by another agent or twice" in problem
    assert (first.cells.tolist(), first.places.tolist(), first.strangers.tolist()) == ([0], [0], [1])
    (problem,) = fleet.join(second, inventory("p2", "a", "b"))
    assert "such as 'a', are reported by another agent or twice" in problem
    assert fleet.agent_of.tolist() == [0, 1]
    assert fleet.place_of.tolist() == [0, 1]
