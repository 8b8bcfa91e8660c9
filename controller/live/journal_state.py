"""What a journal amounts to: what a restart resumes from. Kept by whoever reads or writes batches in order."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import struct
import zlib
from dataclasses import astuple, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from controller.live.events import RolledBack, Ruling, UInt8, UInt64
from controller.live.journal_batch import FIRST_CHAIN, Batch, BrokenError
from controller.live.journal_entry import N_COLUMNS, Kind
from controller.live.journal_words import ruling_of, ruling_text, still_holds
from controller.live.power.records import revisions_of

_HEAD = struct.Struct("<4sQqQB32s")
_HEAD_MAGIC = b"QJH1"


@dataclass(frozen=True, slots=True)
class Commands:
    """The last command of each cell that ever had one. Arrays (k,), cells ascending."""

    cell: NDArray[np.int32]
    revision: UInt64
    level: UInt8  # 0: woken, which is full service


class JournalState:
    """After a batch: its number and chain, the last command of each cell, the run, the stop latch, operators' words."""

    def __init__(self) -> None:
        self.batch = 0
        self.chain = FIRST_CHAIN
        self.run = 0  # also the term as leader
        self.next_command = 0
        self.last_unix_us = 0
        self.is_stopped = False
        self.stop_author = ""
        self.stop_reason = ""
        self.rulings: list[Ruling] = []  # words of operators that are in force, oldest first
        self.rolled_back: dict[str, RolledBack] = {}  # the last of each site
        self.site_revision: dict[int, int] = {}  # highest of each site that ever had a command
        self._revision = np.zeros(0, np.int64)  # by cell
        self._level = np.full(0, -1, np.int16)  # by cell; -1: never commanded

    def apply(self, batch: Batch) -> None:
        """Go on to the next batch."""
        if batch.start is not None:
            self.run = batch.run
        for entry in batch.entries:
            self.next_command = entry.first_command + len(entry.commands)
            if entry.kind in (Kind.DECIDED, Kind.WOKEN) and len(entry.commands):
                self._command(entry.commands)
            elif entry.kind == Kind.LATCHED:
                self.is_stopped, self.stop_author, self.stop_reason = json.loads(entry.text)
            elif entry.kind == Kind.RULING:
                self.rulings = still_holds(self.rulings, ruling_of(entry.unix_us, entry.text), entry.unix_us)
            elif entry.kind == Kind.ROLLED_BACK:
                record = RolledBack(entry.unix_us, *json.loads(entry.text))
                self.rolled_back[record.site] = record
            elif entry.kind in (Kind.POWER_DECIDED, Kind.CHARGED_SAFELY):
                self.site_revision |= revisions_of(entry.text)
        self.batch, self.chain = batch.number, batch.chain
        self.last_unix_us = max(self.last_unix_us, batch.last_unix_us)

    def _command(self, commands: NDArray[np.int64]) -> None:
        more = int(commands[:, 0].max()) + 1 - len(self._level)
        if more > 0:
            self._revision = np.concatenate([self._revision, np.zeros(more, np.int64)])
            self._level = np.concatenate([self._level, np.full(more, -1, np.int16)])
        self._revision[commands[:, 0]] = commands[:, 1]
        self._level[commands[:, 0]] = commands[:, 2]

    def commands(self) -> Commands:
        """The last command of each cell."""
        cell = np.flatnonzero(self._level >= 0)
        return Commands(
            cell.astype(np.int32), self._revision[cell].view(np.uint64), self._level[cell].astype(np.uint8)
        )

    def packed(self) -> bytes:
        """As bytes, for a base; without chain and number."""
        last = self.commands()
        rest = [self.run, self.next_command, self.last_unix_us]
        stop = [self.is_stopped, self.stop_author, self.stop_reason]
        arrays = [last.cell.astype("<i4"), last.revision.astype("<u8"), last.level]
        words = [[ruling.unix_us, ruling_text(ruling)] for ruling in self.rulings]
        rolled_back = [astuple(record) for record in self.rolled_back.values()]
        sites = sorted(self.site_revision.items())
        text = json.dumps([rest, stop, len(last.cell), words, rolled_back, sites]).encode()
        return zlib.compress(struct.pack("<I", len(text)) + text + b"".join(a.tobytes() for a in arrays))

    @classmethod
    def unpacked(cls, packed: bytes, batch: int, chain: bytes) -> JournalState:
        """From the bytes of ``packed``."""
        state, content = cls(), zlib.decompress(packed)
        (length,) = struct.unpack_from("<I", content)
        rest, stop, n, *more = json.loads(content[4 : 4 + length])
        state.run, state.next_command, state.last_unix_us = rest
        state.is_stopped, state.stop_author, state.stop_reason = stop
        state.rulings = [ruling_of(*word) for word in (more[0] if more else ())]  # older journals have none
        rows = [RolledBack(*row) for row in (more[1] if len(more) > 1 else ())]
        state.rolled_back = {record.site: record for record in rows}
        state.site_revision = dict(more[2] if len(more) > 2 else ())
        at = 4 + length
        commands = np.zeros((n, N_COLUMNS), np.int64)
        commands[:, 0] = np.frombuffer(content, "<i4", n, at)
        commands[:, 1] = np.frombuffer(content, "<u8", n, at + 4 * n).view(np.int64)
        commands[:, 2] = np.frombuffer(content, np.uint8, n, at + 12 * n)
        if n:
            state._command(commands)
        state.batch, state.chain = batch, chain
        return state


