"""The controller of benchmarks/chaos_controller.py with site power beside the radios.

What a plan wants of a battery is anything at all; the guard behind it is the real one. A reckless controller has none,
and does not know what its agents keep: then only they are left.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

import numpy as np

from benchmarks.chaos_controller import (
    GUARD_S,
    LEASE_MS,
    PACE_MS,
    TICK_S,
    Process,
    VirtualDial,
    VirtualJournal,
)
from benchmarks.chaos_power_ledger import SiteLedger
from benchmarks.chaos_power_site import RATED_W, PowerSite, inputs_of
from controller.live.batches import Leader
from controller.live.cores import Cores
from controller.live.events import Decided, Latched, Output, Record, Woken
from controller.live.power.core import PowerCore, PowerTiming, resumed_sites
from controller.live.power.events import ChargedSafely, PowerDecided
from controller.live.power.fleet import Float64, PowerAgent, PowerFleet
from controller.live.power.inputs import Inputs
from controller.live.power.planner import Held, LivePlanner
from controller.live.power.telemetry import Telemetry
from hw.adapters.link import AgentLink, LinkLimits
from hw.adapters.power import PowerInventory
from hw.adapters.power_stream import power_link
from hw.adapters.wire import Hello
from policies.site.follow import Setpoint
from policies.site.guard import GuardReason, Verdict


class RestlessPlanner(LivePlanner):
    """Wants anything of each battery, most often all that it gives."""

    def __init__(self, inputs: Inputs, random: Random, *, is_reckless: bool) -> None:
        super().__init__(inputs)
        self._random, self._is_reckless = random, is_reckless
        self._wishes = [[20_000.0, np.inf] for _ in inputs.sites]  # battery power and import limit

    def plan(self, _step: int, _telemetry: Telemetry, _held: Held) -> Setpoint:
        """Anything; a wish lasts for some plans, so that a battery may run down."""
        choose = self._random
        for wish in self._wishes:
            if choose.random() < 0.4:
                wish[0] = choose.choice((20_000.0, 20_000.0, 20_000.0, choose.uniform(-5000, 5000), np.nan))
                wish[1] = choose.choice((np.inf, choose.uniform(0, 6000), choose.uniform(0, 1000)))
        return Setpoint(*np.array(self._wishes).T.copy())

    def setpoints(self, wanted: Setpoint, telemetry: Telemetry, held: Held) -> Verdict:
        """As the guard lets it pass, or just as it is."""
        if not self._is_reckless:
            return super().setpoints(wanted, telemetry, held)
        battery_w = np.full(self.inputs.n_sites, RATED_W)
        return self.guarded(battery_w, np.full(self.inputs.n_sites, 1e5), telemetry, held)

    def guarded(self, battery_w: Float64, limit_w: Float64, telemetry: Telemetry, held: Held) -> Verdict:
        """The guard's word, where there is one."""
        if not self._is_reckless:
            return super().guarded(battery_w, limit_w, telemetry, held)
        reason = np.full(self.inputs.n_sites, GuardReason.AS_WANTED, np.uint8)
        return Verdict(battery_w.copy(), limit_w.copy(), reason)


class HeedlessFleet(PowerFleet):
    """Power agents whose word on their reserve is not heard."""

    def join(self, agent: PowerAgent, inventory: PowerInventory) -> list[str]:
        """Take in an inventory."""
        problems = super().join(agent, inventory)
        self.reserve_wh[agent.cells] = 0.0
        return problems


class PowerJournal(VirtualJournal):
    """A journal that keeps what was decided for sites too."""

    keeps = (Decided, Woken, Latched, PowerDecided, ChargedSafely)
    sites: SiteLedger

    async def append(self, epoch: int, records: Sequence[Record]) -> None:
        """Durable when this returns. Raises OSError where there is no room."""
        await super().append(epoch, records)
        self.sites.written(epoch, records)

    def site_revisions(self) -> dict[int, int]:
        """Highest revision of each site that was confirmed."""
        highest: dict[int, int] = {}
        for _, record in self.records:
            if isinstance(record, PowerDecided | ChargedSafely):
                for site, revision in zip(record.site.tolist(), record.revision.tolist(), strict=True):
                    highest[site] = max(highest.get(site, 0), revision)
        return highest


@dataclass(frozen=True, slots=True)
class PowerOf:
    """The site power of a simulation."""

    sites: Sequence[PowerSite]
    ledger: SiteLedger
    has_program: bool
    is_reckless: bool


class PowerProcess(Process):
    """One run of the controller over radios and sites."""

    def __init__(self, power: PowerOf, *given: Any) -> None:
        """``given``: what a process of radios takes."""
        self.power = power
        super().__init__(*given)

    def _whole(self, is_stopped: bool) -> Cores:
        assert isinstance(self.journal, PowerJournal)
        names = tuple(site.place_id for site in self.power.sites)
        reckless = self.power.is_reckless
        inputs = inputs_of(names, TICK_S, has_program=self.power.has_program)
        fleet = (HeedlessFleet if reckless else PowerFleet)([s.site_id for s in self.power.sites], names)
        revisions = self.journal.site_revisions()
        n_cells = [site.plant.has.n_cells for site in self._sites]
        sites = PowerCore(
            fleet,
            RestlessPlanner(inputs, self.random, is_reckless=reckless),
            ladder=self.radio.ladder,
            site_of=np.repeat(np.arange(len(n_cells)), n_cells),
            leader=Leader(self.role.controller_id, self.epoch, LEASE_MS),
            timing=PowerTiming(TICK_S, GUARD_S, LEASE_MS // 1000, self.role.wait_ticks),
            resumed=resumed_sites(revisions),
            is_stopped=is_stopped,
        )
        self.power.ledger.check_resumed(sites.leases.revision, revisions)
        self.sites = sites
        return Cores(self.radio, sites)

    async def kill(self) -> None:
        """As kill -9."""
        self.power.ledger.forget_safes(self.epoch)
        await super().kill()

    def _fed(self, event: Any) -> Output:
        output = super()._fed(event)
        self.power.ledger.fed(self.sites, output)
        return output

    def _open_links(self, on_message: Any) -> list[AgentLink]:
        hello = Hello(self.epoch, self.role.controller_id, PACE_MS)
        limits = LinkLimits(silent_s=45.0)
        return super()._open_links(on_message) + [
            power_link(VirtualDial(site), hello, on_message, Random(self.random.random()), limits=limits)
            for site in self.power.sites
        ]
