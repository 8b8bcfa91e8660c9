"""What the forecast benchmarks share: the sets, the instants of the rolling origin, and scores on the same pairs.

An origin ``o`` is the number of observed steps; horizon ``h`` of it forecasts step ``o + h - 1``. Every model is
refitted at ``Case.refits`` on everything before, and forecasts from every hour of the test part with inputs up to the
origin.
Arrays of forecasts have shape (n_cells, n_origins, n_horizons), NaN where a model gave no number.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.rows import data_folder
from controller.evaluation.bootstrap import Interval, interval, resample
from traces import Trace
from traces.reading import read_trace

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Bool = NDArray[np.bool_]

HORIZONS = (1, 4, 24)
HORIZON_NAMES = ("1step", "4h", "24h")
QUANTILES = (0.5, 0.8, 0.9, 0.95, 0.99)
DAY = 24  # steps
DRAWS = 1000
MIN_RECORDED_STEPS = {"itu": 5 * DAY}
SETS = {
    "itu": ("itu5g_energy", 2, 1),
    "br": ("lte_br4", 56, 28),
    "vn": ("lte_vn3", 56, 28),
}  # folder, days, days


@dataclass(frozen=True)
class Case:
    """One set and the instants at which every model is refitted."""

    name: str
    trace: Trace
    refits: tuple[int, ...]  # origins, ascending; the first is the begin of the test part

    @property
    def load(self) -> Float32:
        """Downlink PRB utilisation. Shape (n_cells, n_steps). [ratio]"""
        return self.trace.dl_prb_ratio

    @property
    def origins(self) -> NDArray[np.intp]:
        """Every hour of the test part. Shape (n_origins,)."""
        return np.arange(self.refits[0], self.trace.n_steps)

    @property
    def spans(self) -> Iterator[tuple[int, int]]:
        """First and past-the-last origin that each refitted model serves."""
        yield from zip(self.refits, (*self.refits[1:], self.trace.n_steps), strict=True)

    @property
    def targets(self) -> NDArray[np.intp]:
        """Step that is forecast; may lie beyond the trace. Shape (n_origins, n_horizons)."""
        return self.origins[:, None] + np.array(HORIZONS) - 1

    @property
    def test_days(self) -> int:
        """Length of the test part. [days]"""
        return -(-len(self.origins) // DAY)

    @property
    def truth(self) -> Float32:
        """Recorded load of the targets, NaN beyond the trace. Shape (n_cells, n_origins, n_horizons)."""
        padded = np.pad(self.load, ((0, 0), (0, max(HORIZONS))), constant_values=np.nan)
        return padded[:, self.targets]

    def empty(self, *more: int) -> Float32:
        """No forecast yet. Shape (n_cells, n_origins, n_horizons, *more)."""
        shape = (self.trace.n_cells, len(self.origins), len(HORIZONS), *more)
        return np.full(shape, np.nan, np.float32)


@dataclass(frozen=True)
class Forecast:
    """What one model forecast for a case."""

    model: str
    group: str  # "ours", "default" or "tuned"
    median: Float32  # (n_cells, n_origins, n_horizons)
    quantile: Float32 | None = None  # (n_cells, n_origins, n_horizons, 5)
    partial: str = ""  # which cells and origins it was run for where it is too slow for all


@dataclass(frozen=True)
class Score:
    """One model at one horizon, and ours on the same pairs."""

    model: str
    group: str
    wape: float
    within: Interval  # of wape
    ratio: float  # wape of ours over that of this model
    ratio_within: Interval
    pinball: float | None  # mean over pairs and quantiles [ratio]
    pinball_ratio: float | None
    n_pairs: int
    partial: str


def load_case(name: str, *, quick: bool) -> Case:
    """Read one set. ``quick`` keeps few cells and a short test part, for a smoke run."""
    folder, test_days, refit_days = SETS[name]
    trace = read_trace(data_folder() / folder)
    recorded = np.isfinite(trace.dl_prb_ratio).sum(1)
    index = np.flatnonzero(recorded >= MIN_RECORDED_STEPS.get(name, 1))
    if quick:
        index, test_days, refit_days = index[:48], min(test_days, 14), min(refit_days, 14)
    first = trace.n_steps - test_days * DAY
    return Case(name, trace.select_cells(index), tuple(range(first, trace.n_steps, refit_days * DAY)))


def filled(load: Float32) -> Float64:
    """A gap takes the value a day before, else the last one; before the first recorded value all stays NaN."""
    out = load.astype(np.float64)
    for step in range(1, out.shape[1]):
        gap = np.isnan(out[:, step])
        if gap.any():
            before = out[:, step - DAY] if step >= DAY else out[:, step - 1]
            out[gap, step] = np.where(np.isnan(before), out[:, step - 1], before)[gap]
    return out


def common_pairs(case: Case, forecasts: list[Forecast]) -> tuple[Bool, int]:
    """Pairs that have a truth and a number of every model that ran for all, and how many were left out."""
    recorded = np.isfinite(case.truth)
    pairs = recorded.copy()
    for one in forecasts:
        if not one.partial:
            pairs &= np.isfinite(one.median)
    return pairs, int(recorded.sum() - pairs.sum())


def pinball_loss(truth: Float32, quantile: Float32) -> Float64:
    """Mean over the quantiles. (...), (..., 5) -> (...) [ratio]"""
    error = truth[..., None].astype(np.float64) - quantile
    tau = np.array(QUANTILES)
    return np.maximum(tau * error, (tau - 1) * error).mean(-1)


def by_cell_and_day(case: Case, values: Float64, pairs: Bool) -> Float64:
    """Sums over the pairs of a cell and a day of the test part. (n, O, K) -> (n, days, K)"""
    kept = np.where(pairs, values, 0.0)
    day = (case.targets - case.refits[0]) // DAY
    out = np.zeros((kept.shape[0], case.test_days, kept.shape[2]))
    for k in range(kept.shape[2]):
        out[:, :, k] = kept[:, :, k] @ (day[:, k, None] == np.arange(case.test_days))
    return out


def scores_of(case: Case, ours: Forecast, other: Forecast, pairs: Bool) -> list[Score]:
    """Scores of one model at every horizon, on the common pairs for which it gave a number."""
    truth = case.truth
    mine = pairs & np.isfinite(other.median)
    loads = by_cell_and_day(case, truth, mine)
    errors = [by_cell_and_day(case, np.abs(truth - one.median), mine) for one in (other, ours)]
    losses = [
        None if one.quantile is None else by_cell_and_day(case, pinball_loss(truth, one.quantile), mine)
        for one in (other, ours)
    ]
    found = []
    for k in range(len(HORIZONS)):
        n_pairs = int(mine[:, :, k].sum())
        theirs, our, load = (sums[:, :, k] for sums in (*errors, loads))
        with np.errstate(invalid="ignore", divide="ignore"):
            draws = resample(np.stack([theirs, our, load], 2), DRAWS, seed=0)
            wape_within = interval(draws.apply(lambda sums: sums[:, 0] / sums[:, 2]))
            ratio_within = interval(draws.apply(lambda sums: sums[:, 1] / sums[:, 0]))
        pinball = [None if loss is None else float(loss[:, :, k].sum() / n_pairs) for loss in losses]
        found.append(
            Score(
                other.model,
                other.group,
                float(theirs.sum() / load.sum()),
                wape_within,
                float(our.sum() / theirs.sum()),
                ratio_within,
                pinball[0],
                pinball[1] / pinball[0] if pinball[0] and pinball[1] else None,
                n_pairs,
                other.partial,
            )
        )
    return found


def cell_wape(case: Case, one: Forecast, pairs: Bool) -> Float64:
    """WAPE of each cell over all horizons. (n_cells,)"""
    error = np.where(pairs, np.abs(case.truth - one.median), 0.0).sum((1, 2))
    load = np.where(pairs, case.truth, 0.0).sum((1, 2))
    return np.asarray(error / np.maximum(load, 1e-12), np.float64)
