"""Site power in virtual time: the cores of controller and power agent over the simulated plant and its physics."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from controller.live.building import NOTHING_RESUMED
from controller.live.config import LiveConfig
from controller.live.cores import Cores
from controller.live.events import Event, GuardTick, Output, PlanTick, Record, Renewed
from controller.live.power.building import make_cores
from controller.live.power.core import PowerCore
from controller.live.power.events import PowerAnswered, PowerConnected, PowerDecided, PowerReported
from controller.live.site_program import SiteProgram
from controller.sim.assign import assign_evenly
from controller.sim.building import PlantModel, build_plant, trace_start_us
from controller.worlds import world_for
from hw.adapters.power import SafeBatch, SetpointBatch
from hw.adapters.radio import Renewal
from hw.agents.core import Step
from hw.agents.durable import Durable
from hw.agents.power_core import PowerAgentCore, PowerLimits, Setpoint
from hw.agents.power_runner import PowerRunner, safe_setting
from hw.agents.running import Pace
from hw.ports import Bools, PowerAbilities, PowerReading, PowerSetting
from hw.sim_plant.plant import PlantSim
from tests.controller.live.plant_trial import HandClock
from traces.synthesis import SynthSpec, generate
from traces.trace import Trace
from traces.writers.tidy import write_tidy

SECOND_US = 1_000_000
PLAN_S = 900
LIMITS = PowerLimits(longest_term_ms=180_000)
SITES = """schema: quietcell.sites/1
source: A test
tariff: cn-five-period-demand
exchange_rate: 7.7
radio_w_per_unit: 3.3
defaults:
  plant: macro-lfp-200ah
  rectifier_modules: 8
  packs: 8
  backup_class: urban
  mains_grade: urban
  transport_w: 400.0
  indoor_c: 25.0
"""
PROGRAM = """  on_battery_program:
    acknowledged: true
    reaction_s: 120.0
    stages:
      - {after_s: 0.0, radio_ratio: 0.4}
"""


class MemoryDisk:
    """Keeps what the agent writes."""

    async def save(self, durable: Durable) -> None:
        """Keep it."""
        await asyncio.sleep(0)


@dataclass
class PlantPort:
    """The plant as an agent's port."""

    plant: PlantSim
    agent_id: str
    clock: HandClock

    async def abilities(self) -> PowerAbilities:
        return self.plant.describe_power(self.agent_id)

    async def apply(self, setting: PowerSetting, number: int) -> Bools:
        return self.plant.apply_power(self.agent_id, setting, number, self.clock.now_us)

    async def read(self, after_sample: int) -> PowerReading:
        return self.plant.read_power(self.agent_id, after_sample, self.clock.now_us)


class AgentOverPlant:
    """The real core of a power agent over the plant; what it orders is done at once."""

    def __init__(self, agent_id: str, plant: PlantSim, plant_name: str, clock: HandClock, boot: int) -> None:
        self.agent_id, self.clock = agent_id, clock
        port = PlantPort(plant, plant_name, clock)
        abilities = plant.describe_power(plant_name)
        asyncio.run(port.apply(safe_setting(abilities, list(range(abilities.n_sites))), clock.now_us))
        boot_id = boot.to_bytes(16, "little")
        core = PowerAgentCore(agent_id, boot_id, abilities, LIMITS, Durable(), SiteProgram())
        self.core = core
        self.runner = PowerRunner(core, port, MemoryDisk(), clock, Pace())  # type: ignore[arg-type]
        self.seen = 0
        self.is_cut = False

    def feed(self, message: SafeBatch | SetpointBatch | Renewal) -> list[Event]:
        return self._carry(self.runner.feed(message))

    def report(self) -> Event:
        """Read the plant, and report."""
        reading = asyncio.run(self.runner._plant.read(self.runner._last_sample))
        self._carry(self.runner.take(reading, self.clock.now_us))
        last, measured = self.runner.samples.after(self.seen)
        self.seen = last
        return PowerReported(self.runner._report(measured, is_new=True))

    def tick(self) -> None:
        self._carry(self.core.tick(self.clock.now_us))

    def _carry(self, step: Step[Setpoint | None]) -> list[Event]:
        events: list[Event] = []
        if step.rows:
            events.append(PowerAnswered(self.agent_id, self.core.answers(step.rows)))
        if step.renewal is not None:
            events.append(Renewed(self.agent_id, step.renewal))
        if step.persist is not None:
            self.core.persisted(step.persist)
        for order in (step.wake, step.sleep):
            if order is not None:
                done = asyncio.run(self.runner.apply(order))
                events += self._carry(self.core.confirm(order, done, self.clock.now_us))
        return events


