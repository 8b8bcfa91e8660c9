"""A thousand simulated seconds of a controller, its agents and what goes wrong between them; all from one seed.

.venv/bin/python -m benchmarks.chaos_run SEED [MUTANT]       # prints what happened, to look into a violation
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import Any
from unittest.mock import patch

import grpc
import numpy as np
from quietcell.ran.v1 import ran_pb2, ran_pb2_grpc

import controller.live.run
import hw.agents.running
from benchmarks.chaos_controller import (
    EPOCH_S,
    SAMPLE_S,
    TICK_S,
    InlineWorker,
    Process,
    VirtualJournal,
    make_scene,
)
from benchmarks.chaos_ledger import WAKE_WITHIN_S, Ledger, Violation
from benchmarks.chaos_mutants import MUTANTS, Mutant
from benchmarks.chaos_site import Site, coverage_and_capacity
from benchmarks.chaos_wire import Channel, Network
from benchmarks.virtual_time import run_virtual

LENGTH_S = 1000.0
CONTROL = "/quietcell.ran.v1.RanAgentService/Control"
CHECK_EVERY_S = 2.5
HELLO, COMMANDS = b"\x0a", b"\x1a"  # first byte of a ControlRequest: its field
FAULTS_EVERY_S = 40.0
Fault = Callable[[Any, Any], Awaitable[None]]  # of a simulation and one of its sites


@dataclass(slots=True)
class Result:
    """What came of a run."""

    seed: int
    violations: list[Violation]
    deeper: int  # times that a cell went deeper: a run without any proves nothing
    faults: list[str] = field(default_factory=list)


class Simulation:
    """Two or three sites under one controller, and whoever breaks things."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        n_sites = self.random.choice((2, 2, 3))
        self.sites = [
            Site(
                f"site-{i}",
                coverage_and_capacity(f"site-{i}", 2 * self.random.choice((1, 2))),
                Network(self._chance()),
                self._chance(),
            )
            for i in range(n_sites)
        ]
        starts = np.cumsum([0, *(site.plant.has.n_cells for site in self.sites)])
        by_id = {site.site_id: site for site in self.sites}
        self.ledger = Ledger(
            by_id, {site.site_id: int(s) for site, s in zip(self.sites, starts, strict=False)}
        )
        self.ledger.is_steady = self._is_steady
        self.journal = VirtualJournal(self.ledger, self._chance())
        self.scene = make_scene(self.sites)
        self.processes: list[Process] = []
        self.log: list[str] = []
        self.faults: list[asyncio.Future[None]] = []
        self.heard: dict[str, deque[bytes]] = {site.site_id: deque(maxlen=40) for site in self.sites}
        for site in self.sites:
            site.host.wall_us = EPOCH_S * 1_000_000
            site.plant.changed = self.ledger.changed
            site.network.failed = self._failed
            site.network.written = self._written_to(site)
            site.network.arrived = self._arrived_at(site)

    def _chance(self) -> Random:
        return Random(self.random.random())

    async def run(self) -> Result:
        """All of it."""
        await self._start_agents()
        self._begin_process()
        tasks = [
            asyncio.ensure_future(work) for work in (self._measure(), self._check(), self._break_things())
        ]
        await asyncio.sleep(LENGTH_S)
        for task in (*tasks, *self.faults):
            if task.done():
                task.result()
            task.cancel()
        for process in self.processes:
            await process.kill()
        await asyncio.sleep(200)  # all leases run out
        self._check_all()
        for site in self.sites:
            for place in np.flatnonzero(site.plant.level > site.plant.has.full_service_level):
                self.ledger.broken(
                    f"{site.site_id}/{place}: below full service long after the controller's end"
                )
        return Result(0, self.ledger.violations, self.ledger.deeper, self.log)

    async def _start_agents(self) -> None:
        for site in self.sites:
            await site.start()

    def _begin_process(self) -> None:
        process = Process(self.sites, self.scene, self.journal, self.ledger, self.random.randrange(2**32))
        self.processes.append(process)
        process.start()

    def _is_steady(self, site_id: str, epoch: int) -> bool:
        network = self.ledger.sites[site_id].network
        now_s = asyncio.get_running_loop().time()
        process = next((p for p in self.processes if p.epoch == epoch), None)
        return (
            process is not None
            and process.is_open(site_id)
            and any(
                s.path == CONTROL and s.error is None and now_s - s.opened_s > 2 * WAKE_WITHIN_S
                for s in network.streams
            )
        )

    def _failed(self, error: Exception) -> None:
        self.ledger.broken(f"a handler failed: {error!r}")

    def _written_to(self, site: Site) -> Callable[[str, bytes], None]:
        def written(path: str, data: bytes) -> None:
            if path == CONTROL:
                self.heard[site.site_id].append(data)
                self.ledger.on_wire(site.site_id, ran_pb2.ControlRequest.FromString(data))

        return written

    def _arrived_at(self, site: Site) -> Callable[[str, bytes], None]:
        def arrived(path: str, data: bytes) -> None:
            if path == CONTROL:
                self.ledger.reached(site.site_id, ran_pb2.ControlRequest.FromString(data))

        return arrived

    async def _measure(self) -> None:
        while True:
            await asyncio.sleep(SAMPLE_S)
            for site in self.sites:
                busy = self.random.random() < 0.05
                loads = [
                    self.random.uniform(0.3, 0.95) if busy else self.random.uniform(0, 0.08)
                    for _ in site.plant.has.cell_id
                ]
                site.plant.measure(np.array(loads))

    async def _check(self) -> None:
        while True:
            await asyncio.sleep(CHECK_EVERY_S)
            self._check_all()

    def _check_all(self) -> None:
        self.ledger.check()

    async def _break_things(self) -> None:
        await asyncio.sleep(self.random.uniform(60, 300))
        while True:
            await asyncio.sleep(self.random.expovariate(1 / FAULTS_EVERY_S))
            fault, site = self._next_fault()
            self.log.append(f"{asyncio.get_running_loop().time():8.1f} {fault.__name__} {site.site_id}")
            self.faults.append(asyncio.ensure_future(fault(self, site)))

    def _next_fault(self) -> tuple[Fault, Any]:
        return self.random.choice(FAULTS), self.random.choice(self.sites)


