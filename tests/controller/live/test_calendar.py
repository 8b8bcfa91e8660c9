"""Calendar files: which cells are awake when."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from controller.errors import ConfigError
from controller.live.calendar import Calendar, read_calendar
from controller.live.places import Places

PLACES = Places(
    np.array(["a0", "a1", "b0"]), np.array(["s0", "s0", "s1"]), {"north": ["s0"]}, ("full", "symbol")
)


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


def read(folder: Path, *lines: str) -> Calendar:
    path = folder / "events.ics"
    body = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:x", "BEGIN:VEVENT", "UID:1", "SUMMARY:a fair", *lines]
    path.write_text("\r\n".join([*body, "END:VEVENT", "END:VCALENDAR", ""]))
    return read_calendar(path, PLACES, "Europe/Berlin")


def awake(calendar: Calendar, text: str) -> list[int]:
    return np.flatnonzero(calendar.awake(at(text), at(text) + 60)).tolist()


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("DTSTART:20250710T180000Z", "DTEND:20250710T200000Z"),
        ("DTSTART:20250710T200000", "DURATION:PT2H"),  # of the network's zone
        ("DTSTART;TZID=America/New_York:20250710T140000", "DTEND;TZID=America/New_York:20250710T160000"),
    ],
)
def test_an_event_holds_from_begin_to_end(start: str, end: str, tmp_path: Path) -> None:
    found = read(tmp_path, start, end)
    assert awake(found, "2025-07-10T17:58") == []
    assert awake(found, "2025-07-10T18:00") == [0, 1, 2]
    assert awake(found, "2025-07-10T19:59") == [0, 1, 2]
    assert awake(found, "2025-07-10T20:00") == []


@pytest.mark.parametrize(
    ("categories", "cells"),
    [("site:s1", [2]), ("region:north", [0, 1]), ("cell:a1,cell:b0", [1, 2]), ("holiday", [0, 1, 2])],
)
def test_categories_say_where(categories: str, cells: list[int], tmp_path: Path) -> None:
    found = read(tmp_path, "DTSTART;VALUE=DATE:20250710", f"CATEGORIES:{categories}")
    assert awake(found, "2025-07-10T12:00") == cells
    assert awake(found, "2025-07-09T21:59") == []


def test_an_event_recurs_but_for_what_is_left_out(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        "DTSTART;TZID=Europe/Berlin:20200104T140000",
        "DTEND;TZID=Europe/Berlin:20200104T180000",
        "RRULE:FREQ=WEEKLY;BYDAY=SA",
        "EXDATE;TZID=Europe/Berlin:20250712T140000",
    )
    assert awake(found, "2025-07-05T12:00") == [0, 1, 2]
    assert awake(found, "2025-07-12T12:00") == []
    assert awake(found, "2025-11-01T13:00") == [0, 1, 2]  # 14:00 in winter
    assert awake(found, "2025-11-01T12:00") == []


@pytest.mark.parametrize(
    ("lines", "cause"),
    [
        (("DTSTART:20250710T180000Z", "DTEND:20250710T170000Z"), "ends before it begins"),
        (("DTSTART:20250710T180000Z", "DURATION:PT1H", "CATEGORIES:site:nowhere"), "no site nowhere"),
        (("DTEND:20250710T170000Z",), "no DTSTART"),
        (("DTSTART:yesterday",), "a fair"),
        (("DTSTART:20250101T000000Z", "DURATION:PT1S", "RRULE:FREQ=SECONDLY"), "more often"),
    ],
)
def test_what_cannot_be_meant_is_named(lines: tuple[str, ...], cause: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=cause):
        read(tmp_path, *lines)


def test_a_cancelled_event_holds_nothing(tmp_path: Path) -> None:
    found = read(tmp_path, "DTSTART:20250710T180000Z", "DURATION:PT1H", "STATUS:CANCELLED")
    assert awake(found, "2025-07-10T18:30") == []


def test_what_is_no_calendar_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.ics"
    path.write_bytes(b"\x00\xff nonsense")
    with pytest.raises(ConfigError, match="cannot be read"):
        read_calendar(path, PLACES, "UTC")
    with pytest.raises(ConfigError, match="cannot be read"):
        read_calendar(tmp_path / "none.ics", PLACES, "UTC")
