"""Alarms that are raised once while they stand and cleared once when they are over; counts of what was not used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from controller.live.events import CLEARED, Alarm, Output


class Alarms:
    """What an operator has been told."""

    def __init__(self) -> None:
        self.set_aside: dict[str, int] = {}  # what was not used, by cause
        self._standing: dict[str, Alarm] = {}

    def tell(self, out: Output, alarm: Alarm, key: str) -> None:
        """Raise an alarm, unless the one of this key stands already."""
        if key not in self._standing:
            self._standing[key] = alarm
            out.durable.append(alarm)

    def clear(self, out: Output, key: str, now_us: int) -> None:
        """What an alarm was about is over: say so, if it stands."""
        alarm = self._standing.pop(key, None)
        if alarm is not None:
            out.durable.append(replace(alarm, unix_us=now_us, severity=CLEARED))

    def settle(self, out: Output, group: str, alarms: Sequence[Alarm], now_us: int) -> None:
        """From now on these alarms stand of a group, the beginning of their keys, and no others."""
        keys = {f"{group}{alarm.text}": alarm for alarm in alarms}
        for key in [key for key in self._standing if key.startswith(group) and key not in keys]:
            self.clear(out, key, now_us)
        for key, alarm in keys.items():
            self.tell(out, alarm, key)

    def flap(self, out: Output, n_cells: int, now_us: int) -> None:
        """So many cells are locked awake by a plan; one that locks none clears it."""
        if n_cells:
            text = f"{n_cells} cells are locked awake for flapping"
            self.tell(out, Alarm(now_us, "warning", "guards", text), "flapping")
        else:
            self.clear(out, "flapping", now_us)

    def stick(self, out: Output, cells: Sequence[str], now_us: int) -> None:
        """Of all cells these are long at another level than commanded."""
        end = "stands at another level than commanded; check the site"
        alarms = [Alarm(now_us, "major", cell, f"cell {cell} {end}") for cell in cells]
        self.settle(out, "stuck/", alarms, now_us)

    def count(self, cause: str, count: int = 1) -> None:
        """Something was set aside."""
        self.set_aside[cause] = self.set_aside.get(cause, 0) + count
