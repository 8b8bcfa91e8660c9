"""The time axis of the page's plots: local time at one offset, so that a change of clocks leaves it even."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np


def time_axis(
    first: np.datetime64, tick_s: int, n_ticks: int, time_zone: str, stride: int = 1
) -> dict[str, Any]:
    """What the scripts need to place ticks on the axis, at the offset of the first tick.

    Parameters
    ----------
    first : begin of the first tick, UTC.
    tick_s : length of a tick [s].
    n_ticks : number of ticks.
    time_zone : IANA name.
    stride : ticks in one point of a plot.
    """
    second = int(first.astype("datetime64[s]").astype(np.int64))
    ends = (second, second + n_ticks * tick_s)
    hours = range(ends[0], ends[1] + 1, 3600)
    offsets = [_offset_s(hour, time_zone) for hour in hours]
    change = next((hour for hour, offset in zip(hours, offsets, strict=True) if offset != offsets[0]), None)
    return {
        "first_local_ms": (ends[0] + offsets[0]) * 1000,
        "tick_s": tick_s,
        "n_ticks": n_ticks,
        "stride": stride,
        "zone": time_zone,
        "utc_offset": offset_text(offsets[0]),
        "clock_change": None if change is None else str(np.datetime64(change + offsets[0], "s"))[:10],
    }


def offset_text(offset_s: int) -> str:
    """An offset from UTC as clocks have it: 3600 is 'UTC+01:00'."""
    hours, minutes = divmod(abs(offset_s) // 60, 60)
    return f"UTC{'-' if offset_s < 0 else '+'}{hours:02d}:{minutes:02d}"


def _offset_s(second: int, time_zone: str) -> int:
    local = datetime.fromtimestamp(second, UTC).astimezone(ZoneInfo(time_zone))
    offset = local.utcoffset()
    return 0 if offset is None else int(offset.total_seconds())
