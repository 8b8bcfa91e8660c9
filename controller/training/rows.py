"""Training rows: what a forecaster would have seen at past origins, and what came after.

The rows are made by the same code that runs live: a ``Memory`` walks through the trace. A short trace is walked once
for each of its days, rotated so that this day comes last: its cells then have as much history as they will have in
use, instead of the little that had been recorded by then. Only days of the training part take part, so nothing of
later is seen.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from controller.forecast.calendar import Calendar
from controller.forecast.layout import OFFSET, SHARED, WEEKLY, ahead_columns, shared_column, steps_per_day
from controller.forecast.memory import Ahead, Memory
from traces import Trace

SHORT_DAYS = 14  # training parts shorter than this are rotated, and say nothing about weeks
BURN_IN_DAYS = 7  # of a longer one, before its first origin
NOT_FROM_FEW_DAYS = (
    *(name for name in SHARED if name.startswith("origin_")),
    "missing_24h",
    "age_day",
    "days_known",
)
HALF_LIFE_DAYS = 365  # of the weight of a row; of a short part an eighth of it
MAX_ROWS = 100_000  # for training
MAX_LATER_ROWS = 40_000  # for comparison


@dataclass(slots=True)
class Rows:
    """Origins of single cells. m rows, F columns, H steps ahead."""

    features: NDArray[np.float32]  # (m, F)
    target: NDArray[np.float32]  # (m, H) u of the steps ahead, NaN not recorded or not for training
    weight: NDArray[np.float32]  # (m,) newer origins count more
    cell: NDArray[np.int64]  # (m,)
    slot: NDArray[np.int64]  # (m,) of the last observed step in the local day


@dataclass(frozen=True, slots=True)
class Series:
    """A trace as the walk needs it. n cells, T steps."""

    load: NDArray[np.float32]  # (n, T)
    site: NDArray[np.int32]  # (n,)
    per_day: int
    slot: NDArray[np.int64]  # (T + H,)
    week_slot: NDArray[np.int64]
    rest_day: NDArray[np.float32]
    holiday: NDArray[np.float32]

    def ahead(self, steps: NDArray[np.int64]) -> Ahead:
        """The calendar of some steps."""
        return Ahead(self.slot[steps], self.week_slot[steps], self.rest_day[steps], self.holiday[steps])


def make_series(trace: Trace, country: str | None) -> Series:
    """The trace with its calendar, one day beyond its end."""
    per_day = steps_per_day(trace.step_s)
    calendar = Calendar(trace.step_s, trace.time_zone, country)
    slot, week_slot = calendar.slots(trace.start, trace.n_steps + per_day)
    rest_day, holiday = calendar.day_types(trace.start, trace.n_steps + per_day)
    return Series(trace.dl_prb_ratio, trace.cells.site_numbers(), per_day, slot, week_slot, rest_day, holiday)


def training_rows(series: Series, until: int, rng: np.random.Generator) -> Rows:
    """Rows whose steps ahead lie before step ``until``."""
    days = until // series.per_day
    if days < SHORT_DAYS:
        walks = [_rotated(series, until, day, days) for day in range(1, days)]
        first = [max(len(walk) - 2 * series.per_day, 0) for walk in walks]
        scored = [len(walk) - series.per_day for walk in walks]
    else:
        walks, first, scored = [np.arange(until)], [BURN_IN_DAYS * series.per_day], [0]
    wanted = [_Walk(w, f, s) for w, f, s in zip(walks, first, scored, strict=True)]
    rows = _collect(
        series,
        wanted,
        rng,
        MAX_ROWS,
        half_life=until / 8 if days < SHORT_DAYS else HALF_LIFE_DAYS * series.per_day,
    )
    if days < SHORT_DAYS:
        _blank(rows.features, series.per_day)
    return rows


def _blank(features: NDArray[np.float32], horizon: int) -> None:
    """Clear what a short part cannot teach: weeks, hours that few days share, how much of the past is known."""
    for name in WEEKLY:
        features[:, list(ahead_columns(name, horizon))] = 0
    features[:, [shared_column(name) for name in NOT_FROM_FEW_DAYS]] = 0


def later_rows(series: Series, first: int, until: int, rng: np.random.Generator) -> Rows:
    """Rows whose steps ahead lie from ``first`` to ``until``, seen from all distances as they would have been live."""
    return _collect(
        series,
        [_Walk(np.arange(until), max(first - series.per_day + 1, 1), first)],
        rng,
        MAX_LATER_ROWS,
        half_life=np.inf,
    )


@dataclass(frozen=True, slots=True)
class _Walk:
    step: NDArray[np.int64]  # steps of the trace in the order in which they are observed
    first: int  # first origin: number of observed steps
    scored: int  # place in the walk from which a step ahead is a target


def _rotated(series: Series, until: int, day: int, days: int) -> NDArray[np.int64]:
    """Whole days of the training part in circular order, so that ``day`` is the last."""
    begin = until - days * series.per_day
    order = np.arange(day + 1, day + 1 + days) % days
    return np.asarray((begin + order[:, None] * series.per_day + np.arange(series.per_day)).ravel())


def _collect(
    series: Series, walks: list[_Walk], rng: np.random.Generator, most: int, half_life: float
) -> Rows:
    """Walk, and draw about ``most`` rows at the origins. Newer ones weigh more, by ``half_life`` steps."""
    n, horizon = len(series.load), series.per_day
    n_origins = sum(len(walk.step) - walk.first for walk in walks)
    per_origin = min(n, max(1, -(-most // max(n_origins, 1))))
    every = max(1, n_origins * per_origin // most)
    u = np.log(series.load + np.float32(OFFSET))
    parts: list[tuple[NDArray[np.float32], ...]] = []
    cells, slots = [], []
    last = max(int(walk.step.max()) for walk in walks)
    for walk in walks:
        for origin, memory in _origins(series, walk, every):
            chosen = np.sort(rng.choice(n, per_origin, replace=False))
            ahead, target = _targets(u, walk, origin, horizon, chosen)
            keep = np.isfinite(target).any(1)
            features = memory.features(memory.moment(series.ahead(ahead)), chosen[keep])
            age = last - int(walk.step[origin - 1])
            weight = np.full(keep.sum(), 0.5 ** (age / half_life), np.float32)
            parts.append((features, target[keep], weight))
            cells.append(chosen[keep])
            slots.append(np.full(keep.sum(), series.slot[walk.step[origin - 1]]))
    features, target, weight = (np.concatenate(part) for part in zip(*parts, strict=True))
    return Rows(features, target, weight, np.concatenate(cells), np.concatenate(slots))


def _origins(series: Series, walk: _Walk, every: int) -> Iterator[tuple[int, Memory]]:
    """The memory at each ``every``-th origin from the first on, but the very last."""
    memory = Memory(series.site, series.per_day)
    for origin, step in enumerate(walk.step, start=1):
        memory.observe(series.load[:, step], int(series.slot[step]), int(series.week_slot[step]))
        if walk.first <= origin < len(walk.step) and (origin - walk.first) % every == 0:
            yield origin, memory


def _targets(
    u: NDArray[np.float32],
    walk: _Walk,
    origin: int,
    horizon: int,
    chosen: NDArray[np.int64],
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Steps ahead of an origin, and their values where they are targets. (H,), (m, H)"""
    places = np.arange(origin, origin + horizon)
    inside = (places < len(walk.step)) & (places >= walk.scored)
    step = walk.step[np.minimum(places, len(walk.step) - 1)]
    ahead = np.where(places < len(walk.step), step, walk.step[-1] + 1 + places - len(walk.step))
    target = np.where(inside[None, :], u[chosen][:, step], np.float32(np.nan))
    return ahead, target
