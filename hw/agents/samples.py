"""Measured intervals that wait for a report: the latest of them, without a gap."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

MOST_SAMPLES = 60

Column = tuple[NDArray[Any], ...]  # one array (n,) for each measured quantity


@dataclass(frozen=True, slots=True)
class Sample:
    """One interval."""

    number: int  # counts up within a boot
    end_unix_us: int
    column: Column


class SampleBuffer:
    """The latest samples of an agent; each reader remembers the number of the last one it sent."""

    def __init__(self, missing: Column) -> None:
        """``missing``: what a sample looks like in which nothing was measured."""
        self.missing = missing
        self._samples: deque[Sample] = deque(maxlen=MOST_SAMPLES)
        self._number = 0
        self.interval_ms = 0
        self.last_end_us = 0

    def add(self, end_unix_us: int, interval_ms: int, column: Column) -> None:
        """A sample was measured. One for an interval that was missing so far takes its place."""
        step_us = interval_ms * 1000
        if interval_ms != self.interval_ms or end_unix_us > self.last_end_us + step_us:
            self._samples.clear()  # a report holds one interval and no gap
        late = [i for i, sample in enumerate(self._samples) if sample.end_unix_us == end_unix_us]
        if late:
            self._samples[late[0]] = Sample(self._samples[late[0]].number, end_unix_us, column)
            return
        if end_unix_us <= self.last_end_us and self._samples:
            return  # before all that is kept
        self._number += 1
        self.interval_ms, self.last_end_us = interval_ms, end_unix_us
        self._samples.append(Sample(self._number, end_unix_us, column))

    def add_missing(self, now_unix_us: int) -> bool:
        """Say of each interval that is over for as long as it lasted that nothing was measured in it."""
        step_us = self.interval_ms * 1000
        overdue = step_us > 0 and now_unix_us >= self.last_end_us + 2 * step_us
        if overdue and now_unix_us >= self.last_end_us + MOST_SAMPLES * step_us:
            # the clock was set forward, or nothing came for long: begin anew near the present
            self.last_end_us += (now_unix_us - self.last_end_us) // step_us * step_us - 2 * step_us
            self._samples.clear()
        while step_us > 0 and now_unix_us >= self.last_end_us + 2 * step_us:
            self.add(self.last_end_us + step_us, self.interval_ms, self.missing)
        return overdue

    def after(self, number: int) -> tuple[int, Column]:
        """The number of the last sample, and those after one stacked to (n, s) for each quantity."""
        columns = [sample.column for sample in self._samples if sample.number > number]
        if not columns:
            return self._number, tuple(array[:, None][:, :0] for array in self.missing)
        return self._number, tuple(np.stack(arrays, axis=1) for arrays in zip(*columns, strict=True))
