"""What a tariff file may say, and what is refused with line, field and remedy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from controller.errors import ConfigError
from controller.site.tariff import Tariff, load_tariff
from traces.grid import GridSeries

BASE = """\
schema: quietcell.tariff/1
name: test
source: by hand
currency: EUR
time_zone: Europe/Berlin
energy:
  kind: time_of_use
  seasons:
    - name: warm
      dates: [04-01 to 09-30]
      prices: {low: 0.1, high: 0.3}
      days:
        - day_types: [weekday, weekend]
          hours:
            00:00-06:15: low
            06:15-24:00: high
    - name: cold
      dates: [10-01 to 03-31]
      prices: {low: 0.2, high: 0.5}
      days:
        - day_types: [weekday]
          hours:
            00:00-08:00: low
            08:00-20:00: high
            20:00-24:00: low
        - day_types: [weekend]
          hours:
            00:00-24:00: low
demand:
  price_per_kw: 7.5
"""
DAY_AHEAD = """\
schema: quietcell.tariff/1
name: test
source: by hand
currency: EUR
time_zone: Europe/Berlin
billing_day: 15
energy:
  kind: day_ahead
  market: M
  factor: 1.1
  adder_per_kwh: 0.02
  known_from: "13:00"
feed_in:
  kind: market
  factor: 0.9
  adder_per_kwh: -0.01
