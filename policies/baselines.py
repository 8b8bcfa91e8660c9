"""What networks do today, to compare with: fixed levels, a night timer and two thresholds."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hw.tables import Tables
from hw.world import SYMBOL
from policies.network import Network
from policies.policy import Decision, Reason, View
from policies.profile import ThresholdProfile, TimerProfile


class FixedPlanner:
    """Every cell at one level, always: ``none`` is full, ``symbol`` symbol shutdown."""

    needs_forecast = False

    def __init__(self, n_cells: int, level: int) -> None:
        self._decision = Decision(np.full(n_cells, level, np.uint8), np.full(n_cells, Reason.FIXED, np.uint8))

    def plan(self, view: View) -> Decision:  # noqa: ARG002 - a fixed level looks at nothing
        """The fixed level."""
        return self._decision


def _first_asleep(network: Network, asleep: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Shallowest level off air of each cell, SYMBOL where it has none. (n,)"""
    off = network.allowed & asleep[None, :]
    return np.where(off.any(1), off.argmax(1), SYMBOL).astype(np.uint8)


def _deepest_on_air(network: Network, asleep: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Deepest level on air of each cell. (n,)"""
    on = network.allowed & ~asleep[None, :]
    return np.asarray(on.shape[1] - 1 - on[:, ::-1].argmax(1), np.uint8)


class TimerPlanner:
    """Capacity cells off air and coverage cells at their deepest level on air inside a fixed night window."""

    needs_forecast = False

    def __init__(self, network: Network, tables: Tables, settings: TimerProfile) -> None:
        self._settings = settings
        off = _first_asleep(network, tables.asleep)
        self._night = np.where(off > SYMBOL, off, _deepest_on_air(network, tables.asleep)).astype(np.uint8)

    def plan(self, view: View) -> Decision:
        """Deep inside the window, awake outside it."""
        start, end, now = self._settings.start_h, self._settings.end_h, view.local_hour
        inside = start <= now < end if start <= end else (now >= start or now < end)
        level = self._night if inside else np.full_like(self._night, SYMBOL)
        why = Reason.TIMER_WINDOW if inside else Reason.OUTSIDE_WINDOW
        return Decision(level, np.full(len(level), why, np.uint8))


class ThresholdPlanner:
    """One level deeper after a dwell below one threshold, back to full service above the other.

    A capacity cell leaves the air where its own load is small and its candidates stay under their limit with it.
    """

    needs_forecast = False

    def __init__(self, network: Network, tables: Tables, settings: ThresholdProfile) -> None:
        self._network, self._settings = network, settings
        self._rate = tables.rate[network.groups.model]
        self._asleep, self._size = tables.asleep, tables.size
        self._off = _first_asleep(network, tables.asleep)
        on_air = network.allowed & ~tables.asleep[None, :]
        n_levels = on_air.shape[1]
        self._deeper = np.tile(np.arange(n_levels, dtype=np.uint8), (network.n_cells, 1))
        for level in range(n_levels - 2, -1, -1):
            further = np.where(on_air[:, level + 1], level + 1, self._deeper[:, level + 1])
            self._deeper[:, level] = np.where(on_air[np.arange(network.n_cells), further], further, level)

    def plan(self, view: View) -> Decision:
        """Compare the mean load of the last tick with the two thresholds."""
        n = self._network.n_cells
        cells = np.arange(n)
        s = self._settings
        known = np.isfinite(view.offered).any(1)
        offered = np.nan_to_num(view.offered).mean(1)
        rate = self._rate[cells, view.level]
        load = np.minimum(offered / np.maximum(rate, 1e-6), 1)
        off = self._asleep[view.level]
        rested = view.held_s >= s.dwell_s
        level, reason = view.level.copy(), np.full(n, Reason.BETWEEN_THRESHOLDS, np.uint8)
        deeper = known & rested & ~off & (load < s.sleep_below)
        level[deeper], reason[deeper] = self._deeper[deeper, view.level[deeper]], Reason.BELOW_THRESHOLD
        relieved = self._candidate_load(offered, rate) < s.candidate_below
        leave = known & rested & ~off & (self._off > SYMBOL) & (offered < s.carrier_sleep_below) & relieved
        level[leave], reason[leave] = self._off[leave], Reason.BELOW_THRESHOLD
        # nobody can tell the own load of a cell off air: it is the load of its candidates that wakes it
        wake = (~off & (load > s.wake_above)) | (off & ~relieved)
        level[wake], reason[wake] = SYMBOL, Reason.ABOVE_THRESHOLD
        level[~known], reason[~known] = SYMBOL, Reason.NO_FORECAST
        return Decision(level, reason)

    def _candidate_load(self, offered: NDArray[np.float32], rate: NDArray[np.float32]) -> NDArray[np.float64]:
        """Load of each cell's candidates if they took its traffic; 1 without candidates. (n,)"""
        groups = self._network.groups
        source = np.repeat(np.arange(len(offered)), np.diff(groups.candidate_start))
        size = self._size[groups.model]
        carried = np.bincount(source, (offered * size)[groups.candidate], len(offered)) + offered * size
        room = np.bincount(source, (rate * size)[groups.candidate], len(offered))
        return np.where(room > 0, carried / np.maximum(room, 1e-6), 1.0)
