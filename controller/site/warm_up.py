"""Runs two small sites through every kernel of site power, for ``quietcell warm-up``.

A scene of three days is compared under all site policies, as a replay with ``--site`` does, with a room, an outage and
a demand charge; then what no replay needs, but a live site: set points, safe charging, and the check of a charge.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from controller.site.building import Prepared, RadioLoad, build_scene, prepare
from controller.site.catalogue import load_cooling
from controller.site.comparison import Comparison
from controller.site.inputs import Grid, WeatherOf
from controller.site.sites_file import SitesFile
from hw.power.cooling import make_cooling, start_room
from policies.site.cooling import Costs, flexible_part, plan_setpoints
from policies.site.cooling_model import Ahead as RoomAhead
from policies.site.outage import stretch
from policies.site.pack import charging_w
from policies.site.safe_charging import Ahead, Terms, safe_charging
from policies.site.soc_check import Cells, Report, check_charge, unknown_charge
from traces.sample import sample_path

DAYS, STEP_S = 3, 3600
STEPS = DAYS * 86_400 // STEP_S
START = np.datetime64("2025-03-02T16:00:00", "s")  # midnight of the sample's tariff
DARK = slice(40, 42)  # steps of the outage, which are scored
ROOM = "shelter-fan"
SAMPLE_SITES = ("S00006", "S00007")  # those that the sample's file names


def compare() -> None:
    """All site policies over two scored days, with cooling and an outage."""
    prepared = _prepared()
    rng = np.random.default_rng(0)
    full_w = 3000.0 + 2000.0 * rng.random((len(SAMPLE_SITES), STEPS))
    radio = RadioLoad(prepared.grid, 0.9 * full_w, full_w, np.full(len(full_w), 6000.0), "predictive")
    Comparison(build_scene(prepared, radio)).run()


def _prepared() -> Prepared:
    """The sample's sites file, with a room at one site and no mains for two hours at the other."""
    file = SitesFile(sample_path().parent / "sites.yaml")
    prepared = prepare(file, Grid(list(SAMPLE_SITES), START, STEPS, STEP_S))
    shape = prepared.mains.shape
    weather = WeatherOf(*(np.full(shape, value) for value in (15.0, 8.0, 200.0, 0.2)))
    prepared.mains[1, DARK] = False
    return replace(prepared, rooms=[(0, load_cooling(ROOM, file.path.parent))], weather=weather)


def cool_and_guard() -> None:
    """Set points of a room, safe charging, and the check of a charge, over a day."""
    plant, shape = _prepared().plant, (len(SAMPLE_SITES), 24)
    n = shape[0]
    rooms = make_cooling([load_cooling(ROOM, sample_path().parent)] * n)
    state, ahead = (
        start_room(rooms, np.full(n, 25.0)),
        RoomAhead(*(np.full(shape, v) for v in (15.0, 8.0, 0.0, 3000.0))),
    )
    planned = plan_setpoints(
        rooms, state, ahead, Costs(np.full(shape, 0.1), np.full(n, 0.01), np.full(n, 0.04)), STEP_S
    )
    flexible_part(rooms, state, ahead, planned.setpoint_c, STEP_S)
    charge_w = charging_w(plant, np.full(shape, 25.0), np.full(shape, 3000.0))
    terms = Terms(*(np.full(n, v) for v in (np.inf, 0.95, 0.97, 0.97, 3000.0, 3000.0, 1.0, 0.9)))
    floors = Ahead(np.full((n, shape[1] + 1), 5000.0), charge_w, np.full(shape, 3000.0))
    safe_charging(np.full(n, 4000.0), np.full(n, np.inf), floors, terms, STEP_S)
    report, cells = Report(*np.full((4, n), 0.5)), Cells(*np.full((4, n), 100.0))
    check_charge(unknown_charge(n), report, cells, STEP_S)
    stretch(*np.full((6, n), 1000.0))
