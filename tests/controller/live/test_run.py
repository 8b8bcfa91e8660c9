"""The loop over doubles: what goes out when, with a journal that fails, a core that hangs, agents that are away."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import Any

import pytest

from benchmarks.virtual_time import run_virtual
from controller.live import outbox
from controller.live import run as run_module
from controller.live.events import (
    Alarm,
    Answered,
    Decided,
    Disconnected,
    GuardTick,
    Output,
    PlanTick,
    Taken,
    Woken,
)
from hw.adapters.link import Lost
from hw.adapters.radio import Outcome
from tests.controller.live.loop_doubles import Scene, cells, running
from tests.hw.adapters.agent_double import commands, renewal, run, until, wakes


def _everything(_: Any) -> Output:
    return Output(
        wakes=[("site-001", wakes(1))],
        urgent=[("site-001", commands(2))],
        commands=[("site-001", commands(3))],
        renewals=[("site-001", renewal())],
    )


async def _ask(scene: Scene) -> None:
    """One event that the core answers with everything."""
    scene.core.answers[Disconnected] = _everything
    await scene.link.on_message("site-001", Lost("by the test"))


def test_wakes_go_first_and_commands_after_the_journal() -> None:
    async def test() -> None:
        scene = Scene()
        async with running(scene):
            scene.journal.may_go_on.clear()
            await _ask(scene)
            await until(lambda: scene.link.kinds() == ["wake", "urgent"])
            await asyncio.sleep(0.05)
            assert scene.link.kinds() == ["wake", "urgent"]
            scene.journal.may_go_on.set()
            await until(lambda: scene.link.kinds() == ["wake", "urgent", "send", "renew"])
        assert scene.exit_code == 0

    run(test())


def test_without_a_journal_only_wakes_go_and_the_core_hears_what_was_not_sent() -> None:
    async def test() -> None:
        scene = Scene()
        async with running(scene):
            await until(lambda: scene.ready == [True])
            scene.journal.fails = True
            await _ask(scene)
            await until(lambda: scene.ready == [True, False])
            for _ in range(3):
                await _ask(scene)
            await until(lambda: scene.core.count(Answered) == 4)
            assert set(scene.link.kinds()) == {"wake", "urgent"}
            assert scene.link.kinds().count("wake") == 4
            answers = next(event for event in scene.core.fed if isinstance(event, Answered)).answers
            assert (answers.outcome == Outcome.EXPIRED).all()
            assert (answers.level == commands(3).expected_level).all()
            assert "no space left" in scene.told.of("ready")[-1]["cause"]
            scene.journal.fails = False
            await until(lambda: scene.ready == [True, False, True])
            await until(lambda: len(scene.journal.records) >= len(scene.core.fed))
            await _ask(scene)
            await until(lambda: "send" in scene.link.kinds())
        taken = [record.event for record in scene.journal.records if isinstance(record, Taken)]
        assert taken == scene.core.fed  # all of it, in order, each once

    run(test())


def test_a_slow_append_sends_nothing_late_and_is_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "PATIENCE_S", 0.05)

    async def test() -> None:
        scene = Scene()
        async with running(scene):
            scene.journal.may_go_on.clear()
            await _ask(scene)
            await until(lambda: scene.ready == [True, False])
            scene.journal.may_go_on.set()
            await until(lambda: scene.ready == [True, False, True])
            await until(lambda: scene.core.count(Answered) == 1)
            assert "send" not in scene.link.kinds()
        taken = [record.event for record in scene.journal.records if isinstance(record, Taken)]
        assert taken == scene.core.fed

    run(test())


def test_records_that_wait_for_a_broken_journal_are_bounded() -> None:
    async def test() -> None:
        scene = Scene()
        async with running(scene):
            scene.journal.fails = True
            scene.core.answers[Disconnected] = lambda _: Output(durable=[Alarm(0, "major", "x", "y")] * 9_000)
            for _ in range(4):
                await scene.link.on_message("site-001", Lost("by the test"))
            await until(lambda: scene.runner.outbox.lost > 0)
            scene.journal.fails = False
            await until(lambda: scene.journal.records)
            # what was kept; later appends bring what came after
            assert scene.journal.appended[0] == outbox.MAX_KEPT
            assert scene.journal.lost == scene.runner.outbox.lost

    run(test())


def test_a_full_queue_is_told_to_the_core_and_not_tried_again() -> None:
    async def test() -> None:
        scene = Scene()
        async with running(scene):
            scene.link.accepts = False
            await _ask(scene)
            await until(lambda: scene.core.count(Answered) == 2)  # the urgent one and the other
            await asyncio.sleep(0.05)
            assert scene.link.kinds() == ["wake"]
            assert scene.core.count(Answered) == 2

    run(test())


def test_feeds_never_overlap_and_streams_live_on_while_a_plan_is_computed() -> None:
    async def test() -> None:
        scene = Scene(plan_interval_s=60)
        scene.core.takes_s[PlanTick] = 0.2
        async with running(scene):
            await until(lambda: scene.core.count(PlanTick) == 1)
            began = len(scene.core.fed)
            for _ in range(200):
                await scene.link.on_message("site-001", Lost("by the test"))
            assert len(scene.core.fed) == began  # all were taken from the agents, none was fed meanwhile
            await until(lambda: scene.core.count(PlanTick) == 3)
        assert scene.core.overlaps == 0
        ticks = [event.unix_us for event in scene.core.fed if isinstance(event, PlanTick)]
        assert all(b // 60_000_000 > a // 60_000_000 for a, b in pairwise(ticks))
        assert scene.told.of("ticks_missed")

    run(test())


def test_a_core_that_hangs_renews_nothing_is_not_ready_and_can_still_be_stopped() -> None:
    async def test() -> None:
        scene = Scene("site-001", "site-002", plan_interval_s=60)
        scene.core.answers[GuardTick] = lambda _: Output(renewals=[("site-001", renewal())])
        scene.core.hangs_at = PlanTick
        async with running(scene):
            async with asyncio.timeout(30.0):
                while not scene.core.hung.is_set():
                    await asyncio.sleep(0.01)
            await asyncio.sleep(0.05)
            renewed = scene.link.kinds().count("renew")
            await until(lambda: scene.ready[-1] is False)
            assert "longer than the guard interval" in scene.told.of("ready")[-1]["cause"]
            await asyncio.sleep(0.2)  # two guard intervals
            assert scene.link.kinds().count("renew") == renewed
        assert scene.exit_code == 0
        assert [link.woken_all for link in scene.links] == [1, 1]

    run(test())


def test_stopping_wakes_all_and_says_who_did_not_confirm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_module, "STOP_WITHIN_S", 0.1)

    async def test() -> None:
        scene = Scene("site-001", "site-002", "site-003", "site-004")
        async with running(scene):
            scene.links[1].is_reachable = False
            scene.links[2].wakes_in_s = 60.0
            scene.links[3].stuck = ["a", "b"]
        assert scene.exit_code == 0
        assert scene.told.of("stopped") == [
            {"confirmed": 1, "unconfirmed": "site-002 (all), site-003 (all), site-004 (2 cells)"}
        ]
        assert scene.ready[-1] is False

    run(test())


def test_an_error_of_ours_wakes_all_cells_and_ends_with_1() -> None:
    async def test() -> None:
        scene = Scene()

        def breaks(_: Any) -> Output:
            raise ZeroDivisionError("by the test")

        scene.core.answers[Disconnected] = breaks
        async with running(scene):
            await scene.link.on_message("site-001", Lost("by the test"))
            await until(lambda: scene.told.of("failed"))
        assert scene.exit_code == 1
        assert scene.told.of("failed") == [{"error": "ZeroDivisionError: by the test"}]
        assert scene.link.woken_all == 1

    run(test())


def test_alarms_and_plans_with_changes_are_told_once() -> None:
    async def test() -> None:
        scene = Scene(plan_interval_s=60)
        alarm = Alarm(0, "major", "site-001", "sends no reports")
        plans = iter([_everything(None)])
        scene.core.answers[PlanTick] = lambda _: next(plans, Output())
        scene.core.answers[Disconnected] = lambda _: Output(durable=[alarm])
        async with running(scene):
            await scene.link.on_message("site-001", Lost("by the test"))
            await until(lambda: scene.core.count(PlanTick) == 3)
        assert scene.told.of("alarm") == [
            {"severity": "major", "about": "site-001", "text": "sends no reports"}
        ]
        assert [(told["wakes"], told["commands"]) for told in scene.told.of("plan")] == [(1, 2)]

    run(test())


def test_records_are_durable_by_the_end() -> None:
    async def test() -> None:
        scene = Scene()
        decided = Decided(0, "p", *[commands(1).cell] * 5)
        woken = Woken(0, *[commands(1).cell] * 3)
        scene.core.answers[Disconnected] = lambda _: Output(
            commands=[("site-001", commands(1))], durable=[decided, woken]
        )
        async with running(scene):
            scene.journal.may_go_on.clear()
            await scene.link.on_message("site-001", Lost("by the test"))
            await until(lambda: scene.core.fed)
            asyncio.get_running_loop().call_later(0.1, scene.journal.may_go_on.set)
        assert scene.journal.records[1:3] == [decided, woken]
        assert "send" not in scene.link.kinds()  # stopped in between

    run(test())


def test_cells_of_a_wake_reach_the_link_as_they_were_decided() -> None:
    async def test() -> None:
        scene = Scene()
        scene.core.answers[Disconnected] = lambda _: Output(wakes=[("site-001", wakes(5, cell=1))])
        async with running(scene):
            await scene.link.on_message("site-001", Lost("by the test"))
            await until(lambda: scene.link.sent)
        assert cells(scene.link.sent[0][1]) == [1]

    run(test())


def test_a_plan_waits_for_late_samples_by_the_time_of_its_loop() -> None:
    """Else no run of a simulation in virtual time would be like another."""
    scene = Scene(speed=1.0)
    scene.core.has_all = lambda _: False  # type: ignore[method-assign]

    async def waited_s() -> float:
        await scene.runner._samples_due(0)
        return asyncio.get_running_loop().time()

    assert run_virtual(waited_s()) == pytest.approx(run_module.LATE_SAMPLES_S, abs=0.1)
