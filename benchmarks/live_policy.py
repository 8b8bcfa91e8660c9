"""The policy of the live benchmark: all cells change together, every so many ticks."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from benchmarks.live_setup import Setup, read_setup
from policies.plugin import PolicyContext
from policies.policy import Decision, Reason, View
from policies.predictive import PredictivePlanner


class AlternatingPlanner:
    """Plans as ``predictive`` does, for the time that it takes, and then sends all cells to the next level in turn."""

    needs_forecast = True

    def __init__(self, context: PolicyContext, setup: Setup) -> None:
        self._planner = PredictivePlanner(
            context.network,
            context.tables,
            context.profile.predictive,
            samples_per_tick=context.samples_per_tick,
            watched=context.watched,
        )
        self._setup, self._ticks = setup, 0

    def plan(self, view: View) -> Decision:
        """The same level for all cells."""
        self._planner.plan(view)
        levels = self._setup.levels
        level = levels[self._ticks // self._setup.change_every % len(levels)]
        self._ticks += 1
        n = len(view.level)
        return Decision(np.full(n, level, np.uint8), np.full(n, Reason.PLUGIN, np.uint8))


def make_planner(context: PolicyContext) -> AlternatingPlanner:
    """The factory that the entry point names; the first argument of the process is the setup."""
    return AlternatingPlanner(context, read_setup(Path(sys.argv[1])))
