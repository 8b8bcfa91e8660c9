"""What the journal of live control takes: on the disk in a day of 10,000 cells, and in time for an append.

    python -m benchmarks.journal_size [--seconds 1800] [--folder FOLDER]

The fleet: 200 agents of 50 cells; each reports every 20 s with the state of its cells, with a sample of a minute in
every third report, and answers a renewal every 20 s; cells change 12 times a day. Loads are random in all their bits,
the worst case for a compressor. Records are appended once a second, as the writer of the controller gathers them. The
peer keeps the same records as one JSON row each in SQLite with the same durability.
"""

from __future__ import annotations

import argparse
import json
import sqlite3
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.live_fleet import BEGAN_US, fleet_seconds
from benchmarks.rows import print_row
from controller.live.events import Decided, Record
from controller.live.identity import identify
from controller.live.journal import Journal
from controller.live.journal_damage import examine
from controller.live.journal_reader import open_reader
from controller.live.journal_state import read_head

AGENTS, CELLS = 200, 50
DAY_S = 86400
PEER_SECONDS = 120
APPENDS = 15
FLEET = f"{AGENTS * CELLS:,} cells behind {AGENTS} agents, 12 changes a cell and day"


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.tolist()
    return value.hex() if isinstance(value, bytes) else str(value)


class JsonRows:
    """The peer: a row of JSON a record."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        self._db.execute(
            "CREATE TABLE record (number INTEGER PRIMARY KEY, kind TEXT, unix_us INTEGER, content TEXT)"
        )

    def append(self, records: Sequence[Record]) -> None:
        """One transaction; a decision is one row a cell, as in the journal."""
        rows = [row for record in records for row in _rows(record)]
        self._db.execute("BEGIN IMMEDIATE")
        self._db.executemany("INSERT INTO record (kind, unix_us, content) VALUES (?, ?, ?)", rows)
        self._db.execute("COMMIT")

    def close(self) -> None:
        """Close the file."""
        self._db.close()


def _rows(record: Record) -> Iterable[tuple[str, int, str]]:
    kind = type(record).__name__
    if not isinstance(record, Decided):
        yield kind, record.unix_us, json.dumps(asdict(record), default=_plain)
        return
    columns = (record.cell, record.revision, record.level, record.expected_level, record.reason)
    for row in zip(*(column.tolist() for column in columns), strict=True):
        cell, revision, level, expected, reason = row
        content = {"cell": cell, "revision": revision, "level": level, "expected": expected, "reason": reason}
        yield kind, record.unix_us, json.dumps(content | {"plan_id": record.plan_id})


def _fill(sink: Journal | JsonRows, seconds: int) -> tuple[int, float]:
    """Append a fleet's records; how many, and the time in appends. [s]"""
    count, spent_s = 0, 0.0
    for records in fleet_seconds(AGENTS, CELLS, seconds):
        begin = time.perf_counter()
        sink.append(records)
        spent_s += time.perf_counter() - begin
        count += len(records)
    return count, spent_s


def _append_ms(sink: Journal | JsonRows) -> list[float]:
    """Times of appends of a command for each of 10,000 cells. [ms]"""
    n = AGENTS * CELLS
    level, cell = np.full(n, 3, np.uint8), np.arange(n, dtype=np.int32)
    taken = []
    for i in range(APPENDS):
        made = Decided(BEGAN_US, "plan", cell, np.full(n, i, np.uint64), level, level, level)
        begin = time.perf_counter()
        sink.append([made])
        taken.append((time.perf_counter() - begin) * 1e3)
    return taken


def _check_s(path: Path) -> float:
    """Time to check a journal beyond that of an empty one, least of three. [s]"""
    empty = path.with_name("empty.sqlite")
    Journal.open(empty, identify("{}", [], 0), unix_us=BEGAN_US).close()
    least_s = []
    for one in (path, empty):
        begin = [time.perf_counter()]
        for _ in range(3):
            assert not examine(one, read_head(one), needs_head=True).cause
            begin.append(time.perf_counter())
        least_s.append(float(np.diff(begin).min()))
    return least_s[0] - least_s[1]


def main(seconds: int, folder: Path) -> None:
    """Print all rows."""
    ours, peer = folder / "ours.sqlite", folder / "peer.sqlite"
    peer_seconds = min(seconds, PEER_SECONDS)
    who = identify("{}", [], 0)
    with Journal.open(ours, who, unix_us=BEGAN_US) as journal:
        count, spent_s = _fill(journal, seconds)
    rows = JsonRows(peer)
    _fill(rows, peer_seconds)
    rows.close()
    our_mb = ours.stat().st_size / 1e6 * DAY_S / seconds
    peer_mb = peer.stat().st_size / 1e6 * DAY_S / peer_seconds
    spans = f"{FLEET}; {seconds} s measured, peer {peer_seconds} s of JSON rows"
    print_row("journal_mb_per_day", our_mb, "MB", spans, ours=our_mb, peer=peer_mb, bar=("<=", 300))
    used_ms = spent_s / seconds * 1e3
    print_row("journal_append_ms_per_s", used_ms, "ms/s", f"{FLEET}; {count} records, disk included")
    checked_s = _check_s(ours) * DAY_S / seconds
    print_row(
        "journal_check_s_per_day_kept", checked_s, "s", "read and compared with its chain, as at each start"
    )
    with Journal.open(ours, who, unix_us=BEGAN_US) as journal:
        our_ms = _append_ms(journal)
    rows = JsonRows(folder / "peer2.sqlite")
    peer_ms = _append_ms(rows)
    rows.close()
    for name, at in (("p50", 50), ("max", 100)):
        mine, theirs = (float(np.percentile(times, at)) for times in (our_ms, peer_ms))
        conditions = f"10,000 commands in one append, durable; {APPENDS} appends"
        print_row(f"journal_append_10000_ms_{name}", mine, "ms", conditions, ours=mine, peer=theirs)
    reader = open_reader(ours)
    begin = time.perf_counter()
    read = sum(1 for _ in reader.records(1))
    rate = read / (time.perf_counter() - begin)
    reader.close()
    print_row("journal_read_records_per_s", rate, "1/s", "in order, checked and decoded, for a rerun")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=int, default=1800, help="of the fleet's life")
    parser.add_argument(
        "--folder", type=Path, help="on the disk to be measured; default: the temporary folder"
    )
    told = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=told.folder) as made:
        main(told.seconds, Path(made))
