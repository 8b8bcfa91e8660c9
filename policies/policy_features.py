"""What a policy network is told of each cell: named columns from a view, one row per cell.

Names (docs/policies.md lists them): of the time, of what was measured in the tick that ended, of the forecast, of the
cell, and three of each level of the world, ``at:``, ``may:`` and ``limit:`` followed by its name.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from policies.counterfactual import Counterfactuals
from policies.expected import target_load
from policies.forecast import Forecast
from policies.plugin import PolicyContext
from policies.policy import View

Column = Callable[[View], NDArray[np.floating]]

FORECAST_PREFIX, ROOM = "forecast_", "candidate_room"
PLAIN = (
    "hour_sin",  # local time of day on a circle
    "hour_cos",
    "load_mean",  # measured offered load of the tick that ended [ratio]
    "load_highest",
    "load_last",
    "load_spread",  # standard deviation of its samples
    "forecast_50",  # load not exceeded with this probability in the coming tick [ratio]
    "forecast_80",
    "forecast_95",
    "forecast_99",
    "forecast_95_highest",  # over the horizon
    "held_h",  # time at the present level [h]
    "is_capacity",
    ROOM,  # load that the candidates on air can take over with their 0.95 quantiles [ratio]
)
OF_LEVEL = (
    "at",
    "may",
    "limit",
)  # 1 at that level; 1 where it may be used; largest load within target [ratio]


def feature_names(level_names: Sequence[str]) -> tuple[str, ...]:
    """Every name, for a world of these levels."""
    return (*PLAIN, *(f"{what}:{level}" for level in level_names for what in OF_LEVEL))


class PolicyFeatures:
    """Fills the columns of one network. Raises ValueError for names that are none."""

    def __init__(self, context: PolicyContext, names: Sequence[str]) -> None:
        known = feature_names(context.level_names)
        for name in names:
            if name not in known:
                near = difflib.get_close_matches(name, known, n=3) or known
                raise ValueError(f"there is no feature {name!r}; close to it: {', '.join(near)}")
        self.names = tuple(names)
        self.needs_forecast = any(name.startswith(FORECAST_PREFIX) or name == ROOM for name in names)
        self._context = context
        self._limit = np.minimum(target_load(context.tables), 1)[context.network.groups.model]
        self._room = Counterfactuals(context.network, context.tables, context.wake_s)
        self._columns = [self._column(name) for name in self.names]

    def of(self, view: View) -> NDArray[np.float32]:
        """Features, NaN where nothing is known. (n, F)"""
        n = self._context.network.n_cells
        features = np.empty((n, len(self.names)), np.float32)
        for at, column in enumerate(self._columns):
            features[:, at] = column(view)
        return features

    def _column(self, name: str) -> Column:
        what, _, of = name.partition(":")
        if of:
            level = self._context.level_names.index(of)
            if what == "at":
                return lambda view: (view.level == level).astype(np.float32)
            fixed = self._context.network.allowed if what == "may" else self._limit
            return lambda _: fixed[:, level].astype(np.float32)
        if what.startswith(FORECAST_PREFIX):
            percent, _, highest = what.removeprefix(FORECAST_PREFIX).partition("_")
            return lambda view: _quantile(view, int(percent) / 100, bool(highest))
        return {
            "hour_sin": lambda view: self._everywhere(math.sin(view.local_hour / 12 * math.pi)),
            "hour_cos": lambda view: self._everywhere(math.cos(view.local_hour / 12 * math.pi)),
            "load_mean": lambda view: _measured(view, np.mean),
            "load_highest": lambda view: _measured(view, np.max),
            "load_last": lambda view: view.offered[:, -1],
            "load_spread": lambda view: _measured(view, np.std),
            "held_h": lambda view: (view.held_s / 3600).astype(np.float32),
            "is_capacity": lambda _: self._context.network.is_capacity.astype(np.float32),
            ROOM: lambda view: self._room.room(view.level, _forecast(view)),
        }[what]

    def _everywhere(self, value: float) -> NDArray[np.float32]:
        return np.full(self._context.network.n_cells, value, np.float32)


def _measured(view: View, of: Callable[..., NDArray[np.float32]]) -> NDArray[np.float32]:
    """A figure of the measured samples of each cell, NaN without any. (n,)"""
    missing = ~np.isfinite(view.offered)
    figure = np.asarray(of(np.ma.masked_array(view.offered, missing), axis=1), np.float32)
    return np.where(missing.all(1), np.float32(np.nan), figure)


def _forecast(view: View) -> Forecast:
    assert view.forecast is not None, "a policy whose features need a forecast says so"
    return view.forecast


def _quantile(view: View, probability: float, highest: bool) -> NDArray[np.float32]:
    quantile = _forecast(view).quantile(probability)
    return np.asarray(quantile.max(1) if highest else quantile[:, 0])
