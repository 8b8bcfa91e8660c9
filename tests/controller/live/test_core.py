"""One thing at a time goes wrong between a live core and its agents."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from controller.live.core import LiveCore
from controller.live.events import (
    Alarm,
    Connected,
    Decided,
    Disconnected,
    GuardTick,
    Output,
    PlanTick,
    Reported,
    Stopped,
)
from hw.adapters.radio import CommandBatch, WakeBatch
from tests.controller.live.conftest import MakeCore
from tests.controller.live.doubles import SECOND_US, AgentDouble, Harness, journal_of, two_agents

ASLEEP_S = 2760  # all cells rest by then
QUIET = (0.03, 0.01, 0.05, 0.04, 0.02)
RESTING = [2, 5, 2, 2, 5]


@pytest.fixture
def night(live_core: MakeCore) -> Harness:
    """Both sites, resting since a minute."""
    harness = Harness(live_core(), two_agents(), lambda second: QUIET)
    harness.connect()
    harness.run(ASLEEP_S)
    assert harness.core.leases.level.tolist() == RESTING
    return harness


def restarted(harness: Harness, make: MakeCore, epoch: int = 1) -> Harness:
    """A new controller after what the journal of the last one says."""
    again = Harness(make(journal_of(harness.outputs, epoch)), list(harness.agents.values()), harness.load)
    again.now_s = harness.now_s
    return again


def said(harness: Harness) -> list[str]:
    return [record.text for _, out in harness.outputs for record in out.durable if isinstance(record, Alarm)]


def woken(out: Output) -> list[tuple[str, list[int]]]:
    return [(agent_id, batch.cell.tolist()) for agent_id, batch in out.wakes]


def levels(harness: Harness) -> list[int]:
    """As the plants have them."""
    return [a.level(p) for a in harness.agents.values() for p in range(len(a.cell_id))]


def report(harness: Harness, agent: AgentDouble, **change: object) -> Output:
    return harness.feed(Reported(replace(agent.report(harness.now_us, None), **change)))


def test_nothing_rests_before_an_interval_of_telemetry(live_core: MakeCore) -> None:
    harness = Harness(
        live_core(policy="timer"), two_agents(), lambda second: QUIET
    )  # its window is open already
    harness.connect()
    harness.feed(PlanTick(harness.now_us))
    harness.run(890)
    assert levels(harness) == [1] * 5
    harness.run(1000)
    assert max(levels(harness)) > 1


def test_an_agent_that_came_in_the_middle_of_an_interval_rests_after_the_next(
    live_core: MakeCore, restless: Path
) -> None:
    harness = Harness(live_core(policy="timer", profile=str(restless)), two_agents(), lambda second: QUIET)
    harness.connect("site-a")
    harness.feed(PlanTick(harness.now_us))
    harness.run(600)
    harness.connect("site-b")
    harness.run(1000)
    assert harness.core.leases.level.tolist() == [4, 5, 4, 1, 1]
    harness.run(1900)
    assert harness.core.leases.level.tolist() == [4, 5, 4, 4, 5]


def test_nothing_rests_on_a_stream_before_its_first_report(night: Harness) -> None:
    night.core.leases.wake(np.array([2]))
    night.feed(Disconnected("site-a"), Connected(night.agents["site-a"].inventory()))
    assert not night.feed(GuardTick(night.now_us + 10 * SECOND_US)).commands


def test_an_agent_without_reports_is_woken_within_the_lease(night: Harness) -> None:
    night.agents["site-b"].is_down = True
    night.run(ASLEEP_S + 60)
    assert night.core.leases.level.tolist() == [2, 5, 2, 1, 1]


def test_a_lease_of_another_boot_is_none_of_ours(night: Harness) -> None:
    out = report(night, night.agents["site-b"], boot_id=b"another boot    ")
    assert woken(out) == [("site-b", [0, 1])]


def test_a_restart_takes_running_leases_over(night: Harness, live_core: MakeCore) -> None:
    again = restarted(night, live_core)
    again.connect()
    again.run(ASLEEP_S + 300)
    assert levels(again) == RESTING
    assert not any(out.wakes or out.commands for _, out in again.outputs)
    assert again.core.epoch == 2


@pytest.mark.parametrize("loses", ["level", "revision", "lease"])
def test_a_restart_wakes_what_the_journal_does_not_bear_out(
    loses: str, night: Harness, live_core: MakeCore
) -> None:
    agent = night.agents["site-a"]
    revision, level, end = agent.lease[1]
    if loses == "lease":
        del agent.lease[1]
        agent.stuck[1] = 5
    else:
        agent.lease[1] = (revision + (loses == "revision"), level + (loses == "level"), end)
        agent.revision[1] = agent.lease[1][0]
    again = restarted(night, live_core)
    again.feed(Connected(agent.inventory()))
    out = report(again, agent)
    assert woken(out) == [("site-a", [1])]
    assert out.wakes[0][1].revision[0] > agent.lease.get(1, (revision, 0, 0))[0]
    again.run(ASLEEP_S + 120)
    assert levels(again)[1] == (5 if loses == "lease" else 1), "held awake until the next plan"


def test_cells_of_an_agent_that_never_comes_back_are_given_up(night: Harness, live_core: MakeCore) -> None:
    again = restarted(night, live_core)
    again.agents["site-b"].is_down = True
    again.connect("site-a")
    again.run(ASLEEP_S + 180)
    assert levels(again) == [2, 5, 2, 1, 1]
    again.agents["site-b"].is_down = False
    again.connect("site-b")
    again.run(ASLEEP_S + 300)
    assert levels(again) == [2, 5, 2, 1, 1]


def test_a_foreign_lease_is_woken(night: Harness) -> None:
    agent = night.agents["site-a"]
    agent.revision[0] = 40
    agent.lease[0] = (40, 4, night.now_us + 60 * SECOND_US)
    out = report(night, agent)
    assert woken(out) == [("site-a", [0])]
    assert out.wakes[0][1].revision.tolist() == [41]


def test_an_agent_that_restarts_has_no_lease_and_rests_after_a_whole_interval(night: Harness) -> None:
    agent = night.agents["site-b"]
    agent.reboot()
    report(night, agent)
    assert night.core.leases.level.tolist() == [2, 5, 2, 1, 1]
    night.run(3610)
    assert levels(night)[3:] == [1, 1], "the plan at 3600 s saw no whole interval of that boot"
    report(night, agent, boot_id=AgentDouble("site-b", (), ()).boot_id)
    assert night.core.alarms.set_aside["it is of an earlier boot"] == 1
    night.run(8000)
    assert levels(night)[3:] != [1, 1]


def test_a_digest_that_does_not_match_is_reconciled(night: Harness) -> None:
    agent = night.agents["site-a"]
    agent.lease.pop(2)
    agent.revision[2] = 0  # as if the command had never arrived
    night.run(ASLEEP_S + 120)
    assert night.core.leases.level.tolist() == [2, 5, 1, 2, 5]
    assert night.core.alarms.set_aside["renewal refused"] >= 1
    night.run(ASLEEP_S + 600)
    assert levels(night) == [2, 5, 1, 2, 5], "the others of the agent are renewed again"


def test_lost_commands_are_given_up(live_core: MakeCore) -> None:
    harness = Harness(live_core(), two_agents(), lambda second: QUIET)
    harness.connect()
    harness.drops = lambda agent_id, message: isinstance(message, CommandBatch)
    harness.run(ASLEEP_S + 120)
    assert levels(harness) == [1] * 5
    assert (harness.core.leases.level == 1).all()


def test_a_lost_wake_is_repeated(night: Harness) -> None:
    night.drops = lambda agent_id, message: isinstance(message, WakeBatch)
    night.load = lambda second: [0.9, 0.01, 0.05, 0.04, 0.02]
    night.run(ASLEEP_S + 80)
    assert levels(night)[0] == 2, "its lease runs on"
    night.drops = lambda agent_id, message: False
    wakes = len([out for _, out in night.outputs if out.wakes])
    night.agents["site-a"].lease[0] = (*night.agents["site-a"].lease[0][:2], night.now_us + 10**9)
    night.run(ASLEEP_S + 160)
    assert levels(night)[0] == 1
    assert len([out for _, out in night.outputs if out.wakes]) > wakes


def test_a_surge_wakes_within_a_guard_tick_and_the_plan_comes_back(night: Harness) -> None:
    began = night.now_s
    night.load = lambda second: [0.9 if second < began + 200 else 0.03, *QUIET[1:]]
    night.run(began + 60)
    assert levels(night)[:3] == [1, 1, 2], "its group, and nobody else"
    night.run(began + 600)
    assert levels(night) == RESTING


def test_a_cell_under_local_control_is_left_alone(night: Harness) -> None:
    agent = night.agents["site-a"]
    agent.local.add(1)
    agent.lease.pop(1)
    agent.stuck[1] = 6  # switched off by hand
    night.run(ASLEEP_S + 200)
    first = len(night.outputs)
    night.run(ASLEEP_S + 400)
    sent = [batch for _, out in night.outputs[first:] for _, batch in [*out.wakes, *out.commands]]
    assert not any(1 in batch.cell.tolist() for batch in sent if batch.cell.tolist() != [0])
    assert levels(night)[0] == 1, "nobody may count on the cell that is off"


def test_a_stuck_cell_is_alarmed_once(night: Harness) -> None:
    night.agents["site-b"].stuck[0] = 4
    night.run(ASLEEP_S + 1800)
    assert sum("cell b0 stands at another level" in text for text in said(night)) == 1


def test_a_refused_command_waits_for_the_next_plan(live_core: MakeCore) -> None:
    harness = Harness(live_core(), two_agents(), lambda second: QUIET)
    harness.connect()
    harness.agents["site-a"].refuses.add(1)
    harness.run(3590)
    commands = [b for _, out in harness.outputs for i, b in out.commands if i == "site-a" and 1 in b.cell]
    assert len(commands) == 1
    assert harness.core.leases.level[1] == 1


def test_without_plans_all_cells_wake_after_two_intervals(night: Harness) -> None:
    planned_s = 2700
    night.run(planned_s + 1780, plans=False)
    assert levels(night) == RESTING
    night.run(planned_s + 1840, plans=False)
    assert levels(night) == [1] * 5
    assert any("no plan for two planning intervals" in text for text in said(night))


def test_an_agent_that_reports_but_measures_nothing_is_silent(night: Harness) -> None:
    night.run(ASLEEP_S + 60)
    for _ in range(20):
        night.now_s += 20
        for agent in night.agents.values():
            agent.expire(night.now_us)
            report(night, agent)
        night.feed(GuardTick(night.now_us + 3 * SECOND_US))
    assert levels(night) == [1] * 5


def test_stop_wakes_all_and_lasts_over_a_restart(night: Harness, live_core: MakeCore) -> None:
    out = night.feed(Stopped("an operator", "fire"))
    assert woken(out) == [("site-a", [0, 1, 2]), ("site-b", [0, 1])]
    again = restarted(night, live_core)
    again.connect()
    again.run(ASLEEP_S + 7200)
    assert not any(out.commands or out.renewals for _, out in again.outputs)


def test_leases_that_outlive_a_stop_are_woken(night: Harness, live_core: MakeCore) -> None:
    stopped = replace(journal_of(night.outputs, 1), is_stopped=True)
    again = Harness(live_core(stopped), list(night.agents.values()), night.load)
    again.now_s = night.now_s
    again.connect()
    again.run(ASLEEP_S + 20)
    assert levels(again) == [1] * 5


def test_the_latch_of_an_agent_stops_its_cells_only(night: Harness) -> None:
    night.agents["site-b"].is_stopped = True
    night.run(ASLEEP_S + 7200)
    assert levels(night)[3:] == [1, 1]
    assert max(levels(night)[:3]) > 1


def test_a_shallower_level_waits_for_nothing(night: Harness) -> None:
    core: LiveCore = night.core
    core.wanted.planned[:] = [2, 5, 2, 2, 5]
    core.leases.command(np.array([0]), np.array([3], np.uint8))
    agent = night.agents["site-a"]
    agent.lease[0] = (int(core.leases.revision[0]), 3, night.now_us + 60 * SECOND_US)
    agent.revision[0] = agent.lease[0][0]
    report(night, agent)
    out = night.core.feed(GuardTick(night.now_us + 19 * SECOND_US))
    assert [(i, b.cell.tolist(), b.level.tolist()) for i, b in out.urgent] == [("site-a", [0], [2])]
    assert not out.commands
    assert [record.level.tolist() for record in out.durable if isinstance(record, Decided)] == [[2]]


@pytest.mark.parametrize(("heard", "told"), [("confirmed", 2), ("on its way", 1), ("silent", 1)])
def test_the_guard_loop_wakes_to_full_where_a_command_might_not_arrive(
    heard: str, told: int, night: Harness
) -> None:
    """A wake is obeyed whatever the agent stands at; a command of a level between may be refused."""
    core: LiveCore = night.core
    core.wanted.planned[:] = [3, 5, 2, 2, 5]
    core.wanted.guarded[:3] = [2, 9, 9]
    core.leases.command(np.array([0]), np.array([3], np.uint8))
    core.leases.confirmed[0] = heard != "on its way"
    core.fleet.agents[0].is_reconciled = heard != "silent"
    assert core.wanted.levels()[0][:3].tolist() == [told, 5, 2]


def test_inventories_are_held_against_the_cell_table(live_core: MakeCore) -> None:
    strange = AgentDouble("site-a", ("a2", "x9", "a2", "b0"), (False, True, False, False))
    harness = Harness(live_core(), [strange, two_agents()[1]], lambda second: [0.01] * 6)
    harness.connect("site-b", "site-a")
    strange.lease[1] = (5, 5, harness.now_us + 10 * SECOND_US)
    harness.run(10)
    assert 1 not in strange.lease, "a lease on a cell that nobody knows would spoil the digest"
    texts = said(harness)
    assert any("'x9', are not in the cell table" in text for text in texts)
    assert any("'a2', are reported by another agent or twice" in text for text in texts)
    harness.run(ASLEEP_S)
    harness.connect()
    assert strange.level(0) == 2
    assert strange.level(1) == strange.level(2) == strange.level(3) == 1
    assert said(harness) == texts, "said once"


def test_levels_in_another_order_or_without_full_service_are_refused(live_core: MakeCore) -> None:
    harness = Harness(live_core(), two_agents(), lambda second: QUIET)
    inventory = harness.agents["site-a"].inventory()
    for names, full in (
        (inventory.abilities.level_names[::-1], 1),
        (inventory.abilities.level_names, 4),
        (inventory.abilities.level_names, 9),
    ):
        abilities = replace(inventory.abilities, level_names=names, full_service_level=full)
        harness.core.feed(Connected(replace(inventory, abilities=abilities)))
        harness.core.feed(Reported(harness.agents["site-a"].report(harness.now_us, None)))
        assert (harness.core.fleet.agent_of == -1).all()
    harness.core.feed(Connected(replace(inventory, agent_id="nobody")))
    assert harness.core.alarms.set_aside["inventory of an agent that is not configured"] == 1


@pytest.mark.parametrize("absurd", [[3.0, 1.0, 5.0, 4.0, 2.0], [-0.01] * 5], ids=["percent", "negative"])
def test_absurd_traffic_wakes(absurd: list[float], night: Harness) -> None:
    night.load = lambda second: absurd
    night.run(ASLEEP_S + 60)
    assert levels(night) == [1] * 5
