"""Local time of the steps of a series: slots of the day and the week, rest days and holidays."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from controller.errors import ModelError
from controller.forecast.layout import DAY_S

SATURDAY = 5


class Calendar:
    """Slots and day types in one time zone, with the holidays of one country if named."""

    def __init__(self, step_s: int, time_zone: str, country: str | None = None) -> None:
        self._step_s, self._per_day = step_s, DAY_S // step_s
        self._zone = ZoneInfo(time_zone)
        self._holidays = None if country is None else _holidays_of(country)
        self._day_types: dict[date, tuple[bool, bool]] = {}

    def slots(self, begin: np.datetime64, count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Slots in the local day and in the local week (from Monday) of ``count`` steps from ``begin`` on."""
        local = self._local(begin, count)
        day = np.array([(t.hour * 3600 + t.minute * 60 + t.second) // self._step_s for t in local], np.int64)
        week = np.array([t.weekday() for t in local], np.int64) * self._per_day + day
        return day, week

    def day_types(self, begin: np.datetime64, count: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """1 where a step falls on a weekend or holiday, and 1 where on a holiday. (count,) each"""
        types = [self._day_type(t.date()) for t in self._local(begin, count)]
        rest, holiday = np.array(types, np.float32).T
        return np.ascontiguousarray(rest), np.ascontiguousarray(holiday)

    def _local(self, begin: np.datetime64, count: int) -> list[datetime]:
        seconds = int(begin.astype("datetime64[s]").astype(np.int64))
        first = datetime.fromtimestamp(seconds, UTC)
        return [(first + timedelta(seconds=k * self._step_s)).astimezone(self._zone) for k in range(count)]

    def _day_type(self, day: date) -> tuple[bool, bool]:
        if day not in self._day_types:
            holiday = self._holidays is not None and day in self._holidays
            self._day_types[day] = (holiday or day.weekday() >= SATURDAY, holiday)
        return self._day_types[day]


def _holidays_of(country: str) -> dict[date, str]:
    """Public holidays of a country by its ISO 3166 code. Raises ModelError for an unknown one."""
    import holidays

    try:
        known: dict[date, str] = holidays.country_holidays(country)
        return known
    except NotImplementedError as error:
        raise ModelError(
            f"country {country!r}: no holiday calendar is known; give a two-letter ISO 3166 code such as CN or BR, "
            "or leave it out"
        ) from error
