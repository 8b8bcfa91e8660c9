"""Rows of ticks come back from their file as they were, and damage costs no more than itself and what follows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from controller.live.kpi_rows import HISTORY_DAYS, RowFile, Rows, kept, read_rows, rows_of
from tests.controller.live.live_made import same
from tests.controller.live.watched import CELLS, TICK, TICK_S, keep, past_rows

OF = rows_of(CELLS, TICK_S)


def test_rows_of_earlier_runs_come_back(tmp_path: Path) -> None:
    rows = past_rows(0.1)
    acting = [row._replace(may=np.arange(len(CELLS)) % 3 == 0, kpi=row.kpi * np.nan) for row in rows]
    path = keep(tmp_path, rows, 1)
    keep(tmp_path, acting, 2)
    assert same(read_rows(path, OF, 2), rows)
    assert same(read_rows(path, OF, 3), [*rows, *acting])


@pytest.mark.parametrize("at", [0, 5, 60, -1])
def test_a_changed_byte_ends_what_is_read_and_is_cut_off(tmp_path: Path, at: int) -> None:
    rows = past_rows(0.1)
    path = keep(tmp_path, rows)
    content = bytearray(path.read_bytes())
    content[4 * OF.size + at % OF.size] ^= 8
    path.write_bytes(content)
    assert same(read_rows(path, OF, 2), rows[:4])
    keep(tmp_path, rows[4:], 2)
    assert same(read_rows(path, OF, 3), rows)


def test_a_torn_end_is_cut_off(tmp_path: Path) -> None:
    rows = past_rows(0.1)
    path = keep(tmp_path, rows)
    path.write_bytes(path.read_bytes()[:-3])
    keep(tmp_path, rows[-1:])
    assert same(read_rows(path, OF, 2), rows)


def test_rows_of_another_network_are_none_of_ours(tmp_path: Path) -> None:
    path = keep(tmp_path, past_rows(0.1))
    assert read_rows(path, rows_of(CELLS[::-1], TICK_S), 2) == []


def test_the_oldest_rows_go_but_days_at_full_service_stay_however_old(tmp_path: Path) -> None:
    rows = past_rows(HISTORY_DAYS + 10)
    acting = [row._replace(may=~row.may) for row in past_rows(20, until_tick=TICK + 20 * 96)]
    left = kept([*rows, *acting], OF)
    assert [row.tick for row in left if not row.acts] == [row.tick for row in rows[-HISTORY_DAYS * 96 :]]
    assert [row.tick for row in left if row.acts] == [row.tick for row in acting[-7 * 96 :]]
    path = keep(tmp_path, [*rows, *acting])
    RowFile(path, OF, 2, 1)
    assert path.stat().st_size == (29 + 8) * 96 * OF.size


def test_rows_in_memory_are_those_that_a_restart_would_read(tmp_path: Path) -> None:
    rows = past_rows(HISTORY_DAYS + 3)
    acting = [row._replace(may=~row.may) for row in past_rows(9, until_tick=TICK + 20 * 96)]
    mixed = [*rows[: 2 * 96], *acting[: 2 * 96], *rows[2 * 96 :], *acting[2 * 96 :]]
    store = Rows(OF, mixed[:100])
    for row in mixed[100:]:
        store.add(row)
    assert same(store.rows, kept(mixed, OF))
    assert same(store.rows, read_rows(keep(tmp_path, mixed), OF, 2))


def test_rows_that_somebody_reads_stay_as_they_are_for_a_day() -> None:
    acting = [row._replace(may=~row.may) for row in past_rows(8, until_tick=TICK + 8 * 96)]
    rows = [*past_rows(HISTORY_DAYS), *acting[: 7 * 96]]
    store = Rows(OF, rows)
    seen = tuple(store.rows)
    for row in acting[7 * 96 :]:
        store.add(row)
    assert same(seen, tuple(rows))
