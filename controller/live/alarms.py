"""Alarms that are raised once while they stand, and counts of what was not used."""

from __future__ import annotations

from controller.live.events import Alarm, Output


class Alarms:
    """What an operator has been told."""

    def __init__(self) -> None:
        self.set_aside: dict[str, int] = {}  # what was not used, by cause
        self._stands: dict[str, bool] = {}

    def tell(self, out: Output, alarm: Alarm, key: str) -> None:
        """Raise an alarm, unless the one of this key stands already."""
        if not self._stands.get(key, False):
            self._stands[key] = True
            out.durable.append(alarm)

    def clear(self, key: str) -> None:
        """What an alarm was about is over."""
        self._stands[key] = False

    def count(self, cause: str, count: int = 1) -> None:
        """Something was set aside."""
        self.set_aside[cause] = self.set_aside.get(cause, 0) + count
