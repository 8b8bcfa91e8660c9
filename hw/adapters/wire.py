"""What the codecs of radio and power share: limits, checks, and the messages of lease.proto.

A message that breaks the contract raises ContractError with the path of the field. Whether a lawful message is obeyed
is not decided here but by the agent's core.
"""

from __future__ import annotations

from collections.abc import Sequence, Sized
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from quietcell.lease.v1 import lease_pb2

from hw.adapters.radio import Origin, Outcome, RejectCause, Renewal, RenewalAnswer
from hw.ports import Floats, Int64, UInt8

UInt64 = NDArray[np.uint64]

MAX_ITEMS = 65_536  # commands, cells or sites in a message
MAX_SAMPLES = 240  # intervals in a report
MAX_STAGES = 32  # of an on-battery program
MAX_TEXT = 512  # characters of a name, an author or a reason
MAX_KEY_BYTES = 64  # of a boot id, a digest or an idempotency key
BOOT_ID_BYTES = 16
INSTANCE_BYTES = 16  # of one start of one controller
MAX_MESSAGE_BYTES = 1 << 20


class ContractError(ValueError):
    """A message that breaks the contract; the message names the field, the value and what is allowed."""


@dataclass(frozen=True, slots=True)
class Hello:
    """Opens a stream."""

    leader_epoch: int
    controller_id: str
    report_every_ms: int  # 0: the agent's own
    leads_by_grants: bool = False  # is obeyed only while a grant of the agent runs


@dataclass(frozen=True, slots=True)
class Candidate:
    """Who asks for leadership: one start of one controller."""

    epoch: int
    controller_id: str
    instance_id: bytes


@dataclass(frozen=True, slots=True)
class Leadership:
    """How the leadership of an agent stands."""

    is_granted: bool  # to who asked
    highest_epoch: int
    holder: str  # empty: nobody now
    left_ms: int


def checked_text(value: str, field: str) -> str:
    """A name or a reason that is not endless."""
    if len(value) > MAX_TEXT:
        raise ContractError(f"{field}: {len(value)} characters, at most {MAX_TEXT} are allowed")
    return value


def checked_key(value: bytes, field: str, length: int | None = None) -> bytes:
    """An opaque key that is not endless, or of exactly ``length`` bytes."""
    if length is not None and len(value) != length:
        raise ContractError(f"{field}: {len(value)} bytes, must be {length}")
    if len(value) > MAX_KEY_BYTES:
        raise ContractError(f"{field}: {len(value)} bytes, at most {MAX_KEY_BYTES} are allowed")
    return value


def checked_length(values: Sized, field: str, length: int | None = None, most: int = MAX_ITEMS) -> int:
    """The length of a list, which must be ``length`` where that is given."""
    if len(values) > most:
        raise ContractError(f"{field}: {len(values)} entries, at most {most} are allowed")
    if length is not None and len(values) != length:
        raise ContractError(f"{field}: {len(values)} entries, must be {length} as the other lists")
    return len(values)


def places(values: Sequence[int], field: str, n: int | None) -> Int64:
    """Places in an inventory of n, as (k,); n None: not known here."""
    checked_length(values, field)
    array = np.array(values, np.int64)
    if n is not None and (array >= n).any():
        raise ContractError(f"{field}: place {int(array.max())} is not in the inventory of {n}")
    return array


def bytes_of(values: Sequence[int], field: str, length: int) -> UInt8:
    """Small numbers such as levels and reasons, as (length,)."""
    checked_length(values, field, length)
    try:
        return np.frombuffer(bytearray(values), np.uint8)
    except ValueError as error:
        raise ContractError(f"{field}: {max(values)} is above 255") from error


def revisions(values: Sequence[int], field: str, length: int) -> UInt64:
    """Revisions, as (length,)."""
    checked_length(values, field, length)
    return np.array(values, np.uint64)


def floats(values: Sequence[float], field: str, length: int) -> Floats:
    """Finite numbers, as (length,)."""
    array = measured(values, field, length)
    if not np.isfinite(array).all():
        raise ContractError(f"{field}: {array[~np.isfinite(array)][0]} is not a finite number")
    return array


def measured(values: Sequence[float], field: str, length: int) -> Floats:
    """Measured numbers, of which NaN says not measured, as (length,)."""
    checked_length(values, field, length)
    array = np.array(values, np.float64)
    if np.isinf(array).any():
        raise ContractError(f"{field}: infinite values are not allowed")
    return array


def outcomes(values: Sequence[int], field: str, length: int) -> UInt8:
    """Outcomes, of which unspecified is none, as (length,)."""
    array = bytes_of(values, field, length)
    if not ((array >= Outcome.ACCEPTED) & (array <= Outcome.EXPIRED)).all():
        raise ContractError(f"{field}: {array.tolist()} holds an unknown outcome")
    return array


def causes(values: Sequence[int], field: str, length: int) -> UInt8:
    """Causes of refusals, as (length,)."""
    array = bytes_of(values, field, length)
    if (array > max(RejectCause)).any():
        raise ContractError(f"{field}: {array.tolist()} holds an unknown cause")
    return array


def origin_from(message: lease_pb2.Origin, field: str) -> Origin:
    """Who decided, and on which report."""
    return Origin(
        message.leader_epoch,
        checked_key(message.agent_boot_id, f"{field}.agent_boot_id"),
        message.agent_monotonic_us,
        checked_text(message.controller_id, f"{field}.controller_id"),
    )


def origin_to(origin: Origin) -> lease_pb2.Origin:
    """The message of an origin."""
    return lease_pb2.Origin(
        leader_epoch=origin.leader_epoch,
        agent_boot_id=origin.boot_id,
        agent_monotonic_us=origin.monotonic_us,
        controller_id=origin.controller_id,
    )


def renewal_from(message: lease_pb2.Renewal) -> Renewal:
    """A renewal."""
    return Renewal(
        origin_from(message.origin, "renewal.origin"),
        checked_key(message.active_digest, "renewal.active_digest"),
        message.term_ms,
        message.plan_agent_monotonic_us,
    )


def renewal_to(renewal: Renewal) -> lease_pb2.Renewal:
    """The message of a renewal."""
    return lease_pb2.Renewal(
        origin=origin_to(renewal.origin),
        active_digest=renewal.active_digest,
        term_ms=renewal.term_ms,
        plan_agent_monotonic_us=renewal.plan_monotonic_us,
    )


def renewal_answer_from(message: lease_pb2.RenewalAnswer) -> RenewalAnswer:
    """What became of a renewal."""
    outcome = outcomes([message.outcome], "renewal.outcome", 1)
    cause = causes([message.cause], "renewal.cause", 1)
    digest = checked_key(message.active_digest, "renewal.active_digest")
    return RenewalAnswer(message.agent_monotonic_us, int(outcome[0]), int(cause[0]), digest)


def renewal_answer_to(answer: RenewalAnswer) -> lease_pb2.RenewalAnswer:
    """The message of an answer to a renewal."""
    return lease_pb2.RenewalAnswer(
        agent_monotonic_us=answer.monotonic_us,
        outcome=lease_pb2.Outcome.ValueType(answer.outcome),
        cause=lease_pb2.RejectCause.ValueType(answer.cause),
        active_digest=answer.active_digest,
    )
