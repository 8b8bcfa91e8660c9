"""Local time of day from UTC, once per tick."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np


class LocalTime(NamedTuple):
    """A moment in local time."""

    day: int  # ordinal of the local date
    second_of_day: int
    weekday: int  # Monday is 0


def utc_seconds(moment: np.datetime64) -> int:
    """Seconds since 1970 of a UTC moment."""
    return int(moment.astype("datetime64[s]").astype(np.int64))


def local_time(moment: np.datetime64, zone: ZoneInfo) -> LocalTime:
    """Local day and second of day of a UTC moment. Daylight saving time is the zone's."""
    local = datetime.fromtimestamp(utc_seconds(moment), UTC).astimezone(zone)
    return LocalTime(local.toordinal(), local.hour * 3600 + local.minute * 60 + local.second, local.weekday())
