"""What each decision was weighed against: the level wanted, the one chosen, and the next deeper one.

For each of them: how much load it bears, and what it is expected to save against symbol shutdown. A cell off air
bears what its candidates on air have room for, each above its own upper quantile, after what other cells off air
may need there. Its own saving is less by what its traffic costs them. Uplink is left out, as the planners do.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.special import ndtr

from hw.tables import Tables, draw
from hw.world import SYMBOL
from policies.expected import target_load
from policies.forecast import Forecast
from policies.network import Network
from policies.policy import GUARD_REASONS, Decision

UPPER = 0.95  # probability of the upper quantile that loads are held against

Float32 = NDArray[np.float32]


class Counterfactual(NamedTuple):
    """Beside the decision of one tick, 28 bytes a cell. n cells; NaN where a forecast is missing that it takes."""

    wanted: NDArray[np.uint8]  # (n,) level that the planner asked for, before the guards
    level: NDArray[np.uint8]  # (n,) level chosen
    deeper: NDArray[
        np.uint8
    ]  # (n,) next deeper level that the cell may use; the chosen one where there is none
    guard: NDArray[np.uint8]  # (n,) reason code of the guard that decided, 0 none
    upper: Float32  # (n,) offered load not exceeded with probability ``UPPER`` [ratio of full rate]
    limit: Float32  # (n,) largest offered load that keeps its target at the chosen level, inf awake [ratio]
    deeper_limit: Float32  # (n,) the same at the deeper level
    saving: Float32  # (n,) expected against symbol shutdown over the tick [power_unit x h]
    deeper_saving: Float32  # (n,) [power_unit x h]
    wake_s: Float32  # (n,) from the command to the first traffic at full service [s]


class Weighed(NamedTuple):
    """All levels of one cell, its neighbours as commanded. L levels; NaN where a forecast is missing that it takes."""

    limit: NDArray[np.float64]  # (L,) [ratio]
    over: NDArray[np.float64]  # (L,) probability that a sample exceeds the limit
    beyond: NDArray[np.float64]  # (L,) traffic expected in such samples [ratio]
    power: NDArray[np.float64]  # (L,) expected, with what its traffic costs its candidates [power_unit]


class Counterfactuals:
    """Finds the counterfactual of each decision of one network."""

    def __init__(self, network: Network, tables: Tables, wake_s: Float32) -> None:
        """``wake_s`` (L,): wake-up time of each level. [s]"""
        self._network, self._tables, self._wake_s = network, tables, np.asarray(wake_s, np.float32)
        self._limit = target_load(tables)
        self._reach = self._limit.copy()
        # an awake cell keeps its own traffic as under none; what others hand it may not cost it the target
        self._reach[:, : SYMBOL + 1] = np.reshape(1 - tables.target / tables.full_rate, (-1, 1))
        sizes = np.diff(network.groups.group_start)
        self._group_of = np.empty(network.n_cells, np.int64)
        self._group_of[network.groups.member] = np.repeat(np.arange(network.n_groups), sizes)
        self._deeper = _next_deeper(network.allowed)

    def of(
        self, wanted: NDArray[np.uint8], decision: Decision, forecast: Forecast | None, tick_s: int
    ) -> Counterfactual:
        """The counterfactual of a guarded ``decision``; the planner ``wanted`` (n,)."""
        n = self._network.n_cells
        cells = np.arange(n)
        deeper = self._deeper[cells, decision.level]
        scene = self._scene(decision.level, forecast)
        at = np.stack([np.full(n, SYMBOL, np.uint8), decision.level, deeper])
        limits, powers = np.empty(at.shape, np.float32), np.empty(at.shape)
        _bear(*scene, cells, at, limits, powers)
        saving = ((powers[0] - powers[1:]) * tick_s / 3600).astype(np.float32)
        guarded = (decision.reason >= GUARD_REASONS.start) & (decision.reason < GUARD_REASONS.stop)
        return Counterfactual(
            wanted=wanted.copy(),
            level=decision.level.copy(),
            deeper=deeper,
            guard=np.where(guarded, decision.reason, 0).astype(np.uint8),
            upper=scene[-1].upper,
            limit=limits[1],
            deeper_limit=limits[2],
            saving=saving[0],
            deeper_saving=saving[1],
            wake_s=self._wake_s[decision.level],
        )

    def weigh(self, cell: int, level: NDArray[np.uint8], forecast: Forecast | None) -> Weighed:
        """Every level of one cell, were all others at their ``level`` (n,)."""
        n_levels = len(self._tables.asleep)
        scene = self._scene(level, forecast)
        limit, power = np.empty((n_levels, 1), np.float32), np.empty((n_levels, 1))
        at = np.arange(n_levels, dtype=np.uint8)[:, None]
        _bear(*scene, np.array([cell]), at, limit, power)
        mean, log_sd = scene[-1].mean[cell], scene[-1].log_sd[cell]
        with np.errstate(divide="ignore"):
            away = (scene[-1].log_median[cell] - np.log(limit[:, 0].astype(np.float64))) / log_sd
        awake = np.arange(n_levels) <= SYMBOL
        over = np.where(awake, 0 * mean, ndtr(away))
        beyond = np.where(awake, 0 * mean, mean * ndtr(away + log_sd))
        return Weighed(limit[:, 0].astype(np.float64), over, beyond, power[:, 0])

    def room(self, level: NDArray[np.uint8], forecast: Forecast | None) -> Float32:
        """Traffic that the candidates of each cell could take over, were the cell off air. (n,) [ratio]"""
        room = np.empty(self._network.n_cells, np.float32)
        tables, _, *rest = self._scene(level, forecast)
        _rooms(tables, *rest, room)
        return room

    def _scene(self, level: NDArray[np.uint8], forecast: Forecast | None) -> tuple[Any, ...]:
        """What the kernels read, the belief last."""
        n = self._network.n_cells
        if forecast is None:
            unknown = np.full(n, np.nan)
            belief = Belief(unknown.astype(np.float32), unknown, unknown, unknown)
        else:
            log_median = np.where(forecast.known, forecast.log_median[:, 0], np.nan)
            log_sd = np.ascontiguousarray(forecast.log_sd[:, 0])
            mean = np.minimum(np.exp(log_median + 0.5 * log_sd**2), 1)
            first = Forecast(forecast.log_median[:, :1], forecast.log_sd[:, :1], forecast.known)
            belief = Belief(first.quantile(UPPER)[:, 0].copy(), log_median, log_sd, mean)
        return self._tables, self._limit, self._reach, self._network.groups, self._group_of, level, belief


class Belief(NamedTuple):
    """The forecast of the coming tick. n cells, NaN unknown."""

    upper: Float32  # (n,) [ratio]
    log_median: NDArray[np.float64]  # (n,)
    log_sd: NDArray[np.float64]  # (n,)
    mean: NDArray[np.float64]  # (n,) [ratio]


def _next_deeper(allowed: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Next deeper allowed level from each level, the level itself where there is none. (n, L)"""
    n_levels = allowed.shape[1]
    deeper = np.empty(allowed.shape, np.uint8)
    following = np.full(len(allowed), n_levels)
    for level in range(n_levels - 1, -1, -1):
        deeper[:, level] = np.where(following < n_levels, following, level)
        following = np.where(allowed[:, level], level, following)
    return deeper


