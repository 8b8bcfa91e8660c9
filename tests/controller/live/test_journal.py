"""What is appended is there, in its order, bit for bit; one writer; retention; disks that are full."""

from __future__ import annotations

import asyncio
import resource
import signal
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from controller.errors import JournalError, JournalUnavailable
from controller.live.events import Alarm, Decided, GuardTick, Latched, Record, Taken, Woken
from controller.live.identity import identify
from controller.live.journal import Journal
from controller.live.journal_reader import Lost, open_reader
from controller.live.journal_schema import MIGRATIONS, migrate, version_of
from controller.live.journal_writer import JournalWriter
from tests.controller.live.live_made import BEGAN_US, WHO, fleet_seconds, one_of_each, same

KEY_EVERY = 50  # batches; fewer than in earnest


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.sqlite"


def decided(n: int, unix_us: int = BEGAN_US, revision: int = 1) -> Decided:
    cells = np.arange(n, dtype=np.int32)
    level = np.full(n, 3, np.uint8)
    revisions = np.full(n, revision, np.uint64)
    return Decided(unix_us, "plan", cells, revisions, level, np.ones(n, np.uint8), np.full(n, 7, np.uint8))


def tick(second: int) -> Taken:
    return Taken(BEGAN_US + second * 1_000_000, GuardTick(BEGAN_US + second * 1_000_000))


def opened(path: Path, second: int = 0) -> Journal:
    return Journal.open(path, WHO, unix_us=BEGAN_US + second * 1_000_000)


def test_records_come_back_in_their_order_bit_for_bit(path: Path) -> None:
    written: list[Record] = []
    with opened(path) as journal:
        for part in (one_of_each(), [decided(3)], one_of_each()[:4], *fleet_seconds(3, 5, 60)):
            journal.append(part)
            written += part
        reader = open_reader(path)  # beside the writer
        assert same(list(reader.records(1)), written)
        reader.close()
    reader = open_reader(path)
    assert same(list(reader.events(1)), [r for r in written if isinstance(r, Taken)])
    assert same(list(reader.decisions(1)), [r for r in written if isinstance(r, Decided)])
    (run,) = reader.runs()
    commands = {k: sum(len(r.cell) for r in written if isinstance(r, k)) for k in (Decided, Woken)}
    assert (run.decisions, run.wakes) == (commands[Decided], commands[Woken])
    assert run.is_whole
    assert reader.size_bytes() > 0
    reader.close()


def test_a_restart_resumes_from_the_last_command_of_each_cell(path: Path) -> None:
    with opened(path) as journal:
        journal.append([decided(4, revision=2**63 + 5)])
        cell, revision, reason = np.array([2], np.int32), np.array([9], np.uint64), np.array([1], np.uint8)
        journal.append([Woken(BEGAN_US + 1, cell, revision, reason)])
        journal.append([Latched(BEGAN_US + 2, True, "ann", "smoke \ud800 \0")])
        assert (journal.run, journal.highest_epoch()) == (1, 0)
    with opened(path, 1) as journal:
        last = journal.last_commands()
        assert last.cell.tolist() == [0, 1, 2, 3]
        assert last.level.tolist() == [3, 3, 0, 3]
        assert last.revision.tolist() == [2**63 + 5, 2**63 + 5, 9, 2**63 + 5]
        assert last.revision.dtype == np.uint64
        latch = journal.stop_latch()
        assert (latch.is_set, latch.author, latch.reason) == (True, "ann", "smoke \ud800 \0")
        assert (journal.run, journal.highest_epoch()) == (2, 1)
        assert journal.damage is None
        before = journal.state_before(2)
        assert same(before.commands(), last)
        assert journal.state_before(1).commands().cell.size == 0


def test_what_is_committed_is_flushed(path: Path) -> None:
    with opened(path) as journal:
        assert journal._db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert journal._db.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL


def test_ten_thousand_commands_are_durable_within_tens_of_milliseconds(path: Path) -> None:
    with opened(path) as journal:
        took_s = []
        for i in range(5):
            begin = time.perf_counter()
            journal.append([decided(10_000, BEGAN_US + i, i)])
            took_s.append(time.perf_counter() - begin)
    assert min(took_s) < 0.3  # tens of ms on a quiet machine


def test_a_second_writer_is_told_who_holds_the_journal(path: Path) -> None:
    with (
        opened(path),
        pytest.raises(JournalError, match=r"in use by process \d+ on .*; stop that controller"),
    ):
        opened(path)
    opened(path).close()


