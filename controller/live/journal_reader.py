"""Reading a journal, beside its writer or without one."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from controller.errors import JournalError
from controller.live.events import Alarm, Decided, Record, Taken
from controller.live.identity import Identity
from controller.live.journal_batch import Batch, BrokenError, records_of, walk
from controller.live.journal_codec import Decoder
from controller.live.journal_entry import Kind, record_of
from controller.live.journal_schema import MIGRATIONS, connect_readonly, version_of
from controller.live.journal_state import JournalState, read_base


@dataclass(frozen=True, slots=True)
class Run:
    """One start of the controller, as far as it is kept."""

    run: int  # also its term as leader
    began_unix_us: int
    identity: Identity
    batches: int
    events: int
    decisions: int  # commands toward less service
    wakes: int  # commands to full service
    lost: int  # records that could not be written
    first_unix_us: int  # of what is kept
    last_unix_us: int
    is_whole: bool  # its beginning is kept


@dataclass(frozen=True, slots=True)
class Lost:
    """Records that could not be written, at the place where they are missing."""

    records: int
    before_unix_us: int


class JournalReader:
    """A journal that is read. Raises JournalError where what is read is not what was written."""

    def __init__(self, path: Path, db: sqlite3.Connection) -> None:
        """Use ``open_reader``."""
        self.path = path
        self._db = db

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def size_bytes(self) -> int:
        """What the journal takes on the disk with its log. [B]"""
        parts = (self.path.with_name(self.path.name + suffix) for suffix in ("", "-wal"))
        return sum(part.stat().st_size for part in parts if part.exists())

    def runs(self) -> list[Run]:
        """All runs of which something is kept, the oldest first."""
        with self._errors():
            return [self._run(*row) for row in self._db.execute("SELECT * FROM run ORDER BY run").fetchall()]

    def run_of(self, number: int) -> Run:
        """The run of a number. Raises JournalError where there is none."""
        found = {run.run: run for run in self.runs()}
        if number not in found:
            raise JournalError(f"{self.path}: there is no run {number}; its runs are {sorted(found)}")
        return found[number]

    def events(self, run: int) -> Iterator[Taken]:
        """What a run was fed, in its order."""
        return (record for record in self.records(run) if isinstance(record, Taken))

    def decisions(self, run: int) -> Iterator[Decided]:
        """What a run decided toward less service, in its order."""
        for batch in self._batches(run):
            for entry in batch.entries:
                record = record_of(entry) if entry.kind == Kind.DECIDED else None
                if isinstance(record, Decided):
                    yield record

    def records(self, run: int) -> Iterator[Record | Lost]:
        """All records of a run in their order, and where some are missing."""
        decoder = Decoder()
        is_first = True
        for batch in self._batches(run):
            if batch.lost and not is_first:
                yield Lost(batch.lost, batch.first_unix_us)
            is_first = False
            events = decoder.decode(batch.block, is_key=batch.is_key) if batch.events else []
            if len(events) != batch.events:
                raise JournalError(
                    f"{self.path}: append {batch.number} holds {len(events)} of {batch.events} events"
                )
            yield from records_of(batch, events)

    def alarms(self) -> list[Alarm]:
        """All alarms that are kept, the oldest first."""
        with self._errors():
            query = "SELECT unix_us, text FROM entry WHERE kind = ? ORDER BY batch, position"
            rows = self._db.execute(query, (int(Kind.ALARM),)).fetchall()
            return [Alarm(unix_us, *json.loads(text)) for unix_us, text in rows]

    def state_before(self, run: int) -> JournalState:
        """What a run resumed from. Raises JournalError where its beginning is not kept."""
        with self._errors():
            state, first = read_base(self._db), self._span(run)[0]
            if state.run >= run:
                raise JournalError(f"{self.path}: the beginning of run {run} is not kept; choose a later run")
            for batch in walk(self._db, state.batch, state.chain, first - 1):
                state.apply(batch)
            return state

    def base(self) -> tuple[int, bytes]:
        """Number and SHA-256 of the append before the first that is kept."""
        with self._errors():
            state = read_base(self._db)
            return state.batch, state.chain

    def batches(self) -> Iterator[Batch]:
        """All appends that are kept, each checked against the chain."""
        with self._errors():
            state = read_base(self._db)
            yield from walk(self._db, state.batch, state.chain)

    def last(self) -> tuple[int, int, bytes] | None:
        """Run, number and SHA-256 of the last append, None before the first."""
        with self._errors():
            row: tuple[int, int, bytes] | None = self._db.execute(
                "SELECT run, batch, chain FROM batch ORDER BY batch DESC LIMIT 1"
            ).fetchone()
            return row

    def _run(self, run: int, batch: int, began_unix_us: int, identity: str) -> Run:
        row = self._db.execute(
            "SELECT min(batch), max(batch), count(*), sum(lost), min(first_unix_us), max(last_unix_us) FROM batch "
            "WHERE run = ?",
            (run,),
        ).fetchone()
        first, last, batches, lost, first_us, last_us = row
        span = (first or 0, last or 0)
        (events,) = self._db.execute(
            "SELECT coalesce(sum(events), 0) FROM taken WHERE batch BETWEEN ? AND ?", span
        ).fetchone()
        counts = dict(
            self._db.execute(
                "SELECT kind, sum(commands) FROM entry WHERE batch BETWEEN ? AND ? GROUP BY kind", span
            ).fetchall()
        )
        return Run(
            run,
            began_unix_us,
            Identity.from_json(identity),
            batches,
            events,
            counts.get(int(Kind.DECIDED), 0),
            counts.get(int(Kind.WOKEN), 0),
            lost or 0,
            first_us or began_unix_us,
            last_us or began_unix_us,
            first == batch,
        )

    def _batches(self, run: int) -> Iterator[Batch]:
        with self._errors():
            first, last = self._span(run)
            chain = read_base(self._db).chain
            before = self._db.execute("SELECT chain FROM batch WHERE batch = ?", (first - 1,)).fetchone()
            yield from walk(self._db, first - 1, chain if before is None else before[0], last)

    def _span(self, run: int) -> tuple[int, int]:
        first, last = self._db.execute(
            "SELECT min(batch), max(batch) FROM batch WHERE run = ?", (run,)
        ).fetchone()
        if first is None:
            raise JournalError(f"{self.path}: there is no run {run}; see 'quietcell journal show'")
        return first, last

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (BrokenError, sqlite3.Error) as error:
            raise JournalError(f"{self.path}: {error}; see 'quietcell journal check'") from error


def open_reader(path: Path) -> JournalReader:
    """Open a journal to read it. Raises JournalError where it is none, or of another version."""
    if not path.is_file():
        raise JournalError(f"{path}: no such journal; name the file that the controller writes")
    try:
        db = connect_readonly(path)
        version = version_of(db)
    except sqlite3.Error as error:
        raise JournalError(
            f"{path}: it cannot be read as a journal ({error}); see 'quietcell journal check'"
        ) from error
    if version != len(MIGRATIONS):
        db.close()
        raise JournalError(
            f"{path}: journal of version {version}, this program reads version {len(MIGRATIONS)}; "
            "read it with the program that wrote it"
        )
    return JournalReader(path, db)
