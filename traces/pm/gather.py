"""Results of many files, gathered per expression of the mapping, row and period."""

from __future__ import annotations

import re
from array import array
from dataclasses import dataclass, field
from functools import lru_cache
from math import isnan, nan
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np

from traces.errors import Problem, Quarantine
from traces.pm.mapping import RATIO_FIELDS, SITE_FIELD, UNITS, CounterMapping, Expression
from traces.pm.names import full_name, group_of
from traces.pm.parse import MeasValue, PmParser
from traces.pm.source import FileRefusedError, read_chunks
from traces.pm.values import Result, evaluate, parse_duration_s, parse_result, parse_time_s

Period = tuple[int, int]  # (begin [s since 1970 UTC], duration [s])
Row = tuple[str, str]  # (site, cell), or (site, full name of the meter)
_LARGEST = float(np.finfo(np.float32).max)
_EXAMPLES = 5
_MAX_STAGED = 1_000_000  # objects times periods of interest in one file
_MAX_KNOWN = 200_000  # names and periods that are looked up without working them out again


@dataclass(slots=True, eq=False)
class Series:
    """Values of one expression; row i is ``columns[period][i]``, NaN or beyond its end if missing."""

    field_name: str
    expression: Expression
    rows: dict[Row, int]  # shared by the series of cells, and by those of sites
    columns: dict[Period, array[float]] = field(default_factory=dict)
    conflicts: set[tuple[Period, int]] = field(default_factory=set)

    def value(self, results: dict[str, Result | None], duration_s: int) -> float:
        """The value in the unit of the field, NaN if missing. Raises as ``evaluate``, and if out of range."""
        factor = UNITS[self.field_name][self.expression.unit]
        value = evaluate(self.expression, results, duration_s, factor)
        if value is None:
            return nan
        if self.field_name in RATIO_FIELDS and not 0 <= value <= 1:
            raise ValueError("utilisation outside 0..1; see the unit in the mapping")
        if not 0 <= value <= _LARGEST:
            raise ValueError("value below zero or beyond float32")
        return value


@dataclass(slots=True, eq=False)
class Target:
    """An object of interest: its row and the series that it can feed."""

    row: Row
    series: tuple[Series, ...]


@dataclass(slots=True)
class _Staged:
    """Results of one row and period in the file being parsed; they count once the file is complete."""

    target: Target
    line: int
    results: dict[str, Result | None] = field(default_factory=dict)  # NaN: results that contradict each other


@dataclass(slots=True)
class Found:
    """What was met on the way."""

    cell_rows: dict[Row, int] = field(default_factory=dict)
    site_rows: dict[Row, int] = field(default_factory=dict)
    first_file: dict[Period, str] = field(default_factory=dict)
    other_objects: list[str] = field(default_factory=list)  # the first with mapped counters that are no cell
    type_names: dict[str, None] = field(default_factory=dict)
    n_unmapped_files: int = 0
    n_blank: int = 0
    n_zero_denominators: int = 0
    has_local_times: bool = False


