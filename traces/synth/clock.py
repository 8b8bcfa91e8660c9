"""Local time of every step."""

from __future__ import annotations

import datetime as dt
import zoneinfo
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from traces.synth.spec import SynthSpec

Float64 = NDArray[np.float64]


@dataclass(frozen=True)
class Clock:
    """Local time in the middle of each step. All arrays have shape (n_steps,)."""

    step_s: int
    elapsed_h: Float64  # since the first local midnight [h]
    local_hour: Float64  # 0..24 [h]
    is_weekend: NDArray[np.bool_]
    day: NDArray[np.int64]  # local day, 0 the first

    @cached_property
    def n_days(self) -> int:
        """Number of local days that the steps touch."""
        return int(self.day.max()) + 1


def make_clock(spec: SynthSpec) -> Clock:
    """The clock of a network; daylight saving time moves the local hour, not the step."""
    zone = zoneinfo.ZoneInfo(spec.time_zone)
    elapsed_s = (np.arange(spec.n_steps) + 0.5) * spec.step_s
    first = spec.start_utc.astype("datetime64[s]").astype(int)
    # offsets change on the hour at most: one lookup per hour of the trace
    hours = np.arange(spec.days * 24)
    offset_s = np.array([_offset_s(zone, int(first + 3600 * h)) for h in hours])
    local_s = first + elapsed_s + offset_s[(elapsed_s // 3600).astype(int)]
    day = np.floor_divide(local_s, 86_400).astype(np.int64)
    weekday = (day + 3) % 7  # 1970-01-01 was a Thursday
    return Clock(spec.step_s, elapsed_s / 3600, local_s % 86_400 / 3600, weekday >= 5, day - day[0])


def _offset_s(zone: zoneinfo.ZoneInfo, epoch_s: int) -> float:
    offset = dt.datetime.fromtimestamp(epoch_s, zone).utcoffset()
    return 0.0 if offset is None else offset.total_seconds()
