"""The generator's structure against measured networks in the folder QUIETCELL_DATA; skipped without it."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from traces.synth.shapes import AreaType, day_table
from traces.synthesis import SynthSpec, generate

DATA = os.environ.get("QUIETCELL_DATA")
pytestmark = pytest.mark.skipif(not DATA, reason="QUIETCELL_DATA does not name a folder of measured networks")
WEEKDAYS, WEEKEND = ("mon", "tue", "wed", "thu", "fri"), ("sat", "sun")
PUBLISHED_AREA = {
    "business": "office",
    "residential": "residential",
    "transport": "transport",
    "entertainment": "entertainment",
}


def table(*parts: str) -> dict[str, NDArray[np.generic]]:
    path = Path(str(DATA)).joinpath(*parts)
    if not path.exists():
        pytest.skip(f"{path.name} is not in QUIETCELL_DATA")
    read = pq.read_table(path)
    return {name: read[name].to_numpy() for name in read.column_names}


@pytest.mark.parametrize("area", PUBLISHED_AREA)
@pytest.mark.parametrize("days", [WEEKDAYS, WEEKEND])
def test_daily_shapes_follow_the_published_ones(area: AreaType, days: tuple[str, ...]) -> None:
    rows = table("daily_profiles", "profiles.parquet")
    published = []
    for day in days:
        own = rows["profile"] == f"thp_{day}_xu17_{PUBLISHED_AREA[area]}"
        values = rows["norm_traffic"][own][np.argsort(rows["frac_of_day"][own])]
        published.append(values / values.mean())
    shape = day_table(area)[int(days == WEEKEND)]
    shape = shape.reshape(len(published[0]), -1).mean(axis=1)
    shape /= shape.mean()
    mean = np.mean(published, axis=0)
    assert np.corrcoef(shape, mean)[0, 1] > 0.97
    assert np.abs(shape - mean).mean() < 0.12


def measured_load() -> NDArray[np.float64]:
    """Hourly load of the cells with a whole week. (n_cells, 168), local time from the first hour on"""
    rows = table("itu5g_energy", "cell_load.parquet")
    hour = rows["timestamp"].astype("datetime64[h]").astype(int)
    hour -= hour.min()
    cells, index = np.unique(rows["cell_id"].astype(str), return_inverse=True)
    load = np.full((len(cells), hour.max() + 1), np.nan)
    load[index, hour] = rows["prb_load"]
    return load[np.isfinite(load).sum(axis=1) > 100]


def statistics(load: NDArray[np.float64]) -> dict[str, float]:
    """Level, heterogeneity, variability and memory of hourly loads that begin at the same hour each day."""
    level = np.nanmean(load, axis=1)
    days = load.shape[1] // 24
    log = np.log(np.maximum(load[:, : days * 24], 0.005)).reshape(len(load), days, 24)
    noise = (log - np.nanmean(log, axis=1, keepdims=True)).reshape(len(load), -1)
    now, later = noise[:, :-1].ravel(), noise[:, 1:].ravel()
    both = np.isfinite(now) & np.isfinite(later)
    return {
        "mean": float(np.nanmean(load)),
        "median": float(np.nanmedian(load)),
        "share_below_0.1": float((load[np.isfinite(load)] < 0.1).mean()),
        "share_above_0.7": float((load[np.isfinite(load)] > 0.7).mean()),
        "sigma_of_log_level": float(np.log(level).std()),
        "noise_sigma": float(np.nanmedian(np.nanstd(noise, axis=1))),
        "memory_1_h": float(np.corrcoef(now[both], later[both])[0, 1]),
        "peak_over_mean": float(np.median(np.nanmax(load, axis=1) / level)),
    }


@pytest.mark.filterwarnings("ignore:Mean of empty slice")
def test_hourly_single_layer_networks_look_like_the_measured_one() -> None:
    measured = statistics(measured_load())
    spec = SynthSpec(n_sites=300, sectors=2, layers=1, step_s=3600, missing_share=0.1, seed=17)
    made = statistics(generate(spec).dl_prb_ratio.astype(np.float64))
    tolerance = {
        "mean": 0.05,
        "median": 0.05,
        "share_below_0.1": 0.07,
        "share_above_0.7": 0.03,
        "sigma_of_log_level": 0.2,
        "noise_sigma": 0.06,
        "memory_1_h": 0.15,
        "peak_over_mean": 0.3,
    }
    for name, allowed in tolerance.items():
        assert made[name] == pytest.approx(measured[name], abs=allowed), name
