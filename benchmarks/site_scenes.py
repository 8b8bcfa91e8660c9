"""Fleets of sites for the benchmarks of site power: recorded and synthetic load, real weather, real and stylised tariffs.

Load: each cell of an hourly LTE set as a site of three like sectors, and sites of the synthetic generator, in which no
day repeats; both replayed in world earth-macro under ``symbol``, so that the quarter hours inside a recorded hour vary
as docs/evaluation.md says. Weather and PV: five sites of a typical year. Whole weeks are shifted to the tariff's years.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.rows import data_folder
from controller.config import load_profile
from controller.replay.stage import Stage, Task
from controller.site.radio import radio_power
from controller.site.scene import SiteScene
from controller.site.tariff import TariffSeries, load_tariff
from controller.strict_yaml import load_yaml
from controller.worlds import world_for
from hw.power.plant import make_plant
from hw.power.spec import PlantSpec
from traces.grid.folder import read_prices, read_time_of_use, read_weather
from traces.grid.resampling import along_lines
from traces.grid.series import GridSeries
from traces.reading import read_trace
from traces.synthesis import SynthSpec, generate

Float64 = NDArray[np.float64]
STEP_S, PER_DAY = 900, 96
WEATHER = ("tucson_az", "seattle_wa")


@cache
def recorded_w() -> Float64:
    """DC power of sites of three sectors, from the recorded LTE cells. (cells, T) [W]"""
    trace = read_trace(data_folder() / "lte_br4")
    stage = Stage(Task(trace, world_for("earth-macro", trace), load_profile(None)))
    return 3 * radio_power(stage, "symbol", 1.0).power_w


@cache
def synthetic_w(sites: int, days: int) -> Float64:
    """DC power of synthetic sites of three sectors on one layer. (sites, T) [W]"""
    trace = generate(SynthSpec(n_sites=sites, layers=1, days=days, step_s=STEP_S, seed=5, growth_per_week=0.002))
    stage = Stage(Task(trace, world_for("earth-macro", trace), load_profile(None)))
    return radio_power(stage, "symbol", 1.0).power_w


if __name__ == "__main__":
    import time
    t=time.time(); a=recorded_w(); print(a.shape, a.mean(1), a.max(1), time.time()-t)
    t=time.time(); a=synthetic_w(5,430); print(a.shape, a.mean(1), a.max(1), time.time()-t)
    import pyarrow.parquet as pq
    w=pq.read_table(data_folder()/"tariff_weather"/"weather_pv_tmy3.parquet").column("site").unique().to_pylist(); print(w)
    print(pq.read_table(data_folder()/"tariff_weather"/"tou_pymgrid.parquet").column("tariff").unique().to_pylist())
