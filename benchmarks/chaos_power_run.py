"""Some simulated time of a controller with site power, radio and power agents, and what goes wrong; all from one seed.

.venv/bin/python -m benchmarks.chaos_power_run SEED [MUTANT]       # prints what happened, to look into a violation
"""

from __future__ import annotations

import asyncio
import sys
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import grpc
from quietcell.power.v1 import power_pb2, power_pb2_grpc

from benchmarks import chaos_run
from benchmarks.chaos_controller import EPOCH_S
from benchmarks.chaos_ledger import WAKE_WITHIN_S, Violation
from benchmarks.chaos_power_controller import PowerJournal, PowerOf, PowerProcess
from benchmarks.chaos_power_ledger import SiteLedger
from benchmarks.chaos_power_mutants import MUTANTS
from benchmarks.chaos_power_site import SAMPLE_S, PowerSite, agent_reserve_wh, floors_wh
from benchmarks.chaos_run import Fault, Result, Simulation, in_virtual_time
from benchmarks.chaos_wire import Channel, Network
from hw.sim_plant.faults import Fault as PlantFault

CONTROL = "/quietcell.power.v1.PowerAgentService/Control"
RECKLESS_SHARE = 0.25  # of the runs: of a controller without a guard


@dataclass(slots=True)
class PowerResult(Result):
    """What came of a run with site power."""

    at_sites: list[Violation] = field(default_factory=list)  # those of the violations
    setpoints: int = 0
    discharged_wh: float = 0.0


