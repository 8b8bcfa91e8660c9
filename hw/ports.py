"""What agents ask of the plant behind them, and everybody of a clock. Small on purpose: an ability, never a vendor."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Bools = NDArray[np.bool_]
UInt8 = NDArray[np.uint8]
Int64 = NDArray[np.int64]
Floats = NDArray[np.float64]
Float32 = NDArray[np.float32]


class Clock(Protocol):
    """Time. Leases know the monotonic one only."""

    def monotonic_us(self) -> int:
        """Never runs backwards; one and the same for all processes of a host. [us]"""
        ...

    def unix_us(self) -> int:
        """Unix time, UTC. [us]"""
        ...


class HostClock:
    """The clocks of this host, run ``speed`` times as fast since ``began_unix_us`` for simulation."""

    def __init__(self, speed: float = 1.0, began_unix_us: int = 0, shown_unix_us: int | None = None) -> None:
        """``shown_unix_us``: what the simulated clock shows at ``began_unix_us``; None: the same."""
        if not speed > 0:
            raise ValueError(f"speed must be above 0, not {speed}")
        self.speed = speed
        self._began_us = began_unix_us
        self._shown_us = began_unix_us if shown_unix_us is None else shown_unix_us

    def monotonic_us(self) -> int:
        """The host's monotonic clock, times ``speed``. [us]"""
        return int(time.monotonic_ns() * self.speed) // 1000

    def unix_us(self) -> int:
        """Simulated Unix time, UTC. [us]"""
        return self._shown_us + int((time.time_ns() // 1000 - self._began_us) * self.speed)


@dataclass(frozen=True, slots=True)
class RadioAbilities:
    """Cells behind an agent. n cells, L levels from full service to the deepest."""

    cell_id: tuple[str, ...]
    site_id: tuple[str, ...]
    product: tuple[str, ...]
    is_capacity: Bools  # (n,)
    level_names: tuple[str, ...]
    wake_ms: Int64  # (L,) until the cell serves at full
    off_air: Bools  # (L,)
    allowed: Bools  # (n, L)
    has_dead_man: Bools  # (n,)
    full_service_level: int  # levels above it need a lease
    is_simulated: bool = False  # no radio of a real network is behind it

    @property
    def n_cells(self) -> int:
        """Number of cells."""
        return len(self.cell_id)


def not_measured() -> Float32:
    """What stands for a quantity that is not measured at all. (0, 0)"""
    return np.zeros((0, 0), np.float32)


@dataclass(frozen=True, slots=True)
class RadioReading:
    """State of n cells, and s samples measured since the last reading, oldest first."""

    level: UInt8  # (n,)
    local_control: Bools  # (n,) switched or locked by hand
    last_sample: int  # number of the last sample
    end_unix_us: Int64  # (s,)
    interval_ms: int
    carried: Float32  # (n, s) NaN: not measured [ratio]
    throughput: Float32 = field(default_factory=not_measured)  # of a user; (n, s) NaN: nobody served [Mbit/s]
    energy_wh: Float32 = field(default_factory=not_measured)  # (n, s) NaN: not measured


@dataclass(frozen=True, slots=True)
class RadioSetting:
    """What k cells are set to. All (k,)."""

    cell: Int64
    level: UInt8
    until_us: Int64  # monotonic time at which the cell's own timer wakes it; 0: no timer
    extends: Bools  # only moves the timer of a cell that is at the level; one that is not stays as it is


class RadioPlant(Protocol):
    """The radios behind an agent."""

    async def abilities(self) -> RadioAbilities:
        """What there is."""
        ...

    async def apply(self, setting: RadioSetting, number: int) -> Bools:
        """Set cells. Returns whether each is set so, waking included. Raises OSError when the plant cannot be reached.

        ``number`` counts up with each order, over restarts of the agent too but not of its host: as the host boots
        its monotonic clock begins anew, and so does a plant. One that outlives its agent's host must forget the highest
        number then. Orders may overtake each other on their way: a cell that has obeyed a higher number is not touched
        by a lower one.
        """
        ...

    async def read(self, after_sample: int) -> RadioReading:
        """State, and the samples after one. Raises OSError when the plant cannot be reached."""
        ...


@dataclass(frozen=True, slots=True)
class PowerAbilities:
    """Sites behind an agent. All arrays (m,)."""

    site_id: tuple[str, ...]
    charge_max_w: Floats  # at the bus
    discharge_max_w: Floats  # at the bus
    capacity_wh: Floats
    reserve_wh: Floats  # kept whatever is commanded, except in a mains failure
    import_cap_w: Floats
    has_dead_man: Bools
    is_simulated: bool = False  # no battery of a real network is behind it

    @property
    def n_sites(self) -> int:
        """Number of sites."""
        return len(self.site_id)


@dataclass(frozen=True, slots=True)
class PowerReading:
    """State of m sites, and s samples measured since the last reading, oldest first."""

    is_safe: Bools  # (m,) on safe charging
    battery_w: Floats  # (m,) in force
    local_control: Bools  # (m,)
    last_sample: int
    end_unix_us: Int64  # (s,)
    interval_ms: int
    soc: Floats  # (m, s) [ratio], as the rest
    cell_v: Floats
    battery_a: Floats
    import_w: Floats
    load_w: Floats
    pv_w: Floats
    stored_wh: Floats
    mains: Bools  # (m, s)


@dataclass(frozen=True, slots=True)
class PowerSetting:
    """What k sites are set to. All (k,)."""

    site: Int64
    battery_w: Floats  # at the bus, above 0 while it discharges
    import_limit_w: Floats
    until_us: Int64  # monotonic time at which the site's own timer puts it on safe charging; 0: no timer
    is_safe: Bools  # on safe charging instead
    extends: Bools  # only moves the timer of a site under a setpoint; one on safe charging stays so
    radio_ratio: Floats  # radio power kept in a mains failure, over that of full service
    keeps_transport: Bools


class PowerPlant(Protocol):
    """Site power behind an agent."""

    async def abilities(self) -> PowerAbilities:
        """What there is."""
        ...

    async def apply(self, setting: PowerSetting, number: int) -> Bools:
        """Set sites. Returns whether each holds its setting. Raises OSError when the plant cannot be reached.

        ``number`` is that of RadioPlant.apply.
        """
        ...

    async def read(self, after_sample: int) -> PowerReading:
        """State, and the samples after one. Raises OSError when the plant cannot be reached."""
        ...