@dataclass
class PowerTrial:
    """One controller, one power agent of all sites, no radio agent: radios stay at full service.

    ``others`` are power agents of which the controller knows too, and which the test plays.
    """

    folder: Path
    stage: str = "act"
    program: bool = False
    lease_s: int = 120
    others: tuple[str, ...] = ()
    records: list[Record] = field(default_factory=list)
    outputs: list[Output] = field(default_factory=list)
    now_s: int = 0

    def __post_init__(self) -> None:
        network = generate(SynthSpec(n_sites=2, days=1, seed=4))
        keys = ("source", "cells", "start", "step_s", "time_zone", "dl_prb_ratio")
        trace = Trace(**{key: getattr(network, key) for key in keys})
        write_tidy(trace, self.folder / "trace")
        sites = self.folder / "sites.yaml"
        sites.write_text(SITES + (PROGRAM if self.program else ""), encoding="utf-8")
        assigned = assign_evenly(trace.cells.site_id, 1)
        self.name = assigned.agents[0]
        self.model: PlantModel = build_plant(trace, world_for(None, trace), assigned, seed=1, sites=sites)
        self.clock = HandClock(trace_start_us(trace))
        self.clock.now_us = self.now_s * SECOND_US
        self.plant = self.model.start(self.clock)
        self.config = LiveConfig.model_validate(
            {
                "schema": "quietcell.live/1",
                "controller": "edge-1",
                "agents": [
                    {"id": self.name, "address": "127.0.0.1:1"},
                    *(
                        {"id": name, "address": "127.0.0.1:2", "kind": "power"}
                        for name in ("power", *self.others)
                    ),
                ],
                "trace": str(self.folder / "trace"),
                "history": str(self.folder / "trace"),
                "policy": "none",
                "journal": str(self.folder / "journal.db"),
                "sites": str(sites),
                "lease_s": self.lease_s,
                "guard_every_s": 60,
                "ladder": {"stage": self.stage},
            }
        )
        self.boots = 0
        self.start_controller({}, 0)
        self.start_agent()

    def start_controller(self, revisions: dict[int, int], epoch: int) -> None:
        """A controller that knows these revisions, after an epoch."""
        resumed = replace(NOTHING_RESUMED, highest_epoch=epoch)
        self.cores: Cores = make_cores(self.config, resumed, revisions)

    def start_agent(self) -> None:
        """An agent begins a boot and a stream."""
        self.boots += 1
        self.agent = AgentOverPlant("power", self.plant, self.name, self.clock, self.boots)
        self.connect()

    def connect(self) -> None:
        self.feed(PowerConnected(self.agent.core.inventory()))

    @property
    def power(self) -> PowerCore:
        assert self.cores.power is not None
        return self.cores.power

    @property
    def decided(self) -> list[PowerDecided]:
        return [record for record in self.records if isinstance(record, PowerDecided)]

    def feed(self, event: Event) -> Output:
        """Feed an event and carry out what comes of it."""
        out = self.cores.feed(event)
        self.records += out.durable
        self.outputs.append(out)
        messages: list[tuple[str, Any]] = [*out.safes, *out.setpoints, *out.renewals]
        sent = [message for agent, message in messages if agent == "power"]
        for message in sent:
            if not self.agent.is_cut:
                for answer in self.agent.feed(message):
                    self.feed(answer)
        return out

    def run(self, seconds: int, *, plans: bool = True, guards: bool = True) -> None:
        """Reports and guard ticks every minute, plan ticks after the samples of their interval."""
        for _ in range(seconds // 60):
            self.now_s += 60
            self.clock.now_us = self.now_s * SECOND_US + 100_000
            self.agent.tick()
            report = self.agent.report()
            if not self.agent.is_cut:
                self.feed(report)
            now_us = self.clock.unix_us()
            if plans and now_us // SECOND_US % PLAN_S == 0:
                self.feed(PlanTick(now_us + 2 * SECOND_US))
            if guards:
                self.feed(GuardTick(now_us + 3 * SECOND_US))

    @property
    def stored_wh(self) -> np.ndarray:
        assert self.plant.power is not None
        return self.plant.power.state.stored_wh

    @property
    def reserve_wh(self) -> np.ndarray:
        return self.model.power.reserve_wh  # type: ignore[union-attr]
