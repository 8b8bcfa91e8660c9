"""Messages between the controller and a radio agent, as arrays. Cells are named by their place in the inventory.

Meaning of each field: proto/quietcell/ran/v1/ran.proto.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from hw.ports import Bools, Float32, Int64, RadioAbilities, UInt8, not_measured

UInt64 = NDArray[np.uint64]


class Outcome(IntEnum):
    """What became of a command; numbers of lease.proto."""

    ACCEPTED = 1
    APPLIED = 2
    REJECTED = 3
    SUPERSEDED = 4
    EXPIRED = 5


class RejectCause(IntEnum):
    """Why a command was refused; numbers of lease.proto."""

    NONE = 0
    OTHER_BOOT = 1
    LOWER_EPOCH = 2
    LOWER_REVISION = 3
    REVISION_REUSED = 4
    UNEXPECTED_STATE = 5
    STOPPED = 6
    LOCAL_CONTROL = 7
    INVALID = 8
    SITE_LIMIT = 9
    UNKNOWN_REPORT = 10
    NO_DEAD_MAN = 11
    PLANT_FAILED = 12
    DIGEST_MISMATCH = 13
    TOO_MANY = 14
    NOT_GRANTED = 15


@dataclass(frozen=True, slots=True)
class Origin:
    """Who decided, and on which report of the agent."""

    leader_epoch: int
    boot_id: bytes
    monotonic_us: int
    controller_id: str


@dataclass(frozen=True, slots=True)
class Inventory:
    """What an agent of this boot has."""

    agent_id: str
    boot_id: bytes
    abilities: RadioAbilities
    longest_term_ms: int
    longest_plan_ms: int
    highest_epoch: int


@dataclass(frozen=True, slots=True)
class Report:
    """Telemetry and state of an agent's n cells; s samples, oldest first."""

    agent_id: str
    boot_id: bytes
    monotonic_us: int
    sequence: int
    measured_unix_us: int  # end of the last sample; earlier ones end interval_ms before
    interval_ms: int
    carried: NDArray[np.float32]  # (n, s) [ratio]
    level: UInt8  # (n,) as the plant reports it
    commanded_level: UInt8  # (n,) by lease; full service without one
    revision: UInt64  # (n,) highest seen
    lease_left_ms: Int64  # (n,)
    local_control: Bools  # (n,)
    active_digest: bytes
    is_stopped: bool
    highest_epoch: int
    # (n, s), or (0, 0) where none is measured; NaN: not this one
    throughput: Float32 = field(default_factory=not_measured)  # of a user [Mbit/s]
    energy_wh: Float32 = field(default_factory=not_measured)


@dataclass(frozen=True, slots=True)
class CommandBatch:
    """Levels for k cells. Arrays (k,)."""

    origin: Origin
    plan_id: str
    idempotency_key: bytes
    term_ms: int
    cell: Int64
    revision: UInt64
    level: UInt8
    expected_level: UInt8
    reason: UInt8


@dataclass(frozen=True, slots=True)
class WakeBatch:
    """Cells to bring to full service. Arrays (k,)."""

    origin: Origin
    cell: Int64
    revision: UInt64
    reason: UInt8


@dataclass(frozen=True, slots=True)
class Answers:
    """One answer a command or wake. Arrays (k,)."""

    cell: Int64
    revision: UInt64
    outcome: UInt8  # Outcome
    cause: UInt8  # RejectCause
    level: UInt8  # in force now


@dataclass(frozen=True, slots=True)
class Renewal:
    """Extends all leases of an agent, if it means the same ones."""

    origin: Origin
    active_digest: bytes
    term_ms: int
    # the report that the last plan, which keeps these leases, was decided on; 0: none
    plan_monotonic_us: int = 0


@dataclass(frozen=True, slots=True)
class RenewalAnswer:
    """What became of a renewal."""

    monotonic_us: int  # the report that it echoed
    outcome: int  # Outcome
    cause: int  # RejectCause
    active_digest: bytes  # the agent's
