"""What waits for one agent: order, bounds, and the one renewal."""

from __future__ import annotations

import asyncio

from hw.adapters.outgoing import Outgoing


def _taken(queue: Outgoing[str]) -> list[str]:
    async def take() -> list[str]:
        return [await queue.take() for _ in range(len(queue))]

    return asyncio.run(asyncio.wait_for(take(), 30.0))


def test_urgent_messages_pass_a_full_ordinary_queue() -> None:
    queue: Outgoing[str] = Outgoing(max_urgent=2, max_ordinary=3)
    assert [queue.put(f"c{i}") for i in range(4)] == [True, True, True, False]
    assert not queue.put_renewal("r")
    assert [queue.put_urgent(f"w{i}") for i in range(3)] == [True, True, False]
    assert _taken(queue) == ["w0", "w1", "c0", "c1", "c2"]


def test_the_newest_renewal_stands_behind_the_commands_that_it_counts_in() -> None:
    queue: Outgoing[str] = Outgoing()
    assert queue.put_renewal("r1")
    assert queue.put("c1")
    assert queue.put_renewal("r2")
    assert _taken(queue) == ["c1", "r2"]


def test_a_wake_takes_the_renewal_away_whose_digest_it_changes() -> None:
    queue: Outgoing[str] = Outgoing()
    assert queue.put("c1")
    assert queue.put_renewal("r1")
    assert queue.put_urgent("w1")
    assert _taken(queue) == ["w1", "c1"]
    assert queue.put_renewal("r2")
    assert queue.take_all() == ([], ["r2"])
    assert len(queue) == 0
