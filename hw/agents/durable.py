"""What an agent must not forget when it is killed: whom it follows, the stop latch, the on-battery programs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from hw.adapters.power import OnBattery


@dataclass(frozen=True, slots=True)
class Latch:
    """The stop latch. While it is set, nothing toward less service or less stored charge is done for any leader."""

    is_set: bool = False
    author: str = ""
    reason: str = ""
    changed_unix_us: int = 0  # for people only


@dataclass(frozen=True, slots=True)
class Position:
    """Where a site is in its on-battery program."""

    stage: int = -1  # -1: with mains
    on_battery_s: float = 0.0
    mains_s: float = 0.0  # time for which mains has been back


@dataclass(frozen=True, slots=True)
class Durable:
    """All that an agent keeps on disk. Programs and positions, by name of the site, are those of power agents."""

    highest_epoch: int = 0
    latch: Latch = Latch()
    programs: dict[str, OnBattery] = field(default_factory=dict)
    positions: dict[str, Position] = field(default_factory=dict)
    saved_unix_us: int = 0  # the time an agent was down counts as time on battery
    granted_to: str = ""  # controller that the highest epoch was granted to; empty: it was not granted
    granted_instance: str = ""  # which start of that controller, hexadecimal
    grant_ms: int = 0  # longest term of that grant


class Disk(Protocol):
    """Where an agent keeps it."""

    def load(self, unix_us: int) -> Durable:
        """What was kept; ``unix_us`` dates a latch that is set because it cannot be trusted."""
        ...

    async def save(self, durable: Durable) -> None:
        """It is on disk when this returns. Raises OSError."""
        ...
