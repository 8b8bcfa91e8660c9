"""Cooling over a typical year at five weather sites: planned set points against a fixed one, for each kind of cooling.

All run on the same simulated rooms, minute by minute. Plans are made every six hours for a day and a half, from weather
and heat of the days before; the prices of a time-of-use tariff are known. Cost is energy and calendar ageing of the
battery. Beside the fixed set point of 25 degC stand the constant that would have been best in hindsight, and plans from
true input.
"""

from __future__ import annotations

import sys
import time
from typing import Any, NamedTuple

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from benchmarks.rows import data_folder, print_row
from controller.strict_yaml import load_yaml
from controller.worlds import CATALOGUE
from hw.power import cooling_kernel as at
from hw.power.cooling import Cooling, RoomState, cool_flows, make_cooling, start_room
from hw.power.cooling_spec import CoolingSpec
from hw.power.room import dewpoint_c, solar_heat_w
from policies.site.cooling import Costs, fixed_setpoint, guard_setpoint, plan_setpoints
from policies.site.cooling_model import Ahead

STEP_S, PER_DAY, AHEAD = 900, 96, 144
PLAN_EVERY = 24  # steps
FADES_STEPS = 32.0  # in which the error of a temperature forecast is forgotten
HEAT_W = {"shelter": 1300.0, "cabinet": 650.0}  # mean of loads and losses inside, by kind of room
# A pack of 200 Ah at 51.2 V for 2,000, used up in 12 calendar years at 25 degC; 31.7 kJ/mol (Wang et al. 2011,
# doi:10.1016/j.jpowsour.2010.11.134)
AGEING_PER_H, AGEING_PER_K = 2000 / (12 * 8760), 0.043
# Three periods, summer and winter alike: valley to 07:00, peak 16:00 to 21:00
VALLEY, FLAT, PEAK = 0.10, 0.20, 0.45


CONSTANTS_C = np.arange(
    18.0, 36.0, 2.0
)  # set points that hindsight may choose from, within the limits of the room


class Year(NamedTuple):
    """A typical year at five sites in steps of 15 min. Arrays (sites, T)."""

    sites: list[str]
    outdoor_c: NDArray[np.float64]
    dewpoint_c: NDArray[np.float64]
    irradiance_w_m2: NDArray[np.float64]


def read_year() -> Year:
    """Hours of the weather files, drawn straight between; dew points from relative humidity."""
    table = pq.read_table(data_folder() / "tariff_weather" / "weather_pv_tmy3.parquet")
    column = {name: table[name].to_numpy() for name in ("hour_of_year", "temp_c", "rh_pct", "ghi_wm2")}
    names = np.array(table["site"].to_pylist())
    sites = list(dict.fromkeys(names.tolist()))
    quarter, series = np.arange(8760 * 4) / 4, {name: [] for name in ("temp_c", "rh_pct", "ghi_wm2")}
    for site in sites:
        rows = np.flatnonzero(names == site)
        rows = rows[np.argsort(column["hour_of_year"][rows])]
        for name, found in series.items():
            found.append(np.interp(quarter, np.arange(8760), column[name][rows].astype(float)))
    temp_c, humidity, sun = (np.array(values) for values in series.values())
    return Year(sites, temp_c, dewpoint_c(temp_c, humidity / 100), sun)


