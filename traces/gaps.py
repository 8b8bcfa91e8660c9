"""What a trace does not record, and where."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from traces.localhours import LocalHours
from traces.trace import Trace

WORST_CELLS = 5


@dataclass(frozen=True, slots=True)
class Gaps:
    """What is not recorded."""

    share: float  # of all cell-steps of the grid [ratio]
    share_inside: float  # of the cell-steps between a cell's first and last recorded step [ratio]
    longest_s: int  # longest gap inside a cell's recording [s]
    cells_without_data: list[str]
    cells_under_two_days: int  # cells with less than two days of recorded steps, but some
    steps_without_data: int  # steps in which no cell is recorded
    worst_cells: list[tuple[str, float]]  # cell and its share inside, worst first; at most five
    worst_day: tuple[str, float]  # local day with the largest share inside


def find_gaps(trace: Trace, local: LocalHours) -> Gaps:
    """Count what is missing. ``local``: local day of each step."""
    recorded, step = ~trace.missing, np.arange(trace.n_steps)
    count = recorded.sum(axis=1)
    has_data = count > 0
    first = np.argmax(recorded, axis=1)
    last = trace.n_steps - 1 - np.argmax(recorded[:, ::-1], axis=1)
    inside = np.where(has_data, last - first + 1, 0)
    share = np.divide(inside - count, inside, out=np.zeros(len(inside)), where=inside > 0)
    worst = [i for i in np.argsort(-share, kind="stable")[:WORST_CELLS].tolist() if share[i] > 0]
    longest = max((int(np.diff(step[own]).max()) - 1 for own in recorded[inside > count]), default=0)
    return Gaps(
        share=trace.missing_share,
        share_inside=float((inside - count).sum() / inside.sum()),
        longest_s=longest * trace.step_s,
        cells_without_data=trace.cells.cell_id[~has_data].tolist(),
        cells_under_two_days=int((has_data & (count * trace.step_s < 2 * 86_400)).sum()),
        steps_without_data=int((~recorded.any(axis=0)).sum()),
        worst_cells=[(str(trace.cells.cell_id[i]), float(share[i])) for i in worst],
        worst_day=_worst_day(recorded.sum(axis=0), first[has_data], last[has_data], local.day),
    )


def _worst_day(
    recorded: NDArray[np.intp], first: NDArray[np.intp], last: NDArray[np.intp], day: NDArray[np.int32]
) -> tuple[str, float]:
    """Local day with most missing inside the cells' recordings, which run from step ``first`` to ``last``."""
    n_steps = len(recorded)
    started, ended = np.bincount(first, minlength=n_steps), np.bincount(last + 1, minlength=n_steps + 1)
    expected = np.cumsum(started - ended[:n_steps])
    number = day - day[0]
    expected_of_day = np.bincount(number, weights=expected)
    recorded_of_day = np.bincount(number, weights=recorded)
    share = 1 - np.divide(
        recorded_of_day, expected_of_day, out=np.ones(len(expected_of_day)), where=expected_of_day > 0
    )
    worst = int(np.argmax(share))
    return date.fromordinal(int(day[0]) + worst).isoformat(), float(share[worst])
