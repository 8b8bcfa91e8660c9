"""Rows of ticks in a file beside the journal, kept from run to run.

::

    append --> whole rows of one length --> many that are kept no more? all others written anew, in its place
       ^                |
       |                +-> the next start: those that are looked at, one by one
       +-- a part of a row, as a crash or a full disk leaves it, is cut off first

A damaged row ends what can be used. A year of rows is more than a host may have memory, so no more than one is read at
a time.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from controller.live.kpi_rows import Network, Row, RowHead, head_of, kept, unpacked
from controller.wholefile import whole_file

GONE_RATIO = 0.1  # rows that are kept no more, of those that are, from which on the file is written anew
SYNC_EVERY = 100  # rows; with more at once to flush, the journal on the same disk would have to wait


def rows_path(journal: Path) -> Path:
    """The file of rows beside a journal."""
    return journal.with_name(f"{journal.name}.kpi")


def read_rows(path: Path, of: Network, before_run: int) -> Iterator[Row]:
    """Rows of earlier runs that are looked at, the oldest first; none without a file.

    Raises OSError where it cannot be read.
    """
    if not path.exists():
        return
    with path.open("rb") as file:
        places, acts = [], bytearray()
        for place, head in enumerate(_heads(file, of)):
            if head.run < before_run:
                places.append(place)
                acts.append(head.acts)
        for at in kept(acts, of):
            file.seek(places[at] * of.size)
            yield unpacked(file.read(of.size), of)


def _heads(file: BinaryIO, of: Network) -> Iterator[RowHead]:
    """What each row says of itself, up to the first that is torn, damaged or of another network."""
    while len(packed := file.read(of.size)) == of.size:
        head = head_of(packed, of)
        if head is None:
            return
        yield head


class RowFile:
    """The file as its one writer has it. Methods are called by one thread at a time."""

    def __init__(self, path: Path, of: Network, run: int, more_days: int) -> None:
        """Cut off what is no whole row. ``more_days`` of rows are kept than are looked at. Raises OSError."""
        self._path, self._of, self._run, self._more_days = path, of, run, more_days
        self._acts = bytearray()  # of each row that is there, whether any cell was allowed to rest
        self._wait_for_rows = 0  # before another attempt to write the file anew
        self._mend()

    def append(self, rows: Sequence[Row]) -> None:
        """Add rows. Raises OSError: none of them is there then."""
        if not rows:
            return
        if (self._path.stat().st_size if self._path.exists() else 0) != len(self._acts) * self._of.size:
            self._mend()
        end = len(self._acts) * self._of.size
        try:
            with self._path.open("ab") as file:
                file.write(b"".join(row.packed(self._run, self._of.names) for row in rows))
        except OSError:
            with suppress(OSError):  # else the next append mends it
                os.truncate(self._path, end)
            raise
        self._acts.extend(row.acts for row in rows)

    def trim(self, is_over: Callable[[], bool] = lambda: False) -> None:
        """Write the file anew without rows that are kept no more, where they are many.

        Raises OSError, after which it is as it was and is tried again a day of rows later; also once ``is_over``.
        """
        left = kept(self._acts, self._of, self._more_days)
        day, n_gone = self._of.ticks_per_day, len(self._acts) - len(left)
        if n_gone < max(day, GONE_RATIO * len(left)) or len(self._acts) < self._wait_for_rows:
            return
        self._wait_for_rows = len(self._acts) + day
        if shutil.disk_usage(self._path.parent).free < 2 * len(left) * self._of.size:
            # what would fill the disk for a while would keep the journal from being written
            raise OSError(errno.ENOSPC, "no room to write it anew without its oldest rows", str(self._path))
        with whole_file(self._path) as partial, self._path.open("rb") as old, partial.open("wb") as new:
            for count, place in enumerate(left, 1):
                if is_over():
                    raise InterruptedError("it was to be written anew, and the controller ends")
                old.seek(place * self._of.size)
                new.write(old.read(self._of.size))
                if count % SYNC_EVERY == 0 or count == len(left):
                    new.flush()
                    os.fsync(new.fileno())
        self._acts, self._wait_for_rows = bytearray(self._acts[place] for place in left), 0

    def _mend(self) -> None:
        """Find out what is there, and cut off what is no whole row."""
        self._acts = bytearray()
        if self._path.exists():
            with self._path.open("r+b") as file:
                self._acts = bytearray(head.acts for head in _heads(file, self._of))
                file.truncate(len(self._acts) * self._of.size)
