"""What the live core knows, copied between two feeds, for metrics and for whoever asks over the network."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from controller.live.core import LiveCore
from controller.live.fleet import Agent
from hw.world import SYMBOL

UInt8 = NDArray[np.uint8]


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


def look(core: LiveCore, unix_us: int) -> CoreState:
    """Copy the state of a core that is not being fed."""
    wanted, standing, fleet = core.wanted, core.standing, core.fleet
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
    )


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
