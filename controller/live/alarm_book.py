r"""Alarms as an operator sees them: raised, acknowledged, cleared.

::

    raised --acknowledge--> acknowledged --cleared--> history
       \--------------------cleared-------------------/

What stands is told apart by what it is about and its text. Kept in memory: a controller that starts again raises anew
what still holds.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace

from controller.live.events import CLEARED, Alarm

MAX_HISTORY = 1000
SEVERITIES = ("critical", "major", "warning")  # worst first


@dataclass(frozen=True, slots=True)
class Raised:
    """One alarm."""

    number: int  # unique in this process, counting up
    severity: str
    about: str
    text: str
    raised_unix_us: int
    cleared_unix_us: int = 0  # 0: it stands
    acknowledged_by: str = ""
    acknowledged_unix_us: int = 0  # 0: nobody has


class AlarmBook:
    """What stands, worst and oldest first, and the last of what is over."""

    def __init__(self) -> None:
        self._standing: dict[tuple[str, str], Raised] = {}
        self._history: deque[Raised] = deque(maxlen=MAX_HISTORY)
        self._numbers = 0

    def take(self, alarm: Alarm) -> None:
        """Take in a record of the core: an alarm that is raised, or cleared."""
        key = (alarm.about, alarm.text)
        if alarm.severity == CLEARED:
            raised = self._standing.pop(key, None)
            if raised is not None:
                self._history.append(replace(raised, cleared_unix_us=alarm.unix_us))
        elif key not in self._standing:
            self._numbers += 1
            raised = Raised(self._numbers, alarm.severity, alarm.about, alarm.text, alarm.unix_us)
            self._standing[key] = raised

    def only(self, about: str, alarm: Alarm | None, unix_us: int) -> None:
        """Let nothing but ``alarm`` stand about something."""
        for raised in [raised for raised in self._standing.values() if raised.about == about]:
            if alarm is None or raised.text != alarm.text:
                self.take(Alarm(unix_us, CLEARED, about, raised.text))
        if alarm is not None:
            self.take(alarm)

    def acknowledge(self, number: int, author: str, unix_us: int) -> Raised | None:
        """Note who has seen an alarm; the first one stays. None where no such alarm stands."""
        for key, raised in self._standing.items():
            if raised.number == number:
                if raised.acknowledged_unix_us:
                    return raised
                seen = replace(raised, acknowledged_by=author, acknowledged_unix_us=unix_us)
                self._standing[key] = seen
                return seen
        return None

    def standing(self) -> list[Raised]:
        """What stands, worst and then oldest first."""
        return sorted(self._standing.values(), key=lambda raised: (_rank(raised.severity), raised.number))

    def history(self) -> list[Raised]:
        """What is over, the latest first."""
        return list(reversed(self._history))


def _rank(severity: str) -> int:
    return SEVERITIES.index(severity) if severity in SEVERITIES else len(SEVERITIES)
