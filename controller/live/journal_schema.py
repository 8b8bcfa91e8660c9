"""The tables of a journal, how older ones are brought up to date, and how the file is opened.

::

    run       one row a start of the controller, numbered by its term as leader: what it ran with
    batch     one row an append: what belongs together, and a SHA-256 over it and the batch before
    taken     the events of an append as one block
    entry     the other records of an append, each at its position among them
    command   one row a cell and command of an entry; level 0 and no expected level: woken
    base      one row once older batches were pruned: what they left behind
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path

from controller.errors import JournalError

BUSY_MS = 5000

# Each item brings a journal from the version of its place to the next. Never changed once released; only added to.
MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        """CREATE TABLE run (
    run INTEGER PRIMARY KEY, batch INTEGER NOT NULL, began_unix_us INTEGER NOT NULL, identity TEXT NOT NULL) STRICT""",
        """CREATE TABLE batch (
    batch INTEGER PRIMARY KEY, run INTEGER NOT NULL, is_key INTEGER NOT NULL, records INTEGER NOT NULL,
    lost INTEGER NOT NULL, first_unix_us INTEGER NOT NULL, last_unix_us INTEGER NOT NULL,
    chain BLOB NOT NULL) STRICT""",
        """CREATE TABLE taken (
    batch INTEGER PRIMARY KEY, events INTEGER NOT NULL, block BLOB NOT NULL) STRICT""",
        """CREATE TABLE entry (
    batch INTEGER NOT NULL, position INTEGER NOT NULL, kind INTEGER NOT NULL, unix_us INTEGER NOT NULL,
    first_command INTEGER NOT NULL, commands INTEGER NOT NULL, text TEXT NOT NULL,
    PRIMARY KEY (batch, position)) STRICT, WITHOUT ROWID""",
        """CREATE TABLE command (
    command INTEGER PRIMARY KEY, cell INTEGER NOT NULL, revision INTEGER NOT NULL, level INTEGER NOT NULL,
    expected_level INTEGER, reason INTEGER NOT NULL) STRICT""",
        """CREATE TABLE base (
    base INTEGER PRIMARY KEY, batch INTEGER NOT NULL, chain BLOB NOT NULL, state BLOB NOT NULL,
    digest BLOB NOT NULL) STRICT""",
    ),
)


def connect(path: Path) -> sqlite3.Connection:
    """Open for the one writer: what is committed is on the disk."""
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=BUSY_MS / 1000)
    db.execute("PRAGMA auto_vacuum = INCREMENTAL")  # before the first table; without effect later
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    db.execute(f"PRAGMA journal_size_limit = {64 << 20}")
    return db


def connect_readonly(path: Path) -> sqlite3.Connection:
    """Open to read, beside a writer or without one. Changes nothing, not even the write-ahead log."""
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=ro",
        uri=True,
        isolation_level=None,
        check_same_thread=False,
        timeout=BUSY_MS / 1000,
    )


def version_of(db: sqlite3.Connection) -> int:
    """The version that a file says it has."""
    (version,) = db.execute("PRAGMA user_version").fetchone()
    return int(version)


def schema_of(db: sqlite3.Connection) -> list[tuple[str, ...]]:
    """What a file's tables are made of."""
    return db.execute("SELECT type, name, sql FROM sqlite_schema ORDER BY type, name").fetchall()


def expected_schema(migrations: Sequence[Sequence[str]] = MIGRATIONS) -> list[tuple[str, ...]]:
    """What the tables of an up-to-date file are made of."""
    db = sqlite3.connect(":memory:", isolation_level=None)
    try:
        for statement in (s for migration in migrations for s in migration):
            db.execute(statement)
        return schema_of(db)
    finally:
        db.close()


def migrate(
    db: sqlite3.Connection, path: Path, migrations: Sequence[Sequence[str]] = MIGRATIONS
) -> Path | None:
    """Bring a file up to date, all or nothing; returns the copy that was made of it as it was before, if it held any.

    Raises JournalError for a file of a newer version, and for one that is no journal.
    """
    version = version_of(db)
    if version > len(migrations):
        raise JournalError(
            f"{path}: journal of version {version}, this program knows versions up to {len(migrations)}; "
            "run the newer program, or name another file as journal"
        )
    if version == len(migrations):
        return None
    tables = {name for kind, name, _ in schema_of(db) if kind == "table"}
    if tables and version == 0 and not tables & {"run", "batch"}:
        raise JournalError(
            f"{path}: a database, but no journal: it holds {', '.join(sorted(tables))}; name another file as journal"
        )
    backup = _copy(db, path.with_name(f"{path.name}.version-{version}")) if tables else None
    db.execute("BEGIN IMMEDIATE")
    try:
        for statement in (s for migration in migrations[version:] for s in migration):
            db.execute(statement)
        db.execute(f"PRAGMA user_version = {len(migrations)}")
    except sqlite3.Error:
        db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")
    return backup


def _copy(db: sqlite3.Connection, path: Path) -> Path:
    path.unlink(missing_ok=True)
    copy = sqlite3.connect(path)
    try:
        db.backup(copy)
    finally:
        copy.close()
    return path
