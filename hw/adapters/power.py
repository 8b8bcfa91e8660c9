"""Messages between the controller and a power agent, as arrays. Sites are named by their place in the inventory.

Meaning of each field: proto/quietcell/power/v1/power.proto. Renewals and their answers: hw/adapters/radio.py.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hw.adapters.radio import Origin
from hw.ports import Bools, Floats, Int64, PowerAbilities, UInt8

UInt64 = NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class PowerInventory:
    """What an agent of this boot has."""

    agent_id: str
    boot_id: bytes
    abilities: PowerAbilities
    longest_term_ms: int
    longest_plan_ms: int
    highest_epoch: int


@dataclass(frozen=True, slots=True)
class PowerReport:
    """Telemetry and state of an agent's m sites; s samples, oldest first."""

    agent_id: str
    boot_id: bytes
    monotonic_us: int
    sequence: int
    measured_unix_us: int  # end of the last sample
    interval_ms: int
    soc: Floats  # (m, s) [ratio], as the rest
    cell_v: Floats
    battery_a: Floats
    import_w: Floats
    load_w: Floats
    pv_w: Floats
    stored_wh: Floats
    mains: Bools  # (m, s)
    is_leased: Bools  # (m,)
    battery_w: Floats  # (m,) commanded
    import_limit_w: Floats  # (m,) commanded
    revision: UInt64  # (m,)
    lease_left_ms: Int64  # (m,)
    local_control: Bools  # (m,)
    program_revision: UInt64  # (m,)
    program_stage: Int64  # (m,)
    active_digest: bytes
    is_stopped: bool
    highest_epoch: int


@dataclass(frozen=True, slots=True)
class OnBattery:
    """The program of one site in a mains failure. Arrays (k,), one entry a stage."""

    site: int
    revision: int
    after_s: Floats
    below_ratio: Floats
    radio_ratio: Floats
    keeps_transport: Bools
    back_s: float


@dataclass(frozen=True, slots=True)
class SetpointBatch:
    """Setpoints for k sites. Arrays (k,)."""

    origin: Origin
    plan_id: str
    idempotency_key: bytes
    term_ms: int
    site: Int64
    revision: UInt64
    battery_w: Floats
    import_limit_w: Floats
    reason: UInt8
    programs: tuple[OnBattery, ...] = ()


@dataclass(frozen=True, slots=True)
class SafeBatch:
    """Sites to put on safe charging. Arrays (k,)."""

    origin: Origin
    site: Int64
    revision: UInt64
    reason: UInt8


@dataclass(frozen=True, slots=True)
class PowerAnswers:
    """One answer a command. Arrays (k,)."""

    site: Int64
    revision: UInt64
    outcome: UInt8  # Outcome
    cause: UInt8  # RejectCause