class PowerSimulation(Simulation):
    """Two or three sites of radios, each with a battery behind an agent of its own."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.has_program = self.random.random() < 0.5
        self.is_reckless = self.random.random() < RECKLESS_SHARE
        self.power = [PowerSite(s.site_id, Network(self._chance()), self._chance()) for s in self.sites]
        self.site_ledger = SiteLedger(
            {site.site_id: site for site in self.power},
            self.has_program,
            self.is_reckless,
        )
        self.site_ledger.is_steady = self._is_steady_power
        self.journal = PowerJournal(self.ledger, self._chance())
        self.journal.sites = self.site_ledger
        for site in self.power:
            self.heard[site.site_id] = deque(maxlen=40)
            site.network.failed = self._failed
            site.network.written = self._power_written(site)
            site.network.arrived = self._power_arrived(site)

    async def _start_agents(self) -> None:
        await super()._start_agents()
        for site in self.power:
            kept_wh = (
                agent_reserve_wh() if self.is_reckless else floors_wh(self.has_program)[self.has_program]
            )
            spare_wh = self.random.uniform(0, self.random.choice((200, 800)))
            site.build(EPOCH_S * 1_000_000, kept_wh + spare_wh)
            site.plant.set_to = self._set_to(site)
            await site.start()

    def _set_to(self, site: PowerSite) -> Callable[[float, float], None]:
        return lambda battery_w, limit_w: self.site_ledger.set_to(site.site_id, battery_w, limit_w)

    def _begin_process(self) -> None:
        power = PowerOf(self.power, self.site_ledger, self.has_program, self.is_reckless)
        seed = self.random.randrange(2**32)
        process = PowerProcess(power, self.sites, self.scene, self.journal, self.ledger, seed)
        self.processes.append(process)
        process.start()

    def _is_steady_power(self, agent_id: str, epoch: int) -> bool:
        network = self.site_ledger.sites[agent_id].network
        now_s = asyncio.get_running_loop().time()
        process = next((p for p in self.processes if p.epoch == epoch), None)
        since_s = [s.opened_s for s in network.streams if s.path == CONTROL and s.error is None]
        return (
            process is not None
            and process.is_open(agent_id)
            and any(now_s - at_s > 2 * WAKE_WITHIN_S for at_s in since_s)
        )

    def _power_written(self, site: PowerSite) -> Callable[[str, bytes], None]:
        def written(path: str, data: bytes) -> None:
            if path == CONTROL:
                self.heard[site.site_id].append(data)
                self.site_ledger.on_wire(site.site_id, power_pb2.ControlRequest.FromString(data))

        return written

    def _power_arrived(self, site: PowerSite) -> Callable[[str, bytes], None]:
        def arrived(path: str, data: bytes) -> None:
            if path == CONTROL:
                self.site_ledger.reached(site.site_id, power_pb2.ControlRequest.FromString(data))

        return arrived

    async def _load(self) -> None:
        while True:
            await asyncio.sleep(SAMPLE_S)
            for site in self.power:
                site.plant.set_load(self.random.uniform(0.1, 1.0))

    def _next_fault(self) -> tuple[Fault, Any]:
        chance = self.random.random()
        if chance < 0.4:
            return super()._next_fault()
        of = OF_SITES if chance < 0.7 else OF_ALL
        return self.random.choice(of), self.random.choice(self.power)

    def _check_all(self) -> None:
        super()._check_all()
        self.site_ledger.check()

    async def run(self) -> PowerResult:
        """All of it."""
        loads = asyncio.ensure_future(self._load())
        result = await super().run()
        loads.cancel()
        for site in self.power:
            if not site.plant.is_safe:
                self.site_ledger.broken(f"{site.site_id}: under a setpoint long after the controller's end")
        ledger = self.site_ledger
        return PowerResult(
            0,
            result.violations + ledger.violations,
            result.deeper,
            result.faults,
            ledger.violations,
            ledger.setpoints,
            ledger.discharged_wh,
        )


async def plant_faults(sim: PowerSimulation, site: PowerSite) -> None:
    """The plant does not answer, or its relays stand still."""
    if sim.random.random() < 0.5:
        site.plant.is_silent = True
        await chaos_run.for_s(sim, 5, 120)
        site.plant.is_silent = False
        return
    await _with_fault(sim, site, PlantFault.STUCK_RELAY)


async def outage(sim: PowerSimulation, site: PowerSite) -> None:
    """Mains is gone for a while."""
    await _with_fault(sim, site, PlantFault.OUTAGE)


async def wrong_sensors(sim: PowerSimulation, site: PowerSite) -> None:
    """What is measured stands still, or is in another unit."""
    frozen = not sim.is_reckless and sim.random.random() < 0.5
    await _with_fault(sim, site, PlantFault.FROZEN_COUNTERS if frozen else PlantFault.WRONG_UNIT)


async def by_hand(sim: PowerSimulation, site: PowerSite) -> None:
    """Somebody takes the site."""
    await _with_fault(sim, site, PlantFault.LOCAL_CONTROL)


async def _with_fault(sim: PowerSimulation, site: PowerSite, fault: PlantFault) -> None:
    site.plant.inject(fault, heals=False)
    await chaos_run.for_s(sim, 5, 200)
    site.plant.inject(fault, heals=True)


async def mains_and_link_go_together(sim: PowerSimulation, site: PowerSite) -> None:
    """The controller is lost at the same moment as the mains."""
    site.network.is_up = False
    await _with_fault(sim, site, PlantFault.OUTAGE)
    await chaos_run.for_s(sim, 5, 60)
    site.network.is_up = True


async def stop(sim: PowerSimulation, site: PowerSite) -> None:
    """An operator stops the site, and an administrator clears it later."""
    stub = power_pb2_grpc.PowerAgentServiceStub(Channel(Network(sim._chance()), site.handlers))
    latched = site.disk.latched
    try:
        await stub.Stop(power_pb2.StopRequest(author="operator", reason="chaos"))
    except grpc.aio.AioRpcError:  # killed meanwhile, or its disk is full: not confirmed
        return
    if site.disk.latched == latched:  # it may be cleared again: an earlier stop has an administrator, too
        sim.site_ledger.broken(f"{site.site_id}: a stop was confirmed and was never on disk")
    await chaos_run.for_s(sim, 30, 200)
    with suppress(grpc.aio.AioRpcError):
        await stub.ClearStop(power_pb2.ClearStopRequest(author="administrator", reason="chaos"))


OF_SITES: tuple[Fault, ...] = (
    plant_faults,
    outage,
    mains_and_link_go_together,
    wrong_sensors,
    by_hand,
    stop,
)


OF_ALL: tuple[Fault, ...] = (  # agents of both kinds
    chaos_run.kill_agent,
    chaos_run.leader_dies_with_commands_on_their_way,
    chaos_run.cut,
    chaos_run.no_network,
    chaos_run.bad_network,
    chaos_run.old_messages,
    chaos_run.agent_restarts_into_old_messages,
    chaos_run.agent_disk_full,
    chaos_run.clock_steps,
)


def simulate(seed: int, mutant: str | None = None) -> PowerResult:
    """One run; ``mutant`` takes one safeguard out of our code."""
    result = in_virtual_time(lambda: PowerSimulation(seed), None if mutant is None else MUTANTS[mutant])
    result.seed = seed
    assert isinstance(result, PowerResult)
    return result


if __name__ == "__main__":
    found = simulate(int(sys.argv[1]), *sys.argv[2:])
    print(*found.faults, *(f"{v.at_s:8.1f} VIOLATION {v.text}" for v in found.violations), sep="\n")
    print(
        f"{found.setpoints} setpoints, {found.discharged_wh:.0f} Wh out, {len(found.violations)} violations"
    )
