"""Answers operators from what the watcher has copied, never from a core that may be at work."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version

import numpy as np

from controller.live.alarm_book import Raised
from controller.live.config import LiveConfig
from controller.live.explaining import explained
from controller.live.fleet import UNKNOWN, Fleet
from controller.live.looking import AgentState, CoreState, level_counts, of_agent, page_of
from controller.live.power.view import page_of_sites, power_status
from controller.live.watching import Watcher
from hw.adapters.control import (
    AgentStatus,
    AlarmStatus,
    CellExplanation,
    CellQuery,
    CellStatus,
    LevelCount,
    SavingsStatus,
    SiteQuery,
    SiteStatus,
    Status,
)
from hw.adapters.link import AgentLink
from hw.ports import HostClock
from hw.world import SYMBOL
from policies.policy import Reason

NOT_NAMED = "it has sent no inventory yet"


class LiveView:
    """What a controller says of itself."""

    def __init__(self, config: LiveConfig, fleet: Fleet, watcher: Watcher, clock: HostClock) -> None:
        self._config, self._watcher, self._clock = config, watcher, clock
        self._names, self._levels = fleet.names, fleet.level_names
        self._number_of = {name: number for number, name in enumerate(fleet.names)}
        self.links: Mapping[str, AgentLink] = {}  # once there are any
        self._savings = SavingsStatus(0, 0, 0, 0, "no plan has been made yet")
        self._version = version("quietcell")

    def status(self) -> Status:
        """How it stands."""
        watcher, state = self._watcher, self._watcher.state
        alarms = watcher.book.standing()
        return Status(
            controller_id=self._config.controller,
            version=self._version,
            policy=self._config.policy,
            leader_epoch=0 if state is None else state.epoch,
            leads=state is None or state.leads,
            is_ready=watcher.is_ready,
            not_ready_cause="" if watcher.is_ready else watcher.not_ready_cause,
            is_stopped=state is not None and state.is_stopped,
            tick_unix_us=0 if state is None else state.unix_us,
            levels=() if state is None else self._level_counts(state),
            agents=() if state is None else tuple(map(self._agent, state.agents)),
            cells_without_agent=0 if state is None else int((state.agent_of < 0).sum()),
            cells_stuck=0 if state is None else int(state.is_stuck.sum()),
            canaries=0 if state is None else state.n_canaries,
            canaries_wait="" if state is None else state.canaries_wait,
            rolled_back=() if state is None else state.rolled_back,
            alarms=len(alarms),
            alarms_unacknowledged=sum(not alarm.acknowledged_unix_us for alarm in alarms),
            power=None if state is None or state.sites is None else power_status(state.sites, self._agent),
        )

    def cells(self, query: CellQuery) -> tuple[list[CellStatus], int]:
        """A page of cells, and where the next one begins; 0: this is the last."""
        state = self._watcher.state
        if state is None:
            return [], 0
        chosen = np.ones(len(state.level), np.bool_)
        if query.names:
            chosen[:] = False
            chosen[[self._number_of[name] for name in query.names if name in self._number_of]] = True
        if query.agent_id:
            chosen &= of_agent(query.agent_id, state.agents, state.agent_of)
        if query.only_resting:
            chosen &= state.level > SYMBOL
        if query.only_stuck:
            chosen &= state.is_stuck
        page, following = page_of(chosen, query.first, query.page_size)
        return [self._cell(state, number) for number in page], following

    def explain(self, name: str) -> CellExplanation | None:
        """Why a cell was planned as it was; None: there is nothing to tell yet. Raises KeyError for an unknown cell."""
        number, state = self._number_of[name], self._watcher.state
        if state is None or state.plan is None:
            return None
        return explained(state.plan, number, self._cell(state, number), self._levels)

    def sites(self, query: SiteQuery) -> tuple[list[SiteStatus], int]:
        """A page of sites with power, and where the next one begins; 0: this is the last."""
        state = self._watcher.state
        return page_of_sites(None if state is None else state.sites, query)

    def alarms(self, *, history: bool) -> list[AlarmStatus]:
        """Alarms that stand, worst first, or those that are over, latest first."""
        book = self._watcher.book
        return [_alarm(raised) for raised in (book.history() if history else book.standing())]

    def acknowledge(self, number: int, author: str) -> AlarmStatus | None:
        """Note who has seen an alarm; None where none of that number stands."""
        raised = self._watcher.book.acknowledge(number, author, self._clock.unix_us())
        return None if raised is None else _alarm(raised)

    def savings(self) -> SavingsStatus:
        """What acting saves, as of the last plan."""
        return self._savings

    def tell_savings(self, found: SavingsStatus) -> None:
        """Take in what was found after a plan."""
        self._savings = found
        if self._watcher.metrics is not None:
            self._watcher.metrics.saved(found)

    async def next_tick(self) -> None:
        """Wait until a tick has been carried out."""
        await self._watcher.next_tick()

    def _level_counts(self, state: CoreState) -> tuple[LevelCount, ...]:
        n_levels = len(self._levels)
        commanded, reported = (level_counts(x, n_levels).tolist() for x in (state.level, state.reported))
        counts = tuple(map(LevelCount, (*self._levels, UNKNOWN), commanded, reported))
        return counts if reported[n_levels] else counts[:n_levels]

    def _agent(self, agent: AgentState) -> AgentStatus:
        link = self.links.get(agent.agent_id)
        is_connected = agent.is_connected if link is None else link.is_open
        return AgentStatus(
            agent_id=agent.agent_id,
            cells=agent.n_cells,
            leases=agent.n_leases,
            is_connected=is_connected,
            is_reconciled=agent.is_reconciled,
            is_silent=agent.is_silent,
            is_stopped=agent.is_stopped,
            cause="" if is_connected or link is None else link.reason or NOT_NAMED,
        )

    def _cell(self, state: CoreState, number: int) -> CellStatus:
        agent = int(state.agent_of[number])
        return CellStatus(
            cell_id=self._names[number],
            agent_id="" if agent < 0 else state.agents[agent].agent_id,
            commanded=self._levels[state.level[number]],
            reported=(*self._levels, UNKNOWN)[min(state.reported[number], len(self._levels))],
            reason=Reason(state.reason[number]).name.lower(),
            is_local=bool(state.is_local[number]),
            is_stuck=bool(state.is_stuck[number]),
        )


def _alarm(raised: Raised) -> AlarmStatus:
    return AlarmStatus(
        raised.number,
        raised.severity,
        raised.about,
        raised.text,
        raised.raised_unix_us,
        raised.cleared_unix_us,
        raised.acknowledged_by,
        raised.acknowledged_unix_us,
    )
