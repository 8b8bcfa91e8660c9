"""From shadow to act on two small sites: what is sent at each stage, and who may change that."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from controller.errors import ConfigError
from controller.live.building import NOTHING_RESUMED
from controller.live.events import (
    Approved,
    Connected,
    Event,
    Lifted,
    Output,
    Overridden,
    Ruling,
    Scope,
    StageChanged,
    Stopped,
    Withheld,
)
from tests.controller.live.conftest import MakeCore
from tests.controller.live.doubles import FULL, MORNING_S, SECOND_US, Harness, two_agents

QUIET = (0.03, 0.01, 0.05, 0.04, 0.02)
RESTING = [2, 5, 2, 2, 5]
NETWORK = Scope("network")
SITE_A = Scope("site", "s0")
ASLEEP_S = 2760


def night(make: MakeCore, **ladder: object) -> Harness:
    harness = Harness(make(ladder=ladder), two_agents(), lambda second: QUIET)
    harness.connect()
    harness.run(ASLEEP_S)
    return harness


def levels(harness: Harness) -> list[int]:
    return [a.level(p) for a in harness.agents.values() for p in range(len(a.cell_id))]


def ruling(out: Output) -> Ruling:
    (found,) = [record for record in out.durable if isinstance(record, Ruling)]
    return found


def withheld(harness: Harness) -> list[Withheld]:
    return [r for _, out in harness.outputs for r in out.durable if isinstance(r, Withheld)]


def sent(harness: Harness) -> int:
    return sum(len(o.wakes) + len(o.urgent) + len(o.commands) + len(o.renewals) for _, o in harness.outputs)


def both(harness: Harness, word: Event) -> list[str]:
    """Asked by one person, then by another."""
    return [ruling(harness.feed(replace(word, author=who))).verdict for who in ("anna", "bert")]  # type: ignore[type-var]


def test_shadow_sends_nothing_and_records_what_it_would_do(live_core: MakeCore) -> None:
    harness = night(live_core)
    assert sent(harness) == 0
    assert dict(
        zip(*(a.tolist() for a in (withheld(harness)[-1].cell, withheld(harness)[-1].level)), strict=True)
    ) == dict(enumerate(RESTING))
    assert harness.core.leaves_alone("site-a")


def test_shadow_leaves_what_another_system_put_to_sleep(live_core: MakeCore) -> None:
    harness = Harness(live_core(ladder={}), two_agents(), lambda second: QUIET)
    harness.agents["site-a"].stuck = {1: 5}
    harness.connect()
    harness.run(900)
    assert sent(harness) == 0


def test_a_real_plant_is_only_watched_whatever_its_stage(live_core: MakeCore) -> None:
    harness = Harness(live_core(), two_agents(), lambda second: QUIET)
    harness.agents["site-a"].is_simulated = False
    harness.connect()
    harness.run(ASLEEP_S)
    assert levels(harness) == [FULL] * 3 + RESTING[3:]
    assert {agent for _, out in harness.outputs for agent, _ in out.commands} == {"site-b"}
    assert withheld(harness)[-1].cell.tolist() == [0, 1, 2]


def test_an_approved_plan_goes_out_and_ends_with_its_interval(live_core: MakeCore) -> None:
    harness = night(live_core, stage="advise")
    assert levels(harness) == [FULL] * 5
    pending = harness.core.ladder.pending
    assert pending is not None
    assert pending.cells.all()
    assert ruling(harness.feed(Approved(pending.plan_id, SITE_A, "anna"))).verdict == "in force"
    assert levels(harness) == [*RESTING[:3], FULL, FULL]
    harness.run(3600, plans=False)
    assert levels(harness) == [FULL] * 5
    late = ruling(harness.feed(Approved(pending.plan_id, NETWORK, "anna")))
    assert late.verdict == "refused"
    assert "does not wait" in late.cause


def test_canaries_wait_for_something_to_compare_them_with(live_core: MakeCore) -> None:
    harness = night(live_core, stage="canary", canaries=["a1", "b0"])
    assert sent(harness) == 0
    assert "0 of 7" in harness.core.canaries.waits
    canaries = np.array([False, True, False, True, False])
    harness.core.ladder.limit_canaries(canaries, np.array([True, True, True, False, False]))
    assert harness.core.ladder.acts.tolist() == [False, False, False, True, False]


@pytest.mark.parametrize(
    ("ladder", "says"),
    [
        ({"sample": {"sites": 2}}, "2 of 2 sites leave none to compare with"),
        ({"sample": {"sites": 1}, "canaries": ["a1"]}, "give either canaries or sample"),
    ],
)
def test_canaries_that_cannot_be_drawn_are_refused(
    live_core: MakeCore, ladder: dict[str, object], says: str
) -> None:
    with pytest.raises((ConfigError, ValueError), match=says):
        live_core(ladder=ladder)


def test_a_site_has_its_own_stage(live_core: MakeCore) -> None:
    assert levels(night(live_core, sites={"s1": "act"})) == [FULL] * 3 + RESTING[3:]


def test_going_up_needs_a_second_person_and_the_next_plan(live_core: MakeCore) -> None:
    harness = night(live_core)
    word = StageChanged(NETWORK, "act", "anna", "sure")
    assert ruling(harness.feed(word)).verdict == "waits"
    assert ruling(harness.feed(word)).verdict == "waits"
    assert ruling(harness.feed(replace(word, stage="canary", author="bert"))).verdict == "waits"
    harness.run(3500)
    assert sent(harness) == 0
    second = ruling(harness.feed(replace(word, author="bert")))
    assert (second.verdict, second.cause) == ("in force", "asked for by anna first")
    assert levels(harness) == [FULL] * 5
    harness.run(5460)
    assert levels(harness) == RESTING


def test_what_was_asked_an_hour_ago_waits_no_more(live_core: MakeCore) -> None:
    harness = night(live_core)
    harness.feed(StageChanged(NETWORK, "act", "anna", ""))
    harness.run(ASLEEP_S + 3620)
    assert ruling(harness.feed(StageChanged(NETWORK, "act", "bert", ""))).verdict == "waits"


def test_going_down_needs_one_person_and_wakes_at_once(live_core: MakeCore) -> None:
    harness = night(live_core, stage="act")
    assert levels(harness) == RESTING
    out = harness.feed(StageChanged(SITE_A, "shadow", "anna", "complaints"))
    assert ruling(out).verdict == "in force"
    assert levels(harness) == [FULL] * 3 + RESTING[3:]


@pytest.mark.parametrize(
    ("what", "level", "expected"),
    [
        ("awake", "", [2, FULL, 2, 2, 5]),
        ("leave alone", "", [2, FULL, 2, 2, 5]),
        ("max level", "rf_channel_32", [2, 2, 2, 2, 5]),
    ],
)
def test_an_override_holds_until_its_end(
    what: str, level: str, expected: list[int], live_core: MakeCore
) -> None:
    harness = night(live_core, stage="act")
    until_us = harness.now_us + 1000 * SECOND_US
    word = Overridden(Scope("cell", "a1"), what, level, until_us, "anna", "a fair")
    assert ruling(harness.feed(word)).verdict == "in force"
    harness.run(ASLEEP_S + 60)
    assert levels(harness) == expected
    harness.run(ASLEEP_S + 1000)
    assert levels(harness)[1] == expected[1]
    harness.run(ASLEEP_S + 4000)
    assert levels(harness)[1] == RESTING[1]


def test_a_cell_left_alone_is_not_woken_from_what_others_do_to_it(live_core: MakeCore) -> None:
    harness = night(live_core, stage="act")
    until_us = harness.now_us + 7200 * SECOND_US
    harness.feed(Overridden(Scope("cell", "a1"), "leave alone", "", until_us, "anna", "tests"))
    harness.run(ASLEEP_S + 60)
    harness.outputs.clear()
    harness.agents["site-a"].stuck = {1: 6}
    harness.run(ASLEEP_S + 1200)
    woken = {cell for _, out in harness.outputs for _, batch in out.wakes for cell in batch.cell.tolist()}
    assert woken == {0}  # its candidate may no longer count on it


def test_lifting_an_override_needs_a_second_person(live_core: MakeCore) -> None:
    harness = night(live_core, stage="act")
    until_us = harness.now_us + 86400 * SECOND_US
    made = ruling(harness.feed(Overridden(SITE_A, "awake", "", until_us, "anna", "a fair")))
    assert both(harness, Lifted(made.number, "", "over")) == ["waits", "in force"]
    assert ruling(harness.feed(Lifted(made.number, "anna", "over"))).verdict == "refused"
    assert levels(harness)[:3] == [FULL] * 3
    harness.run(5460)
    assert min(levels(harness)) > FULL


@pytest.mark.parametrize(
    ("word", "cause"),
    [
        (StageChanged(NETWORK, "fly", "anna", ""), "no stage"),
        (StageChanged(Scope("cell", "a1"), "act", "anna", ""), "whole sites"),
        (StageChanged(Scope("site", "nowhere"), "act", "anna", ""), "there is no site nowhere"),
        (StageChanged(Scope("galaxy", ""), "act", "anna", ""), "no scope"),
        (StageChanged(NETWORK, "act", "", ""), "nobody says"),
        (Overridden(NETWORK, "max level", "hibernate", 2**60, "anna", ""), "no level"),
        (Overridden(NETWORK, "dance", "", 2**60, "anna", ""), "no override"),
        (Overridden(NETWORK, "awake", "", 1, "anna", ""), "ends before"),
        (Lifted(7, "anna", ""), "no override 7"),
        (Approved("none", NETWORK, "anna"), "none waits"),
    ],
)
def test_a_word_that_makes_no_sense_changes_nothing(word: Event, cause: str, live_core: MakeCore) -> None:
    harness = night(live_core, stage="act")
    found = ruling(harness.feed(word))
    assert found.verdict == "refused"
    assert cause in found.cause
    assert levels(harness) == RESTING


def test_stop_wakes_at_every_stage(live_core: MakeCore) -> None:
    harness = night(live_core)
    assert harness.feed(Stopped("anna", "smoke")).wakes


def test_waking_by_the_guard_loop_waits_for_nobody(live_core: MakeCore) -> None:
    harness = night(live_core, stage="advise")
    assert harness.core.ladder.pending is not None
    harness.feed(Approved(harness.core.ladder.pending.plan_id, NETWORK, "anna"))
    harness.agents["site-b"].is_down = True
    harness.run(ASLEEP_S + 60)
    assert harness.core.leases.level.tolist()[3:] == [FULL, FULL]


def test_a_restart_resumes_the_words_that_are_in_force(live_core: MakeCore) -> None:
    harness = night(live_core)
    both(harness, StageChanged(NETWORK, "act", "", ""))
    until_us = harness.now_us + 86400 * SECOND_US
    harness.feed(Overridden(Scope("cell", "a1"), "awake", "", until_us, "anna", ""))
    rulings = [r for _, out in harness.outputs for r in out.durable if isinstance(r, Ruling)]
    kept = tuple(r for r in rulings if r.verdict == "in force")
    resumed = replace(NOTHING_RESUMED, rulings=kept)
    again = Harness(live_core(resumed, ladder={}), two_agents(), lambda second: QUIET)
    again.feed(Connected(again.agents["site-a"].inventory()), Connected(again.agents["site-b"].inventory()))
    again.run(ASLEEP_S)
    assert levels(again) == [2, FULL, 2, 2, 5]
    assert ruling(again.feed(Overridden(SITE_A, "awake", "", until_us, "anna", ""))).number == 2


def test_cells_are_awake_for_an_event_of_the_calendar_and_ahead_of_it(
    live_core: MakeCore, tmp_path: Path
) -> None:
    begin = datetime.fromtimestamp(MORNING_S + 5400, UTC)
    lines = (
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "PRODID:x",
        "BEGIN:VEVENT",
        f"DTSTART:{begin:%Y%m%dT%H%M%SZ}",
        "DURATION:PT1H",
        "CATEGORIES:site:s0",
        "END:VEVENT",
        "END:VCALENDAR",
    )
    (tmp_path / "events.ics").write_text("\r\n".join(lines) + "\r\n")
    harness = night(live_core, stage="act", calendar=str(tmp_path / "events.ics"))
    assert levels(harness) == RESTING
    harness.run(4520)
    assert levels(harness)[:3] == [FULL] * 3
    assert min(levels(harness)[3:]) > FULL
    harness.run(9000 + 1000)
    assert min(levels(harness)) > FULL
