"""A measured or published quantity of the grid or the weather at one step."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from traces.errors import Quarantine, TraceError

Values = NDArray[np.float64]
_DAY_S = 86_400


@dataclass(frozen=True, slots=True, eq=False)
class GridSeries:
    """Means over steps of one length. NaN where nothing was recorded.

    Raises TraceError for a start that is no moment in whole seconds, a step of no length, or no values.
    """

    name: str
    start: np.datetime64  # begin of the first step, UTC [s]
    step_s: int
    values: Values  # (T,)
    unit: str
    repeats_yearly: bool = False  # one typical year that stands for every year, date by date
    notes: tuple[str, ...] = ()
    quarantine: Quarantine = field(default_factory=Quarantine)  # rows that were set aside

    def __post_init__(self) -> None:
        values = np.ascontiguousarray(self.values, np.float64)
        if values.ndim != 1 or not len(values) or self.step_s < 1 or np.isnat(self.start):
            raise TraceError(
                f"{self.name}: a series needs a start, a step of at least 1 s and one value or more in one row; "
                f"it has start {self.start}, step {self.step_s} s and values of shape {values.shape}"
            )
        object.__setattr__(self, "values", values)
        object.__setattr__(self, "start", self.start.astype("datetime64[s]"))

    @property
    def start_s(self) -> int:
        """Seconds from 1970 to the start, UTC."""
        return int(self.start.astype(np.int64))

    @property
    def end(self) -> np.datetime64:
        """End of the last step, UTC. [s]"""
        return self.start + np.timedelta64(len(self.values) * self.step_s, "s")

    @property
    def missing_share(self) -> float:
        """Share of the steps in which nothing was recorded. [ratio]"""
        return float(np.isnan(self.values).mean())

    def steps(self, first: int, count: int) -> Values:
        """Values of ``count`` steps from step ``first`` on, which may be negative or past the end. (count,)

        A typical year is repeated date by date, 29 February as 28 February; any other series is NaN where it
        does not reach.
        """
        wanted = first + np.arange(count)
        if self.repeats_yearly:
            wanted = self._in_typical_year(wanted)
        inside = (wanted >= 0) & (wanted < len(self.values))
        found = np.full(count, np.nan)
        found[inside] = self.values[wanted[inside]]
        return found

    def _in_typical_year(self, wanted: NDArray[np.int64]) -> NDArray[np.int64]:
        """Steps of the typical year that stand for steps counted from its start into other years."""
        moved_s = self.start_s % _DAY_S  # the year of the series may begin at another hour than midnight UTC
        if moved_s > _DAY_S // 2:
            moved_s -= _DAY_S
        seconds = self.start_s + wanted * self.step_s - moved_s
        days, second_of_day = np.divmod(seconds, _DAY_S)
        date = days.astype("datetime64[D]")
        year = date.astype("datetime64[Y]")
        day = (date - year.astype("datetime64[D]")).astype(np.int64)
        leap = (year + 1).astype("datetime64[D]") - year.astype("datetime64[D]") == np.timedelta64(366, "D")
        day = np.where(leap & (day >= 59), day - 1, day)  # day 59 of a leap year is 29 February
        first_date = np.datetime64((self.start_s - moved_s) // _DAY_S, "D")
        offset = int(
            (first_date - first_date.astype("datetime64[Y]").astype("datetime64[D]")).astype(np.int64)
        )
        steps: NDArray[np.int64] = ((day - offset) % 365 * _DAY_S + second_of_day) // self.step_s
        return steps
