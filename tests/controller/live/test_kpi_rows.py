"""Rows of ticks come back from their file as they were, and damage costs no more than itself and what follows."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from controller.live.kpi_file import RowFile, read_rows
from controller.live.kpi_rows import HISTORY_DAYS, Row, Rows, kept, rows_of
from tests.controller.live.live_made import same
from tests.controller.live.watched import CELLS, TICK, TICK_S, keep, past_rows

OF = rows_of(CELLS, TICK_S)


def read(path: Path, before_run: int) -> list[Row]:
    return list(read_rows(path, OF, before_run))


def looked_at(rows: list[Row]) -> list[Row]:
    return [rows[place] for place in kept([row.acts for row in rows], OF)]


def test_rows_of_earlier_runs_come_back(tmp_path: Path) -> None:
    rows = past_rows(0.1)
    acting = [row._replace(may=np.arange(len(CELLS)) % 3 == 0, kpi=row.kpi * np.nan) for row in rows]
    path = keep(tmp_path, rows, 1)
    keep(tmp_path, acting, 2)
    assert same(read(path, 2), rows)
    assert same(read(path, 3), [*rows, *acting])


@pytest.mark.parametrize("at", [0, 5, 60, -1])
def test_a_changed_byte_ends_what_is_read_and_is_cut_off(tmp_path: Path, at: int) -> None:
    rows = past_rows(0.1)
    path = keep(tmp_path, rows)
    content = bytearray(path.read_bytes())
    content[4 * OF.size + at % OF.size] ^= 8
    path.write_bytes(content)
    assert same(read(path, 2), rows[:4])
    keep(tmp_path, rows[4:], 2)
    assert same(read(path, 3), rows)


def test_a_torn_end_is_cut_off(tmp_path: Path) -> None:
    rows = past_rows(0.1)
    path = keep(tmp_path, rows)
    path.write_bytes(path.read_bytes()[:-3])
    keep(tmp_path, rows[-1:])
    assert same(read(path, 2), rows)


def test_rows_of_another_network_are_none_of_ours(tmp_path: Path) -> None:
    path = keep(tmp_path, past_rows(0.1))
    assert list(read_rows(path, rows_of(CELLS[::-1], TICK_S), 2)) == []


def test_the_oldest_rows_go_but_days_at_full_service_stay_however_old(tmp_path: Path) -> None:
    rows = past_rows(HISTORY_DAYS + 10)
    acting = [row._replace(may=~row.may) for row in past_rows(20, until_tick=TICK + 20 * 96)]
    left = looked_at([*rows, *acting])
    assert [row.tick for row in left if not row.acts] == [row.tick for row in rows[-HISTORY_DAYS * 96 :]]
    assert [row.tick for row in left if row.acts] == [row.tick for row in acting[-7 * 96 :]]
    path = keep(tmp_path, [*rows, *acting])
    RowFile(path, OF, 2, 1).trim()
    assert path.stat().st_size == (29 + 8) * 96 * OF.size


def test_rows_in_memory_are_those_that_a_restart_would_read(tmp_path: Path) -> None:
    rows = past_rows(HISTORY_DAYS + 3)
    acting = [row._replace(may=~row.may) for row in past_rows(9, until_tick=TICK + 20 * 96)]
    mixed = [*rows[: 2 * 96], *acting[: 2 * 96], *rows[2 * 96 :], *acting[2 * 96 :]]
    store = Rows(OF, mixed[:100])
    for row in mixed[100:]:
        store.add(row)
    assert same(store.rows, looked_at(mixed))
    assert same(store.rows, read(keep(tmp_path, mixed), 2))


def test_rows_that_somebody_reads_stay_as_they_are_for_a_day() -> None:
    acting = [row._replace(may=~row.may) for row in past_rows(8, until_tick=TICK + 8 * 96)]
    rows = [*past_rows(HISTORY_DAYS), *acting[: 7 * 96]]
    store = Rows(OF, rows)
    seen = tuple(store.rows)
    for row in acting[7 * 96 :]:
        store.add(row)
    assert same(seen, tuple(rows))


def test_rows_are_read_one_by_one(tmp_path: Path) -> None:
    of = rows_of([f"c{i}" for i in range(2000)], TICK_S)
    blank = np.zeros(2000, np.float16)
    rows = [Row(tick, np.zeros(2000, np.bool_), blank, blank, blank) for tick in range(500)]
    path = tmp_path / "journal.db.kpi"
    RowFile(path, of, 1, 0).append(rows)
    tracemalloc.start()
    try:
        file = RowFile(path, of, 2, 0)
        assert sum(1 for _ in read_rows(path, of, 2)) == 500
        file.trim()
        assert tracemalloc.get_traced_memory()[1] < path.stat().st_size / 10
    finally:
        tracemalloc.stop()


def test_a_row_that_a_full_disk_tears_costs_no_later_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = past_rows(0.1)
    path = keep(tmp_path, rows[:3])
    file = RowFile(path, OF, 1, 30)
    with pytest.raises(OSError, match="large"), room_for(path.stat().st_size + OF.size // 2):
        file.append(rows[3:4])
    assert path.stat().st_size == 3 * OF.size
    with monkeypatch.context() as full:
        full.setattr(os, "truncate", _fails)
        with pytest.raises(OSError, match="large"), room_for(path.stat().st_size + OF.size // 2):
            file.append(rows[3:4])
    assert path.stat().st_size > 3 * OF.size
    file.append(rows[4:])
    assert same(read(path, 2), [*rows[:3], *rows[4:]])


@contextmanager
def room_for(size: int) -> Iterator[None]:
    """Within it no file grows beyond a size, as on a disk that is full: what fits is written. [B]"""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def _fails(*_: Any) -> None:
    raise OSError("nothing works")


def test_a_file_that_cannot_be_written_anew_stays_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = past_rows(HISTORY_DAYS + 10)
    path = keep(tmp_path, rows)
    whole = path.read_bytes()
    file = RowFile(path, OF, 2, 1)
    with monkeypatch.context() as full:
        full.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=0))
        with pytest.raises(OSError, match="no room"):
            file.trim()
    file.trim()  # not tried again before another day of rows
    assert path.read_bytes() == whole
    other = RowFile(path, OF, 2, 1)
    with monkeypatch.context() as broken, pytest.raises(OSError, match="nothing"):
        broken.setattr(os, "fsync", _fails)
        other.trim()
    with pytest.raises(InterruptedError):
        RowFile(path, OF, 2, 1).trim(lambda: True)
    assert path.read_bytes() == whole
    assert list(tmp_path.iterdir()) == [path]
