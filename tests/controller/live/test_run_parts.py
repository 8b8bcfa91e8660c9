"""Ticks, inbox and worker of the loop, each by itself."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from controller.live.events import Disconnected, GuardTick, PlanTick, Reported
from controller.live.inbox import Inbox
from controller.live.telling import line_teller
from controller.live.ticks import GuardTimes, PlanTimes
from controller.live.worker import Worker
from hw.adapters.radio import Report
from tests.hw.adapters.agent_double import run


def test_plans_come_at_multiples_and_a_missed_one_is_left_out() -> None:
    times = PlanTimes.starting(900, 1000)
    assert times.due(1799) is None
    assert times.wait_us(1799) == 1
    assert times.due(1800) == 1800
    assert times.due(1801) is None
    assert times.due(4600) == 4500
    assert times.missed == 2


def test_a_clock_that_is_set_back_plans_no_interval_twice() -> None:
    times = PlanTimes.starting(900, 1000)
    assert times.due(1800) == 1800
    assert [times.due(now) for now in (100, 900, 1000, 1799, 1800, 2699)] == [None] * 6
    assert times.due(2700) == 2700
    assert times.missed == 0


def test_guard_ticks_that_were_missed_are_left_out_and_the_rhythm_stays() -> None:
    times = GuardTimes.starting(20, 100)
    assert not times.due(119)
    assert times.due(121)
    assert not times.due(122)
    assert times.due(185)
    assert times.missed == 2
    assert times.wait_us(185) == 15


def test_agents_wait_for_a_place_and_ticks_do_not() -> None:
    async def test() -> None:
        inbox = Inbox(max_waiting=2)
        for agent in "ab":
            await inbox.put(Disconnected(agent))
        waiting = [asyncio.ensure_future(inbox.put(Disconnected(agent))) for agent in "cd"]
        await asyncio.sleep(0)
        assert not any(task.done() for task in waiting)
        assert inbox.put_tick(GuardTick(1))
        assert not inbox.put_tick(GuardTick(2))
        assert inbox.put_tick(PlanTick(3))
        inbox.put_own(Disconnected("own"))
        order = [await inbox.get() for _ in range(2)]
        await asyncio.gather(*waiting)
        order += [await inbox.get() for _ in range(5)]
        names = [
            event.agent_id if isinstance(event, Disconnected) else type(event).__name__ for event in order
        ]
        assert names == ["a", "b", "GuardTick", "PlanTick", "own", "c", "d"]
        assert inbox.missed == 1
        assert inbox.put_tick(GuardTick(4))

    run(test())


def test_a_report_replaces_one_of_its_agent_that_waits_unless_that_has_samples_or_something_lies_between() -> (
    None
):
    def reported(agent: str, sequence: int, samples: int = 0) -> Reported:
        nothing = np.zeros(1, np.int64)
        report = Report(
            agent, b"", 0, sequence, 0, 0, np.zeros((1, samples), np.float32), nothing.astype(np.uint8),
            nothing.astype(np.uint8), nothing.astype(np.uint64), nothing, nothing > 0, b"", False, 0,
        )  # fmt: skip
        return Reported(report)

    async def test() -> None:
        inbox = Inbox(max_waiting=5)
        for event in (
            reported("a", 1), reported("b", 1), reported("a", 2), reported("a", 3, samples=1), reported("a", 4),
            reported("a", 5), Disconnected("a"), reported("a", 6), reported("b", 2),
        ):  # fmt: skip
            await asyncio.wait_for(inbox.put(event), 30)
        got = [await inbox.get() for _ in range(5)]
        names = [(e.report.agent_id, e.report.sequence) for e in got if isinstance(e, Reported)]
        assert names == [("a", 3), ("b", 2), ("a", 5), ("a", 6)]
        assert isinstance(got[3], Disconnected)

    run(test())


def test_the_worker_brings_results_and_errors_and_outlives_its_loop() -> None:
    async def test(worker: Worker) -> None:
        assert await worker.call(lambda n: n + 1, 1) == 2
        with pytest.raises(ZeroDivisionError):
            await worker.call(lambda n: 1 / n, 0)
        worker.call(lambda n: n, 1).cancel()

    worker = Worker()
    run(test(worker))
    run(test(worker))


def test_lines_stand_on_one_line_each() -> None:
    lines: list[str] = []
    line_teller(lines.append, as_json=False)(
        "ready", ready=False, cause='disk "full"', agent="site-1", none=None
    )
    line_teller(lines.append, as_json=True)("ready", ready=True, count=3)
    assert lines == [
        'ready ready=false cause="disk \\"full\\"" agent=site-1 none=null',
        '{"event": "ready", "ready": true, "count": 3}',
    ]
