"""What goes on beside the loop does not end unseen: it is told and begins again, or all ends with it."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest

from controller.live import aside
from controller.live.aside import Aside, prune
from controller.live.events import Alarm
from controller.live.journal import Journal
from controller.live.journal_writer import JournalWriter
from hw.ports import HostClock
from tests.controller.live.live_made import BEGAN_US, WHO
from tests.controller.live.loop_doubles import Told
from tests.hw.adapters.agent_double import run, until


def test_an_error_is_told_with_the_name_of_the_task_and_it_begins_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(aside, "AGAIN_AFTER_S", 0.0)
    told, begun = Told(), 0

    async def work() -> None:
        nonlocal begun
        begun += 1
        if begun < 3:
            raise KeyError("no such append")
        await asyncio.Event().wait()

    async def test() -> None:
        ending = asyncio.Event()
        tasks = Aside(ending, told)
        tasks.keep_up("retention", work)
        await until(lambda: begun == 3)
        assert not ending.is_set()
        assert not tasks.has_failed
        tasks.cancel()

    run(test())
    assert told.lines == [("failed", {"task": "retention", "error": "KeyError: 'no such append'"})] * 2


def test_what_the_loop_must_not_go_on_without_ends_it() -> None:
    told = Told()

    async def work() -> None:
        raise RuntimeError("nobody asks for the term")

    async def test() -> None:
        ending = asyncio.Event()
        tasks = Aside(ending, told)
        tasks.need("leadership", work)
        await ending.wait()
        assert tasks.has_failed

    run(test())
    assert told.of("failed") == [{"task": "leadership", "error": "RuntimeError: nobody asks for the term"}]


def test_damage_that_pruning_finds_is_told_once_and_the_journal_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aside, "PRUNE_EVERY_S", 0.01)
    path, told, tried = tmp_path / "journal.db", Told(), 0
    journal = Journal.open(path, WHO, unix_us=BEGAN_US)
    for second in range(600):
        journal.append([Alarm(BEGAN_US + second, "major", "x", "y")])
    db = sqlite3.connect(path)
    db.execute("""UPDATE entry SET text='["minor","x","y"]' WHERE batch = 5""")
    db.commit()
    db.close()

    async def test() -> None:
        writer = JournalWriter(journal)
        once = writer.prune

        async def counted(older_than_unix_us: int) -> int:
            nonlocal tried
            tried += 1
            return await once(older_than_unix_us)

        monkeypatch.setattr(writer, "prune", counted)
        clock = HostClock(1.0, BEGAN_US + 10_000_000)
        task = asyncio.create_task(prune(writer, clock, 0, told))
        await until(lambda: tried > 3 or task.done())
        assert not task.done()
        task.cancel()
        await writer.append([Alarm(BEGAN_US, "major", "x", "still written")])
        await writer.close()

    run(test())
    (line,) = told.of("journal_not_pruned")
    assert "batch 5" in str(line["cause"])
    assert "quietcell journal check" in str(line["cause"])