def test_a_journal_of_a_newer_version_and_what_is_no_journal_are_refused(path: Path, tmp_path: Path) -> None:
    opened(path).close()
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE more (x)")
    db.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    db.close()
    with pytest.raises(
        JournalError, match=r"version 2, this program knows versions up to 1; run the newer program"
    ):
        opened(path)
    with pytest.raises(JournalError, match="read it with the program that wrote it"):
        open_reader(path)
    other = tmp_path / "other.sqlite"
    db = sqlite3.connect(other)
    db.execute("CREATE TABLE mine (x)")
    db.close()
    with pytest.raises(JournalError, match="holds mine; name another file"):
        opened(other)
    text = tmp_path / "notes.txt"
    text.write_text("not a database " * 100, encoding="ascii")
    with pytest.raises(JournalError, match="cannot be read as a journal"):
        opened(text)
    assert text.read_text(encoding="ascii").startswith("not a database")
    with pytest.raises(JournalError, match="no such journal"):
        open_reader(tmp_path / "none")


def test_older_tables_are_brought_up_to_date_all_or_nothing(path: Path) -> None:
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("CREATE TABLE run (run INTEGER PRIMARY KEY, began INTEGER)")  # a version 0 by hand
    db.execute("INSERT INTO run VALUES (1, 5)")
    good = (
        "ALTER TABLE run RENAME COLUMN began TO unix_us",
        "ALTER TABLE run ADD COLUMN epoch INTEGER DEFAULT 1",
    )
    with pytest.raises(sqlite3.Error):
        migrate(db, path, [good, ("ALTER TABLE nothing ADD COLUMN x",)])
    assert version_of(db) == 0
    assert db.execute("SELECT began FROM run").fetchall() == [(5,)]
    backup = migrate(db, path, [good, ("CREATE TABLE batch (batch INTEGER PRIMARY KEY)",)])
    assert version_of(db) == 2
    assert db.execute("SELECT * FROM run").fetchall() == [(1, 5, 1)]
    db.close()
    assert backup is not None
    kept = sqlite3.connect(backup)
    assert kept.execute("SELECT began FROM run").fetchall() == [(5,)]
    kept.close()


def test_what_is_old_goes_and_what_a_restart_needs_stays(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("controller.live.journal.KEY_EVERY", KEY_EVERY)
    with opened(path) as journal:
        journal.append([decided(5), Latched(BEGAN_US, True, "ann", "smoke")])
        for second in range(1, 3 * KEY_EVERY):
            journal.append([tick(second), Alarm(BEGAN_US, "major", "x", "y" * 2000)])
        before, size = list(journal.records(1)), journal.size_bytes()
        cut_us = BEGAN_US + 2 * KEY_EVERY * 1_000_000
        deleted = 0
        while count := journal.prune(cut_us, at_most=20):
            deleted += count
        assert KEY_EVERY <= deleted < 2 * KEY_EVERY + 2
        kept = list(journal.records(1))
        assert same(kept, before[-len(kept) :])
        assert not journal.runs()[0].is_whole
        with pytest.raises(JournalError, match="the beginning of run 1 is not kept"):
            journal.state_before(1)
        assert not any(isinstance(r, Taken) and r.unix_us >= cut_us for r in before[: -len(kept)])
        last = journal.last_commands()
        journal.append([tick(10_000)])
    with opened(path, 10_001) as journal:
        assert journal.damage is None
        assert same(journal.last_commands(), last)
        assert journal.stop_latch().is_set
        assert journal.run == 2
        assert journal.size_bytes() < size
        assert journal.prune(2**62) > 0
        assert same(journal.last_commands(), last)
    with opened(path, 10_002) as journal:
        assert journal.damage is None
        assert same(journal.last_commands(), last)
        assert [run.run for run in journal.runs()] == [2, 3]


def test_a_full_disk_refuses_an_append_whole_and_the_next_one_works(path: Path) -> None:
    with opened(path) as journal:
        journal.append([tick(0)])
        journal._db.execute("PRAGMA max_page_count = 12")
        with pytest.raises(JournalUnavailable, match=r"cannot be written: .*full"):
            journal.append([tick(1), decided(10_000)])
        assert journal.last_commands().cell.size == 0
        journal._db.execute("PRAGMA max_page_count = 100000")
        journal.count_lost(2)
        journal.append([tick(2)])
        journal.append([tick(3)])
        found = list(journal.records(1))
        assert same(found, [tick(0), Lost(2, BEGAN_US + 2_000_000), tick(2), tick(3)])
    with opened(path, 5) as journal:
        assert journal.damage is None


@pytest.fixture
def file_limit() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


def test_an_input_output_error_refuses_an_append_whole_and_the_next_one_works(
    path: Path, file_limit: None
) -> None:
    with opened(path) as journal:
        journal.append([tick(0)])
        hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        resource.setrlimit(resource.RLIMIT_FSIZE, (64 << 10, hard))
        with pytest.raises(JournalUnavailable):
            journal.append([decided(10_000)])
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        journal.append([tick(1)])
        assert same(list(journal.records(1)), [tick(0), tick(1)])
    with opened(path, 5) as journal:
        assert journal.damage is None


def test_a_small_disk_that_is_full_and_then_is_not(tmp_path: Path) -> None:
    mount = tmp_path / "disk"
    mount.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(mount)], capture_output=True, check=False
    )
    if made.returncode:
        pytest.skip("mounting needs root")
    try:
        path, ballast = mount / "journal.sqlite", mount / "ballast"
        with opened(path) as journal:
            journal.append([tick(0)])
            free = int(
                subprocess.run(["stat", "-f", "-c", "%f", str(mount)], capture_output=True, check=True).stdout
            )
            ballast.write_bytes(bytes(free * 4096))
            with pytest.raises(JournalUnavailable, match="look at the disk"):
                journal.append([decided(10_000)])
            ballast.unlink()
            journal.append([decided(100)])
            assert journal.last_commands().cell.size == 100
        with opened(path, 5) as journal:
            assert journal.damage is None
    finally:
        subprocess.run(["umount", str(mount)], check=True)


