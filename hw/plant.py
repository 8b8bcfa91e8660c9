"""The simulated radio plant: carries out a plan, sample by sample, with energy and service.

Traffic lands as ``hw.sharing`` says and is served by the levels of ``hw.waking``: a cell that wakes up keeps
the service of the level it leaves. Energy follows the commanded levels, as if they served from their first
sample on. Unrecorded samples run awake, offer no room and are left out of every figure.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from hw.sharing import Groups, local_candidates, share_out
from hw.tables import LATENCY_BINS, Tables, draw, latency_bin, limit_throughput, user_throughput
from hw.waking import after_sample, before_sample, service_begin
from hw.world import SYMBOL

# columns of the figures per cell and day; behind them L columns of samples and L of energy by level
OFFERED, UNSERVED, BELOW, LOST, CHANGES, N_COLUMNS = 0, 1, 2, 3, 4, 5


@dataclass(frozen=True, slots=True)
class Figures:
    """What a plan did. n cells, D days, L levels; traffic in full-rate samples, energy in unit x samples."""

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
    ul_per_dl : uplink load over downlink load. Shape (n, steps) with whole samples in a step, or (n, 1).
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


@njit(inline="always")
def _account(tables, row, latency, throughput, own_offered, traffic):  # type: ignore[no-untyped-def]
    """Book traffic of a cell that was offered ``own_offered`` and got ``throughput``."""
    alone = tables.full_rate * (1 - own_offered)
    if throughput < limit_throughput(tables, own_offered):
        row[BELOW] += traffic
    if alone > 0:
        row[LOST] += traffic * max(0.0, 1 - max(throughput, 0.0) / alone)
    latency[latency_bin(tables, throughput, alone)] += traffic


@njit(inline="always")
def _book_change(tables, model, row, last_scored, level):  # type: ignore[no-untyped-def]
    """Count a planned change of level and give the energy of waking, if any."""
    if level == last_scored or max(level, last_scored) <= SYMBOL:
        return 0.0
    row[CHANGES] += 1
    if tables.asleep[last_scored] and not tables.asleep[level]:
        return tables.wake_energy[model, last_scored]
    return 0.0


@njit(inline="always")
def _stretch(tables, model, level, service_level, path, ul_per_dl, per_step, start, stop, latency):  # type: ignore[no-untyped-def]
    """Samples [start, stop) of a cell at one level: count, energy, offered, unserved, below target, lost."""
    count, energy, offered_sum, unserved, below, lost = 0, 0.0, 0.0, 0.0, 0.0, 0.0
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
        energy += draw(tables, model, level, offered, ul_per_dl[step])
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


@njit(inline="always")
def _run_end(plan, path_len, samples_per_tick, samples_per_day, start, by_tick):  # type: ignore[no-untyped-def]
    """First sample after ``start`` at which level or day changes, or the tick ends where asked for."""
    tick = start // samples_per_tick
    day_end = (start // samples_per_day + 1) * samples_per_day
    last = tick + 1
    if not by_tick:
        while last < len(plan) and plan[last] == plan[tick] and last * samples_per_tick < day_end:
            last += 1
    return min(last * samples_per_tick, day_end, path_len)


@njit(inline="always")
def _wake_end(path, start, stop, wake_left):  # type: ignore[no-untyped-def]
    """Sample at which waking is over: after its time, or at an unrecorded sample."""
    last = start
    while last < min(start + wake_left, stop) and not np.isnan(path[last]):
        last += 1
    return last


@njit(cache=True)
def _single_cell(tables, model, path, ul_per_dl, plan, clock, table, latency, energy_tick):  # type: ignore[no-untyped-def]
    """One cell that is a group of its own. ``path`` (samples,), ``table`` (days, columns)."""
    samples_per_tick, samples_per_day, per_step = clock
    n_levels, by_tick = len(tables.asleep), len(energy_tick) > 0
    last_scored, service_level, wake_left = SYMBOL, SYMBOL, 0
    start = 0
    while start < len(path):
        level = int(plan[start // samples_per_tick])
        stop = _run_end(plan, len(path), samples_per_tick, samples_per_day, start, by_tick)
        if start > 0 and np.isnan(path[start - 1]):
            service_level, wake_left = SYMBOL, 0  # unrecorded samples run awake
        service_level, wake_left = service_begin(tables, level, service_level, wake_left)
        day, first = start // samples_per_day, start
        while first < stop:
            last = _wake_end(path, first, stop, wake_left) if wake_left > 0 else stop
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
            unrecorded = last < stop and np.isnan(path[last])
            wake_left = 0 if unrecorded else wake_left - min(wake_left, last - first)
            if wake_left == 0:
                service_level = level
            first = last
        start = stop


@njit(parallel=True, cache=True)
def _execute_single(tables, models, cells, path, ul_per_dl, plan, clock, table, latency, energy_tick):  # type: ignore[no-untyped-def]
    for k in prange(len(cells)):
        i = cells[k]
        _single_cell(
            tables, models[i], path[i], ul_per_dl[i], plan[i], clock, table[i], latency[i], energy_tick[i]
        )


@njit(cache=True)
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


@njit(cache=True)
def _group(tables, models, matrix, members, path, ul_per_dl, plan, clock, table, latency, energy_tick):  # type: ignore[no-untyped-def]
    """One group of several cells."""
    samples_per_tick, samples_per_day, per_step = clock
    n, n_levels = len(members), len(tables.asleep)
    offered, load, drawn, room = np.empty(n, np.float32), np.empty(n), np.empty(n), np.empty(n)
    placed, as_commanded = np.zeros((n, n)), np.zeros((n, n))
    level, service_level, wake_left = np.full(n, SYMBOL), np.full(n, SYMBOL), np.zeros(n, np.int64)
    last_scored, scored = np.full(n, SYMBOL), np.zeros(n, np.bool_)
    for t in range(path.shape[1]):
        tick = t // samples_per_tick
        if t % samples_per_tick == 0:
            scored[:] = False
            for k in range(n):
                level[k] = plan[members[k], tick]
                service_level[k], wake_left[k] = service_begin(
                    tables, level[k], service_level[k], wake_left[k]
                )
        for k in range(n):
            offered[k] = path[members[k], t]
            before_sample(service_level, wake_left, k, level[k], offered[k])
        share_out(tables, models, matrix, offered, service_level, load, room, placed)
        if wake_left.any():
            share_out(tables, models, matrix, offered, level, drawn, room, as_commanded)
        else:
            drawn[:] = load
        for k in range(n):
            if np.isnan(offered[k]):
                continue
            i = members[k]
            row = table[i, t // samples_per_day]
            asked = np.float32(max(drawn[k], np.float64(offered[k])))
            used = np.float64(draw(tables, models[k], level[k], asked, ul_per_dl[i, t // per_step]))
            if not scored[k]:
                used += _book_change(tables, models[k], row, last_scored[k], level[k])
                last_scored[k], scored[k] = level[k], True
            row[N_COLUMNS + level[k]] += 1
            row[N_COLUMNS + n_levels + level[k]] += used
            row[OFFERED] += offered[k]
            _book_service(tables, models, offered, service_level, load, placed, k, row, latency[i])
            if energy_tick.shape[1]:
                energy_tick[i, tick] += used
        for k in range(n):
            after_sample(service_level, wake_left, k, level[k])


@njit(parallel=True, cache=True)
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
