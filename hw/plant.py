"""The simulated radio plant: carries out a plan, sample by sample, with energy and service.

Traffic is conserved. What a cell off air would have carried lands on those of its candidates that are on air, in
proportion to their room; what finds no room is unserved. A cell that wakes keeps the service of the level it leaves
and draws the power of the level it goes to until its wake-up time is over. Unrecorded samples run awake, offer no
room and are left out of every figure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from hw.tables import (
    LATENCY_BINS,
    Tables,
    draw,
    latency_bin,
    limit_throughput,
    user_throughput,
)
from hw.world import SYMBOL

# columns of the figures per cell and day; behind them L columns of samples and L of energy by level
OFFERED, UNSERVED, BELOW, LOST, CHANGES, N_COLUMNS = 0, 1, 2, 3, 4, 5


@dataclass(frozen=True, slots=True)
class Figures:
    """What a plan did. n cells, D days, L levels; traffic in full-rate samples, energy in power_unit x samples."""

    table: NDArray[np.float64]  # (n, D, N_COLUMNS + 2 L)
    latency: NDArray[np.float32]  # (n, LATENCY_BINS) traffic by added latency
    energy_tick: NDArray[np.float32]  # (n, ticks), or (n, 0) where not asked for
    n_levels: int

    @property
    def level_samples(self) -> NDArray[np.float64]:
        """Scored samples at each level. (n, D, L)"""
        return self.table[:, :, N_COLUMNS : N_COLUMNS + self.n_levels]

    @property
    def level_energy(self) -> NDArray[np.float64]:
        """Energy at each level. (n, D, L)"""
        return self.table[:, :, N_COLUMNS + self.n_levels :]

    @property
    def energy(self) -> NDArray[np.float64]:
        """Energy. (n, D)"""
        return np.asarray(self.level_energy.sum(2))


class Groups(NamedTuple):
    """Independent groups and candidates: see ``policies.network.Network``, which derives them. n cells, g groups."""

    model: NDArray[np.int32]  # (n,) row of the world's tables
    candidate_start: NDArray[np.int32]  # (n + 1,)
    candidate: NDArray[np.int32]  # candidates of cell i: candidate[start[i]:start[i + 1]]
    group_start: NDArray[np.int32]  # (g + 1,)
    member: NDArray[np.int32]  # cells of group k: member[group_start[k]:group_start[k + 1]]


def execute(
    tables: Tables,
    groups: Groups,
    path: NDArray[np.float32],
    ul_per_dl: NDArray[np.float32],
    plan: NDArray[np.uint8],
    *,
    samples_per_tick: int,
    samples_per_day: int,
    energy_per_tick: bool = False,
) -> Figures:
    """Carry out ``plan`` on the offered traffic ``path``.

    Parameters
    ----------
    path : offered traffic, NaN unrecorded. Shape (n, samples). [ratio of full rate]
    ul_per_dl : uplink load over downlink load. Shape (n, steps), each step a whole number of samples, or (n, 1).
    plan : level of each tick. Shape (n, ceil(samples / samples_per_tick)).
    """
    n, samples = path.shape
    ticks = -(-samples // samples_per_tick)
    if plan.shape != (n, ticks) or plan.dtype != np.uint8:
        raise ValueError(f"plan must be uint8 of shape {(n, ticks)}, not {plan.dtype} of {plan.shape}")
    if samples % ul_per_dl.shape[1]:
        raise ValueError("ul_per_dl must hold a whole number of samples per step")
    n_levels = len(tables.asleep)
    if int(plan.max()) >= n_levels:
        raise ValueError(f"plan holds level {int(plan.max())}, the world has {n_levels}")
    days = -(-samples // samples_per_day)
    table = np.zeros((n, days, N_COLUMNS + 2 * n_levels))
    latency = np.zeros((n, LATENCY_BINS), np.float32)
    energy_tick = np.zeros((n, ticks if energy_per_tick else 0), np.float32)
    sizes = np.diff(groups.group_start)
    alone = groups.member[groups.group_start[:-1][sizes == 1]]
    per_step = samples // ul_per_dl.shape[1]
    clock = (samples_per_tick, samples_per_day, per_step)
    _execute_single(tables, groups.model, alone, path, ul_per_dl, plan, clock, table, latency, energy_tick)
    together = np.flatnonzero(sizes > 1)
    if len(together):
        _execute_groups(tables, groups, together, path, ul_per_dl, plan, clock, table, latency, energy_tick)
    return Figures(table, latency, energy_tick, n_levels)


@njit(inline="always")  # type: ignore[untyped-decorator]
def _account(tables, row, latency, throughput, own_offered, traffic):  # type: ignore[no-untyped-def]
    """Book traffic of a cell that was offered ``own_offered`` and got ``throughput``."""
    alone = tables.full_rate * (1 - own_offered)
    if throughput < limit_throughput(tables, own_offered):
        row[BELOW] += traffic
    if alone > 0:
        row[LOST] += traffic * max(0.0, 1 - max(throughput, 0.0) / alone)
    latency[latency_bin(tables, throughput, alone)] += traffic


@njit(inline="always")  # type: ignore[untyped-decorator]
def service_begin(tables, level, service_level, wake_left):  # type: ignore[no-untyped-def]
    """Service level and remaining wake-up samples once ``level`` is commanded."""
    if level == service_level:
        return service_level, 0
    if wake_left == 0 and tables.wake_samples[service_level] > tables.wake_samples[level]:
        return service_level, tables.wake_samples[service_level]
    if wake_left > 0:
        return service_level, wake_left
    return level, 0


@njit(inline="always")  # type: ignore[untyped-decorator]
def _book_change(tables, model, row, last_scored, level):  # type: ignore[no-untyped-def]
    """Count a planned change of level and give the energy of waking, if any."""
    if level == last_scored or max(level, last_scored) <= SYMBOL:
        return 0.0
    row[CHANGES] += 1
    if tables.asleep[last_scored] and not tables.asleep[level]:
        return tables.wake_energy[model, last_scored]
    return 0.0


@njit(inline="always")  # type: ignore[untyped-decorator]
def _stretch(tables, model, level, service_level, path, ul_per_dl, per_step, start, stop, latency):  # type: ignore[no-untyped-def]
    """Samples [start, stop) of one cell at one level: count, energy, offered, unserved, below target, lost."""
    count, energy, offered_sum, unserved, below, lost = 0, 0.0, 0.0, 0.0, 0.0, 0.0
    asleep = tables.asleep[service_level]
    capacity, rate = tables.capacity[model, service_level], tables.rate[model, service_level]
    step, step_end = start // per_step, (start // per_step + 1) * per_step
    for t in range(start, stop):
        if t == step_end:
            step, step_end = step + 1, step_end + per_step
        offered = path[t]
        if np.isnan(offered):
            continue
        count += 1
        offered_sum += offered
        energy += draw(tables, model, level, np.float32(0) if asleep else offered, ul_per_dl[step])
        if service_level <= SYMBOL:
            latency[0] += offered
            continue
        alone = tables.full_rate * (1 - offered)
        throughput = tables.full_rate * (rate - offered) if offered <= capacity else 0.0
        unserved += max(offered - capacity, np.float32(0))
        if throughput < limit_throughput(tables, offered):
            below += offered
        if alone > 0:
            lost += offered * max(0.0, 1 - throughput / alone)
        latency[latency_bin(tables, throughput, alone)] += offered
    return count, energy, offered_sum, unserved, below, lost


@njit(inline="always")  # type: ignore[untyped-decorator]
def _run_end(plan, path_len, samples_per_tick, samples_per_day, start, by_tick):  # type: ignore[no-untyped-def]
    """First sample after ``start`` at which level or day changes, or the tick ends where asked for."""
    tick = start // samples_per_tick
    day_end = (start // samples_per_day + 1) * samples_per_day
    last = tick + 1
    if not by_tick:
        while last < len(plan) and plan[last] == plan[tick] and last * samples_per_tick < day_end:
            last += 1
    return min(last * samples_per_tick, day_end, path_len)


@njit(cache=True)  # type: ignore[untyped-decorator]
def _single_cell(tables, model, path, ul_per_dl, plan, clock, table, latency, energy_tick):  # type: ignore[no-untyped-def]
    """One cell that is a group of its own. ``path`` (samples,), ``table`` (days, columns)."""
    samples_per_tick, samples_per_day, per_step = clock
    n_levels, by_tick = len(tables.asleep), len(energy_tick) > 0
    last_scored, service_level, wake_left = SYMBOL, SYMBOL, 0
    start = 0
    while start < len(path):
        level = np.int64(plan[start // samples_per_tick])
        stop = _run_end(plan, len(path), samples_per_tick, samples_per_day, start, by_tick)
        service_level, wake_left = service_begin(tables, level, service_level, wake_left)
        if np.isnan(path[start]):
            service_level, wake_left = level, 0  # unrecorded steps run awake, so nothing is left to wake
        day, first = start // samples_per_day, start
        while first < stop:
            last = min(first + wake_left, stop) if wake_left > 0 else stop
            count, energy, offered, unserved, below, lost = _stretch(
                tables, model, level, service_level, path, ul_per_dl, per_step, first, last, latency
            )
            if count > 0:
                energy += _book_change(tables, model, table[day], last_scored, level)
                last_scored = level
            table[day, OFFERED] += offered
            table[day, UNSERVED] += unserved
            table[day, BELOW] += below
            table[day, LOST] += lost
            table[day, N_COLUMNS + level] += count
            table[day, N_COLUMNS + n_levels + level] += energy
            if by_tick:
                energy_tick[first // samples_per_tick] += energy
            wake_left -= min(wake_left, last - first)
            if wake_left == 0:
                service_level = level
            first = last
        start = stop


@njit(parallel=True, cache=True)  # type: ignore[untyped-decorator]
def _execute_single(tables, models, cells, path, ul_per_dl, plan, clock, table, latency, energy_tick):  # type: ignore[no-untyped-def]
    for k in prange(len(cells)):
        i = cells[k]
        _single_cell(
            tables, models[i], path[i], ul_per_dl[i], plan[i], clock, table[i], latency[i], energy_tick[i]
        )


@njit(cache=True)  # type: ignore[untyped-decorator]
def local_candidates(members, candidate_start, candidate):  # type: ignore[no-untyped-def]
    """Candidate matrix of a group in local numbers. (members, members) bool."""
    n = len(members)
    matrix = np.zeros((n, n), np.bool_)
    for k in range(n):
        for c in range(candidate_start[members[k]], candidate_start[members[k] + 1]):
            for other in range(n):
                if members[other] == candidate[c]:
                    matrix[k, other] = True
    return matrix


@njit(cache=True)  # type: ignore[untyped-decorator]
def share_out(tables, models, matrix, offered, service_level, load, room, placed):  # type: ignore[no-untyped-def]
    """Where the traffic of one sample of a group lands.

    Writes the traffic each cell carries into ``load`` and what cell k hands to cell c into ``placed[k, c]``.
    A cell whose ``offered`` is NaN carries and takes nothing.
    """
    n = len(offered)
    for k in range(n):
        level = service_level[k]
        load[k], room[k] = 0.0, 0.0
        if not np.isnan(offered[k]) and not tables.asleep[level]:
            load[k] = min(offered[k], tables.capacity[models[k], level])
            room[k] = tables.capacity[models[k], level] - load[k]
    for k in range(n):
        if np.isnan(offered[k]) or not tables.asleep[service_level[k]]:
            continue
        total = 0.0
        for c in range(n):
            if matrix[k, c]:
                total += room[c]
        share = min(offered[k] / total, 1.0) if total > 0 else 0.0
        for c in range(n):
            placed[k, c] = room[c] * share if matrix[k, c] else 0.0
            load[c] += placed[k, c]
            room[c] -= placed[k, c]


@njit(cache=True)  # type: ignore[untyped-decorator]
def _book_service(tables, models, offered, service_level, load, placed, k, row, latency):  # type: ignore[no-untyped-def]
    """Book the service of cell k of a group once the traffic has been shared out."""
    level = service_level[k]
    if not tables.asleep[level]:
        throughput = user_throughput(tables, models[k], level, load[k], offered[k])
        row[UNSERVED] += max(offered[k] - tables.capacity[models[k], level], 0.0)
        _account(tables, row, latency, throughput, offered[k], offered[k])
        return
    left = np.float64(offered[k])
    for c in range(len(offered)):
        if placed[k, c] > 0:
            throughput = tables.full_rate * (tables.rate[models[c], service_level[c]] - load[c])
            _account(tables, row, latency, throughput, offered[k], placed[k, c])
            left -= placed[k, c]
    if left > 1e-9:
        row[UNSERVED] += left
        _account(tables, row, latency, 0.0, offered[k], left)


@njit(cache=True)  # type: ignore[untyped-decorator]
def _group(tables, models, matrix, members, path, ul_per_dl, plan, clock, table, latency, energy_tick):  # type: ignore[no-untyped-def]
    """One group of several cells."""
    samples_per_tick, samples_per_day, per_step = clock
    n, n_levels = len(members), len(tables.asleep)
    offered, load, room = np.empty(n, np.float32), np.empty(n), np.empty(n)
    placed = np.zeros((n, n))
    service_level, wake_left = np.full(n, SYMBOL), np.zeros(n, np.int64)
    last_scored, scored = np.full(n, SYMBOL), np.zeros(n, np.bool_)
    for tick in range(plan.shape[1]):
        start = tick * samples_per_tick
        for k in range(n):
            scored[k] = False
            level = np.int64(plan[members[k], tick])
            service_level[k], wake_left[k] = service_begin(tables, level, service_level[k], wake_left[k])
        for t in range(start, min(start + samples_per_tick, path.shape[1])):
            for k in range(n):
                offered[k] = path[members[k], t]
                if np.isnan(offered[k]):
                    service_level[k], wake_left[k] = SYMBOL, 0
                elif wake_left[k] == 0:
                    service_level[k] = plan[members[k], tick]
            share_out(tables, models, matrix, offered, service_level, load, room, placed)
            for k in range(n):
                if np.isnan(offered[k]):
                    continue
                i, level = members[k], np.int64(plan[members[k], tick])
                row = table[i, t // samples_per_day]
                used = np.float64(draw(tables, models[k], level, np.float32(load[k]), ul_per_dl[i, t // per_step]))
                if not scored[k]:
                    used += _book_change(tables, models[k], row, last_scored[k], level)
                    last_scored[k], scored[k] = level, True
                row[N_COLUMNS + level] += 1
                row[N_COLUMNS + n_levels + level] += used
                row[OFFERED] += offered[k]
                _book_service(tables, models, offered, service_level, load, placed, k, row, latency[i])
                if energy_tick.shape[1]:
                    energy_tick[i, tick] += used
                if wake_left[k] > 0:
                    wake_left[k] -= 1
                    if wake_left[k] == 0:
                        service_level[k] = level


@njit(parallel=True, cache=True)  # type: ignore[untyped-decorator]
def _execute_groups(tables, groups, together, path, ul_per_dl, plan, clock, table, latency, energy_tick):  # type: ignore[no-untyped-def]
    for g in prange(len(together)):
        members = groups.member[groups.group_start[together[g]] : groups.group_start[together[g] + 1]]
        matrix = local_candidates(members, groups.candidate_start, groups.candidate)
        _group(
            tables,
            groups.model[members],
            matrix,
            members,
            path,
            ul_per_dl,
            plan,
            clock,
            table,
            latency,
            energy_tick,
        )
