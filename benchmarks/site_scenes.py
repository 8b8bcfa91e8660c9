"""Fleets of sites for the benchmarks of site power: recorded and synthetic load, real weather, many tariffs.

Load: each cell of an hourly LTE set as a site of three like sectors, and sites of the synthetic generator, in which no
day repeats; both replayed in world earth-macro under ``symbol``, so that the quarter hours inside a recorded hour vary
as docs/evaluation.md says. Weather and PV: five sites of a typical year. Whole weeks are shifted to the tariff's years.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from benchmarks.rows import data_folder
from controller.config import load_profile
from controller.energy_price import EnergyPrices
from controller.replay.scene import make_clock
from controller.replay.stage import Stage, Task
from controller.site.outlook_days import SiteCalendar
from controller.site.radio import radio_power
from controller.site.scene import SiteScene
from controller.site.tariff import load_tariff
from controller.site.upper import upper_power_w
from controller.strict_yaml import load_yaml
from controller.worlds import world_for
from hw.power.plant import Plant, make_plant, start_state
from hw.power.spec import PlantSpec, PvSpec
from hw.power.view import planning_view
from policies.site.reserve import Agents, BackupClass, Loads, Pack, backup_of, floor_wh
from traces import Trace
from traces.grid.folder import read_prices, read_time_of_use, read_weather
from traces.grid.resampling import along_lines
from traces.grid.series import GridSeries
from traces.reading import read_trace
from traces.synthesis import SynthSpec, generate

Float64 = NDArray[np.float64]
STEP_S, PER_DAY = 900, 96
WEATHER = ("tucson_az", "new_york_jfk", "intl_falls_mn", "tampa_fl", "seattle_wa")
MIDNIGHT = 4  # step of the recorded load with which a local day begins
TUESDAY = 1  # the recorded load begins on one; weeks stay whole
TRANSPORT_W, PV_KWP, PACKS, SOC = 400.0, 2.0, 4, 0.95
RADIO_RATED_W = 4033.0  # three sectors of earth-macro at full load
BACKUP = BackupClass(
    name="suburban",
    radio_backup_h=3.0,
    transport_backup_h=4.0,
    grade_factors={"2": 1.0},
    lease_s=900.0,
    recovery_limit_w=3000.0,
    recovery_spread_s=1800.0,
    recovery_within_s=86400.0,
)
NEIGHBOUR_MARGIN = 0.05
REACTION_S = 300.0  # from a failure to the program's sleep, a restart of the agent included


@dataclass(frozen=True, slots=True)
class Case:
    """A tariff, the day its scene begins on, and where its prices come from."""

    name: str
    tariff: str
    start: str  # local date, a Tuesday
    currency_per_kwh: float  # price of the pack
    market: str | None = None
    table: str | None = None
    demand_per_kw: float | None = None

    @property
    def demand(self) -> bool:
        """Whether the month's peak is charged."""
        return self.name.endswith("+demand")


CASES = (
    Case("cn", "cn-five-period", "2024-01-02", 700.0),
    Case("cn+demand", "cn-five-period-demand", "2024-01-02", 700.0),
    Case("tou3", "hourly-table", "2021-01-05", 150.0, table="tou_three_level_0.22_0.29_0.59"),
    Case(
        "tou3+demand",
        "hourly-table",
        "2021-01-05",
        150.0,
        table="tou_three_level_0.22_0.29_0.59",
        demand_per_kw=12.0,
    ),
    Case("tou2", "hourly-table", "2021-01-05", 150.0, table="tou_two_level_0.08_0.11"),
    Case(
        "tou2+demand",
        "hourly-table",
        "2021-01-05",
        150.0,
        table="tou_two_level_0.08_0.11",
        demand_per_kw=12.0,
    ),
    Case("be", "be-day-ahead", "2022-01-04", 150.0, market="BE_DAM"),
    Case("be+demand", "be-day-ahead-demand", "2022-01-04", 150.0, market="BE_DAM"),
    Case("ercot", "ercot-day-ahead", "2021-01-05", 150.0, market="ERCOT_DAM_LZ_WEST"),
    Case(
        "ercot+demand", "ercot-day-ahead", "2021-01-05", 150.0, market="ERCOT_DAM_LZ_WEST", demand_per_kw=8.0
    ),
)


