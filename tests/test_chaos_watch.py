"""The observer of process chaos runs finds what it is there to find, and nothing else."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from random import Random

import numpy as np
import pytest

from benchmarks.chaos_proc_damage import damage
from benchmarks.chaos_proc_scene import LEASE_S
from benchmarks.chaos_proc_watch import SLACK_S, Heard, Seen, Site, Watch, held, twice
from hw.ports import RadioAbilities

SPEED = 30.0
FULL, DEEP, OFF = 1, 2, 3
WAKE_S = 10
TERM_S = (LEASE_S + WAKE_S) / SPEED


def _site() -> Site:
    abilities = RadioAbilities(
        cell_id=("coverage", "capacity"),
        site_id=("s", "s"),
        product=("", ""),
        is_capacity=np.array([False, True]),
        level_names=("full", "symbol", "deep", "off"),
        wake_ms=np.array([0, 0, WAKE_S * 1000, WAKE_S * 1000]),
        off_air=np.array([False, False, False, True]),
        allowed=np.ones((2, 4), np.bool_),
        has_dead_man=np.ones(2, np.bool_),
        full_service_level=FULL,
    )
    return Site("a", abilities)


def _watch() -> tuple[Watch, Site]:
    watch = Watch("unix:none", {}, SPEED)
    site = watch.sites["a"] = _site()
    return watch, site


def _look(watch: Watch, site: Site, at_s: float, *level: int) -> None:
    watch._take(site, Seen(at_s, at_s + 0.001, level))


def test_a_cell_may_sleep_for_lease_and_wake_time_after_its_controller_is_gone_and_no_longer() -> None:
    watch, site = _watch()
    watch.lost("killed")
    gone_s = site.away_since_s
    _look(watch, site, gone_s + TERM_S, FULL, DEEP)
    assert watch.violations == []
    _look(watch, site, gone_s + TERM_S + 2 * SLACK_S, FULL, DEEP)
    assert len(watch.violations) == 1
    assert "after lease and wake time, since killed" in watch.violations[0]


def test_a_second_loss_does_not_begin_a_new_lease() -> None:
    watch, site = _watch()
    watch.lost("killed")
    gone_s = site.away_since_s
    watch.lost("its link is down", "a")
    watch.back("killed")
    assert site.away_since_s == gone_s
    _look(watch, site, gone_s + TERM_S + 2 * SLACK_S, FULL, DEEP)
    assert watch.violations


def test_a_cell_may_sleep_as_long_as_somebody_can_renew() -> None:
    watch, site = _watch()
    watch.lost("killed")
    watch.back("killed")
    _look(watch, site, time.monotonic() + 1000, FULL, DEEP)
    assert watch.violations == []


def test_nothing_goes_deeper_while_the_stop_latch_is_set() -> None:
    watch, site = _watch()
    watch.stopped("a")
    assert site.stopped_since_s is not None
    _look(watch, site, site.stopped_since_s + 0.1, FULL, FULL)
    _look(watch, site, site.stopped_since_s + 0.2, FULL, DEEP)
    assert watch.violations == ["capacity: went deeper while the stop latch is set"]
    _look(watch, site, site.stopped_since_s + 60, FULL, DEEP)
    assert watch.violations[1:] == ["capacity: not awake although the stop latch is set"]


def test_a_coverage_cell_stays_on_air() -> None:
    watch, site = _watch()
    _look(watch, site, 1.0, OFF, OFF)
    assert watch.violations == ["coverage: a coverage cell is off air"]


@pytest.mark.parametrize(("later", "found"), [(7, ["capacity: revision 7 took effect twice"]), (8, [])])
def test_a_revision_that_takes_effect_twice_is_found(later: int, found: list[str]) -> None:
    watch, site = _watch()
    for at_s, level in ((1.0, FULL), (2.0, DEEP), (3.0, FULL), (4.0, FULL), (5.0, DEEP)):
        _look(watch, site, at_s, FULL, level)
    site.heard = [
        Heard(1.5, 4.4, b"boot", (0, 7), (FULL, DEEP)),
        Heard(4.5, 6.0, b"boot", (0, later), (FULL, DEEP)),
    ]
    assert twice(site) == found
    assert held(site) == {("capacity", 7, DEEP), ("capacity", later, DEEP)}


def test_another_boot_may_use_a_revision_again() -> None:
    watch, site = _watch()
    for at_s, level in ((1.0, FULL), (2.0, DEEP), (3.0, FULL), (4.0, DEEP)):
        _look(watch, site, at_s, FULL, level)
    site.heard = [
        Heard(1.5, 2.5, b"boot", (0, 7), (FULL, DEEP)),
        Heard(3.5, 6.0, b"later", (0, 7), (FULL, DEEP)),
    ]
    assert twice(site) == []


def test_damage_changes_one_of_the_files(tmp_path: Path) -> None:
    for seed in range(30):
        parts = {
            tmp_path / name: bytes(20_000) for name in ("journal.db", "journal.db-wal", "journal.db.head")
        }
        for path, content in parts.items():
            path.write_bytes(content)
        damage(tmp_path / "journal.db", Random(seed))
        changed = [
            path for path, content in parts.items() if not path.exists() or path.read_bytes() != content
        ]
        assert len(changed) == 1


def test_a_watch_without_sites_ends() -> None:
    asyncio.run(Watch("unix:none", {}, SPEED).end())
