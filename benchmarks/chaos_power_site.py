"""A site with a battery in the simulation: the physics of the simulated plant behind an agent that may be killed.

The agent is the real one, its servicer included; the plant is hw/sim_plant/power.py on the clock of its host.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from quietcell.power.v1 import power_pb2_grpc

from benchmarks.chaos_site import AgentHost, HostTime
from benchmarks.chaos_wire import Network
from controller.live.power.inputs import Inputs, read_inputs
from controller.live.site_program import SiteProgram
from hw.agents import power_server
from hw.agents.power_core import PowerAgentCore, PowerLimits
from hw.agents.power_runner import PowerRunner
from hw.agents.power_server import PowerServicer
from hw.agents.running import Pace
from hw.agents.serving import Door
from hw.ports import Bools, PowerAbilities, PowerReading, PowerSetting
from hw.sim_plant.faults import Fault
from hw.sim_plant.power import PowerSim, PowerTruth, rows
from hw.sim_plant.timing import SampleClock

LIMITS = PowerLimits(longest_term_ms=60_000, longest_plan_ms=360_000)
PACE = Pace(report_every_ms=10_000, read_every_ms=5_000)
SAMPLE_S = 30
RATED_W, TRANSPORT_W, PACKS = 3000.0, 400.0, 2
IMPORT_CAP_W = 4200.0  # little more than the loads take: what was drained stays so for a while
RESERVE_OF_FLOOR = 0.5  # what an agent knows as its reserve, of the least that the controller keeps
SITES = f"""schema: quietcell.sites/1
source: chaos
tariff: cn-five-period-demand
exchange_rate: 7.7
radio_w_per_unit: 3.3
defaults:
  plant: macro-lfp-200ah
  rectifier_modules: 8
  packs: {PACKS}
  backup_class: urban
  mains_grade: urban
  transport_w: {TRANSPORT_W}
  indoor_c: 25.0
"""
PROGRAM = """  on_battery_program:
    acknowledged: true
    reaction_s: 120.0
    stages:
      - {after_s: 0.0, radio_ratio: 0.4}
"""


@cache
def inputs_of(names: tuple[str, ...], step_s: int, *, has_program: bool) -> Inputs:
    """What the controller is told of sites."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sites.yaml"
        path.write_text(SITES + PROGRAM * has_program, encoding="utf-8")
        return read_inputs(path, list(names), np.full(len(names), RATED_W), step_s)


@cache
def floors_wh(has_program: bool) -> tuple[float, float]:
    """What the controller must keep at a site without and with a program on the agent's disk."""
    inputs = inputs_of(("site",), 180, has_program=has_program)
    without, known = (float(inputs.floor_wh(np.array([known]))[0]) for known in (False, True))
    return without, known


def agent_reserve_wh() -> float:
    """What the agents keep by themselves."""
    return RESERVE_OF_FLOOR * floors_wh(True)[1]


