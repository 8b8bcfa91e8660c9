"""Times at which cells must be awake, from a calendar file (iCalendar, RFC 5545).

An event holds for the cells, sites and regions that its categories name, as ``cell:A17-1``, ``site:A17`` or
``region:north``; for the whole network where it names none. A single occurrence that was moved keeps its old time too,
since an event too many only keeps cells awake.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import icalendar
import numpy as np
from dateutil.rrule import rruleset, rrulestr
from numpy.typing import NDArray

from controller.errors import ConfigError
from controller.live.events import Scope
from controller.live.places import Places, PlacesError

Mask = NDArray[np.bool_]
MAX_BYTES = 4 << 20
MAX_EVENTS = 1000
AHEAD_S = 30 * 86400  # for which occurrences are worked out at a time
OFTEN = ("DAILY", "WEEKLY", "MONTHLY", "YEARLY")
SCOPES = ("cell", "site", "region")


class Calendar:
    """Times at which cells of a network must be awake. n cells, E events."""

    def __init__(self, events: Sequence[tuple[rruleset, timedelta]], cells: Mask) -> None:
        """``events``: beginnings and length of each; ``cells`` (E, n) that it holds for."""
        self._events, self._cells = events, cells
        self._known = (0, 0)  # span for which occurrences are worked out, UTC [s]
        self._occurrences: list[tuple[int, int, int]] = []  # begin, end, event

    def awake(self, now_s: int, until_s: int) -> Mask:
        """Cells that must be awake somewhere between two moments, UTC. (n,) [s]"""
        if not self._known[0] <= now_s < until_s <= self._known[1]:
            self._known = (now_s, until_s + AHEAD_S)
            self._occurrences = list(self._between(*self._known))
        held = [event for begin, end, event in self._occurrences if begin < until_s and end > now_s]
        return np.asarray(self._cells[held].any(0))

    def _between(self, first_s: int, last_s: int) -> Iterator[tuple[int, int, int]]:
        last = datetime.fromtimestamp(last_s, UTC)
        for event, (rules, length) in enumerate(self._events):
            for at in rules.between(datetime.fromtimestamp(first_s, UTC) - length, last, inc=True):
                yield int(at.timestamp()), int((at + length).timestamp()), event


def read_calendar(path: Path, places: Places, time_zone: str) -> Calendar:
    """The events of a calendar file; times without a zone are in ``time_zone``.

    Raises ConfigError naming the event and what is wrong with it.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ConfigError(f"calendar: {path} is larger than {MAX_BYTES >> 20} MB; leave old events out")
        calendars = icalendar.Calendar.from_ical(path.read_bytes(), multiple=True)
    except (OSError, ValueError, IndexError, KeyError) as error:
        raise ConfigError(f"calendar: {path} cannot be read as iCalendar: {error}") from error
    told = [event for calendar in calendars for event in calendar.walk("VEVENT")]
    told = [event for event in told if str(event.get("STATUS", "")).upper() != "CANCELLED"]
    if len(told) > MAX_EVENTS:
        raise ConfigError(f"calendar: {path} has more than {MAX_EVENTS} events; leave old events out")
    found, zone = [], ZoneInfo(time_zone)
    cells = np.zeros((len(told), len(places.site_id)), np.bool_)
    for i, event in enumerate(told):
        try:
            cells[i] = _cells(event, places)
            found.append(_beginnings(event, zone))
        except (PlacesError, ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
            name = str(event.get("SUMMARY", event.get("UID", "without a name")))
            raise ConfigError(f"calendar: {path}: event {name!r}: {error}") from error
    return Calendar(found, cells)


def _cells(event: Any, places: Places) -> Mask:
    found = np.zeros(len(places.site_id), np.bool_)
    told = event.get("CATEGORIES", [])
    lists = told if isinstance(told, list) else [told]
    named = [str(category) for one in lists for category in one.cats]
    scopes = [(kind, name) for kind, _, name in (word.partition(":") for word in named) if kind in SCOPES]
    for kind, name in scopes or [("network", "")]:
        found |= places.cells(Scope(kind, name))
    return found


def _beginnings(event: Any, zone: ZoneInfo) -> tuple[rruleset, timedelta]:
    """When each occurrence begins, and how long it is."""
    if "DTSTART" not in event:
        raise ValueError("it has no DTSTART")
    begin = _moment(event.decoded("DTSTART"), zone)
    length = _length(event, begin, zone)
    if length <= timedelta(0):
        raise ValueError("it ends before it begins")
    rules = rruleset()
    rules.rdate(begin)
    for rule in _all(event, "RRULE"):
        if str(rule["FREQ"][0]).upper() not in OFTEN:
            raise ValueError("it recurs more often than daily")
        rules.rrule(rrulestr(rule.to_ical().decode(), dtstart=begin))
    for kind, add in (("RDATE", rules.rdate), ("EXDATE", rules.exdate)):
        for dates in _all(event, kind):
            for one in dates.dts:
                add(_moment(one.dt, zone))
    return rules, length


def _all(event: Any, name: str) -> list[Any]:
    found = event.get(name, [])
    return found if isinstance(found, list) else [found]


def _length(event: Any, begin: datetime, zone: ZoneInfo) -> timedelta:
    if "DTEND" in event:
        return _moment(event.decoded("DTEND"), zone) - begin
    if "DURATION" in event:
        length: timedelta = event.decoded("DURATION")
        return length
    whole_day = not isinstance(event.decoded("DTSTART"), datetime)
    return timedelta(days=1) if whole_day else timedelta(0)


def _moment(told: date | datetime, zone: ZoneInfo) -> datetime:
    """A moment with its zone; a day begins at its local midnight."""
    if not isinstance(told, datetime):
        told = datetime(told.year, told.month, told.day)
    return told if told.tzinfo is not None else told.replace(tzinfo=zone)
