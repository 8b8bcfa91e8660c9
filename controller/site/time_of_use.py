"""Prices by season, type of day and quarter of an hour, as one table that is looked up for all steps at once."""

from __future__ import annotations

from datetime import date

import numpy as np
from numpy.typing import NDArray

from controller.site.clock import LocalSteps
from controller.site.tariff_spec import (
    DAY_TYPES,
    QUARTER_S,
    TimeOfUseSpec,
    days_of_range,
    minutes_of_span,
)

WEEKDAY, WEEKEND, HOLIDAY = range(3)  # of DAY_TYPES
_QUARTERS = 96
_FEBRUARY_29 = 59  # day of a leap year, counted from 0


class PriceTable:
    """Period and price by season, type of day and quarter of the local day."""

    def __init__(self, spec: TimeOfUseSpec) -> None:
        self._holidays = spec.holidays
        names = spec.periods()
        n_seasons = len(spec.seasons)
        self._season_of_day = np.zeros(366, np.int64)  # of a leap year
        self._period = np.zeros((n_seasons, len(DAY_TYPES), _QUARTERS), np.uint8)
        self._price = np.zeros((n_seasons, len(DAY_TYPES), _QUARTERS))
        for s, season in enumerate(spec.seasons):
            for dates in season.dates:
                self._season_of_day[days_of_range(dates)] = s
            for day in season.days:
                for kind in (DAY_TYPES.index(name) for name in day.day_types):
                    for span, period in day.hours.items():
                        begin, end = (minutes // 15 for minutes in minutes_of_span(span))
                        self._period[s, kind, begin:end] = names.index(period)
                        self._price[s, kind, begin:end] = season.prices[period]

    def look_up(self, local: LocalSteps) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
        """Period (index) and price [currency/kWh] at the begin of each step. (n_steps,) each"""
        days, step_of = np.unique(local.day, return_inverse=True)
        season, kind = self._season_of_day[_day_of_leap_year(days)], day_types(days, self._holidays)
        index = (season[step_of], kind[step_of], local.second_of_day // QUARTER_S)
        return self._period[index], self._price[index]


def day_types(days: NDArray[np.int64], country: str | None = None) -> NDArray[np.int64]:
    """WEEKDAY, WEEKEND or HOLIDAY of each local date (days since 1970). (n,)

    With a country its calendar decides, also which weekend days are worked in exchange for a holiday.
    """
    if country is None:
        monday_0 = (days + 3) % 7  # 1970-01-01 was a Thursday
        return np.where(monday_0 >= 5, WEEKEND, WEEKDAY)
    import holidays

    calendar = holidays.country_holidays(country)
    kinds = []
    for day in days.tolist():
        local = date.fromordinal(day + date(1970, 1, 1).toordinal())
        rest = WEEKDAY if calendar.is_working_day(local) else WEEKEND
        kinds.append(HOLIDAY if local in calendar else rest)
    return np.array(kinds, np.int64)


def _day_of_leap_year(days: NDArray[np.int64]) -> NDArray[np.int64]:
    """Day 0..365 on which each local date (days since 1970) falls in a leap year."""
    dates = days.astype("datetime64[D]")
    years = dates.astype("datetime64[Y]")
    first = years.astype("datetime64[D]")
    is_leap = (years + 1).astype("datetime64[D]") - first == np.timedelta64(366, "D")
    day = (dates - first).astype(np.int64)
    in_leap_year: NDArray[np.int64] = day + (~is_leap & (day >= _FEBRUARY_29))
    return in_leap_year
