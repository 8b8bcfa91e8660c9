"""One run of benchmarks/split_brain.py: two instances, their agents, and whoever breaks things; all from one seed.

.venv/bin/python -m benchmarks.split_brain_run SEED       # prints what happened
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any
from unittest.mock import patch

import numpy as np
from quietcell.ran.v1 import ran_pb2

import controller.live.run
import hw.agents.running
from benchmarks import chaos_controller, chaos_ledger, chaos_site
from benchmarks.chaos_controller import (
    EPOCH_S,
    GUARD_S,
    SAMPLE_S,
    InlineWorker,
    Process,
    Role,
    VirtualJournal,
    make_scene,
)
from benchmarks.chaos_ledger import Ledger
from benchmarks.chaos_run import CONTROL
from benchmarks.chaos_site import HostTime, Site, coverage_and_capacity
from benchmarks.chaos_wire import Channel, Network
from benchmarks.split_brain_faults import FAULTS, LOSES_LEADER
from benchmarks.split_brain_votes import Votes
from benchmarks.virtual_time import run_virtual
from controller.live.election import Election
from controller.live.events import Record
from controller.live.succession import Office
from controller.live.term import Term
from hw.adapters.dial import Dial
from hw.adapters.leader import LeaderClient
from hw.adapters.wire import Candidate, Leadership
from hw.world import SYMBOL

LENGTH_S, FAULTS_EVERY_S, CHECK_EVERY_S, TERM_MS = 1000.0, 80.0, 2.5, 30_000
LEASES_S = (300, 60, 60)  # by seed; a long one lasts beyond the first plan of the next leader


@dataclass(slots=True)
class Outcome:
    """What came of a run."""

    seed: int
    violations: list[str]
    deeper: int
    changes: int
    take_over_s: list[float]
    log: list[str] = field(default_factory=list)


class FrozenJournal(VirtualJournal):
    """A journal whose process may be frozen right after its write."""

    frozen: asyncio.Event  # set while it runs

    async def append(self, epoch: int, records: Sequence[Record]) -> None:
        """As ever, but back only once the process runs."""
        await super().append(epoch, records)
        await self.frozen.wait()


class _Dial(Dial):
    """Reaches a site over the network of one instance."""

    def __init__(self, site: Site, network: Network) -> None:
        super().__init__(site.site_id, "virtual")
        object.__setattr__(self, "_way", (network, site.handlers))

    def open(self) -> Any:
        """A channel."""
        return Channel(*self._way)  # type: ignore[attr-defined]


class _Voter(LeaderClient):
    """An agent as it is asked by an instance that may be frozen before and after each call."""

    def __init__(self, dial: Dial, frozen: asyncio.Event, votes: Votes) -> None:
        super().__init__(dial)
        self._frozen, self._votes = frozen, votes

    async def grant(self, who: Candidate, term_ms: int, deadline_s: float) -> Leadership:
        """Ask for leadership."""
        time_s = asyncio.get_running_loop().time
        asked_s = time_s()
        answer = await super().grant(who, term_ms, deadline_s)
        if answer.is_granted:
            self._votes.granted(self.agent_id, who, asked_s, time_s())
        await self._frozen.wait()
        return answer

    async def give_up(self, who: Candidate, deadline_s: float) -> None:
        """Need it no more."""
        self._votes.gives_up(who)
        await super().give_up(who, deadline_s)


class Instance:
    """One of two controllers, on a host of its own."""

    def __init__(self, sim: Simulation, name: str) -> None:
        self.sim, self.name, random = sim, name, sim.random
        self.host = HostTime(random.uniform(-2e-4, 2e-4), random.randrange(10**12), EPOCH_S * 1_000_000)
        self.networks = {site.site_id: Network(sim.chance()) for site in sim.sites}
        self.frozen = asyncio.Event()
        self.frozen.set()
        self.journal = FrozenJournal(sim.ledger, sim.chance())
        self.journal.frozen = self.frozen
        self.process: Process | None = None
        self.election: Election | None = None
        self._task: asyncio.Future[None] | None = None
        for site in sim.sites:
            network = self.networks[site.site_id]
            network.written, network.arrived = sim.written_to(site), sim.arrived_at(site)
            network.failed = sim.failed

    def start(self) -> None:
        """From its journal on, until killed."""
        self._task = asyncio.ensure_future(self._in_turn())

    async def kill(self) -> None:
        """As kill -9."""
        task, self._task = self._task, None
        if task is not None and task.done():
            self.sim.ledger.broken(f"{self.name} has ended by itself: {task}")
        elif task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        await self._end_process()
        for network in self.networks.values():
            network.cut()

    def leads(self) -> bool:
        """Whether it takes itself for the leader."""
        return self.process is not None and self.election is not None and self.election.leads()

    def dial(self, site: Site) -> Dial:
        """The way to a site."""
        return _Dial(site, self.networks[site.site_id])

    async def _in_turn(self) -> None:
        voters = [_Voter(self.dial(site), self.frozen, self.sim.votes) for site in self.sim.sites]
        names = [site.site_id for site in self.sim.sites]
        try:
            while True:
                term = Term(names, self.name, TERM_MS, self.journal.highest_epoch)
                self.election = Election(voters, term, self.host, self.sim.chance(), 1.0)
                epoch = await self.election.win(lambda _cause: None)
                self.sim.leader_is(self, epoch)
                role = Role(
                    self.name,
                    epoch,
                    self.election.leads,
                    self.sim.lease_s // GUARD_S + 1,
                    self.dial,
                    self.host,
                )
                seed = self.sim.random.randrange(2**32)
                self.process = Process(
                    self.sim.sites, self.sim.scene, self.journal, self.sim.ledger, seed, role
                )
                self.sim.takes_over(self.process)
                self.process.start()
                ending = asyncio.Event()
                office = Office(self.election, lambda _what, **_about: None)
                await asyncio.gather(office.keep(), office.govern(self.process.runner, ending))
                await self._end_process()
        finally:
            await asyncio.gather(*(voter.__aexit__(None, None, None) for voter in voters))

    async def _end_process(self) -> None:
        process, self.process = self.process, None
        if process is not None:
            await process.kill()


class Simulation:
    """Two instances over some sites."""

    def __init__(self, seed: int, lease_s: int) -> None:
        self.random, self.lease_s = Random(seed), lease_s
        self.sites = [
            Site(
                f"site-{i}",
                coverage_and_capacity(f"site-{i}", 4),
                Network(self.chance()),
                self.chance(),
            )
            for i in range(self.random.choice((3, 3, 4, 5)))
        ]
        starts = np.cumsum([0, *(site.plant.has.n_cells for site in self.sites)])
        by_id = {site.site_id: site for site in self.sites}
        self.ledger = Ledger(by_id, {s.site_id: int(k) for s, k in zip(self.sites, starts, strict=False)})
        self.votes = Votes(list(by_id), TERM_MS / 1000, lease_s, self.ledger.broken)
        self.scene = make_scene(self.sites)
        self.log: list[str] = []
        self.changes, self.take_over_s = 0, list[float]()
        self.known_to: dict[str, set[tuple[int, int]]] = {}  # cells and revisions, by leader
        self.lost_s: float | None = None  # when the last leader was lost, with nothing else broken
        self.faults: set[asyncio.Future[None]] = set()
        for site in self.sites:
            site.host.wall_us = EPOCH_S * 1_000_000
            site.plant.changed = self._changed
        self.instances = [Instance(self, name) for name in ("edge-1", "edge-2")]

    def chance(self) -> Random:
        """Chance of its own for a part."""
        return Random(self.random.random())

    def now_s(self) -> float:
        """Virtual time."""
        return asyncio.get_running_loop().time()

    def note(self, text: str) -> None:
        """For who looks into a run."""
        self.log.append(f"{self.now_s():8.1f} {text}")

    def leader_is(self, instance: Instance, epoch: int) -> None:
        """An instance has a majority."""
        self.note(f"{instance.name} leads")
        self.votes.won(instance.name, epoch, self.now_s())
        self.changes += 1
        if self.lost_s is not None:
            self.take_over_s.append(self.now_s() - self.lost_s)
            self.lost_s = None

    def takes_over(self, process: Process) -> None:
        """A leader has read its journal, and counts on the commands in it."""
        leader, resumed = f"{process.role.controller_id}/{process.epoch}", process.journal.resumed()
        self.known_to[leader] = set(zip(resumed.cell.tolist(), resumed.revision.tolist(), strict=True))

    def failed(self, error: Exception) -> None:
        """A handler has failed."""
        self.ledger.broken(f"a handler failed: {error!r}")

    def written_to(self, site: Site) -> Callable[[str, bytes], None]:
        """Told of what controllers write to a site."""

        def written(path: str, data: bytes) -> None:
            if path == CONTROL:
                request = ran_pb2.ControlRequest.FromString(data)
                self.ledger.on_wire(site.site_id, request)
                self._count_votes(request)

        return written

    def _count_votes(self, request: ran_pb2.ControlRequest) -> None:
        kind = request.WhichOneof("message")
        if kind in ("commands", "renewal"):
            origin = getattr(request, kind).origin
            is_sleep = kind == "commands" and max(request.commands.level) > SYMBOL
            self.votes.sent(origin.controller_id, origin.leader_epoch, self.now_s(), is_sleep=is_sleep)

    def arrived_at(self, site: Site) -> Callable[[str, bytes], None]:
        """Told of what a site's agent reads."""

        def arrived(path: str, data: bytes) -> None:
            request = ran_pb2.ControlRequest.FromString(data) if path == CONTROL else None
            if request is not None and request.WhichOneof("message") != "hello":
                self.ledger.reached(site.site_id, request)

        return arrived

    def _changed(self, site_id: str, place: int, before: int, after: int) -> None:
        self.ledger.changed(site_id, place, before, after)
        if after > before and after > SYMBOL:
            self.check_leaders()

    def check_leaders(self) -> None:
        """One instance leads; all cells asleep are so by one leader, or by commands it knows from its journal."""
        lead = [one for one in self.instances if one.leads()]
        if len(lead) > 1:
            epochs = sorted(one.election.term.epoch for one in lead if one.election is not None)
            self.ledger._say_once(("leaders", epochs[-1]), f"epochs {epochs} both lead")
        asleep: list[tuple[int, str, str, tuple[int, int]]] = []  # epoch, leader, which cell, its command
        for site in self.sites:
            for place in np.flatnonzero(site.plant.level > SYMBOL).tolist():
                key = site.site_id, place
                if key not in self.ledger.in_force:
                    continue
                boot_id, revision = self.ledger.in_force[key]
                sent = [c for c in self.ledger.sent.get((*key, revision), []) if c.boot_id == boot_id]
                last = max(sent, key=lambda command: command.epoch)
                which = self.ledger.first_cell[key[0]] + place, revision
                leader = f"{last.controller_id}/{last.epoch}"
                asleep.append((last.epoch, leader, f"{key[0]}/{key[1]}", which))
        _, newest, cell, _ = max(asleep, default=(0, "", "", (0, 0)))
        for _, leader, other, which in asleep:
            if leader != newest and which not in self.known_to.get(newest, set()):
                text = f"{cell} is asleep by {newest} and {other} by {leader}"
                self.ledger._say_once((newest, int(leader.rpartition("/")[2])), text)

    async def run(self) -> Outcome:
        """All of it."""
        for site in self.sites:
            await site.start()
        for instance in self.instances:
            instance.start()
        tasks = [asyncio.ensure_future(work) for work in (self._measure(), self._check(), self._break())]
        await asyncio.sleep(LENGTH_S)
        for task in (*tasks, *self.faults):
            if task.done():
                task.result()
            task.cancel()
        for instance in self.instances:
            instance.frozen.set()
            await instance.kill()
        await asyncio.sleep(140 + self.lease_s)  # all leases run out
        for site in self.sites:
            for place in np.flatnonzero(site.plant.level > site.plant.has.full_service_level):
                self.ledger.broken(f"{site.site_id}/{place}: below full service long after the end")
        broken = [f"{v.at_s:.1f} s: {v.text}" for v in self.ledger.violations]
        return Outcome(0, broken, self.ledger.deeper, self.changes, self.take_over_s, self.log)

    async def _measure(self) -> None:
        while True:
            await asyncio.sleep(SAMPLE_S)
            for site in self.sites:
                site.plant.measure(np.array([self.random.uniform(0, 0.08) for _ in site.plant.has.cell_id]))

    async def _check(self) -> None:
        while True:
            await asyncio.sleep(CHECK_EVERY_S)
            self.ledger.check()
            self.check_leaders()

    async def _break(self) -> None:
        await asyncio.sleep(self.random.uniform(60, 200))
        while True:
            await asyncio.sleep(self.random.expovariate(1 / FAULTS_EVERY_S))
            fault = self.random.choice(FAULTS)
            leader = next((one for one in self.instances if one.leads()), self.instances[0])
            instance = leader if self.random.random() < 0.7 else self.random.choice(self.instances)
            self.note(f"{fault.__name__} {instance.name}")
            whole = not self.faults and instance is leader and leader.leads()
            self.lost_s = self.now_s() if whole and fault in LOSES_LEADER else None
            task = asyncio.ensure_future(fault(self, instance))
            self.faults.add(task)
            task.add_done_callback(self.faults.discard)

    async def last(self, least_s: float, most_s: float) -> None:
        """Let a fault last."""
        await asyncio.sleep(self.random.uniform(least_s, most_s))


def simulate(seed: int) -> Outcome:
    """One run."""
    for name in ("quietcell", "asyncio"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    lease_s = LEASES_S[seed % len(LEASES_S)]
    limits = replace(chaos_site.LIMITS, longest_term_ms=lease_s * 1000)
    with (
        patch.object(chaos_site, "LIMITS", limits),
        patch.object(chaos_ledger, "LIMITS", limits),
        patch.object(chaos_controller, "LEASE_MS", lease_s * 1000),
        patch.object(controller.live.run, "Worker", InlineWorker),
        patch.object(hw.agents.running, "LONGEST_NAP_S", 5.0),
    ):

        async def main() -> Outcome:
            return await Simulation(seed, lease_s).run()

        outcome = run_virtual(main())
        outcome.seed = seed
        return outcome


if __name__ == "__main__":
    found = simulate(int(sys.argv[1]))
    print(*found.log, *(f"VIOLATION {text}" for text in found.violations), sep="\n")
    print(f"{found.deeper} times deeper, {found.changes} changes of leader, take-over {found.take_over_s}")
