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
from hw.tables import LATENCY_BINS, Tables, draw, limit_throughput, slowdown, user_throughput
from hw.waking import after_sample, before_sample, service_begin
from hw.world import DEEPEST, SYMBOL

# columns of the figures per cell and day; behind them L columns of samples and L of energy by level
OFFERED, UNSERVED, BELOW, LOST, CHANGES, WAKES, N_COLUMNS = 0, 1, 2, 3, 4, 5, 6


@dataclass(frozen=True, slots=True)
class Figures:
    """What a plan did. n cells, D days, L levels; traffic in full-rate samples of the world."""

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
    if (tables.size != 1).any():  # booked in full-rate samples of each cell
        size = tables.size[groups.model]
        table[:, :, : LOST + 1] *= size[:, None, None]
        latency *= size[:, None].astype(np.float32)
    return Figures(table, latency, energy_tick, n_levels)


@njit(cache=True)
def count_changes(path, plan, served, samples_per_tick, samples_per_day, table):  # type: ignore[no-untyped-def]
    """Write the changes of ``plan`` (n, ticks) and the wakes of ``served`` (n, samples) into a plant's ``table``.

    Going up from the level of the plan is a wake, and so is each step further up. As in the plant, a change
    counts in the first recorded sample at a level other than that of the last one.
    """
    for i in range(len(path)):
        table[i, :, CHANGES] = 0
        last, before = SYMBOL, DEEPEST
        for t in range(path.shape[1]):
            if np.isnan(path[i, t]):
                continue
            level, row = plan[i, t // samples_per_tick], table[i, t // samples_per_day]
            row[CHANGES] += (level != last) & (max(level, last) > SYMBOL)
            woken = served[i, t] if served[i, t] < level else DEEPEST
            row[WAKES] += woken < before
            last, before = level, woken


@njit(inline="always")
def _account(tables, model, row, latency, throughput, own_offered, traffic):  # type: ignore[no-untyped-def]
    """Book traffic of a cell that was offered ``own_offered`` and got ``throughput``."""
    if throughput < limit_throughput(tables, model, own_offered):
        row[BELOW] += traffic
    lost_share, at = slowdown(tables, throughput, tables.full_rate * tables.size[model] * (1 - own_offered))
    row[LOST] += traffic * lost_share
    latency[np.uint32(at)] += traffic


@njit(inline="always")
def _book_own(tables, model, level, load, offered, row, latency):  # type: ignore[no-untyped-def]
    """Book the service of what a cell on air was offered itself."""
    row[UNSERVED] += max(offered - tables.capacity[model, level], np.float32(0))
    throughput = user_throughput(tables, model, level, load, offered)
    _account(tables, model, row, latency, throughput, offered, offered)


@njit(inline="always")
def _book_change(tables, model, row, last_scored, level):  # type: ignore[no-untyped-def]
    """Count a planned change of level and give the energy of waking, if any."""
    # free of branches: numba counts references to all tables in each, and that takes longer than the samples
    row[CHANGES] += (level != last_scored) & (max(level, last_scored) > SYMBOL)
    return tables.wake_energy[model, last_scored] * (tables.asleep[last_scored] > tables.asleep[level])


@njit(cache=True, error_model="numpy")
def _single_cell(tables, model, path, ul_per_dl, plan, clock, table, latency, energy_tick):  # type: ignore[no-untyped-def]
    """One cell that is a group of its own. ``path`` (samples,), ``table`` (days, columns)."""
    samples_per_tick, samples_per_day, per_step = clock
    n_levels, by_tick = len(tables.asleep), len(energy_tick) > 0
    last_scored, service_level, wake_left = SYMBOL, SYMBOL, 0
    level, tick, next_tick, step, next_step, uplink = SYMBOL, -1, 0, -1, 0, np.float32(0)
    for day in range(len(table)):
        row, today = table[day], path[day * samples_per_day : (day + 1) * samples_per_day]
        count, energy, as_none = 0, 0.0, 0.0  # the first two since the last change of level
        for t in range(len(today)):
            if t == next_tick:
                tick, next_tick = tick + 1, next_tick + samples_per_tick
                level = int(plan[tick])
                service_level, wake_left = service_begin(tables, level, service_level, wake_left)
            if t == next_step:
                step, next_step = step + 1, next_step + per_step
                uplink = ul_per_dl[step]
            offered = today[t]
            if np.isnan(offered):
                service_level, wake_left = SYMBOL, 0
                continue
            serving = service_level if wake_left > 0 else level
            wake_left = max(wake_left - 1, 0)
            if wake_left == 0:
                service_level = level
            used = np.float64(draw(tables, model, level, offered, uplink))
            if level != last_scored:
                row[N_COLUMNS + last_scored] += count
                row[N_COLUMNS + n_levels + last_scored] += energy
                count, energy = 0, 0.0
                used += _book_change(tables, model, row, last_scored, level)
                last_scored = level
            count += 1
            energy += used
            if by_tick:
                energy_tick[tick] += used
            row[OFFERED] += offered
            if serving > SYMBOL:
                _book_own(tables, model, serving, offered, offered, row, latency)
            else:
                as_none += offered
        row[N_COLUMNS + last_scored] += count
        row[N_COLUMNS + n_levels + last_scored] += energy
        latency[0] += as_none
        next_tick, next_step = next_tick - len(today), next_step - len(today)


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
        _book_own(tables, models[k], level, load[k], offered[k], row, latency)
        return
    left, model = np.float64(offered[k]), models[k]
    for c in range(len(offered)):
        if placed[k, c] > 0:
            free = tables.rate[models[c], service_level[c]] - load[c]
            handed = placed[k, c] / tables.size[model]
            throughput = tables.full_rate * tables.size[models[c]] * free
            _account(tables, model, row, latency, throughput, offered[k], handed)
            left -= handed
    if left > 1e-9:
        row[UNSERVED] += left
        _account(tables, model, row, latency, 0.0, offered[k], left)


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
        matrix = local_candidates(members, groups)
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
