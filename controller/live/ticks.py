"""When the loop plans and guards. A tick that was missed is left out and counted; none is run twice."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class PlanTimes:
    """Plan ticks at the multiples of an interval of Unix time. Owns no clock: it is told the time."""

    interval_us: int
    last_us: int  # the last multiple that was ticked, or that passed before the start
    missed: int = 0

    @classmethod
    def starting(cls, interval_us: int, now_us: int) -> PlanTimes:
        """The first tick is at the first multiple after ``now_us``."""
        return cls(interval_us, now_us // interval_us * interval_us)

    def due(self, now_us: int) -> int | None:
        """The multiple to tick now, if any. [us]

        A clock that was set forward misses ticks. One that was set back is waited for: until it has passed the last
        tick nothing is planned rather than that an interval is planned twice. The plan of that tick lies ahead of the
        clock then and holds no more, so that cells wake and sites charge safely; see controller/live/readiness.py.
        """
        latest_us = now_us // self.interval_us * self.interval_us
        if latest_us <= self.last_us:
            return None
        self.missed += (latest_us - self.last_us) // self.interval_us - 1
        self.last_us = latest_us
        return latest_us

    def wait_us(self, now_us: int) -> int:
        """Until the next tick, if the clock is not set. [us]"""
        return max(0, self.last_us + self.interval_us - now_us)


@dataclass(slots=True)
class GuardTimes:
    """Guard ticks at a distance on the monotonic clock. Owns no clock: it is told the time."""

    every_us: int
    next_us: int
    missed: int = 0

    @classmethod
    def starting(cls, every_us: int, now_us: int) -> GuardTimes:
        """The first tick is one distance after ``now_us``."""
        return cls(every_us, now_us + every_us)

    def due(self, now_us: int) -> bool:
        """Whether to tick now."""
        if now_us < self.next_us:
            return False
        late = (now_us - self.next_us) // self.every_us
        self.missed += late
        self.next_us += (late + 1) * self.every_us
        return True

    def wait_us(self, now_us: int) -> int:
        """Until the next tick. [us]"""
        return max(0, self.next_us - now_us)
