"""A site in the simulation: a host with its clocks, a plant with dead-man timers, and an agent that may be killed.

The agent is the real one (hw/agents), its servicer included; only the socket is replaced (benchmarks/chaos_wire.py).
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

import numpy as np
from quietcell.leader.v1 import leader_pb2_grpc
from quietcell.ran.v1 import ran_pb2_grpc

from benchmarks.chaos_wire import Handler, Network
from hw.agents import radio_server
from hw.agents.durable import Durable
from hw.agents.leader_server import LeaderServicer
from hw.agents.radio_core import RadioAgentCore, RadioLimits
from hw.agents.radio_runner import RadioRunner
from hw.agents.radio_server import RadioServicer
from hw.agents.running import Pace
from hw.agents.serving import Door
from hw.ports import Bools, RadioAbilities, RadioReading, RadioSetting
from hw.world import SYMBOL

DISK_S = 0.01
LIMITS = RadioLimits(longest_term_ms=60_000, longest_plan_ms=360_000)
PACE = Pace(report_every_ms=10_000, read_every_ms=5_000)
LevelChanged = Callable[[str, int, int, int], None]  # site, place, level before, level after


@dataclass(slots=True)
class HostTime:
    """Clocks of one host: a monotonic one that drifts, and a wall clock that may be set."""

    drift: float = 0.0
    origin_us: int = 0
    wall_us: int = 0
    speed: float = 1.0  # what a HostClock has; time is virtual here

    def monotonic_us(self) -> int:
        """[us]"""
        return self.origin_us + int(asyncio.get_running_loop().time() * 1e6 * (1 + self.drift))

    def unix_us(self) -> int:
        """[us]"""
        return self.wall_us + int(asyncio.get_running_loop().time() * 1e6)


class VirtualPlant:
    """Radios of n cells. Their timers run on the host's monotonic clock and fire on time."""

    def __init__(self, site_id: str, has: RadioAbilities, host: HostTime, random: Random) -> None:
        self.site_id, self.has, self._host, self._random = site_id, has, host, random
        self.level = np.full(has.n_cells, has.full_service_level, np.uint8)
        self.local = np.zeros(has.n_cells, np.bool_)
        self.until_us = [0] * has.n_cells
        self.number = [0] * has.n_cells  # of the last order that each cell obeyed
        self.changed: LevelChanged = lambda *_: None
        self.is_silent = self.is_partial = self.is_stuck = False
        self.samples: list[tuple[int, np.ndarray]] = []

    async def abilities(self) -> RadioAbilities:
        """What there is."""
        await self._reach()
        return self.has

    async def apply(self, setting: RadioSetting, number: int) -> Bools:
        """Set levels and timers."""
        cell, level, until_us = setting.cell, setting.level, setting.until_us
        await self._reach()
        done = np.zeros(len(cell), np.bool_)
        for k, (place, to, until) in enumerate(
            zip(cell.tolist(), level.tolist(), until_us.tolist(), strict=True)
        ):
            deeper = to > self.level[place]
            if number < self.number[place] or (setting.extends[k] and to != self.level[place]):
                continue
            if self.local[place] or (deeper and (self.is_stuck or (self.is_partial and k % 2))):
                continue
            is_over = 0 < until <= self._host.monotonic_us()
            self._set(place, self.has.full_service_level if is_over else to, 0 if is_over else until)
            self.number[place] = number
            done[k] = True
        return done

    async def read(self, after_sample: int) -> RadioReading:
        """State, and the samples after one."""
        await self._reach()
        new = self.samples[after_sample:][-60:]
        carried = np.array([loads for _, loads in new], np.float32).reshape(len(new), self.has.n_cells).T
        ends = np.array([end for end, _ in new], np.int64)
        return RadioReading(self.level.copy(), self.local.copy(), len(self.samples), ends, 60_000, carried)

    def measure(self, loads: np.ndarray) -> None:
        """One sample ends now."""
        off = self.has.off_air[self.level]
        self.samples.append((self._host.unix_us(), np.where(off, 0, loads).astype(np.float32)))

    def reboot(self) -> None:
        """All radios start anew, at full service."""
        for place in range(self.has.n_cells):
            self._set(place, self.has.full_service_level, 0)

    def switch_by_hand(self, place: int, is_local: bool) -> None:
        """Somebody at the site takes a cell, or gives it back."""
        self.local[place] = is_local
        if is_local:
            self._set(place, self.has.full_service_level, 0)

    def _set(self, place: int, to: int, until_us: int) -> None:
        before, self.level[place], self.until_us[place] = int(self.level[place]), to, until_us
        if before != to:
            self.changed(self.site_id, place, before, to)
        if until_us:
            left_s = (until_us - self._host.monotonic_us()) / 1e6 / (1 + self._host.drift)
            asyncio.get_running_loop().call_later(max(0.0, left_s) + 1e-6, self._fire, place, until_us)

    def _fire(self, place: int, until_us: int) -> None:
        if self.until_us[place] == until_us:
            self._set(place, self.has.full_service_level, 0)

    async def _reach(self) -> None:
        if self.is_silent:
            raise OSError("silent")
        await asyncio.sleep(self._random.expovariate(1 / 0.005))


