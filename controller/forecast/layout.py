"""The inputs of a forecast model, schema ``quietcell.features/1``: which number stands in which column.

Loads enter as u = log(load + OFFSET). p is a cell's daily profile: the median of u over its last seven days at that
time of day. A residual is u - p. All but ``base``, ``level`` and flags is a difference of logs, 0 where unknown and
limited to +-LIMIT.

First come the shared columns, one value for each cell. Then the ahead columns, block by block: in block k, column h is
about the step h + 1 steps ahead of the last observed one. docs/forecast-model.md describes each of them.
"""

from __future__ import annotations

DAY_S = 86400
N_DAYS = 7  # of history behind profile and means
N_LAGS = 6
OFFSET = 0.01  # keeps the log of an idle cell finite; below it loads differ little in what may rest [ratio]
LIMIT = 3.0  # of differences of logs: a factor of 20

SHARED = (
    *(f"lag_{k}" for k in range(N_LAGS)),  # residuals of the last steps, the latest first
    "residual_1h",  # mean residual of the last hour, at least two steps
    "residual_6h",
    "residual_24h",
    "volatility_24h",  # mean absolute residual of a day
    "roughness_24h",  # mean absolute difference of successive u
    "level",  # mean u of the last seven days
    "day_level",  # mean u of the last day, against level
    "profile_mean",  # against level
    "profile_peak",  # against the profile's mean
    "profile_valley",
    "missing_24h",  # share of the last day without a value
    "age_day",  # time since the last value, up to 1 [day]
    "days_known",  # days of history behind the profile, over N_DAYS
    "network_lag_0",  # mean of lag_0 over all cells
    "site_lag_0",  # mean of lag_0 over the other cells of the site, else of the network
    "origin_sin",  # local time of day of the last step
    "origin_cos",
    "origin_sin2",  # its second harmonic
    "origin_cos2",
)
AHEAD = (
    "base",  # p at that time of day
    "profile_before",  # p one step before, against base
    "profile_after",
    "profile_far_before",  # p one hour before, at least two steps
    "profile_far_after",
    "profile_mean_day",  # mean instead of median over the days, against base
    "profile_network",  # base of a cell with the network's mean shape and this cell's mean, against base
    "yesterday",  # u a day earlier, against base
    "yesterday_before",
    "yesterday_after",
    "two_days_ago",
    "last_week",  # u seven days earlier, against base
    "week_profile",  # mean u at that time of that weekday, against base
    "spread",  # mean absolute deviation of the days from p at that time of day
    "rest_day",  # 1 on a weekend or holiday
    "holiday",  # 1 on a holiday of the named country
)
WEEKLY = ("last_week", "week_profile", "rest_day", "holiday")  # say nothing before two weeks are known


def steps_per_day(step_s: int) -> int:
    """Steps of a day. Raises ValueError where a day has no whole number of at least two of them."""
    if step_s <= 0 or DAY_S % step_s or step_s > DAY_S // 2:
        raise ValueError(f"a step of {step_s} s does not divide a day into two or more steps")
    return DAY_S // step_s


def n_features(step_s: int, horizon_steps: int) -> int:
    """Number of columns."""
    steps_per_day(step_s)
    return len(SHARED) + len(AHEAD) * horizon_steps


def shared_column(name: str) -> int:
    """Column of a shared feature."""
    return SHARED.index(name)


def ahead_columns(name: str, horizon_steps: int) -> range:
    """Columns of an ahead feature, the nearest step first."""
    first = len(SHARED) + AHEAD.index(name) * horizon_steps
    return range(first, first + horizon_steps)


def columns_at(horizon: int, horizon_steps: int) -> list[int]:
    """Columns for a forecast ``horizon`` steps ahead (from 1): all shared ones, then its own of each block."""
    own = [ahead_columns(name, horizon_steps)[horizon - 1] for name in AHEAD]
    return [*range(len(SHARED)), *own]
