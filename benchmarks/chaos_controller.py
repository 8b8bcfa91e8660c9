"""The controller in the simulation: the real core, run loop and links; journal, sockets and clocks are virtual.

A planner that asks for anything at all stands in for the policies: what must hold may not hang on good plans.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

import grpc
import numpy as np

from benchmarks.chaos_ledger import Ledger
from benchmarks.chaos_site import HostTime, Site
from benchmarks.chaos_wire import Channel
from controller.config import load_profile
from controller.live.batches import Leader
from controller.live.building import facts_of
from controller.live.core import LiveCore, Resumed, Timing
from controller.live.cores import Cores
from controller.live.events import Decided, Latched, Output, Record, Woken
from controller.live.fleet import EnergyUnit, Fleet
from controller.live.ladder import Ladder, Stage
from controller.live.places import Places
from controller.live.run import Pace, Runner
from controller.replay.planning import make_controller
from controller.replay.scene import Clock, Scene, make_tables, network_of
from controller.worlds import load_world
from hw.adapters.dial import Dial
from hw.adapters.link import AgentLink, LinkLimits
from hw.adapters.radio_stream import radio_link
from hw.adapters.wire import Hello
from hw.world import SYMBOL
from policies.policy import Allowance, Decision, Reason, View
from policies.surge import SurgeGuard
from traces import make_cells

WORLD = load_world("3gpp-cat1-set1")
PROFILE = load_profile("balanced")
LOOSE = PROFILE.model_copy(
    update={
        "guards": PROFILE.guards.model_copy(
            update={
                "dwell_s": 0,
                "least_awake_s": 0,
                "max_changes_per_cell_day": 10_000,
                "max_reversals": 10_000,
            }
        )
    }
)
TICK_S, SAMPLE_S, GUARD_S, LEASE_MS = 180, 60, 20, 60_000
EPOCH_S = 1_772_000_100 // TICK_S * TICK_S  # some moment of 2026


class Restless:
    """A planner that asks each cell for a level at random, among those that it may use."""

    needs_forecast = False

    def __init__(self, random: Random, allowed: np.ndarray) -> None:
        self._random, self._allowed = random, allowed

    def plan(self, _view: View) -> Decision:
        """Anything, often deep."""
        choices = [np.flatnonzero(row[SYMBOL:]) + SYMBOL for row in self._allowed]
        level = np.array([self._random.choice(c.tolist()) for c in choices], np.uint8)
        return Decision(level, np.full(len(level), Reason.DEEPEST, np.uint8))


def make_scene(sites: Sequence[Site]) -> Scene:
    """The network of some sites, without traffic."""
    names = [name for site in sites for name in site.plant.has.cell_id]
    where = [site.site_id for site in sites for _ in site.plant.has.cell_id]
    index = {name: i for i, name in enumerate(names)}
    over = {
        index[f"{site.site_id}-{i}"]: [index[f"{site.site_id}-{i - 1}"]]
        for site in sites
        for i in range(1, site.plant.has.n_cells, 2)
    }
    cells = make_cells(names, over, site_id=np.array(where))
    clock = Clock(SAMPLE_S, 1, TICK_S // SAMPLE_S, 0, np.datetime64("1970-01-01T00:00:00", "s"), "UTC")
    return Scene(
        cell_id=cells.cell_id,
        site=cells.site_numbers(),
        network=network_of(cells, WORLD),
        tables=make_tables(WORLD, clock),
        clock=clock,
        path=np.zeros((len(cells), 0), np.float32),
        ul_per_dl=np.full((len(cells), 1), 0.3, np.float32),
        sigma=0.3,
        correlation_samples=5.0,
    )


class VirtualJournal:
    """Records that survive the controller. It may stall, fail, and lose nothing that it has confirmed."""

    keeps: tuple[type, ...] = (Decided, Woken, Latched)

    def __init__(self, ledger: Ledger, random: Random) -> None:
        self.records: list[tuple[int, Record]] = []
        self.highest_epoch = 0
        self.is_full = False
        self.stall_s = 0.0
        self._ledger, self._random = ledger, random

    async def append(self, epoch: int, records: Sequence[Record]) -> None:
        """Durable when this returns. Raises OSError where there is no room."""
        await asyncio.sleep(self.stall_s + self._random.expovariate(1 / 0.01))
        if self.is_full:
            raise OSError(28, "no space left")
        kept = [record for record in records if isinstance(record, self.keeps)]
        self.records.extend((epoch, record) for record in kept)
        self._ledger.written(epoch, kept)

    def confirmed(self) -> dict[int, int]:
        """Highest revision of each cell that was confirmed."""
        highest: dict[int, int] = {}
        for _, record in self.records:
            if isinstance(record, Decided | Woken):
                for cell, revision in zip(record.cell.tolist(), record.revision.tolist(), strict=True):
                    highest[cell] = max(highest.get(cell, 0), revision)
        return highest

    def resumed(self) -> Resumed:
        """What a restart reads."""
        revision: dict[int, int] = {}
        level: dict[int, int] = {}
        is_stopped = False
        for _, record in self.records:
            if isinstance(record, Latched):
                is_stopped = record.is_set
            if not isinstance(record, Decided | Woken):
                continue
            levels = record.level.tolist() if isinstance(record, Decided) else [SYMBOL] * len(record.cell)
            for cell, its, to in zip(record.cell.tolist(), record.revision.tolist(), levels, strict=True):
                if its >= revision.get(cell, 0):
                    revision[cell], level[cell] = its, to
        cells = sorted(revision)
        return Resumed(
            np.array(cells, np.int32),
            np.array([revision[c] for c in cells], np.uint64),
            np.array([level[c] for c in cells], np.uint8),
            self.highest_epoch,
            is_stopped,
        )


class InlineWorker:
    """Where the run loop computes in a thread, the simulation computes at once."""

    def call(self, function: Any, argument: Any) -> asyncio.Future[Any]:
        """The result of ``function``."""
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        future.set_result(function(argument))
        return future


class VirtualDial(Dial):
    """Reaches a site of the simulation."""

    def __init__(self, site: Site) -> None:
        super().__init__(site.site_id, "virtual")
        object.__setattr__(self, "_site", site)

    def open(self) -> grpc.aio.Channel:
        """A channel over the site's network."""
        return Channel(self._site.network, self._site.handlers)  # type: ignore[attr-defined,return-value]


