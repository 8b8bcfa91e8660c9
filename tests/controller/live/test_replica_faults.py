"""A journal that follows another one, where the peer, the disk or the moment is not as it should be."""

from __future__ import annotations

import asyncio
import os
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from controller.errors import JournalError, JournalUnavailable
from controller.live import following, replica
from controller.live.audit import batch_of, line_of
from controller.live.events import Latched
from controller.live.following import follow
from controller.live.journal import Journal
from controller.live.journal_batch import FIRST_CHAIN
from controller.live.journal_damage import examine
from controller.live.journal_state import Head, read_head
from controller.live.replica import Replica
from controller.live.replica_source import JournalSource
from hw.adapters.replica import Fetched
from hw.ports import HostClock
from tests.controller.live.live_made import BEGAN_US, WHO
from tests.controller.live.loop_doubles import Told
from tests.controller.live.test_journal import decided, tick
from tests.controller.live.test_replica import NOW_US, asked_of, content, fetch_all, lead, parted, paths

__all__ = ["paths"]  # a fixture


def test_an_append_of_another_number_is_refused_though_its_chain_fits(paths: tuple[Path, Path]) -> None:
    one, two = paths
    lead(one, [decided(3)], [tick(1)])
    target = Replica.open(two, NOW_US)
    found = asked_of(JournalSource(one), target)
    first = batch_of(found.appends[0], FIRST_CHAIN)
    for number in (0, 2, 7):
        jumped = replace(first, number=number).chained(FIRST_CHAIN)
        with pytest.raises(JournalError, match=f"append {number} does not follow append 0"):
            target.take(Fetched(appends=(line_of(jumped),)), NOW_US)
    assert target.asks == (0, FIRST_CHAIN, False)
    second = replace(batch_of(found.appends[1], first.chain), number=9).chained(first.chain)
    with pytest.raises(JournalError, match="append 9 does not follow append 1"):
        target.take(Fetched(appends=(found.appends[0], line_of(second))), NOW_US)
    target.close()
    assert len(content(two)) == 1


def alike(target: Replica) -> bool:
    """Whether what it goes on from is what the file holds, and the head is that of its end."""
    found, head, state = (
        examine(target.path, read_head(target.path), needs_head=True),
        read_head(target.path),
        target._state,
    )
    assert not found.cause
    assert head is not None
    ends = (state.batch, state.chain, state.run, state.is_stopped, state.last_unix_us)
    stored = found.state
    assert ends == (stored.batch, stored.chain, stored.run, stored.is_stopped, stored.last_unix_us)
    assert (state.packed(), state.next_command) == (stored.packed(), stored.next_command)
    return (head.batch, head.chain, head.run, head.is_stopped) == ends[:4]


def test_head_and_state_are_those_of_the_file_after_each_step(paths: tuple[Path, Path]) -> None:
    one, two = paths
    stop = Latched(BEGAN_US, True, "bob", "now")
    lead(one, [decided(3), stop], *[[tick(second)] for second in range(3)], epoch=2)
    fetch_all(one, two)
    lead(one, [decided(2, revision=5)], [Latched(BEGAN_US, False, "bob", "again")], epoch=3)  # not fetched
    lead(two, [decided(4, revision=9)], epoch=4)
    target, source, steps = Replica.open(one, NOW_US), JournalSource(two), 0
    assert alike(target)
    while target.take(asked_of(source, target), NOW_US):
        assert alike(target)
        steps += 1
    assert steps > 2  # back to what is common, and on from there
    lead(two, [decided(2, revision=11)], [stop], epoch=5)
    while target.take(asked_of(source, target), NOW_US):
        assert alike(target)
    assert target._state.is_stopped
    target.close()


