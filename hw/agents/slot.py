"""One leased cell or site of an agent, verdicts on its commands, and orders to its plant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

from hw.adapters.radio import Origin, Outcome, RejectCause

V = TypeVar("V")
NEVER_US = 2**63 - 1
LAST_REVISION = 2**64 - 1


class Verdict(NamedTuple):
    """What becomes of a command."""

    outcome: Outcome
    cause: RejectCause = RejectCause.NONE


ACCEPTED = Verdict(Outcome.ACCEPTED)
APPLIED = Verdict(Outcome.APPLIED)
EXPIRED = Verdict(Outcome.EXPIRED)
SUPERSEDED = Verdict(Outcome.SUPERSEDED)


def rejected(cause: RejectCause) -> Verdict:
    """Refused for a cause."""
    return Verdict(Outcome.REJECTED, cause)


@dataclass(slots=True)
class Slot(Generic[V]):
    """One cell or site."""

    value: V  # wanted of the plant
    asked: V | None = None  # by the highest revision
    revision: int = 0  # highest seen; the first command has 1
    verdict: Verdict = SUPERSEDED  # on the highest revision, as it stands now
    is_leased: bool = False
    until_us: int = 0
    plan_end_us: int = 0
    woken_us: int = -1  # a command decided on a report no later than this is overtaken
    version: int = 0  # counts changes; tells an order that was overtaken
    is_confirmed: bool = True
    changed_us: int = -1  # when the plant confirmed last; a reading begun before it is too old
    due_us: int = NEVER_US  # when the slot is to be ordered (again)
    is_local: bool = False


@dataclass(frozen=True, slots=True)
class Asked:
    """A command that an order answers once the plant has confirmed it."""

    place: int
    revision: int
    version: int


@dataclass(frozen=True, slots=True)
class Order(Generic[V]):
    """What the plant is to do; all lists have one entry a slot."""

    place: list[int]
    value: list[V]
    until_us: list[int]  # for the timer of the plant; 0: at rest, or no timer there
    version: list[int]
    extends: list[bool]  # only moves a timer
    number: int  # see RadioPlant.apply: the plant does not let an earlier order follow a later one
    asked: tuple[Asked, ...] = ()
    renewal: Origin | None = None  # the renewal that it answers
