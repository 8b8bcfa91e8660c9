"""From a trace and a sites file to a scene: loads, weather, cooling, floors, outages and events."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from controller.site.building import SitesScene, build_scene, prepare
from hw.power.view import meter_load_w
from tests.controller.site.site_made import DEFAULTS, HEAD, PER_DAY, START, grid, made_scene, radio, write

EVENTS = """schema: quietcell.grid-events/1
source: made up
events:
- {{name: first, kind: {kind}, amount_w: {amount}, begin: 2025-03-06T10:00:00Z, end: 2025-03-06T12:00:00Z,
   announced: 2025-03-06T02:00:00Z, sites: [west], penalty_per_kwh: 2.0}}
"""


def weather_folder(folder: Path) -> None:
    """One typical year: 15 degC with a daily swing, sun from 6 to 18 h UTC."""
    hour = np.arange(8760)
    sun = np.maximum(np.sin((hour % 24 - 6) * np.pi / 12), 0.0)
    moments = np.datetime64("2021-01-01T00:00:00", "us") + hour * np.timedelta64(3_600_000_000, "us")
    table = {
        "site": ["here"] * 8760,
        "lat": [0.0] * 8760,
        "lon": [0.0] * 8760,
        "timestamp": pa.array(moments, pa.timestamp("us", "UTC")),
        "temp_c": 15 + 10 * np.sin((hour % 24 - 9) * np.pi / 12),
        "ghi_wm2": 900 * sun,
        "pv_kw_per_kwp": 0.8 * sun,
    }
    pq.write_table(pa.table(table), folder / "weather_pv_made.parquet")


def with_weather(folder: Path, more: str) -> SitesScene:
    weather_folder(folder)
    text = HEAD + "weather: {path: .}\n" + DEFAULTS + "  weather: here\n" + more
    return made_scene(folder, text)


def test_the_floor_carries_the_site_for_its_class(tmp_path: Path) -> None:
    """By hand: an hour of radio and three of transport at the upper load, over efficiency, above the cut-off."""
    made = made_scene(tmp_path)
    scene = made.scene
    steps = slice(3 * PER_DAY, 4 * PER_DAY)
    radio_wh = scene.upper_dc_w[:, steps] - 300.0
    served_wh = radio_wh + 3 * 300.0
    floor_wh = scene.floor_wh[:, steps]
    cutoff_wh = floor_wh - served_wh / scene.plant.sites["discharge_efficiency"][:, None]
    assert (cutoff_wh > 0.049 * scene.plant.rated_wh[:, None]).all()
    assert (cutoff_wh < 0.2 * scene.plant.rated_wh[:, None]).all()
    assert made.alarms == [[], []]


def test_a_class_with_more_hours_has_a_higher_floor_and_a_small_pack_raises_the_alarm(tmp_path: Path) -> None:
    urban = made_scene(tmp_path).scene.floor_wh[:, PER_DAY:]
    more = "sites:\n- match: [west]\n  backup_class: suburban\n"
    rural = made_scene(tmp_path, HEAD + DEFAULTS + more)
    assert np.array_equal(rural.scene.floor_wh[0, PER_DAY:], urban[0])
    assert (rural.scene.floor_wh[1, PER_DAY:] > 1.5 * urban[1]).all()
    assert len(rural.alarms[1]) == 0
    small = made_scene(tmp_path, HEAD + DEFAULTS.replace("packs: 2", "packs: 0.5") + more)
    assert "of the 3.0 h" in small.alarms[1][0]


def test_the_floor_of_a_day_knows_nothing_of_that_day_or_later(tmp_path: Path) -> None:
    own = grid(8)
    given = prepare(write(tmp_path, HEAD + DEFAULTS), own)
    load = radio(own)
    full_w, power_w = load.full_w.copy(), load.power_w.copy()
    full_w[:, 4 * PER_DAY :] *= 1.3
    power_w[:, 4 * PER_DAY :] *= 1.3
    other = build_scene(given, replace(load, full_w=full_w, power_w=power_w)).scene
    plain = build_scene(given, load).scene
    until = 6 * PER_DAY + 1 - 4  # a floor looks as far ahead as its outage lasts
    assert np.array_equal(plain.floor_wh[:, :until], other.floor_wh[:, :until])
    assert np.array_equal(plain.upper_dc_w[:, : 7 * PER_DAY], other.upper_dc_w[:, : 7 * PER_DAY])
    assert (plain.floor_wh[:, 7 * PER_DAY + 4 :] < other.floor_wh[:, 7 * PER_DAY + 4 :]).all()


def test_an_acknowledged_program_releases_reserve(tmp_path: Path) -> None:
    program = (
        "  on_battery_program:\n    acknowledged: {}\n    reaction_s: 60.0\n    stages:\n"
        "    - {{after_s: 0.0, radio_ratio: 0.5}}\n"
    )
    plain = made_scene(tmp_path).scene.floor_wh
    stored = made_scene(tmp_path, HEAD + DEFAULTS + program.format("false")).scene.floor_wh
    acknowledged = made_scene(tmp_path, HEAD + DEFAULTS + program.format("true")).scene.floor_wh
    assert np.array_equal(plain, stored)
    assert (acknowledged[:, PER_DAY:] < plain[:, PER_DAY:] - 500.0).all()


def test_panels_give_what_the_weather_says(tmp_path: Path) -> None:
    more = "  pv_kwp: 3.0\n"
    weather_folder(tmp_path)
    text = HEAD + "weather: {path: .}\n" + DEFAULTS.replace("macro-lfp-200ah", "macro-lfp-400ah-pv")
    scene = made_scene(tmp_path, text + "  weather: here\n" + more).scene
    hour_utc = (np.arange(scene.n_steps) + 16) % 24
    assert scene.pv_w.max() == pytest.approx(3000 * 0.8, rel=0.03)
    assert (scene.pv_w[:, (hour_utc < 5) | (hour_utc > 19)] == 0).all()
    moved = made_scene(
        tmp_path, text.replace("path: .", "path: ., noon_of_tariff: true") + "  weather: here\n" + more
    )
    noon = np.argmax(moved.scene.pv_w[0, :PER_DAY])
    assert noon in (11, 12)  # local hours of the tariff, from local midnight on


def test_cooling_draws_power_and_sets_the_temperature_of_the_cells(tmp_path: Path) -> None:
    made = with_weather(tmp_path, "  cooling: shelter-variable\nsites:\n- match: [west]\n  cooling: none\n")
    scene = made.scene
    later = slice(2 * PER_DAY, None)
    assert (scene.ac_load_w[0, later].mean() > 100.0) and (scene.ac_load_w[1] == 0).all()
    assert (scene.battery_c[1] == 25.0).all()
    assert scene.battery_c[0, later] == pytest.approx(np.full(scene.n_steps - 2 * PER_DAY, 25.0), abs=2.0)
    hour_utc = (np.arange(scene.n_steps)[later] + 16) % 24
    warm, cold = (
        scene.ac_load_w[0, later][hour_utc == hour].mean() for hour in (15, 3)
    )  # 25 and 5 degC outdoors
    assert warm > cold + 10


def test_recorded_outages_come_at_their_sites(tmp_path: Path) -> None:
    (tmp_path / "out.csv").write_text("site,begin,end\nwest,2025-03-05T02:00:00Z,2025-03-05T05:00:00Z\n")
    scene = made_scene(tmp_path, HEAD + "outages: {path: out.csv}\n" + DEFAULTS).scene
    first = int((np.datetime64("2025-03-05T02:00:00") - START) / np.timedelta64(1, "h"))
    assert np.flatnonzero(~scene.mains[1]).tolist() == [first, first + 1, first + 2]
    assert scene.mains[0].all()
    assert scene.outage is not None
    assert scene.outage.radio_s.tolist() == [3600.0, 3600.0]


@pytest.mark.parametrize("kind", ["limit_to", "reduce_by"])
def test_events_become_limits_at_the_meter(kind: str, tmp_path: Path) -> None:
    (tmp_path / "events.yaml").write_text(EVENTS.format(kind=kind, amount=800.0))
    scene = made_scene(tmp_path, HEAD + "grid_events: events.yaml\n" + DEFAULTS).scene
    assert scene.event is not None
    first = int((np.datetime64("2025-03-06T10:00:00") - START) / np.timedelta64(1, "h"))
    limited = np.isfinite(scene.event.limit_w)
    assert np.argwhere(limited).tolist() == [[1, first], [1, first + 1]]
    wanted = 800.0
    if kind == "reduce_by":  # of the mean of the same hour on the days before
        load_w = meter_load_w(scene.plant, scene.radio_w + scene.transport_w, scene.ac_load_w)
        wanted = load_w[1, first - PER_DAY :: -PER_DAY].mean() - 800.0
    assert scene.event.limit_w[1, first] == pytest.approx(wanted)
    assert scene.limit_w(first).tolist() == [np.inf, scene.event.limit_w[1, first]]
