"""What was gathered per row and period, on the regular grid of a trace."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan

import numpy as np
from numpy.typing import NDArray

from traces.errors import Problem, Quarantine, TraceError
from traces.pm.gather import Found, Period, Row, Series
from traces.trace import Float32, SiteEnergy

_MAX_EMPTY_VALUES = 10_000_000  # places of the grid beyond those that were reported

Float64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Grid:
    """Steps of equal length without gaps."""

    start_s: int  # since 1970 UTC
    step_s: int
    n_steps: int

    def index_of(self, period: Period) -> int | None:
        """Step of a period, None if it is not on the grid."""
        step, rest = divmod(period[0] - self.start_s, self.step_s)
        return step if not rest and period[1] == self.step_s and 0 <= step < self.n_steps else None


def grid_of(series: Sequence[Series], found: Found) -> Grid:
    """The grid of the most common length and phase of the periods of downlink PRB utilisation.

    Raises TraceError if two lengths are equally common, and if the grid would be far larger than what was
    reported.
    """
    reported: Counter[Period] = Counter()
    for one in series:
        if one.field_name == "dl_prb_ratio":
            reported.update({period: len(column) for period, column in one.columns.items()})
    lengths: Counter[int] = Counter()
    for period, count in reported.items():
        lengths[period[1]] += count
    ranked = lengths.most_common(2)
    if len(ranked) == 2 and ranked[0][1] == ranked[1][1]:
        raise TraceError(
            f"granularity periods of {ranked[0][0]} s and {ranked[1][0]} s are equally common"
            f" ({_file_of(found, reported, ranked[0][0])}, {_file_of(found, reported, ranked[1][0])});"
            " read the files of each length apart"
        )
    step_s = ranked[0][0]
    phases: Counter[int] = Counter()
    for (begin_s, duration_s), count in sorted(reported.items()):
        if duration_s == step_s:
            phases[begin_s % step_s] += count
    phase_s = phases.most_common(1)[0][0]
    periods = {p for one in series for p in one.columns if p[1] == step_s and p[0] % step_s == phase_s}
    first, last = min(periods), max(periods)
    grid = Grid(first[0], step_s, (last[0] - first[0]) // step_s + 1)
    n_reported = sum(len(column) for one in series for column in one.columns.values())
    if grid.n_steps * len(found.cell_rows) > _MAX_EMPTY_VALUES + 20 * n_reported:
        raise TraceError(
            f"times span {grid.n_steps} steps of {step_s} s, far more than were recorded: the earliest is in"
            f" {found.first_file[first]}, the latest in {found.first_file[last]}; leave out the wrong one"
        )
    return grid


def _file_of(found: Found, periods: Counter[Period], duration_s: int) -> str:
    return next(found.first_file[period] for period in periods if period[1] == duration_s)


def set_aside_off_grid(series: Sequence[Series], grid: Grid, found: Found, quarantine: Quarantine) -> None:
    """Count the values of periods that are not on the grid."""
    for one in series:
        for period, column in one.columns.items():
            n_values = sum(not isnan(value) for value in column)
            if n_values and grid.index_of(period) is None:
                if period[1] != grid.step_s:
                    reason = (
                        f"granularity period of {period[1]} s in a trace of {grid.step_s} s; read it apart"
                    )
                else:
                    reason = "period does not begin on the grid of the others"
                end = np.datetime64(period[0] + period[1], "s")
                place = f"period ending {end}Z"
                quarantine.add(Problem(found.first_file[period], place, one.field_name, reason), n_values)


def field_array(
    series: Sequence[Series], name: str, grid: Grid, n_rows: int, quarantine: Quarantine
) -> Float32 | None:
    """One field, each row from its first expression with values: (n_rows, n_steps), None without values."""
    result: Float64 | None = None
    for one in series:
        if one.field_name == name and any(grid.index_of(period) is not None for period in one.columns):
            values = _values(one, grid, n_rows, quarantine)
            if result is None:
                result = values
            else:
                unknown = np.isnan(result).all(axis=1)
                result[unknown] = values[unknown]
    return None if result is None else result.astype(np.float32)


def energy_per_site(
    series: Sequence[Series], grid: Grid, rows: Sequence[Row], quarantine: Quarantine
) -> tuple[SiteEnergy | None, list[str]]:
    """Energy of the sites: the sum over the meters of the first expression with values at that site. [Wh]

    Where one of these meters has no value, the site has none; a meter that never has one is left out.

    Returns the energy, None if no period is on the grid, and the full names of the meters that are left out.
    """
    series = [one for one in series if any(grid.index_of(period) is not None for period in one.columns)]
    if not series:
        return None, []
    sites = list(dict.fromkeys(site for site, _ in rows))
    index_of_site = {site: i for i, site in enumerate(sites)}
    site_of = np.array([index_of_site[site] for site, _ in rows], np.intp)
    energy = np.full((len(sites), grid.n_steps), np.nan)
    silent: list[str] = []
    for one in series:
        values = _values(one, grid, len(rows), quarantine)
        reports = ~np.isnan(values).all(axis=1)
        total = np.zeros_like(energy)
        np.add.at(total, site_of[reports], values[reports])
        chosen = np.all(np.isnan(energy), axis=1) & np.isin(np.arange(len(sites)), site_of[reports])
        energy[chosen] = total[chosen]
        pattern = re.compile(one.expression.object or "")
        unheard = (rows[int(i)][1] for i in np.flatnonzero(chosen[site_of] & ~reports))
        silent += [meter for meter in unheard if pattern.search(meter)]
    return SiteEnergy(np.asarray(sites, np.str_), energy.astype(np.float32), "Wh"), silent


def _values(series: Series, grid: Grid, n_rows: int, quarantine: Quarantine) -> Float64:
    by_step = np.full((grid.n_steps, n_rows), np.nan)
    for period, column in series.columns.items():
        step = grid.index_of(period)
        if step is not None:
            by_step[step, : len(column)] = column
    values = np.ascontiguousarray(by_step.T)
    if not series.expression.accumulates:
        return values
    steps = np.diff(values, axis=1, prepend=np.nan)
    fell = steps < 0
    if fell.any():
        row = list(series.rows)[int(np.argmax(fell.any(axis=1)))]
        reason = "running total fell; it was reset, or the counter does not accumulate"
        quarantine.add(Problem("", "/".join(row), series.field_name, reason), int(fell.sum()))
        steps[fell] = np.nan
    return steps
