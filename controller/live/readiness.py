"""Whether the agents of cells or of sites may be commanded at all."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from controller.live.fleet import Assigned

Mask = NDArray[np.bool_]
PLAN_AHEAD_US = 60_000_000  # that a plan may lie ahead of a clock that was set back a little


class Readiness:
    """What bars commands to n cells or sites, whatever is wanted of them."""

    def __init__(self, fleet: Assigned[Any], *, is_stopped: bool) -> None:
        self._assigned = fleet
        self.silent = np.zeros(len(fleet.agents), np.bool_)  # by agent
        self.is_stopped = is_stopped
        self.leads = True  # no majority of the agents follows a later leader
        self.has_majority = True  # of the agents, for its leadership
        # guard ticks before which nothing new is leased: leases of a leader before run out
        self.wait_ticks = 0
        self.plan_age_ticks = self.guard_ticks = 0
        self._plan_us = 0  # Unix time of the last plan

    def begin_plan(self, now_us: int) -> None:
        """A new plan holds from now on."""
        self.plan_age_ticks, self._plan_us = 0, now_us

    def is_plan_ahead(self, now_us: int) -> bool:
        """Whether the last plan is for a time to come, as the clock was set back: it says nothing about now."""
        return self._plan_us > now_us + PLAN_AHEAD_US

    @property
    def commands(self) -> bool:
        """Whether leases may be given and extended at all."""
        return self.leads and self.has_majority

    def ready(self) -> Mask:
        """Those that may be leased: their agents are reconciled and have just reported. (n,)"""
        fleet = self._assigned
        heard = fleet.of_agents([agent.may_rest and not agent.silent_ticks for agent in fleet.agents])
        return heard & (self.commands and not self.is_stopped and self.guard_ticks >= self.wait_ticks)

    def led_by_other(self) -> Mask:
        """Those of agents that follow a later leader: what that one has commanded is none of ours. (n,)"""
        return self._assigned.of_agents([agent.follows_other for agent in self._assigned.agents])

    def stopped(self) -> Mask:
        """Those for which a stop latch is set, here or at their agent. (n,)"""
        stopped = self._assigned.of_agents([agent.is_stopped for agent in self._assigned.agents])
        return stopped | self.is_stopped
