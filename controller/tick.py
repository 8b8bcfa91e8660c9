"""One tick of the controller: from an observation to commands. Live and in replay it is this same function.

::

    observation -> offered load per cell -> forecaster -> planner -> guards -> commands

The core has no clock, socket or file: time comes in with ``tick``, reports with the observation.
"""

from __future__ import annotations

from dataclasses import dataclass
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from controller.forecaster import Forecaster
from controller.localtime import LocalTime, local_time
from hw.tables import Tables
from hw.world import SYMBOL
from policies.forecast import Forecast
from policies.guards import Guards
from policies.network import Network
from policies.policy import Planner, View


@dataclass(frozen=True, slots=True)
class Observation:
    """Telemetry of the interval that just ended. n cells, s samples."""

    carried: NDArray[np.float32]  # (n, s) traffic carried, NaN unknown [ratio of full rate]
    level: NDArray[np.uint8]  # (n,) reported level


@dataclass(frozen=True, slots=True)
class Commands:
    """What the plant should do during the coming tick. (n,)"""

    level: NDArray[np.uint8]
    reason: NDArray[np.uint8]
    forecast: Forecast | None


class Controller:
    """Planner, guards and forecaster of one network behind one ``tick``."""

    def __init__(
        self,
        network: Network,
        tables: Tables,
        planner: Planner,
        guards: Guards,
        forecaster: Forecaster | None,
        *,
        tick_s: int,
        time_zone: str,
        allowed_below_target_share: float,
    ) -> None:
        self._network, self._tables = network, tables
        self._planner, self._guards, self._forecaster = planner, guards, forecaster
        self._tick_s, self._zone = tick_s, ZoneInfo(time_zone)
        self._allowed_below = allowed_below_target_share
        self._level = np.full(network.n_cells, SYMBOL, np.uint8)
        self._held_s = np.zeros(network.n_cells, np.int64)

    def tick(self, observation: Observation | None, now: np.datetime64) -> Commands:
        """Decide the levels of the tick that begins ``now`` (UTC).

        ``observation`` covers the tick that ended at ``now``; None at the very first tick.
        """
        local = local_time(now, self._zone)
        offered, fresh = self._take_in(observation, local)
        forecast = None
        if self._forecaster is not None:
            forecast = self._forecaster.forecast(local.second_of_day // self._tick_s)
        view = View(
            local_hour=local.second_of_day / 3600,
            tick_s=self._tick_s,
            level=self._level,
            held_s=self._held_s,
            offered=offered,
            forecast=forecast,
            allowed_below_target_share=self._allowed_below,
        )
        decision = self._guards.apply(self._planner.plan(view), self._level, fresh, local.day)
        self._held_s = np.where(decision.level == self._level, self._held_s + self._tick_s, 0)
        self._level = decision.level
        return Commands(decision.level, decision.reason, forecast)

    def _take_in(
        self, observation: Observation | None, local: LocalTime
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Offered load of the last tick and where it was measured; feeds the forecaster."""
        if observation is None:
            unknown = np.full((self._network.n_cells, 1), np.nan, np.float32)
            return unknown, np.zeros(self._network.n_cells, np.bool_)
        self._level = observation.level
        offered = self._offered(observation)
        if self._forecaster is not None:
            self._forecaster.observe(offered, local.second_of_day // self._tick_s - 1)
        return offered, np.isfinite(observation.carried).any(1)

    def _offered(self, observation: Observation) -> NDArray[np.float32]:
        """Offered load of each cell: what a group with sleeping cells carried, split as the cells were expected."""
        off = self._tables.asleep[observation.level]
        if not off.any():
            return observation.carried
        offered = observation.carried.copy()
        weight = self._forecaster.weight() if self._forecaster is not None else np.ones(self._network.n_cells)
        groups = self._network.groups
        for g in self._network.coupled:
            members = groups.member[groups.group_start[g] : groups.group_start[g + 1]]
            if off[members].any():
                share = weight[members] / weight[members].sum()
                offered[members] = observation.carried[members].sum(0)[None, :] * share[:, None]
        return offered
