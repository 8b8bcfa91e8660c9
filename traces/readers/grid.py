"""The regular grid of steps that the times of a trace stand on."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from traces.errors import TraceError

MAX_STEPS = 2_000_000
MAX_OFF_GRID_SHARE = 0.05
MAX_FAR_SHARE = 0.01
FAR_S = 366 * 86_400  # times further than this from all others are taken for errors
OFF_GRID = "timestamp is off the grid of steps"
OUTSIDE = "timestamp is outside the recording"


@dataclass(frozen=True, slots=True)
class Grid:
    """Steps ``start_s + i * step_s``, in seconds since 1970 UTC."""

    start_s: int
    step_s: int
    n_steps: int

    def step_of(
        self, seconds: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.bool_], NDArray[np.bool_]]:
        """Index of the step of each time, and masks of times off the grid and of times before or after it."""
        step, rest = np.divmod(seconds - self.start_s, self.step_s)
        outside = (step < 0) | (step >= self.n_steps)
        return step, (rest != 0) & ~outside, outside


@dataclass(slots=True)
class TimeFacts:
    """What a scan finds out about the times of a file."""

    rows_at: Counter[int]  # seconds -> rows
    distances: Counter[int]  # seconds from a row to the next of its cell -> how often
    runs: Counter[int]  # the same, where it is the fourth equal distance in a row


def find_grid(facts: TimeFacts, declared_step_s: int | None, likely_step_s: int | None, name: str) -> Grid:
    """The grid of a file: its step is the declared or the most common distance between rows of a cell.

    Raises TraceError for mixed steps, for a recording in pieces years apart and if no step can be told.
    """
    if not facts.rows_at:
        raise TraceError(f"{name}: the trace is empty; no row has a usable cell and time")
    seconds = np.array(sorted(facts.rows_at), np.int64)
    rows = np.array([facts.rows_at[s] for s in seconds.tolist()], np.int64)
    near = _main_part(seconds, rows, name)
    step_s = declared_step_s or _most_common(facts.distances) or likely_step_s
    if not step_s:
        raise TraceError(
            f"{name}: the step cannot be told from one time per cell; add the rows of further steps, or "
            "write tidy Parquet with quietcell.step_s"
        )
    phases: Counter[int] = Counter()
    for phase, count in zip((seconds[near] % step_s).tolist(), rows[near].tolist(), strict=True):
        phases[phase] += count
    on_grid = near & (seconds % step_s == _most_common(phases))
    _refuse_mixed_steps(step_s, facts, rows, near & ~on_grid, name)
    start, end = int(seconds[on_grid][0]), int(seconds[on_grid][-1])
    n_steps = (end - start) // step_s + 1
    if n_steps > MAX_STEPS:
        raise TraceError(
            f"{name}: {n_steps} steps of {step_s} s are more than {MAX_STEPS}; split the file by time"
        )
    return Grid(start, step_s, n_steps)


def _most_common(counts: Counter[int]) -> int:
    return min(counts, key=lambda value: (-counts[value], value)) if counts else 0


def _main_part(seconds: NDArray[np.int64], rows: NDArray[np.int64], name: str) -> NDArray[np.bool_]:
    """Mask of the times that belong to the recording; a few stray times years away do not."""
    part = np.concatenate([[0], np.cumsum(np.diff(seconds) > FAR_S)])
    rows_of_part = np.bincount(part, weights=rows)
    near = part == np.argmax(rows_of_part)
    if rows[~near].sum() > MAX_FAR_SHARE * rows.sum():
        raise TraceError(f"{name}: the recording has a gap of more than a year; split the file there")
    return np.asarray(near)


def _refuse_mixed_steps(
    step_s: int, facts: TimeFacts, rows: NDArray[np.int64], off_grid: NDArray[np.bool_], name: str
) -> None:
    remedy = "resample the source to one step, or split it into one file per step"
    off_share = rows[off_grid].sum() / rows.sum()
    if off_share > MAX_OFF_GRID_SHARE:
        raise TraceError(
            f"{name}: mixed steps: rows of a cell are most often {step_s} s apart, but {off_share:.0%} of "
            f"the rows are off that grid; {remedy}"
        )
    coarse = {distance: count for distance, count in facts.runs.items() if distance > step_s}
    coarse_share = sum(coarse.values()) / rows.sum()
    if coarse_share > MAX_OFF_GRID_SHARE:
        common = max(coarse, key=lambda distance: coarse[distance])
        raise TraceError(
            f"{name}: mixed steps: rows of a cell are most often {step_s} s apart, but in {coarse_share:.0%} "
            f"of the rows steadily {common} s; {remedy}"
        )
