"""Canaries of a small network in virtual time: who may be one, and what happens when their users are slower."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from controller.live.building import NOTHING_RESUMED
from controller.live.core import LiveCore
from controller.live.events import Alarm, Matched, PlanTick, RolledBack, Woken
from controller.live.journal import Journal
from controller.live.rerun import Cause, rerun
from policies.policy import Reason
from tests.controller.live.doubles import FULL, SECOND_US, Harness, journal_of
from tests.controller.live.live_made import BEGAN_US, WHO
from tests.controller.live.watched import (
    CELLS,
    SITES,
    keep,
    levels,
    past_rows,
    said,
    slow,
    watched,
    watched_core,
)

ASLEEP_S = 2760
TICK_S = 900
SETTLED_S = 4 * TICK_S
RESTING = [True] * 4 + [False] * 20  # the canaries


def resting(harness: Harness) -> list[bool]:
    return [level > FULL for level in levels(harness)]


def test_canaries_rest_once_they_have_controls_which_are_named(tmp_path: Path) -> None:
    harness = watched(watched_core(tmp_path), ASLEEP_S)
    assert resting(harness) == RESTING
    (matched,) = said(harness, Matched)
    assert matched.canary == tuple(CELLS[:4])
    assert matched.unmatched == ()
    for name, controls in zip(matched.canary, matched.control, strict=True):
        assert len(controls) == 8
        assert set(controls) <= {f"s{site}-{name[-1]}" for site in range(2, SITES)}


def test_a_site_that_may_act_by_its_stage_is_no_control(tmp_path: Path) -> None:
    acting = {f"s{site}": "act" for site in range(2, 7)}
    core = watched_core(tmp_path, canaries=CELLS[:4], sites=acting)
    harness = watched(core, 900)
    (matched,) = said(harness, Matched)
    for controls in matched.control:
        assert {name.partition("-")[0] for name in controls} == {f"s{site}" for site in range(7, SITES)}


def test_without_enough_days_nobody_is_a_canary(tmp_path: Path) -> None:
    harness = watched(watched_core(tmp_path, days=6.5), ASLEEP_S)
    assert levels(harness) == [FULL] * 24
    assert harness.core.canaries.waits == "6 of 7 whole days at full service are known"


def test_a_canary_that_nothing_is_like_is_none(tmp_path: Path) -> None:
    rows = [
        row._replace(load=row.load * np.where(np.arange(len(CELLS)) == 2, 20, 1).astype(np.float16))
        for row in past_rows(8)
    ]
    resumed = replace(NOTHING_RESUMED, highest_epoch=1, rows_at=keep(tmp_path, rows))
    harness = watched(watched_core(tmp_path, resumed=resumed), ASLEEP_S)
    (matched,) = said(harness, Matched)
    assert matched.unmatched == ("s1-c",)
    states = {cell: state for cell, _, state, _, _ in harness.core.canaries.standing()}
    assert states == dict.fromkeys(CELLS[:4], "acts") | {"s1-c": "unmatched"}
    assert resting(harness) == [True, True, False, True] + [False] * 20


def test_ten_percent_less_brings_all_canaries_back_within_three_ticks(tmp_path: Path) -> None:
    harness = watched(watched_core(tmp_path), SETTLED_S)
    assert resting(harness) == RESTING  # slower by design, which is no breach
    assert said(harness, RolledBack) == []
    slow(harness, 0, 1, share=0.1)
    harness.run(SETTLED_S + 3 * TICK_S + 10)
    (rolled_back,) = said(harness, RolledBack)
    assert rolled_back.site == ""
    assert (
        rolled_back.until_unix_us == (rolled_back.unix_us // (TICK_S * SECOND_US) + 96) * TICK_S * SECOND_US
    )
    assert levels(harness) == [FULL] * 24
    woken = [r for _, out in harness.outputs for r in out.durable if isinstance(r, Woken)][-1]
    assert woken.unix_us == rolled_back.unix_us
    assert woken.reason.tolist() == [Reason.GUARD_ROLLBACK] * 4
    alarms = [r for _, out in harness.outputs for r in out.durable if isinstance(r, Alarm)]
    assert [alarm.about for alarm in alarms] == ["canaries"]
    back = [(state, until) for _, _, state, _, until in harness.core.canaries.standing()]
    assert back == [("rolled back", rolled_back.until_unix_us)] * 4


def drawn(harness: Harness) -> list[str]:
    """Sites of the canaries."""
    (matched,) = said(harness, Matched)
    return sorted({name.partition("-")[0] for name in matched.canary})


def drawn_core(folder: Path, rows_at: Path) -> LiveCore:
    """The core of ``one_hit`` with the rows of a file."""
    resumed = replace(NOTHING_RESUMED, highest_epoch=0, rows_at=rows_at)
    return watched_core(folder, resumed=resumed, sample={"sites": 8, "seed": 3})


@pytest.fixture(scope="module")
def one_hit(tmp_path_factory: pytest.TempPathFactory) -> tuple[Harness, str]:
    """Eight sites that are drawn act, and users of the first of them are much slower for three ticks."""
    folder = tmp_path_factory.mktemp("hit")
    harness = watched(drawn_core(folder, keep(folder, past_rows(8), 0)), SETTLED_S)
    sites = drawn(harness)
    assert len(sites) == 8
    slow(harness, int(sites[0][1:]), share=0.3)
    harness.run(SETTLED_S + 3 * TICK_S + 10)
    return harness, sites[0]


def acting(harness: Harness) -> list[str]:
    """Sites with a cell at rest."""
    return sorted({CELLS[i].partition("-")[0] for i in np.flatnonzero(resting(harness))})


def test_one_site_of_those_drawn_comes_back_alone(one_hit: tuple[Harness, str]) -> None:
    harness, hit = one_hit
    assert [r.site for r in said(harness, RolledBack)] == [hit]
    assert acting(harness) == [site for site in drawn(harness) if site != hit]
    standing = harness.core.canaries.standing()
    assert {site for _, site, state, _, _ in standing if state == "rolled back"} == {hit}
    assert all(len(controls) == 4 for _, _, state, controls, _ in standing if state == "acts")


def test_a_journal_keeps_the_hold_off_and_a_rerun_decides_the_same(
    one_hit: tuple[Harness, str], tmp_path: Path
) -> None:
    harness, _ = one_hit
    with Journal.open(tmp_path / "journal.db", WHO, unix_us=BEGAN_US) as journal:
        journal.append([record for _, out in harness.outputs for record in out.durable])
        path = keep(tmp_path, past_rows(8), 0)
        keep(tmp_path, harness.core.canaries.rows[-7:], 1)  # of the run itself, which it did not begin with
        assert list(rerun(journal, 1, lambda: drawn_core(tmp_path, path))) == []
        blind = rerun(journal, 1, lambda: drawn_core(tmp_path, tmp_path / "none.kpi"))
        assert Cause.NOT_DECIDED in {difference.cause for difference in blind}
        assert journal.prune(2**62) > 0
    with Journal.open(tmp_path / "journal.db", WHO, unix_us=BEGAN_US) as journal:
        assert list(journal.rolled_back()) == said(harness, RolledBack)


def test_a_drop_that_the_controls_share_is_none(tmp_path: Path) -> None:
    harness = watched(watched_core(tmp_path), SETTLED_S)
    slow(harness, *range(SITES), share=0.1)
    harness.run(SETTLED_S + 4 * TICK_S)
    assert said(harness, RolledBack) == []
    assert resting(harness) == RESTING


def test_a_hold_off_survives_a_restart_and_ends(one_hit: tuple[Harness, str], tmp_path: Path) -> None:
    harness, hit = one_hit
    path = keep(tmp_path, harness.core.canaries.rows, 1)
    (rolled_back,) = said(harness, RolledBack)
    resumed = replace(journal_of(harness.outputs, 2), rolled_back=(rolled_back,), rows_at=path)
    core = watched_core(tmp_path, resumed=resumed, sample={"sites": 8, "seed": 3})
    again = Harness(core, list(harness.agents.values()), harness.load)
    again.now_s = harness.now_s
    slow(again, int(hit[1:]), share=0.0)
    again.connect()
    again.run(again.now_s + 3 * TICK_S)
    assert acting(again) == [site for site in drawn(again) if site != hit]
    again.feed(PlanTick(rolled_back.until_unix_us - TICK_S * SECOND_US))
    at_hit = [name.startswith(f"{hit}-") for name in CELLS]
    assert not again.core.ladder.acts[at_hit].any()
    again.feed(PlanTick(rolled_back.until_unix_us))
    assert again.core.ladder.acts[at_hit].all()
