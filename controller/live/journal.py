"""The journal of live control: what came in, what was decided, durable before it is acted on.

::

    open:  lock -> file as written? -- yes -> state -> run row durable -> append, append, ...
                        | no
                        +-> kept aside, sound part copied, `damage` says what is lost between which times

One writer at a time, held off by a lock file. Each append is one transaction, on the disk when ``append`` returns, and
carries a SHA-256 over itself and all before it. A small file beside the journal says where it ends, so that a lost tail
is seen too. Nothing in here knows what time it is: times come with the records.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from controller.errors import JournalError, JournalUnavailable
from controller.live.events import Alarm, Latched, Record, RolledBack, Ruling, Taken
from controller.live.identity import Identity
from controller.live.journal_batch import Batch, BrokenError, RunRow, write_batch
from controller.live.journal_codec import Encoder
from controller.live.journal_damage import Damage, examine, is_broken, salvage, salvage_path
from controller.live.journal_entry import Entry, entry_of
from controller.live.journal_lock import Lock, locked_to_open
from controller.live.journal_prune import prune
from controller.live.journal_reader import JournalReader
from controller.live.journal_schema import connect, migrate
from controller.live.journal_state import Commands, Head, JournalState, head_path, read_head

KEY_EVERY = 256  # batches that a reader must decode at most before the one that it wants


@dataclass(frozen=True, slots=True)
class StopLatch:
    """The stop latch as last recorded."""

    is_set: bool
    author: str
    reason: str


class Journal(JournalReader):
    """A journal that is written. Methods are called by one thread at a time."""

    def __init__(self, path: Path, db: sqlite3.Connection, state: JournalState, lock: Lock) -> None:
        """Use ``open``."""
        super().__init__(path, db)
        self.damage: Damage | None = None
        self._state = state
        self._lock = lock
        self._encoder = Encoder()
        self._since_key = 0
        self._lost = 0
        self._head = os.open(head_path(path), os.O_RDWR | os.O_CREAT, 0o600)

    @classmethod
    def open(cls, path: Path, identity: Identity, *, unix_us: int, least_run: int = 1) -> Journal:
        """Open or create a journal and begin a run in it, with the next term as leader. ``unix_us``: now.

        ``least_run``: the term as leader, where it was granted and is not below the next one.

        Raises JournalError where it is in use, of a newer version or no journal, JournalUnavailable where the disk
        does not let it be written.
        """
        with locked_to_open(path) as lock:
            return cls._open(path, identity, unix_us, least_run, lock)

    @classmethod
    def _open(cls, path: Path, identity: Identity, unix_us: int, least_run: int, lock: Lock) -> Journal:
        head = read_head(path)
        state, damage = sound_state(path, unix_us)
        journal = cls(path, connect(path), state, lock)
        journal.damage = damage
        run = max(state.run + 1, least_run, head.run + 1 if head is not None else 1)
        first: list[Record] = []
        if damage is not None:
            first.append(Alarm(unix_us, "major", "journal", str(damage)))
        # who only stood by keeps the latch of a tail that it has lost in its head alone
        if (
            head is not None
            and head.is_stopped
            and (damage is not None or head.ends(state))
            and not state.is_stopped
        ):
            first.append(Latched(unix_us, True, "", "was set when the journal was damaged"))
        try:
            journal._append(first, RunRow(run, unix_us, identity.to_json()), unix_us)
        except BaseException:
            journal.close()
            raise
        return journal

    @property
    def run(self) -> int:
        """Number of the run that this process writes, and its term as leader: above those of all runs before."""
        return self._state.run

    def append(self, records: Sequence[Record]) -> None:
        """Write records in their order, all or none; they are on the disk when this returns.

        Raises JournalUnavailable where they cannot be written: none of them is in it then, and the caller appends them
        again or gives them up by ``count_lost``.
        """
        if records:
            self._append(records, None, 0)

    def count_lost(self, records: int) -> None:
        """Note that records were given up; the next append says so, and a rerun names them as missing."""
        self._lost += records

    def last_commands(self) -> Commands:
        """The last command of each cell that ever had one; woken cells at level 0, which is full service."""
        return self._state.commands()

    def highest_epoch(self) -> int:
        """Highest term as leader of the runs before this one, which has the next."""
        return self._state.run - 1

    def stop_latch(self) -> StopLatch:
        """The stop latch as last recorded."""
        return StopLatch(self._state.is_stopped, self._state.stop_author, self._state.stop_reason)

    def rulings(self) -> tuple[Ruling, ...]:
        """What operators have said that is still in force, oldest first."""
        return tuple(self._state.rulings)

    def rolled_back(self) -> tuple[RolledBack, ...]:
        """The last rollback of each site that ever had one."""
        return tuple(self._state.rolled_back.values())

    def site_revisions(self) -> dict[int, int]:
        """The highest revision of each site with power that ever had a command."""
        return dict(self._state.site_revision)

    def prune(self, older_than_unix_us: int, *, at_most: int = 5000) -> int:
        """Delete at most so many of the oldest appends that are older than a time, and give space back to the disk.

        Returns how many were deleted; call again while it is not 0. What a restart resumes from stays. Raises
        JournalError where they are not what was written, JournalUnavailable where it cannot be pruned.
        """
        try:
            return prune(self._db, older_than_unix_us, at_most)
        except BrokenError as error:
            raise JournalError(f"{self.path}: {error}; see 'quietcell journal check'") from error
        except sqlite3.Error as error:
            self._roll_back()
            raise JournalUnavailable(f"{self.path}: it cannot be pruned: {error}") from error

    def close(self) -> None:
        """Close the file and let others open it."""
        super().close()
        if self._head >= 0:
            os.close(self._head)
            self._head = -1
        self._lock.release()

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _append(self, records: Sequence[Record], start: RunRow | None, unix_us: int) -> None:
        try:
            batch = self._compose(records, start, unix_us)
            self._db.execute("BEGIN IMMEDIATE")
            write_batch(self._db, batch)
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            self._roll_back()
            self._encoder.reset()  # no block may count on one that is not there
            raise JournalUnavailable(
                f"{self.path}: it cannot be written: {error}; look at the disk"
            ) from error
        except BaseException:
            self._roll_back()
            self._encoder.reset()
            raise
        self._lost = 0
        self._since_key = 0 if batch.is_key else self._since_key + 1
        self._state.apply(batch)
        self._write_head()

    def _compose(self, records: Sequence[Record], start: RunRow | None, unix_us: int) -> Batch:
        if start is not None or self._since_key + 1 >= KEY_EVERY:
            self._encoder.reset()
        is_key, command = self._encoder.is_key, self._state.next_command
        entries: list[Entry] = []
        events: list[Taken] = []
        for position, record in enumerate(records):
            if isinstance(record, Taken):
                events.append(record)
            else:
                entries.append(entry_of(record, position, command))
                command += len(entries[-1].commands)
        times = [record.unix_us for record in records] or [unix_us]
        return Batch(
            number=self._state.batch + 1,
            run=self._state.run if start is None else start.run,
            is_key=is_key,
            records=len(records),
            lost=self._lost,
            first_unix_us=min(times),
            last_unix_us=max(times),
            start=start,
            events=len(events),
            block=self._encoder.encode(events) if events else b"",
            entries=tuple(entries),
        ).chained(self._state.chain)

    def _roll_back(self) -> None:
        if self._db.in_transaction:
            with contextlib.suppress(sqlite3.Error):  # SQLite may have done so by itself
                self._db.execute("ROLLBACK")

    def _write_head(self) -> None:
        state = self._state
        head = Head(state.batch, state.last_unix_us, state.run, state.is_stopped, state.chain)
        with contextlib.suppress(OSError):  # an older head is allowed; what it stands for is on the disk
            os.pwrite(self._head, head.packed(), 0)


def sound_state(path: Path, unix_us: int) -> tuple[JournalState, Damage | None]:
    """The state of a journal that is made, brought up to date or salvaged where it must be. Held by its lock."""
    head = read_head(path)
    copy = salvage_path(path)
    if not path.exists() and copy.exists():
        copy.rename(path)  # a salvage was interrupted between its last two steps
    if not path.exists():
        _create(path)
        if head is None or not head.batch:
            return JournalState(), None
        return JournalState(), Damage(
            "it is missing", None, 0, head.batch, None, max(unix_us, head.last_unix_us)
        )
    if not is_broken(path, head):
        _create(path)
    found = examine(path, head, needs_head=True)
    if not found.cause:
        return found.state, None
    damage, state = salvage(path, found.cause, head, unix_us)
    return state, damage


def _create(path: Path) -> None:
    """Make the tables of a new file, or bring an older one up to date."""
    db = connect(path)
    try:
        migrate(db, path)
    finally:
        db.close()
