"""Whether a journal is what was written, and what is done where it is not: kept aside, and its sound part copied."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from controller.errors import JournalError
from controller.live.journal_batch import BrokenError, walk, write_batch
from controller.live.journal_schema import (
    MIGRATIONS,
    connect,
    connect_readonly,
    expected_schema,
    migrate,
    schema_of,
    version_of,
)
from controller.live.journal_state import Head, JournalState, head_path, read_base, write_base

FILES = ("", "-wal", "-shm")  # what SQLite keeps a journal in


@dataclass(frozen=True, slots=True)
class Damage:
    """What a damaged journal has lost. All that was recorded outside the two times is still there."""

    cause: str
    kept_as: Path | None  # the damaged file; None: there was none
    kept_batches: int  # appends that are still there
    lost_batches: int | None  # appends that are not; None: not known
    lost_after_unix_us: int | None  # time of the last record that is kept; None: none is
    lost_until_unix_us: int  # nothing later is lost

    def __str__(self) -> str:
        """One sentence for people."""
        since = "the beginning" if self.lost_after_unix_us is None else _utc(self.lost_after_unix_us)
        count = "an unknown number of" if self.lost_batches is None else str(self.lost_batches)
        kept = "" if self.kept_as is None else f"; the damaged file is kept as {self.kept_as}"
        return (
            f"the journal was damaged ({self.cause}): {count} appends from {since} to {_utc(self.lost_until_unix_us)} "
            f"are lost, {self.kept_batches} are kept{kept}"
        )


def _utc(unix_us: int) -> str:
    return datetime.fromtimestamp(unix_us / 1e6, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


@dataclass(slots=True)
class Examined:
    """How far a journal is sound."""

    state: JournalState  # after the last sound batch
    kept_batches: int = 0
    cause: str = ""  # empty: all of it is sound


def examine(path: Path, head: Head | None, *, needs_head: bool) -> Examined:
    """Read all of a journal and compare it with its chain and the file that says where it ends.

    ``needs_head``: a missing such file is damage; a copy of a journal that is only read has none.
    """
    found = Examined(JournalState())
    try:
        db = connect_readonly(path)
        try:
            found.cause = _file_problem(db)
            cause = _walk_all(db, found, head)
        finally:
            db.close()
    except (BrokenError, sqlite3.Error, UnicodeDecodeError) as error:
        cause = str(error)
    found.cause = found.cause or cause
    if not found.cause and head is None and needs_head and found.state.batch:
        found.cause = f"{head_path(path).name} is missing or damaged, so its end is not certain"
    return found


def _walk_all(db: sqlite3.Connection, found: Examined, head: Head | None) -> str:
    """Go through all batches; what is wrong with their end, if anything."""
    found.state = read_base(db)
    base = found.state.batch
    reached = b""  # chain at the batch that the head names
    for batch in walk(db, base, found.state.chain):
        found.state.apply(batch)
        found.kept_batches += 1
        if head is not None and batch.number == head.batch:
            reached = batch.chain
    if head is not None and head.batch > found.state.batch:
        return f"it ends at append {found.state.batch}, {head.batch} were made"
    if head is not None and head.batch > base and reached != head.chain:
        return f"append {head.batch} is not the one that was made"
    return ""


def _file_problem(db: sqlite3.Connection) -> str:
    """What is wrong with the file or its tables, empty where nothing is."""
    try:
        problems = [str(text) for (text,) in db.execute("PRAGMA quick_check(3)")]
        if problems != ["ok"]:
            return "; ".join(problems)[:300]
        if version_of(db) != len(MIGRATIONS) or schema_of(db) != expected_schema():
            return "its tables are not those that were made"
    except (sqlite3.Error, UnicodeDecodeError) as error:
        return str(error)
    return ""


def is_broken(path: Path, head: Head | None) -> bool:
    """Whether a file cannot be what was written, so that no other version or owner of it is to be looked for."""
    try:
        db = connect_readonly(path)
        try:
            tables = schema_of(db)
            was_used = head is not None and head.batch > 0
            return (version_of(db) != len(MIGRATIONS) and tables == expected_schema()) or (
                was_used and not tables
            )
        finally:
            db.close()
    except (sqlite3.Error, UnicodeDecodeError) as error:
        if head is None:
            raise JournalError(
                f"{path}: it cannot be read as a journal ({error}); move it away, or name another file as journal"
            ) from error
        return True


def salvage(path: Path, cause: str, head: Head | None, unix_us: int) -> tuple[Damage, JournalState]:
    """Put the sound part of a damaged journal into its place, and the damaged file aside. ``unix_us``: now."""
    kept_as = path.with_name(f"{path.name}.damaged-{unix_us}")
    copy = salvage_path(path)
    for suffix in FILES:
        copy.with_name(copy.name + suffix).unlink(missing_ok=True)
    found = _copy_sound(path, copy)
    state = found.state
    until = _lost_until(path, head, state, unix_us)
    for suffix in FILES:
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.rename(kept_as.with_name(kept_as.name + suffix))
    copy.rename(path)
    lost = None if head is None or head.batch < state.batch else head.batch - state.batch
    after = state.last_unix_us if state.batch else None
    return Damage(cause, kept_as, found.kept_batches, lost, after, until), state


def salvage_path(path: Path) -> Path:
    """Where the sound part of a journal is copied to before it takes its place."""
    return path.with_name(f"{path.name}.salvage")


def _lost_until(path: Path, head: Head | None, state: JournalState, unix_us: int) -> int:
    """The latest time at which something can have been recorded that is lost."""
    if head is None:
        return max(unix_us, state.last_unix_us)
    latest = head.last_unix_us
    try:
        db = connect_readonly(path)
        try:
            (stored,) = db.execute("SELECT max(last_unix_us) FROM batch").fetchone()
        finally:
            db.close()
    except sqlite3.Error:
        stored = None  # after a power failure the head may be older than what cannot be read now
    if isinstance(stored, int):
        latest = max(latest, min(stored, unix_us))
    return max(latest, state.last_unix_us)


def _copy_sound(source: Path, target: Path) -> Examined:
    """Write the batches of a file up to the first that is not sound to a new one."""
    found = Examined(JournalState())
    fresh = connect(target)
    try:
        migrate(fresh, target)
        fresh.execute("BEGIN IMMEDIATE")
        try:
            old = connect_readonly(source)
            try:
                _copy_base(old, fresh, found)
                for batch in walk(old, found.state.batch, found.state.chain):
                    write_batch(fresh, batch)
                    found.state.apply(batch)
                    found.kept_batches += 1
            finally:
                old.close()
        except (BrokenError, sqlite3.DatabaseError, UnicodeDecodeError) as error:
            found.cause = str(error)
        fresh.execute("COMMIT")
    finally:
        fresh.close()
    return found


def _copy_base(old: sqlite3.Connection, fresh: sqlite3.Connection, found: Examined) -> None:
    """What pruned batches left behind, with the runs that go on behind them."""
    state = read_base(old)
    if state.batch:
        begun = old.execute("SELECT * FROM run WHERE batch <= ?", (state.batch,)).fetchall()
        fresh.executemany("INSERT INTO run VALUES (?, ?, ?, ?)", begun)
        write_base(fresh, state)
    found.state = state
