"""What must hold after the guards, checked from outside: a watcher that keeps its own books over the ticks."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from hw.world import SYMBOL
from policies.guards import Facts
from policies.network import Network
from policies.policy import Decision, Reason
from policies.profile import GuardProfile

Mask = NDArray[np.bool_]
LONG_AGO = -(10**15)
FIRST_GUARD = Reason.GUARD_TELEMETRY
HOLDS = (
    Reason.GUARD_UNHEARD,
    Reason.GUARD_HYSTERESIS,
    Reason.GUARD_DWELL,
    Reason.GUARD_BUDGET,
    Reason.GUARD_CLUSTER,
)


@dataclass(slots=True)
class Watcher:
    """Follows one network from its first tick. ``violations`` counts cells (or sites) by invariant, ``acted`` guards.

    An invariant is called as the guard that keeps it; the others hold by how the guards are put together.
    """

    network: Network
    asleep: Mask
    site: NDArray[np.int32]
    limits: GuardProfile
    violations: Counter[str] = field(default_factory=Counter)
    acted: Counter[str] = field(default_factory=Counter)
    decisions: int = 0
    alarms: int = 0
    _group: NDArray[np.intp] = field(init=False)
    _pairs: tuple[NDArray[np.intp], NDArray[np.int32]] = field(init=False)
    _most_deeper: NDArray[np.int64] = field(init=False)
    _events: dict[str, NDArray[np.int64]] = field(init=False)  # time of the last event of each cell
    _turns: list[tuple[int, Mask]] = field(
        default_factory=list
    )  # time and cells of each reversal that counts
    _commanded: NDArray[np.int64] | None = None
    _day: int = LONG_AGO

    def __post_init__(self) -> None:
        n, groups = self.network.n_cells, self.network.groups
        self._group = np.empty(n, np.intp)
        for g in range(self.network.n_groups):
            self._group[groups.member[groups.group_start[g] : groups.group_start[g + 1]]] = g
        self._pairs = np.repeat(np.arange(n), np.diff(groups.candidate_start)), groups.candidate
        largest = [
            max(Counter(self._group[self.site == s].tolist()).values()) for s in range(self.site.max() + 1)
        ]
        share = np.floor(self.limits.max_deeper_share * np.bincount(self.site) + 1e-9)
        self._most_deeper = np.maximum(share.astype(np.int64), largest)
        self._events = {name: np.full(n, LONG_AGO) for name in ("change", "wake", "heard", "lock_end")}
        self._events |= {name: np.zeros(n, np.int64) for name in ("spent", "wished", "way")}

    def check(self, asked: Decision, got: Decision, facts: Facts) -> None:
        """Judge one tick: what the planner ``asked`` for, what the guards made of it."""
        known = np.where(facts.level < len(self.asleep), facts.level, SYMBOL)
        level = np.maximum(known, SYMBOL).astype(np.int64)
        wanted, result = asked.level.astype(np.int64), got.level.astype(np.int64)
        self._before(facts, level)
        self._count("toward_awake", result > wanted)
        self._count("waking", (wanted <= SYMBOL) & (result != wanted))
        self._count("reason", (result != wanted) != (got.reason >= FIRST_GUARD))
        exists = np.minimum(result, len(self.asleep) - 1)
        may = self.network.allowed[np.arange(len(result)), exists] & (exists == result)
        self._count("level", ~may & (result > SYMBOL))
        self._caps(facts, result)
        deeper = result > level
        self._holds(facts, deeper, wanted > level, got)
        self._floors(level, exists)
        alarm = self._after(facts, level, result, wanted, got)
        assert got.alarm is not None
        self._count("alarm", alarm != got.alarm)
        self.alarms += int(alarm.sum())
        self.decisions += len(result)
        codes = np.bincount(got.reason, minlength=256)
        self.acted.update({why.name: int(codes[why]) for why in Reason if why >= FIRST_GUARD and codes[why]})

    def _count(self, name: str, broken: Mask) -> None:
        if broken.any():
            self.violations[name] += int(broken.sum())

    def _in_group(self, cells: Mask) -> Mask:
        return np.isin(self._group, self._group[cells])

    def _before(self, facts: Facts, level: NDArray[np.int64]) -> None:
        """Own books at the begin of a tick: date, clock, measurements, changes that nobody commanded."""
        e = self._events
        if facts.day > self._day:
            e["spent"][:] = 0
        if facts.day > self._day or facts.day < self._day - 1:
            self._day = facts.day
        for name in ("change", "wake", "heard"):  # a clock that is set back: nothing lies ahead
            e[name] = np.minimum(e[name], facts.now_s)
        e["lock_end"] = np.minimum(e["lock_end"], facts.now_s + self.limits.lockout_s)
        self._turns = [(min(at, facts.now_s), cells) for at, cells in self._turns]
        e["heard"][facts.fresh] = facts.now_s
        if self._commanded is None:
            self._commanded = level
            e["change"][:] = facts.now_s
            e["wake"][level == SYMBOL] = facts.now_s
        self._move(facts.now_s, self._commanded, level)

    def _move(self, now_s: int, before: NDArray[np.int64], after: NDArray[np.int64]) -> None:
        e, way = self._events, np.sign(after - before)
        self._turns.append((now_s, (way != 0) & (way == -e["way"])))
        e["way"] = np.where(way != 0, way, e["way"])
        e["change"][way != 0] = now_s
        e["wake"][(way != 0) & (after == SYMBOL)] = now_s

    def _caps(self, facts: Facts, result: NDArray[np.int64]) -> None:
        e, now, limits, resting = self._events, facts.now_s, self.limits, result > SYMBOL
        self._count("emergency", resting & facts.locks.emergency)
        self._count("protected", resting & facts.locks.protected)
        self._count("event", resting & facts.locks.event)
        self._count("excluded", resting & facts.locks.excluded)
        self._count("flapping", resting & (e["lock_end"] > now))
        self._count("least_awake", resting & (now < e["wake"] + limits.least_awake_s))
        self._count("overload", resting & self._in_group(facts.overloaded))
        old = ~facts.fresh & (now >= e["heard"] + limits.telemetry_max_age_s)
        self._count("telemetry", resting & self._in_group(old))

    def _holds(self, facts: Facts, deeper: Mask, wished: Mask, got: Decision) -> None:
        e, limits = self._events, self.limits
        self._count("unheard", deeper & self._in_group(~facts.fresh))
        self._count("hysteresis", deeper & (e["wished"] < limits.hysteresis_ticks - 1))
        self._count("dwell", deeper & (facts.now_s < e["change"] + limits.dwell_s))
        self._count("budget", deeper & (e["spent"] > limits.max_changes_per_cell_day - 2))
        together = np.bincount(self.site, deeper, len(self._most_deeper))
        self._count("cluster", together > self._most_deeper)
        held = np.isin(got.reason, HOLDS)
        self._count("joint", deeper & self._in_group(held))
        self._count("held", held & ~wished)

    def _floors(self, level: NDArray[np.int64], result: NDArray[np.int64]) -> None:
        on_air = ~self.asleep[result]
        share = np.bincount(self.site, on_air) / np.bincount(self.site)
        self._count("floor", share < self.limits.least_on_air_share - 1e-9)
        carries = on_air & ~self.asleep[level]
        source, candidate = self._pairs
        covered = np.isin(np.arange(len(result)), source[carries[candidate]])
        self._count("uncovered", ~on_air & ~covered)
        self._count("coverage", ~on_air & ~self.network.is_capacity)
        legs = np.flatnonzero(self.network.anchor >= 0)
        anchors = self.network.anchor[legs]
        self._count("anchor", ~on_air[anchors] & (result[legs] < result[anchors]))

    def _after(
        self,
        facts: Facts,
        level: NDArray[np.int64],
        result: NDArray[np.int64],
        wanted: NDArray[np.int64],
        got: Decision,
    ) -> Mask:
        """Own books at the end of a tick. Returns the cells whose lock-out begins."""
        e, now = self._events, facts.now_s
        commanded = np.maximum(result, SYMBOL)
        e["spent"] += commanded != level
        self._move(now, level, commanded)
        kept = (got.reason < FIRST_GUARD) | np.isin(got.reason, (*HOLDS, *FLOOR_REASONS))
        e["wished"] = np.where((wanted > level) & kept & (commanded <= level), e["wished"] + 1, 0)
        window = self.limits.reversal_window_s
        self._turns = [(at, cells) for at, cells in self._turns if cells.any()]
        recent = [
            cells for at, cells in self._turns if now - at < window
        ]  # older ones, unless clocks are set back
        count = np.sum(recent, axis=0, initial=0)
        alarm = np.asarray((count > self.limits.max_reversals) & (e["lock_end"] <= now))
        e["lock_end"][alarm] = now + self.limits.lockout_s
        free = e["lock_end"] <= now
        self._turns = [(at, cells & free) for at, cells in self._turns]
        self._commanded = commanded
        return alarm


FLOOR_REASONS = (Reason.GUARD_FLOOR, Reason.GUARD_UNCOVERED, Reason.GUARD_ANCHOR)