class Gatherer:
    """Reads files one by one; ``series`` and ``found`` grow, and what is set aside goes to ``quarantine``."""

    def __init__(self, mapping: CounterMapping, zone: ZoneInfo, quarantine: Quarantine) -> None:
        self.found = Found()
        rows = {True: self.found.site_rows, False: self.found.cell_rows}
        self.series = [
            Series(name, expression, rows[name == SITE_FIELD])
            for name, expressions in mapping.fields.items()
            for expression in expressions
        ]
        counters = {c for s in self.series for c in (*s.expression.counters, *s.expression.divided_by)}
        self._exact = frozenset(c for c in counters if c[-1] != "*")
        self._beginnings = tuple(c[:-1] for c in counters if c[-1] == "*")
        self._mapping, self._zone, self._quarantine = mapping, zone, quarantine
        self._target_of = lru_cache(_MAX_KNOWN)(self._new_target)
        self._period_of = lru_cache(_MAX_KNOWN)(self._new_period)
        self._complete: dict[tuple[tuple[Series, ...], tuple[str, ...]], tuple[Series, ...]] = {}
        self._staged: dict[tuple[Row, Period], _Staged] = {}
        self._file = ""

    def read(self, path: Path) -> None:
        """Read one file, all or nothing. Raises FileRefusedError."""
        self._file = str(path)
        parser = PmParser(self._file, self._wants_counter, self._target_of, self._take)
        try:
            parser.parse(read_chunks(path))
            self.found.n_unmapped_files += not self._staged
            self._commit()
        finally:
            self._staged.clear()
        self.found.type_names.update(parser.type_names)

    def _set_aside(self, line: int, ldn: str, field_name: str, reason: str, value: object = "") -> None:
        problem = Problem(self._file, f"line {line}, {ldn[:120]}", field_name, reason, str(value)[:60])
        self._quarantine.add(problem)

    def _wants_counter(self, name: str) -> bool:
        return name in self._exact or name.startswith(self._beginnings)

    def _new_target(self, element: str, ldn: str) -> Target | None:
        name = full_name(element, ldn)
        site = group_of(self._mapping.site, "site", name)
        cell = group_of(self._mapping.cell, "cell", name)
        if cell:
            return Target((site, cell), tuple(s for s in self.series if s.expression.object is None))
        series = tuple(s for s in self.series if s.expression.object and re.search(s.expression.object, name))
        if series and site:
            return Target((site, name), series)
        if len(self.found.other_objects) < _EXAMPLES:
            self.found.other_objects.append(name)
        return None

    def _take(self, value: MeasValue[Target]) -> None:
        """Stage the results of one ``measValue``."""
        period = self._period_of(value.duration, value.end_time)
        if isinstance(period, str):
            self._set_aside(value.line, value.ldn, "granPeriod", period, value.end_time)
            return
        staged = self._staged.setdefault((value.target.row, period), _Staged(value.target, value.line))
        if len(self._staged) > _MAX_STAGED:
            reason = f"more than {_MAX_STAGED} objects times periods"
            raise FileRefusedError(self._file, value.line, reason, "split the file")
        if value.suspect:
            self._set_aside(value.line, value.ldn, "suspect", "marked suspect by the node")
            for counter in value.results:
                staged.results.setdefault(counter, None)
            return
        for counter, text in value.results.items():
            try:
                result = parse_result(text)
            except ValueError as error:
                self._set_aside(value.line, value.ldn, counter, str(error), text)
                result = None
            else:
                self.found.n_blank += result is None
            self._stage(staged, value, counter, result)
        for counter, reason, text in value.faults:
            self._set_aside(value.line, value.ldn, counter, reason, text)
            if counter in staged.results:
                staged.results[counter] = nan

    def _stage(self, staged: _Staged, value: MeasValue[Target], counter: str, result: Result | None) -> None:
        earlier = staged.results.get(counter)
        if earlier is None:
            staged.results[counter] = result
        elif result is not None:
            same = earlier == result
            reason = "same value twice, one dropped" if same else "two values for one period, both set aside"
            self._set_aside(value.line, value.ldn, counter, reason, result)
            if not same:
                staged.results[counter] = nan

    def _new_period(self, duration: str, end_time: str) -> Period | str:
        """Begin and duration of a period, or what is wrong with them."""
        try:
            duration_s = parse_duration_s(duration)
            end_s, has_offset = parse_time_s(end_time, self._zone)
        except ValueError as error:
            return str(error)
        self.found.has_local_times |= not has_offset
        return end_s - duration_s, duration_s

    def _commit(self) -> None:
        """Evaluate what the file held, now that it is complete."""
        for (row, period), staged in self._staged.items():
            self.found.first_file.setdefault(period, self._file)
            for series in self._complete_series(staged):
                value = self._value_of(series, staged, row, period)
                self._store(series, staged, row, period, value)

    def _complete_series(self, staged: _Staged) -> tuple[Series, ...]:
        """The series whose counters are all there; found once for each set of counters."""
        key = (staged.target.series, tuple(staged.results))
        if key not in self._complete:
            complete = (s for s in staged.target.series if s.expression.is_complete(staged.results))
            self._complete[key] = tuple(complete)
        return self._complete[key]

    def _value_of(self, series: Series, staged: _Staged, row: Row, period: Period) -> float:
        try:
            return series.value(staged.results, period[1])
        except ZeroDivisionError:
            self.found.n_zero_denominators += 1
        except ValueError as error:
            shown = [staged.results.get(counter) for counter in series.expression.counters]
            self._set_aside(staged.line, "/".join(row), series.field_name, str(error), shown)
        return nan

    def _store(self, series: Series, staged: _Staged, row: Row, period: Period, value: float) -> None:
        index = series.rows.setdefault(row, len(series.rows))
        column = series.columns.setdefault(period, array("d"))
        if index >= len(column):
            column.extend([nan] * (index + 1 - len(column)))
        earlier = column[index]
        if isnan(earlier):
            if (period, index) not in series.conflicts:
                column[index] = value
            return
        if isnan(value):
            return
        same = earlier == value
        reason = "same value twice, one dropped" if same else "two values for one period, both set aside"
        self._set_aside(staged.line, "/".join(row), series.field_name, reason, value)
        if not same:
            column[index] = nan
            series.conflicts.add((period, index))


def counters_in(path: Path) -> dict[str, None]:
    """Names of all measurement types of a file. Raises FileRefusedError."""
    parser = PmParser[None](str(path), lambda _: False, lambda _, __: None, lambda _: None)
    parser.parse(read_chunks(path))
    return parser.type_names
