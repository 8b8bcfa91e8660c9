"""Only one process writes a journal: a lock that the operating system lets go with the process that holds it."""

from __future__ import annotations

import fcntl
import os
import platform
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from controller.errors import JournalError, JournalUnavailable


class Lock:
    """The lock of a journal, held until it is released or the process is gone."""

    def __init__(self, path: Path) -> None:
        """Take the lock of the journal at ``path``. Raises JournalError that says who holds it."""
        self._file = os.open(path.with_name(f"{path.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(self._file, 200, 0).decode(errors="replace").strip() or "another process"
            os.close(self._file)
            raise JournalError(
                f"{path}: in use by {holder}; stop that controller, or name another file as journal"
            ) from None
        try:
            os.ftruncate(self._file, 0)
            os.pwrite(self._file, f"process {os.getpid()} on {platform.node()}\n".encode(), 0)
        except BaseException:
            self.release()  # a disk that is full for a while must not keep it from this very process
            raise

    def release(self) -> None:
        """Let others take it."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


@contextmanager
def locked_to_open(path: Path) -> Iterator[Lock]:
    """The lock of the journal at ``path``, whose folder is made, to open it with; released if that fails.

    Raises JournalError as ``Lock`` does, and JournalUnavailable for what SQLite says.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = Lock(path)
    try:
        yield lock
    except sqlite3.Error as error:
        lock.release()
        raise JournalUnavailable(f"{path}: it cannot be opened: {error}; look at the disk") from error
    except BaseException:
        lock.release()
        raise