@dataclass(slots=True)
class VirtualDisk:
    """The disk of one agent: what was saved is there after a kill; saving takes time and may fail."""

    kept: Durable = field(default_factory=Durable)
    is_full: bool = False
    latched: int = 0  # times that a set stop latch was saved

    async def save(self, durable: Durable) -> None:
        """On disk when this returns. Raises OSError."""
        await asyncio.sleep(DISK_S)
        if self.is_full:
            raise OSError(28, "no space left")
        self.kept = durable
        self.latched += durable.latch.is_set


class AgentHost(ABC):
    """One host and, while it lives, the agent on it. Subclasses start theirs."""

    runner: Any  # None while the agent is dead

    def __init__(self, site_id: str, network: Network, random: Random) -> None:
        self.site_id, self.network, self._random = site_id, network, random
        self.host = HostTime(random.uniform(-2e-4, 2e-4), random.randrange(10**12))
        self.disk = VirtualDisk()
        self.runner = None
        self._handlers: dict[str, Handler] | None = None
        self._tasks: list[asyncio.Future[Any]] = []

    def handlers(self) -> dict[str, Handler] | None:
        """Methods of the agent by path; None while it is dead."""
        return self._handlers

    @abstractmethod
    async def start(self) -> None:
        """Start the agent."""

    def _serve(self, runner: Any, add: Callable[[Any, Any], None], servicer: Any, door: Door) -> None:
        """Let a runner run and be reached."""
        self.runner = runner
        leader = LeaderServicer(runner, door.identity)
        self._handlers = handlers_of(
            (add, servicer), (leader_pb2_grpc.add_LeaderServiceServicer_to_server, leader)
        )
        self._tasks = [
            asyncio.ensure_future(runner.keep_time()),
            asyncio.ensure_future(runner.keep_reading()),
        ]

    def kill(self) -> None:
        """As kill -9 does: nothing of it goes on; plant and disk stay."""
        if self.runner is None:
            return
        for task in (*self._tasks, *self.runner._tasks):
            task.cancel()
        self._handlers, self.runner = None, None
        self.network.cut()


class Site(AgentHost):
    """One host with its radios and, while it lives, their agent."""

    runner: RadioRunner | None

    def __init__(self, site_id: str, has: RadioAbilities, network: Network, random: Random) -> None:
        super().__init__(site_id, network, random)
        self.plant = VirtualPlant(site_id, has, self.host, random)

    async def start(self) -> None:
        """Start the agent as serve_radio does, without its socket."""
        abilities, reading = await radio_server._to_full_service(self.plant, self.host)
        boot_id = self._random.randbytes(16)
        core = RadioAgentCore(self.site_id, boot_id, abilities, LIMITS, self.disk.kept, reading)
        runner = RadioRunner(core, self.plant, self.disk, self.host, PACE)  # type: ignore[arg-type]
        runner.take_samples(reading)
        door = Door("unix:virtual")
        add = ran_pb2_grpc.add_RanAgentServiceServicer_to_server
        self._serve(runner, add, RadioServicer(runner, door), door)


def handlers_of(*services: tuple[Callable[[Any, Any], None], Any]) -> dict[str, Handler]:
    """Methods of an agent by path, as the generated code registers them. ``services``: how to add, and what."""
    found: dict[str, Handler] = {}

    class Server:
        """Takes what is registered."""

        def add_generic_rpc_handlers(self, handlers: Any) -> None:
            """The same methods again, as one handler."""
            assert handlers

        def add_registered_method_handlers(self, service: str, methods: dict[str, Handler]) -> None:
            """Keep them."""
            found.update({f"/{service}/{name}": handler for name, handler in methods.items()})

    for add, servicer in services:
        add(servicer, Server())
    return found


def coverage_and_capacity(site_id: str, n_cells: int) -> RadioAbilities:
    """Cells of a site in pairs of a coverage cell and a capacity cell over it."""
    levels = (
        "full",
        "symbol",
        "rf_channel_32",
        "rf_channel_16",
        "rf_channel_8",
        "carrier_shutdown",
        "deep_dormancy",
    )
    is_capacity = np.arange(n_cells) % 2 == 1
    off = np.array([False] * 5 + [True] * 2)
    return RadioAbilities(
        tuple(f"{site_id}-{i}" for i in range(n_cells)),
        (site_id,) * n_cells,
        ("",) * n_cells,
        is_capacity,
        levels,
        np.array([0, 0, 0, 0, 0, 60_000, 180_000]),
        off,
        ~off[None, :] | is_capacity[:, None],
        np.ones(n_cells, np.bool_),
        SYMBOL,
        is_simulated=True,
    )
