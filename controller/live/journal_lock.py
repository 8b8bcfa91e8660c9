"""Only one process writes a journal: a lock that the operating system lets go with the process that holds it."""

from __future__ import annotations

import fcntl
import os
import platform
from pathlib import Path

from controller.errors import JournalError


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
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, f"process {os.getpid()} on {platform.node()}\n".encode(), 0)

    def release(self) -> None:
        """Let others take it."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
