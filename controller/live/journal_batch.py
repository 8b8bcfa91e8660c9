"""An append of the journal: its rows, the bytes that its SHA-256 is taken over, and reading it back in order."""

from __future__ import annotations

import hashlib
import sqlite3
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from controller.live.events import Record, Taken
from controller.live.journal_entry import N_COLUMNS, NO_LEVEL, Entry, record_of

FIRST_CHAIN = bytes(32)


class BrokenError(Exception):
    """What is read is not what was written. The message says where."""


@dataclass(frozen=True, slots=True)
class RunRow:
    """The start of a run."""

    run: int  # also its term as leader
    began_unix_us: int
    identity: str


@dataclass(frozen=True, slots=True)
class Batch:
    """One append."""

    number: int
    run: int
    is_key: bool  # its events can be read without those of earlier batches
    records: int
    lost: int  # records since the batch before that could not be written
    first_unix_us: int
    last_unix_us: int
    start: RunRow | None = None
    events: int = 0
    block: bytes = b""
    entries: tuple[Entry, ...] = ()
    chain: bytes = field(default=b"", compare=False)

    def chained(self, before: bytes) -> Batch:
        """The same with its SHA-256, which stands for all batches before too."""
        return replace(self, chain=self._digest(before))

    def _digest(self, before: bytes) -> bytes:
        sha = hashlib.sha256(before)
        numbers = (self.number, self.run, self.is_key, self.records, self.lost, self.first_unix_us)
        sha.update(struct.pack("<9q", *numbers, self.last_unix_us, self.events, len(self.entries)))
        parts = [self.block]
        if self.start is not None:
            row = self.start
            parts += [struct.pack("<2q", row.run, row.began_unix_us), row.identity.encode()]
        for entry in self.entries:
            numbers = (entry.position, entry.kind, entry.unix_us, entry.first_command, *entry.commands.shape)
            parts += [
                struct.pack("<6q", *numbers),
                entry.text.encode(),
                entry.commands.astype("<i8").tobytes(),
            ]
        for part in parts:
            sha.update(struct.pack("<q", len(part)))
            sha.update(part)
        return sha.digest()


def records_of(batch: Batch, events: list[Taken]) -> Iterator[Record]:
    """All records of a batch in the order of the append."""
    others = {entry.position: entry for entry in batch.entries}
    rest = iter(events)
    for position in range(batch.records):
        yield record_of(others[position]) if position in others else next(rest)


def write_batch(db: sqlite3.Connection, batch: Batch) -> None:
    """Insert the rows of a batch into an open transaction."""
    number = batch.number
    if batch.start is not None:
        run = batch.start
        _insert(db, "run", run.run, number, run.began_unix_us, run.identity)
    if batch.events:
        _insert(db, "taken", number, batch.events, batch.block)
    for entry in batch.entries:
        count = len(entry.commands)
        _insert(
            db,
            "entry",
            number,
            entry.position,
            entry.kind,
            entry.unix_us,
            entry.first_command,
            count,
            entry.text,
        )
        columns = entry.commands.T.tolist()
        columns[3] = [None if level == NO_LEVEL else level for level in columns[3]]
        keys = range(entry.first_command, entry.first_command + count)
        db.executemany("INSERT INTO command VALUES (?, ?, ?, ?, ?, ?)", zip(keys, *columns, strict=True))
    about = (batch.run, int(batch.is_key), batch.records, batch.lost)
    _insert(db, "batch", number, *about, batch.first_unix_us, batch.last_unix_us, batch.chain)


def _insert(db: sqlite3.Connection, table: str, *values: int | str | bytes) -> None:
    db.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * len(values))})", values)


class _Rows:
    """Rows of a query in the order of their first column, seen one ahead."""

    def __init__(self, db: sqlite3.Connection, query: str, *values: int) -> None:
        self._rows = db.execute(query, values)
        self.next = self._rows.fetchone()

    def up_to(self, number: int) -> Iterator[tuple[Any, ...]]:
        """The rows of which the first column is not above ``number``."""
        while self.next is not None and self.next[0] <= number:
            row, self.next = self.next, self._rows.fetchone()
            yield row

    def many(self, count: int) -> list[tuple[Any, ...]]:
        """The next ``count`` rows, fewer at the end."""
        if not count:
            return []
        found = [] if self.next is None else [self.next]
        found += self._rows.fetchmany(count - 1) if count > 1 else []  # of 0, sqlite3 fetches all
        self.next = self._rows.fetchone()
        return found


def walk(db: sqlite3.Connection, after: int, chain: bytes, last: int | None = None) -> Iterator[Batch]:
    """All batches after one, or those up to ``last``, each checked against the chain.

    Raises BrokenError at the first that is not what was written, sqlite3.Error where the file cannot be read.
    """
    end = 2**62 if last is None else last
    span = "FROM {0} WHERE {1} > ? AND {1} <= ? ORDER BY {1}"
    batches = _Rows(db, f"SELECT * {span.format('batch', 'batch')}", after, end)
    taken = _Rows(db, f"SELECT * {span.format('taken', 'batch')}", after, end)
    entries = _Rows(db, f"SELECT * {span.format('entry', 'batch')}, position", after, end)
    first = entries.next[4] if entries.next is not None else 0
    commands = _Rows(db, "SELECT * FROM command WHERE command >= ? ORDER BY command", first)
    columns = "batch, run, began_unix_us, identity"
    starts = _Rows(db, f"SELECT {columns} {span.format('run', 'batch')}", after, end)
    number = after
    for row in batches.up_to(end):
        number += 1
        try:
            batch = _read(row, number, taken, entries, commands, starts).chained(chain)
        except (TypeError, ValueError, OverflowError, AttributeError, struct.error) as error:
            raise BrokenError(f"batch {number}: {error}") from error
        if batch.chain != row[7]:
            raise BrokenError(f"batch {number}: its content is not what was written")
        chain = batch.chain
        yield batch
    rest = [rows.next for rows in (taken, entries, starts)] + ([commands.next] if last is None else [])
    if any(row is not None for row in rest):
        raise BrokenError(f"there are rows after the last batch, {number}")


def _read(
    row: tuple[Any, ...], number: int, taken: _Rows, entries: _Rows, commands: _Rows, starts: _Rows
) -> Batch:
    if row[0] != number:
        raise BrokenError(f"batch {number} is missing")
    blocks, begun = list(taken.up_to(number)), list(starts.up_to(number))
    found = tuple(_read_entry(entry, commands) for entry in entries.up_to(number))
    if len(blocks) > 1 or len(begun) > 1 or (blocks and blocks[0][0] != number):
        raise BrokenError(f"batch {number}: rows of other batches stand among its own")
    start = RunRow(*begun[0][1:]) if begun else None
    events, block = blocks[0][1:] if blocks else (0, b"")
    _, run, is_key, records, lost, first_unix_us, last_unix_us, _ = row
    about = (number, run, bool(is_key), records, lost, first_unix_us, last_unix_us)
    return Batch(*about, start, events, block, found)


def _read_entry(row: tuple[Any, ...], commands: _Rows) -> Entry:
    _, position, kind, unix_us, first, count, text = row
    rows = commands.many(count) if 0 <= count < 2**31 else []
    if [r[0] for r in rows] != list(range(first, first + count)):
        raise BrokenError(f"commands from {first} are missing")
    values = [[NO_LEVEL if v is None else v for v in r[1:]] for r in rows]
    return Entry(position, kind, unix_us, text, first, np.array(values, np.int64).reshape(-1, N_COLUMNS))
