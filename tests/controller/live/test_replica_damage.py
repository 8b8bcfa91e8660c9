"""Damage of a journal that follows another one is found once, and costs neither its term nor a set stop latch."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller.live.events import Latched
from controller.live.journal import Journal
from controller.live.journal_state import Head, read_head
from controller.live.replica import Replica
from controller.live.replica_source import JournalSource
from tests.controller.live.live_made import BEGAN_US, WHO
from tests.controller.live.test_journal import decided, tick
from tests.controller.live.test_replica import NOW_US, asked_of, content, fetch_all, lead

STOP = Latched(BEGAN_US, True, "bob", "smoke")


@pytest.fixture
def damaged(tmp_path: Path) -> tuple[Path, Path]:
    """A leader's journal, and one that had followed it to its end and was cut."""
    one, two = tmp_path / "one.db", tmp_path / "two.db"
    lead(one, [decided(3)], *[[tick(second)] for second in range(30)], [STOP], epoch=7)
    fetch_all(one, two)
    two.write_bytes(two.read_bytes()[:5000])
    return one, two


def kept_head(path: Path) -> Head:
    head = read_head(path)
    assert head is not None
    return head


def start(path: Path, second: int) -> Replica:
    return Replica.open(path, NOW_US + second * 1_000_000)


def test_damage_is_found_once_however_often_it_starts(damaged: tuple[Path, Path]) -> None:
    _, two = damaged
    found = []
    for second in range(4):
        target = start(two, second)
        found.append(target.damage is not None)
        target.close()
    assert found == [True, False, False, False]
    copies = {path.name.removesuffix("-wal").removesuffix("-shm") for path in two.parent.glob("*.damaged-*")}
    assert copies == {f"{two.name}.damaged-{NOW_US}"}
    assert (kept_head(two).run, kept_head(two).is_stopped) == (7, True)


def test_who_leads_with_what_is_left_is_stopped_in_a_later_run(damaged: tuple[Path, Path]) -> None:
    _, two = damaged
    for second in range(2):
        start(two, second).close()
    with Journal.open(two, WHO, unix_us=NOW_US) as journal:
        assert journal.damage is None
        assert journal.stop_latch().is_set
        assert journal.run == 8


def test_what_was_lost_and_is_fetched_again_speaks_for_itself(damaged: tuple[Path, Path]) -> None:
    one, two = damaged
    lead(one, [Latched(BEGAN_US, False, "bob", "it was toast")], epoch=8)
    source, target = JournalSource(one), start(two, 0)
    while target.take(asked_of(source, target), NOW_US):
        assert not target._state.is_stopped or kept_head(two).is_stopped
    target.close()
    assert (kept_head(two).run, kept_head(two).is_stopped) == (8, False)
    assert content(two) == content(one)
    with Journal.open(two, WHO, unix_us=NOW_US) as journal:
        assert not journal.stop_latch().is_set
