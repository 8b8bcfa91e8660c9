"""What the outlook of a site is worth: its error by lead time against yesterday and last week, and scenarios.

Load is measured cell load mapped to site power, at 15 min along lines that keep each hour's mean, with noise inside the
hour; a second set is synthetic with fresh noise each day. PV and temperature are typical years. Every forecast knows
only what ended before it.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.rows import data_folder, print_row
from controller.site.outlook import Outlook, SiteCalendar
from traces.grid import along_lines, as_steps, read_prices, read_weather
from traces.grid.series import GridSeries
from traces.reading import read_trace

STEP_S, PER_DAY = 900, 96
START, N_DAYS = np.datetime64("2019-02-01T03:00:00", "s"), 300
BETWEEN, HORIZON = (
    6 * 4 + 1,
    2 * PER_DAY,
)  # steps; the odd one moves the forecasts through the hours of the day
WEATHER = ("tucson_az", "new_york_jfk", "intl_falls_mn", "tampa_fl", "seattle_wa")
IDLE_W, LOADED_W = 1300.0, 1500.0  # a macro site of three carriers: at no load, and what full load adds
KWP = 3.0
NOISE_SIGMA, NOISE_KEPT = 0.15, 0.6  # of the traffic inside the hour: log-normal, correlation of two steps
LEADS = {"0-2h": (0, 8), "2-24h": (8, 96), "24-48h": (96, 192)}
SCENARIOS, MONTH_DAYS = 40, 30


class Case(NamedTuple):
    """What happened at n sites. Arrays (n, T)."""

    load_w: NDArray[np.float64]
    pv_w: NDArray[np.float64]
    temp_c: NDArray[np.float64]


def noisy(load: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """Load ratios with log-normal noise that forgets within an hour or so."""
    noise = rng.standard_normal(load.shape)
    for k in range(1, load.shape[1]):
        noise[:, k] = NOISE_KEPT * noise[:, k - 1] + np.sqrt(1 - NOISE_KEPT**2) * noise[:, k]
    return np.minimum(load * np.exp(NOISE_SIGMA * noise - NOISE_SIGMA**2 / 2), 1.0)


def measured_load(folder: Path, n: int) -> NDArray[np.float64]:
    """PRB use of measured cells at 15 min; a missing hour holds the hour before it. (cells, n)"""
    trace = read_trace(folder)
    first = int((START - trace.start.astype("datetime64[s]")).astype(np.int64)) // trace.step_s
    rows = []
    for recorded in trace.dl_prb_ratio[:, first - 1 : first + N_DAYS * 24 + 1].astype(np.float64):
        known = np.maximum.accumulate(np.where(np.isfinite(recorded), np.arange(len(recorded)), 0))
        hourly = GridSeries("load", START - np.timedelta64(3600, "s"), 3600, recorded[known], "ratio")
        rows.append(along_lines(hourly, START, n, STEP_S, never_negative=True))
    return np.array(rows)


def synthetic_load(n_sites: int, n: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """A day with two peaks, quieter rest days, a slow trend and a level of each day of its own. (n_sites, n)"""
    hour = (np.arange(n) % PER_DAY) / 4
    day = np.arange(n) // PER_DAY
    shape = 0.12 + 0.3 * np.exp(-(((hour - 12) / 4) ** 2)) + 0.35 * np.exp(-(((hour - 20.5) / 2.5) ** 2))
    rest = np.where((day + 4) % 7 >= 5, 0.8, 1.0)
    level = np.exp(0.1 * rng.standard_normal((n_sites, N_DAYS)))[:, day]
    growth = 1 + 0.3 * rng.random((n_sites, 1)) * day / N_DAYS
    return np.minimum(shape * rest * level * growth, 1.0)


def make_case(load: NDArray[np.float64], folder: Path, rng: np.random.Generator) -> Case:
    n, (sites, steps) = len(WEATHER), load.shape
    weather = [read_weather(folder, WEATHER[i % n]) for i in range(sites)]
    pv = [along_lines(w.pv_kw_per_kwp, START, steps, STEP_S, never_negative=True) for w in weather]
    temp = [along_lines(w.temp_c, START, steps, STEP_S) for w in weather]
    return Case(IDLE_W + LOADED_W * noisy(load, rng), 1000 * KWP * np.array(pv), np.array(temp))


def errors(case: Case, calendar: SiteCalendar) -> tuple[dict[str, dict[str, list[float]]], float, float]:
    """Absolute errors by quantity and lead of the outlook, yesterday and last week; coverage of the upper load; ms."""
    found: dict[str, dict[str, list[float]]] = {}
    covered, spent = [], []
    for now in range(35 * PER_DAY, (N_DAYS - 3) * PER_DAY, BETWEEN):
        began = time.perf_counter()
        history = (values[:, :now] for values in case)
        forecast = Outlook(*history, None, calendar).forecast(HORIZON)
        spent.append(1000 * (time.perf_counter() - began))
        for name, truth, said in (
            ("load", case.load_w, forecast.load_w),
            ("pv", case.pv_w, forecast.pv_w),
            ("temp", case.temp_c, forecast.temp_c),
        ):
            real = truth[:, now : now + HORIZON]
            back = {"outlook": said}
            for label, days in (("yesterday", 1), ("last_week", 7)):
                day = truth[:, now - days * PER_DAY : now - days * PER_DAY + min(days * PER_DAY, HORIZON)]
                back[label] = np.tile(day, (1, -(-HORIZON // day.shape[1])))[:, :HORIZON]
            for label, guess in back.items():
                for lead, (a, b) in LEADS.items():
                    error = float(np.abs(guess - real)[:, a:b].mean())
                    found.setdefault(f"{name}_{lead}", {}).setdefault(label, []).append(error)
        covered.append(float((case.load_w[:, now : now + HORIZON] <= forecast.load_upper_w).mean()))
    return found, float(np.mean(covered)), float(np.median(spent))


def scenario_ranks(case: Case, calendar: SiteCalendar) -> dict[str, float]:
    """Share of months whose highest net load, energy and PV lie inside the middle 90 % of the scenarios."""
    inside: dict[str, list[bool]] = {"peak": [], "energy": [], "pv": []}
    steps = MONTH_DAYS * PER_DAY
    for k, now in enumerate(range(40 * PER_DAY + 37, len(case.load_w[0]) - steps, 11 * PER_DAY + 5)):
        outlook = Outlook(*(values[:, :now] for values in case), None, calendar)
        drawn = outlook.scenarios(steps, SCENARIOS, np.random.default_rng(k))
        load, pv = case.load_w[:, now : now + steps], case.pv_w[:, now : now + steps]
        for name, guess, real in (
            ("peak", (drawn.load_w - drawn.pv_w).max(axis=-1), (load - pv).max(axis=-1)),
            ("energy", drawn.load_w.mean(axis=-1), load.mean(axis=-1)),
            ("pv", drawn.pv_w.mean(axis=-1), pv.mean(axis=-1)),
        ):
            low, high = np.quantile(guess, [0.05, 0.95], axis=0)
            inside[name] += ((low <= real) & (real <= high)).tolist()
    return {name: float(np.mean(values)) for name, values in inside.items()}


def price_errors(folder: Path) -> None:
    """Prices beyond what is published: from 13:00 local, for the day after tomorrow."""
    for market, zone, start in (
        ("BE_DAM", "Europe/Brussels", np.datetime64("2022-12-31T23:00:00", "s")),
        ("ERCOT_DAM_LZ_WEST", "America/Chicago", np.datetime64("2021-06-01T05:00:00", "s")),
    ):
        days = 365
        price = as_steps(read_prices(folder, market, fill_s=7200), start, days * PER_DAY, STEP_S)
        calendar = SiteCalendar(start, STEP_S, zone)
        nothing = np.zeros((1, days * PER_DAY))
        ours, yesterday, last_week = [], [], []
        for day in range(35, days - 4):
            now, known = day * PER_DAY + 52, (day + 2) * PER_DAY
            past = nothing[:, :now]
            ahead = Outlook(past + 1, past, past, price[:known], calendar).forecast(known - now + PER_DAY)
            assert ahead.import_price is not None
            real = price[known : known + PER_DAY]
            ours.append(np.abs(ahead.import_price[0, -PER_DAY:] - real).mean())
            yesterday.append(np.abs(price[known - PER_DAY : known] - real).mean())
            last_week.append(np.abs(price[known - 7 * PER_DAY : known - 6 * PER_DAY] - real).mean())
        conditions = f"{market}, day after the last published one; last week {np.mean(last_week):.5f}"
        peer = float(np.mean(yesterday))
        print_row(
            "price_error",
            float(np.mean(ours)),
            "currency/kWh",
            conditions,
            ours=float(np.mean(ours)),
            peer=peer,
        )


def main() -> None:
    folder, rng = data_folder(), np.random.default_rng(5)
    grid, n = folder / "tariff_weather", N_DAYS * PER_DAY
    calendar = SiteCalendar(START, STEP_S, "America/Sao_Paulo")
    cases = {
        "measured": make_case(measured_load(folder / "lte_br4", n), grid, rng),
        "synthetic": make_case(synthetic_load(len(WEATHER), n, rng), grid, rng),
    }
    for label, case in cases.items():
        found, covered, spent_ms = errors(case, calendar)
        for quantity, by in found.items():
            mean = {name: float(np.mean(values)) for name, values in by.items()}
            unit = "degC" if quantity.startswith("temp") else "W"
            conditions = f"{label}, mean absolute error; last week {mean['last_week']:.1f}; against yesterday"
            print_row(
                f"{quantity}_error",
                mean["outlook"],
                unit,
                conditions,
                ours=mean["outlook"],
                peer=mean["yesterday"],
            )
        print_row("load_upper_covers", covered, "ratio", f"{label}, 48 h ahead, wanted 0.99")
        print_row(
            "forecast_ms", spent_ms, "ms", f"{len(case.load_w)} sites, 48 h at 15 min, 28 days of history"
        )
        for name, share in scenario_ranks(case, calendar).items():
            print_row(f"scenarios_cover_{name}", share, "ratio", f"{label}, a month ahead, wanted 0.9")
    price_errors(grid)


if __name__ == "__main__":
    main()
