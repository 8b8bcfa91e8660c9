"""Planners, observations and clocks that do their worst to the guards, all from one seed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hw.world import SYMBOL, World
from policies.guards import Facts, Guards, Locks
from policies.network import Network, build_network
from policies.policy import Decision, Reason
from policies.profile import GuardProfile

Mask = NDArray[np.bool_]

OPEN = GuardProfile(
    max_changes_per_cell_day=10**6,
    dwell_s=0,
    hysteresis_ticks=1,
    least_awake_s=0,
    max_reversals=10**3,
    reversal_window_s=0,
    lockout_s=0,
    max_deeper_share=1.0,
    least_on_air_share=0.0,
    telemetry_max_age_s=0,
)  # no limit binds
STRICT = GuardProfile(
    max_changes_per_cell_day=6,
    dwell_s=1200,
    hysteresis_ticks=2,
    least_awake_s=1800,
    max_reversals=2,
    reversal_window_s=14400,
    lockout_s=7200,
    max_deeper_share=0.4,
    least_on_air_share=0.5,
    telemetry_max_age_s=1000,
)  # every limit binds
TICKS_S = (900, 900, 900, 900, 900, 900, 60, 0, 3600, -1800, 10, 86400)
RARE_TICKS_S = (-2 * 86400, 40 * 86400, -40 * 86400)
KEPT = Reason.DEEPEST  # the reason that the planner gives


@dataclass(frozen=True, slots=True)
class Patch:
    """A network with sites. n cells."""

    network: Network
    asleep: Mask  # (L,)
    site: NDArray[np.int32]  # (n,)


def make_patch(world: World, n_cells: int, rng: np.random.Generator) -> Patch:
    """Sites of one to nine cells: cells alone, layers over a coverage cell, pairs, candidates at the next site."""
    site = np.sort(rng.integers(0, max(1, n_cells // 5), n_cells))
    site = np.unique(site, return_inverse=True)[1].astype(np.int32)
    candidates: list[list[int]] = [[] for _ in range(n_cells)]
    anchor = np.full(n_cells, -1, np.int32)
    at = 0
    while at < n_cells:
        size = min(int(rng.integers(1, 5)), n_cells - at)
        for i in range(at + 1, at + size):
            pool = np.delete(np.arange(at, at + size), i - at)
            candidates[i] = sorted(
                rng.choice(pool, int(rng.integers(1, len(pool) + 1)), replace=False).tolist()
            )
        if size > 1 and rng.random() < 0.3:  # cells that cover each other, nobody below them
            candidates[at] = [at + 1]
        if size > 2 and rng.random() < 0.4:  # a 5G leg and the LTE cell under which it is served
            anchor[at + 1] = at + 2
        at += size
    start = np.concatenate([[0], np.cumsum([len(c) for c in candidates])]).astype(np.int32)
    flat = np.array([c for own in candidates for c in own], np.int32)
    capacity = np.diff(start) > 0
    network = build_network(world, np.zeros(n_cells, np.int32), capacity, start, flat, anchor=anchor)
    allowed = network.allowed.copy()
    allowed[rng.random(n_cells) < 0.2, rng.integers(SYMBOL + 1, allowed.shape[1])] = False  # smaller radios
    return Patch(replace(network, allowed=allowed), world.asleep, site)


class Adversary:
    """Wishes, reports and times of one run. n cells, L levels."""

    unreal_share = 0.01  # of wishes that are no level at all

    def __init__(self, patch: Patch, rng: np.random.Generator) -> None:
        n = patch.network.n_cells
        self._patch, self._rng = patch, rng
        self._kind = rng.integers(0, 5, n)  # how the planner treats each cell
        self._kind[rng.random(n) < 0.5] = rng.integers(0, 5)  # half of them alike
        self._wish = np.full(n, SYMBOL, np.int64)
        self._locks = np.zeros((4, n), np.bool_)
        self._now_s, self._offset_s = 1_740_960_000, 3600
        self._level = np.full(n, SYMBOL, np.uint8)
        self._outage = np.zeros(n, np.bool_)

    def ticks(self, count: int) -> Iterator[tuple[Decision, Facts]]:
        """Wishes and facts of so many ticks; tell ``commanded`` what became of each."""
        for _ in range(count):
            yield Decision(self._plan(), np.full(len(self._kind), KEPT, np.uint8)), self._observe()

    def commanded(self, level: NDArray[np.uint8]) -> None:
        """The levels that were commanded. (n,)"""
        self._level = level

    def _plan(self) -> NDArray[np.uint8]:
        rng, n, levels = self._rng, len(self._kind), len(self._patch.asleep)
        anything = rng.integers(0, levels, n)
        anything[rng.random(n) < self.unreal_share] = 255
        deepest = levels - 1 - rng.integers(0, 2)
        flip = np.where(self._wish > SYMBOL, SYMBOL, deepest)
        kept = np.where(rng.random(n) < 0.15, anything, self._wish)
        ladder = np.where(rng.random(n) < 0.1, SYMBOL, np.minimum(self._wish + 1, levels - 1))
        may = self._patch.network.allowed
        allowed = levels - 1 - np.argmax(may[:, ::-1], axis=1)  # the deepest that it may use
        self._wish = np.choose(self._kind, [anything, kept, flip, ladder, allowed])
        return self._wish.astype(np.uint8)

    def _observe(self) -> Facts:
        rng, n = self._rng, len(self._kind)
        step = int(rng.choice(RARE_TICKS_S if rng.random() < 0.01 else TICKS_S))
        self._now_s += step
        if rng.random() < 0.01:  # daylight saving begins or ends
            self._offset_s = 10800 - self._offset_s
        level = self._level.copy()
        wrong = rng.random(n) < 0.02
        level[wrong] = rng.choice([0, 1, 2, 3, 4, 5, 6, 99], int(wrong.sum()))
        self._locks ^= rng.random((4, n)) < np.where(self._locks, 0.3, 0.01)
        self._outage ^= rng.random(n) < np.where(self._outage, 0.5, 0.02)
        return Facts(
            level=level,
            fresh=~self._outage,
            overloaded=rng.random(n) < 0.01,
            locks=Locks(*self._locks.copy()),
            now_s=self._now_s,
            day=(self._now_s + self._offset_s) // 86400,
        )


def make_guards(patch: Patch, limits: GuardProfile) -> Guards:
    """Guards of a patch."""
    return Guards(patch.network, patch.asleep, limits, patch.site)
