"""The tuned peer: LightGBM with ``objective=l1``, a model for each horizon, chosen by validation in the training part.

It has the lags of our forecaster as loads: the last steps, the slot on earlier days, the hour's mean and median, recent
means, hour, and where two weeks are known the slot a week before and the weekday. Its training rows are ours: a short
history is walked once for each of its days, rotated so that this day comes last.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.forecast_protocol import DAY, HORIZONS, QUANTILES, Case, Float32, Float64, Forecast

WEEK = 7 * DAY
SHORT_STEPS = 14 * DAY  # histories below are rotated and say nothing about weeks, as in ours
N_DAYS = 7  # behind mean and median of the hour
N_LAGS = 6
FOLDS = 2  # of the validation, each as long as the time between refits
TREES = (50, 100, 200, 400)  # tried on the way through one fit
LEAST_SCALE = 1e-3  # [ratio]


@dataclass(frozen=True)
class Setting:
    """One point of the grid."""

    normalised: bool  # target and loads over the mean of the cell's last week, rows weighted by it
    num_leaves: int
    min_child_samples: int
    learning_rate: float = 0.05
    n_estimators: int = TREES[-1]


@dataclass(frozen=True)
class Table:
    """Rows of one horizon. m rows."""

    loads: Float32  # (m, F) in ratio
    calendar: Float32  # (m, C)
    scale: Float32  # (m,) mean load of the last week
    target: Float32  # (m,) NaN not recorded

    def select(self, keep: NDArray[Any]) -> Table:
        """The rows of a mask."""
        return Table(self.loads[keep], self.calendar[keep], self.scale[keep], self.target[keep])


GRID = tuple(Setting(*point) for point in product((False, True), (8, 32, 96), (20,)))
AROUND = ({"min_child_samples": 100}, {"learning_rate": 0.02}, {"learning_rate": 0.1})  # of the best, in turn


def tuned_lightgbm(case: Case, *, quick: bool) -> tuple[Forecast, list[str]]:
    """The tuned peer with its quantiles, and the setting chosen at each horizon.

    Chosen at the first refit; later refits keep it. The quantiles have ``objective=quantile`` and the same setting.
    """
    quantile, median, chosen = case.empty(len(QUANTILES)), case.empty(), []
    start = _hours_from_monday(case)
    for k, horizon in enumerate(HORIZONS):
        best = _choose(case, horizon, GRID[:1] if quick else GRID)
        chosen.append(f"{horizon} ahead: {best}")
        for refit, until in case.spans:
            train = training_table(case.load[:, :refit], start, horizon)
            origins = np.arange(refit, until)
            rows = make_table(case.load, start, origins, horizon, weekly=refit >= SHORT_STEPS)
            places = slice(refit - case.refits[0], until - case.refits[0])
            shape = (case.trace.n_cells, len(origins))
            median[:, places, k] = _predict(_fit(train, best), best, rows).reshape(shape)
            for q, tau in enumerate(QUANTILES):
                model = _fit(train, best, objective="quantile", alpha=tau)
                quantile[:, places, k, q] = _predict(model, best, rows).reshape(shape)
    return Forecast("lightgbm_tuned", "tuned", median, np.sort(quantile, -1)), chosen


def _choose(case: Case, horizon: int, grid: tuple[Setting, ...]) -> Setting:
    """The setting with the least absolute error over rolling folds before the test part."""
    start, refit = _hours_from_monday(case), case.refits[0]
    fold_steps = (*case.refits, case.trace.n_steps)[1] - refit
    folds = []
    for begin in range(refit - FOLDS * fold_steps, refit, fold_steps):
        train = training_table(case.load[:, :begin], start, horizon)
        origins = np.arange(begin, begin + fold_steps - horizon + 1)
        later = make_table(case.load[:, :refit], start, origins, horizon, weekly=begin >= SHORT_STEPS)
        folds.append((train, later.select(np.isfinite(later.target))))

    def tried(setting: Setting) -> list[tuple[float, Setting]]:
        error = np.zeros(len(TREES))
        for train, later in folds:
            model = _fit(train, setting)
            ahead = [_predict(model, setting, later, trees) for trees in TREES]
            error += [float(np.abs(one - later.target).sum()) for one in ahead]
        return [(e, replace(setting, n_estimators=t)) for e, t in zip(error, TREES, strict=True)]

    found = [one for setting in grid for one in tried(setting)]
    for change in AROUND if len(grid) > 1 else ():
        best = min(found, key=lambda one: one[0])[1]
        found += tried(replace(best, n_estimators=TREES[-1], **change))
    return min(found, key=lambda one: one[0])[1]


def _fit(train: Table, setting: Setting, **objective: Any) -> lightgbm.LGBMRegressor:
    model = lightgbm.LGBMRegressor(
        num_leaves=setting.num_leaves,
        learning_rate=setting.learning_rate,
        n_estimators=setting.n_estimators,
        min_child_samples=setting.min_child_samples,
        verbosity=-1,
        random_state=0,
        n_jobs=1,
        **(objective or {"objective": "l1"}),
    )
    inputs, scale = _inputs(train, setting)
    return model.fit(inputs, train.target / scale, sample_weight=scale)


def _predict(
    model: lightgbm.LGBMRegressor, setting: Setting, rows: Table, trees: int | None = None
) -> Float64:
    inputs, scale = _inputs(rows, setting)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return np.clip(model.predict(inputs, num_iteration=trees) * scale, 0, 1)


def _inputs(table: Table, setting: Setting) -> tuple[Float32, Float32]:
    """Columns of the model, and what its target is divided by."""
    if not setting.normalised:
        return np.concatenate([table.loads, table.calendar], 1), np.ones_like(table.scale)
    loads = table.loads / table.scale[:, None]
    return np.concatenate([loads, table.calendar, table.scale[:, None]], 1), table.scale


def training_table(load: Float32, start: int, horizon: int) -> Table:
    """All rows whose target is recorded and lies in ``load``; a short one is rotated. Newer rows weigh the same."""
    n_steps = load.shape[1]
    if n_steps >= SHORT_STEPS:
        origins = np.arange(WEEK, n_steps - horizon + 1)
        table = make_table(load, start, origins, horizon, weekly=True)
        return table.select(np.isfinite(table.target))
    days, parts = n_steps // DAY, []
    whole = load[:, n_steps - days * DAY :]
    for day in range(days):
        rotated = np.roll(whole, -(day + 1) * DAY, axis=1)
        targets = np.arange((days - 1) * DAY, days * DAY)
        begin = start + n_steps - days * DAY
        parts.append(make_table(rotated, begin, targets - horizon + 1, horizon, weekly=False))
    table = Table(*(np.concatenate([getattr(p, name) for p in parts]) for name in Table.__dataclass_fields__))
    return table.select(np.isfinite(table.target))


def make_table(load: Float32, start: int, origin: NDArray[np.intp], horizon: int, *, weekly: bool) -> Table:
    """Rows of every cell at some origins, cell by cell. ``start``: hours from a Monday at 00:00 to the first step."""
    front = N_DAYS * DAY + DAY
    padded = np.pad(load, ((0, 0), (front, max(HORIZONS))), constant_values=np.nan)
    known = np.pad(pd.DataFrame(load.T).ffill().to_numpy().T, ((0, 0), (front, 0)), constant_values=np.nan)
    last, target = origin + front - 1, origin + front + horizon - 1
    slots = np.stack([padded[:, target - DAY * day] for day in range(1, N_DAYS + 1)], 2)
    week = _mean(padded, last, WEEK)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # no value at this hour yet
        typical = [np.nanmean(slots, 2), np.nanmedian(slots, 2)]
    loads = [padded[:, last - lag] for lag in range(N_LAGS)]
    loads += [known[:, last], slots[:, :, 0], slots[:, :, 1], *typical, _mean(padded, last, DAY), week]
    hour = (origin + horizon - 1 + start) % WEEK
    calendar = [hour % DAY]
    if weekly:
        loads.append(slots[:, :, 6])
        calendar.append(hour // DAY)
    n_rows = week.size
    flat = [np.broadcast_to(one, week.shape).reshape(n_rows) for one in (*loads, *calendar)]
    columns = np.stack(flat, 1).astype(np.float32)
    scale = np.maximum(np.nan_to_num(week.reshape(n_rows), nan=LEAST_SCALE), LEAST_SCALE)
    return Table(columns[:, : len(loads)], columns[:, len(loads) :], scale, padded[:, target].reshape(n_rows))


def _mean(padded: Float32, last: NDArray[np.intp], window: int) -> Float32:
    """Mean of what is recorded in the ``window`` steps that end with ``last``. (n, O)"""
    total = np.cumsum(np.nan_to_num(padded), 1, dtype=np.float64)
    count = np.cumsum(np.isfinite(padded), 1)
    with np.errstate(invalid="ignore"):
        mean = (total[:, last] - total[:, last - window]) / (count[:, last] - count[:, last - window])
    return mean.astype(np.float32)


def _hours_from_monday(case: Case) -> int:
    monday = np.datetime64("1970-01-05T00:00:00")
    return int((case.trace.start - monday) / np.timedelta64(1, "h")) % WEEK
