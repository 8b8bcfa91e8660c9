"""Local time of many steps at once, and the moments at which local days begin."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from controller.localtime import utc_seconds

DAY_S = 86_400
_PROBE_S = 6 * 3600  # no zone has changed its offset twice within this time since 1970


class LocalSteps(NamedTuple):
    """Local time at the begin of each step. Arrays (n_steps,)."""

    utc_s: NDArray[np.int64]  # seconds since 1970
    day: NDArray[np.int64]  # local date, days since 1970-01-01
    second_of_day: NDArray[np.int64]  # as the clock on the wall shows it


def local_steps(start: np.datetime64, n_steps: int, step_s: int, zone: ZoneInfo) -> LocalSteps:
    """Local time at the begin of ``n_steps`` steps from ``start`` (UTC) on. Daylight saving time is the zone's."""
    utc_s = utc_seconds(start) + step_s * np.arange(n_steps, dtype=np.int64)
    day, second_of_day = np.divmod(utc_s + _offsets(utc_s, zone), DAY_S)
    return LocalSteps(utc_s, day, second_of_day)


def midnight_s(day: int, zone: ZoneInfo) -> int:
    """First moment of a local day (days since 1970). Seconds since 1970 UTC."""
    moment = datetime.combine(date.fromordinal(day + date(1970, 1, 1).toordinal()), time(), zone)
    return int(moment.timestamp())


def wall_s(day: int, second_of_day: int, zone: ZoneInfo) -> int:
    """First moment at which the clock on the wall shows this time of a local day. Seconds since 1970 UTC."""
    begin = datetime(1970, 1, 1) + timedelta(days=day, seconds=second_of_day)
    return int(begin.replace(tzinfo=zone).timestamp())


def _offsets(utc_s: NDArray[np.int64], zone: ZoneInfo) -> NDArray[np.int64]:
    """Local time less UTC at each of the ascending moments. [s]"""
    first, last = int(utc_s[0]), int(utc_s[-1])
    moments = [*range(first, last + 1, _PROBE_S), last]
    probed = [_offset(moment, zone) for moment in moments]
    changes, offsets = [first], [probed[0]]
    for k in range(1, len(moments)):
        if probed[k] != probed[k - 1]:
            changes.append(_change(moments[k - 1], moments[k], zone))
            offsets.append(probed[k])
    return np.array(offsets, np.int64)[np.searchsorted(changes, utc_s, side="right") - 1]


def _change(before: int, after: int, zone: ZoneInfo) -> int:
    """First moment after ``before`` with the offset that the zone has at ``after``."""
    new = _offset(after, zone)
    while after - before > 1:
        middle = (before + after) // 2
        before, after = (before, middle) if _offset(middle, zone) == new else (middle, after)
    return after


def _offset(moment: int, zone: ZoneInfo) -> int:
    offset = datetime.fromtimestamp(moment, UTC).astimezone(zone).utcoffset()
    return 0 if offset is None else int(offset.total_seconds())
