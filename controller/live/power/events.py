"""Events of power agents, and records of what was decided for sites; see controller/live/events.py."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hw.adapters.power import PowerAnswers, PowerInventory, PowerReport

UInt8 = NDArray[np.uint8]
UInt64 = NDArray[np.uint64]
Float64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class PowerConnected:
    """A stream to a power agent is open. Its state comes with the first report."""

    inventory: PowerInventory


@dataclass(frozen=True, slots=True)
class PowerReported:
    """A power agent reported."""

    report: PowerReport


@dataclass(frozen=True, slots=True)
class PowerAnswered:
    """A power agent answered setpoints or safe charging."""

    agent_id: str
    answers: PowerAnswers


@dataclass(frozen=True, slots=True)
class PowerDecided:
    """Setpoints by lease and on-battery programs: durable before they are sent. Arrays (k,)."""

    unix_us: int
    plan_id: str
    site: NDArray[np.int32]  # number of the site among those with power
    revision: UInt64
    battery_w: Float64  # at the bus, above 0 while it discharges
    import_limit_w: Float64
    reason: UInt8  # policies.site.guard.GuardReason
    programs: tuple[int, ...] = ()  # sites whose program goes with it


@dataclass(frozen=True, slots=True)
class PowerWithheld:
    """Setpoints that a plan wanted and that the ladder kept from being sent. Arrays (k,)."""

    unix_us: int
    plan_id: str
    site: NDArray[np.int32]
    battery_w: Float64
    import_limit_w: Float64
    reason: UInt8


@dataclass(frozen=True, slots=True)
class ChargedSafely:
    """Sites that were put on safe charging. Its record follows when it can. Arrays (k,)."""

    unix_us: int
    site: NDArray[np.int32]
    revision: UInt64
    reason: UInt8  # controller.live.power.standing.Why


PowerEvent = PowerConnected | PowerReported | PowerAnswered
PowerRecord = PowerDecided | PowerWithheld | ChargedSafely
