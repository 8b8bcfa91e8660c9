"""The journal of a controller that stands by: what the leader has appended, fetched and checked one after the other.

::

    ask what follows the last append --> none: ask again in a second
             |                       --> appends: their chain is checked, written, on the disk
             +--> has parted: ask what follows an earlier one, and so on; then the own tail goes into a file of its own

A tail parts where a leader died with appends that were not fetched: whoever leads after it goes on without them. It is
written as an audit export (`.parted-<time>`) before it is cut off, so that nothing that was recorded is thrown away.
"""

from __future__ import annotations

import os
import sqlite3
import struct
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from copy import deepcopy
from pathlib import Path

from controller.errors import JournalError, JournalUnavailable
from controller.live.audit import batch_of, footer, header, line_of
from controller.live.journal import sound_state
from controller.live.journal_batch import Batch, BrokenError, walk, write_batch
from controller.live.journal_damage import FILES, Damage
from controller.live.journal_lock import Lock, locked_to_open
from controller.live.journal_prune import prune
from controller.live.journal_schema import connect
from controller.live.journal_state import Head, JournalState, head_path, read_base, read_head, write_base
from controller.live.replica_source import APPENDS_AT_ONCE, chain_at
from hw.adapters.replica import Base, Fetched
from hw.folders import sync_folder

UNREADABLE = (ValueError, TypeError, KeyError, IndexError, OverflowError, RecursionError)


