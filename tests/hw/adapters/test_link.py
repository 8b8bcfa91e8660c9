"""The link to an agent that dies, hangs, is slow, floods or lies, over a real stream on loopback."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from random import Random
from typing import Any

from quietcell.ran.v1 import ran_pb2

from hw.adapters.breaker import BreakerState
from hw.adapters.dial import Dial
from hw.adapters.link import Lost
from hw.adapters.radio import Answers, Inventory, Report
from hw.adapters.radio_stream import radio_link
from hw.adapters.wire import Hello
from tests.hw.adapters.agent_double import (
    FAST,
    AgentDouble,
    commands,
    linked,
    renewal,
    run,
    serving,
    until,
    wakes,
)

PATIENT = replace(FAST, silent_s=5.0, write_s=5.0)


async def _next(messages: asyncio.Queue[Any], kind: type[Any]) -> Any:
    """The next message of a kind."""
    while True:
        message = await messages.get()
        if isinstance(message, kind):
            return message


def test_the_inventory_comes_first_then_reports_and_answers() -> None:
    async def test() -> None:
        double = AgentDouble()
        async with serving(double) as dial, linked(dial) as (link, messages):
            assert isinstance(await messages.get(), Inventory)
            assert link.send(commands(1))
            assert link.renew(renewal())
            kinds = set()
            while kinds != {Report, Answers}:
                kinds.add(type(await messages.get()))
            await until(lambda: len(double.heard) == 2)
            assert [kind for kind, _ in double.heard] == ["commands", "renewal"]

    run(test())


def test_a_wake_passes_all_commands_that_wait() -> None:
    async def test() -> None:
        double = AgentDouble()
        async with serving(double) as dial, linked(dial) as (link, messages):
            await _next(messages, Inventory)
            sent = [link.send(commands(i)) for i in range(100)]  # the writer has no turn in between
            assert sent.count(True) == 32
            link.wake(wakes(7))
            await until(lambda: len(double.heard) == 33)
            assert double.heard[0] == ("wakes", [7])
            await until(lambda: link.waker.n_wanted == 0)
            assert link.waker.unary_calls == 0

    run(test())


def test_what_waited_beyond_the_term_does_not_leave_but_for_wakes() -> None:
    async def test() -> None:
        double, is_leader = AgentDouble(), [True]
        async with serving(double) as dial, linked(dial, leads=lambda: is_leader[0]) as (link, messages):
            await _next(messages, Inventory)
            assert link.send(commands(1))
            assert link.send_urgent(commands(2))
            assert link.renew(renewal())
            is_leader[0] = False  # the process was stopped here, before the writer had its turn
            link.wake(wakes(7))
            await until(lambda: double.heard and not link.waiting)
            assert link.dropped == 2  # the wake has replaced the renewal
            is_leader[0] = True
            assert link.send(commands(8))
            await until(lambda: len(double.heard) == 2)
            assert [revisions for _, revisions in double.heard] == [[7], [8]]

    run(test())


def test_a_stream_that_dies_is_opened_again_and_said_to_be_lost() -> None:
    async def test() -> None:
        double = AgentDouble()
        double.dies_after = 2
        async with serving(double) as dial, linked(dial) as (link, messages):
            lost = await _next(messages, Lost)
            assert "dies (UNAVAILABLE)" in lost.reason
            assert not link.send(commands(1))
            assert not link.renew(renewal())
            double.dies_after = None
            await _next(messages, Inventory)
            await until(lambda: link.is_open)
            assert link.streams == 2

    run(test())


def test_what_waited_for_a_lost_stream_is_never_sent_again() -> None:
    async def test() -> None:
        double = AgentDouble()
        async with serving(double) as dial, linked(dial) as (link, messages):
            await _next(messages, Inventory)
            double.dies_after = 0
            await until(lambda: link.is_open)
            double.reads = False
            for i in range(20):
                link.send(commands(i, 50_000))  # 450 kB each: they fill the transport's window
            await _next(messages, Lost)
            assert link.dropped > 0
            double.dies_after, double.reads = None, True
            heard = len(double.heard)
            await _next(messages, Inventory)
            await _next(messages, Report)
            assert len(double.heard) == heard

    run(test())


def test_a_silent_agent_is_given_up_and_its_wakes_go_by_unary_call() -> None:
    async def test() -> None:
        double = AgentDouble()
        double.reports_every_s, double.reads = 60.0, False
        async with serving(double) as dial, linked(dial) as (link, messages):
            await _next(messages, Inventory)
            link.wake(wakes(3, cell=1))
            await until(lambda: double.unary == [["site-001/1"]])  # before the stream is given up
            assert link.streams == 1
            assert "did not answer in time" in (await _next(messages, Lost)).reason

    run(test())


def test_a_wake_is_tried_by_unary_call_until_it_is_answered_though_the_breaker_is_open() -> None:
    async def test() -> None:
        double = AgentDouble()
        async with serving(double) as dial, linked(dial) as (link, messages):
            await _next(messages, Inventory)
            double.dies_after = 0
            await _next(messages, Lost)
            link.breaker.state, link.breaker.opened_at_s = (
                BreakerState.OPEN,
                asyncio.get_running_loop().time(),
            )
            double.unary_refusals = 2
            link.wake(wakes(9))
            await until(lambda: double.unary == [["site-001/0"]])
            assert link.waker.unary_calls == 3
            assert link.streams == 1

    run(test())


def test_with_the_stream_gone_no_wake_waits_for_an_answer() -> None:
    async def test() -> None:
        double = AgentDouble()
        double.answers = False
        async with (
            serving(double) as dial,
            linked(dial, replace(FAST, answer_s=60.0, keep_s=120.0)) as (link, messages),
        ):
            await _next(messages, Inventory)
            link.wake(wakes(9))
            await until(lambda: double.heard)
            double.dies_after = 0
            await _next(messages, Lost)
            await until(lambda: double.unary == [["site-001/0"]])
            link.breaker.state, link.breaker.opened_at_s = (
                BreakerState.OPEN,
                asyncio.get_running_loop().time(),
            )
            link.wake(wakes(10, cell=1))
            await until(lambda: double.unary[1:] == [["site-001/1"]])

    run(test())


def test_an_agent_that_started_anew_has_woken_all_by_itself() -> None:
    async def test() -> None:
        double = AgentDouble()
        async with serving(double) as dial, linked(dial) as (link, messages):
            await _next(messages, Inventory)
            double.dies_after, double.unary_refusals = 0, 1000
            await _next(messages, Lost)
            link.wake(wakes(9))
            await until(lambda: link.waker.unary_calls)
            double.dies_after, double.boot = None, b"another boot id!"
            await until(lambda: link.is_open)
            assert link.waker.n_wanted == 0

    run(test())


def test_a_wake_is_given_up_once_the_lease_has_woken_the_cell() -> None:
    async def test() -> None:
        double = AgentDouble()
        async with serving(double) as dial, linked(dial, replace(FAST, keep_s=0.3)) as (link, messages):
            await _next(messages, Inventory)
            double.dies_after = 0
            await _next(messages, Lost)
            double.unary_refusals = 1000
            link.wake(wakes(9))
            await until(lambda: link.waker.given_up == 1)
            assert link.waker.unary_calls > 1

    run(test())


def test_a_cell_that_the_plant_does_not_wake_is_tried_again() -> None:
    async def test() -> None:
        double = AgentDouble()
        double.stuck = {"site-001/1"}
        async with serving(double) as dial, linked(dial) as (link, messages):
            await _next(messages, Inventory)
            assert await link.wake_all("by the test") == ["site-001/1"]
            double.dies_after = 0
            await _next(messages, Lost)
            for cell in (0, 1):
                link.wake(wakes(9, cell))
            await until(lambda: len(double.unary) >= 4)
            assert double.unary[-1] == ["site-001/1"]
            double.stuck = set()
            await until(lambda: link.waker.n_wanted == 0)

    run(test())


def test_a_wake_of_a_place_that_a_new_boot_does_not_have_ends_nothing_and_wakes_nobody_else() -> None:
    async def test() -> None:
        double = AgentDouble()
        async with serving(double) as dial, linked(dial) as (link, messages):
            await _next(messages, Inventory)
            double.dies_after = 0
            await _next(messages, Lost)
            link.wake(wakes(9, cell=2))
            await until(lambda: link.waker.n_wanted == 0)
            assert double.unary == []
            link.wake(wakes(9, cell=1))
            await until(lambda: double.unary == [["site-001/1"]])

    run(test())


def test_an_answer_to_an_older_revision_does_not_settle_a_wake() -> None:
    async def test() -> None:
        double = AgentDouble()
        double.answers = False
        async with serving(double) as dial, linked(dial) as (link, messages):
            await _next(messages, Inventory)
            link.wake(wakes(9))
            link.waker.answered([0], [8])
            await until(lambda: double.unary == [["site-001/0"]])

    run(test())


def test_the_breaker_opens_for_an_agent_that_is_not_there() -> None:
    async def test() -> None:
        async with linked(Dial("site-001", "127.0.0.1:1")) as (link, messages):
            await until(lambda: link.breaker.state is BreakerState.OPEN)
            assert "site-001 at 127.0.0.1:1 is not reached" in link.reason
            assert messages.empty()  # it was never open, so it is not lost

    run(test())


def test_an_agent_that_never_answers_the_hello_is_given_up() -> None:
    async def test() -> None:
        double = AgentDouble()
        double.stream_delay_s = 60.0
        async with serving(double) as dial, linked(dial) as (link, _):
            await until(lambda: double.hellos == 2)
            assert "did not answer in time" in link.reason

    run(test())


def test_a_flood_is_held_back_by_not_reading() -> None:
    async def test() -> None:
        double = AgentDouble()
        double.reports_every_s = 0.0
        padded = double.report(1)
        padded.report.states.active_digest = bytes(64)
        padded.report.header.agent_id = double.agent_id
        padded.report.states.level.extend([1] * 1000)
        double.payload = lambda _: padded
        taken = asyncio.Event()

        async def never_ready(_: str, message: Any) -> None:
            taken.set()
            await asyncio.Event().wait()

        async with serving(double) as dial:
            link = radio_link(dial, Hello(1, "c", 0), never_ready, Random(1), limits=PATIENT)
            task = asyncio.ensure_future(link.run())
            await taken.wait()
            counts = [-1, double.sent]
            while counts[-1] != counts[-2]:
                await asyncio.sleep(0.1)
                counts.append(double.sent)
            assert counts[-1] < 20_000
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    run(test())


def test_lies_end_the_stream_and_say_why() -> None:
    async def test() -> None:
        double = AgentDouble()
        foreign = AgentDouble("site-002").report(1)
        again = ran_pb2.ControlResponse(inventory=double.inventory())
        torn = ran_pb2.ControlResponse(answers=ran_pb2.Answers(cell=[0, 1], revision=[1]))
        for payload, said in (
            (foreign, "it calls itself 'site-002'"),
            (again, "a second inventory on one stream"),
            (torn, "answers.revision"),
            (ran_pb2.ControlResponse(), "none of"),
            (ran_pb2.ControlResponse(answers=ran_pb2.Answers(cell=[9], revision=[1])), "answers.outcome"),
        ):
            double.payload = lambda _, payload=payload: payload  # type: ignore[misc]
            async with serving(double) as dial, linked(dial) as (_, messages):
                assert said in (await _next(messages, Lost)).reason

    run(test())


def test_another_agent_at_the_address_is_not_taken_for_this_one() -> None:
    async def test() -> None:
        there = AgentDouble("site-002")
        async with serving(there) as dial, linked(Dial("site-001", dial.address)) as (link, messages):
            await until(lambda: "it calls itself 'site-002'" in link.reason)
            assert messages.empty()

    run(test())


def test_a_message_too_large_to_send_does_not_end_the_stream() -> None:
    async def test() -> None:
        double = AgentDouble()
        async with serving(double) as dial, linked(dial) as (link, messages):
            await _next(messages, Inventory)
            assert link.send(commands(1, 300_000))
            assert link.send(commands(2))
            await until(lambda: double.heard == [("commands", [2])])
            assert (link.dropped, link.streams) == (1, 1)

    run(test())
