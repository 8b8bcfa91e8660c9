"""Radios of the simulated plant: levels with a dead-man timer a cell, traffic and energy by the physics of the replay.

It owns no clock: time is passed in. What happens between two calls is worked off in the order of time::

    sample ends       -> what was carried is measured
    waking ends       -> the commanded level serves
    timer runs out    -> full service is commanded

A sample in which something happens is served in spans. Only the cells of the groups concerned are served anew. A cell
that wakes keeps the service of the level it leaves, as in hw/waking.py, whose whole samples of waking are counted from
the moment of the command. Where commands come at the bounds of samples, all is as hw.telemetry.SimulatedPlant has it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hw.ports import Bools, Floats, Int64, UInt8
from hw.sharing import Groups
from hw.sim_plant.booking import EnergyBook
from hw.sim_plant.faults import SLOW_WAKE, Fault, Faults
from hw.sim_plant.samples import Samples
from hw.sim_plant.service import UserService
from hw.sim_plant.timing import NEVER_US, SampleClock
from hw.tables import Tables
from hw.telemetry import serve
from hw.world import SYMBOL

FULL_SERVICE = SYMBOL  # symbol shutdown costs no service


@dataclass(frozen=True, slots=True)
class RadioTruth:
    """The network and the traffic that it is offered. n cells, L levels."""

    tables: Tables
    groups: Groups
    path: NDArray[np.float32]  # (n, samples) offered, NaN unrecorded; it starts over at its end [ratio]
    ul_per_dl: NDArray[np.float32]  # (n, steps) or (n, 1), a whole number of samples a step
    allowed: Bools  # (n, L)
    has_dead_man: Bools  # (n,)

    @property
    def n_cells(self) -> int:
        """Number of cells."""
        return len(self.path)


class RadioSample(NamedTuple):
    """One measured interval."""

    end_unix_us: int
    carried: NDArray[np.float32]  # (n,) NaN: not measured [ratio]
    throughput: NDArray[np.float32]  # (n,) of a user; NaN: nobody was served [Mbit/s]
    power: NDArray[np.float32]  # (n,) mean; NaN: its traffic was not recorded [power_unit]


class RadioSim:
    """The radios of a network. They start at full service."""

    def __init__(self, truth: RadioTruth, clock: SampleClock, now_us: int) -> None:
        n, sample = truth.n_cells, clock.complete(now_us)
        self.truth, self.clock = truth, clock
        self.faults = Faults(n)
        self.book = EnergyBook(truth.tables, truth.groups.model)
        self.samples: Samples[RadioSample] = Samples(sample)
        self._wake_us = truth.tables.wake_samples.astype(np.int64) * clock.sample_us
        self._commanded = np.full(n, FULL_SERVICE, np.int64)
        self._serving = np.full(n, FULL_SERVICE, np.int64)
        self._wake_end_us = np.full(n, NEVER_US, np.int64)
        self._until_us = np.full(n, NEVER_US, np.int64)
        self._now_us = now_us
        self._served_us = np.full(n, clock.end_us(sample), np.int64)  # of the running sample, up to here
        self._carried = np.zeros(n)
        self._service = UserService(truth.tables, truth.groups.model)
        self._last_measured = np.full((3, n), np.nan)  # carried, throughput, power
        self._group_of = np.empty(n, np.int64)
        sizes = np.diff(truth.groups.group_start)
        self._group_of[truth.groups.member] = np.repeat(np.arange(len(sizes)), sizes)

    @property
    def rounds(self) -> int:
        """How often the traffic has started over."""
        return self.samples.last // int(self.truth.path.shape[1])

    @property
    def level(self) -> UInt8:
        """Level of each cell; one that wakes is still at the level it leaves. (n,)"""
        waking = self._wake_end_us < NEVER_US
        return np.where(waking, self._serving, self._commanded).astype(np.uint8)

    @property
    def commanded(self) -> Int64:
        """Level that each cell is set to. (n,)"""
        return self._commanded

    @property
    def next_event_us(self) -> int:
        """Time of the next end of a sample, of waking or of a timer."""
        return min(
            self.clock.end_us(self.samples.last + 1),
            int(self._wake_end_us.min()),
            int(self._until_us.min()),
        )

    def advance(self, now_us: int) -> None:
        """Work off all that happens up to now, in the order of time. A time before the last one changes nothing."""
        while (at_us := self.next_event_us) <= now_us:
            if at_us == self.clock.end_us(self.samples.last + 1):
                self._end_sample(at_us)
                continue
            woken = np.flatnonzero(self._wake_end_us == at_us)
            if len(woken):
                self._serve_until(at_us, woken)
                self._wake_end_us[woken] = NEVER_US
                self._serving[woken] = self._commanded[woken]
                continue
            due = np.flatnonzero(self._until_us == at_us)
            self._until_us[due] = NEVER_US
            self._command(due, np.full(len(due), FULL_SERVICE), at_us)
        self._now_us = max(self._now_us, now_us)

    def apply(self, cell: Int64, level: UInt8, until_us: Int64, now_us: int) -> Bools:
        """Set levels (k,) of different cells (k,), each with the time at which its timer wakes it; 0: no timer.

        Returns whether each cell is set so, if only on its way to it: not, where the radio refuses.
        """
        self.advance(now_us)
        until_us = np.where(until_us == 0, NEVER_US, until_us)
        awake, wanted = level <= FULL_SERVICE, level.astype(np.int64)
        can = self.truth.allowed[cell, wanted] & (awake | (until_us > self._now_us))
        can &= (awake | ~self.faults.at(Fault.LOCAL_CONTROL)[cell]) & self.faults.takes_effect(cell)
        stuck = self.faults.at(Fault.STUCK_RELAY)[cell]
        moves = can & (~stuck | (self._commanded[cell] == wanted))
        timed = np.where(awake | ~self.truth.has_dead_man[cell], NEVER_US, until_us)
        self._until_us[cell[moves]] = timed[moves]
        self._command(cell[moves], wanted[moves], self._now_us)
        return np.asarray((can & stuck) | (self._commanded[cell] == level))

    def inject(self, fault: Fault, cell: Int64, now_us: int, *, heals: bool, share: float = 0.0) -> None:
        """Inject a fault at some cells, or heal it; ``share`` is that of ``Fault.SLOW_USERS``."""
        self.advance(now_us)
        if fault is not Fault.REBOOT:
            self.faults.put(fault, cell, heals=heals, share=share)
        if heals or fault not in (Fault.REBOOT, Fault.LOCAL_CONTROL):
            return
        self._until_us[cell] = NEVER_US
        self._command(cell, np.full(len(cell), FULL_SERVICE), self._now_us)
        if fault is Fault.REBOOT:
            self._wake_end_us[cell] = NEVER_US
            self._serving[cell] = FULL_SERVICE

    def _command(self, cell: Int64, level: Int64, at_us: int) -> None:
        """Command levels to different cells: the one place where a level changes; edges in hw/waking.py."""
        changed = self._commanded[cell] != level
        cell, level = cell[changed], level[changed]
        if not len(cell):
            return
        self._serve_until(at_us, cell)
        serving, waking = self._serving[cell], self._wake_end_us[cell] < NEVER_US
        back = level == serving
        begins = ~back & ~waking & (self._wake_us[serving] > self._wake_us[level])
        slow = np.where(self.faults.at(Fault.SLOW_WAKE)[cell], SLOW_WAKE, 1)
        self._wake_end_us[cell[begins]] = at_us + (slow * self._wake_us[serving])[begins]
        self._wake_end_us[cell[back]] = NEVER_US
        at_once = ~begins & ~waking
        self._serving[cell[at_once]] = level[at_once]
        self._commanded[cell] = level

    def _end_sample(self, at_us: int) -> None:
        self._serve_until(at_us, None)
        self.book.end_sample()
        throughput = self._service.end_sample(self.faults.slower)
        true = np.stack([self._carried, throughput, self.book.last_power])
        is_share = np.array([[True], [False], [False]])
        self._last_measured = self.faults.measured(true, self._last_measured, is_share=is_share)
        measured = self._last_measured.astype(np.float32)
        self.samples.append(RadioSample(self.clock.end_unix_us(self.samples.last + 1), *measured))
        self._carried = np.zeros(true.shape[1])
        self._served_us[:] = at_us

    def _serve_until(self, at_us: int, cell: Int64 | None) -> None:
        """Serve the groups of some cells, or all, from where they were served last in the running sample."""
        truth, groups = self.truth, self.truth.groups
        if cell is not None:
            groups = self._groups_of(cell[self._served_us[cell] < at_us])
        member = groups.member
        if not len(member):
            return
        column = self.samples.last % truth.path.shape[1]
        offered = truth.path[:, column : column + 1]
        unrecorded = np.isnan(offered[member, 0])
        self._settle(member, unrecorded)
        carried = self._carry(groups, offered, self._serving)
        if (self._serving[member] != self._commanded[member])[~unrecorded].any():
            asked = self._carry(groups, offered, self._commanded)
        else:
            asked = carried
        share = (at_us - self._served_us[member]) / self.clock.sample_us
        self._carried[member] += share * carried[member]
        self._service.add(member, self._serving[member], offered[member, 0], carried[member], share)
        step = column * truth.ul_per_dl.shape[1] // truth.path.shape[1]
        ul_per_dl = truth.ul_per_dl[member, step]
        own, known = offered[member, 0], ~unrecorded
        self.book.add(
            member[known],
            self._commanded[member[known]],
            own[known],
            np.maximum(asked[member], own)[known],
            ul_per_dl[known],
            share[known],
        )
        self._served_us[member] = at_us

    def _settle(self, member: NDArray[np.int32], unrecorded: Bools) -> None:
        """Before a span: an unrecorded cell is awake and leaves nothing to wake, any other serves as commanded."""
        self._serving[member[unrecorded]] = SYMBOL
        self._wake_end_us[member[unrecorded]] = NEVER_US
        settled = member[~unrecorded & (self._wake_end_us[member] == NEVER_US)]
        self._serving[settled] = self._commanded[settled]

    def _carry(self, groups: Groups, offered: NDArray[np.float32], level: Int64) -> NDArray[np.float32]:
        """Traffic carried by the cells of some groups at levels (n,) that stay. (n,); of the others, nothing."""
        carried = np.zeros(offered.shape, np.float32)
        waking = np.zeros(len(level), np.int64)
        serve(self.truth.tables, groups, offered, level.astype(np.uint8), level.copy(), waking, carried)
        return np.asarray(carried[:, 0])

    def _groups_of(self, cell: Int64) -> Groups:
        """The groups of some cells."""
        whole = self.truth.groups
        chosen = np.unique(self._group_of[cell])
        first, end = whole.group_start[chosen], whole.group_start[chosen + 1]
        parts = [whole.member[a:b] for a, b in zip(first, end, strict=True)]
        member = np.concatenate(parts) if parts else np.zeros(0, np.int32)
        start = np.concatenate([[0], np.cumsum(end - first)]).astype(np.int32)
        return whole._replace(group_start=start, member=member)

    def power(self) -> Floats:
        """Mean power of each cell in the last sample, NaN where its traffic was not recorded. (n,) [power_unit]"""
        return self.book.last_power
