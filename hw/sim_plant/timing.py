"""How the simulated plant's samples lie on its monotonic clock."""

from __future__ import annotations

from dataclasses import dataclass

NEVER_US = 2**63 - 1  # of a timer that is not set


@dataclass(frozen=True, slots=True)
class SampleClock:
    """Samples of one length from an origin on, numbered from 1."""

    origin_us: int  # monotonic time at which the first sample begins
    origin_unix_us: int  # Unix time that the simulation shows then
    sample_us: int

    def complete(self, now_us: int) -> int:
        """How many samples are complete. Raises ValueError before the origin."""
        if now_us < self.origin_us:
            raise ValueError(
                f"the simulation begins in {(self.origin_us - now_us) / 1e6:.1f} s; start it then"
            )
        return (now_us - self.origin_us) // self.sample_us

    def end_us(self, sample: int) -> int:
        """Monotonic time at which a sample ends."""
        return self.origin_us + sample * self.sample_us

    def end_unix_us(self, sample: int) -> int:
        """Unix time of the simulation at which a sample ends."""
        return self.origin_unix_us + sample * self.sample_us
