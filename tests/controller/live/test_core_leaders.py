"""A live core that is not the only one: later leaders, majorities, and the time after a take-over."""

from __future__ import annotations

import pytest

from controller.live.events import Led
from tests.controller.live.conftest import MakeCore
from tests.controller.live.doubles import SECOND_US, Harness, two_agents
from tests.controller.live.test_core import ASLEEP_S, QUIET, RESTING, levels, report, said, woken


@pytest.fixture
def night(live_core: MakeCore) -> Harness:
    """Both sites, resting since a minute."""
    harness = Harness(live_core(), two_agents(), lambda second: QUIET)
    harness.connect()
    harness.run(ASLEEP_S)
    assert harness.core.leases.level.tolist() == RESTING
    return harness


def test_a_later_leader_ends_sleep_for_as_long_as_a_majority_follows_it(night: Harness) -> None:
    woke = []
    for agent in night.agents.values():
        agent.epoch = 7
        woke += woken(report(night, agent))
    assert woke == [("site-a", [0, 1, 2]), ("site-b", [0, 1])]
    night.run(ASLEEP_S + 7200)
    later = night.outputs[-1000:]
    assert not any(out.commands or out.renewals or out.urgent or out.wakes for _, out in later)
    assert sum("2 agents follow a later leader" in text for text in said(night)) == 1
    for agent in night.agents.values():
        agent.epoch = 1  # none of them says so any more
    night.run(ASLEEP_S + 7200 + 3600)
    assert night.core.wanted.leads
    assert all(level > 1 for level in levels(night))


def test_one_agent_of_two_that_claims_another_leader_is_left_to_it(night: Harness) -> None:
    liar = night.agents["site-b"]
    liar.epoch = 2**63
    assert woken(report(night, liar)) == [("site-b", [0, 1])]
    assert night.core.wanted.leads
    night.run(ASLEEP_S + 1800)
    assert [level > 1 for level in levels(night)] == [True, True, True, False, False]
    told = [text for text in said(night) if "follows a later leader" in text]
    assert len(told) == 1
    assert "site-b" in told[0]
    liar.epoch = 1
    night.run(ASLEEP_S + 7200)
    assert all(level > 1 for level in levels(night))


def test_without_a_majority_nothing_is_commanded_or_renewed_and_cells_wake_with_their_leases(
    night: Harness,
) -> None:
    night.feed(Led(leads=False))
    seen = len(night.outputs)
    night.run(ASLEEP_S + 120)
    later = [out for _, out in night.outputs[seen:]]
    assert not any(out.commands or out.renewals or out.urgent for out in later)
    assert levels(night) == [1] * 5
    assert not any("later leader" in text for text in said(night))
    night.feed(Led(leads=True))
    night.run(ASLEEP_S + 3600)
    assert max(levels(night)) > 1


def test_a_new_leader_lets_a_whole_lease_pass_before_anything_rests(live_core: MakeCore) -> None:
    core = live_core(policy="timer")
    core.wanted.wait_ticks = 200  # guard ticks, far beyond the interval of telemetry that a plan needs
    harness = Harness(core, two_agents(), lambda second: QUIET)
    harness.connect()
    seconds = 199 * core.timing.guard_every_s
    harness.run(seconds)
    assert core.wanted.guard_ticks < 200
    assert levels(harness) == [1] * 5
    harness.run(seconds + 1800)
    assert max(levels(harness)) > 1


def test_what_a_later_leader_commands_is_left_alone(night: Harness) -> None:
    agent = night.agents["site-b"]
    report(night, agent, highest_epoch=7)
    agent.revision[0] = 99
    agent.lease[0] = (99, 3, night.now_us + 60 * SECOND_US)
    assert not report(night, agent, highest_epoch=7).wakes
