"""A whole network on one machine: plant, agents and controller as processes of their own, over mutual TLS.

::

    lab folder: certificates, traces, live.yaml, journal, state and log of each process
    plant  <--unix socket--  agent x N  <--mTLS on loopback--  controller

All clocks run ``speed`` times as fast as time. The network is an invented one; a week of it is what the controller
knows from before, the day after it is what the plant serves.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from controller.sim.assign import agent_names
from controller.sim.building import trace_start_us
from hw.security.certs import init_ca, issue
from hw.security.identity import Identity, Role
from traces.synthesis import SynthSpec, generate
from traces.trace import Trace
from traces.writers.tidy import write_tidy

CELLS_PER_SITE = 9
KNOWN_DAYS = 7
CONTROLLER, OPERATOR, ADMIN = "edge-1", "operator", "admin"
HOST = "127.0.0.1"
READY_WITHIN_S = 600.0  # the first start compiles kernels
END_WITHIN_S = 20.0

Tell = Callable[[str], None]


class LabError(OSError):
    """A process of the lab did not start or ended by itself; its log says why."""


@dataclass(frozen=True, slots=True)
class LabPlan:
    """What is to be started."""

    folder: Path
    n_cells: int
    n_agents: int
    speed: float
    policy: str
    seed: int


@dataclass(frozen=True, slots=True)
class Lab:
    """Files and addresses of a lab."""

    plan: LabPlan
    ports: tuple[int, ...]  # of the agents, then of the controller
    start_us: int  # what all clocks show when the lab begins

    @property
    def agents(self) -> tuple[str, ...]:
        """Names of the agents."""
        return agent_names(self.plan.n_agents)

    def address(self, k: int) -> str:
        """Address of agent k; after the last one, of the controller."""
        return f"{HOST}:{self.ports[k]}"


def prepare(plan: LabPlan, tell: Tell) -> Lab:
    """Write certificates, traces and configuration. Raises FileExistsError where a lab stands already."""
    if (plan.folder / "live.yaml").exists():
        raise FileExistsError(f"{plan.folder} holds a lab already; give another --out, or remove it")
    plan.folder.mkdir(parents=True, exist_ok=True)
    tell(f"lab: inventing a network of {plan.n_cells} cells and certificates in {plan.folder}")
    network = _network(plan)
    known = KNOWN_DAYS * dt.timedelta(days=1) // dt.timedelta(seconds=network.step_s)
    truth = _cut(network, known, network.n_steps)
    write_tidy(_cut(network, 0, known), plan.folder / "history")
    write_tidy(truth, plan.folder / "truth")
    lab = Lab(plan, _free_ports(plan.n_agents + 1), trace_start_us(truth))
    tls = plan.folder / "tls"
    init_ca(tls)
    for name in lab.agents:
        issue(tls, Identity(Role.AGENT, name), [HOST])
    issue(tls, Identity(Role.CONTROLLER, CONTROLLER), [HOST])
    issue(tls, Identity(Role.OPERATOR, OPERATOR))
    issue(tls, Identity(Role.ADMIN, ADMIN))
    (plan.folder / "live.yaml").write_text(_config(lab), encoding="utf-8")
    return lab


def _network(plan: LabPlan) -> Trace:
    """An invented city of at least as many cells, cut to them."""
    sites = -(-plan.n_cells // CELLS_PER_SITE)
    trace = generate(SynthSpec(n_sites=max(sites, plan.n_agents), days=KNOWN_DAYS + 1, seed=plan.seed))
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
        f"  - {{id: {name}, address: '{lab.address(k)}'}}" for k, name in enumerate(lab.agents)
    )
    return f"""schema: quietcell.live/1
controller: {CONTROLLER}
agents:
{agents}
trace: {folder / "history"}      # which cells there are
history: {folder / "history"}    # what the forecaster learns from before it starts
policy: {lab.plan.policy}
ladder: {{stage: act}}           # the lab's cells are simulated
lease_s: 60
guard_every_s: 20
journal: {folder / "journal.db"}
tls: {folder / "tls"}
listen: '{lab.address(lab.plan.n_agents)}'
seed: {lab.plan.seed}
"""


class Process:
    """One process of the lab, with its log."""

    def __init__(self, name: str, arguments: Sequence[str], folder: Path, tell: Tell | None) -> None:
        """``tell`` is told each line, beside the log."""
        self.name, self._arguments, self._tell = name, list(arguments), tell
        self.log = folder / "logs" / f"{name}.log"
        self._process: asyncio.subprocess.Process | None = None
        self._lines: asyncio.Future[None] | None = None
        self._said = asyncio.Event()

    async def __aenter__(self) -> Process:
        self.log.parent.mkdir(exist_ok=True)
        self._process = await asyncio.create_subprocess_exec(
            *[sys.executable, "-c", "from controller.cli import main; main()", *self._arguments],
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is for the lab, which ends them in order
        )
        self._lines = asyncio.ensure_future(self._read())
        return self

    async def __aexit__(self, *_: object) -> None:
        process = self._process
        assert process is not None
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(END_WITHIN_S):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
        if self._lines is not None:
            await self._lines

    async def ready(self) -> None:
        """Wait for its first line. Raises LabError where it ends without one."""
        async with asyncio.timeout(READY_WITHIN_S):
            await self._said.wait()
        if self._process is not None and self._process.returncode is not None:
            raise self.ended()

    async def wait(self) -> object:
        """Wait for it to end."""
        assert self._process is not None
        return await self._process.wait()

    def ended(self) -> LabError:
        """It has ended by itself."""
        return LabError(f"{self.name} has ended; see {self.log}")

    async def _read(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        with self.log.open("wb") as log:
            async for line in self._process.stdout:
                log.write(line)
                log.flush()
                self._said.set()
                if self._tell is not None:
                    self._tell(line.decode(errors="replace").rstrip())
        await self._process.wait()
        self._said.set()


def _processes(lab: Lab, began_s: float, tell: Tell) -> tuple[Process, list[Process], Process]:
    plan, folder = lab.plan, lab.plan.folder
    plant_at = f"unix:{folder.resolve() / 'plant.sock'}"
    clock = ["--speed", str(plan.speed), "--began", str(began_s)]
    shows = dt.datetime.fromtimestamp(lab.start_us / 1e6, dt.UTC)
    plant = Process(
        "plant",
        ["plant", str(folder / "truth"), "--listen", plant_at, "--agents", str(plan.n_agents), *clock],
        folder,
        tell,
    )
    agents = [
        Process(
            name,
            [
                *["agent", "ran", "--sim", "--id", name, "--plant", plant_at, "--listen", lab.address(k)],
                *["--state", str(folder / "state"), "--tls", str(folder / "tls")],
                *[*clock, "--shown", str(lab.start_us / 1e6)],
            ],
            folder,
            None,
        )
        for k, name in enumerate(lab.agents)
    ]
    controller = Process(
        "controller",
        ["run", "--config", str(folder / "live.yaml"), *clock, "--shows", f"{shows:%Y-%m-%dT%H:%M:%S}"],
        folder,
        tell,
    )
    return plant, agents, controller


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
