"""The simulated plant as its own telemetry sees it, tick by tick: what each cell carried in each sample."""

from __future__ import annotations

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from hw.sharing import Groups, local_candidates, share_out
from hw.tables import Tables
from hw.waking import after_sample, before_sample, service_begin
from hw.world import SYMBOL


class SimulatedPlant:
    """Cells that serve a known offered traffic. Start awake; ``step`` through the ticks in order."""

    def __init__(
        self, tables: Tables, groups: Groups, path: NDArray[np.float32], *, samples_per_tick: int
    ) -> None:
        n = len(groups.model)
        self._tables, self._groups, self._path = tables, groups, path
        self._samples_per_tick = samples_per_tick
        self._service_level = np.full(n, SYMBOL, np.int64)
        self._wake_left = np.zeros(n, np.int64)
        self._next = 0

    def step(self, level: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Serve one tick at ``level`` (n,) and report the traffic carried per sample. (n, samples) [ratio]

        A cell off air reports 0, an unrecorded sample is NaN; what a sleeping cell hands over shows at its
        candidates.
        """
        stop = min(self._next + self._samples_per_tick, self._path.shape[1])
        offered = self._path[:, self._next : stop]
        carried = np.empty(offered.shape, np.float32)
        serve(self._tables, self._groups, offered, level, self._service_level, self._wake_left, carried)
        self._next = stop
        return carried


@njit(parallel=True, cache=True)
def serve(tables, groups, offered, level, service_level, wake_left, carried):  # type: ignore[no-untyped-def]
    """Serve the cells of ``groups`` for some samples at ``level`` (n,); writes their ``carried`` (n, samples)."""
    for g in prange(len(groups.group_start) - 1):
        members = groups.member[groups.group_start[g] : groups.group_start[g + 1]]
        n = len(members)
        if n > 1:
            _serve_group(tables, groups, members, offered, level, service_level, wake_left, carried)
            continue
        i = members[0]
        model = groups.model[i]
        service_level[i], wake_left[i] = service_begin(
            tables, np.int64(level[i]), service_level[i], wake_left[i]
        )
        for t in range(offered.shape[1]):
            before_sample(service_level, wake_left, i, level[i], offered[i, t])
            carried[i, t] = min(offered[i, t], tables.capacity[model, service_level[i]])
            after_sample(service_level, wake_left, i, level[i])


@njit(cache=True)
def _serve_group(tables, groups, members, offered, level, service_level, wake_left, carried):  # type: ignore[no-untyped-def]
    n = len(members)
    models = groups.model[members]
    matrix = local_candidates(members, groups)
    now, load, room, placed = np.empty(n, np.float32), np.empty(n), np.empty(n), np.zeros((n, n))
    for i in members:
        service_level[i], wake_left[i] = service_begin(
            tables, np.int64(level[i]), service_level[i], wake_left[i]
        )
    for t in range(offered.shape[1]):
        for k in range(n):
            i = members[k]
            now[k] = offered[i, t]
            before_sample(service_level, wake_left, i, level[i], now[k])
        share_out(tables, models, matrix, now, service_level[members], load, room, placed)
        for k in range(n):
            i = members[k]
            carried[i, t] = np.nan if np.isnan(now[k]) else load[k]
            after_sample(service_level, wake_left, i, level[i])