"""


def load(tmp_path: Path, text: str) -> Tariff:
    path = tmp_path / "t.yaml"
    path.write_text(text)
    return load_tariff(path)


def utc(text: str) -> np.datetime64:
    return np.datetime64(text, "s")


def test_seasons_change_at_local_midnight_and_hours_at_quarters(tmp_path: Path) -> None:
    tariff = load(tmp_path, BASE)
    found = tariff.series(utc("2025-09-30T21:30:00"), 4, 900)  # 23:30 in Berlin
    assert found.import_price.tolist() == [0.3, 0.3, 0.2, 0.2]
    morning = tariff.series(utc("2025-05-05T04:00:00"), 2, 900)  # 06:00
    assert morning.import_price.tolist() == [0.1, 0.3]
    leap = tariff.series(utc("2024-02-29T11:00:00"), 1, 900)
    assert leap.import_price.tolist() == [0.5]
    assert tariff.series(utc("2023-03-31T10:00:00"), 1, 900).import_price.tolist() == [0.5]
    assert tariff.series(utc("2023-04-01T10:00:00"), 1, 900).import_price.tolist() == [0.3]


def test_a_holiday_has_its_own_hours_and_a_shifted_workday_is_a_weekday(tmp_path: Path) -> None:
    text = BASE.replace("kind: time_of_use", "kind: time_of_use\n  holidays: CN")
    text = text.replace("Europe/Berlin", "Asia/Shanghai").replace("weekend]", "weekend, holiday]")
    tariff = load(tmp_path, text)
    noon = [
        tariff.series(utc(f"{day}T04:00:00"), 1, 900).import_price[0]
        for day in ("2024-10-08", "2024-10-02", "2024-10-12", "2024-10-13")
    ]
    # Tuesday; National Day week; Saturday worked in exchange; Sunday
    assert noon == [0.5, 0.2, 0.5, 0.2]


def test_day_ahead_prices_take_factor_and_adder_and_feed_in_its_own(tmp_path: Path) -> None:
    tariff = load(tmp_path, DAY_AHEAD)
    series = GridSeries("M", utc("2025-06-01T00:00:00"), 3600, np.array([0.1, -0.2, 0.3]), "EUR/kWh")
    found = tariff.series(utc("2025-06-01T00:00:00"), 3, 3600, series)
    assert found.import_price == pytest.approx([0.13, -0.2, 0.35])
    assert found.export_price == pytest.approx([0.08, -0.19, 0.26])
    assert found.feeds_in


def test_a_billing_month_may_begin_on_another_day(tmp_path: Path) -> None:
    tariff = load(tmp_path, DAY_AHEAD)
    begin, end = tariff.billing_month(utc("2025-03-14T22:59:59"))
    assert (begin, end) == (utc("2025-02-14T23:00:00"), utc("2025-03-14T23:00:00"))
    assert tariff.billing_month(utc("2025-01-03T00:00:00"))[0] == utc("2024-12-14T23:00:00")
    series = GridSeries("M", utc("2025-03-14T21:00:00"), 3600, np.ones(4), "EUR/kWh")
    found = tariff.series(utc("2025-03-14T21:00:00"), 4, 3600, series)
    assert found.month.tolist() == [0, 0, 1, 1]


def test_demand_may_count_in_some_periods_only(tmp_path: Path) -> None:
    tariff = load(tmp_path, BASE + "  periods: [high]\n")
    found = tariff.series(utc("2025-01-06T06:30:00"), 4, 900)  # Monday 07:30
    assert found.demand_counts.tolist() == [False, False, True, True]
    assert found.demand_price.tolist() == [7.5]


def test_fixed_feed_in_and_curtailment(tmp_path: Path) -> None:
    fixed = load(tmp_path, BASE + "feed_in:\n  kind: fixed\n  price_per_kwh: 0.08\n")
    start = utc("2025-01-06T06:30:00")
    assert fixed.series(start, 2, 900).export_price.tolist() == [0.08, 0.08]
    curtailed = load(tmp_path, BASE).series(start, 2, 900)
    assert not curtailed.feeds_in
    assert curtailed.export_price.tolist() == [0, 0]


def test_a_table_is_known_for_all_time() -> None:
    year = GridSeries("t", utc("2021-01-01T00:00:00"), 3600, np.arange(8760) % 24 / 100, "currency/kWh", True)
    found = load_tariff("hourly-table").series(utc("2024-02-29T00:00:00"), 48, 3600, year)
    assert found.known_until(0) == 48
    assert found.import_price[24:] == pytest.approx(np.arange(24) / 100)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("00:00-06:15: low", "00:00-06:30: low", r"t\.yaml:1[45]: .*00:00-06:30 and 06:15-24:00 overlap"),
        ("00:00-06:15: low", "00:00-06:00: low", r"t\.yaml:1[45]: .*no period from 06:00 to 06:15; add it"),
        ("20:00-24:00: low", "20:00-23:00: low", "no period from 23:00 to 24:00"),
        ("00:00-06:15: low", "00:00-06:10: low", r"t\.yaml:15: .*whole quarters"),
        ("06:15-24:00: high", "06:15-25:00: high", r"t\.yaml:16: .*beyond 24:00"),
        ("20:00-24:00: low", "20:00-08:00: low", r"t\.yaml:25: .*write a span over midnight as two"),
        ("06:15-24:00: high", "six-24:00: high", r"t\.yaml:16: .*is no span of hours"),
        ("00:00-24:00: low", "00:00-24:00: lwo", "season cold: period 'lwo' has no price; priced: low, high"),
        ("{low: 0.1, high: 0.3}", "{low: 0.1, high: 0.3, sharp: 1.0}", "'sharp' has a price but no hours"),
        ("04-01 to 09-30", "04-01 to 08-31", "09-01 is in no season"),
        ("10-01 to 03-31", "10-01 to 02-28, 03-01 to 03-31", "02-29 is in no season"),
        ("10-01 to 03-31", "09-30 to 03-31", "09-30 is in season warm and in cold"),
        ("04-01 to 09-30", "04-01 to 09-31", r"t\.yaml:10: .*a date that does not exist"),
        ("04-01 to 09-30", "04-01", r"t\.yaml:10: .*MM-DD to MM-DD"),
        ("[weekend]", "[weekday]", "season cold: weekday is in two lists of hours"),
        ("[weekday, weekend]", "[weekday]", "season warm has no hours for a weekend"),
        ("[weekend]", "[weekend, holiday]", "name the country in holidays"),
        ("[weekend]", "[weekends]", r"t\.yaml:26: .*did you mean 'weekend'"),
        ("kind: time_of_use", "kind: time_of_use\n  holidays: ZZ", r"t\.yaml:8: .*two-letter ISO 3166"),
        ("Europe/Berlin", "Europe/Berlim", r"t\.yaml:5: .*IANA name"),
        ("currency: EUR", "currency: euro", r"t\.yaml:4: .*currency"),
        ("price_per_kw: 7.5", "price_per_kwh: 7.5", r"t\.yaml:30: .*did you mean 'price_per_kw'"),
        ("price_per_kw: 7.5", "price_per_kw: -7.5", r"t\.yaml:30: "),
        ("price_per_kw: 7.5", "price_per_kw: 7.5\n  periods: [hgih]", "period 'hgih', which no season has"),
        ("demand:", "billing_day: 31\ndemand:", r"t\.yaml:29: .*billing_day"),
        ("demand:", "feed_in: {kind: market}\ndemand:", "needs energy of kind day_ahead or table"),
    ],
)
def test_what_cannot_be_is_refused(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in BASE
    with pytest.raises(ConfigError, match=message):
        load(tmp_path, BASE.replace(old, new, 1))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('  known_from: "13:00"\n', "", "known_from belongs to day_ahead"),
        ('"13:00"', "13:00", r"t\.yaml:12: .*quotes"),
        ('"13:00"', '"25:00"', r"t\.yaml:12: .*no time of day"),
        ("kind: day_ahead", "kind: table", "known_from belongs to day_ahead"),
        ("factor: 1.1", "factor: 0", r"t\.yaml:10: "),
    ],
)
def test_a_market_tariff_that_cannot_be_is_refused(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in DAY_AHEAD
    with pytest.raises(ConfigError, match=message):
        load(tmp_path, DAY_AHEAD.replace(old, new, 1))
