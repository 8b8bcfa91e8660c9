"""Samples of all agents on the network's own sample clock, for the guard loop and for the tick.

A sample has a number: it ends at that multiple of the sample's length in Unix time. Agents measure at times of their
own; a measurement that ends up to a quarter of a sample late counts for the sample before. Only the last two ticks
are kept. What does not fit in is set aside and counted, so a report can do no harm to another agent's samples. Samples
that come to lie in the future, as the clock was set back, are forgotten with all others of their agent.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from controller.live.fleet import Agent
from controller.tick import LARGEST_CARRIED, Observation
from hw.adapters.radio import Report
from hw.world import SYMBOL

UInt8 = NDArray[np.uint8]
Float32 = NDArray[np.float32]
SECOND_US = 1_000_000
LARGEST_THROUGHPUT_MBIT_S = 1e6  # of a user, and
LARGEST_CELL_W = 50_000.0  # drawn by a cell: far above what is built, so the report is wrong
AHEAD_SAMPLES = 2  # that an agent's clock, or a late guard tick, may be off
LONG_AGO = 0  # a number before all that are measured


class Measured(NamedTuple):
    """What was measured in s samples of n cells, NaN where nothing plausible was."""

    carried: Float32  # (n, s) [ratio]
    throughput: Float32  # (n, s) of a user, also NaN where nobody was served [Mbit/s]
    energy_wh: Float32  # (n, s)
    level: UInt8  # (n, s) reported with the sample


class Samples:
    """What was measured lately. n cells."""

    def __init__(self, n_cells: int, *, sample_s: int, per_tick: int, guard_every_s: int) -> None:
        self._sample_us, self._per_tick = sample_s * SECOND_US, per_tick
        self._ahead_us = (AHEAD_SAMPLES * sample_s + guard_every_s) * SECOND_US
        self._most_wh = LARGEST_CELL_W * sample_s / 3600
        self._rows = 2 * per_tick + 2 * AHEAD_SAMPLES + 2
        self._number = np.full(self._rows, -1, np.int64)  # of the sample in each row
        self._carried = np.full((self._rows, n_cells), np.nan, np.float32)
        self._throughput, self._energy_wh = (np.full_like(self._carried, np.nan) for _ in range(2))
        self._level = np.full((self._rows, n_cells), SYMBOL, np.uint8)  # reported with the sample
        self.is_empty = True

    def number_at(self, unix_us: int) -> int:
        """Number of the last sample that is complete."""
        return int(unix_us // self._sample_us)

    def lie_ahead(self, agent: Agent, now_us: int) -> bool:
        """Whether the last sample of an agent would not be taken now: the clock was set back since."""
        return agent.last_sample > self._number_of(now_us + self._ahead_us)

    def forget(self, agent: Agent) -> None:
        """Begin anew with an agent, as one that has long been silent."""
        for kept in (self._carried, self._throughput, self._energy_wh):
            kept[:, agent.cells] = np.nan
        self._level[:, agent.cells] = SYMBOL
        agent.first_sample, agent.last_sample = -1, LONG_AGO

    def take(self, agent: Agent, report: Report, level: UInt8, now_us: int) -> int:
        """Take in the samples of a report with levels (k,) of the agent's cells. Returns how many were set aside."""
        n_samples = int(report.carried.shape[1])
        if n_samples and report.interval_ms * 1000 != self._sample_us:
            return n_samples
        aside = 0
        for s in range(n_samples):
            end_us = report.measured_unix_us - (n_samples - 1 - s) * self._sample_us
            number = self._number_of(end_us)
            newest = self.number_at(now_us + self._ahead_us)
            late = number <= max(agent.last_sample, newest - self._rows)
            if late or end_us > now_us + self._ahead_us:
                aside += 1
                continue
            row = self._row(number)
            self._carried[row, agent.cells] = report.carried[agent.places, s]
            for kept, told in ((self._throughput, report.throughput), (self._energy_wh, report.energy_wh)):
                kept[row, agent.cells] = told[agent.places, s] if told.size else np.nan
            self._level[row, agent.cells] = level
            agent.last_sample = number
            if agent.first_sample < 0:
                agent.first_sample = number
            self.is_empty = False
        return aside

    def carried(self, number: int) -> Float32:
        """Traffic carried in a sample, NaN where nothing plausible was measured. (n,) [ratio]"""
        row = number % self._rows
        if self._number[row] != number:
            return np.full(self._carried.shape[1], np.nan, np.float32)
        carried = self._carried[row].copy()
        with np.errstate(invalid="ignore"):
            carried[(carried < 0) | (carried > LARGEST_CARRIED)] = np.nan
        return np.asarray(carried)

    def measured(self, first: int, last: int) -> Measured:
        """All that was measured from a sample to another, both included."""
        numbers = np.arange(first, last + 1)
        rows = numbers % self._rows
        there = (self._number[rows] == numbers)[:, None]
        carried, throughput, energy = (
            np.where(there, kept[rows], np.float32(np.nan)).T
            for kept in (self._carried, self._throughput, self._energy_wh)
        )
        with np.errstate(invalid="ignore"):
            absurd = (carried < 0) | (carried > LARGEST_CARRIED)
            too_fast = (throughput < 0) | (throughput > LARGEST_THROUGHPUT_MBIT_S)
            throughput = np.where(absurd | too_fast, np.float32(np.nan), throughput)
            energy = np.where((energy < 0) | (energy > self._most_wh), np.float32(np.nan), energy)
        carried = np.where(absurd, np.float32(np.nan), carried)
        return Measured(carried, throughput, energy, np.where(there, self._level[rows], np.uint8(SYMBOL)).T)

    def observation(self, last: int, planned: UInt8, woken: NDArray[np.bool_], level: UInt8) -> Observation:
        """Of the tick that ended with sample ``last``, for cells planned at ``planned`` and now at ``level``. (n,) each

        Cells ``woken`` (n,) by the guard loop count as at their planned level, shallower in the samples in which they
        were. Where a cell was deeper than it counts as, what it carried says nothing.
        """
        numbers = np.arange(last - self._per_tick + 1, last + 1)
        rows = numbers % self._rows
        there = (self._number[rows] == numbers)[:, None]
        carried = np.where(there, self._carried[rows], np.float32(np.nan)).T
        seen = np.where(there, self._level[rows], np.uint8(SYMBOL)).T
        base = np.where(woken, planned, level).astype(np.uint8)
        served = np.where(seen <= SYMBOL, np.minimum(base, SYMBOL)[:, None], np.minimum(seen, base[:, None]))
        deeper = seen > np.maximum(base, SYMBOL)[:, None]
        carried = np.where(deeper, np.float32(np.nan), carried)
        return Observation(np.ascontiguousarray(carried), base, np.ascontiguousarray(served))

    def _number_of(self, end_us: int) -> int:
        """Number of the sample that a measurement counts for."""
        return -int((self._sample_us // 4 - end_us) // self._sample_us)

    def _row(self, number: int) -> int:
        """Row of a sample, emptied where another one was in it."""
        row = number % self._rows
        if self._number[row] != number:
            self._number[row] = number
            for kept in (self._carried, self._throughput, self._energy_wh):
                kept[row] = np.nan
            self._level[row] = SYMBOL
        return row
