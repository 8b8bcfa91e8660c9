"""Demand-response events and mains: what a file says, as arrays; outages drawn from a grade."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from controller.errors import ConfigError
from controller.site.grid_events import EventSeries, compile_events, known_by, load_events
from controller.site.mains import (
    MainsGradeSpec,
    draw_outages,
    grade_of,
    load_grades,
    mains_present,
)
from traces.grid import Outages

START = np.datetime64("2025-07-01T00:00:00", "s")
SITES = ["a", "b", "c"]
EVENTS = """\
schema: quietcell.grid-events/1
source: by hand
events:
  - name: evening
    kind: limit_to
    amount_w: 1500
    begin: "2025-07-01T02:00:00Z"
    end: "2025-07-01T04:00:00Z"
    announced: "2025-07-01T00:30:00Z"
    penalty_per_kwh: 2.0
  - name: some
    kind: reduce_by
    amount_w: 800
    begin: "2025-07-01T11:20:00+08:00"
    end: "2025-07-01T12:10:00+08:00"
    announced: "2025-06-30T10:00:00+08:00"
    sites: [b]
    penalty_per_kwh: 0.5
    reward_per_kwh: 3.0
  - name: not_ours
    kind: reduce_by
    amount_w: 5000
    begin: "2025-07-01T00:00:00Z"
    end: "2025-07-01T06:00:00Z"
    announced: "2025-06-30T00:00:00Z"
    opt_out: true
"""


def written(tmp_path: Path, text: str = EVENTS) -> Path:
    path = tmp_path / "events.yaml"
    path.write_text(text)
    return path


def compiled(tmp_path: Path, text: str = EVENTS, step_s: int = 900) -> EventSeries:
    return compile_events(load_events(written(tmp_path, text)), SITES, START, 6 * 3600 // step_s, step_s)


def test_events_limit_their_sites_and_steps(tmp_path: Path) -> None:
    found = compiled(tmp_path)
    assert np.flatnonzero(np.isfinite(found.limit_w[0])).tolist() == list(range(8, 16))
    assert (found.limit_w[:, 8:16] == 1500).all()
    # 03:20 to 04:10 touches the steps from 03:15 to 04:15
    assert np.flatnonzero(found.reduce_w[1]).tolist() == [13, 14, 15, 16]
    assert not found.reduce_w[[0, 2]].any()
    assert found.penalty_per_kwh[1, 12:18].tolist() == [2.0] * 4 + [0.5, 0.0]  # both at once: the higher
    assert found.reward_per_kwh[1, 13] == 3.0


def test_known_is_what_was_announced(tmp_path: Path) -> None:
    spec = load_events(written(tmp_path))
    found = compile_events(spec, SITES, START, 24, 900)
    assert found.known_at[0, 8] == 2
    assert found.known_at[1, 16] == 0  # announced the day before
    early = known_by(spec, START + np.timedelta64(1799, "s"))
    assert [event.name for event in early.events] == ["some", "not_ours"]
    assert np.isinf(compile_events(early, SITES, START, 24, 900).limit_w).all()
    assert len(known_by(spec, START + np.timedelta64(1800, "s")).events) == 3


def test_events_outside_the_steps_are_cut_or_left_out(tmp_path: Path) -> None:
    spec = load_events(written(tmp_path))
    late = compile_events(spec, SITES, np.datetime64("2025-07-01T03:30:00", "s"), 4, 900)
    assert np.isfinite(late.limit_w[0]).tolist() == [True, True, False, False]
    assert np.isinf(compile_events(spec, SITES, np.datetime64("2026-01-01", "s"), 4, 900).limit_w).all()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("02:00:00Z", "05:00:00Z", "ends at or before its begin; correct begin or end"),
        ("2025-07-01T00:30:00Z", "2025-07-01T02:30:00Z", "is announced after its begin"),
        ("limit_to", "limit_by", r"events\.yaml:5: .*kind"),
        ("amount_w: 800", "amount_w: 0", "reduces by 0 W"),
        ("amount_w: 1500", "amount_w: -1", r"events\.yaml:6: .*amount_w"),
        ("name: some", "name: evening", "appears more than once"),
        ('"2025-07-01T04:00:00Z"', '"2025-07-01T04:00:00"', r"events\.yaml:8: .*timezone"),
        ("amount_w: 1500", "amount_w: 1500\n    reward_per_kwh: 1.0", "use kind reduce_by"),
    ],
)
def test_a_bad_file_is_refused_with_its_line(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in EVENTS
    with pytest.raises(ConfigError, match=message):
        load_events(written(tmp_path, EVENTS.replace(old, new, 1)))


def test_an_event_of_an_unknown_site_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="event some: site 'x' is not known; known: a, b, c"):
        compiled(tmp_path, EVENTS.replace("[b]", "[x]"))


def outages(*rows: tuple[str, int, int]) -> Outages:
    begin = START.astype(np.int64)
    site, first, last = zip(*rows, strict=True)
    return Outages(np.array(site), begin + np.array(first), begin + np.array(last))


def test_outages_become_steps_of_the_nearest_length() -> None:
    found = mains_present(
        outages(("a", 400, 2300), ("b", 500, 2200), ("b", 4100, 4200), ("c", -900, 100)), SITES, START, 8, 900
    )
    assert np.flatnonzero(~found[0]).tolist() == [0, 1, 2]
    assert np.flatnonzero(~found[1]).tolist() == [1, 4]  # the short one takes the step it begins in
    assert found[2].all()
    with pytest.raises(ConfigError, match="site 'z' is not known"):
        mains_present(outages(("z", 0, 900)), SITES, START, 8, 900)


def test_drawn_outages_have_the_rate_and_the_duration_of_the_grade() -> None:
    grade = grade_of("grade-2", load_grades())
    sites = [f"s{i}" for i in range(60)]
    found = draw_outages([grade] * 60, sites, START, 3652.5, seed=7)
    hours = (found.end_s - found.begin_s) / 3600
    assert len(hours) / 600 == pytest.approx(grade.outages_per_year, rel=0.02)
    assert hours.mean() == pytest.approx(grade.mean_duration_h, rel=0.02)
    assert np.log(hours).std() == pytest.approx(grade.duration_sigma, rel=0.02)
    for site in sites:
        own = found.site == site
        assert (found.begin_s[own][1:] > found.end_s[own][:-1]).all()


def test_a_site_has_its_outages_whoever_is_drawn_with_it() -> None:
    grade = grade_of("grade-1", load_grades())
    alone = draw_outages([grade], ["b"], START, 365, seed=1)
    together = draw_outages([grade] * 3, ["c", "b", "a"], START, 365, seed=1)
    assert alone.begin_s.tolist() == together.begin_s[together.site == "b"].tolist()
    assert together.site.tolist() == sorted(together.site.tolist())
    other = draw_outages([grade], ["b"], START, 365, seed=2)
    assert other.begin_s.tolist() != alone.begin_s.tolist()


def test_a_grade_that_is_unknown_or_always_off_is_refused() -> None:
    with pytest.raises(ConfigError, match="mains grade 'grade-9' is not known; known: grade-1"):
        grade_of("grade-9", load_grades())
    never = MainsGradeSpec(source="x", outages_per_year=1000, mean_duration_h=10, duration_sigma=0)
    with pytest.raises(ConfigError, match="do not fit into a year"):
        draw_outages([never], ["a"], START, 365, seed=1)
    perfect = MainsGradeSpec(source="x", outages_per_year=0, mean_duration_h=10, duration_sigma=0)
    assert len(draw_outages([perfect], ["a"], START, 365, seed=1).site) == 0
