"""A naive twin of ``hw.plant``: every cell and every sample in plain Python, written from docs/evaluation.md.

It knows cells and their candidates but no groups, no runs and no kernels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from hw.sharing import Groups
from hw.tables import LATENCY_BINS, LATENCY_CAP_MS, Tables

FULL, SYMBOL = 0, 1


@dataclass
class Cell:
    """One cell while a plan is carried out."""

    model: int
    candidates: dict[int, float]  # with the share of its traffic that each reaches
    commanded: int = SYMBOL
    serving: int = SYMBOL
    wake_left: int = 0
    last_scored: int = SYMBOL
    scored_in_tick: bool = False


@dataclass
class Booked:
    """What was booked for one cell on one day."""

    offered: float = 0.0
    unserved: float = 0.0
    below: float = 0.0
    lost: float = 0.0
    changes: int = 0
    samples: dict[int, int] = field(default_factory=dict)
    energy: dict[int, float] = field(default_factory=dict)

    def row(self, n_levels: int) -> list[float]:
        """The columns of ``hw.plant.Figures.table``."""
        no_wakes = 0  # a plan alone has no guard loop
        totals = [self.offered, self.unserved, self.below, self.lost, self.changes, no_wakes]
        by_level = [self.samples.get(level, 0) for level in range(n_levels)]
        return totals + by_level + [self.energy.get(level, 0.0) for level in range(n_levels)]


@dataclass
class Outcome:
    """What the twin found."""

    table: NDArray[np.float64]  # as hw.plant.Figures
    latency: NDArray[np.float64]
    energy_tick: NDArray[np.float64]
    carried: NDArray[np.float64]  # (n, samples), NaN unrecorded


def naive_execute(
    tables: Tables,
    groups: Groups,
    path: NDArray[np.float32],
    ul_per_dl: NDArray[np.float32],
    plan: NDArray[np.uint8],
    *,
    samples_per_tick: int,
    samples_per_day: int,
) -> Outcome:
    """Carry out a plan as ``hw.plant.execute`` does."""
    n, samples = path.shape
    n_levels = len(tables.asleep)
    start = groups.candidate_start
    cells = [
        Cell(
            int(groups.model[i]),
            {int(groups.candidate[c]): float(groups.overlap[c]) for c in range(start[i], start[i + 1])},
        )
        for i in range(n)
    ]
    days = math.ceil(samples / samples_per_day)
    books = [[Booked() for _ in range(days)] for _ in range(n)]
    out = Outcome(np.zeros(0), np.zeros((n, LATENCY_BINS)), np.zeros(plan.shape), np.full(path.shape, np.nan))
    per_step = samples // ul_per_dl.shape[1]
    for t in range(samples):
        tick = t // samples_per_tick
        if t % samples_per_tick == 0:
            for i, cell in enumerate(cells):
                _command(tables, cell, int(plan[i, tick]))
        offered = [float(path[i, t]) for i in range(n)]
        for i, cell in enumerate(cells):
            if math.isnan(offered[i]):
                cell.serving, cell.wake_left = SYMBOL, 0
            elif cell.wake_left == 0:
                cell.serving = cell.commanded
        load, handed = _land(tables, cells, offered, [cell.serving for cell in cells])
        asked, _ = _land(tables, cells, offered, [cell.commanded for cell in cells])
        for i, cell in enumerate(cells):
            if math.isnan(offered[i]):
                continue
            out.carried[i, t] = load[i]
            book = books[i][t // samples_per_day]
            ul = float(ul_per_dl[i, t // per_step])
            energy = _draw(tables, cell.model, cell.commanded, max(asked[i], offered[i]), ul)
            energy += _change(tables, cell, book)
            book.samples[cell.commanded] = book.samples.get(cell.commanded, 0) + 1
            book.energy[cell.commanded] = book.energy.get(cell.commanded, 0.0) + energy
            out.energy_tick[i, tick] += energy
            book.offered += offered[i]
            _serve(tables, cells, i, offered[i], load, handed[i], book, out.latency[i])
        for cell in cells:
            if cell.wake_left > 0:
                cell.wake_left -= 1
                if cell.wake_left == 0:
                    cell.serving = cell.commanded
    out.table = np.array([[book.row(n_levels) for book in days_of] for days_of in books])
    size = tables.size[groups.model]  # so far in full-rate samples of each cell
    out.table[:, :, :4] *= size[:, None, None]
    out.latency *= size[:, None]
    return out


def _command(tables: Tables, cell: Cell, level: int) -> None:
    """A tick begins: a cell that gets a level with a shorter wake-up time wakes up first."""
    cell.commanded, cell.scored_in_tick = level, False
    if level == cell.serving:
        cell.wake_left = 0
    elif cell.wake_left == 0:
        if tables.wake_samples[cell.serving] > tables.wake_samples[level]:
            cell.wake_left = int(tables.wake_samples[cell.serving])
        else:
            cell.serving = level


def _land(
    tables: Tables, cells: list[Cell], offered: list[float], levels: list[int]
) -> tuple[list[float], list[dict[int, float]]]:
    """Traffic that every cell carries, and what each cell hands to which other."""
    load, room = [0.0] * len(cells), [0.0] * len(cells)
    handed: list[dict[int, float]] = [{} for _ in cells]
    for i, cell in enumerate(cells):
        if not math.isnan(offered[i]) and not tables.asleep[levels[i]]:
            capacity = float(tables.capacity[cell.model, levels[i]])
            load[i] = min(offered[i], capacity)
            room[i] = capacity - load[i]
    for i, cell in enumerate(cells):
        if math.isnan(offered[i]) or not tables.asleep[levels[i]]:
            continue
        size = [float(tables.size[other.model]) for other in cells]
        asked = offered[i] * size[i]
        handed[i] = _by_room({c: room[c] * size[c] for c in cell.candidates}, cell.candidates, asked)
        for c, traffic in handed[i].items():
            load[c] += traffic / size[c]
            room[c] -= traffic / size[c]
            handed[i][c] = traffic / size[i]
    return load, handed


def _by_room(room: dict[int, float], overlap: dict[int, float], asked: float) -> dict[int, float]:
    """Share ``asked`` out by room; whoever reaches less than its part takes that, and the others share the rest."""
    capped: dict[int, float] = {}
    while True:
        free = {c: r for c, r in room.items() if c not in capped and r > 0}
        left, total = asked - sum(capped.values()), sum(free.values())
        parts = {c: min(left, total) * r / total for c, r in free.items()} if total > 0 else {}
        over = {
            c: overlap[c] * asked for c, part in parts.items() if overlap[c] < 1 and part > overlap[c] * asked
        }
        if not over:
            return capped | parts
        capped |= over


def _draw(tables: Tables, model: int, level: int, offered: float, ul_per_dl: float) -> float:
    """Power on the straight line between the load points of the table."""
    rate = float(tables.rate[model, level])
    row = tables.power[model, level].astype(float)
    if rate == 0:
        return float(row[0])
    load = min(offered / rate, 1.0)
    dl = float(np.interp(load, np.linspace(0, 1, len(row)), row))
    return dl + float(tables.ul_power[model, level]) * min(ul_per_dl * load, 1.0)


def _change(tables: Tables, cell: Cell, book: Booked) -> float:
    """Count a change between consecutive scored ticks; give the energy of waking."""
    if cell.scored_in_tick:
        return 0.0
    before, cell.last_scored, cell.scored_in_tick = cell.last_scored, cell.commanded, True
    if before == cell.commanded or {before, cell.commanded} == {FULL, SYMBOL}:
        return 0.0
    book.changes += 1
    woken = tables.asleep[before] and not tables.asleep[cell.commanded]
    return float(tables.wake_energy[cell.model, before]) if woken else 0.0


def _serve(
    tables: Tables,
    cells: list[Cell],
    i: int,
    offered: float,
    load: list[float],
    handed: dict[int, float],
    book: Booked,
    latency: NDArray[np.float64],
) -> None:
    """Book the service of the traffic offered to cell i: pieces of it and the throughput each gets."""

    def full_rate(c: int) -> float:
        return tables.full_rate * float(tables.size[cells[c].model])

    level = cells[i].serving
    if not tables.asleep[level]:
        capacity = float(tables.capacity[cells[i].model, level])
        rate = float(tables.rate[cells[i].model, level])
        book.unserved += max(offered - capacity, 0.0)
        throughput = 0.0 if offered > capacity else full_rate(i) * (rate - load[i])
        pieces = [(offered, throughput)]
    else:
        pieces = [
            (traffic, full_rate(c) * (float(tables.rate[cells[c].model, cells[c].serving]) - load[c]))
            for c, traffic in handed.items()
        ]
        left = offered - sum(handed.values())
        if left > 1e-9:
            book.unserved += left
            pieces.append((left, 0.0))
    alone = full_rate(i) * (1 - offered)
    for traffic, throughput in pieces:
        if throughput < min(tables.target, tables.target_share * alone):
            book.below += traffic
        if alone > 0:
            book.lost += traffic * max(0.0, 1 - max(throughput, 0.0) / alone)
        latency[_latency_bin(tables, throughput, alone)] += traffic


def _latency_bin(tables: Tables, throughput: float, alone: float) -> int:
    """Bins are as wide as the square root of the added latency is dense."""
    if throughput >= alone:
        return 0
    if throughput <= 0:
        return LATENCY_BINS - 1
    added_ms = 1000 * tables.object_mbit * (1 / throughput - 1 / alone)
    return min(int((LATENCY_BINS - 1) * math.sqrt(added_ms / LATENCY_CAP_MS)), LATENCY_BINS - 1)
