"""A plant in memory with a dead-man timer of its own, and a clock that stands until it is moved."""

from __future__ import annotations

import numpy as np

from hw.ports import Bools, Clock, RadioAbilities, RadioReading, RadioSetting

FULL = 1
LEVELS = ("full", "symbol", "32t", "carrier")


class HandClock:
    """Time that a test moves."""

    def __init__(self, now_us: int = 1_000_000) -> None:
        self.now_us = now_us

    def monotonic_us(self) -> int:
        return self.now_us

    def unix_us(self) -> int:
        return self.now_us


def abilities(n: int, without_timer: tuple[int, ...] = ()) -> RadioAbilities:
    """Cell 0 is a coverage cell, which never takes the deepest level."""
    allowed = np.ones((n, len(LEVELS)), np.bool_)
    allowed[0, 3] = False
    has_timer = np.ones(n, np.bool_)
    has_timer[list(without_timer)] = False
    return RadioAbilities(
        tuple(f"c{i}" for i in range(n)),
        tuple("site" for _ in range(n)),
        tuple("" for _ in range(n)),
        np.arange(n) > 0,
        LEVELS,
        np.array([0, 0, 100, 2000]),
        np.array([False, False, False, True]),
        allowed,
        has_timer,
        FULL,
    )


class MemoryRadio:
    """Radios that fire their timers whenever they are looked at."""

    def __init__(self, n: int, clock: Clock, without_timer: tuple[int, ...] = ()) -> None:
        self.has = abilities(n, without_timer)
        self.clock = clock
        self.level = np.full(n, FULL, np.uint8)
        self.until_us = np.zeros(n, np.int64)
        self.number = np.zeros(n, np.int64)
        self.local = np.zeros(n, np.bool_)
        self.is_silent = False
        self.is_stuck = False
        self.orders: list[tuple[list[int], list[int], list[int]]] = []
        self.ends: list[int] = []

    def fire(self) -> None:
        """Wake what is due."""
        due = (self.until_us > 0) & (self.until_us <= self.clock.monotonic_us())
        self.level[due], self.until_us[due] = FULL, 0

    async def abilities(self) -> RadioAbilities:
        return self.has

    def _check(self) -> None:
        if self.is_silent:
            raise OSError("silent")

    async def apply(self, setting: RadioSetting, number: int) -> Bools:
        self._check()
        self.fire()
        cell, level, until_us = setting.cell, setting.level, setting.until_us
        self.orders.append((cell.tolist(), level.tolist(), until_us.tolist()))
        done = ~self.local[cell] & (not self.is_stuck) & (number >= self.number[cell])
        done &= ~setting.extends | (self.level[cell] == level)
        took = cell[done]
        self.level[took], self.until_us[took], self.number[took] = level[done], until_us[done], number
        self.fire()
        return done

    async def read(self, after_sample: int) -> RadioReading:
        self._check()
        self.fire()
        ends = np.array(self.ends[after_sample:], np.int64)
        carried = np.full((self.has.n_cells, len(ends)), 0.25, np.float32)
        return RadioReading(self.level.copy(), self.local.copy(), len(self.ends), ends, 1000, carried)
