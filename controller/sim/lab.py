"""A whole network on one machine: plant, agents and controller as processes of their own, over mutual TLS.

::

    lab folder: certificates, traces, live.yaml, journal, state and log of each process
    plant  <--unix socket--  agent x N  <--mTLS on loopback--  controller

Agents are those of radios and of sites with batteries. All clocks run ``speed`` times as fast as time. The network is
an invented one; a week of it is what the controller knows from before, what comes after is what the plant serves. That
begins before dawn: cells rest, and within minutes they wake.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import signal
import socket
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from controller.sim.assign import agent_names
from controller.sim.building import trace_start_us
from controller.sim.lab_power import LabPower, equip
from controller.sim.lab_process import Process, Tell
from hw.security.certs import init_ca, issue
from hw.security.identity import Identity, Role
from traces.synthesis import SynthSpec, generate
from traces.trace import Trace
from traces.writers.tidy import write_tidy

CELLS_PER_SITE = 9
KNOWN_DAYS = 7
BEGIN_H = 5  # local hour at which all clocks begin
CONTROLLER = "edge-1"
PEOPLE = (  # going up the ladder takes two
    Identity(Role.OPERATOR, "operator"),
    Identity(Role.ADMIN, "admin"),
    Identity(Role.ADMIN, "admin-2"),
)
HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class LabPlan:
    """What is to be started."""

    folder: Path
    n_cells: int
    n_agents: int
    speed: float
    policy: str
    seed: int
    stage: str  # of the ladder, where all cells begin
    sites: Path | None = None  # a sites file; None: no site has a battery
    power_agents: int | None = None  # whose sites get the defaults of ``sites``; None: as the file says


@dataclass(frozen=True, slots=True)
class Lab:
    """Files and addresses of a lab."""

    plan: LabPlan
    ports: tuple[int, ...]  # of the agents, then of the power agents, then of the controller
    start_us: int  # what all clocks show when the lab begins
    power: LabPower

    @property
    def agents(self) -> tuple[str, ...]:
        """Names of the radio agents, then of the power agents."""
        return agent_names(self.plan.n_agents) + self.power.agents

    def address(self, k: int) -> str:
        """Address of agent k; after the last one, of the controller."""
        return f"{HOST}:{self.ports[k]}"


def prepare(plan: LabPlan, tell: Tell) -> Lab:
    """Write certificates, traces and configuration.

    Raises FileExistsError where a lab stands already, and ConfigError for a sites file that is not valid.
    """
    if (plan.folder / "live.yaml").exists():
        raise FileExistsError(f"{plan.folder} holds a lab already; give another --out, or remove it")
    plan.folder.mkdir(parents=True, exist_ok=True)
    tell(f"lab: inventing a network of {plan.n_cells} cells and certificates in {plan.folder}")
    network = _network(plan)
    known = dt.timedelta(days=KNOWN_DAYS, hours=BEGIN_H) // dt.timedelta(seconds=network.step_s)
    truth = _cut(network, known, network.n_steps)
    write_tidy(_cut(network, 0, known), plan.folder / "history")
    write_tidy(truth, plan.folder / "truth")
    power = equip(plan.folder, network.cells, plan.n_agents, plan.sites, plan.power_agents)
    ports = _free_ports(plan.n_agents + len(power.agents) + 1)
    lab = Lab(plan, ports, trace_start_us(truth), power)
    tls = plan.folder / "tls"
    init_ca(tls)
    for name in lab.agents:
        issue(tls, Identity(Role.AGENT, name), [HOST])
    issue(tls, Identity(Role.CONTROLLER, CONTROLLER), [HOST])
    for person in PEOPLE:
        issue(tls, person)
    (plan.folder / "live.yaml").write_text(_config(lab), encoding="utf-8")
    return lab


def _network(plan: LabPlan) -> Trace:
    """An invented city of at least as many cells, cut to them."""
    sites = -(-plan.n_cells // CELLS_PER_SITE)
    trace = generate(SynthSpec(n_sites=max(sites, plan.n_agents), days=KNOWN_DAYS + 2, seed=plan.seed))
    return trace.select_cells(np.arange(plan.n_cells))


def _cut(trace: Trace, first: int, end: int) -> Trace:
    """PRB utilisation of some steps of an invented trace, which has little else."""
    return Trace(
        source=trace.source,
        cells=trace.cells,
        start=trace.times()[first],
        step_s=trace.step_s,
        time_zone=trace.time_zone,
        dl_prb_ratio=np.ascontiguousarray(trace.dl_prb_ratio[:, first:end]),
    )


def _free_ports(count: int) -> tuple[int, ...]:
    """Ports that nobody listens on now."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind((HOST, 0))
        return tuple(one.getsockname()[1] for one in sockets)
    finally:
        for one in sockets:
            one.close()


