"""Texts of a measurement file as numbers: times, durations and results, and expressions over results."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from traces.pm.mapping import Expression

Result = float | tuple[float, ...]  # a scalar or a vector

NOT_A_NUMBER = "result is not a number"
MISSING_TEXTS = frozenset({"", "NIL", "NULL", "NAN"})
_MAX_NUMBER_CHARS = 64
_MAX_DURATION_S = 366 * 86_400
_DURATION = re.compile(
    r"P(?:(?P<W>\d{1,9})W)?(?:(?P<D>\d{1,9})D)?"
    r"(?:T(?:(?P<H>\d{1,9})H)?(?:(?P<M>\d{1,9})M)?(?:(?P<S>\d{1,9})(?:\.0+)?S)?)?",
    re.ASCII,
)
_DIGITS = re.compile(r"\d+")
_SECONDS = {"W": 604_800, "D": 86_400, "H": 3600, "M": 60, "S": 1}


def parse_duration_s(text: str) -> int:
    """ISO 8601 duration in whole seconds, as PT900S, PT15M, PT1H, P1D. [s]

    Raises ValueError for anything else, for months and years, for zero and for more than a year.
    """
    match = _DURATION.fullmatch(text.strip())
    total = sum(int(n) * _SECONDS[k] for k, n in match.groupdict().items() if n) if match else 0
    if not 0 < total <= _MAX_DURATION_S:
        raise ValueError(
            f"granularity period {text[:40]!r} is not a duration in whole seconds up to one year"
        )
    return total


def parse_time_s(text: str, zone: ZoneInfo) -> tuple[int, bool]:
    """ISO 8601 time in seconds since 1970 UTC, and whether it has an offset; else it is local in ``zone``.

    Raises ValueError for anything else, and for a local time that a change of clocks makes ambiguous.
    """
    clean = text.strip().upper()
    next_day = re.fullmatch(r"(.{8,10}T)24(:?00){1,2}(\D.*)?", clean)
    if next_day:  # xs:dateTime allows 24:00:00 for the end of the day
        clean = f"{next_day[1]}00:00:00{next_day[3] or ''}"
    try:
        if len(clean) < len("20220418T1915"):
            raise ValueError
        moment = datetime.fromisoformat(clean) + timedelta(days=1 if next_day else 0)
        has_offset = moment.tzinfo is not None
        if not has_offset:
            moment = moment.replace(tzinfo=zone)
            if moment.utcoffset() != moment.replace(fold=1).utcoffset():
                raise ValueError(f"time {text[:40]!r} has no offset and is ambiguous in {zone.key}")
        since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    except (ValueError, OverflowError) as error:
        if "ambiguous" in str(error):
            raise
        raise ValueError(f"time {text[:40]!r} is not ISO 8601") from error
    if since.microseconds:
        raise ValueError(f"time {text[:40]!r} is not a whole second")
    return since.days * 86_400 + since.seconds, has_offset


def parse_result(text: str) -> Result | None:
    """Text of ``r`` as a number, a vector of numbers, or None for blank, NIL and NULL, also inside a vector.

    Raises ValueError for anything else.
    """
    if "," in text:
        parts = [_number(part) for part in text.split(",")]
        return None if None in parts else tuple(part for part in parts if part is not None)
    return _number(text)


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if value - value == 0.0 and len(text) <= _MAX_NUMBER_CHARS and "_" not in text:
        return value
    if text.strip().upper() in MISSING_TEXTS:
        return None
    raise ValueError(NOT_A_NUMBER)


def evaluate(
    expression: Expression, results: Mapping[str, Result | None], duration_s: int, factor: float
) -> float | None:
    """Value of ``expression`` at one object and period in the unit of its field.

    Parameters
    ----------
    results : counter to result, None where it is missing. All counters of the expression are there.
    duration_s : length of the period. [s]
    factor : how much of the unit of the expression makes one of the field's (``mapping.UNITS``).

    Returns None where a counter is missing or NaN. Raises ZeroDivisionError for a zero denominator and
    ValueError for a vector that cannot be reduced or sub-counters that split the total more than once.
    """
    value = _total(expression, expression.counters, results)
    if value is None:
        return None
    if expression.divided_by:
        denominator = _total(expression, expression.divided_by, results)
        if denominator is None:
            return None
        value /= denominator
    if expression.unit == "W":
        value *= duration_s / 3600
    return None if math.isnan(value) else value * expression.scale / factor


def _total(
    expression: Expression, counters: tuple[str, ...], results: Mapping[str, Result | None]
) -> float | None:
    total = 0.0
    for counter in counters:
        names = [counter] if counter[-1] != "*" else [n for n in results if n.startswith(counter[:-1])]
        if len(names) > 1 and len({_DIGITS.sub("", name) for name in names}) > 1:
            raise ValueError(
                f"sub-counters {counter} are of several kinds and would count twice; map one kind"
            )
        for name in names:
            result = results[name]
            if result is None:
                return None
            scalar = result if isinstance(result, float) else None
            if scalar is None or expression.reduce == "pdf_mean":
                scalar = _reduced(expression, result)
                if scalar is None:
                    return None
            total += scalar
    return total


def _reduced(expression: Expression, result: Result) -> float | None:
    vector = result if isinstance(result, tuple) else (result,)
    match expression.reduce:
        case None:
            raise ValueError("vector where one number was expected; declare reduce in the mapping")
        case "first":
            return vector[0]
        case "sum":
            return sum(vector)
        case "mean":
            return sum(vector) / len(vector)
        case "pdf_mean":
            if len(vector) != len(expression.bin_centres):
                raise ValueError("vector has not as many bins as bin_centres in the mapping")
            weight = sum(vector)
            products = (n * centre for n, centre in zip(vector, expression.bin_centres, strict=True))
            return sum(products) / weight if weight else None
