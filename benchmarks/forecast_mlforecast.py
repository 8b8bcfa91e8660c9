"""The default boosted peer: mlforecast with LightGBM as its documentation starts it."""

from __future__ import annotations

import lightgbm
import numpy as np
import pandas as pd
from mlforecast import MLForecast
from mlforecast.lag_transforms import ExpandingMean, RollingMean

from benchmarks.forecast_protocol import (
    DAY,
    HORIZONS,
    Case,
    Float64,
    Forecast,
    filled,
)

WEEK = 7 * DAY
START = pd.Timestamp("2000-01-03")  # a Monday at 00:00; only hour and weekday matter


def mlforecast_default(case: Case) -> Forecast:
    """Lags of an hour and a day, means, calendar; default parameters; recursive.

    The weekday is a feature where a refit sees two weeks or more. Gaps are filled causally, as it needs whole series.
    """
    median = case.empty()
    series = filled(case.load)
    for refit, until in case.spans:
        model = MLForecast(
            models=[lightgbm.LGBMRegressor(verbosity=-1, random_state=0, n_jobs=1)],
            freq="h",
            lags=[1, DAY],
            lag_transforms={1: [ExpandingMean()], DAY: [RollingMean(window_size=DAY)]},
            date_features=["hour", "dayofweek"] if refit >= 2 * WEEK else ["hour"],
        )
        model.fit(_long(case, series, 0, refit), static_features=[])
        for origin in range(refit, until):
            if origin > refit:
                model.update(_long(case, series, origin - 1, origin))
            ahead = model.predict(max(HORIZONS))["LGBMRegressor"].to_numpy()
            ahead = ahead.reshape(case.trace.n_cells, -1)
            median[:, origin - case.refits[0]] = ahead[:, [h - 1 for h in HORIZONS]]
    return Forecast("mlforecast_lightgbm", "default", np.clip(median, 0, 1))


def _long(case: Case, series: Float64, first: int, last: int) -> pd.DataFrame:
    n = case.trace.n_cells
    hours = np.arange(first, last) + _hour_of(case)
    table = pd.DataFrame(
        {
            "unique_id": np.repeat(np.arange(n), last - first),
            "ds": np.tile(START + pd.to_timedelta(hours, unit="h"), n),
            "y": series[:, first:last].ravel(),
        }
    )
    return table.dropna(ignore_index=True)


def _hour_of(case: Case) -> int:
    """Hours from a Monday at 00:00 to the begin of the trace."""
    monday = np.datetime64("1970-01-05T00:00:00")
    return int((case.trace.start - monday) / np.timedelta64(1, "h")) % WEEK
