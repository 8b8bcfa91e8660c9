"""Retention of a journal: the oldest appends go, what they left behind stays."""

from __future__ import annotations

import sqlite3

from controller.live.journal_batch import walk
from controller.live.journal_state import read_base, write_base

FREED_PAGES = 4000  # given back to the disk at a time


def prune(db: sqlite3.Connection, older_than_unix_us: int, at_most: int) -> int:
    """Delete the oldest appends before a key batch, if all of them are older than a time; how many.

    Events can be read from a key batch on only, so the cut is the last key batch among the next ``at_most``, or the
    first one where the next is further away.
    """
    state = read_base(db)
    cut = _cut(db, state.batch, older_than_unix_us, at_most)
    if cut is None:
        _give_back(db)
        return 0
    count = 0
    for batch in walk(db, state.batch, state.chain, cut - 1):
        state.apply(batch)
        count += 1
    db.execute("BEGIN IMMEDIATE")
    db.execute("DELETE FROM command WHERE command < ?", (state.next_command,))
    for table in ("entry", "taken", "batch"):
        db.execute(f"DELETE FROM {table} WHERE batch < ?", (cut,))
    db.execute("DELETE FROM run WHERE batch < ? AND run NOT IN (SELECT run FROM batch)", (cut,))
    write_base(db, state)
    db.execute("COMMIT")
    _give_back(db)
    return count


def _cut(db: sqlite3.Connection, base: int, older_than_unix_us: int, at_most: int) -> int | None:
    """The first batch to keep, None where nothing can go. The last batch always stays."""
    (young,) = db.execute(
        "SELECT batch FROM batch WHERE last_unix_us >= ? OR batch = (SELECT max(batch) FROM batch) "
        "ORDER BY batch LIMIT 1",
        (older_than_unix_us,),
    ).fetchone()
    span = "SELECT {0}(batch) FROM batch WHERE is_key AND batch > ? AND batch <= ?"
    (cut,) = db.execute(span.format("max"), (base + 1, min(young, base + at_most + 1))).fetchone()
    if cut is None:
        (cut,) = db.execute(span.format("min"), (base + 1, young)).fetchone()
    return None if cut is None else int(cut)


def _give_back(db: sqlite3.Connection) -> None:
    db.execute(f"PRAGMA incremental_vacuum({FREED_PAGES})").fetchall()
