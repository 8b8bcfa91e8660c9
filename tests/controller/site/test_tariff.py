"""Prices, periods, billing months and what is known when, against cases worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from controller.errors import ConfigError
from controller.site.tariff import Tariff, load_tariff, tariff_names
from traces import TraceError
from traces.grid import GridSeries

PER_DAY = 96


def utc(text: str) -> np.datetime64:
    return np.datetime64(text, "s")


def hourly(start: str, values: np.ndarray, unit: str = "EUR/kWh") -> GridSeries:
    return GridSeries("market", utc(start), 3600, values, unit)


def day_of(tariff: Tariff, local_midnight_utc: str) -> dict[str, list[str]]:
    """Local hours (24 h day) by period."""
    found = tariff.series(utc(local_midnight_utc), 24, 3600)
    hours: dict[str, list[str]] = {}
    for hour, index in enumerate(found.period):
        hours.setdefault(found.period_names[index], []).append(hour)
    return hours


def test_every_shipped_tariff_loads_under_its_name() -> None:
    assert len(tariff_names()) >= 8
    for name in tariff_names():
        assert load_tariff(name).name == name


@pytest.mark.parametrize("name", ["cn-five-period", "cn-five-period-demand"])
def test_the_chinese_day_follows_its_season_and_holidays(name: str) -> None:
    tariff = load_tariff(name)
    summer = day_of(tariff, "2025-07-14T16:00:00")  # Tuesday 15 July in Shanghai
    assert summer["sharp"] == [19, 20]
    assert summer["valley"] == list(range(8))
    assert "deep_valley" not in summer
    spring = day_of(tariff, "2025-03-10T16:00:00")
    assert spring["deep_valley"] == [11, 12, 13]
    assert "sharp" not in spring
    holiday = day_of(tariff, "2024-12-31T16:00:00")  # New Year's Day
    assert holiday["deep_valley"] == [11, 12, 13]
    assert holiday["sharp"] == [17, 18]


def test_the_chinese_prices_keep_the_ratios_of_the_rule() -> None:
    year = load_tariff("cn-five-period").series(utc("2024-12-31T16:00:00"), 365 * PER_DAY, 900)
    price = {
        name: set(np.round(year.import_price[year.period == index], 6))
        for index, name in enumerate(year.period_names)
    }
    assert {name: len(prices) for name, prices in price.items()} == dict.fromkeys(year.period_names, 1)
    sharp, peak, flat, valley, deep = (
        price[n].pop() for n in ("sharp", "peak", "flat", "valley", "deep_valley")
    )
    assert peak / valley == pytest.approx(4)
    assert sharp >= 1.2 * peak
    assert deep < valley < flat < peak


def test_a_year_has_twelve_billing_months_with_their_charge() -> None:
    year = load_tariff("cn-five-period-demand").series(utc("2023-12-31T16:00:00"), 366 * PER_DAY, 900)
    assert year.n_months == 12
    assert np.bincount(year.month).tolist() == [
        d * PER_DAY for d in (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
    ]
    assert year.demand_price.tolist() == [38.0] * 12
    assert year.demand_counts.all()
    assert year.known_until(0) == year.n_steps
    assert load_tariff("cn-five-period").average_co2_kg_per_kwh == 0.5306
    assert load_tariff("two-level").average_co2_kg_per_kwh is None
    without = load_tariff("cn-five-period").series(utc("2023-12-31T16:00:00"), PER_DAY, 900)
    assert without.demand_price.tolist() == [0.0]


@pytest.mark.parametrize(
    ("midnight", "steps_of_day", "cheap_until"),
    [
        ("2025-03-29T23:00:00", 92, 5 * 4),  # Sunday of 23 h in Berlin: 02:00 is left out
        ("2025-10-25T22:00:00", 100, 7 * 4),  # of 25 h: 02:00 comes twice
        ("2025-03-26T23:00:00", 96, 6 * 4),
    ],
)
def test_hours_are_those_of_the_wall_on_days_of_23_and_25_hours(
    midnight: str, steps_of_day: int, cheap_until: int
) -> None:
    found = load_tariff("two-level").series(utc(midnight), 2 * PER_DAY, 900)
    is_cheap = found.import_price < 0.2
    assert is_cheap[:cheap_until].all()
    assert not is_cheap[cheap_until : steps_of_day - 8].any()  # until 22:00
    assert is_cheap[steps_of_day - 8 : steps_of_day + 24].all()


def test_weekends_have_hours_of_their_own() -> None:
    tariff = load_tariff("three-level")
    friday, saturday = day_of(tariff, "2025-06-12T22:00:00"), day_of(tariff, "2025-06-13T22:00:00")
    assert friday["peak"] == [9, 10, 11, 17, 18, 19, 20]
    assert "peak" not in saturday


def test_the_billing_month_begins_at_local_midnight() -> None:
    tariff = load_tariff("two-level-demand")
    assert tariff.billing_month(utc("2025-10-31T22:59:59")) == (
        utc("2025-09-30T22:00:00"),
        utc("2025-10-31T23:00:00"),
    )
    assert tariff.billing_month(utc("2025-10-31T23:00:00"))[0] == utc("2025-10-31T23:00:00")
    found = tariff.series(utc("2025-10-31T22:00:00"), 8, 900)
    assert found.month.tolist() == [0] * 4 + [1] * 4


def test_a_step_over_a_change_of_price_has_the_mean_of_both() -> None:
    tariff = load_tariff("two-level")
    found = tariff.series(utc("2025-01-01T04:30:00"), 2, 3600)  # 05:30 to 06:30 in Berlin
    assert found.import_price.tolist() == pytest.approx([(0.14 + 0.24) / 2, 0.24])
    assert [found.period_names[i] for i in found.period] == ["valley", "peak"]
    late = tariff.series(utc("2025-01-01T04:50:00"), 2, 900)  # 05:50 to 06:05, then on
    assert late.import_price.tolist() == pytest.approx([(10 * 0.14 + 5 * 0.24) / 15, 0.24])
    odd = tariff.series(utc("2025-01-01T04:55:00"), 2, 600)  # 05:55 to 06:05
    assert odd.import_price.tolist() == pytest.approx([(0.14 + 0.24) / 2, 0.24])


def test_day_ahead_prices_are_known_from_the_stated_hour_on() -> None:
    # 31 March 2024 has 23 hours in Brussels: 92 steps from 23:00 UTC, and 13:00 is 12 hours after midnight
    prices = hourly("2024-03-30T00:00:00", np.arange(24.0 * 5))
    found = load_tariff("be-day-ahead").series(utc("2024-03-30T23:00:00"), 3 * PER_DAY, 900, prices)
    assert found.known_until(0) == found.known_until(47) == 92
    assert found.known_until(48) == found.known_until(92) == 92 + 96
    assert found.known_until(92 + 52 - 1) == 92 + 96
    assert found.known_until(92 + 52) == 92 + 192
    assert found.import_price[:4].tolist() == [23.0] * 4
    assert found.period_names == ("day_ahead",)
    assert (found.known_until_step > np.arange(found.n_steps)).all()  # the price of now is always known


def test_an_american_day_of_25_hours_has_prices_known_until_its_end() -> None:
    prices = hourly("2022-11-06T05:00:00", np.ones(80), "USD/kWh")
    found = load_tariff("ercot-day-ahead").series(utc("2022-11-06T05:00:00"), 60, 3600, prices)
    assert found.known_until(13) == 25  # 12:00: the clock went back at 02:00
    assert found.known_until(14) == 49
    assert found.known_until(59) == 60  # never past the series


def test_a_series_must_be_there_fit_and_reach() -> None:
    tariff, start = load_tariff("be-day-ahead"), utc("2024-01-01T00:00:00")
    with pytest.raises(ConfigError, match="needs the price series of BE_DAM"):
        tariff.series(start, 24, 3600)
    with pytest.raises(ConfigError, match="is in USD/kWh, the tariff in EUR/kWh"):
        tariff.series(start, 24, 3600, hourly("2024-01-01T00:00:00", np.ones(24), "USD/kWh"))
    with pytest.raises(TraceError, match="no value at 2024-01-01T20:00:00Z"):
        tariff.series(start, 24, 3600, hourly("2024-01-01T00:00:00", np.ones(20)))
    with pytest.raises(ConfigError, match="has prices of its own"):
        load_tariff("two-level").series(start, 24, 3600, hourly("2024-01-01T00:00:00", np.ones(24)))


def test_the_demand_charge_can_be_put_on_and_taken_off() -> None:
    start = utc("2025-01-01T00:00:00")
    tariff = load_tariff("three-level")
    assert tariff.with_demand(12.0).series(start, 4, 900).demand_price.tolist() == [12.0]
    assert tariff.with_demand(12.0).with_demand(0).series(start, 4, 900).demand_price.tolist() == [0.0]
    with pytest.raises(ConfigError, match="demand is measured over 900 s"):
        tariff.with_demand(12.0).series(start, 4, 1000)


def test_an_unknown_tariff_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(
        ConfigError, match=r"'cn-five' is neither a file nor a known tariff; known: .*two-level"
    ):
        load_tariff("cn-five")