def test_a_writer_for_the_loop_waits_for_decisions_and_gathers_the_rest(path: Path) -> None:
    async def work(journal: Journal) -> None:
        writer = JournalWriter(journal, linger_s=1.0)
        batches = journal._state.batch
        for second in range(50):
            await writer.append([tick(second)])
        assert journal._state.batch == batches
        await writer.append([decided(5)])
        assert journal._state.batch == batches + 1
        assert journal.last_commands().cell.size == 5
        await writer.append([tick(60)])
        async with asyncio.timeout(30):
            while journal._state.batch < batches + 2:
                await asyncio.sleep(0.01)
        await asyncio.gather(*(writer.append([decided(5, revision=2 + i)]) for i in range(20)))
        assert journal._state.batch <= batches + 4
        assert journal.last_commands().revision.tolist() == [21] * 5
        await writer.append([tick(61)])
        await writer.close()

    asyncio.run(work(opened(path)))
    reader = open_reader(path)
    ticks = [r.unix_us for r in reader.events(1)]
    reader.close()
    assert ticks == [tick(second).unix_us for second in (*range(50), 60, 61)]


def test_a_failing_journal_is_told_and_what_lingered_is_written_later(path: Path) -> None:
    async def work(journal: Journal) -> None:
        writer = JournalWriter(journal, linger_s=0.01)
        journal._db.execute("PRAGMA max_page_count = 12")
        await writer.append([tick(1)])
        with pytest.raises(JournalUnavailable):
            await writer.append([decided(10_000)])
        with pytest.raises(JournalUnavailable):
            await writer.append([Alarm(BEGAN_US, "major", "x", "y" * 100_000)])
        writer.count_lost(2)
        journal._db.execute("PRAGMA max_page_count = 100000")
        await writer.append([tick(2)])
        await writer.close()

    asyncio.run(work(opened(path)))
    reader = open_reader(path)
    found = list(reader.records(1))
    reader.close()
    assert same(found, [Lost(2, BEGAN_US + 1_000_000), tick(1), tick(2)])


def test_an_error_of_ours_fails_an_append_and_not_those_after_it(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work(journal: Journal) -> None:
        writer = JournalWriter(journal)
        with monkeypatch.context() as broken:
            broken.setattr(journal, "append", [].index)
            with pytest.raises(JournalUnavailable, match="ValueError"):
                await asyncio.wait_for(writer.append([decided(5)]), 30)
        await asyncio.wait_for(writer.append([decided(5)]), 30)
        await writer.close()

    asyncio.run(work(opened(path)))


def test_identity_names_what_differs(tmp_path: Path) -> None:
    model = tmp_path / "model.onnx"
    model.write_bytes(b"one")
    (tmp_path / "trace").mkdir()
    files = [model, tmp_path / "trace", tmp_path / "none"]
    before = identify('{"seed": 1}', files, 1)
    assert list(before.differences(identify('{"seed": 1}', files, 1))) == []
    model.write_bytes(b"two")
    (tmp_path / "trace" / "part").write_bytes(b"new")
    after = replace(identify('{"seed": 2}', files, 1), cpu="another")
    assert [name for name, _, _ in before.differences(after)] == [
        "config",
        "cpu",
        f"file {model}",
        f"file {tmp_path / 'trace'}",
    ]
    assert before == type(before).from_json(before.to_json())