@njit(inline="always")
def _common(groups, i, j):  # type: ignore[no-untyped-def]
    """Whether two cells have a candidate in common."""
    for a in range(groups.candidate_start[i], groups.candidate_start[i + 1]):
        for b in range(groups.candidate_start[j], groups.candidate_start[j + 1]):
            if groups.candidate[a] == groups.candidate[b]:
                return True
    return False


@njit(inline="always")
def _room(tables, reach, groups, group_of, level, belief, i):  # type: ignore[no-untyped-def]
    """Load that the candidates of cell i can take over with their upper quantiles. [ratio]"""
    room = 0.0
    for at in range(groups.candidate_start[i], groups.candidate_start[i + 1]):
        c = groups.candidate[at]
        if not tables.asleep[level[c]] and not np.isnan(belief.upper[c]):
            size = tables.size[groups.model[c]] / tables.size[groups.model[i]]
            room += size * max(reach[groups.model[c], level[c]] - belief.upper[c], 0.0)
    g = group_of[i]
    for m in range(groups.group_start[g], groups.group_start[g + 1]):
        j = groups.member[m]
        if j != i and tables.asleep[level[j]] and _common(groups, i, j):
            size = tables.size[groups.model[j]] / tables.size[groups.model[i]]
            room = room - size * belief.upper[j] if not np.isnan(belief.upper[j]) else 0.0
    return max(room, 0.0)


@njit(inline="always")
def _taken_over(tables, groups, level, belief, i):  # type: ignore[no-untyped-def]
    """What the expected traffic of cell i costs the candidates that take it, by their room. [power_unit]"""
    total, cost = 0.0, 0.0
    for turn in range(2):
        whole = total
        for at in range(groups.candidate_start[i], groups.candidate_start[i + 1]):
            c = groups.candidate[at]
            own = belief.mean[c]
            if tables.asleep[level[c]] or np.isnan(own):
                continue
            room = max(tables.capacity[groups.model[c], level[c]] - own, 0.0)
            if turn == 0:
                total += room * tables.size[groups.model[c]] / tables.size[groups.model[i]]
            elif whole > 0:
                more = own + room * min(belief.mean[i] / whole, 1.0)
                cost += draw(tables, groups.model[c], level[c], np.float32(more), np.float32(0)) - draw(
                    tables, groups.model[c], level[c], np.float32(own), np.float32(0)
                )
    return cost


@njit(cache=True)
def _bear(tables, limit, reach, groups, group_of, level, belief, cells, at, limits, powers):  # type: ignore[no-untyped-def]
    """Limit and expected power of ``cells`` (k,) at each of their levels ``at`` (rows, k), into (rows, k).

    One loop without calls: handing all these arrays to another function costs more than the work.
    """
    for k in range(len(cells)):
        i = cells[k]
        mean, model = belief.mean[i], groups.model[i]
        for row in range(len(at)):
            own = np.int64(at[row, k])
            off = tables.asleep[own]
            limits[row, k], powers[row, k] = np.nan if off else limit[model, own], np.nan
            if np.isnan(mean):
                continue
            offered = np.float32(0) if off else np.float32(mean)
            powers[row, k] = draw(tables, model, own, offered, np.float32(0))
            if off:
                powers[row, k] += _taken_over(tables, groups, level, belief, i)
                limits[row, k] = _room(tables, reach, groups, group_of, level, belief, i)


@njit(cache=True)
def _rooms(tables, reach, groups, group_of, level, belief, room):  # type: ignore[no-untyped-def]
    for i in range(len(room)):
        room[i] = _room(tables, reach, groups, group_of, level, belief, i)
