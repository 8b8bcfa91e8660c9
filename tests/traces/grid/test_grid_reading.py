"""Tables of prices, weather and outages: good ones, and each kind of damage."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from traces import TraceError
from traces.grid import (
    read_marginal_co2,
    read_outages,
    read_prices,
    read_tidy,
    read_time_of_use,
    read_weather,
)

BEGIN = np.datetime64("2024-10-26T22:00:00", "s")


def csv(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n")
    return path


def table(path: Path, columns: dict[str, Any]) -> Path:
    pq.write_table(pa.table(columns), path)
    return path


def hours(count: int, begin: np.datetime64 = BEGIN) -> Any:
    return pa.array(begin + np.arange(count) * np.timedelta64(3600, "s"), pa.timestamp("ms", "UTC"))


def prices(folder: Path, **changed: Any) -> Path:
    columns = {
        "market": ["A"] * 6,
        "timestamp": hours(6),
        "price_per_mwh": [50.0, -20.0, 30.0, 40.0, 60.0, 70.0],
        "currency": ["EUR"] * 6,
    }
    return table(folder / "prices.parquet", columns | changed)


def test_prices_are_read_per_kwh_with_their_sign_and_currency(tmp_path: Path) -> None:
    prices(tmp_path)
    found = read_prices(tmp_path, "A")
    assert found.values.tolist() == pytest.approx([0.05, -0.02, 0.03, 0.04, 0.06, 0.07])
    assert (found.unit, found.start, found.step_s) == ("EUR/kWh", BEGIN, 3600)


def test_a_gap_is_said_and_filled_only_where_asked(tmp_path: Path) -> None:
    moments = pa.array(
        BEGIN + np.array([0, 1, 2, 5, 6, 7]) * np.timedelta64(3600, "s"), pa.timestamp("ms", "UTC")
    )
    prices(tmp_path, timestamp=moments)
    open_, short, filled = (read_prices(tmp_path, "A", fill_s=s) for s in (0, 3600, 7200))
    assert np.isnan(open_.values).tolist() == [False] * 3 + [True] * 2 + [False] * 3
    assert np.isnan(short.values).sum() == 2
    assert filled.values[2:6].tolist() == pytest.approx([0.03, 0.03, 0.03, 0.04])
    assert filled.notes == (
        "2 of 8 steps of 3600 s are missing, in 1 gaps; 2 were filled with the value before the gap.",
    )


def test_bad_rows_are_set_aside_and_counted(tmp_path: Path) -> None:
    path = csv(
        tmp_path / "p.csv",
        "timestamp,import_price_per_mwh",
        "2024-01-01T00:00:00Z,10",
        "2024-01-01T01:00:00Z,cheap",
        "2024-01-01T02:00:00Z,30",
        "2024-01-01T02:00:00Z,31",
        "then,40",
        "2024-01-01T03:00:00Z,",
        "2024-01-01T04:00:00Z,50",
        "2024-01-01T05:00:00Z,99999999",
    )
    found = read_tidy(path, "import_price_per_mwh", step_s=3600)
    assert found.quarantine.counts == {
        "timestamp is not ISO 8601": 1,
        "import_price_per_mwh is empty": 1,
        "import_price_per_mwh is not a number": 1,
        "import_price_per_mwh is above 1e+06": 1,
        "duplicate time": 1,
    }
    assert {p.place for p in found.quarantine.examples} == {"line 3", "line 5", "line 6", "line 7", "line 9"}
    assert np.nan_to_num(found.values, nan=-1).tolist() == pytest.approx([0.01, -1, 0.03, -1, 0.05])


def test_a_tidy_file_is_read_by_site_in_any_order_and_local_time(tmp_path: Path) -> None:
    path = csv(
        tmp_path / "w.csv",
        "site,timestamp,temp_c",
        "a,2024-01-01 02:00,3",
        "a,2024-01-01 01:00,2",
        "b,2024-01-01 01:00,9",
        "a,2024-01-01 00:00,1",
    )
    found = read_tidy(path, "temp_c", site="a", time_zone="Asia/Shanghai")
    assert (found.start, found.values.tolist()) == (np.datetime64("2023-12-31T16:00:00", "s"), [1, 2, 3])


@pytest.mark.parametrize(
    ("lines", "column", "more", "message"),
    [
        (["timestamp,temp_c"], "temp", {}, "column 'temp' has no declared unit; known: .*temp_c"),
        (
            ["timestamp,temp_k", "2024-01-01T00:00:00Z,280"],
            "temp_c",
            {},
            "w.csv: column temp_c is missing; it has timestamp, temp_k",
        ),
        (
            ["timestamp,temp_c", "2024-01-01 00:00,1"],
            "temp_c",
            {},
            "names no time zone; write UTC times with an offset",
        ),
        (["timestamp,temp_c", "2024-01-01T00:00:00Z,1"], "temp_c", {}, "shows no step; state step_s"),
        (
            ["timestamp,temp_c", "2024-01-01T00:00:00Z,500", "2024-01-01T01:00:00Z,600"],
            "temp_c",
            {},
            "no row of temp_c can be used; 2 were set aside, the first at line 2: temp_c is above 65",
        ),
        (
            ["timestamp,temp_c", "2024-01-01T00:00:00Z,1", "2024-01-01T01:30:00Z,1"],
            "temp_c",
            {"step_s": 3600},
            "1 rows of temp_c are not on a grid of 3600 s",
        ),
        (
            ["site,timestamp,temp_c", "a,2024-01-01T00:00:00Z,1"],
            "temp_c",
            {"site": "b"},
            "no row has site 'b'; known: a",
        ),
    ],
)
def test_what_cannot_be_used_is_refused(
    tmp_path: Path, lines: list[str], column: str, more: dict[str, Any], message: str
) -> None:
    path = csv(tmp_path / "w.csv", *lines)
    with pytest.raises(TraceError, match=message):
        read_tidy(path, column, **more)


def test_a_market_that_is_not_there_or_has_two_currencies_is_refused(tmp_path: Path) -> None:
    prices(tmp_path)
    with pytest.raises(TraceError, match=r"prices\.parquet: no row has market 'B'; known: A"):
        read_prices(tmp_path, "B")
    prices(tmp_path, currency=["EUR"] * 5 + ["USD"])
    with pytest.raises(TraceError, match="in one currency"):
        read_prices(tmp_path, "A")
    with pytest.raises(TraceError, match=r"prices\.parquet: the file does not exist"):
        read_prices(tmp_path / "elsewhere", "A")


def weather(folder: Path, count: int = 8760) -> None:
    table(
        folder / "weather_pv_typical.parquet",
        {
            "site": ["s"] * count,
            "lat": [50.0] * count,
            "lon": [-4.5] * count,
            "timestamp": hours(count, np.datetime64("2021-01-01T06:00:00", "s")),
            "temp_c": np.arange(count) % 30 - 5.0,
            "ghi_wm2": np.full(count, 100),
            "pv_kw_per_kwp": np.full(count, 0.1, np.float32),
        },
    )


def test_weather_is_a_typical_year_and_says_so(tmp_path: Path) -> None:
    weather(tmp_path)
    found = read_weather(tmp_path, "s")
    assert (found.latitude_deg, found.longitude_deg) == (50.0, -4.5)
    assert found.temp_c.repeats_yearly
    assert "29 February is 28 February again" in found.pv_kw_per_kwp.notes[0]
    weather(tmp_path, 8000)
    with pytest.raises(TraceError, match="no whole year of 8760 hours: 8000 steps"):
        read_weather(tmp_path, "s")


def time_of_use(folder: Path, **changed: Any) -> None:
    columns = {
        "tariff": ["t"] * 8760,
        "hour_of_year": np.arange(8760),
        "import_price_per_kwh": np.where(np.arange(8760) % 24 < 6, 0.1, 0.2),
        "export_price_per_kwh": np.zeros(8760),
        "co2_kg_per_kwh": np.full(8760, 0.3),
    }
    table(folder / "tou_made_up.parquet", columns | changed)


def test_a_table_by_hour_of_the_year_stands_in_its_own_time(tmp_path: Path) -> None:
    time_of_use(tmp_path)
    found = read_time_of_use(tmp_path, "t", utc_offset_h=-7)
    assert found.import_price.start == np.datetime64("2021-01-01T07:00:00", "s")
    assert found.average_co2.values[0] == pytest.approx(0.3)
    time_of_use(tmp_path, hour_of_year=np.arange(8760) % 8759)
    with pytest.raises(TraceError, match=r"has 8759 of the hours 0\.\.8759"):
        read_time_of_use(tmp_path, "t")


def test_outages_are_ordered_and_bad_ones_set_aside(tmp_path: Path) -> None:
    path = csv(
        tmp_path / "o.csv",
        "site,begin,end",
        "b,2024-01-02T00:00:00Z,2024-01-02T01:00:00Z",
        "a,2024-01-03T00:00:00Z,2024-01-03T02:00:00Z",
        "a,2024-01-01T00:00:00Z,2024-01-01T04:00:00Z",
        "a,2024-01-01T03:00:00Z,2024-01-01T05:00:00Z",
        "a,2024-01-05T03:00:00Z,2024-01-05T03:00:00Z",
        ",2024-01-06T03:00:00Z,2024-01-06T04:00:00Z",
        "a,soon,2024-01-06T04:00:00Z",
    )
    found = read_outages(path)
    assert found.site.tolist() == ["a", "a", "b"]
    assert ((found.end_s - found.begin_s) / 3600).tolist() == [4, 2, 1]
    assert found.quarantine.total == 4
    assert found.quarantine.counts["begins before the outage before it has ended"] == 1


def test_the_folder_of_measured_data() -> None:
    folder = Path(os.environ.get("QUIETCELL_DATA", ""), "tariff_weather")
    if not (folder / "prices.parquet").is_file():
        pytest.skip("needs tariff_weather in the folder named by QUIETCELL_DATA")
    belgium = read_prices(folder, "BE_DAM")
    assert belgium.values[np.isfinite(belgium.values)].min() < 0
    assert read_weather(folder, "seattle_wa").pv_kw_per_kwp.values.max() < 1.2
    assert read_marginal_co2(folder).step_s == 300
