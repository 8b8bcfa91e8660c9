"""Constraints of one network: what the operator wrote in local time and patterns, as cells that must be awake.

::

    ConstraintsConfig + cells -> compile_constraints -> Constraints.locks at each tick -> the guards
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from controller.config import DAYS, ConstraintsConfig, WindowConfig
from controller.errors import ConfigError
from controller.localtime import LocalTime, local_time, utc_seconds
from policies.guards import Locks
from traces.trace import Cells

Mask = NDArray[np.bool_]

MINUTE_S = 60  # windows begin and end at whole local minutes
MAX_PROBLEMS = 10


@dataclass(frozen=True, slots=True)
class Window:
    """Hours of local time on some weekdays; one that ends before it begins reaches into the next day."""

    days: frozenset[int]  # weekday on which it begins, Monday is 0
    begin_s: int  # of the local day [s]
    end_s: int

    def covers(self, local: LocalTime) -> bool:
        """Whether a moment is inside."""
        second, today = local.second_of_day, local.weekday in self.days
        if self.begin_s < self.end_s:
            return today and self.begin_s <= second < self.end_s
        yesterday = (local.weekday - 1) % 7 in self.days
        return (today and second >= self.begin_s) or (yesterday and second < self.end_s)


@dataclass(frozen=True, slots=True)
class Constraints:
    """Which cells must be awake when. n cells, W windows, E events."""

    emergency: Mask  # (n,)
    protected: Mask  # (n,)
    windows: tuple[Window, ...]
    window_cells: Mask  # (W, n)
    event_s: NDArray[np.int64]  # (E, 2) begin, less its lead, and end; UTC [s]
    event_cells: Mask  # (E, n)
    zone: ZoneInfo
    slow: Mask  # (n,) cells that may use a level that takes time to wake from
    wake_s: int = 0  # the longest such time [s]

    def select(self, index: NDArray[np.intp]) -> Constraints:
        """The same for the cells at ``index``."""
        return replace(
            self,
            emergency=self.emergency[index],
            protected=self.protected[index],
            window_cells=self.window_cells[:, index],
            event_cells=self.event_cells[:, index],
            slow=self.slow[index],
        )

    def with_waking(self, slow: Mask, wake_s: int) -> Constraints:
        """The same where the ``slow`` cells (n,) need up to ``wake_s`` to wake, and so are woken that much earlier."""
        return replace(self, slow=slow, wake_s=wake_s)

    def locks(self, now: np.datetime64, tick_s: int) -> Locks:
        """Cells that must be awake in the tick that begins ``now`` (UTC): what touches it holds from its begin."""
        return Locks(
            emergency=self.emergency,
            protected=self.protected,
            event=self._touched(self._events, self.event_cells, now, tick_s),
            excluded=self._touched(self._windows, self.window_cells, now, tick_s),
        )

    def _touched(
        self, active: Callable[[np.datetime64, int], Mask], cells: Mask, now: np.datetime64, tick_s: int
    ) -> Mask:
        if not len(cells):
            return np.zeros(len(self.slow), np.bool_)
        touched = cells[active(now, tick_s)].any(0)
        if self.wake_s:
            touched |= cells[active(now, tick_s + self.wake_s)].any(0) & self.slow
        return np.asarray(touched)

    def _windows(self, now: np.datetime64, span_s: int) -> Mask:
        """Windows that cover a moment of a span: its begin, and every whole minute in it. (W,)"""
        begin = utc_seconds(now)
        minutes = range(begin - begin % -MINUTE_S, begin + span_s, MINUTE_S)
        moments = [local_time(np.datetime64(s, "s"), self.zone) for s in dict.fromkeys((begin, *minutes))]
        return np.array([any(map(window.covers, moments)) for window in self.windows])

    def _events(self, now: np.datetime64, span_s: int) -> Mask:
        """Events that overlap a span. (E,)"""
        begin = utc_seconds(now)
        return np.asarray((self.event_s[:, 0] < begin + span_s) & (self.event_s[:, 1] > begin))

    def note(self) -> str:
        """One sentence for a report."""
        parts = [
            f"{int(self.emergency.sum())} cells in emergency lock",
            f"{int(self.protected.sum())} protected",
            f"{len(self.windows)} exclusion windows for {int(self.window_cells.any(0).sum())} cells",
            f"{len(self.event_s)} events for {int(self.event_cells.any(0).sum())} cells",
        ]
        return f"Constraints: {', '.join(parts)}. They bind the causal policies, not logged and oracle."


def compile_constraints(config: ConstraintsConfig, cells: Cells, time_zone: str, source: str) -> Constraints:
    """Find the cells of each constraint, and its times in UTC.

    Raises ConfigError, naming ``source``, the field and near matches, where a pattern fits no cell or site.
    """
    problems: list[str] = []

    def find(patterns: Sequence[str], names: NDArray[np.str_], what: str, field: str) -> Mask:
        found = np.zeros(len(names), np.bool_)
        for pattern in patterns:
            fits = _fits(pattern, names)
            if not fits.any():
                problems.append(f"{source}: constraints.{field}: {_no_match(pattern, names, what)}")
            found |= fits
        return found

    def rows(masks: list[Mask]) -> Mask:
        return np.array(masks, np.bool_).reshape(len(masks), len(cells))

    zone = ZoneInfo(time_zone)
    made = Constraints(
        emergency=find(config.emergency_lock, cells.cell_id, "cell", "emergency_lock"),
        protected=find(config.protected, cells.cell_id, "cell", "protected"),
        windows=tuple(_window(w) for w in config.exclusion_windows),
        window_cells=rows(
            [
                find(w.cells, cells.cell_id, "cell", f"exclusion_windows.{i}.cells")
                for i, w in enumerate(config.exclusion_windows)
            ]
        ),
        event_s=np.array(
            [
                (_utc(e.begin, zone, min) - round(3600 * e.lead_h), _utc(e.end, zone, max))
                for e in config.events
            ],
            np.int64,
        ).reshape(-1, 2),
        event_cells=rows(
            [
                find(e.cells, cells.cell_id, "cell", f"events.{i}.cells")
                | find(e.sites, cells.site_id, "site", f"events.{i}.sites")
                for i, e in enumerate(config.events)
            ]
        ),
        zone=zone,
        slow=np.zeros(len(cells), np.bool_),
    )
    if problems:
        more = [f"{source}: and {len(problems) - MAX_PROBLEMS} more"] if len(problems) > MAX_PROBLEMS else []
        raise ConfigError("\n".join(problems[:MAX_PROBLEMS] + more))
    return made


def _fits(pattern: str, names: NDArray[np.str_]) -> Mask:
    """Names that a pattern means: the name itself if there is one, or what fits its wildcards. (n,)"""
    exact = names == pattern
    if exact.any():
        return np.asarray(exact)
    return np.array([fnmatchcase(name, pattern) for name in names.tolist()], np.bool_)


def _no_match(pattern: str, names: NDArray[np.str_], what: str) -> str:
    near = difflib.get_close_matches(pattern, dict.fromkeys(names.tolist()), n=3)
    remedy = (
        f"did you mean {' or '.join(repr(name) for name in near)}?"
        if near
        else f"{what}s have names such as {str(names[0])!r}; * stands for any characters"
    )
    return f"no {what} of the trace fits {pattern!r}; {remedy}"


def _window(config: WindowConfig) -> Window:
    days = frozenset(DAYS.index(day) for day in config.days)
    return Window(days, _second_of_day(config.begin), _second_of_day(config.end))


def _second_of_day(clock: str) -> int:
    hours, minutes = clock.split(":")
    return int(hours) * 3600 + int(minutes) * 60


def _utc(local: datetime, zone: ZoneInfo, choose: Callable[[list[int]], int]) -> int:
    """UTC of a local time; of the two that it may mean when clocks change, the one that ``choose`` takes. [s]"""
    return choose([int(local.replace(tzinfo=zone, fold=fold).astimezone(UTC).timestamp()) for fold in (0, 1)])