def read_base(db: sqlite3.Connection) -> JournalState:
    """The state before the first batch that is kept. Raises BrokenError where it is not what was written."""
    rows = db.execute("SELECT batch, chain, state, digest FROM base").fetchall()
    if not rows:
        return JournalState()
    batch, chain, packed, digest = rows[0]
    if len(rows) > 1 or _base_digest(db, batch, chain, packed) != digest:
        raise BrokenError("what the pruned batches left behind is not what was written")
    return JournalState.unpacked(packed, batch, chain)


def write_base(db: sqlite3.Connection, state: JournalState) -> None:
    """Put a state before the first batch that is kept, into an open transaction."""
    packed = state.packed()
    digest = _base_digest(db, state.batch, state.chain, packed)
    db.execute(
        "INSERT OR REPLACE INTO base VALUES (0, ?, ?, ?, ?)", (state.batch, state.chain, packed, digest)
    )


def _base_digest(db: sqlite3.Connection, batch: int, chain: bytes, packed: bytes) -> bytes:
    """Over the base and the rows of runs that began before it and still go on."""
    runs = db.execute("SELECT * FROM run WHERE batch <= ? ORDER BY run", (batch,)).fetchall()
    return hashlib.sha256(struct.pack("<q", batch) + chain + packed + json.dumps(runs).encode()).digest()


@dataclass(frozen=True, slots=True)
class Head:
    """What the file beside a journal says of its end: a journal that ends before it has lost its tail.

    Written after each append and not flushed: after a power failure it may be older than the journal, never newer.
    """

    batch: int
    last_unix_us: int
    run: int
    is_stopped: bool
    chain: bytes

    def ends(self, state: JournalState) -> bool:
        """Whether it is of the very end of a journal: what it says beyond the state was lost with a tail."""
        return (self.batch, self.chain) == (state.batch, state.chain)

    def packed(self) -> bytes:
        """As bytes with a checksum."""
        numbers = (self.batch, self.last_unix_us, self.run, self.is_stopped)
        body = _HEAD.pack(_HEAD_MAGIC, *numbers, self.chain)
        return body + struct.pack("<I", zlib.crc32(body))


def head_path(path: Path) -> Path:
    """The file that says where a journal ends."""
    return path.with_name(f"{path.name}.head")


def read_head(path: Path) -> Head | None:
    """What the file beside a journal says; None where it is missing or damaged."""
    try:
        content = head_path(path).read_bytes()
    except FileNotFoundError:
        return None
    body, check = content[: _HEAD.size], content[_HEAD.size :]
    if len(body) < _HEAD.size or check != struct.pack("<I", zlib.crc32(body)):
        return None
    magic, batch, last_unix_us, run, is_stopped, chain = _HEAD.unpack(body)
    return Head(batch, last_unix_us, run, bool(is_stopped), chain) if magic == _HEAD_MAGIC else None