def test_a_process_that_dies_while_it_writes_a_head_leaves_the_one_before(
    paths: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = paths
    lead(one, [decided(3)])
    fetch_all(one, two)
    before = read_head(two)
    for place, name in (os, "open"), (os, "pwrite"), (Head, "packed"):
        lead(one, [tick(1)])
        target = Replica.open(two, NOW_US)
        found = asked_of(JournalSource(one), target)
        with monkeypatch.context() as patched:
            patched.setattr(place, name, _dies)
            with pytest.raises(KeyboardInterrupt):
                target.take(found, NOW_US)
        target.close()
        assert read_head(two) == before is not None
        target = Replica.open(two, NOW_US)
        assert target.damage is None
        target.close()


def _dies(*_args: Any) -> Any:
    raise KeyboardInterrupt


def test_the_first_append_of_all_has_a_head_before_it(
    paths: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = paths
    lead(one, [decided(3)])
    target = Replica.open(two, NOW_US)
    found = asked_of(JournalSource(one), target)
    with monkeypatch.context() as patched:
        patched.setattr(Replica, "_write_head", _dies)
        with pytest.raises(KeyboardInterrupt):
            target.take(found, NOW_US)
    target.close()
    assert content(two) == content(one)


def test_a_lock_that_cannot_be_written_is_not_held(
    paths: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(os, "pwrite", _is_full)
        with pytest.raises(OSError, match="no space"):
            Replica.open(paths[0], NOW_US)
    Replica.open(paths[0], NOW_US).close()


def test_a_tail_without_a_decision_is_cut_too(paths: tuple[Path, Path]) -> None:
    _parting(paths)
    one, two = paths
    fetch_all(two, one)
    assert content(one) == content(two)


def test_a_head_that_cannot_be_written_parts_nothing(
    paths: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = paths
    lead(one, [decided(3)])
    target = Replica.open(two, NOW_US)
    monkeypatch.setattr(os, "pwrite", _is_full)
    assert target.take(asked_of(JournalSource(one), target), NOW_US)
    assert not target.take(asked_of(JournalSource(one), target), NOW_US)
    target.close()
    assert parted(two) == []
    assert content(two) == content(one)


def _is_full(*_args: Any, **_more: Any) -> Any:
    raise OSError(28, "no space left")


def test_what_cannot_be_used_is_not_in_the_file_though_its_chain_fits(paths: tuple[Path, Path]) -> None:
    one, two = paths
    lead(one, [decided(3)], [Latched(BEGAN_US, True, "bob", "now")])
    target = Replica.open(two, NOW_US)
    found = asked_of(JournalSource(one), target)
    first, second, third = found.appends
    before = batch_of(second, batch_of(first, FIRST_CHAIN).chain)
    strange = batch_of(third, before.chain)
    strange = replace(strange, entries=(replace(strange.entries[0], text="[1]"),)).chained(before.chain)
    with pytest.raises(JournalError, match="cannot be used"):
        target.take(Fetched(appends=(first, second, line_of(strange))), NOW_US)
    assert target.asks == (0, FIRST_CHAIN, False)
    while target.take(asked_of(JournalSource(one), target), NOW_US):
        continue
    target.close()
    assert content(two) == content(one)


def _parting(paths: tuple[Path, Path]) -> None:
    """The first has a tail that the second, which leads after it, does not have."""
    one, two = paths
    lead(one, [decided(3)])
    fetch_all(one, two)
    lead(one, [tick(1)], [tick(2)], epoch=2)
    lead(two, [tick(3)], epoch=3)


def test_a_disk_that_is_full_as_a_tail_is_kept_or_cut_is_not_filled_by_trying_again(
    paths: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    _parting(paths)
    one, two = paths
    whole, target = content(one), Replica.open(one, NOW_US)
    for attempt, what in enumerate(["fsync", "pwrite", "pwrite", "fsync"]):
        with monkeypatch.context() as patched:
            patched.setattr(os, what, _is_full)
            with pytest.raises(OSError, match="no space"):
                for _ in range(20):
                    target.take(asked_of(JournalSource(two), target), NOW_US + attempt)
    assert content(one) == whole
    assert len(parted(one)) == 1
    while target.take(asked_of(JournalSource(two), target), NOW_US + 9):
        continue
    target.close()
    assert content(one) == content(two)
    assert len(parted(one)) == 1


def test_nothing_is_cut_for_one_that_does_not_lead(paths: tuple[Path, Path]) -> None:
    """It led before, was cut off, and has not heard of its successor, which comes back and finds it first."""
    _parting(paths)
    one, two = paths
    whole, leads = content(one), [False]
    source, target = JournalSource(two, lambda: leads[0]), Replica.open(one, NOW_US)
    with pytest.raises(OSError, match="does not lead"):
        asked_of(source, target)
    leads[0] = True
    while target.asks[0] > 2:
        target.take(asked_of(source, target), NOW_US)
    leads[0] = False  # as the caller has found what both have
    with pytest.raises(OSError, match="does not lead"):
        asked_of(source, target)
    assert content(one) == whole
    assert parted(one) == []
    target.close()
    three = one.with_name("three.db")
    fetch_all(two, three)
    lead(two, [tick(4)])
    target = Replica.open(three, NOW_US)
    assert target.take(asked_of(source, target), NOW_US)  # where nothing is cut for it, it may be followed
    target.close()
    assert content(three) == content(two)


def test_a_peer_that_always_says_parted_is_not_obeyed_for_ever(paths: tuple[Path, Path]) -> None:
    target = Replica.open(paths[0], NOW_US)
    for attempt in range(3):
        with pytest.raises(JournalError, match="said to have parted"):
            target.take(Fetched(has_parted=True), NOW_US + attempt)
    target.close()
    assert parted(paths[0]) == []


class _Source:
    """A journal beside it, as a peer."""

    def __init__(self, path: Path) -> None:
        self._source = JournalSource(path)

    async def fetch(self, after: int, chain: bytes, *, cuts: bool) -> Fetched:
        return await self._source.fetch(after, chain, cuts=cuts)


def _follow_until(path: Path, peer: Any, is_so: Any, told: Told) -> None:
    async def test() -> None:
        task = asyncio.ensure_future(follow(path, peer, HostClock(), 10**15, told))
        while not is_so():
            assert not task.done(), task
            await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(asyncio.wait_for(test(), 60))


def test_a_file_that_could_not_be_begun_anew_is_opened_again(
    paths: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "EVERY_S", 0.01)
    one, two = paths
    lead(one, [tick(1)])
    with Journal.open(one, WHO, unix_us=BEGAN_US) as journal:
        journal.append([tick(100)])
        assert journal.prune(BEGAN_US + 50_000_000)
    lead(two, [decided(6)], epoch=9)
    made, failures = replica.sound_state, iter([False, True])

    def fails_once(path: Path, unix_us: int) -> Any:
        if next(failures, False):
            raise JournalUnavailable("no space left")
        return made(path, unix_us)

    monkeypatch.setattr(replica, "sound_state", fails_once)
    told = Told()
    _follow_until(one, _Source(two), lambda: len(told.of("replica")) > 2, told)
    assert [line["follows"] for line in told.of("replica")] == [True, False, True]
    assert content(one) == content(two)


def test_what_a_damaged_journal_has_lost_is_told(
    paths: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "EVERY_S", 0.01)
    one, two = paths
    lead(one, [decided(3)])
    lead(two, [tick(1)])
    two.write_bytes(two.read_bytes()[:5000])
    told = Told()
    _follow_until(two, _Source(one), lambda: told.of("replica"), told)
    assert "was damaged" in told.of("journal_damaged")[0]["text"]


def test_who_wins_while_the_journal_is_being_opened_can_open_it(
    paths: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    made, begun, may_end = replica.sound_state, threading.Event(), threading.Event()

    def slow(path: Path, unix_us: int) -> Any:
        begun.set()
        may_end.wait(10)
        return made(path, unix_us)

    monkeypatch.setattr(replica, "sound_state", slow)

    async def test() -> None:
        task = asyncio.ensure_future(follow(paths[1], _Source(paths[0]), HostClock(), 10**15, Told()))
        await asyncio.to_thread(begun.wait, 10)
        task.cancel()
        asyncio.get_running_loop().call_later(0.05, may_end.set)
        await asyncio.gather(task, return_exceptions=True)
        assert task.cancelled()

    asyncio.run(test())
    Journal.open(paths[1], WHO, unix_us=NOW_US).close()
