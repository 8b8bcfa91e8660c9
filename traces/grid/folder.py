"""The layout of a folder of grid and weather data.

``prices.parquet``: market, timestamp, price_per_mwh, currency. ``weather_pv_*.parquet``: site, lat, lon, timestamp,
temp_c, ghi_wm2, pv_kw_per_kwp, one typical year. ``tou_*.parquet``: tariff, hour_of_year, import_price_per_kwh,
export_price_per_kwh, co2_kg_per_kwh. ``moer_*.parquet``: timestamp, moer_kg_per_kwh (marginal emission rate).
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from traces.errors import Quarantine, TraceError
from traces.grid.reading import Quantity, numbers_of, open_with, rows_of, timed_series, whole_table
from traces.grid.series import GridSeries
from traces.readers.rows import RowCheck, to_numbers
from traces.readers.tables import Batch

HOURS = 8760
_PRICE = Quantity("price_per_mwh", "currency/kWh", 1e-3, -1e3, 1e3)
_MARGINAL = Quantity("moer_kg_per_kwh", "kg/kWh", 1.0, -5.0, 5.0)
_WEATHER = (
    Quantity("temp_c", "degC", 1.0, -90.0, 65.0),
    Quantity("ghi_wm2", "W/m2", 1.0, 0.0, 2000.0),
    Quantity("pv_kw_per_kwp", "kW/kWp", 1.0, 0.0, 1.5),
)
_TABLE = (
    Quantity("import_price_per_kwh", "currency/kWh", 1.0, -1e3, 1e3),
    Quantity("export_price_per_kwh", "currency/kWh", 1.0, -1e3, 1e3),
    Quantity("co2_kg_per_kwh", "kg/kWh", 1.0, 0.0, 5.0),
)
_TYPICAL = "One typical year stands for every year, date by date; 29 February is 28 February again."


class Weather(NamedTuple):
    """Weather and PV yield of one site."""

    site: str
    latitude_deg: float
    longitude_deg: float
    temp_c: GridSeries
    ghi_wm2: GridSeries
    pv_kw_per_kwp: GridSeries


class TimeOfUse(NamedTuple):
    """Prices and average CO2 by hour of the year."""

    import_price: GridSeries
    export_price: GridSeries
    average_co2: GridSeries


def read_prices(folder: Path, market: str, *, fill_s: int = 0) -> GridSeries:
    """Day-ahead prices of one market. [currency/kWh] Gaps of at most ``fill_s`` hold the price before them.

    Raises TraceError for a missing file or column, an unknown market, or several currencies in one market.
    """
    columns = ("market", "timestamp", "price_per_mwh", "currency")
    batch = whole_table(open_with(Path(folder) / "prices.parquet", columns), columns)
    rows = rows_of(batch, "market", market)
    currencies = sorted(set(np.asarray(batch.columns["currency"].to_pylist(), object)[rows].tolist()))
    if len(currencies) != 1:
        raise TraceError(
            f"{batch.table.name}: {market} has prices in {currencies}; write them in one currency"
        )
    found = timed_series(batch, rows, _PRICE, market, fill_s=fill_s)
    unit = f"{currencies[0]}/kWh"
    return GridSeries(
        market, found.start, found.step_s, found.values, unit, False, found.notes, found.quarantine
    )


def read_weather(folder: Path, site: str) -> Weather:
    """Temperature, irradiance and PV yield of one site, a typical year. Raises TraceError as ``read_prices`` does."""
    columns = ("site", "lat", "lon", "timestamp", *(quantity.column for quantity in _WEATHER))
    batch = whole_table(open_with(_only(Path(folder), "weather_pv_*.parquet"), columns), columns)
    rows = rows_of(batch, "site", site)
    series = [
        timed_series(batch, rows, quantity, f"{quantity.column} of {site}", repeats_yearly=True)
        for quantity in _WEATHER
    ]
    for one in series:
        _whole_year(one, batch.table.name)
    latitude_deg, longitude_deg = (_first(batch, rows, name) for name in ("lat", "lon"))
    temp_c, ghi_wm2, pv_kw_per_kwp = (_noted(one, _TYPICAL) for one in series)
    return Weather(site, latitude_deg, longitude_deg, temp_c, ghi_wm2, pv_kw_per_kwp)


def read_time_of_use(folder: Path, tariff: str, *, utc_offset_h: float = 0.0) -> TimeOfUse:
    """A table of prices by hour of the year, hour 0 being the first of 1 January at ``utc_offset_h`` all year.

    Raises TraceError as ``read_prices`` does, and for hours of the year that are missing or appear twice.
    """
    columns = ("tariff", "hour_of_year", *(quantity.column for quantity in _TABLE))
    batch = whole_table(open_with(_only(Path(folder), "tou_*.parquet"), columns), columns)
    rows = rows_of(batch, "tariff", tariff)
    start = np.datetime64("2021-01-01T00:00:00", "s") - np.timedelta64(round(3600 * utc_offset_h), "s")
    series = []
    for quantity in _TABLE:
        quarantine = Quarantine()
        check = RowCheck(batch, quarantine, rows)
        hours = numbers_of(batch, Quantity("hour_of_year", "h", 1.0, 0, HOURS - 1), check)
        values = numbers_of(batch, quantity, check)
        index = hours[check.ok].astype(np.int64)
        if not np.array_equal(np.sort(index), np.arange(HOURS)):
            raise TraceError(
                f"{batch.table.name}: {tariff} has {len(np.unique(index))} of the hours 0..{HOURS - 1} of a year in "
                f"{len(index)} usable rows; write each hour once"
            )
        year = np.empty(HOURS)
        year[index] = values[check.ok]
        name = f"{quantity.column} of {tariff}"
        series.append(GridSeries(name, start, 3600, year, quantity.unit, True, (_TYPICAL,), quarantine))
    return TimeOfUse(*series)


def read_marginal_co2(folder: Path) -> GridSeries:
    """The marginal emission rate of the grid. [kg/kWh] Raises TraceError as ``read_prices`` does."""
    columns = ("timestamp", "moer_kg_per_kwh")
    batch = whole_table(open_with(_only(Path(folder), "moer_*.parquet"), columns), columns)
    return timed_series(batch, np.ones(len(batch), np.bool_), _MARGINAL, "marginal CO2")


def _first(batch: Batch, rows: NDArray[np.bool_], name: str) -> float:
    return float(to_numbers(batch.columns[name], name, batch.table.name)[0][rows][0])


def _only(folder: Path, pattern: str) -> Path:
    found = sorted(folder.glob(pattern))
    if len(found) != 1:
        names = ", ".join(path.name for path in found) or "none"
        raise TraceError(f"{folder.name}: one file {pattern} is needed, there is {names}")
    return found[0]


def _whole_year(series: GridSeries, table: str) -> None:
    """Refuse a typical year with holes: nothing could stand for them."""
    gone = int(np.isnan(series.values).sum())
    if len(series.values) * series.step_s != HOURS * 3600 or gone:
        raise TraceError(
            f"{table}: {series.name} is no whole year of 8760 hours: {len(series.values)} steps of {series.step_s} s, "
            f"{gone} of them missing; complete it"
        )


def _noted(series: GridSeries, note: str) -> GridSeries:
    return GridSeries(
        series.name,
        series.start,
        series.step_s,
        series.values,
        series.unit,
        series.repeats_yearly,
        (*series.notes, note),
        series.quarantine,
    )
