"""Agents with a level of their own, which the world of the controller does not have."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from controller.live.control_view import LiveView
from controller.live.events import Alarm, GuardTick, Output, PlanTick
from controller.live.looking import look
from controller.live.metrics import Metrics
from controller.live.watchdog import Notifier
from controller.live.watching import Watcher
from hw.adapters.control import CellQuery, LevelCount
from hw.adapters.radio import Inventory
from hw.ports import HostClock
from tests.controller.live.conftest import MakeCore
from tests.controller.live.doubles import LEVELS, AgentDouble, Harness, journal_of, live_config, two_agents

VENDOR = len(LEVELS)  # the agent's number of its level
QUIET = (0.03, 0.01, 0.05, 0.04, 0.02)


class VendorAgent(AgentDouble):
    """An agent of plants with one level more than the world knows."""

    def inventory(self) -> Inventory:
        known = super().inventory()
        abilities = replace(
            known.abilities,
            level_names=(*LEVELS, "vendor_nap"),
            wake_ms=np.append(known.abilities.wake_ms, 0),
            off_air=np.append(known.abilities.off_air, False),
            allowed=np.ones((len(self.cell_id), len(LEVELS) + 1), np.bool_),
        )
        return replace(known, abilities=abilities)


def harness(core: Any, **of_b: Any) -> Harness:
    """The network of two sites, the second one with ``of_b`` of a vendor's."""
    agents = [two_agents()[0], VendorAgent("site-b", ("b0", "b1"), (False, True), **of_b)]
    made = Harness(core, agents, lambda second: QUIET)
    made.connect()
    return made


def woken(made: Harness) -> int:
    """How often a wake went to place 1 of the second site."""
    return sum(1 in b.cell for _, out in made.outputs for agent, b in out.wakes if agent == "site-b")


@pytest.mark.parametrize("policy", ["threshold", "predictive"])
def test_one_under_local_control_harms_nobody_and_is_left_alone(live_core: MakeCore, policy: str) -> None:
    made = harness(live_core(policy=policy), stuck={1: VENDOR}, local={1})
    made.run(2760)
    assert woken(made) == 0
    assert made.agents["site-a"].lease, "all other cells follow plans"
    assert made.core.wanted.levels()[0][[3, 4]].tolist() == [1, 1], "nobody counts on it"


def test_one_that_nobody_switched_is_woken_again_and_again_and_is_told(live_core: MakeCore) -> None:
    made = harness(live_core(), stuck={1: VENDOR})
    made.run(2760)
    assert woken(made) > 3
    texts = [record.text for _, out in made.outputs for record in out.durable if isinstance(record, Alarm)]
    assert any("b1 stands at another level" in text for text in texts)


def test_a_cell_that_goes_there_by_itself_is_woken_at_the_next_guard_tick(live_core: MakeCore) -> None:
    made = harness(live_core())
    made.run(2760)
    agent, before = made.agents["site-b"], woken(made)
    assert 1 in agent.lease
    agent.stuck[1] = VENDOR
    made.run(2780, plans=False)
    assert woken(made) == before + 1
    made.feed(PlanTick(made.now_us + 900_000_000))
    assert made.core.leases.level[4] == 1, "no plan leads it back"


def test_operators_see_it_as_unknown(live_core: MakeCore) -> None:
    core = live_core()
    made = harness(core, stuck={1: VENDOR}, local={1})
    made.run(100)
    clock, metrics = HostClock(), Metrics(LEVELS, by_agent=False)
    watcher = Watcher(lambda unix_us: look(core, unix_us), clock, Notifier(""), metrics)
    watcher.fed(GuardTick(made.now_us), Output(), 0.1)
    view = LiveView(live_config("x"), core.fleet, watcher, clock)
    assert view.status().levels[-1] == LevelCount("unknown", 0, 1)
    assert [cell.reported for cell in view.cells(CellQuery())[0]] == [*["symbol"] * 4, "unknown"]
    assert metrics.registry.get_sample_value("quietcell_cells_reported", {"level": "unknown"}) == 1


def test_a_journal_of_a_world_with_more_levels_is_resumed(live_core: MakeCore) -> None:
    made = harness(live_core())
    made.run(2760)
    resumed = journal_of(made.outputs, 1)
    core = live_core(replace(resumed, level=(resumed.level + len(LEVELS)).astype(np.uint8)))
    again = Harness(core, list(made.agents.values()), made.load)
    again.now_s = made.now_s
    again.connect()
    again.run(made.now_s + 60)
    assert not any(agent.lease for agent in made.agents.values()), (
        "all were deeper than this controller knows"
    )
