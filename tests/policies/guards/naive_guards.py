"""All guards and their memory once more, cell by cell in plain Python: the twin of ``policies.guards``."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from math import ceil, floor

from hw.world import SYMBOL
from policies.guards import Facts
from policies.network import Network
from policies.policy import Decision, Reason
from policies.profile import GuardProfile

LONG_AGO = -(10**15)


@dataclass
class Memory:
    """What one cell remembers."""

    spent: int = 0
    changed: int = LONG_AGO
    woken: int = LONG_AGO
    heard: int = LONG_AGO
    wished: int = 0
    way: int = 0
    reversals: list[int] = field(default_factory=list)
    locked: int = LONG_AGO
    commanded: int = SYMBOL

    def move(self, before: int, after: int, now: int) -> None:
        if before == after:
            return
        way = 1 if after > before else -1
        if way == -self.way:
            self.reversals.append(now)
        self.way, self.changed = way, now
        if after == SYMBOL:
            self.woken = now


class NaiveGuards:
    def __init__(self, network: Network, asleep: list[bool], limits: GuardProfile, site: list[int]) -> None:
        self.network, self.asleep, self.limits, self.site = network, asleep, limits, site
        groups = network.groups
        start = groups.group_start.tolist()
        self.groups = [groups.member[a:b].tolist() for a, b in pairwise(start)]
        self.partners = {i: members for members in self.groups for i in members}
        start = groups.candidate_start.tolist()
        self.candidates = [groups.candidate[a:b].tolist() for a, b in pairwise(start)]
        self.cells = range(network.n_cells)
        self.memory = [Memory() for _ in self.cells]
        self.day, self.turn = LONG_AGO, 0

    def apply(self, asked: Decision, facts: Facts) -> tuple[list[int], list[int], list[bool]]:
        """Levels, reasons and alarms."""
        now, limits, memory = facts.now_s, self.limits, self.memory
        level = [max(x, SYMBOL) if x < len(self.asleep) else SYMBOL for x in facts.level.tolist()]
        self._remember(facts, level)
        wanted, reason = asked.level.tolist(), asked.reason.tolist()

        def wake(cells: list[int], why: Reason) -> None:
            for i in cells:
                if wanted[i] > SYMBOL:
                    wanted[i], reason[i] = SYMBOL, int(why)

        def hold(cells: list[int], why: Reason) -> None:
            stopped = [i for i in cells if wanted[i] > level[i]]
            for j in {j for i in stopped for j in self.partners[i] if wanted[j] > level[j]}:
                wanted[j] = level[j] if self.network.allowed[j, level[j]] else SYMBOL
                reason[j] = int(why)

        def those(marks: object) -> list[int]:
            return [i for i in self.cells if marks[i]]  # type: ignore[index]

        def whole(cells: list[int]) -> list[int]:
            return [j for i in cells for j in self.partners[i]]

        wake([i for i in self.cells if not self._may(i, wanted[i])], Reason.GUARD_LEVEL)
        wake(those(facts.locks.emergency), Reason.GUARD_EMERGENCY)
        wake(those(facts.locks.protected), Reason.GUARD_PROTECTED)
        wake(those(facts.locks.event), Reason.GUARD_EVENT)
        wake(those(facts.locks.excluded), Reason.GUARD_EXCLUDED)
        wake([i for i in self.cells if memory[i].locked > now], Reason.GUARD_FLAPPING)
        awake_for = [now - m.woken for m in memory]
        wake([i for i in self.cells if awake_for[i] < limits.least_awake_s], Reason.GUARD_LEAST_AWAKE)
        wake(whole(those(facts.overloaded)), Reason.GUARD_OVERLOAD)
        silent = those(~facts.fresh)
        old = [i for i in silent if now - memory[i].heard >= limits.telemetry_max_age_s]
        wake(whole(old), Reason.GUARD_TELEMETRY)
        capped = list(wanted)
        hold(whole(silent), Reason.GUARD_UNHEARD)
        hold(
            [i for i in self.cells if memory[i].wished + 1 < limits.hysteresis_ticks], Reason.GUARD_HYSTERESIS
        )
        hold([i for i in self.cells if now - memory[i].changed < limits.dwell_s], Reason.GUARD_DWELL)
        last = limits.max_changes_per_cell_day - 1
        hold([i for i in self.cells if memory[i].spent >= last], Reason.GUARD_BUDGET)
        hold(self._beyond_share(wanted, level), Reason.GUARD_CLUSTER)
        wake(self._below_floor(wanted, level), Reason.GUARD_FLOOR)
        wake(self._uncovered(wanted, level), Reason.GUARD_UNCOVERED)
        wake(self._above_legs(wanted), Reason.GUARD_ANCHOR)
        return wanted, reason, self._close(level, wanted, capped, now)

    def _may(self, i: int, level: int) -> bool:
        return level < len(self.asleep) and bool(self.network.allowed[i, level])

    def _remember(self, facts: Facts, level: list[int]) -> None:
        now = facts.now_s
        for i, m in enumerate(self.memory):
            if facts.day > self.day:
                m.spent = 0
            m.changed, m.woken, m.heard = min(m.changed, now), min(m.woken, now), min(m.heard, now)
            m.reversals = [min(at, now) for at in m.reversals]
            m.locked = min(m.locked, now + self.limits.lockout_s)
            if self.turn == 0:
                m.commanded, m.changed = level[i], now
                m.woken = now if level[i] == SYMBOL else m.woken
            if facts.fresh[i]:
                m.heard = now
            m.move(m.commanded, level[i], now)
        if facts.day > self.day or facts.day < self.day - 1:
            self.day = facts.day

    def _beyond_share(self, wanted: list[int], level: list[int]) -> list[int]:
        used: dict[int, int] = {}
        beyond = []
        for s in range(max(self.site) + 1):
            homes = [members for members in self.groups if self.site[members[0]] == s]
            for k in range(len(homes)):
                members = homes[(self.turn + k) % len(homes)]
                deeper = [self.site[i] for i in members if wanted[i] > level[i]]
                if any(used.get(at, 0) + deeper.count(at) > self._room(at) for at in deeper):
                    beyond += members
                    continue
                for at in deeper:
                    used[at] = used.get(at, 0) + 1
        return beyond

    def _room(self, site: int) -> int:
        largest = max(sum(self.site[i] == site for i in members) for members in self.groups)
        return max(floor(self.limits.max_deeper_share * self.site.count(site) + 1e-9), largest)

    def _below_floor(self, wanted: list[int], level: list[int]) -> list[int]:
        found = []
        for s in range(max(self.site) + 1):
            here = [i for i in self.cells if self.site[i] == s]
            off = [i for i in here if self.asleep[wanted[i]]]
            least = ceil(self.limits.least_on_air_share * len(here) - 1e-9)
            off.sort(key=lambda i: self.asleep[level[i]])
            found += off[: max(0, least - (len(here) - len(off)))]
        return found

    def _uncovered(self, wanted: list[int], level: list[int]) -> list[int]:
        carries = [not self.asleep[w] and not self.asleep[now] for w, now in zip(wanted, level, strict=True)]
        off = [i for i in self.cells if self.asleep[wanted[i]]]
        return [i for i in off if not any(carries[c] for c in self.candidates[i])]

    def _above_legs(self, wanted: list[int]) -> list[int]:
        anchor = self.network.anchor.tolist()
        above = {a for leg, a in enumerate(anchor) if a >= 0 and wanted[leg] < wanted[a]}
        return [a for a in above if self.asleep[wanted[a]]]

    def _close(self, level: list[int], wanted: list[int], capped: list[int], now: int) -> list[bool]:
        alarms = []
        for i, m in enumerate(self.memory):
            m.commanded = max(wanted[i], SYMBOL)
            m.spent += m.commanded != level[i]
            m.move(level[i], m.commanded, now)
            waits = capped[i] > level[i] and m.commanded <= level[i]
            m.wished = m.wished + 1 if waits else 0
            recent = [at for at in m.reversals if now - at < self.limits.reversal_window_s]
            alarms.append(len(recent) > self.limits.max_reversals and m.locked <= now)
            if alarms[-1]:
                m.locked = now + self.limits.lockout_s
            if m.locked > now:
                m.reversals = []
        self.turn += 1
        return alarms