@cache
def recorded_w(policy: str) -> Float64:
    """DC power of sites of three sectors, from the recorded LTE cells. (cells, T) [W]"""
    return 3 * _power_w(_recorded(), policy)


@cache
def synthetic_w(sites: int, days: int, policy: str) -> Float64:
    """DC power of synthetic sites of three sectors on one layer. (sites, T) [W]"""
    return _power_w(_synthetic(sites, days), policy)


@cache
def _recorded() -> Trace:
    return read_trace(data_folder() / "lte_br4")


@cache
def _synthetic(sites: int, days: int) -> Trace:
    return generate(
        SynthSpec(n_sites=sites, layers=1, days=days, step_s=STEP_S, seed=5, growth_per_week=0.002)
    )


def _power_w(trace: Trace, policy: str, price: Float64 | None = None, first: int = 0) -> Float64:
    """DC power of the sites of a trace. With ``price`` (T,), from tick ``first`` on, sleep is weighed by it. [W]"""
    task = Task(trace, world_for("earth-macro", trace), load_profile(None))
    if price is not None:
        clock = make_clock(trace, task.world)
        at = np.clip(np.arange(clock.n_ticks) - first, 0, len(price) - 1)
        task = replace(
            task, energy_price=EnergyPrices.everywhere(clock.start, clock.tick_s, price[at], trace.n_cells)
        )
    return radio_power(Stage(task), policy, 1.0).power_w


def plant_spec(case: Case) -> PlantSpec:
    """Four packs, panels, and the price of a pack in the tariff's currency."""
    spec = load_yaml(Path(str(files("hw").joinpath("catalogue", "power", "macro-lfp-200ah.yaml"))), PlantSpec)
    battery = spec.battery.model_copy(
        update={"rated_wh": PACKS * spec.battery.rated_wh, "price_per_kwh": case.currency_per_kwh}
    )
    pv = PvSpec(converter_w=3000.0, converter_efficiency=0.97, inverter_w=0.0, inverter_efficiency=0.96)
    return spec.model_copy(update={"battery": battery, "pv": pv})


@dataclass(frozen=True, slots=True)
class Fleet:
    """A scene with its calendar."""

    scene: SiteScene
    calendar: SiteCalendar


def make_fleet(
    case: Case,
    days: int = 420,
    *,
    radio: str = "symbol",
    program_ratio: float | None = None,
    by_price: bool = False,
) -> Fleet:
    """Five weather sites with a recorded and a synthetic load each, over ``days`` from the case's start.

    ``radio`` is the radio policy whose power the sites carry; the reserve is for full service all the same. With
    ``program_ratio`` the site agents have acknowledged a program that keeps this share of the radio on battery. With
    ``by_price`` the radio policy weighs its sleep by the tariff's price.
    """
    steps = days * PER_DAY
    tariff = load_tariff(case.tariff)
    if case.demand_per_kw is not None:
        tariff = tariff.with_demand(case.demand_per_kw)
    start, offset_h = _utc(case.start, tariff.spec.time_zone)
    series = tariff.series(start, steps, STEP_S, _prices(case))
    radio_w = _loads_w(radio, days, series.import_price if by_price else None)
    full_w = _loads_w("none", days)
    n = len(radio_w)
    pv = np.concatenate([_pv(site, start, offset_h, steps) for site in WEATHER] * 2).reshape(n, steps)
    plant = make_plant([plant_spec(case)] * n)
    transport = np.full((n, steps), TRANSPORT_W)
    upper = upper_power_w(full_w, PER_DAY, np.full(n, RADIO_RATED_W), NEIGHBOUR_MARGIN)
    scene = SiteScene(
        site_id=np.array([f"{load}/{site}" for load in ("recorded", "synthetic") for site in WEATHER]),
        plant=plant,
        start=start,
        step_s=STEP_S,
        tariff=series,
        radio_w=radio_w,
        transport_w=transport,
        ac_load_w=np.zeros((n, steps)),
        upper_dc_w=upper + transport,
        upper_ac_w=np.zeros((n, steps)),
        pv_w=pv,
        battery_c=np.full((n, steps), 25.0),
        mains=np.ones((n, steps), np.bool_),
        floor_wh=_floors(plant, upper, transport, program_ratio),
        export_cap_w=np.zeros(n),
        import_cap_w=np.full(n, np.inf),
    )
    return Fleet(scene, SiteCalendar(start, STEP_S, tariff.spec.time_zone))


