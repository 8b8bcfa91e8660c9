"""What a tariff file may say: schema ``quietcell.tariff/1``. See docs/tariffs.md."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, model_validator

from hw.spec import NotNegative, Positive, Spec

DAY_TYPES = ("weekday", "weekend", "holiday")
QUARTER_S, DAY_MINUTES = 900, 1440
LEAP_YEAR = 2000  # any: its dates are all dates
_SPAN = re.compile(r"([0-2][0-9]):([0-5][0-9])-([0-2][0-9]):([0-5][0-9])")
_DATES = re.compile(r"(\d\d-\d\d) to (\d\d-\d\d)")
_CLOCK = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])")

DayType = Literal["weekday", "weekend", "holiday"]
Name = Annotated[str, Field(min_length=1)]


def minutes_of_span(text: str) -> tuple[int, int]:
    """Begin and end of ``HH:MM-HH:MM`` in minutes of the day. Raises ValueError for anything else."""
    match = _SPAN.fullmatch(text)
    remedy = (
        "write hours as HH:MM-HH:MM, from 00:00 to 24:00, in whole quarters of an hour, such as 06:00-08:30"
    )
    if match is None:
        raise ValueError(f"is no span of hours; {remedy}")
    begin_h, begin_m, end_h, end_m = (int(part) for part in match.groups())
    begin, end = 60 * begin_h + begin_m, 60 * end_h + end_m
    if end > DAY_MINUTES or begin % 15 or end % 15:
        raise ValueError(f"is beyond 24:00 or not in whole quarters of an hour; {remedy}")
    if begin >= end:
        raise ValueError(
            "ends before it begins; write a span over midnight as two, up to 24:00 and from 00:00"
        )
    return begin, end


def days_of_range(text: str) -> list[int]:
    """Days (0..365) of a leap year that ``MM-DD to MM-DD`` names, both ends included; it may pass New Year."""
    match = _DATES.fullmatch(text)
    if match is None:
        raise ValueError("is no range of dates; write MM-DD to MM-DD, such as 07-01 to 08-31")
    try:
        first, last = (
            (date.fromisoformat(f"{LEAP_YEAR}-{part}") - date(LEAP_YEAR, 1, 1)).days
            for part in match.groups()
        )
    except ValueError:
        raise ValueError("has a date that does not exist; write MM-DD to MM-DD") from None
    length = (last - first) % 366 + 1
    return [(first + k) % 366 for k in range(length)]


def seconds_of_clock(text: str) -> int:
    """Second of the day of ``HH:MM``. Raises ValueError for anything else."""
    match = _CLOCK.fullmatch(text)
    if match is None:
        raise ValueError('is no time of day; write it in quotes as "HH:MM", such as "13:00"')
    return 3600 * int(match[1]) + 60 * int(match[2])


def _checked_span(text: str) -> str:
    minutes_of_span(text)
    return text


def _checked_dates(text: str) -> str:
    days_of_range(text)
    return text


def _checked_clock(text: str) -> str:
    seconds_of_clock(text)
    return text


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ValueError, OSError, LookupError):
        raise ValueError("is no known time zone; write an IANA name such as Asia/Shanghai") from None
    return name


def _known_country(code: str) -> str:
    import holidays

    if code not in holidays.list_supported_countries():
        raise ValueError("is no country with a known calendar; write a two-letter ISO 3166 code such as CN")
    return code


def _whole_day(hours: dict[str, str]) -> dict[str, str]:
    """Refuse hours that overlap, or leave a part of the day out."""
    spans = sorted((*minutes_of_span(text), text) for text in hours)
    expected, before = 0, "the begin of the day"
    for begin, end, text in spans:
        if begin < expected:
            raise ValueError(f"hours {before} and {text} overlap; let every minute of the day be in one span")
        if begin > expected:
            raise ValueError(f"no period from {_clock(expected)} to {_clock(begin)}; add it")
        expected, before = end, text
    if expected != DAY_MINUTES:
        raise ValueError(f"no period from {_clock(expected)} to 24:00; add it")
    return hours


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02d}:{minutes % 60:02d}"


Span = Annotated[str, AfterValidator(_checked_span)]
Dates = Annotated[str, AfterValidator(_checked_dates)]


class DaySpec(Spec):
    """Hours of the day and their periods, for some types of day."""

    day_types: Annotated[tuple[DayType, ...], Field(min_length=1)]
    hours: Annotated[dict[Span, Name], Field(min_length=1), AfterValidator(_whole_day)]


class SeasonSpec(Spec):
    """Dates of the year and the prices in them. [currency/kWh by period]"""

    name: Name
    dates: Annotated[tuple[Dates, ...], Field(min_length=1)]
    prices: Annotated[dict[Name, float], Field(min_length=1)]
    days: Annotated[tuple[DaySpec, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _known_names(self) -> Self:
        on = [day for spec in self.days for day in spec.day_types]
        twice = sorted({day for day in on if on.count(day) > 1})
        if twice:
            raise ValueError(f"season {self.name}: {twice[0]} is in two lists of hours; keep one")
        used = {period for spec in self.days for period in spec.hours.values()}
        unknown, idle = sorted(used - set(self.prices)), sorted(set(self.prices) - used)
        if unknown:
            known = ", ".join(self.prices)
            raise ValueError(f"season {self.name}: period {unknown[0]!r} has no price; priced: {known}")
        if idle:
            raise ValueError(f"season {self.name}: period {idle[0]!r} has a price but no hours; remove it")
        return self


class TimeOfUseSpec(Spec):
    """Prices by season, type of day and hour."""

    kind: Literal["time_of_use"]
    holidays: Annotated[str, AfterValidator(_known_country)] | None = None  # ISO 3166 code
    seasons: Annotated[tuple[SeasonSpec, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _whole_year(self) -> Self:
        season_of: dict[int, str] = {}
        for season in self.seasons:
            for day in (day for text in season.dates for day in days_of_range(text)):
                if day in season_of:
                    raise ValueError(
                        f"{_date(day)} is in season {season_of[day]} and in {season.name}; keep one"
                    )
                season_of[day] = season.name
        missing = next((day for day in range(366) if day not in season_of), None)
        if missing is not None:
            raise ValueError(f"{_date(missing)} is in no season; add it to one (02-29 counts too)")
        wanted = DAY_TYPES if self.holidays is not None else DAY_TYPES[:2]
        for season in self.seasons:
            on: list[str] = [kind for spec in season.days for kind in spec.day_types]
            for kind in wanted:
                if kind not in on:
                    raise ValueError(f"season {season.name} has no hours for a {kind}; add them under days")
            if self.holidays is None and "holiday" in on:
                raise ValueError(
                    f"season {season.name} has hours for a holiday; name the country in holidays"
                )
        return self

    def periods(self) -> tuple[str, ...]:
        """Names of the periods in the order in which they are priced first."""
        return tuple(dict.fromkeys(name for season in self.seasons for name in season.prices))


def _date(day: int) -> str:
    return (date(LEAP_YEAR, 1, 1) + timedelta(days=day)).strftime("%m-%d")


class SeriesPriceSpec(Spec):
    """Prices from a series: price x factor + adder. Day-ahead ones are known from a time of the day before."""

    kind: Literal["day_ahead", "table"]  # a table is published and known for all time
    market: Name  # the name of the series
    factor: Positive = 1.0
    adder_per_kwh: float = 0.0
    known_from: Annotated[str, AfterValidator(_checked_clock)] | None = None

    @model_validator(mode="after")
    def _known_when(self) -> Self:
        if (self.kind == "day_ahead") != (self.known_from is not None):
            raise ValueError(
                "known_from belongs to day_ahead: state when the prices of the next day are known"
            )
        return self

    def periods(self) -> tuple[str, ...]:
        """One period: the price of each step is its own."""
        return (self.kind,)


class DemandSpec(Spec):
    """A charge on the highest mean import over ``interval_s`` in a billing month."""

    price_per_kw: NotNegative
    interval_s: Annotated[int, Field(gt=0)] = 900
    # imports in them count; None: all
    periods: Annotated[tuple[Name, ...], Field(min_length=1)] | None = None


class FixedFeedInSpec(Spec):
    """Feed-in of surplus PV at one price."""

    kind: Literal["fixed"]
    price_per_kwh: float


class MarketFeedInSpec(Spec):
    """Feed-in of surplus PV at the price of the series: price x factor + adder."""

    kind: Literal["market"]
    factor: NotNegative = 1.0
    adder_per_kwh: float = 0.0


class Co2Spec(Spec):
    """Average emission of the grid, in one year, as one source states it."""

    average_kg_per_kwh: NotNegative
    year: int
    source: Name


class TariffSpec(Spec):
    """A tariff file."""

    # "schema" would shadow a method of pydantic's BaseModel, hence the alias
    schema_name: Annotated[Literal["quietcell.tariff/1"], Field(alias="schema")]
    name: Name
    source: Name
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")]  # ISO 4217
    time_zone: Annotated[str, AfterValidator(_known_zone)]
    billing_day: Annotated[int, Field(ge=1, le=28)] = 1  # first day of the billing month
    energy: Annotated[TimeOfUseSpec | SeriesPriceSpec, Field(discriminator="kind")]
    demand: DemandSpec | None = None
    feed_in: Annotated[FixedFeedInSpec | MarketFeedInSpec, Field(discriminator="kind")] | None = None
    co2: Co2Spec | None = None

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        for name in self._counted():
            if name not in self.energy.periods():
                known = ", ".join(self.energy.periods())
                raise ValueError(f"demand counts in period {name!r}, which no season has; known: {known}")
        if isinstance(self.feed_in, MarketFeedInSpec) and isinstance(self.energy, TimeOfUseSpec):
            raise ValueError("feed_in of kind market needs energy of kind day_ahead or table")
        return self

    def _counted(self) -> Iterator[str]:
        yield from (self.demand.periods or ()) if self.demand is not None else ()
