r"""One tick of the controller: from an observation to commands. Live and in replay it is this same function.

::

    observation -> offered load per cell -> forecaster -> planner -> guards -> commands, with their counterfactual
                                         \-> outlook -/

The core has no clock, socket or file: time comes in with ``tick``, reports with the observation.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from zoneinfo import ZoneInfo

import numpy as np
from numba import njit
from numpy.typing import NDArray

from controller.constraints import Constraints
from controller.energy_price import PriceAt
from controller.forecast.outlook import Outlook
from controller.forecast.samples import Forecaster
from controller.localtime import LocalTime, local_time, utc_seconds
from hw.tables import Tables
from hw.world import SYMBOL
from policies.counterfactual import Counterfactual, Counterfactuals
from policies.forecast import Forecast
from policies.guards import Facts, Guards, no_locks
from policies.network import Network
from policies.policy import Allowance, Planner, View

# traffic above it cannot have been carried, so the report is wrong [ratio of full rate]
LARGEST_CARRIED = 1.01
SILENT_LOAD = 0.01  # expected load above which a tick of exact zeros is not believed [ratio]
LIMIT_SHARE = 0.98  # of a level's capacity, from which a cell counts as at its limit
OVERLOADED_SHARE = 0.3  # of the samples of a tick at the limit, from which a cell counts as overloaded


@dataclass(frozen=True, slots=True)
class Observation:
    """Telemetry of the interval that just ended. n cells, s samples."""

    carried: NDArray[np.float32]  # (n, s) traffic carried, NaN unknown [ratio of full rate]
    level: NDArray[np.uint8]  # (n,) reported level
    served: NDArray[np.uint8] | None = None  # (n, s) level with the guard loop, never deeper than ``level``


@dataclass(frozen=True, slots=True)
class Commands:
    """What the plant should do during the coming tick. (n,)"""

    level: NDArray[np.uint8]
    reason: NDArray[np.uint8]
    forecast: Forecast | None
    risk: NDArray[np.float64] | None = None  # price of missed traffic, for the guard loop [power_unit]
    alarm: NDArray[np.bool_] | None = None  # cells that are locked awake for flapping from now on
    counterfactual: Counterfactual | None = None  # where the controller was asked for it
    # (n,) level so far; policies/presteps.py says how to go from there
    before: NDArray[np.uint8] | None = None


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
        allowance: Allowance,
        outlook: Outlook | None = None,
        constraints: Constraints | None = None,
        counterfactuals: Counterfactuals | None = None,
    ) -> None:
        self.energy_price: PriceAt | None = None
        self.outlook, self.constraints, self.counterfactuals = outlook, constraints, counterfactuals
        self._network, self._tables = network, tables
        self.planner = planner
        self._guards, self._forecaster = guards, forecaster
        self._tick_s, self._zone = tick_s, ZoneInfo(time_zone)
        self._allowance = allowance
        self._level = np.full(network.n_cells, SYMBOL, np.uint8)
        self._held_s = np.zeros(network.n_cells, np.int64)
        self._wake_left = np.zeros(network.n_cells, np.int64)  # samples until a woken cell is on air
        self.last: tuple[np.datetime64, Commands] | None = None  # tick that was decided last, and what was

    def tick(self, observation: Observation | None, now: np.datetime64) -> Commands:
        """Decide the levels of the tick that begins ``now`` (UTC).

        ``observation`` covers the tick that ended at ``now``; None at the very first tick.
        """
        view, fresh, overloaded, local = self._view(observation, now)
        wanted = self.planner.plan(view)
        forecast = view.forecast
        decision = self._guards.apply(wanted, self._facts(fresh, overloaded, local.day, now))
        self._held_s = np.where(decision.level == self._level, self._held_s + self._tick_s, 0)
        waking = self._tables.asleep[self._level] & ~self._tables.asleep[decision.level]
        self._wake_left[waking] = self._tables.wake_samples[self._level[waking]]
        before, self._level = self._level, decision.level
        weighed = None
        if self.counterfactuals is not None:
            weighed = self.counterfactuals.of(wanted.level, decision, forecast, self._tick_s)
        commands = Commands(
            decision.level, decision.reason, forecast, decision.risk, decision.alarm, weighed, before
        )
        self.last = now, commands
        return commands

    def learn(self, carried: NDArray[np.float32], now: np.datetime64) -> None:
        """Take in a past tick that ended at ``now`` (UTC): forecaster and planner learn, nothing is decided.

        ``carried`` (n, s): traffic of cells at full service, NaN unknown. [ratio]
        """
        level = np.full(self._network.n_cells, SYMBOL, np.uint8)
        self.planner.plan(self._view(Observation(carried, level), now)[0])

    def _view(
        self, observation: Observation | None, now: np.datetime64
    ) -> tuple[View, NDArray[np.bool_], NDArray[np.bool_], LocalTime]:
        """What the planner sees; beside it the cells with fresh telemetry, those at their limit, and local time."""
        local = local_time(now, self._zone)
        if observation is not None:
            observation = self._existing(observation)
        offered, fresh, overloaded = self._take_in(observation, local)
        if self.outlook is not None and observation is not None:
            self.outlook.observe(offered, now - np.timedelta64(self._tick_s, "s"))
        forecast = None
        if self._forecaster is not None:
            course = None if self.outlook is None else self.outlook.course(now)
            forecast = self._forecaster.forecast(local.second_of_day // self._tick_s, course)
        view = View(
            local_hour=local.second_of_day / 3600,
            tick_s=self._tick_s,
            level=self._level,
            held_s=self._held_s,
            offered=offered,
            served=None if observation is None else observation.served,
            forecast=forecast,
            allowance=self._allowance,
            energy_price=None if self.energy_price is None else self.energy_price(now),
        )
        return view, fresh, overloaded, local

    def _existing(self, observation: Observation) -> Observation:
        """The observation without cells at a level that does not exist: nothing is known of those."""
        unreal = observation.level >= len(self._tables.asleep)
        if not unreal.any():
            return observation
        carried = np.where(unreal[:, None], np.float32(np.nan), observation.carried)
        level = np.where(unreal, SYMBOL, observation.level).astype(np.uint8)
        served = observation.served
        if served is not None:
            served = np.where(unreal[:, None], np.minimum(served, SYMBOL), served).astype(np.uint8)
        return replace(observation, carried=carried, level=level, served=served)

    def _facts(
        self, fresh: NDArray[np.bool_], overloaded: NDArray[np.bool_], day: int, now: np.datetime64
    ) -> Facts:
        """What the guards look at."""
        if self.constraints is None:
            locks = no_locks(self._network.n_cells)
        else:
            locks = self.constraints.locks(now, self._tick_s)
        return Facts(
            level=self._level,
            fresh=fresh,
            overloaded=overloaded,
            locks=locks,
            now_s=utc_seconds(now),
            day=day,
        )

    def _take_in(
        self, observation: Observation | None, local: LocalTime
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_], NDArray[np.bool_]]:
        """Offered load of the last tick, where it is to be believed, and where a cell ran at its limit."""
        n = self._network.n_cells
        if observation is None:
            return np.full((n, 1), np.nan, np.float32), np.zeros(n, np.bool_), np.zeros(n, np.bool_)
        self._held_s[observation.level != self._level] = 0
        self._level = observation.level
        offered = self._offered(observation)
        if self._forecaster is not None:
            # a cell that carried something and now reports nothing at all is more likely broken than idle
            silent = ~(offered > 0).any(1) & (self._forecaster.weight() > SILENT_LOAD)
            offered[silent] = np.nan
            self._forecaster.observe(offered, local.second_of_day // self._tick_s - 1)
        capacity = self._tables.capacity[self._network.groups.model, observation.level]
        at_limit = (observation.carried >= LIMIT_SHARE * capacity[:, None]) & (capacity > 0)[:, None]
        if observation.served is not None:
            at_limit &= observation.served >= observation.level[:, None]
        fresh = np.asarray(np.isfinite(offered).any(1))
        return offered, fresh, np.asarray(at_limit.mean(1) >= OVERLOADED_SHARE)

    def _offered(self, observation: Observation) -> NDArray[np.float32]:
        """Offered load of each cell: what a group with sleeping cells carried, split as the cells were expected."""
        offered = observation.carried.copy()
        absurd = ((offered < 0) | (offered > LARGEST_CARRIED)).any(1)
        offered[absurd] = np.nan
        n, samples = offered.shape
        asleep = self._tables.asleep[observation.level]
        off = np.arange(samples) < np.where(asleep, samples, self._wake_left)[:, None]
        if observation.served is not None:
            off[asleep] &= ~self._on_air(observation)[asleep]
        if off.any():
            weight = np.ones(n) if self._forecaster is None else self._forecaster.weight()
            split_groups(self._network.groups, self._network.coupled, self._tables.size, off, weight, offered)
        self._wake_left = np.maximum(self._wake_left - samples, 0)
        return offered

    def _on_air(self, observation: Observation) -> NDArray[np.bool_]:
        """Samples in which cells that the guard loop woke are through with waking. (n, samples)"""
        assert observation.served is not None
        needs = self._tables.wake_samples[observation.level]
        for_samples = np.zeros(len(needs), np.int64)
        on_air = np.empty_like(observation.served, np.bool_)
        for t in range(on_air.shape[1]):
            for_samples = np.where(observation.served[:, t] < observation.level, for_samples + 1, 0)
            on_air[:, t] = for_samples > needs
        return on_air


@njit(cache=True)
def split_groups(groups, coupled, sizes, off, weight, offered):  # type: ignore[no-untyped-def]
    """Share what a group carried while cells were off air among all its cells, in place.

    ``off`` (n, samples) where a cell is off air; ``weight`` (n,) proportions of the loads; ``sizes`` of the models.
    """
    for g in coupled:
        members = groups.member[groups.group_start[g] : groups.group_start[g + 1]]
        size = sizes[groups.model[members]]
        whole = (weight[members] * size).sum()
        for t in range(offered.shape[1]):
            if not off[members, t].any():
                continue
            total = 0.0
            for k in range(len(members)):
                total += offered[members[k], t] * size[k]
            for i in members:
                offered[i, t] = total * weight[i] / whole
