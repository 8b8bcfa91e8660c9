"""A journal is killed, cut and scribbled on: what was acknowledged is there, or its loss is found and bounded."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import sqlite3
import tempfile
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import pytest

from controller.errors import JournalError
from controller.live.events import Decided, GuardTick, Latched, Record, Taken
from controller.live.journal import Journal
from controller.live.journal_damage import examine
from controller.live.journal_reader import open_reader
from controller.live.journal_state import read_head
from tests.controller.live.live_made import BEGAN_US, WHO, fleet_seconds, same

SECOND_US = 1_000_000
PLACES = 200
Written = tuple[Path, list[tuple[int, Record]]]


def opened(path: Path, second: int) -> Journal:
    return Journal.open(path, WHO, unix_us=BEGAN_US + second * SECOND_US)


def write_until_killed(path: Path, acknowledged: Connection) -> None:
    journal, number = opened(path, 0), 0
    while True:
        number += 1
        unix_us = BEGAN_US + number * SECOND_US
        n = 1 + number * 37 % 400
        level, reason = np.full(n, 3, np.uint8), np.full(n, number % 9, np.uint8)
        cell, revision = np.arange(n, dtype=np.int32), np.full(n, number, np.uint64)
        journal.append(
            [Taken(unix_us, GuardTick(unix_us)), Decided(unix_us, "p", cell, revision, level, level, reason)]
        )
        acknowledged.send(number)


def test_whatever_was_acknowledged_survives_kill_9(tmp_path: Path) -> None:
    context, path = multiprocessing.get_context("spawn"), tmp_path / "journal.sqlite"
    rng, promised, run = np.random.default_rng(5), {}, 0
    for _ in range(4):
        run += 1
        ours, theirs = context.Pipe(duplex=False)
        process = context.Process(target=write_until_killed, args=(path, theirs))
        process.start()
        wanted, last = int(rng.integers(1, 60)), 0
        while last < wanted:
            assert ours.poll(20), "the writer has died"
            last = ours.recv()
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        process.join(10)
        while ours.poll():
            try:
                last = ours.recv()
            except EOFError:
                break
        promised[run] = last
        reader = open_reader(path)
        for number, count in promised.items():
            found = [int(d.revision[0]) for d in reader.decisions(number)]
            assert found[:count] == list(range(1, count + 1))
            assert len(found) <= count + 1  # one may be durable and not acknowledged yet
            assert len(list(reader.events(number))) == len(found)
        reader.close()
    with opened(path, 10_000) as journal:
        assert journal.damage is None
        assert journal.run == run + 1


@pytest.fixture
def quick_path() -> Iterator[Path]:
    """A folder in memory where there is one: a fresh file each hundred times is slow on a disk."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as folder:
        yield Path(folder)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[tuple[int, Record]]]:
    """A journal of two runs, with a log that is not checkpointed: what a killed controller leaves; and its records."""
    path = tmp_path_factory.mktemp("written") / "journal.sqlite"
    with opened(path, 0) as journal:
        for records in fleet_seconds(2, 10, 120, changes_a_day=2000):
            journal.append(records)
    with opened(path, 120) as journal:
        for records in fleet_seconds(2, 10, 60, seed=1, changes_a_day=2000, begin_s=120):
            journal.append(records)
        journal.append([Latched(BEGAN_US + 260 * SECOND_US, True, "ann", "smoke")])
        there = [(run, record) for run in (1, 2) for record in journal.records(run)]
        left = path.parent / "left"
        left.mkdir()
        for file in path.parent.glob("journal.sqlite*"):
            shutil.copy(file, left / file.name)
    return left / path.name, there


def copy_of(written: Path, folder: Path, *, closed: bool = False) -> Path:
    """A copy to be damaged; ``closed``: without a log, as after a graceful stop."""
    for file in written.parent.glob("journal.sqlite*"):
        if not file.name.endswith("-shm"):  # no process has it open: it is made anew
            shutil.copy(file, folder / file.name)
    if closed:
        sqlite3.connect(folder / written.name).execute("PRAGMA wal_checkpoint(TRUNCATE)").connection.close()
    return folder / written.name


def all_records(journal: Journal) -> list[tuple[int, Record]]:
    return [
        (run.run, record) for run in journal.runs() if run.run <= 2 for record in journal.records(run.run)
    ]


def check_is_found_or_harmless(
    path: Path, records: list[tuple[int, Record]], place: str, *, deep: bool = True
) -> bool:
    """Whether damage was found; what is not found must have changed nothing."""
    with opened(path, 400) as journal:
        kept = [r for _, r in all_records(journal)]
        assert same(kept, [r for _, r in records][: len(kept)]), place
        assert journal.run >= 3, place
        assert journal.stop_latch().is_set, place
        damage = journal.damage
        if damage is None:
            assert len(kept) == len(records), place
            return False
        lost = [r.unix_us for _, r in records[len(kept) :]]
        assert all((damage.lost_after_unix_us or 0) <= t <= damage.lost_until_unix_us for t in lost), place
        assert damage.kept_as is not None, place
        assert damage.kept_as.exists(), place
        assert "are lost" in str(damage)
        assert next(a for a in journal.alarms() if a.about == "journal").text == str(damage)
        journal.append([Taken(BEGAN_US + 401 * SECOND_US, GuardTick(1))])
    if not deep:
        return True
    with opened(path, 402) as journal:
        assert journal.damage is None, place
    return True


