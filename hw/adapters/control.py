"""What a controller says of itself to operators, as values. Contract: proto/quietcell/control/v1/control.proto."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

MAX_PAGE = 1000


@dataclass(frozen=True, slots=True)
class LevelCount:
    """How many cells are at a level."""

    level: str
    commanded: int
    reported: int


@dataclass(frozen=True, slots=True)
class AgentStatus:
    """Where an agent stands."""

    agent_id: str
    cells: int
    leases: int
    is_connected: bool
    is_reconciled: bool
    is_silent: bool
    is_stopped: bool
    cause: str  # why no stream is open, empty where one is


@dataclass(frozen=True, slots=True)
class Status:
    """How a controller stands."""

    controller_id: str
    version: str
    policy: str
    leader_epoch: int
    leads: bool
    is_ready: bool
    not_ready_cause: str
    is_stopped: bool
    tick_unix_us: int  # what this is as of; 0 before the first tick
    levels: tuple[LevelCount, ...]
    agents: tuple[AgentStatus, ...]
    cells_without_agent: int
    cells_stuck: int
    alarms: int
    alarms_unacknowledged: int


@dataclass(frozen=True, slots=True)
class CellQuery:
    """Which cells are asked for."""

    names: Sequence[str] = ()  # none: all
    agent_id: str = ""
    only_resting: bool = False
    only_stuck: bool = False
    page_size: int = MAX_PAGE
    first: int = 0  # number of the cell in the cell table from which on


@dataclass(frozen=True, slots=True)
class CellStatus:
    """Where a cell stands."""

    cell_id: str
    agent_id: str
    commanded: str
    reported: str
    reason: str
    is_local: bool
    is_stuck: bool


@dataclass(frozen=True, slots=True)
class AlarmStatus:
    """One alarm."""

    number: int
    severity: str  # warning, major, critical
    about: str
    text: str
    raised_unix_us: int
    cleared_unix_us: int
    acknowledged_by: str
    acknowledged_unix_us: int


class ControlView(Protocol):
    """What is asked of the controller. All of it answers at once."""

    def status(self) -> Status:
        """How it stands."""
        ...

    def cells(self, query: CellQuery) -> tuple[list[CellStatus], int]:
        """A page of cells, and where the next one begins; 0: this is the last."""
        ...

    def alarms(self, *, history: bool) -> list[AlarmStatus]:
        """Alarms that stand, worst first, or those that are over, latest first."""
        ...

    def acknowledge(self, number: int, author: str) -> AlarmStatus | None:
        """Note who has seen an alarm; None where none of that number stands."""
        ...

    async def next_tick(self) -> None:
        """Wait until a tick has been carried out."""
        ...