class PowerPlantOf:
    """The power of one site. What it is set to is told as it happens."""

    def __init__(self, site_id: str, host: HostTime, random: Random, *, stored_wh: float) -> None:
        self.site_id, self._host, self._random = site_id, host, random
        inputs = inputs_of((site_id,), 180, has_program=False)
        capacity_wh = float(inputs.plant.rated_wh[0])
        self.reserve_wh = agent_reserve_wh()
        self._clock = SampleClock(host.monotonic_us(), host.unix_us(), SAMPLE_S * 1_000_000)
        one = np.ones((1, 1))
        truth = PowerTruth(
            site_id=(site_id,),
            plant=rows(inputs.plant, np.array([0])),
            soc=np.array([stored_wh / capacity_wh]),
            health=np.ones(1),
            step_us=self._clock.sample_us,
            transport_w=TRANSPORT_W * one,
            ac_load_w=0.0 * one,
            pv_w=0.0 * one,
            battery_c=25.0 * one,
            mains=one.astype(np.bool_),
            reserve_wh=np.zeros(1),  # its agent has to see to that
            import_cap_w=np.array([IMPORT_CAP_W]),
            export_cap_w=np.zeros(1),
            has_dead_man=np.ones(1, np.bool_),
        )
        self.sim = PowerSim(truth, self._clock, host.monotonic_us())
        self.set_load(0.5)
        self.is_silent = False
        self._number = 0
        self.set_to: Callable[[float, float], None] = lambda *_: None  # power, import limit

    @property
    def stored_wh(self) -> float:
        """What is stored now. [Wh]"""
        self.sim.advance(self._host.monotonic_us())
        self.sim._serve_until(self._host.monotonic_us(), np.array([0]))
        return float(self.sim.state.stored_wh[0])

    @property
    def is_safe(self) -> bool:
        """Whether it charges safely now."""
        self.sim.advance(self._host.monotonic_us())
        return bool(self.sim.is_safe[0])

    @property
    def has_mains(self) -> bool:
        """Whether mains is there."""
        return not self.has(Fault.OUTAGE)

    def has(self, fault: Fault) -> bool:
        """Whether a fault is there."""
        return bool(self.sim.faults.at(fault)[0])

    def set_load(self, ratio: float) -> None:
        """What the radios draw from now on, over what they draw at most."""
        self.sim.set_radio(np.array([ratio * RATED_W]), np.array([RATED_W]))

    def inject(self, fault: Fault, *, heals: bool) -> None:
        """A fault comes or goes."""
        self.sim.inject(fault, np.array([0]), self._host.monotonic_us(), heals=heals)

    async def abilities(self) -> PowerAbilities:
        """What there is."""
        await self._reach()
        sites, rated_wh = self.sim.truth.plant.sites, self.sim.truth.plant.rated_wh
        return PowerAbilities(
            (self.site_id,),
            np.asarray(sites["charge_rate"] * rated_wh),
            np.asarray(sites["discharge_rate"] * rated_wh),
            rated_wh.copy(),
            np.array([self.reserve_wh]),
            self.sim.truth.import_cap_w.copy(),
            np.ones(1, np.bool_),
            is_simulated=True,
        )

    async def apply(self, setting: PowerSetting, number: int) -> Bools:
        """Set the site."""
        await self._reach()
        now_us = self._host.monotonic_us()
        self.sim.advance(now_us)
        if not len(setting.site):
            return np.zeros(0, np.bool_)
        if number < self._number or (setting.extends[0] and self.sim.is_safe[0]):
            return np.zeros(1, np.bool_)
        self._number = number
        done = self.sim.apply(setting, now_us)
        if not self.sim.is_safe[0] and not setting.extends[0] and not setting.is_safe[0] and done[0]:
            self.set_to(float(setting.battery_w[0]), float(setting.import_limit_w[0]))
        return done

    async def read(self, after_sample: int) -> PowerReading:
        """State, and the samples after one."""
        await self._reach()
        sim = self.sim
        sim.advance(self._host.monotonic_us())
        samples = sim.samples.after(after_sample)
        names = ("soc", "cell_v", "battery_a", "import_w", "load_w", "pv_w", "stored_wh", "mains")
        measured: dict[str, Any] = {
            name: np.array([[getattr(s, name)[0] for s in samples]]).reshape(1, len(samples))
            for name in names
        }
        measured["mains"] = measured["mains"].astype(np.bool_)
        return PowerReading(
            sim.is_safe.copy(),
            sim.battery_w.copy(),
            sim.faults.at(Fault.LOCAL_CONTROL).copy(),
            sim.samples.last,
            np.array([s.end_unix_us for s in samples], np.int64),
            self._clock.sample_us // 1000,
            **measured,
        )

    async def _reach(self) -> None:
        if self.is_silent:
            raise OSError("silent")
        await asyncio.sleep(self._random.expovariate(1 / 0.005))


class PowerSite(AgentHost):
    """One host with the power of a site and, while it lives, its agent, which has a name of its own."""

    runner: PowerRunner | None
    plant: PowerPlantOf

    def __init__(self, place_id: str, network: Network, random: Random) -> None:
        super().__init__(f"{place_id}-power", network, random)
        self.place_id = place_id  # the site that its radios call so

    def build(self, wall_us: int, stored_wh: float) -> None:
        """The plant begins. Called while the loop runs."""
        self.host.wall_us = wall_us
        self.plant = PowerPlantOf(self.place_id, self.host, self._random, stored_wh=stored_wh)

    async def start(self) -> None:
        """Start the agent as serve_power does, without its socket."""
        abilities = await power_server._to_safe_charging(self.plant, self.host)
        boot_id = self._random.randbytes(16)
        core = PowerAgentCore(self.site_id, boot_id, abilities, LIMITS, self.disk.kept, SiteProgram())
        runner = PowerRunner(core, self.plant, self.disk, self.host, PACE)  # type: ignore[arg-type]
        door = Door("unix:virtual")
        add = power_pb2_grpc.add_PowerAgentServiceServicer_to_server
        self._serve(runner, add, PowerServicer(runner, door), door)