@dataclass(slots=True)
class Role:
    """As what a controller runs; by default alone."""

    controller_id: str = "edge-1"
    epoch: int | None = None  # that was granted; None: the next of its journal
    leads: Callable[[], bool] = lambda: True
    wait_ticks: int = 0  # guard ticks before which nothing new rests
    dial: Callable[[Site], Dial] = VirtualDial
    host: HostTime = field(default_factory=lambda: HostTime(wall_us=EPOCH_S * 1_000_000))


class Process:
    """One run of the controller, from start to kill."""

    def __init__(
        self,
        sites: Sequence[Site],
        scene: Scene,
        journal: VirtualJournal,
        ledger: Ledger,
        seed: int,
        role: Role | None = None,
    ) -> None:
        self.random = Random(seed)
        self.role = role or Role()
        self.journal, self._ledger, self.host = journal, ledger, self.role.host
        resumed = journal.resumed()
        ledger.check_resumed(resumed.cell, resumed.revision, journal.confirmed())
        self.epoch = journal.highest_epoch = self.role.epoch or resumed.highest_epoch + 1
        self._sites = sites
        self.radio = _core(sites, scene, resumed, self.epoch, self.random, self.role)
        self.core = self._whole(resumed.is_stopped)
        self._feed = self.core.feed
        self.core.feed = self._fed  # type: ignore[method-assign]
        self.runner = Runner(
            self.core,
            self._open_links,
            self,
            self.host,  # type: ignore[arg-type]
            Pace(TICK_S, GUARD_S),
            lambda _what, **_about: None,
            self._set_ready,
            self.role.leads,
        )
        self._task: asyncio.Future[Any] | None = None

    async def append(self, records: Sequence[Record]) -> None:
        """To the journal, as this leader's."""
        await self.journal.append(self.epoch, records)

    def start(self) -> None:
        """Run, until killed."""
        self._task = asyncio.ensure_future(self.runner.run(asyncio.Event()))

    def is_open(self, site_id: str) -> bool:
        """Whether the stream to a site is open, and for long enough that what was decided since is on it."""
        return self.runner.links[site_id].is_open

    async def kill(self) -> None:
        """As kill -9: no graceful end, nothing more is sent or written."""
        self._ledger.forget_wakes(self.epoch)
        task, self._task = self._task, None
        if task is None:
            return
        if task.done():
            self._ledger.broken(f"the controller of epoch {self.epoch} has ended by itself: {task}")
        self.runner._wake_all = _nothing  # type: ignore[method-assign]
        self.runner.outbox.close = _closed  # type: ignore[method-assign,assignment]
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    def _whole(self, _is_stopped: bool) -> LiveCore | Cores:
        """What the run loop feeds."""
        return self.radio

    def _fed(self, event: Any) -> Output:
        output = self._feed(event)
        self._ledger.fed(self.radio, output)
        return output

    async def _set_ready(self, ready: bool) -> None:
        self.is_ready = ready

    def _open_links(self, on_message: Any) -> list[AgentLink]:
        limits = LinkLimits(silent_s=45.0)
        role = self.role
        hello = Hello(self.epoch, role.controller_id, PACE_MS, leads_by_grants=role.epoch is not None)
        return [
            radio_link(role.dial(site), hello, on_message, self._chance(), limits=limits, leads=role.leads)
            for site in self._sites
        ]

    def _chance(self) -> Random:
        return Random(self.random.random())


PACE_MS = 10_000


async def _nothing() -> None:
    await asyncio.sleep(0)


async def _closed(within_s: float) -> bool:
    await asyncio.sleep(0)
    return within_s > 0


def _acting(scene: Scene) -> Ladder:
    """All cells may act."""
    n = len(scene.cell_id)
    places = Places(scene.cell_id, scene.cell_id, {}, WORLD.world.level_names)
    return Ladder(places, np.full(n, Stage.ACT, np.uint8), np.zeros(n, np.bool_), TICK_S)


def _core(
    sites: Sequence[Site], scene: Scene, resumed: Resumed, epoch: int, random: Random, role: Role
) -> LiveCore:
    planner = Restless(random, scene.network.allowed)
    controller = make_controller(planner, scene, LOOSE, Allowance(0.001, 0.01))
    return LiveCore(
        Fleet(
            [site.site_id for site in sites],
            scene.cell_id,
            np.array([""] * len(scene.cell_id)),
            scene.network.allowed,
            scene.tables.asleep,
            WORLD.world.level_names,
            EnergyUnit(WORLD.world.energy_unit, WORLD.world.watt_per_unit),
        ),
        controller,
        SurgeGuard(scene.network, scene.tables, LOOSE, sample_s=SAMPLE_S),
        ladder=_acting(scene),
        leader=Leader(role.controller_id, epoch, LEASE_MS),
        timing=Timing(
            SAMPLE_S, TICK_S, GUARD_S, np.zeros(len(scene.tables.asleep), np.int64), role.wait_ticks
        ),
        resumed=resumed,
        constrain=lambda _text: None,
        facts=facts_of(scene, scene.cell_id, 0),
    )