def for_s(sim: Simulation, least_s: float, most_s: float) -> Awaitable[None]:
    """Wait for some time at random."""
    return asyncio.sleep(sim.random.uniform(least_s, most_s))


async def kill_agent(sim: Simulation, site: Site) -> None:
    """The agent dies and comes back."""
    if site.runner is not None:
        site.kill()
        await for_s(sim, 0.1, 60)
        await site.start()


async def kill_controller(sim: Simulation, _site: Site) -> None:
    """The controller dies and comes back."""
    await sim.processes[-1].kill()
    await for_s(sim, 0.1, 40)
    sim._begin_process()


async def second_controller(sim: Simulation, _site: Site) -> None:
    """Another controller takes over while the first one lives on for a while."""
    former = sim.processes[-1]
    sim._begin_process()
    await for_s(sim, 20, 200)
    await former.kill()


async def cut(_sim: Simulation, site: Site) -> None:
    """Streams break."""
    site.network.cut()
    await asyncio.sleep(0)


async def no_network(sim: Simulation, site: Site) -> None:
    """Nothing goes through; streams seem open."""
    site.network.is_up = False
    await for_s(sim, 5, 150)
    site.network.is_up = True


async def bad_network(sim: Simulation, site: Site) -> None:
    """Messages are held up, doubled, reordered and lost."""
    network = site.network
    network.held_share, network.held_s = 0.2, sim.random.uniform(1, 60)
    network.double_share = network.reorder_share = 0.3
    network.lost_share = sim.random.choice((0.0, 0.2))
    await for_s(sim, 20, 200)
    network.held_share = network.double_share = network.reorder_share = network.lost_share = 0.0


async def old_messages(sim: Simulation, site: Site) -> None:
    """What was said before arrives again, on the stream of now."""
    for message in sim.random.sample(list(sim.heard[site.site_id]), min(12, len(sim.heard[site.site_id]))):
        _inject(site, message)
        await asyncio.sleep(sim.random.uniform(0, 2))


def _inject(site: Site, message: bytes) -> None:
    """Have a message arrive on the stream of now."""
    for stream in site.network.streams:
        if stream.path.endswith("/Control") and stream.error is None and message[:1] != HELLO:
            stream.inject(message)


async def agent_restarts_into_old_messages(sim: Simulation, site: Site) -> None:
    """The agent restarts right after a plan, and what was said to its former boot arrives."""
    loop = asyncio.get_running_loop()
    await asyncio.sleep(TICK_S - loop.time() % TICK_S + 1.5)
    if site.runner is not None:
        site.kill()
        await site.start()
        await for_s(sim, 1, 20)
        for message in list(sim.heard[site.site_id])[-8:]:
            _inject(site, message)


async def leader_dies_with_commands_on_their_way(sim: Simulation, site: Site) -> None:
    """Commands of a plan are held up, their leader dies, and they arrive once another one leads."""
    loop = asyncio.get_running_loop()
    await asyncio.sleep(TICK_S - loop.time() % TICK_S - 0.5)
    before = set(sim.heard[site.site_id])
    site.network.is_up = False
    await for_s(sim, 2, 4)
    await sim.processes[-1].kill()
    site.network.is_up = True
    sim._begin_process()
    await for_s(sim, 3, 12)
    for message in [m for m in sim.heard[site.site_id] if m not in before and m[:1] == COMMANDS]:
        _inject(site, message)


