"""From a trace and a sites file to the scene that site policies are compared on.

::

    radio power by tick (as a radio policy leaves it, and at full service) + sites file
        -> loads, weather, cooling, tariff, mains, events -> floors -> SiteScene

Cooling runs before the battery: it heeds loads and weather, not what the battery does.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from controller.site.catalogue import load_class, load_cooling, load_plant
from controller.site.cooling import Around, Planned, calendar_ageing, run_cooling
from controller.site.floors import alarms_of, site_floors
from controller.site.grid_events import EventSeries
from controller.site.inputs import (
    Emissions,
    Grid,
    WeatherOf,
    read_emissions,
    read_events,
    read_mains,
    read_price_series,
    read_sites_weather,
)
from controller.site.outlook_days import SiteCalendar
from controller.site.reaction import event_terms, outage_terms
from controller.site.scene import SiteScene
from controller.site.sites_file import Site, SitesFile
from controller.site.tariff import Tariff, TariffSeries, load_tariff, tariff_names
from controller.site.upper import LAG_DAYS, upper_power_w
from hw.power.cooling_spec import CoolingSpec
from hw.power.plant import Plant, make_plant
from hw.power.room import solar_heat_w
from hw.power.spec import PlantSpec
from hw.power.view import meter_load_w
from policies.site.backup import BackupClass

Float64 = NDArray[np.float64]
COLDER_K = 3.0  # cells may become so much colder than in the days before
NO_COOLING = "none"


@dataclass(frozen=True, slots=True)
class RadioLoad:
    """Radio of the sites of a trace by tick. (n, T) [W]"""

    grid: Grid
    power_w: Float64  # as the radio policy leaves it
    full_w: Float64  # every cell awake
    rated_w: Float64  # (n,) every cell at full load
    policy: str


@dataclass(frozen=True, slots=True)
class Prepared:
    """All that a sites file names, read for the steps of a trace, before any radio is replayed."""

    file: SitesFile
    grid: Grid
    sites: list[Site]
    tariff: Tariff
    series: TariffSeries
    plant: Plant
    classes: list[BackupClass]
    rooms: list[tuple[int, CoolingSpec]]  # sites with simulated cooling
    weather: WeatherOf
    mains: NDArray[np.bool_]
    events: EventSeries | None
    emissions: Emissions


def prepare(file: SitesFile, grid: Grid) -> Prepared:
    """Read all that a sites file names. Raises ConfigError or TraceError for what does not fit the trace."""
    sites, tariff = file.resolve(grid.site_id), read_tariff(file)
    beside = file.path.parent
    cooled = [(i, site.cooling) for i, site in enumerate(sites) if site.cooling not in (None, NO_COOLING)]
    return Prepared(
        file=file,
        grid=grid,
        sites=sites,
        tariff=tariff,
        series=tariff.series(grid.start, grid.n_steps, grid.step_s, read_price_series(file, tariff)),
        plant=make_plant([plant_of(file, site, tariff.currency) for site in sites]),
        classes=[class_of(file, site) for site in sites],
        rooms=[(i, load_cooling(str(name), beside)) for i, name in cooled],
        weather=read_sites_weather(file, sites, grid, tariff),
        mains=read_mains(file, sites, grid),
        events=read_events(file, grid),
        emissions=read_emissions(file, grid, tariff),
    )


@dataclass(frozen=True, slots=True)
class SitesScene:
    """A scene with what the report says about it."""

    given: Prepared
    scene: SiteScene
    calendar: SiteCalendar
    alarms: list[list[str]]  # of each site
    radio_policy: str

    @property
    def soc(self) -> Float64:
        """State of charge at the begin and the end of a billing month. (n,)"""
        return np.array([site.soc for site in self.given.sites])

    @property
    def health(self) -> Float64:
        """Capacity now over rated. (n,)"""
        return np.array([site.health for site in self.given.sites])


def build_scene(made: Prepared, radio: RadioLoad) -> SitesScene:
    """The scene of a trace's sites, with the radio of one policy."""
    grid, sites, plant, weather, series = made.grid, made.sites, made.plant, made.weather, made.series
    transport_w = _over([site.transport_w for site in sites], grid)
    cooling_w, battery_c = _cooling(made, radio.power_w + transport_w)
    ac_w = cooling_w + _over([site.ac_load_w for site in sites], grid)
    day = min(86_400 // grid.step_s, grid.n_steps)
    learning = learning_days(made.file, grid.n_steps // day)
    margin, rated = made.file.spec.neighbour_margin, radio.rated_w
    full_w = _learned(upper_power_w(radio.full_w, day, rated, margin), day, learning)
    planned_w = _learned(upper_power_w(radio.power_w, day, rated, margin), day, learning)
    coldest_c = -_learned(upper_power_w(-battery_c, day, -battery_c.min(1), 0.0), day, learning) - COLDER_K
    reserve = site_floors(plant, sites, made.classes, planned_w, full_w, transport_w, coldest_c, grid.step_s)
    pv_kwp = np.array([site.pv_kwp for site in sites])
    scene = SiteScene(
        site_id=np.array(grid.site_id),
        plant=plant,
        start=grid.start,
        step_s=grid.step_s,
        tariff=series,
        radio_w=radio.power_w,
        transport_w=transport_w,
        ac_load_w=ac_w,
        upper_dc_w=full_w + transport_w,
        upper_ac_w=_learned(upper_power_w(ac_w, day, ac_w.max(1), 0.0), day, learning),
        pv_w=np.ascontiguousarray(weather.pv_kw_per_kwp * pv_kwp[:, None] * 1000),
        battery_c=battery_c,
        mains=made.mains,
        floor_wh=reserve.floor_wh,
        export_cap_w=np.array([site.export_cap_w if series.feeds_in else 0.0 for site in sites]),
        import_cap_w=np.array([np.inf if s.import_cap_w is None else s.import_cap_w for s in sites]),
        outage=None if made.mains.all() else outage_terms(sites, made.classes, radio.full_w, reserve),
    )
    if made.events is not None:
        scene = replace(scene, event=event_terms(made.events, scene))
    calendar = SiteCalendar(grid.start, grid.step_s, made.tariff.spec.time_zone)
    return SitesScene(made, scene, calendar, alarms_of(reserve, sites, made.classes), radio.policy)


def read_tariff(file: SitesFile) -> Tariff:
    """The tariff by name, or from a file beside the sites file."""
    name = file.spec.tariff
    tariff = load_tariff(name if name in tariff_names() else file.beside(name))
    price = file.spec.demand_price_per_kw
    return tariff if price is None else tariff.with_demand(price)


def plant_of(file: SitesFile, site: Site, currency: str) -> PlantSpec:
    """The plant of a site with its own size, and the price of its pack in the tariff's currency."""
    spec = load_plant(site.plant, file.path.parent)
    pack, rate = spec.battery, file.spec.exchange_rate
    if pack.currency != currency and rate is None:
        raise file.error(
            f"plant {spec.name} has a pack priced in {pack.currency}, the tariff is in {currency}; add exchange_rate: "
            f"how many {currency} one {pack.currency} is"
        )
    if pack.currency == currency and rate not in (None, 1.0):
        raise file.error(
            f"exchange_rate is {rate}, but plant {spec.name} is priced in {currency} already; remove it"
        )
    size_wh = pack.rated_wh * (site.packs or 1.0) if site.rated_kwh is None else 1000 * site.rated_kwh
    priced = {"price_per_kwh": pack.price_per_kwh * (rate or 1.0), "currency": currency}
    if site.pv_kwp and spec.pv is None:
        raise file.error(
            f"plant {spec.name} has no pv, but a site with it has pv_kwp; choose a plant with pv"
        )
    modules = site.rectifier_modules or spec.rectifier.modules
    return spec.model_copy(
        update={
            "battery": pack.model_copy(update={"rated_wh": size_wh, **priced}),
            "rectifier": spec.rectifier.model_copy(update={"modules": modules}),
        }
    )


def class_of(file: SitesFile, site: Site) -> BackupClass:
    """The backup class of a site. Raises ConfigError where it does not know the site's mains grade."""
    found = load_class(site.backup_class, file.path.parent)
    if site.mains_grade not in found.grade_factors:
        known = ", ".join(found.grade_factors)
        raise file.error(f"mains_grade {site.mains_grade!r} is not of class {found.name}; known: {known}")
    return found


def _cooling(made: Prepared, dc_w: Float64) -> tuple[Float64, Float64]:
    """Electric power of the cooling and temperature of the cells. (n, T) [W], [degC]"""
    power_w, weather, step_s = np.zeros(dc_w.shape), made.weather, made.grid.step_s
    indoor_c = [25.0 if site.indoor_c is None else site.indoor_c for site in made.sites]
    battery_c = _over(indoor_c, made.grid)
    if not made.rooms:
        return power_w, battery_c
    rows, specs = [i for i, _ in made.rooms], [spec for _, spec in made.rooms]
    loss_w = meter_load_w(made.plant, dc_w, np.zeros_like(dc_w)) - dc_w
    heat_w = (dc_w + made.file.spec.rectifier_loss_indoors * loss_w)[rows]
    area_m2 = np.array([spec.room.solar_area_m2 for spec in specs])
    around = Around(
        weather.outdoor_c[rows],
        weather.dewpoint_c[rows],
        solar_heat_w(area_m2, weather.sun_w_m2[rows]),
        heat_w,
        made.mains[rows],
    )
    planned = _planned_cooling(made, rows) if made.file.spec.setpoints == "planned" else None
    found = run_cooling(specs, around, step_s, made.file.spec.setpoint_c, planned)
    power_w[rows], battery_c[rows] = found
    return power_w, battery_c


def _planned_cooling(made: Prepared, rows: list[int]) -> Planned:
    """What planned set points of some sites heed."""
    own = [made.sites[i] for i in rows]
    packs = [plant_of(made.file, site, made.tariff.currency).battery for site in own]
    price = np.array([pack.price_per_kwh * pack.rated_wh / 1000 for pack in packs])
    ageing = calendar_ageing(made.plant.ageing[rows], price, np.array([site.soc for site in own]))
    event = np.zeros((len(rows), made.grid.n_steps), np.bool_)
    known_at = np.zeros(event.shape, np.int64)
    if made.events is not None:
        asked = np.isfinite(made.events.limit_w) | (made.events.reduce_w > 0)
        event, known_at = asked[rows], made.events.known_at[rows]
    return Planned(made.series, ageing, event, known_at)


def learning_days(file: SitesFile, n_days: int) -> int:
    """Days before the first that is scored: as the file says, at most half of the trace."""
    return min(file.spec.history_days, n_days // 2)


def _learned(upper: Float64, steps_per_day: int, days: int) -> Float64:
    """An upper quantile whose first days, before enough was seen, are as the first day with enough.

    Only ``days`` that are not scored are changed, so nothing scored learns from later.
    """
    begin = min(days, LAG_DAYS + 1) * steps_per_day
    like = upper[:, begin : begin + steps_per_day]
    if begin and like.shape[1] == steps_per_day:
        upper[:, :begin] = np.tile(like, (1, begin // steps_per_day))
    return upper


def _over(values: list[float], grid: Grid) -> Float64:
    return np.repeat(np.array(values, np.float64)[:, None], grid.n_steps, axis=1)
