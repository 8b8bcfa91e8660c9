"""A disk that hangs while callers give up: what was reported durable is what a restart finds."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from quietcell.audit.v1 import audit_pb2

from hw.agents.disk import AgentDisk
from hw.agents.durable import Durable
from hw.agents.heads_server import HeadServicer
from hw.agents.radio_core import RadioLimits
from hw.agents.radio_runner import RadioRunner
from hw.agents.radio_server import make_radio
from hw.agents.running import Pace
from hw.ports import HostClock
from hw.security.signing import Signed
from tests.hw.agents.plants import MemoryRadio


class HangingDisk(AgentDisk):
    """The next write that begins after ``hang`` waits until ``go_on``."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "a1")
        self._may_go, self._is_there = threading.Event(), threading.Event()
        self._may_go.set()

    def hang(self) -> None:
        self._may_go.clear()
        self._is_there.clear()

    async def reached(self) -> None:
        """Wait for that write."""
        await asyncio.to_thread(self._is_there.wait, 10.0)

    def go_on(self) -> None:
        self._may_go.set()

    def write(self, durable: Durable) -> None:
        if not self._is_there.is_set():
            self._is_there.set()
            assert self._may_go.wait(10.0)
        super().write(durable)


@asynccontextmanager
async def _agent(folder: Path) -> AsyncIterator[tuple[RadioRunner, HangingDisk]]:
    clock, disk = HostClock(), HangingDisk(folder)
    runner = await make_radio("a1", MemoryRadio(2, clock), disk, clock, RadioLimits(), Pace())
    try:
        yield runner, disk
    finally:
        disk.go_on()
        disk.close()


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, 60))


async def _given_up(disk: HangingDisk, call: Callable[[], Coroutine[Any, Any, Any]]) -> None:
    """A call whose caller waits no more while the disk hangs."""
    disk.hang()
    asked = asyncio.ensure_future(call())
    await disk.reached()
    asked.cancel()
    await asyncio.gather(asked, return_exceptions=True)


def _take(runner: RadioRunner, epoch: int) -> None:
    book = runner.core.book
    book.change(replace(book.durable, highest_epoch=epoch, granted_to=f"edge-{epoch}"))


def _kept(disk: HangingDisk) -> Durable:
    return disk.load(0)


async def _stop(runner: RadioRunner) -> None:
    await runner.carry(runner.core.stop("anna", "smoke", 0, runner.clock.monotonic_us()))


def test_a_write_that_nobody_waits_for_does_not_undo_the_next_one(tmp_path: Path) -> None:
    async def work() -> None:
        async with _agent(tmp_path) as (runner, disk):
            _take(runner, 5)
            await _given_up(disk, runner.save)
            _take(runner, 6)
            later = asyncio.ensure_future(runner.save())
            await asyncio.wait({later}, timeout=0.3)
            disk.go_on()
            assert await later
            await asyncio.sleep(0.3)
            assert (_kept(disk).highest_epoch, _kept(disk).granted_to) == (6, "edge-6")

    run(work())


def test_a_stop_outlasts_a_clearing_before_it_that_nobody_waits_for(tmp_path: Path) -> None:
    async def work() -> None:
        async with _agent(tmp_path) as (runner, disk):
            await _stop(runner)
            await _given_up(disk, lambda: runner.clear_stop("chief", "over"))
            stopping = asyncio.ensure_future(_stop(runner))
            await asyncio.wait({stopping}, timeout=0.3)
            disk.go_on()
            await stopping
            assert runner.core.on_disk.latch.is_set
            await asyncio.sleep(0.3)
            assert _kept(disk).latch.is_set
            assert runner.core.latch.is_set

    run(work())


def test_a_clearing_that_waits_takes_nothing_back_that_came_meanwhile(tmp_path: Path) -> None:
    async def work() -> None:
        async with _agent(tmp_path) as (runner, disk):
            await _stop(runner)
            _take(runner, 5)
            await _given_up(disk, runner.save)
            clearing = asyncio.ensure_future(runner.clear_stop("chief", "over"))
            await asyncio.sleep(0)
            _take(runner, 6)
            disk.go_on()
            assert await clearing
            assert (_kept(disk).highest_epoch, _kept(disk).latch.is_set) == (6, False)
            assert not runner.core.latch.is_set

    run(work())


def test_a_clearing_that_waits_does_not_clear_a_later_stop(tmp_path: Path) -> None:
    async def work() -> None:
        async with _agent(tmp_path) as (runner, disk):
            await _stop(runner)
            _take(runner, 5)
            await _given_up(disk, runner.save)
            clearing = asyncio.ensure_future(runner.clear_stop("chief", "over"))
            await asyncio.sleep(0)
            stopping = asyncio.ensure_future(_stop(runner))
            await asyncio.sleep(0)
            disk.go_on()
            await asyncio.gather(clearing, stopping)
            assert _kept(disk).latch.is_set
            assert runner.core.latch.is_set

    run(work())


def test_what_one_that_was_killed_had_begun_to_write_is_removed(tmp_path: Path) -> None:
    for name in (".a1.json.abcdefgh.partial", ".a1.json.b.json.abcdefgh.partial"):
        (tmp_path / name).write_bytes(b"half")
    AgentDisk(tmp_path, "a1").close()
    assert [path.name for path in tmp_path.glob(".*.partial")] == [".a1.json.b.json.abcdefgh.partial"]


def test_a_head_that_nobody_waits_for_is_kept_before_the_next_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    servicer, go_on, is_there = HeadServicer(tmp_path / "heads"), threading.Event(), threading.Event()
    keep = HeadServicer._keep

    def hanging(self: HeadServicer, signed: Signed) -> int:
        if not is_there.is_set():
            is_there.set()
            assert go_on.wait(10.0)
        return keep(self, signed)

    monkeypatch.setattr(HeadServicer, "_keep", hanging)

    def head(content: bytes) -> audit_pb2.KeepHeadRequest:
        return audit_pb2.KeepHeadRequest(head=audit_pb2.SignedHead(content=content))

    async def work() -> None:
        first = asyncio.ensure_future(servicer.KeepHead(head(b"one"), None))
        await asyncio.to_thread(is_there.wait, 10.0)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        second = asyncio.ensure_future(servicer.KeepHead(head(b"two"), None))
        await asyncio.wait({second}, timeout=0.3)
        assert not second.done()
        go_on.set()
        assert (await second).kept == 2
        found = await servicer.ListHeads(audit_pb2.ListHeadsRequest(), None)
        assert [one.content for one in found.heads] == [b"one", b"two"]

    run(work())
