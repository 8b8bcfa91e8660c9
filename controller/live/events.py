"""What the live core is fed, one at a time, and what it hands back. It owns no clock, socket or disk.

::

    Connected, Reported, Answered, Renewed, Disconnected   from the agents' streams
    PowerConnected, PowerReported, PowerAnswered           likewise, of power agents: controller/live/power
    GuardTick, PlanTick                                    from the clock
    Stopped, Cleared, Constrained                          from an operator
    Approved, Overridden, Lifted, StageChanged             likewise; see controller/live/ladder.py
    CallRefused                                            from the gate of the controller's own server
    Led                                                    from the election, where two controllers may lead
        -> feed(event) -> Output

Whoever feeds it carries out an output in this order: ``wakes``, ``safes`` and then ``urgent`` at once, ahead of all
else and waiting for nothing; ``durable`` to the journal, synchronously; only then ``commands`` and ``setpoints``; then
``renewals``. Where the journal cannot be written, only wakes, safe charging and urgent commands still go.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from controller.live.power.events import PowerEvent, PowerRecord
from hw.adapters.power import SafeBatch, SetpointBatch
from hw.adapters.radio import Answers, CommandBatch, Inventory, Renewal, RenewalAnswer, Report, WakeBatch

UInt8 = NDArray[np.uint8]
UInt64 = NDArray[np.uint64]
CLEARED = "cleared"  # severity of an alarm that is over, as in ITU-T X.733


@dataclass(frozen=True, slots=True)
class Connected:
    """A stream to an agent is open. Its state comes with the first report."""

    inventory: Inventory


@dataclass(frozen=True, slots=True)
class Disconnected:
    """The stream is gone."""

    agent_id: str


@dataclass(frozen=True, slots=True)
class Reported:
    """An agent reported."""

    report: Report


@dataclass(frozen=True, slots=True)
class Answered:
    """An agent answered commands or wakes."""

    agent_id: str
    answers: Answers


@dataclass(frozen=True, slots=True)
class Renewed:
    """An agent answered a renewal."""

    agent_id: str
    answer: RenewalAnswer


@dataclass(frozen=True, slots=True)
class GuardTick:
    """Time to look at what came in, wake what must wake, and renew."""

    unix_us: int


@dataclass(frozen=True, slots=True)
class PlanTick:
    """A planning interval begins."""

    unix_us: int


@dataclass(frozen=True, slots=True)
class Stopped:
    """An operator set the stop latch."""

    author: str
    reason: str


@dataclass(frozen=True, slots=True)
class Cleared:
    """An administrator cleared the stop latch."""

    author: str
    reason: str


@dataclass(frozen=True, slots=True)
class Constrained:
    """Other constraints hold from the next plan on."""

    constraints: str  # JSON of the configuration's field; empty: none


@dataclass(frozen=True, slots=True)
class Scope:
    """What a word of an operator is about."""

    kind: str  # cell, site, region, network
    name: str = ""  # none for the network

    def __str__(self) -> str:
        return f"{self.kind} {self.name}".strip()


@dataclass(frozen=True, slots=True)
class Approved:
    """Somebody lets a plan go out, where plans wait for that."""

    plan_id: str
    scope: Scope
    author: str


@dataclass(frozen=True, slots=True)
class Overridden:
    """Somebody keeps cells from what plans want of them, until a time."""

    scope: Scope
    what: str  # awake, leave alone, max level
    level: str  # name of the deepest level, for max level
    until_unix_us: int
    author: str
    reason: str


@dataclass(frozen=True, slots=True)
class Lifted:
    """Somebody asks for the end of an override."""

    number: int
    author: str
    reason: str


@dataclass(frozen=True, slots=True)
class StageChanged:
    """Somebody asks for another stage of sites."""

    scope: Scope
    stage: str  # shadow, advise, canary, act
    author: str
    reason: str


@dataclass(frozen=True, slots=True)
class CallRefused:
    """Somebody called what he may not call."""

    author: str
    method: str
    cause: str


Word = Approved | Overridden | Lifted | StageChanged | CallRefused


@dataclass(frozen=True, slots=True)
class Led:
    """A majority of the agents was lost or found. Without one nothing is commanded to rest and no lease is extended."""

    leads: bool


FromAgents = Connected | Disconnected | Reported | Answered | Renewed
RadioEvent = FromAgents | GuardTick | PlanTick | Stopped | Cleared | Constrained | Led | Word
Event = RadioEvent | PowerEvent


@dataclass(frozen=True, slots=True)
class Decided:
    """Levels that were commanded: durable before they are sent, but for those of ``Output.urgent``. Arrays (k,)."""

    unix_us: int
    plan_id: str
    cell: NDArray[np.int32]  # number of the cell in the network's cell table
    revision: UInt64
    level: UInt8
    expected_level: UInt8
    reason: UInt8


@dataclass(frozen=True, slots=True)
class Withheld:
    """Levels that a plan wanted and that its stage on the ladder kept from being sent. Arrays (k,)."""

    unix_us: int
    plan_id: str
    cell: NDArray[np.int32]
    level: UInt8
    reason: UInt8  # of the plan


@dataclass(frozen=True, slots=True)
class Ruling:
    """What became of the word of an operator."""

    unix_us: int
    verdict: str  # in force, waits (for a second person), refused
    asked: Word
    number: int  # of the override that it made, 0: none
    cause: str  # why refused; whom it waits for, or who asked for it first


@dataclass(frozen=True, slots=True)
class Matched:
    """Canaries that are watched from now on, by name, and what they are compared with."""

    unix_us: int
    canary: tuple[str, ...]
    control: tuple[tuple[str, ...], ...]  # of each canary
    unmatched: tuple[str, ...]  # wanted, but nothing is like them: they are none


@dataclass(frozen=True, slots=True)
class RolledBack:
    """A site that goes back to full service, as its users are slower than planned."""

    unix_us: int
    site: str  # empty: all sites of canaries
    until_unix_us: int  # when it may act again
    strikes: int  # breaches that count for how long the next one lasts


@dataclass(frozen=True, slots=True)
class Woken:
    """Cells that were commanded to full service. Its record follows when it can. Arrays (k,)."""

    unix_us: int
    cell: NDArray[np.int32]
    revision: UInt64
    reason: UInt8


@dataclass(frozen=True, slots=True)
class Taken:
    """An event as it was fed, in the order of feeding."""

    unix_us: int
    event: Event


@dataclass(frozen=True, slots=True)
class Latched:
    """The stop latch as it is from now on."""

    unix_us: int
    is_set: bool
    author: str
    reason: str


@dataclass(frozen=True, slots=True)
class Alarm:
    """Something that an operator must know. Raised once, not on every tick; as CLEARED once it is over."""

    unix_us: int
    severity: str  # warning, major, critical; CLEARED
    about: str  # agent, cell or part of the controller
    text: str


Record = Taken | Decided | Withheld | Woken | Latched | Ruling | Alarm | Matched | RolledBack | PowerRecord


@dataclass(slots=True)
class Output:
    """What is to be done after an event."""

    wakes: list[tuple[str, WakeBatch]] = field(default_factory=list)  # by agent
    # toward more service, yet still leased: sent as the wakes are
    urgent: list[tuple[str, CommandBatch]] = field(default_factory=list)
    durable: list[Record] = field(default_factory=list)
    commands: list[tuple[str, CommandBatch]] = field(default_factory=list)
    renewals: list[tuple[str, Renewal]] = field(default_factory=list)
    safes: list[tuple[str, SafeBatch]] = field(default_factory=list)
    setpoints: list[tuple[str, SetpointBatch]] = field(default_factory=list)
