"""Local hours and days of the steps of a trace."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from traces.trace import Trace


@dataclass(frozen=True, slots=True)
class LocalHours:
    """Local time at the middle of each step. All arrays have shape (n_steps,)."""

    hour: NDArray[np.int8]  # 0..23
    day: NDArray[np.int32]  # number of the local day
    is_weekend: NDArray[np.bool_]  # Saturday or Sunday


def local_hours(trace: Trace) -> LocalHours:
    """Local hour, day and weekend of each step, in the time zone of the trace."""
    zone = ZoneInfo(trace.time_zone)
    middles = trace.times().astype("datetime64[s]").astype(np.int64) + trace.step_s // 2
    local = [datetime.fromtimestamp(second, UTC).astimezone(zone) for second in middles.tolist()]
    day = np.array([time.toordinal() for time in local], np.int32)
    return LocalHours(
        hour=np.array([time.hour for time in local], np.int8),
        day=day,
        is_weekend=(day + 6) % 7 >= 5,  # ordinal 1 was a Monday
    )
