"""Reads what a sites file names: prices, weather, emissions, outages, events."""

from __future__ import annotations

from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from controller.site.clock import local_steps
from controller.site.grid_events import EventSeries, compile_events, load_events
from controller.site.mains import draw_outages, grade_of, load_grades, mains_present
from controller.site.sites_file import Site, SitesFile
from controller.site.tariff import Tariff
from hw.power.room import dewpoint_c
from traces.grid import (
    GridSeries,
    along_lines,
    as_steps,
    read_marginal_co2,
    read_outages,
    read_prices,
    read_tidy,
    read_time_of_use,
    read_weather,
)

Float64 = NDArray[np.float64]
HUMIDITY = 0.6  # of outdoor air where no dew point is recorded: an assumption [ratio]


class Grid(NamedTuple):
    """The steps of the trace at the sites."""

    site_id: list[str]
    start: np.datetime64  # UTC
    n_steps: int
    step_s: int


class WeatherOf(NamedTuple):
    """Weather at each site. (n, T); NaN at sites that name none."""

    outdoor_c: Float64
    dewpoint_c: Float64
    sun_w_m2: Float64
    pv_kw_per_kwp: Float64


def read_price_series(sites: SitesFile, tariff: Tariff) -> GridSeries | None:
    """The prices that the tariff asks for. Raises ConfigError where they are not named, or not wanted."""
    spec = sites.spec.prices
    if tariff.market is None:
        if spec is not None:
            raise sites.error(f"tariff {tariff.name} has prices of its own; remove prices")
        return None
    if spec is None:
        raise sites.error(f"tariff {tariff.name} takes its prices from a series; add prices: path")
    path, fill_s = sites.beside(spec.path), round(3600 * spec.fill_h)
    if not path.is_dir():
        return read_tidy(path, "import_price_per_kwh", fill_s=fill_s)
    market = spec.market or tariff.market
    if tariff.spec.energy.kind == "table":
        return read_time_of_use(path, market).import_price
    return read_prices(path, market, fill_s=fill_s)


def read_sites_weather(sites: SitesFile, own: list[Site], grid: Grid, tariff: Tariff) -> WeatherOf:
    """Weather of each site that names a place."""
    shape = (len(own), grid.n_steps)
    found = WeatherOf(*(np.full(shape, np.nan) for _ in WeatherOf._fields))
    found.pv_kw_per_kwp[:] = 0.0
    spec = sites.spec.weather
    for place in sorted({site.weather for site in own if site.weather is not None}):
        assert spec is not None  # a place is refused without it
        weather = read_weather(sites.beside(spec.path), place)
        start = grid.start
        if spec.noon_of_tariff:
            offset_h = _offset_h(grid.start, tariff.zone)
            start = start + np.timedelta64(round((offset_h - weather.longitude_deg / 15) * 3600), "s")
        rows = [i for i, site in enumerate(own) if site.weather == place]
        span = (start, grid.n_steps, grid.step_s)
        found.outdoor_c[rows] = along_lines(weather.temp_c, *span)
        found.sun_w_m2[rows] = along_lines(weather.ghi_wm2, *span, never_negative=True)
        found.pv_kw_per_kwp[rows] = along_lines(weather.pv_kw_per_kwp, *span, never_negative=True)
        found.dewpoint_c[rows] = dewpoint_c(found.outdoor_c[rows], np.full(grid.n_steps, HUMIDITY))
    return found


def _offset_h(moment: np.datetime64, zone: ZoneInfo) -> float:
    local = local_steps(moment, 1, 1, zone)
    return float(86_400 * local.day[0] + local.second_of_day[0] - local.utc_s[0]) / 3600


def read_mains(sites: SitesFile, own: list[Site], grid: Grid) -> NDArray[np.bool_]:
    """Whether mains is present. (n, T)"""
    spec = sites.spec.outages
    if spec is None:
        return np.ones((len(own), grid.n_steps), np.bool_)
    if spec.path is not None:
        outages = read_outages(sites.beside(spec.path))
    else:
        grades = load_grades()
        days = grid.n_steps * grid.step_s / 86_400
        kinds = [grade_of(site.mains_grade, grades) for site in own]
        outages = draw_outages(kinds, grid.site_id, grid.start, days, spec.drawn_with_seed or 0)
    return mains_present(outages, grid.site_id, grid.start, grid.n_steps, grid.step_s)


def read_events(sites: SitesFile, grid: Grid) -> EventSeries | None:
    """Demand-response events, if any are named."""
    if sites.spec.grid_events is None:
        return None
    spec = load_events(sites.beside(sites.spec.grid_events))
    return compile_events(spec, grid.site_id, grid.start, grid.n_steps, grid.step_s)


class Emissions(NamedTuple):
    """Of the grid in each step. (T,) [kg/kWh]; None where nothing is known."""

    average: Float64 | None
    marginal: Float64 | None


def read_emissions(sites: SitesFile, grid: Grid, tariff: Tariff) -> Emissions:
    """Emissions as the files, or the tariff, state them."""
    spec, span = sites.spec.co2, (grid.start, grid.n_steps, grid.step_s)
    average = marginal = None
    if spec.average is not None:
        average = as_steps(read_tidy(sites.beside(spec.average), "average_co2_kg_per_kwh"), *span)
    elif tariff.average_co2_kg_per_kwh is not None:
        average = np.full(grid.n_steps, tariff.average_co2_kg_per_kwh)
    if spec.marginal is not None:
        path = sites.beside(spec.marginal)
        series = read_marginal_co2(path) if path.is_dir() else read_tidy(path, "marginal_co2_kg_per_kwh")
        marginal = as_steps(series, *span)
    return Emissions(average, marginal)