def _config(lab: Lab) -> str:
    """The controller's configuration."""
    folder = lab.plan.folder.resolve()
    agents = "\n".join(
        f"  - {{id: {name}, address: '{lab.address(k)}'{', kind: power' * (name in lab.power.agents)}}}"
        for k, name in enumerate(lab.agents)
    )
    sites = (
        "" if lab.power.sites is None else f"sites: {lab.power.sites}    # batteries, for the power agents\n"
    )
    return f"""schema: quietcell.live/1
controller: {CONTROLLER}
agents:
{agents}
trace: {folder / "history"}      # which cells there are
history: {folder / "history"}    # what the forecaster learns from before it starts
{sites}policy: {lab.plan.policy}
ladder: {{stage: {lab.plan.stage}}}    # how far the controller may go; the lab's cells are simulated
lease_s: 60
guard_every_s: 20
journal: {folder / "journal.db"}
tls: {folder / "tls"}
listen: '{lab.address(len(lab.agents))}'
seed: {lab.plan.seed}
"""


def _processes(lab: Lab, began_s: float, tell: Tell) -> tuple[Process, list[Process], Process]:
    plan, folder = lab.plan, lab.plan.folder
    clock = ["--speed", str(plan.speed), "--began", str(began_s)]
    shows = dt.datetime.fromtimestamp(lab.start_us / 1e6, dt.UTC)
    sites = [] if lab.power.sites is None else ["--site", str(lab.power.sites)]
    plant = [
        *["plant", str(folder / "truth"), "--listen", _plant_at(lab), "--agents", str(plan.n_agents)],
        *[*sites, *clock],
    ]
    controller = [
        "run",
        "--config",
        str(folder / "live.yaml"),
        *clock,
        "--shows",
        f"{shows:%Y-%m-%dT%H:%M:%S}",
    ]
    return (
        Process("plant", plant, folder, tell),
        [Process(name, _agent(lab, k, clock), folder, None) for k, name in enumerate(lab.agents)],
        Process("controller", controller, folder, tell),
    )


def _plant_at(lab: Lab) -> str:
    return f"unix:{lab.plan.folder.resolve() / 'plant.sock'}"


def _agent(lab: Lab, k: int, clock: Sequence[str]) -> list[str]:
    """The command of agent k, which asks the plant for the sites of the radio agent that it stands beside."""
    folder, name = lab.plan.folder, lab.agents[k]
    is_power = k >= lab.plan.n_agents
    beside = ["--plant-name", lab.power.beside[k - lab.plan.n_agents]] if is_power else []
    return [
        *["agent", "power" if is_power else "ran", "--sim", "--id", name, "--plant", _plant_at(lab), *beside],
        *["--listen", lab.address(k), "--state", str(folder / "state"), "--tls", str(folder / "tls")],
        *[*clock, "--shown", str(lab.start_us / 1e6)],
    ]


async def run_lab(lab: Lab, hours: float | None, tell: Tell) -> None:
    """Run a lab for some simulated hours, or until SIGTERM or SIGINT. Raises LabError where a process fails."""
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    plant, agents, controller = _processes(lab, time.time(), tell)
    async with AsyncExitStack() as stack:  # left in the other order: the controller first, the plant last
        await stack.enter_async_context(plant)
        await plant.ready()
        for agent in agents:
            await stack.enter_async_context(agent)
        for agent in agents:
            await agent.ready()
        tell(f"lab: {len(agents)} agents serve; the first is {lab.agents[0]} on {lab.address(0)}")
        if lab.power.agents:
            tell(f"lab: {len(lab.power.agents)} of them hold batteries, from {lab.power.agents[0]} on")
        await stack.enter_async_context(controller)
        await _until_ended(lab, hours, ended, [plant, *agents, controller])


async def _happens(event: asyncio.Event) -> object:
    return await event.wait()


async def _until_ended(
    lab: Lab, hours: float | None, ended: asyncio.Event, processes: Sequence[Process]
) -> None:
    waits: dict[asyncio.Future[object], Process] = {
        asyncio.ensure_future(process.wait()): process for process in processes
    }
    told: asyncio.Future[object] = asyncio.ensure_future(_happens(ended))
    timeout = None if hours is None else hours * 3600 / lab.plan.speed
    done, _ = await asyncio.wait([told, *waits], timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
    told.cancel()
    failed = [waits[task] for task in done if task in waits]
    if failed and not ended.is_set():
        raise failed[0].ended()
