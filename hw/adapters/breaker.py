"""Circuit breaker: stops trying what keeps failing, and finds out now and then whether it works again.

::

    closed --limit failures in a row--> open --open_s later, one attempt--> half-open
      ^                                  ^                                  |      |
      |                                  +----------- it fails -------------+      |
      +------------------------------------- it works -----------------------------+

Wakes never ask it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class BreakerState(Enum):
    """Whether attempts are made."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


@dataclass(slots=True)
class Breaker:
    """Owns no clock: every call that needs the time is told it. [s]"""

    limit: int = 5  # failures in a row that open it
    open_s: float = 15.0
    state: BreakerState = BreakerState.CLOSED
    failures: int = 0  # in a row
    opened_at_s: float = 0.0

    def wait_s(self, now_s: float) -> float:
        """Time until an attempt may be made; 0: now. [s]"""
        if self.state is not BreakerState.OPEN:
            return 0.0
        return max(0.0, self.opened_at_s + self.open_s - now_s)

    def attempt(self, now_s: float) -> bool:
        """Whether an attempt may be made now. One that is allowed while open is the probe."""
        if self.wait_s(now_s) > 0:
            return False
        if self.state is BreakerState.OPEN:
            self.state = BreakerState.HALF_OPEN
        return True

    def succeeded(self) -> None:
        """It works."""
        self.state = BreakerState.CLOSED
        self.failures = 0

    def failed(self, now_s: float) -> None:
        """It failed. A probe that fails opens the breaker again at once."""
        self.failures += 1
        if self.state is BreakerState.HALF_OPEN or self.failures >= self.limit:
            self.state = BreakerState.OPEN
            self.opened_at_s = now_s
