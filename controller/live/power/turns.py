"""The month's targets of many sites, some at a time: all of them at once would hold up the guard loop.

A target takes a fifth of a second a site. Sites are planned in small groups, each of which has its turn once a day, at
a planning interval of its own; those without a target for the month come first, a few in each interval. Until then a
group plans against the peak that is billed already.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from controller.live.power.fleet import Sites
from policies.site.dispatch import Moment, PlanDispatch
from policies.site.follow import Setpoint
from policies.site.month_target import MonthTarget

GROUP_SITES = 4


class GroupDispatch(PlanDispatch):
    """A plan whose target for the month is set anew when it has its turn, and not else."""

    has_turn = False
    _aimed_month = -1  # end of the month that the target is for

    def decide(self, moment: Moment) -> Setpoint:
        """The plan's step; with a turn, of a new plan under a new target."""
        month_end = int(self.calendar.month_end[moment.step])
        if self.has_turn:
            self.target, self.plans, self._aimed_month = None, None, month_end
        aims = self._aimed_month == month_end
        self._aimed_month = month_end if aims else -1
        self.settings = replace(self.settings, with_target=aims)
        setpoint = super().decide(moment)
        self.has_turn = False
        return setpoint

    @property
    def waits(self) -> bool:
        """Whether it has no target for the month."""
        return self._aimed_month < 0

    def _target(self, moment: Moment) -> MonthTarget:
        return super()._target(moment) if self.target is None else self.target


class Group(NamedTuple):
    """Some sites that are planned together."""

    sites: Sites
    dispatch: GroupDispatch


class Turns:
    """All groups of n sites."""

    def __init__(self, n_sites: int, make: Callable[[Sites], GroupDispatch], steps_per_day: int) -> None:
        parts = np.split(np.arange(n_sites), range(GROUP_SITES, n_sites, GROUP_SITES))
        self.groups = [Group(sites, make(sites)) for sites in parts]
        self._per_day = steps_per_day
        self._each = -(-len(self.groups) // steps_per_day)
        self._interval = 0

    def begin(self) -> None:
        """A planning interval begins: some groups have their turn."""
        n, at = len(self.groups), self._interval % self._per_day
        waiting = [group for group in self.groups if group.dispatch.waits]
        due = [group for k, group in enumerate(self.groups) if k * self._per_day // n == at]
        for group in waiting[: self._each] or due:
            group.dispatch.has_turn = True
        self._interval += 1
