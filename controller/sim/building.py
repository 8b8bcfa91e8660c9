"""From a trace, a world and a sites file to the simulated plant, on the arrays of a replay."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from controller.errors import ConfigError
from controller.replay.power import tick_power
from controller.replay.scene import Scene, make_scene
from controller.sim.assign import Assignment
from controller.site.building import RadioLoad, SitesScene, build_scene, prepare
from controller.site.inputs import Grid
from controller.site.radio import by_site, rated_power_w, watt_per_unit
from controller.site.sites_file import SitesFile
from controller.worlds import EvaluatedWorld
from hw.ports import Clock
from hw.power.plant import Plant
from hw.sim_plant.plant import NetworkNames, PlantSim
from hw.sim_plant.power import PowerSim, PowerTruth
from hw.sim_plant.radio import RadioSim, RadioTruth
from hw.sim_plant.timing import SampleClock
from hw.world import SYMBOL
from traces import Trace


@dataclass(frozen=True, slots=True)
class PlantModel:
    """All that the plant is made of; ``start`` makes as many as wanted."""

    names: NetworkNames
    assignment: Assignment
    radio: RadioTruth
    power: PowerTruth | None
    watt_per_unit: float
    sample_us: int
    start_unix_us: int

    def start(self, clock: Clock) -> PlantSim:
        """The plant as of now, all radios at full service, all sites on safe charging.

        The trace begins when the clock shows its start. Raises ConfigError where that lies ahead.
        """
        now_us = clock.monotonic_us()
        ahead_us = self.start_unix_us - clock.unix_us()
        if ahead_us > 0:
            raise ConfigError(
                f"began: the trace begins in {ahead_us / 1e6:.0f} s; give a time that has passed"
            )
        samples = SampleClock(now_us + ahead_us, self.start_unix_us, self.sample_us)
        return PlantSim(
            self.names,
            self.assignment.agents,
            self.assignment.agent_of_cell,
            RadioSim(self.radio, samples, now_us),
            None if self.power is None else PowerSim(self.power, samples, now_us),
            self.watt_per_unit,
        )

    def warm_up(self, clock: Clock) -> None:
        """Run a plant that nobody sees through a sample, so that all is compiled before the first request."""
        self.start(clock).advance(clock.monotonic_us() + self.sample_us)


def trace_start_us(trace: Trace) -> int:
    """Unix time at which a trace begins. [us]"""
    return int(trace.start.astype("datetime64[us]").astype(np.int64))


def build_plant(
    trace: Trace, world: EvaluatedWorld, assignment: Assignment, *, seed: int = 0, sites: Path | None = None
) -> PlantModel:
    """The plant of a network with the trace as its truth; ``sites`` is a sites file for site power.

    Raises ConfigError, TraceError or WorldError for what does not fit together.
    """
    scene, cells = make_scene(trace, world, seed=seed), trace.cells
    n = len(cells)
    names = NetworkNames(
        cell_id=tuple(cells.cell_id.tolist()),
        site_id=tuple(cells.site_id.tolist()),
        product=tuple(cells.product.tolist()),
        is_capacity=scene.network.is_capacity,
        level_names=world.world.level_names,
    )
    network = scene.network
    radio = RadioTruth(
        scene.tables, network.groups, scene.path, scene.ul_per_dl, network.allowed, np.ones(n, np.bool_)
    )
    file = None if sites is None else SitesFile(sites)
    unit_w = 1.0 if file is None else watt_per_unit(world, file.spec.radio_w_per_unit)
    power = None if file is None else _site_power(trace, world, scene, file, unit_w)
    return PlantModel(
        names, assignment, radio, power, unit_w, scene.clock.sample_s * 1_000_000, trace_start_us(trace)
    )


def _site_power(
    trace: Trace, world: EvaluatedWorld, scene: Scene, file: SitesFile, unit_w: float
) -> PowerTruth:
    """Site power with the loads, weather, mains and reserve of a site comparison, radio apart, where there is any."""
    clock, cells = scene.clock, trace.cells
    awake = np.full((len(cells), clock.n_ticks), SYMBOL, np.uint8)
    drawn, unknown = tick_power(scene, scene.execute(awake, energy_per_tick=True))
    names = np.unique(cells.site_id).tolist()
    having = file.with_power(names)
    rows = np.isin(names, having)
    full_w = by_site(cells, drawn * unit_w, unknown).power_w[rows]
    grid = Grid(having, clock.start, clock.n_ticks, clock.tick_s)
    rated_w = np.maximum(rated_power_w(cells, world, unit_w)[rows], full_w.max(1))
    made = build_scene(prepare(file, grid), RadioLoad(grid, full_w, full_w, rated_w, "symbol"))
    return _truth(made, clock.tick_s)


def _truth(made: SitesScene, tick_s: int) -> PowerTruth:
    scene = made.scene
    m = scene.n_sites
    capacity_wh = scene.plant.rated_wh * made.health
    return PowerTruth(
        site_id=tuple(scene.site_id.tolist()),
        plant=Plant(*scene.plant),
        soc=made.soc,
        health=made.health,
        step_us=tick_s * 1_000_000,
        transport_w=scene.transport_w,
        ac_load_w=scene.ac_load_w,
        pv_w=scene.pv_w,
        battery_c=scene.battery_c,
        mains=scene.mains,
        reserve_wh=_highest(scene.floor_wh, capacity_wh),
        import_cap_w=scene.import_cap_w,
        export_cap_w=scene.export_cap_w,
        has_dead_man=np.ones(m, np.bool_),
    )


def _highest(floor_wh: NDArray[np.float64], capacity_wh: NDArray[np.float64]) -> NDArray[np.float64]:
    """The reserve that holds at all times: an agent knows one number a site. (m,) [Wh]"""
    return np.asarray(np.minimum(floor_wh.max(1), capacity_wh))