def heat_of(name: str, n: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Heat of loads inside: a daily course and fresh noise each hour. (n, T)"""
    hour = np.arange(8760 * 4) / 4
    course = 1 + 0.25 * np.sin((hour - 13) / 24 * 2 * np.pi)
    noise = np.repeat(rng.normal(0, 0.05, (n, 8760)), 4, axis=1)
    return HEAT_W[name.partition("-")[0]] * (course + noise)


def forecast(series: NDArray[np.float64], first: int, *, correct: bool) -> NDArray[np.float64]:
    """The coming day and a half from the two days before ``first``, half and half.

    ``correct`` shifts the first hours by how far the last quarter of an hour was off.
    """
    known = (
        series[:, max(first - 2 * PER_DAY, first % PER_DAY) : first].reshape(len(series), -1, PER_DAY).mean(1)
    )
    coming = np.tile(known, 2)[:, :AHEAD]
    if not correct:
        return coming
    off = series[:, first - 1] - known[:, -1]
    return np.asarray(coming + off[:, None] * np.exp(-np.arange(AHEAD) / FADES_STEPS))


def plan(
    cooling: Cooling, state: RoomState, ahead: Ahead, price: NDArray[np.float64], first: int, known: str
) -> Any:
    """Set points of the coming day and a half, from the days before or from what will come."""
    n = len(cooling.alarm_c)
    if known == "true":
        expected = Ahead(*(np.take(v, range(first, first + AHEAD), axis=1, mode="wrap") for v in ahead))
    else:
        expected = Ahead(
            *(forecast(v, first, correct=name.endswith("_c")) for name, v in ahead._asdict().items())
        )
    coming = np.tile(np.take(price, range(first, first + AHEAD), mode="wrap"), (n, 1))
    costs = Costs(coming, np.full(n, AGEING_PER_H), np.full(n, AGEING_PER_K))
    return plan_setpoints(cooling, state, expected, costs, STEP_S).setpoint_c


def simulate(
    cooling: Cooling,
    ahead: Ahead,
    price: NDArray[np.float64],
    days: int,
    *,
    known: str = "",
    constant_c: Any = None,
) -> dict[str, NDArray[np.float64]]:
    """Run the rooms over the days. Returns energy [kWh], cost, hottest air, mean and hottest cells, per room."""
    n = len(cooling.alarm_c)
    state, setpoint_c = start_room(cooling, 25.0), fixed_setpoint(cooling, AHEAD)
    if constant_c is not None:
        setpoint_c[:] = constant_c[:, None]
    kwh, bill, aged, cells, hottest, hottest_cells = (np.zeros(n) for _ in range(6))
    plan_s, plans = 0.0, 0
    for k in range(days * PER_DAY):
        since = k % PLAN_EVERY
        if known and since == 0 and k >= PER_DAY:
            began = time.process_time()
            setpoint_c = plan(cooling, state, ahead, price, k, known)
            plan_s += (time.process_time() - began) * (k > PER_DAY)  # kernels compile in the first
            plans += k > PER_DAY
        now = Ahead(*(values[:, k] for values in ahead))
        asked = guard_setpoint(cooling, setpoint_c[:, since], state.air_c, state.battery_c)
        flows = cool_flows(cooling, state, step_s=STEP_S, setpoint_c=asked, **now._asdict())
        step_kwh = flows[:, : at.STANDBY + 1].sum(1) * STEP_S / 3.6e6
        kwh += step_kwh
        bill += step_kwh * price[k]
        aged += AGEING_PER_H * np.exp(AGEING_PER_K * (state.battery_c - 25)) * STEP_S / 3600
        cells += state.battery_c / (days * PER_DAY)
        hottest = np.maximum(hottest, flows[:, at.HOTTEST])
        hottest_cells = np.maximum(hottest_cells, state.battery_c)
    plan_ms = np.full(n, 1000 * plan_s / max(plans, 1) / n)
    return {"kwh": kwh, "bill": bill, "aged": aged, "cost": bill + aged, "cells": cells, "hottest": hottest,
            "hottest_cells": hottest_cells, "plan_ms": plan_ms}  # fmt: skip


def best_constant(
    spec: CoolingSpec, ahead: Ahead, price: NDArray[np.float64], days: int
) -> NDArray[np.float64]:
    """Cost of the constant that is best in hindsight at each site, even if it keeps cells above their range."""
    n = len(ahead.outdoor_c)
    levels = CONSTANTS_C[
        (spec.limits.setpoint_min_c <= CONSTANTS_C) & (spec.limits.setpoint_max_c >= CONSTANTS_C)
    ]
    cooling = make_cooling([spec] * (n * len(levels)))
    wide = Ahead(*(np.tile(values, (len(levels), 1)) for values in ahead))
    found = simulate(cooling, wide, price, days, constant_c=np.repeat(levels, n))
    return found["cost"].reshape(len(levels), n).min(0)


def print_site(
    spec: CoolingSpec, site: str, i: int, runs: dict[str, Any], constant: float, days: int
) -> None:
    fixed, planned = runs["fixed"], runs["planned"]
    pairs = {what: f"{planned[what][i]:.0f} of {fixed[what][i]:.0f}" for what in ("kwh", "bill", "aged")}
    warm = {
        what: f"{planned[what][i]:.1f} and {fixed[what][i]:.1f}"
        for what in ("cells", "hottest_cells", "hottest")
    }
    conditions = (
        f"energy {pairs['kwh']} kWh, bill {pairs['bill']}, ageing {pairs['aged']}; best constant {constant:.0f}, "
        f"true input {runs['true']['cost'][i]:.0f}; cells on the mean {warm['cells']} degC, "
        f"at most {warm['hottest_cells']}; "
        f"air at most {warm['hottest']} of {spec.limits.alarm_c:.0f} degC; {days} days"
    )
    ours, peer = float(planned["cost"][i]), float(fixed["cost"][i])
    name = f"cost_{spec.name}_{site}".replace("-", "_")
    print_row(name, round(ours, 2), "currency", conditions, ours=ours, peer=peer)


def main() -> None:
    days = int(sys.argv[1]) if len(sys.argv) > 1 else 365
    year, hour = read_year(), np.arange(8760 * 4) / 4 % 24
    price = np.where(hour < 7, VALLEY, np.where((hour >= 16) & (hour < 21), PEAK, FLAT))
    total, above, n = dict.fromkeys(("fixed", "planned", "true", "constant"), 0.0), 0, len(year.sites)
    for path in sorted((CATALOGUE / "cooling").glob("*.yaml")):
        spec = load_yaml(path, CoolingSpec)
        cooling = make_cooling([spec] * n)
        heat_w = heat_of(spec.name, n, np.random.default_rng(5))
        sun_w = solar_heat_w(cooling.solar_area_m2, year.irradiance_w_m2)
        ahead = Ahead(year.outdoor_c, year.dewpoint_c, sun_w, heat_w)
        known = {"fixed": "", "planned": "before", "true": "true"}
        runs = {policy: simulate(cooling, ahead, price, days, known=k) for policy, k in known.items()}
        constant = best_constant(spec, ahead, price, days)
        for i, site in enumerate(year.sites):
            print_site(spec, site, i, runs, float(constant[i]), days)
        for policy, found in runs.items():
            total[policy] += float(found["cost"].sum())
            above += int((found["hottest"] >= cooling.alarm_c).sum())
        total["constant"] += float(constant.sum())
        ms = round(float(runs["planned"]["plan_ms"][0]), 2)
        print_row(
            f"plan_ms_{spec.name}".replace("-", "_"), ms, "ms", "one site, a day and a half, one thread"
        )
    everywhere, planned = f"all kinds and sites, {days} days", total["planned"]
    for name, peer, bar in (
        ("cooling_cost_saved", "fixed", 0.1),
        ("cooling_cost_saved_vs_constant", "constant", 0.0),
    ):
        saved = round(1 - planned / total[peer], 4)
        print_row(
            name,
            saved,
            "ratio",
            f"{everywhere}, against {peer}",
            ours=planned,
            peer=total[peer],
            bar=(">=", bar),
        )
    share = (total["fixed"] - planned) / (total["fixed"] - total["true"])
    print_row("cooling_forecast_share", round(share, 4), "ratio", f"{everywhere}; of the saving with true input",
              bar=(">=", 0.9))  # fmt: skip
    print_row("rooms_above_alarm", above, "rooms", f"{everywhere}, each policy", bar=("==", 0))


if __name__ == "__main__":
    main()
