"""What the live core knows, copied between two feeds, for metrics and for whoever asks over the network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from controller.live.core import LiveCore
from controller.live.explaining import LastPlan
from controller.live.fleet import Agent
from controller.tick import Commands
from hw.world import SYMBOL

if TYPE_CHECKING:
    from controller.live.power.looking import SitesState

UInt8 = NDArray[np.uint8]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class AgentState:
    """Where an agent stands."""

    agent_id: str
    n_cells: int
    n_leases: int
    is_connected: bool
    is_reconciled: bool
    is_silent: bool
    is_stopped: bool


@dataclass(frozen=True, slots=True)
class CoreState:
    """The core at a tick. Arrays (n,) by number of the cell."""

    unix_us: int  # of the tick
    epoch: int
    leads: bool
    is_stopped: bool
    level: UInt8  # commanded
    reported: UInt8
    reason: UInt8  # policies.policy.Reason of what is wanted
    is_local: NDArray[np.bool_]  # switched or locked by hand
    is_stuck: NDArray[np.bool_]
    agent_of: NDArray[np.int64]  # -1: none
    agents: tuple[AgentState, ...]
    set_aside: dict[str, int]  # what was not used, by cause
    n_canaries: int = 0  # that are compared with controls
    canaries_wait: str = ""  # why there are none although some are wanted
    rolled_back: tuple[str, ...] = ()  # sites at full service for what their users felt; "": all of canaries
    sites: SitesState | None = None  # None: no site power is configured
    plan: LastPlan | None = None  # None: nothing has been planned yet


def look(core: LiveCore, unix_us: int, sites: SitesState | None = None) -> CoreState:
    """Copy the state of a core that is not being fed, beside that of its sites with power."""
    wanted, standing, fleet, last = core.wanted, core.standing, core.fleet, core.controller.last
    return CoreState(
        unix_us=unix_us,
        epoch=core.epoch,
        leads=wanted.leads,
        is_stopped=wanted.is_stopped,
        level=core.leases.level.copy(),
        reported=standing.reported.copy(),
        reason=wanted.levels()[1],
        is_local=standing.local.copy(),
        is_stuck=standing.stuck.copy(),
        agent_of=fleet.agent_of.copy(),
        agents=tuple(_look_at(core, agent) for agent in fleet.agents),
        set_aside=dict(core.alarms.set_aside),
        n_canaries=0 if core.canaries.armed is None else len(core.canaries.armed.matching.canary),
        canaries_wait=core.canaries.waits,
        rolled_back=core.canaries.held,
        sites=sites,
        plan=None if last is None else _plan(core, *last),
    )


def _plan(core: LiveCore, begin: np.datetime64, commands: Commands) -> LastPlan:
    return LastPlan(begin, commands, core.timing.tick_s, core.fleet.unit, core.canaries.facts.tables.asleep)


def _look_at(core: LiveCore, agent: Agent) -> AgentState:
    return AgentState(
        agent_id=agent.agent_id,
        n_cells=len(agent.cells),
        n_leases=int((core.leases.level[agent.cells] > SYMBOL).sum()),
        is_connected=agent.is_connected,
        is_reconciled=agent.is_reconciled,
        is_silent=bool(core.wanted.silent[agent.number]),
        is_stopped=agent.is_stopped,
    )


def level_counts(level: UInt8, n_levels: int) -> NDArray[np.int64]:
    """Cells at each level of the world, then those at none of them. (n_levels + 1,)"""
    return np.bincount(np.minimum(level, n_levels), minlength=n_levels + 1)


def of_agent(agent_id: str, agents: Sequence[AgentState], agent_of: NDArray[np.int64]) -> Mask:
    """What an agent of this name has of ``agent_of`` (n,), the numbers of the agents of cells or sites. (n,)"""
    ids = [agent.agent_id for agent in agents]
    return np.asarray(agent_of == (ids.index(agent_id) if agent_id in ids else len(ids)))


def page_of(chosen: Mask, first: int, size: int) -> tuple[list[int], int]:
    """So many of the ``chosen`` (n,) numbers from ``first`` on, and where the next page begins; 0: this is the last."""
    numbers = np.flatnonzero(chosen)
    numbers = numbers[numbers >= first]
    return numbers[:size].tolist(), int(numbers[size]) if len(numbers) > size else 0