class Replica:
    """A journal that follows another one. Methods are called by one thread at a time."""

    def __init__(
        self, path: Path, state: JournalState, lock: Lock, damage: Damage | None, head: Head | None
    ) -> None:
        """Use ``open``. ``damage``: what was lost before; ``head``: as it was found."""
        self.path, self.damage, self._lock = path, damage, lock
        self.is_open = True  # not after a failure that only ``open`` can mend
        # before the last tail that was written to a file, its end
        self._kept: tuple[int, bytes] | None = None
        # what a head says of appends that were lost goes on in the next ones until those are fetched, or a later run is
        self._lost = head if head is not None and (damage is not None or head.ends(state)) else None
        if damage is not None:  # else each start would find it again
            self._write_head(state)
        self._begin_at(state)

    def _begin_at(self, state: JournalState) -> None:
        self._db, self._state = connect(self.path), state
        if read_head(self.path) is None:  # else an append without one would look like damage
            self._write_head(state)
        self._asked, self._back = (state.batch, state.chain), 1

    @classmethod
    def open(cls, path: Path, unix_us: int) -> Replica:
        """Open or create it. ``unix_us``: now. Raises JournalError as ``Journal.open`` does."""
        with locked_to_open(path) as lock:
            head = read_head(path)
            state, damage = sound_state(path, unix_us)
            return cls(path, state, lock, damage, head)

    def close(self) -> None:
        """Close the file and let others open it."""
        self._db.close()
        self._lock.release()

    @property
    def asks(self) -> tuple[int, bytes, bool]:
        """Number and SHA-256 of the append that is asked for what follows it, and whether more is here after it."""
        return *self._asked, self._asked[0] < self._state.batch

    def take(self, found: Fetched, unix_us: int) -> bool:
        """Write what was fetched; whether to ask again at once. ``unix_us``: now, for names of files.

        Raises JournalError where it does not follow from what is there, JournalUnavailable where it cannot be written.
        """
        with self._errors():
            if found.has_parted:
                self._ask_earlier(unix_us)
                return True
            if self._asked[0] < self._state.batch:
                self._cut(*self._asked, unix_us)
            if found.base is not None:
                self._begin(found.base)
            if found.appends:
                self._append(self._checked(found.appends))
        return bool(found.appends)

    def prune(self, older_than_unix_us: int) -> None:
        """Delete some of the appends that are older than a time. Raises as ``take`` does."""
        with self._errors():
            if self._db.execute("SELECT 1 FROM batch LIMIT 1").fetchone():
                prune(self._db, older_than_unix_us, APPENDS_AT_ONCE)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Errors as those of a journal; a transaction that was not ended is undone."""
        try:
            yield
        except BrokenError as error:
            raise JournalError(f"{self.path}: {error}; see 'quietcell journal check'") from error
        except sqlite3.Error as error:
            text = f"{self.path}: it cannot be written: {error}; look at the disk"
            raise JournalUnavailable(text) from error
        finally:
            if self.is_open and self._db.in_transaction:
                with suppress(sqlite3.Error):  # SQLite may have done so by itself
                    self._db.execute("ROLLBACK")

    def _checked(self, lines: Iterable[bytes]) -> list[Batch]:
        batches: list[Batch] = []
        number, chain = self._state.batch, self._state.chain
        for line in lines:
            try:
                batch = batch_of(line, chain)
            except UNREADABLE as error:
                raise JournalError(
                    f"what follows append {number} is not what was written: {error}"
                ) from error
            if batch.number != number + 1:
                raise JournalError(f"append {batch.number} does not follow append {number}")
            number, chain = batch.number, batch.chain
            batches.append(batch)
        return batches

    def _append(self, batches: list[Batch]) -> None:
        state = deepcopy(self._state)  # which stays as it is should anything fail
        self._db.execute("BEGIN IMMEDIATE")
        try:
            for batch in batches:
                write_batch(self._db, batch)
                state.apply(batch)
        except UNREADABLE as error:
            text = f"what follows append {state.batch} cannot be used: {error!r}; check the peer's version"
            raise JournalError(text) from error
        self._db.execute("COMMIT")
        self._state, self._asked, self._back = state, (state.batch, state.chain), 1
        lost = self._lost
        if lost is not None and (state.run > lost.run or any(batch.chain == lost.chain for batch in batches)):
            self._lost = None
        with suppress(OSError):  # an older head is allowed; what it stands for is on the disk
            self._write_head(state)

    def _begin(self, base: Base) -> None:
        if self._state.batch:
            raise JournalError(f"a base was sent for what follows append {self._state.batch}")
        try:
            state = JournalState.unpacked(base.state, base.append, base.chain)
        except (*UNREADABLE, struct.error, zlib.error) as error:
            raise JournalError(f"what pruned appends left behind is not what was written: {error}") from error
        self._db.execute("BEGIN IMMEDIATE")
        self._db.executemany("INSERT INTO run VALUES (?, ?, ?, ?)", base.runs)
        write_base(self._db, state)
        self._db.execute("COMMIT")
        self._state, self._asked = state, (state.batch, state.chain)

    def _ask_earlier(self, unix_us: int) -> None:
        """Go back by steps that double, down to the first append that is kept; then begin anew."""
        if not self._state.batch:
            raise JournalError("it is said to have parted where it is empty; check the peer's version")
        kept, number = read_base(self._db), self._asked[0]
        if number <= kept.batch:
            self._set_aside(unix_us)
            return
        number = max(kept.batch, number - self._back)
        chain = chain_at(self._db, kept, number)
        assert chain is not None
        self._asked, self._back = (number, chain), 2 * self._back

    def _cut(self, number: int, chain: bytes, unix_us: int) -> None:
        """Write what comes after an append to a file, and go on without it."""
        if self._kept != (number, self._state.chain):  # not by an attempt before that failed later on
            self._keep(number, chain, self._parted(unix_us))
            self._kept = number, self._state.chain
        state = read_base(self._db)
        for batch in walk(self._db, state.batch, state.chain, number):
            state.apply(batch)
        self._write_head(state)  # one that is older than the journal is no damage, one that is newer is
        self._db.execute("BEGIN IMMEDIATE")
        self._db.execute("DELETE FROM command WHERE command >= ?", (state.next_command,))
        for table in ("entry", "taken", "batch", "run"):
            self._db.execute(f"DELETE FROM {table} WHERE batch > ?", (number,))
        self._db.execute("COMMIT")
        self._state = state

    def _keep(self, number: int, chain: bytes, path: Path) -> None:
        """Write what comes after an append to a file; it is on the disk with its name when this returns."""
        try:
            with path.open("xb") as file:
                end, last = number, chain
                file.write(header(number, chain))
                for batch in walk(self._db, number, chain, self._state.batch):
                    end, last = batch.number, batch.chain
                    file.write(line_of(batch))
                file.write(footer(end, last))
                file.flush()
                os.fsync(file.fileno())
            sync_folder(path.parent)
        except FileExistsError:
            raise
        except BaseException:
            path.unlink(missing_ok=True)  # the next attempt writes one of its own
            raise

    def _set_aside(self, unix_us: int) -> None:
        """Keep the whole file under another name, and begin a new one."""
        self.is_open = False
        self._db.close()
        kept_as = self._parted(unix_us)
        head_path(self.path).unlink(missing_ok=True)
        for suffix in FILES:
            part = self.path.with_name(self.path.name + suffix)
            if part.exists():
                part.rename(kept_as.with_name(kept_as.name + suffix))
        state, _ = sound_state(self.path, unix_us)
        self._begin_at(state)
        self.is_open = True

    def _parted(self, unix_us: int) -> Path:
        return self.path.with_name(f"{self.path.name}.parted-{unix_us}")

    def _write_head(self, state: JournalState) -> None:
        run, is_stopped = state.run, state.is_stopped
        if self._lost is not None:
            run, is_stopped = max(run, self._lost.run), is_stopped or self._lost.is_stopped
        head = Head(state.batch, state.last_unix_us, run, is_stopped, state.chain)
        file = os.open(head_path(self.path), os.O_RDWR | os.O_CREAT, 0o600)
        try:  # over the one before, so that there is one at any time
            os.pwrite(file, head.packed(), 0)
            os.fsync(file)
        finally:
            os.close(file)
