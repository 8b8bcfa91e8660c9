"""What must hold in the simulation, judged from what was sent, written and switched; it knows no code of ours but that.

1. A cell is below full service only under a lease: of a command for this boot, from no lower epoch than the agent has
   heard, written in the journal before it was sent, and while the host's monotonic clock is below the time of the
   report that it was decided on plus the term, or that of a renewal that counted the cell in.
2. No revision changes a cell twice. After a wake has reached an agent nothing decided before it does.
3. While the stop latch is set, nothing goes deeper. A cell under local control stays at full service.
4. A coverage cell is on air.
5. What the journal has confirmed is there after every restart.
6. A cell that is to wake has its wake written to an open stream within WAKE_WITHIN_S, whatever the journal does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmarks.chaos_site import LIMITS, Site
from controller.live.core import LiveCore
from controller.live.events import Decided, Output, Record
from hw.world import SYMBOL

WAKE_WITHIN_S = 1.0
SLACK_US = 2000  # of timers that fire after their time, never before
AT_PLANT_US = 200_000  # for which an order may be at a plant, which takes 5 ms on average


@dataclass(slots=True)
class Command:
    """A command toward less service as it was sent."""

    epoch: int
    boot_id: bytes
    level: int
    echo_us: int
    end_us: int
    controller_id: str


@dataclass(slots=True)
class Violation:
    """What was broken, when."""

    at_s: float
    text: str


@dataclass(slots=True)
class Ledger:
    """Watches one simulation."""

    sites: dict[str, Site]
    first_cell: dict[str, int]  # number of a site's first cell in the network
    violations: list[Violation] = field(default_factory=list)
    durable: set[tuple[int, int, int, int]] = field(default_factory=set)  # epoch, cell, revision, level
    sent: dict[tuple[str, int, int], list[Command]] = field(default_factory=dict)  # site, place, revision
    renewed_us: dict[tuple[str, int, bytes, int], int] = field(
        default_factory=dict
    )  # site, place, boot, revision
    planned_us: dict[tuple[str, int, bytes, int], int] = field(
        default_factory=dict
    )  # of its last plan's report
    in_force: dict[tuple[str, int], tuple[bytes, int]] = field(default_factory=dict)  # boot and revision
    said: set[tuple[str, int]] = field(default_factory=set)
    done: set[tuple[str, int, bytes, int, int, int]] = field(default_factory=set)
    counted_in: dict[tuple[str, bytes], set[tuple[int, int]]] = field(
        default_factory=dict
    )  # by site and digest
    pending_wakes: dict[tuple[str, int, int, int], float] = field(default_factory=dict)
    heard_epochs: dict[str, list[tuple[float, int]]] = field(default_factory=dict)  # when [s] each first was
    deeper: int = 0
    is_steady: Callable[[str, int], bool] = lambda _site, _epoch: (
        False
    )  # stream open for longer than a wake may take

    def broken(self, text: str) -> None:
        """Note a violation."""
        self.violations.append(Violation(asyncio.get_running_loop().time(), text))

    # The controller

    def fed(self, core: LiveCore, output: Output) -> None:
        """An output has left the core."""
        now_s = asyncio.get_running_loop().time()
        for site_id, wakes in output.wakes:
            for place, revision in zip(wakes.cell.tolist(), wakes.revision.tolist(), strict=True):
                self.pending_wakes[site_id, place, wakes.origin.leader_epoch, revision] = now_s
        for site_id, renewal in output.renewals:
            agent = core.fleet.get(site_id)
            if agent is None:  # of site power, which others watch
                continue
            leased = core.leases.level[agent.cells] > SYMBOL
            cells = zip(
                agent.places[leased].tolist(), core.leases.revision[agent.cells[leased]].tolist(), strict=True
            )
            self.counted_in[site_id, renewal.active_digest] = set(cells)

    def written(self, epoch: int, records: list[Record]) -> None:
        """The journal has confirmed records of a leader."""
        for record in records:
            if isinstance(record, Decided):
                rows = zip(record.cell.tolist(), record.revision.tolist(), record.level.tolist(), strict=True)
                self.durable.update((epoch, *row) for row in rows)

    def on_wire(self, site_id: str, request: Any) -> None:
        """The controller has written a message to a stream."""
        kind = request.WhichOneof("message")
        if kind == "wakes":
            wakes = request.wakes
            for place, revision in zip(wakes.cell, wakes.revision, strict=True):
                self.pending_wakes.pop((site_id, place, wakes.origin.leader_epoch, revision), None)
        elif kind == "commands":
            self._commands_sent(site_id, request.commands)
        elif kind == "renewal":
            self._renewal_sent(site_id, request.renewal)

    def _commands_sent(self, site_id: str, batch: Any) -> None:
        origin = batch.origin
        rows = zip(batch.cell, batch.revision, batch.level, batch.expected_level, strict=True)
        for place, revision, level, expected in rows:
            if level <= SYMBOL:
                continue
            cell = self.first_cell[site_id] + place
            was_durable = (origin.leader_epoch, cell, revision, level) in self.durable
            if not was_durable and level > expected:
                self.broken(
                    f"{site_id}/{place} revision {revision} to level {level}: sent before it was durable"
                )
            end_us = origin.agent_monotonic_us + min(batch.term_ms, LIMITS.longest_term_ms) * 1000
            command = Command(
                origin.leader_epoch,
                origin.agent_boot_id,
                level,
                origin.agent_monotonic_us,
                end_us,
                origin.controller_id,
            )
            self.sent.setdefault((site_id, place, revision), []).append(command)

    def _renewal_sent(self, site_id: str, renewal: Any) -> None:
        origin = renewal.origin
        end_us = origin.agent_monotonic_us + min(renewal.term_ms, LIMITS.longest_term_ms) * 1000
        for place, revision in self.counted_in.get((site_id, renewal.active_digest), set()):
            key = site_id, place, origin.agent_boot_id, revision
            self.renewed_us[key] = max(self.renewed_us.get(key, 0), end_us)
            self.planned_us[key] = max(self.planned_us.get(key, 0), renewal.plan_agent_monotonic_us)

    # The site

    def reached(self, site_id: str, request: Any) -> None:
        """A message has reached an agent."""
        kind = request.WhichOneof("message")
        if kind in ("commands", "renewal", "hello"):
            message = getattr(request, kind)
            epoch = message.leader_epoch if kind == "hello" else message.origin.leader_epoch
            heard = self.heard_epochs.setdefault(site_id, [])
            if epoch > max((known for _, known in heard), default=0):
                heard.append((asyncio.get_running_loop().time(), epoch))

    def changed(self, site_id: str, place: int, before: int, after: int) -> None:
        """A plant has switched a cell."""
        site = self.sites[site_id]
        if after > SYMBOL:
            if site.plant.has.off_air[after] and not site.plant.has.is_capacity[place]:
                self.broken(f"{site_id}/{place}: a coverage cell is off air")
            if after > before:
                self._deeper(site, place, after)
            self._check_lease(site, place)

    def _deeper(self, site: Site, place: int, level: int) -> None:
        self.deeper += 1
        where = f"{site.site_id}/{place}"
        if site.runner is None:
            self.broken(f"{where}: went deeper without an agent")
            return
        book = site.runner.core.book
        if site.disk.kept.latch.is_set:
            self.broken(f"{where}: went deeper while the stop latch is set")
        if site.plant.local[place]:
            self.broken(f"{where}: went deeper under local control")
        slot, boot_id = book.slots[place], book.boot_id
        revision = slot.revision
        is_waking = site.host.monotonic_us() - slot.woken_us < AT_PLANT_US
        if is_waking and (site.site_id, place, revision) not in self.sent:
            # a wake that has overtaken what is at the plant already: the command before it comes first
            sent = (r for s, p, r in self.sent if (s, p) == (site.site_id, place) and r < revision)
            revision = max(sent, default=0)
        fitting = [c for c in self.sent.get((site.site_id, place, revision), []) if c.level == level]
        if not fitting:
            self.broken(f"{where}: level {level} by revision {revision}, which nobody sent")
            return
        self.in_force[site.site_id, place] = boot_id, revision
        command = max(fitting, key=lambda c: c.epoch)
        if command.boot_id != boot_id:
            self.broken(f"{where}: revision {revision} was decided for another boot")
        if command.epoch < self._followed(site.site_id):
            self.broken(f"{where}: revision {revision} is of epoch {command.epoch}, a former leader's")
        effect = (site.site_id, place, boot_id, command.epoch, revision, level)
        if effect in self.done:
            self.broken(f"{where}: revision {revision} took effect twice")
        self.done.add(effect)

    def _followed(self, site_id: str) -> int:
        """The highest epoch that an agent heard before anything that may still be at its plant was ordered."""
        before_s = asyncio.get_running_loop().time() - AT_PLANT_US / 1e6
        return max(
            (epoch for at_s, epoch in self.heard_epochs.get(site_id, []) if at_s < before_s), default=0
        )

    def check(self) -> None:
        """Look at everything, as after any event."""
        for site in self.sites.values():
            for place in range(site.plant.has.n_cells):
                if site.plant.level[place] > SYMBOL:
                    self._check_lease(site, place)
        now_s = asyncio.get_running_loop().time()
        for wake, since_s in list(self.pending_wakes.items()):
            if now_s - since_s > WAKE_WITHIN_S:
                del self.pending_wakes[wake]
                self.late_wake(*wake)

    def forget_wakes(self, epoch: int) -> None:
        """A leader is gone, and its wakes with it."""
        self.pending_wakes = {wake: since for wake, since in self.pending_wakes.items() if wake[2] != epoch}

    def late_wake(self, site_id: str, place: int, epoch: int, revision: int) -> None:
        """A wake was not written in time: a fault of ours if its stream was open all the time and the cell sleeps."""
        if self.is_steady(site_id, epoch) and self.sites[site_id].plant.level[place] > SYMBOL:
            self.broken(f"{site_id}/{place}: the wake of revision {revision} was not written in time")

    def _check_lease(self, site: Site, place: int) -> None:
        """A cell below full service: by which lease, and until when?"""
        key = site.site_id, place
        if site.runner is not None:
            book = site.runner.core.book
            now = book.boot_id, book.slots[place].revision
            if any(c.boot_id == now[0] for c in self.sent.get((*key, now[1]), [])):
                self.in_force[key] = now
        if key not in self.in_force:
            self._say_once(key, "below full service, and nobody ever sent a command for it")
            return
        boot_id, revision = self.in_force[key]
        commands = [c for c in self.sent[*key, revision] if c.boot_id == boot_id]
        end_us = max(c.end_us for c in commands)
        lease = *key, boot_id, revision
        planned_us = max(self.planned_us.get(lease, 0), *(c.echo_us for c in commands))
        end_us = max(end_us, min(self.renewed_us.get(lease, 0), planned_us + LIMITS.longest_plan_ms * 1000))
        over_us = site.host.monotonic_us() - end_us
        if over_us > SLACK_US:
            self._say_once(key, f"below full service {over_us / 1e6:.3f} s after its lease")

    def _say_once(self, key: tuple[str, int], text: str) -> None:
        if key not in self.said:
            self.said.add(key)
            self.broken(f"{key[0]}/{key[1]}: {text}")

    def check_resumed(self, cell: np.ndarray, revision: np.ndarray, confirmed: dict[int, int]) -> None:
        """A restart has read the journal: what had been confirmed must be there."""
        found = dict(zip(cell.tolist(), revision.tolist(), strict=True))
        for number, highest in confirmed.items():
            if found.get(number, 0) < highest:
                self.broken(f"cell {number}: revision {highest} was confirmed by the journal and is lost")