def _loads_w(radio: str, days: int, price: Float64 | None = None) -> Float64:
    """Radio power of the ten sites, from a local midnight of a Tuesday on. (10, T)"""
    if price is None:
        recorded, synthetic = recorded_w(radio), synthetic_w(5, days + 1, radio)
    else:
        recorded = 3 * _power_w(_recorded(), radio, price, MIDNIGHT)
        synthetic = _power_w(_synthetic(5, days + 1), radio, price, PER_DAY)
    steps = days * PER_DAY
    recorded = recorded[[0, 1, 2, 3, 1], MIDNIGHT : MIDNIGHT + steps]
    return np.concatenate([recorded, synthetic[:, PER_DAY : PER_DAY + steps]])


def case_prices(case: Case, after_midnight_s: int, n_steps: int, step_s: int) -> Float64:
    """Price of energy from so long after the local midnight that a case begins with. (n_steps,) [currency/kWh]"""
    tariff = load_tariff(case.tariff)
    start = _utc(case.start, tariff.spec.time_zone)[0] + np.timedelta64(after_midnight_s, "s")
    return tariff.series(start, n_steps, step_s, _prices(case)).import_price


def _floors(plant: Plant, radio_w: Float64, transport_w: Float64, program_ratio: float | None) -> Float64:
    n, steps = radio_w.shape
    state = start_state(plant, np.full(n, SOC), np.ones(n))
    view = planning_view(plant, state, np.full(n, 3000.0), np.full(n, 25.0))
    beyond = PER_DAY
    radio = np.concatenate([radio_w, radio_w[:, -beyond:]], 1)
    transport = np.concatenate([transport_w, transport_w[:, -beyond:]], 1)
    over = (n, steps + 1)
    pack = Pack(
        np.broadcast_to(view.capacity_wh[:, None], over).copy(),
        np.broadcast_to(view.cutoff_wh[:, None], over).copy(),
        np.broadcast_to(view.transport_cutoff_wh[:, None], over).copy(),
        view.discharge_efficiency,
        state.stored_wh * plant.sites["self_discharge_per_h"],
    )
    sleeps = program_ratio is not None
    agents = Agents(np.full(n, sleeps), np.full(n, REACTION_S))
    loads = Loads(radio, radio, radio * (program_ratio or 1.0), transport)
    return floor_wh(backup_of([BACKUP] * n, ["2"] * n), loads, agents, pack, STEP_S).floor_wh


def _utc(date: str, zone: str) -> tuple[np.datetime64, float]:
    """UTC of a local midnight, and the offset of the zone [h]."""
    local = datetime.fromisoformat(date).replace(tzinfo=ZoneInfo(zone))
    offset = local.utcoffset()
    assert offset is not None
    return np.datetime64(local.astimezone(UTC).replace(tzinfo=None), "s"), offset.total_seconds() / 3600


def _prices(case: Case) -> GridSeries | None:
    folder = data_folder() / "tariff_weather"
    if case.market is not None:
        return read_prices(folder, case.market, fill_s=3 * 3600)
    return None if case.table is None else read_time_of_use(folder, case.table).import_price


def _pv(site: str, start: np.datetime64, offset_h: float, steps: int) -> Float64:
    """DC power of the panels, with the site's noon at the tariff's noon. (steps,) [W]"""
    weather = read_weather(data_folder() / "tariff_weather", site)
    moved = start + np.timedelta64(round((offset_h - weather.longitude_deg / 15) * 3600), "s")
    return along_lines(weather.pv_kw_per_kwp, moved, steps, STEP_S, never_negative=True) * PV_KWP * 1000