@pytest.mark.parametrize("suffix", ["", "-wal"])
def test_bytes_changed_anywhere_are_found_or_change_nothing(
    written: Written, quick_path: Path, suffix: str
) -> None:
    source, records = written
    source = copy_of(source, quick_path, closed=not suffix)
    size, found = Path(f"{source}{suffix}").stat().st_size, 0
    rng = np.random.default_rng(11)
    places = PLACES // 2
    for number in range(places):
        folder = quick_path / str(number)
        folder.mkdir()
        path = copy_of(source, folder)
        at = number if number < 20 and not suffix else int(rng.integers(size))
        with Path(f"{path}{suffix}").open("r+b") as file:
            file.seek(at)
            count = int(rng.choice([1, 1, 16, 512]))
            before = file.read(count)
            file.seek(at)
            file.write(bytes(b ^ int(rng.integers(1, 256)) for b in before))
        found += check_is_found_or_harmless(
            path, records, f"{count} bytes at {at} of {size} in journal{suffix}"
        )
        shutil.rmtree(folder)
    assert found > places // 4


def test_a_cut_at_any_place_is_found(written: Written, quick_path: Path) -> None:
    source, records = written
    rng, found = np.random.default_rng(12), 0
    for number, suffix in enumerate(["", "-wal"] * 15):
        folder = quick_path / str(number)
        folder.mkdir()
        path = copy_of(source, folder, closed=not suffix)
        size = Path(f"{path}{suffix}").stat().st_size
        cut = int(rng.integers(size - 1)) if number > 1 else 0
        os.truncate(f"{path}{suffix}", cut)
        found += check_is_found_or_harmless(path, records, f"journal{suffix} cut at {cut} of {size}")
        shutil.rmtree(folder)
    assert found >= 25  # the last page may end in zeros


def test_a_journal_that_is_gone_or_put_back_from_a_backup_is_found(written: Written, tmp_path: Path) -> None:
    path = copy_of(written[0], tmp_path)
    for suffix in ("", "-wal"):
        Path(f"{path}{suffix}").unlink()
    with opened(path, 400) as journal:
        assert journal.damage is not None
        assert "it is missing" in str(journal.damage)
        assert journal.run == 3
        assert journal.stop_latch().is_set
    path = copy_of(written[0], tmp_path)
    path.with_name("journal.sqlite.head").unlink()
    with opened(path, 400) as journal:
        assert journal.damage is not None
        assert "its end is not certain" in str(journal.damage)
        assert len(all_records(journal)) == len(written[1])


def test_a_base_and_an_open_run_are_protected_too(quick_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("controller.live.journal.KEY_EVERY", 10)
    path = quick_path / "journal.sqlite"
    with opened(path, 0) as journal:
        for records in fleet_seconds(2, 20, 60, changes_a_day=2000):
            journal.append(records)
        assert journal.prune(BEGAN_US + 30 * SECOND_US) > 0
        last = journal.last_commands()
    changes = (
        "UPDATE run SET identity = replace(identity, 'code', 'cope')",
        "UPDATE base SET batch = batch + 1",
    )
    for number, change in enumerate(changes):
        folder = quick_path / str(number)
        folder.mkdir()
        copy = copy_of(path, folder)
        db = sqlite3.connect(copy)
        with db:
            db.execute(change)
        db.close()
        assert examine(copy, read_head(copy), needs_head=True).cause
        with opened(copy, 100) as journal:
            assert journal.damage is not None
            assert journal.damage.lost_after_unix_us is None
    cells = np.random.default_rng(3).integers(4096, path.stat().st_size, 30)
    for number, at in enumerate(cells.tolist(), len(changes)):
        folder = quick_path / str(number)
        folder.mkdir()
        copy = copy_of(path, folder)
        with copy.open("r+b") as file:
            file.seek(at)
            file.write(bytes(64))
        with opened(copy, 100) as journal:
            assert journal.damage is not None or same(journal.last_commands(), last), at


@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM batch WHERE batch = 9",
        "DELETE FROM command WHERE command = 3",
        "UPDATE command SET level = 4 WHERE command = 3",
        "UPDATE entry SET text = 'p' WHERE batch = (SELECT max(batch) FROM entry)",
        "UPDATE entry SET position = position + 1 WHERE batch = (SELECT max(batch) FROM entry)",
        "UPDATE taken SET block = zeroblob(9) WHERE batch = 9",
        "DELETE FROM run WHERE run = 2",
        "INSERT INTO command VALUES (99999, 1, 1, 1, 1, 1)",
        "INSERT INTO taken VALUES (99999, 1, zeroblob(1))",
        "UPDATE batch SET lost = 1 WHERE batch = 12",
        "UPDATE batch SET chain = zeroblob(32) WHERE batch = (SELECT max(batch) FROM batch)",
        "UPDATE batch SET batch = 9999 WHERE batch = (SELECT max(batch) FROM batch)",
        "CREATE INDEX more ON command (cell)",
        "PRAGMA user_version = 7",
        "PRAGMA user_version = 0",
    ],
)
def test_rows_changed_through_sqlite_are_found(written: Written, quick_path: Path, change: str) -> None:
    path = copy_of(written[0], quick_path)
    db = sqlite3.connect(path)
    with db:
        db.execute(change)
    db.close()
    if "user_version" in change:
        with pytest.raises(JournalError):
            open_reader(path)
    assert check_is_found_or_harmless(path, written[1], change)
