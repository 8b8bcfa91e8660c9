"""What must hold of sites in the simulation, judged from what was sent, written, set and stored.

1. A site is under a setpoint only under a lease: of a command for this boot, from no lower epoch than its agent has
   heard, with just this power, in the journal before it was sent, and while its term or a renewal that counted it in
   lasts. Otherwise it charges safely.
2. With mains, outside the time after an outage, no battery discharges below what the controller must keep at its site,
   less only where the agent's disk holds an on-battery program; nor, with a reckless controller, below what the
   agent keeps.
3. While the stop latch is set and under local control no setpoint begins.
4. Revisions that the journal has confirmed are there after every restart.
5. Safe charging is written to an open stream within SAFE_WITHIN_S, whatever the journal does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmarks.chaos_ledger import AT_PLANT_US, SLACK_US, Violation
from benchmarks.chaos_power_site import LIMITS, PowerSite, floors_wh
from controller.live.events import Output, Record
from controller.live.power.core import PowerCore
from controller.live.power.events import PowerDecided
from hw.sim_plant.faults import Fault

SAFE_WITHIN_S = 1.0
AFTER_FAULT_S = 180.0  # after an outage or a relay that stood still, for which a plan knows too little
DRIFT_W = 20.0  # self-discharge of a pack, at most
SLACK_WH = 1.0

Value = tuple[float, float]  # battery power and import limit


@dataclass(frozen=True, slots=True)
class Sent:
    """A setpoint as it was sent."""

    epoch: int
    boot_id: bytes
    value: Value
    echo_us: int
    end_us: int


@dataclass(slots=True)
class Seen:
    """What was last seen of a site."""

    stored_wh: float = np.inf
    at_s: float = 0.0
    excused_until_s: float = 0.0


@dataclass(slots=True)
class SiteLedger:
    """Watches the sites of one simulation."""

    sites: dict[str, PowerSite]  # by agent
    has_program: bool
    is_reckless: bool
    violations: list[Violation] = field(default_factory=list)
    durable: set[tuple[int, int, int, Value]] = field(default_factory=set)  # epoch, site, revision, value
    sent: dict[tuple[str, int], list[Sent]] = field(default_factory=dict)  # agent, revision
    counted_in: dict[tuple[str, bytes], int] = field(default_factory=dict)  # revision by agent and digest
    renewed: dict[tuple[str, bytes, int], tuple[int, int]] = field(default_factory=dict)  # end, plan's report
    in_force: dict[str, tuple[bytes, int]] = field(default_factory=dict)  # boot and revision by agent
    heard: dict[str, list[tuple[int, int]]] = field(default_factory=dict)  # epochs and the host's time
    pending: dict[tuple[str, int, int], float] = field(default_factory=dict)  # agent, epoch, revision
    said: set[tuple[str, str]] = field(default_factory=set)
    seen: dict[str, Seen] = field(default_factory=dict)
    setpoints: int = 0
    discharged_wh: float = 0.0
    is_steady: Callable[[str, int], bool] = lambda _agent, _epoch: False

    def broken(self, text: str) -> None:
        """Note a violation."""
        self.violations.append(Violation(asyncio.get_running_loop().time(), text))

    def _say_once(self, agent: str, kind: str, text: str) -> None:
        if (agent, kind) not in self.said:
            self.said.add((agent, kind))
            self.broken(f"{agent}: {text}")

    # The controller

    def fed(self, core: PowerCore, output: Output) -> None:
        """An output has left the core."""
        now_s = asyncio.get_running_loop().time()
        for agent_id, safes in output.safes:
            for revision in safes.revision.tolist():
                self.pending[agent_id, safes.origin.leader_epoch, revision] = now_s
        for agent_id, renewal in output.renewals:
            agent = core.fleet.get(agent_id)
            if agent is not None:
                self.counted_in[agent_id, renewal.active_digest] = int(core.leases.revision[agent.cells][0])

    def written(self, epoch: int, records: Sequence[Record]) -> None:
        """The journal has confirmed records of a leader."""
        for record in records:
            if isinstance(record, PowerDecided):
                values = zip(record.battery_w.tolist(), record.import_limit_w.tolist(), strict=True)
                rows = zip(record.site.tolist(), record.revision.tolist(), values, strict=True)
                self.durable.update((epoch, *row) for row in rows)

    def on_wire(self, agent_id: str, request: Any) -> None:
        """The controller has written a message to a stream."""
        kind = request.WhichOneof("message")
        if kind == "safe":
            for revision in request.safe.revision:
                self.pending.pop((agent_id, request.safe.origin.leader_epoch, revision), None)
        elif kind == "commands":
            self._commands_sent(agent_id, request.commands)
        elif kind == "renewal":
            self._renewal_sent(agent_id, request.renewal)

    def _commands_sent(self, agent_id: str, batch: Any) -> None:
        origin = batch.origin
        end_us = origin.agent_monotonic_us + min(batch.term_ms, LIMITS.longest_term_ms) * 1000
        number = list(self.sites).index(agent_id)
        for revision, *value in zip(batch.revision, batch.battery_w, batch.import_limit_w, strict=True):
            its = (value[0], value[1])
            if (origin.leader_epoch, number, revision, its) not in self.durable:
                self.broken(f"{agent_id}: revision {revision} to {its[0]:.0f} W sent before it was durable")
            command = Sent(origin.leader_epoch, origin.agent_boot_id, its, origin.agent_monotonic_us, end_us)
            self.sent.setdefault((agent_id, revision), []).append(command)

    def _renewal_sent(self, agent_id: str, renewal: Any) -> None:
        origin = renewal.origin
        end_us = origin.agent_monotonic_us + min(renewal.term_ms, LIMITS.longest_term_ms) * 1000
        revision = self.counted_in.get((agent_id, renewal.active_digest))
        if revision is not None:
            key = agent_id, origin.agent_boot_id, revision
            until = self.renewed.get(key, (0, 0))
            self.renewed[key] = max(until[0], end_us), max(until[1], renewal.plan_agent_monotonic_us)

    def forget_safes(self, epoch: int) -> None:
        """A leader is gone, and what it had to say with it."""
        self.pending = {safe: since for safe, since in self.pending.items() if safe[1] != epoch}

    def check_resumed(self, revision: np.ndarray, confirmed: dict[int, int]) -> None:
        """A restart has read the journal."""
        for site, highest in confirmed.items():
            if int(revision[site]) < highest:
                self.broken(f"site {site}: revision {highest} was confirmed by the journal and is lost")

    # The site

    def reached(self, agent_id: str, request: Any) -> None:
        """A message has reached an agent."""
        kind = request.WhichOneof("message")
        if kind in ("commands", "renewal", "hello"):
            message = getattr(request, kind)
            epoch = message.leader_epoch if kind == "hello" else message.origin.leader_epoch
            now_us = self.sites[agent_id].host.monotonic_us()
            self.heard.setdefault(agent_id, []).append((epoch, now_us))

    def set_to(self, agent_id: str, battery_w: float, import_limit_w: float) -> None:
        """A plant has taken a setpoint."""
        site = self.sites[agent_id]
        self.setpoints += 1
        if site.runner is None:
            self.broken(f"{agent_id}: a setpoint without an agent")
            return
        if site.disk.kept.latch.is_set:
            self.broken(f"{agent_id}: a setpoint while the stop latch is set")
        if site.plant.has(Fault.LOCAL_CONTROL):
            self.broken(f"{agent_id}: a setpoint under local control")
        limit_w = float(site.plant.sim.truth.import_cap_w[0])
        fitting = [
            (revision, command)
            for (agent, revision), commands in self.sent.items()
            for command in commands
            if agent == agent_id
            and command.value[0] == battery_w
            and min(command.value[1], limit_w) == import_limit_w
        ]
        boot_id, now_us = site.runner.core.book.boot_id, site.host.monotonic_us()
        of_boot = [(revision, command) for revision, command in fitting if command.boot_id == boot_id]
        epoch = max(
            (e for e, at_us in self.heard.get(agent_id, []) if now_us - at_us > AT_PLANT_US), default=0
        )
        if not fitting:
            self.broken(f"{agent_id}: {battery_w:.0f} W, which nobody sent")
        elif not of_boot:
            self.broken(f"{agent_id}: {battery_w:.0f} W was decided for another boot")
        elif max(command.epoch for _, command in of_boot) < epoch:
            self.broken(f"{agent_id}: {battery_w:.0f} W is of a former leader than that of epoch {epoch}")
        if of_boot:  # noted here and not only at the next look, when the agent may be dead
            self.in_force[agent_id] = boot_id, max(revision for revision, _ in of_boot)

    def check(self) -> None:
        """Look at everything, as after any event."""
        now_s = asyncio.get_running_loop().time()
        for agent_id, site in self.sites.items():
            if not site.plant.is_safe:
                self._check_lease(agent_id, site)
            self._check_reserve(agent_id, site, now_s)
        for safe, since_s in list(self.pending.items()):
            if now_s - since_s > SAFE_WITHIN_S:
                del self.pending[safe]
                agent_id, epoch, revision = safe
                if self.is_steady(agent_id, epoch) and not self.sites[agent_id].plant.is_safe:
                    self.broken(f"{agent_id}: safe charging of revision {revision} was not written in time")

    def _check_lease(self, agent_id: str, site: PowerSite) -> None:
        if site.runner is not None:
            book = site.runner.core.book
            now = book.boot_id, book.slots[0].revision
            if any(c.boot_id == now[0] for c in self.sent.get((agent_id, now[1]), [])):
                self.in_force[agent_id] = now
        if agent_id not in self.in_force:
            self._say_once(agent_id, "lease", "under a setpoint, and nobody ever sent one")
            return
        boot_id, revision = self.in_force[agent_id]
        commands = [c for c in self.sent[agent_id, revision] if c.boot_id == boot_id]
        end_us = max(c.end_us for c in commands)
        renewed_us, planned_us = self.renewed.get((agent_id, boot_id, revision), (0, 0))
        planned_us = max(planned_us, *(c.echo_us for c in commands))
        end_us = max(end_us, min(renewed_us, planned_us + LIMITS.longest_plan_ms * 1000))
        over_us = site.host.monotonic_us() - end_us
        if over_us > SLACK_US:
            self._say_once(agent_id, "lease", f"under a setpoint {over_us / 1e6:.3f} s after its lease")

    def _check_reserve(self, agent_id: str, site: PowerSite, now_s: float) -> None:
        plant, seen = site.plant, self.seen.setdefault(agent_id, Seen())
        stored_wh = plant.stored_wh
        lost_wh, elapsed_s = seen.stored_wh - stored_wh, now_s - seen.at_s
        seen.stored_wh, seen.at_s = stored_wh, now_s
        if not plant.has_mains or plant.has(Fault.STUCK_RELAY):
            seen.excused_until_s = now_s + AFTER_FAULT_S
        if now_s < seen.excused_until_s or not elapsed_s:
            return
        drained_w = lost_wh * 3600 / elapsed_s
        if np.isfinite(drained_w) and drained_w > DRIFT_W:
            self.discharged_wh += lost_wh
            kept_wh = self.kept_wh(site)
            if stored_wh < kept_wh - SLACK_WH:
                below_wh = kept_wh - stored_wh
                text = f"discharges at {drained_w:.0f} W, {below_wh:.0f} Wh below its reserve of {kept_wh:.0f} Wh"
                self._say_once(agent_id, "reserve", text)

    def kept_wh(self, site: PowerSite) -> float:
        """What must be kept at a site now. [Wh]"""
        if self.is_reckless:
            return site.plant.reserve_wh
        knows = bool(site.disk.kept.programs)
        return max(floors_wh(self.has_program)[knows], site.plant.reserve_wh)
