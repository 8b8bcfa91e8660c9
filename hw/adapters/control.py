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
class PowerStatus:
    """How site power stands as a whole. Sums leave out the sites of which nothing was measured."""

    agents: tuple[AgentStatus, ...]  # power agents; their cells are sites
    sites: int
    leased: int  # under a setpoint
    safe: tuple[tuple[str, int], ...]  # the others, by why they charge safely
    untrusted: int  # whose state of charge was found wrong
    without_mains: int
    below_floor: int  # with less than their reserve by a charge that is believed
    unmeasured: int
    battery_w: float  # above 0 while they discharge
    import_w: float
    stored_wh: float
    floor_wh: float
    plan_age_s: float


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
    canaries: int = 0  # that are compared with controls
    canaries_wait: str = ""  # why there are none although some are wanted
    rolled_back: tuple[str, ...] = ()  # sites at full service for what their users felt; "": all of canaries
    power: PowerStatus | None = None  # None: no site power is configured


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
class LevelOutlook:
    """What a level would bear and save in a planning tick; NaN where a forecast is missing that it takes."""

    level: str
    is_off_air: bool  # then its candidates must have room for its load
    limit: float  # largest offered load that keeps its target; infinite: any [ratio]
    saving: float  # expected against symbol shutdown, in the unit of the world
    saving_wh: float  # the same; NaN too where W is not known


@dataclass(frozen=True, slots=True)
class CellExplanation:
    """Why a cell was planned as it was in the last planning tick, and where it stands now."""

    now: CellStatus
    begin_unix_us: int  # of the tick
    length_s: int
    before: str  # level so far
    wanted: str  # by the planner, before the guards
    planned: LevelOutlook
    reason: str  # a word that does not change
    reason_words: str
    guard_words: str  # the guard that decided, in words; empty: none
    upper: float  # offered load not exceeded with ``upper_probability``; NaN: not forecast [ratio]
    upper_probability: float
    deeper: LevelOutlook | None  # next deeper level that it may use; None: there is none
    wake_s: float  # from a command to the first traffic at full service
    energy_unit: str  # of ``saving``


@dataclass(frozen=True, slots=True)
class SiteQuery:
    """Which sites with power are asked for."""

    names: Sequence[str] = ()  # none: all
    agent_id: str = ""
    only_safe: bool = False
    page_size: int = MAX_PAGE
    first: int = 0  # number of the site from which on


@dataclass(frozen=True, slots=True)
class SiteStatus:
    """Where a site with power stands. What is measured is NaN where it is not known."""

    site_id: str
    agent_id: str  # "": no power agent has named it
    stage: str
    is_leased: bool
    reason: str  # why the setpoint is as it is, or why it charges safely
    reason_words: str
    commanded_w: float  # of the battery at the bus, above 0 while it discharges; NaN: safe charging
    import_limit_w: float  # commanded; NaN: safe charging
    connection_w: float  # import that the connection allows
    soc: float  # reported [ratio]
    low_soc: float  # at least, by what was checked [ratio]
    untrusted_words: str  # why the charge is not believed, empty where it is
    battery_w: float  # measured, as the next three
    import_w: float
    load_w: float
    pv_w: float
    has_mains: bool
    stored_wh: float  # that counts against the floor
    floor_wh: float  # the higher of the agent's and the controller's own
    agent_reserve_wh: float
    program: str  # none, not stored, stored
    is_local: bool
    measured_unix_us: int  # end of the newest measurement; 0: none

    @property
    def margin_wh(self) -> float:
        """Stored above the reserve floor."""
        return self.stored_wh - self.floor_wh


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


@dataclass(frozen=True, slots=True)
class Estimate:
    """A share with its 95 % interval; NaN where it cannot be told. [ratio]"""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class SavingStatus:
    """What acting saves somewhere, and what it does to users."""

    kind: str  # network, region, site, cell, day
    name: str
    energy_wh: float  # that was drawn
    without_wh: float  # that would have been drawn
    combined: Estimate  # share of energy saved, by both ways
    by_controls: Estimate
    by_baseline: Estimate
    users_ratio: float  # user throughput over its promise, against controls and history, less 1
    efficiency_gain: float  # bits per joule over those of the history, less 1


@dataclass(frozen=True, slots=True)
class OwnEnergy:
    """What the controller itself drew in the ticks that are counted, as estimated."""

    energy_wh: float  # at its mean power
    since_unix_us: int  # from when that is the mean
    net: Estimate  # share of energy that the network saved by both ways, the controller's counted as drawn


@dataclass(frozen=True, slots=True)
class SavingsStatus:
    """Savings of all that might rest lately."""

    since_unix_us: int  # of the ticks that are counted
    until_unix_us: int
    history_days: int  # at full service, behind them
    control_sites: int
    cause: str  # why nothing can be told, empty where something can
    rows: tuple[SavingStatus, ...] = ()
    own: OwnEnergy | None = None  # None: nothing can be told, or the controller does not estimate it


class ControlView(Protocol):
    """What is asked of the controller. All of it answers at once."""

    def status(self) -> Status:
        """How it stands."""
        ...

    def cells(self, query: CellQuery) -> tuple[list[CellStatus], int]:
        """A page of cells, and where the next one begins; 0: this is the last."""
        ...

    def explain(self, name: str) -> CellExplanation | None:
        """Why a cell was planned as it was; None where nothing was planned yet, or plans are not weighed.

        Raises KeyError for a cell that is not in the cell table.
        """
        ...

    def sites(self, query: SiteQuery) -> tuple[list[SiteStatus], int]:
        """A page of sites with power, and where the next one begins; 0: this is the last."""
        ...

    def alarms(self, *, history: bool) -> list[AlarmStatus]:
        """Alarms that stand, worst first, or those that are over, latest first."""
        ...

    def acknowledge(self, number: int, author: str) -> AlarmStatus | None:
        """Note who has seen an alarm; None where none of that number stands."""
        ...

    def savings(self) -> SavingsStatus:
        """What acting saves, as of the last plan."""
        ...

    async def next_tick(self) -> None:
        """Wait until a tick has been carried out."""
        ...


class Latch(Protocol):
    """Where the stop latch of a controller is set and cleared. Raises NotAllowedError, and TimeoutError."""

    async def stop(self, who: str, reason: str) -> None:
        """Set it."""
        ...

    async def clear_stop(self, who: str, reason: str) -> None:
        """Clear it."""
        ...
