"""Constraints: patterns and local times become cells that are awake, also when clocks change; mistakes are named."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.config import DAYS, ConstraintsConfig, load_config
from controller.constraints import Constraints, compile_constraints
from controller.errors import ConfigError
from traces import make_cells

CELLS = make_cells(
    ["A1-low", "A1-mid", "A1-high", "B2-low", "B2-mid", "odd[1]"],
    {1: (0,), 2: (0,), 4: (3,)},
    site_id=["A1", "A1", "A1", "B2", "B2", "C3"],
)
TICK_S = 900
ZONES = ("UTC", "Europe/Madrid", "Asia/Kathmandu", "America/St_Johns", "Australia/Lord_Howe")
# days around changes of clocks in these zones, and days without
DATES = (
    "2025-03-09",
    "2025-03-29",
    "2025-03-30",
    "2025-04-05",
    "2025-10-04",
    "2025-10-26",
    "2025-11-02",
    "2025-07-15",
)


def made(zone: str = "UTC", **fields: Any) -> Constraints:
    config = ConstraintsConfig.model_validate_json(json.dumps(fields), strict=True)
    return compile_constraints(config, CELLS, zone, "run.yaml")


def at(moment: str) -> np.datetime64:
    return np.datetime64(moment, "s")


def named(mask: np.ndarray) -> list[str]:
    return CELLS.cell_id[mask].tolist()


def test_patterns_mean_a_name_or_what_fits_their_wildcards() -> None:
    constraints = made(protected=["A1-*", "odd[1]"], emergency_lock=["*-mid"])
    locks = constraints.locks(at("2025-03-03T00:00:00"), TICK_S)
    assert named(locks.protected) == ["A1-low", "A1-mid", "A1-high", "odd[1]"]
    assert named(locks.emergency) == ["A1-mid", "B2-mid"]
    assert not locks.event.any()
    assert not locks.excluded.any()


def test_selected_cells_keep_their_constraints() -> None:
    constraints = made(
        protected=["A1-low"],
        exclusion_windows=[{"cells": ["B2-*"], "begin": "00:00", "end": "24:00"}],
        events=[{"name": "fair", "sites": ["A1"], "begin": "2025-03-03T00:00", "end": "2025-03-04T00:00"}],
    )
    index = np.array([4, 0])
    locks = constraints.select(index).locks(at("2025-03-03T12:00:00"), TICK_S)
    assert locks.protected.tolist() == [False, True]
    assert locks.excluded.tolist() == [True, False]
    assert locks.event.tolist() == [False, True]


@pytest.mark.parametrize(
    ("now", "inside"),
    [
        ("2025-03-03T07:00:00", False),
        ("2025-03-03T07:15:00", True),  # the window begins inside this tick
        ("2025-03-03T07:30:00", True),
        ("2025-03-03T08:45:00", True),
        ("2025-03-03T09:00:00", True),  # until 09:01
        ("2025-03-03T09:15:00", False),
        ("2025-03-08T08:00:00", False),  # a Saturday
    ],
)
def test_a_window_holds_from_the_begin_of_the_tick_that_it_touches(now: str, inside: bool) -> None:
    window = {"cells": ["A1-low"], "days": list(DAYS[:5]), "begin": "07:29", "end": "09:01"}
    locks = made(exclusion_windows=[window]).locks(at(now), TICK_S)
    assert named(locks.excluded) == (["A1-low"] if inside else [])


def test_a_window_over_midnight_belongs_to_the_day_on_which_it_begins() -> None:
    window = {"cells": ["A1-low"], "days": ["fri"], "begin": "22:00", "end": "03:00"}
    constraints = made(exclusion_windows=[window])
    moments = {"2025-03-06T23:00": 0, "2025-03-07T01:00": 0, "2025-03-07T22:00": 1, "2025-03-08T02:45": 1}
    for moment, expected in (moments | {"2025-03-08T03:00": 0, "2025-03-08T22:00": 0}).items():
        assert constraints.locks(at(moment), TICK_S).excluded[0] == bool(expected), moment


clocks = st.integers(0, 1439)


@given(
    zone=st.sampled_from(ZONES),
    day=st.sampled_from(DATES),
    begin=clocks,
    end=clocks.filter(lambda m: m > 0),
    days=st.sets(st.sampled_from(DAYS), min_size=1),
    minute=st.integers(0, 2 * 1440),
    tick_s=st.sampled_from([60, 300, 900, 3600]),
)
@settings(max_examples=150, deadline=None)
def test_windows_hold_in_exactly_the_minutes_that_clocks_show(
    zone: str, day: str, begin: int, end: int, days: set[Any], minute: int, tick_s: int
) -> None:
    """Each minute of a tick is shown on a clock; also where an hour is skipped or comes twice."""
    if begin == end:
        return
    window = {"cells": ["A1-low"], "days": sorted(days), "begin": clock(begin), "end": clock(end)}
    now = datetime.fromisoformat(day).replace(tzinfo=UTC) + timedelta(minutes=minute)
    shown = [(now + timedelta(seconds=s)).astimezone(ZoneInfo(zone)) for s in range(0, tick_s, 60)]

    def inside(local: datetime) -> bool:
        m, today = local.hour * 60 + local.minute, DAYS[local.weekday()] in days
        before = DAYS[local.weekday() - 1] in days
        return begin <= m < end and today if begin < end else (m >= begin and today) or (m < end and before)

    got = made(zone, exclusion_windows=[window]).locks(at(now.replace(tzinfo=None).isoformat()), tick_s)
    assert bool(got.excluded[0]) == any(map(inside, shown))


def clock(minute: int) -> str:
    return f"{minute // 60:02d}:{minute % 60:02d}"


def test_cells_that_wake_slowly_are_woken_that_much_earlier() -> None:
    constraints = made(
        exclusion_windows=[{"cells": ["A1-*"], "begin": "08:00", "end": "09:00"}],
        events=[{"name": "match", "sites": ["A1"], "begin": "2025-03-03T12:00", "end": "2025-03-03T13:00"}],
    ).with_waking(CELLS.is_capacity, 180)
    for hour, field in ((8, "excluded"), (12, "event")):
        before = getattr(constraints.locks(at(f"2025-03-03T{hour - 1:02d}:45:00"), TICK_S), field)
        assert named(before) == ["A1-mid", "A1-high"]
        earlier = getattr(constraints.locks(at(f"2025-03-03T{hour - 1:02d}:30:00"), TICK_S), field)
        assert not earlier.any()
        begun = getattr(constraints.locks(at(f"2025-03-03T{hour:02d}:00:00"), TICK_S), field)
        assert named(begun) == ["A1-low", "A1-mid", "A1-high"]


def test_an_event_holds_from_its_lead_to_its_end() -> None:
    event = {"name": "match", "cells": ["B2-mid"], "sites": ["A1"], "lead_h": 1.5}
    span = {"begin": "2025-03-08T18:00", "end": "2025-03-08T20:10"}
    constraints = made("Europe/Madrid", events=[event | span])
    moments = {"15:14": 0, "15:15": 0, "15:20": 1, "15:30": 1, "18:45": 1, "19:00": 1, "19:15": 0}
    for moment, expected in moments.items():
        held = constraints.locks(at(f"2025-03-08T{moment}:00"), TICK_S).event
        assert named(held) == (["A1-low", "A1-mid", "A1-high", "B2-mid"] if expected else []), moment


@pytest.mark.parametrize(
    ("begin", "end", "utc"),
    [
        (
            "2025-10-26T02:30",
            "2025-10-26T02:45",
            ("00:30", "01:45"),
        ),  # comes twice: from the first to the second
        ("2025-03-30T02:30", "2025-03-30T02:45", ("00:30", "01:45")),  # is skipped: from before to after
        (
            "2025-10-26T01:00",
            "2025-10-26T04:00",
            ("23:00", "03:00"),
        ),  # three hours on the clock, four in truth
    ],
)
def test_events_are_never_shorter_when_clocks_change(begin: str, end: str, utc: tuple[str, str]) -> None:
    constraints = made("Europe/Madrid", events=[{"name": "e", "cells": ["*"], "begin": begin, "end": end}])
    spans = [datetime.fromtimestamp(int(s), UTC).strftime("%H:%M") for s in constraints.event_s[0]]
    assert tuple(spans) == utc


def test_mistakes_name_field_and_near_matches() -> None:
    with pytest.raises(ConfigError) as caught:
        made(
            protected=["A1-lo"],
            emergency_lock=["Z*"],
            exclusion_windows=[{"cells": ["A1-low", "B2-mjd"], "begin": "01:00", "end": "02:00"}],
            events=[{"name": "e", "sites": ["B22"], "begin": "2025-03-03T00:00", "end": "2025-03-04T00:00"}],
        )
    lines = str(caught.value).splitlines()
    assert len(lines) == 4
    assert any("run.yaml: constraints.protected: no cell of the trace fits 'A1-lo'" in line for line in lines)
    assert any("did you mean 'A1-low'" in line for line in lines)
    assert any("constraints.exclusion_windows.0.cells" in line and "'B2-mid'" in line for line in lines)
    assert any("constraints.events.0.sites: no site" in line and "'B2'" in line for line in lines)
    assert any("emergency_lock" in line and "* stands for any characters" in line for line in lines)


def test_many_mistakes_are_cut_short() -> None:
    with pytest.raises(ConfigError, match=r"run\.yaml: and 5 more"):
        made(protected=[f"nobody-{i}" for i in range(15)])


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("protect: [a]", "did you mean 'protected'"),
        ('exclusion_windows: [{cells: [a], begin: "7:30", end: "09:00"}]', "begin"),
        ("exclusion_windows: [{cells: [a], begin: 07:30, end: 09:00}]", "put a time in quotes"),
        ('exclusion_windows: [{cells: [a], begin: "09:00", end: "09:00"}]', "a whole day is from"),
        ('exclusion_windows: [{cells: [a], days: [monday], begin: "09:00", end: "10:00"}]', "mon"),
        ('exclusion_windows: [{cells: [], begin: "09:00", end: "10:00"}]', "at least 1"),
        ("events: [{name: e, begin: 2025-03-03T00:00, end: 2025-03-04T00:00}]", "name cells or sites"),
        (
            "events: [{name: e, cells: [a], begin: 2025-03-04T00:00, end: 2025-03-04T00:00}]",
            "end must come after begin",
        ),
        ("events: [{name: e, cells: [a], begin: 2025-03-04T10:00Z, end: 2025-03-05T00:00}]", "timezone"),
        (
            "events: [{name: e, cells: [a], begin: 2025-03-04T00:00, end: 2025-03-05T00:00, lead_h: -1}]",
            "lead_h",
        ),
    ],
)
def test_a_config_file_is_read_strictly(text: str, complaint: str, tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text(f"schema: quietcell.config/1\nconstraints:\n  {text}\n")
    with pytest.raises(ConfigError, match=r"run\.yaml:3: constraints") as caught:
        load_config(path)
    assert complaint in str(caught.value)