async def plant_faults(sim: Simulation, site: Site) -> None:
    """The plant does not answer, does half, or nothing."""
    which = sim.random.choice(("is_silent", "is_partial", "is_stuck"))
    setattr(site.plant, which, True)
    await for_s(sim, 5, 120)
    setattr(site.plant, which, False)


async def plant_reboots(_sim: Simulation, site: Site) -> None:
    """All radios start anew."""
    site.plant.reboot()
    await asyncio.sleep(0)


async def by_hand(sim: Simulation, site: Site) -> None:
    """Somebody takes a cell."""
    place = sim.random.randrange(site.plant.has.n_cells)
    site.plant.switch_by_hand(place, True)
    await for_s(sim, 10, 200)
    site.plant.switch_by_hand(place, False)


async def agent_disk_full(sim: Simulation, site: Site) -> None:
    """The agent cannot save."""
    site.disk.is_full = True
    await for_s(sim, 10, 100)
    site.disk.is_full = False


async def journal_full(sim: Simulation, _site: Site) -> None:
    """The journal cannot be written."""
    sim.journal.is_full = True
    await for_s(sim, 10, 150)
    sim.journal.is_full = False


async def journal_stalls(sim: Simulation, _site: Site) -> None:
    """Each write takes long."""
    sim.journal.stall_s = sim.random.choice((0.5, 3.0, 20.0))
    await for_s(sim, 30, 200)
    sim.journal.stall_s = 0.0


async def clock_steps(sim: Simulation, site: Site) -> None:
    """Wall clocks are set; monotonic ones are not."""
    step_us = sim.random.choice((-3600, -30, 7, 30, 3600)) * 1_000_000
    host = sim.random.choice((site.host, sim.processes[-1].host))
    host.wall_us += step_us
    await for_s(sim, 60, 300)
    host.wall_us -= step_us


async def stop(sim: Simulation, site: Site) -> None:
    """An operator stops the site, and an administrator clears it later."""
    stub = ran_pb2_grpc.RanAgentServiceStub(Channel(Network(sim._chance()), site.handlers))
    latched = site.disk.latched
    try:
        await stub.Stop(ran_pb2.StopRequest(author="operator", reason="chaos"))
    except grpc.aio.AioRpcError:  # killed meanwhile, or its disk is full: not confirmed
        return
    if site.disk.latched == latched:  # it may be cleared again: an earlier stop has an administrator, too
        sim.ledger.broken(f"{site.site_id}: a stop was confirmed and was never on disk")
    await for_s(sim, 30, 200)
    with suppress(grpc.aio.AioRpcError):
        await stub.ClearStop(ran_pb2.ClearStopRequest(author="administrator", reason="chaos"))


FAULTS: tuple[Fault, ...] = (
    kill_agent,
    kill_controller,
    second_controller,
    leader_dies_with_commands_on_their_way,
    leader_dies_with_commands_on_their_way,
    cut,
    no_network,
    bad_network,
    bad_network,
    old_messages,
    agent_restarts_into_old_messages,
    plant_faults,
    plant_reboots,
    by_hand,
    agent_disk_full,
    journal_full,
    journal_stalls,
    clock_steps,
    stop,
)


def in_virtual_time(make: Callable[[], Simulation], mutant: Mutant | None) -> Result:
    """A simulation from begin to end; ``mutant`` takes one safeguard out of our code."""
    for name in ("quietcell", "asyncio"):  # what they say of faults that were injected
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    with ExitStack() as stack:
        stack.enter_context(patch.object(controller.live.run, "Worker", InlineWorker))
        stack.enter_context(patch.object(hw.agents.running, "LONGEST_NAP_S", 5.0))
        # pauses before a journal is tried again: a run follows from its seed alone
        stack.enter_context(patch.object(controller.live.run, "Random", partial(Random, 0)))
        if mutant is not None:
            stack.enter_context(mutant())

        async def main() -> Result:
            return await make().run()

        return run_virtual(main())


def simulate(seed: int, mutant: str | None = None) -> Result:
    """One run; ``mutant`` takes one safeguard out of our code."""
    result = in_virtual_time(lambda: Simulation(seed), None if mutant is None else MUTANTS[mutant])
    result.seed = seed
    return result


if __name__ == "__main__":
    found = simulate(int(sys.argv[1]), *sys.argv[2:])
    print(*found.faults, *(f"{v.at_s:8.1f} VIOLATION {v.text}" for v in found.violations), sep="\n")
    print(f"{found.deeper} times deeper, {len(found.violations)} violations")
