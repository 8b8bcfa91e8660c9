"""The journal of a controller that leads, as it is handed out to the one that stands by."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path

from controller.live.audit import line_of
from controller.live.journal_batch import FIRST_CHAIN, BrokenError, walk
from controller.live.journal_schema import connect_readonly
from controller.live.journal_state import JournalState, read_base
from hw.adapters.replica import Base, Fetched

APPENDS_AT_ONCE, BYTES_AT_ONCE = 500, 1 << 20


class JournalSource:
    """The journal of a leader, read beside its writer."""

    def __init__(self, path: Path, leads: Callable[[], bool] = lambda: True) -> None:
        """``leads``: whether this controller leads now. One that led before has nothing for which others cut theirs."""
        self._path, self._leads = path, leads

    async def fetch(self, after: int, chain: bytes, *, cuts: bool) -> Fetched:
        """What follows append ``after`` of this SHA-256; ``cuts``: the caller would cut what it has after it.

        Raises OSError where it cannot be read now, or would make the caller cut a tail for one that does not lead.
        """
        found = await asyncio.to_thread(self._fetch, after, chain)
        if (cuts or found.has_parted) and not self._leads():
            raise OSError("it does not lead now, so that no journal is cut for its own")
        return found

    def _fetch(self, after: int, chain: bytes) -> Fetched:
        try:
            db = connect_readonly(self._path)
            try:
                db.execute("BEGIN")  # one state of the file for all that is read
                return _following(db, after, chain)
            finally:
                db.close()
        except (sqlite3.Error, BrokenError) as error:
            raise OSError(f"the journal cannot be read: {error}") from error


def _following(db: sqlite3.Connection, after: int, chain: bytes) -> Fetched:
    kept, base = read_base(db), None
    if not after and kept.batch:
        runs = db.execute(
            "SELECT run, batch, began_unix_us, identity FROM run WHERE batch <= ?", (kept.batch,)
        )
        base = Base(kept.batch, kept.chain, kept.packed(), tuple(runs.fetchall()))
        after, chain = kept.batch, kept.chain
    elif chain_at(db, kept, after) != (chain or FIRST_CHAIN):
        return Fetched(has_parted=True)
    (last,) = db.execute("SELECT coalesce(max(batch), 0) FROM batch").fetchone()
    lines: list[bytes] = []
    for batch in walk(db, after, chain or FIRST_CHAIN, min(last, after + APPENDS_AT_ONCE)):
        lines.append(line_of(batch))
        if sum(map(len, lines)) > BYTES_AT_ONCE:
            break
    return Fetched(base=base, appends=tuple(lines))


def chain_at(db: sqlite3.Connection, kept: JournalState, number: int) -> bytes | None:
    """SHA-256 of an append; None: it is not there."""
    if number == kept.batch:
        return kept.chain
    row = db.execute("SELECT chain FROM batch WHERE batch = ?", (number,)).fetchone()
    return None if row is None else bytes(row[0])
