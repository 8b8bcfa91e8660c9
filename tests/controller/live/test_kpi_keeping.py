"""Rows are kept beside the loop: none is lost while the file is written anew, and the loop waits for nothing."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest

from controller.live.events import GuardTick, Output
from controller.live.kpi_file import RowFile, read_rows
from controller.live.kpi_keeping import RowKeeper
from controller.live.kpi_rows import HISTORY_DAYS, Row, rows_of
from tests.controller.live.live_made import same
from tests.controller.live.loop_doubles import Told
from tests.controller.live.watched import CELLS, TICK_S, keep, past_rows
from tests.hw.adapters.agent_double import run, until

OF = rows_of(CELLS, TICK_S)
DAY = OF.ticks_per_day


def feed(keeper: RowKeeper) -> None:
    keeper.fed(GuardTick(0), Output(), 0.0)


def test_a_file_that_grows_for_months_stays_small_and_no_row_is_lost(tmp_path: Path) -> None:
    rows = past_rows(HISTORY_DAYS + 90)
    path, told, fresh = tmp_path / "journal.db.kpi", Told(), list[Row]()

    def take() -> list[Row]:
        return [fresh.pop()] if fresh else []

    async def test() -> None:
        keeper, largest = RowKeeper(RowFile(path, OF, 1, 1), take, told), 0
        for row in rows:
            fresh.append(row)
            feed(keeper)
            if row.tick % DAY == 0:
                await asyncio.wrap_future(keeper._thread.submit(lambda: None))
                largest = max(largest, path.stat().st_size)
        await keeper.close()
        assert largest <= 1.1 * (HISTORY_DAYS + 1) * DAY * OF.size + OF.size

    run(test())
    assert same(list(read_rows(path, OF, 2)), rows[-HISTORY_DAYS * DAY :])
    assert told.lines == []


def test_the_loop_does_not_wait_while_it_is_written_anew_and_ending_does_not_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = past_rows(HISTORY_DAYS + 10)
    path, told = keep(tmp_path, rows[:-2]), Told()
    waiting, fresh = threading.Event(), [[row] for row in rows[-2:]]
    trim = RowFile.trim

    def slow(self: RowFile, is_over: Any) -> None:
        waiting.set()
        while not is_over():
            pass
        trim(self, is_over)

    monkeypatch.setattr(RowFile, "trim", slow)

    async def test() -> None:
        keeper = RowKeeper(RowFile(path, OF, 1, 1), lambda: fresh.pop(0), told)
        feed(keeper)
        await until(waiting.is_set)
        feed(keeper)
        await keeper.close()

    run(test())
    assert same(list(read_rows(path, OF, 2)), rows[-HISTORY_DAYS * DAY :])
    assert told.lines == []


def test_what_cannot_be_kept_is_told_until_it_can_be(tmp_path: Path) -> None:
    (row,) = past_rows(1 / DAY)
    path, told = tmp_path / "gone" / "journal.db.kpi", Told()

    async def test() -> None:
        keeper = RowKeeper(RowFile(path, OF, 1, 1), lambda: [row], told)
        for _ in range(2):
            feed(keeper)
        await until(lambda: told.of("rows_not_kept"))
        path.parent.mkdir()
        feed(keeper)
        await until(path.exists)
        await keeper.close()

    run(test())
    assert len(told.of("rows_not_kept")) == 1
    assert "gone" in str(told.of("rows_not_kept")[0]["cause"])
    assert len(list(read_rows(path, OF, 2))) == 1
