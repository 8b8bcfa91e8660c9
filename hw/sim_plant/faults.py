"""What can go wrong in the simulated plant, for each cell or site on its own."""

from __future__ import annotations

from enum import IntEnum

import numpy as np

from hw.ports import Bools, Floats, Int64


class Fault(IntEnum):
    """Numbers of plant.proto, which tells what each does."""

    FROZEN_COUNTERS = 1
    WRONG_UNIT = 2
    STUCK_RELAY = 3
    PARTIAL = 4
    SLOW_WAKE = 5
    SILENT = 6
    OUTAGE = 7
    LOCAL_CONTROL = 8
    REBOOT = 9
    SLOW_USERS = 10


PERCENT = 100.0  # of a share in the wrong unit
SLOW_WAKE = 4  # times as long


class Faults:
    """Which faults are at which of n cells or sites."""

    def __init__(self, n: int) -> None:
        self._at = np.zeros((max(Fault) + 1, n), np.bool_)
        self.slower = np.zeros(n)  # how much slower users are served where they are [ratio]

    def put(self, fault: Fault, where: Int64, *, heals: bool, share: float = 0.0) -> None:
        """Inject a fault at some places, or heal it; ``share`` is that of ``SLOW_USERS``."""
        self._at[fault, where] = not heals
        if fault is Fault.SLOW_USERS:
            self.slower[where] = 0.0 if heals else share

    def at(self, fault: Fault) -> Bools:
        """Where a fault is. (n,)"""
        return np.asarray(self._at[fault])

    def takes_effect(self, place: Int64) -> Bools:
        """Which commands (k,) of a batch reach the relays: of a partial batch every other one, from the first on."""
        return np.asarray(~self.at(Fault.PARTIAL)[place] | (np.arange(len(place)) % 2 == 0))

    def measured(self, true: Floats, before: Floats, *, is_share: bool | Bools) -> Floats:
        """What is measured of ``true``, (n,) or (q, n), with ``before`` the measurement of the last sample."""
        scaled = np.where(self.at(Fault.WRONG_UNIT) & is_share, PERCENT * true, true)
        return np.where(self.at(Fault.FROZEN_COUNTERS), before, scaled)
