"""The observer of a chaos run: it asks the plant, which is the truth, and listens to the agents, and judges.

1. A cell is below full service no longer than lease and wake time after controller, agent or the network between them
   has gone.
2. What an agent holds was in the journal. No revision takes effect twice. (judged once the run is over)
3. While the stop latch is set, nothing goes deeper, and soon all is awake.
4. A coverage cell is on air.

It sees a cell now and then, not always: what it finds is so, what it does not find may still have been.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from benchmarks.chaos_proc_processes import START_WITHIN_S
from benchmarks.chaos_proc_scene import LEASE_S
from hw.adapters.dial import AgentError, Dial
from hw.adapters.operator import RadioOperator
from hw.adapters.radio import Report
from hw.ports import RadioAbilities
from hw.sim_plant.link import RadioPlantLink

LOOK_EVERY_S = 0.05
ANSWERS_WITHIN_S = 0.5
LISTEN_AGAIN_S = 0.1
SLACK_S = 0.02  # of the host, between a signal and its effect
STOP_SLACK_S = 2.0  # of the host, from the latch to the last radio


class Seen(NamedTuple):
    """One look at the radios of an agent."""

    asked_s: float
    answered_s: float
    level: tuple[int, ...]


@dataclass(slots=True)
class Heard:
    """What reports of an agent said in a row."""

    first_s: float  # when the first of them was made, on the host's monotonic clock
    last_s: float
    boot_id: bytes
    revision: tuple[int, ...]
    leased: tuple[int, ...]


@dataclass(slots=True)
class Site:
    """What is known of the radios of an agent."""

    agent_id: str
    has: RadioAbilities
    seen: list[Seen] = field(default_factory=list)  # only where something changed: the looks before and after
    heard: list[Heard] = field(default_factory=list)
    away: set[str] = field(default_factory=set)  # why nobody can renew; empty: somebody can
    away_since_s: float = 0.0
    stopped_since_s: float | None = None
    slow: int = 1  # by how much longer waking may take
    last: Seen | None = None
    deeper_s: float = 0.0  # when a cell was last seen to go deeper
    lies: bool = False  # what it says counts for nothing
    late: set[int] = field(default_factory=set)  # cells of which it was said

    def deep(self) -> list[int]:
        """Cells below full service when last looked at."""
        full = self.has.full_service_level
        return [] if self.last is None else [i for i, level in enumerate(self.last.level) if level > full]

    def wake_s(self, level: int) -> float:
        """Longest time to wake from a level. [s of the simulation]"""
        return self.slow * float(self.has.wake_ms[level]) / 1000


class Watch:
    """Looks at all sites, until cancelled."""

    def __init__(self, plant_address: str, dials: dict[str, Dial], speed: float) -> None:
        self._links = {agent: RadioPlantLink(plant_address, agent, ANSWERS_WITHIN_S) for agent in dials}
        self._dials, self.speed = dials, speed
        self.look_every_s = LOOK_EVERY_S
        self.sites: dict[str, Site] = {}
        self.violations: list[str] = []
        self.deeper = 0
        self.worst_share = 0.0  # of lease and wake time that a cell took until it was awake
        self._tasks: list[asyncio.Future[None]] = []

    async def start(self) -> None:
        """Begin to look."""
        for agent, link in self._links.items():
            self.sites[agent] = Site(agent, await self._abilities(link))
        for site in self.sites.values():
            self._tasks += [
                asyncio.ensure_future(self._look(site)),
                asyncio.ensure_future(self._listen(site)),
            ]

    @staticmethod
    async def _abilities(link: RadioPlantLink) -> RadioAbilities:
        """Of a plant that says it is there, but may yet be too busy for an answer."""
        last_s = time.monotonic() + START_WITHIN_S
        while True:
            try:
                return await link.abilities()
            except OSError:
                if time.monotonic() > last_s:
                    raise

    async def end(self) -> None:
        """Stop looking. Raises what went wrong in doing so."""
        for task in self._tasks:
            if task.done():
                task.result()
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for link in self._links.values():
            await link.close()

    def broken(self, text: str) -> None:
        """Note a violation."""
        self.violations.append(text)

    def lost(self, cause: str, agent: str | None = None) -> None:
        """From now on nobody can renew at an agent, or at any."""
        now_s = time.monotonic()
        for site in self._of(agent):
            if not site.away:
                site.away_since_s = now_s
            site.away.add(cause)

    def back(self, cause: str, agent: str | None = None) -> None:
        """That cause is gone. To be called before it is."""
        for site in self._of(agent):
            site.away.discard(cause)
            if not site.away:
                site.late.clear()

    def stopped(self, agent: str) -> None:
        """The stop latch of an agent is set."""
        self.sites[agent].stopped_since_s = time.monotonic()

    def cleared(self, agent: str) -> None:
        """The stop latch may be cleared from now on."""
        self.sites[agent].stopped_since_s = None
        self.sites[agent].late.clear()

    def _of(self, agent: str | None) -> list[Site]:
        return [self.sites[agent]] if agent is not None else list(self.sites.values())

    async def _look(self, site: Site) -> None:
        link = self._links[site.agent_id]
        while True:
            asked_s = time.monotonic()
            with suppress(OSError):  # a plant that is silent on purpose
                reading = await link.read(2**62)
                levels = tuple(reading.level.tolist())
                self._take(site, Seen(asked_s, time.monotonic(), levels))
            await asyncio.sleep(max(0.0, asked_s + self.look_every_s - time.monotonic()))

    def _take(self, site: Site, seen: Seen) -> None:
        full, before = site.has.full_service_level, site.last
        site.last = seen
        if before is None or before.level != seen.level:
            site.seen += [seen] if before is None else [before, seen]
        for cell, level in enumerate(seen.level):
            if level <= full:
                continue
            if before is not None and level > before.level[cell]:
                self.deeper, site.deeper_s = self.deeper + 1, seen.asked_s
                self._went_deeper(site, cell, before)
            if site.has.off_air[level] and not site.has.is_capacity[cell]:
                self.broken(f"{site.has.cell_id[cell]}: a coverage cell is off air")
            self._check_lease(site, cell, level, seen.asked_s)

    def _went_deeper(self, site: Site, cell: int, before: Seen) -> None:
        if site.stopped_since_s is not None and before.asked_s > site.stopped_since_s:
            self.broken(f"{site.has.cell_id[cell]}: went deeper while the stop latch is set")

    def _check_lease(self, site: Site, cell: int, level: int, asked_s: float) -> None:
        if cell in site.late:
            return
        if site.stopped_since_s is not None:
            until_s = site.stopped_since_s + site.wake_s(level) / self.speed + STOP_SLACK_S
            if asked_s > until_s:
                site.late.add(cell)
                self.broken(f"{site.has.cell_id[cell]}: not awake although the stop latch is set")
        if site.away:
            term_s = (LEASE_S + site.wake_s(level)) / self.speed
            over_s = asked_s - site.away_since_s - term_s
            self.worst_share = max(self.worst_share, (asked_s - site.away_since_s) / term_s)
            if over_s > SLACK_S:
                site.late.add(cell)
                self.broken(
                    f"{site.has.cell_id[cell]}: at level {level} {over_s * self.speed:.1f} s after lease and wake "
                    f"time, since {', '.join(sorted(site.away))}"
                )

    async def _listen(self, site: Site) -> None:
        while True:
            with suppress(AgentError):
                async with RadioOperator(self._dials[site.agent_id]) as operator:
                    async for report in operator.watch():
                        self._hear(site, report)
            await asyncio.sleep(LISTEN_AGAIN_S)

    def _hear(self, site: Site, report: Report) -> None:
        if site.lies:
            return
        made_s = report.monotonic_us / 1e6 / self.speed
        now = report.boot_id, tuple(report.revision.tolist()), tuple(report.commanded_level.tolist())
        last = site.heard[-1] if site.heard else None
        if last is not None and (last.boot_id, last.revision, last.leased) == now:
            last.last_s = made_s
        else:
            site.heard.append(Heard(made_s, made_s, *now))


def held(site: Site) -> set[tuple[str, int, int]]:
    """Cell, revision and level of all leases that an agent was heard to hold."""
    full = site.has.full_service_level
    return {
        (site.has.cell_id[cell], revision, level)
        for heard in site.heard
        for cell, (revision, level) in enumerate(zip(heard.revision, heard.leased, strict=True))
        if level > full
    }


def twice(site: Site) -> list[str]:
    """Revisions that took effect again after their cell had been awake, said of each."""
    found = []
    for cell, name in enumerate(site.has.cell_id):
        deep = np.array([seen.level[cell] > site.has.full_service_level for seen in site.seen])
        begins = np.flatnonzero(deep[1:] & ~deep[:-1]) + 1
        for again in begins[1:]:
            earlier = int(np.flatnonzero(deep[: again - 1])[-1])
            before = [heard for heard in site.heard if heard.first_s < site.seen[earlier].asked_s]
            after = [heard for heard in site.heard if heard.last_s > site.seen[again].answered_s]
            if before and after and before[-1].boot_id == after[0].boot_id:
                revision = before[-1].revision[cell]
                if revision == after[0].revision[cell]:
                    found.append(f"{name}: revision {revision} took effect twice")
    return found
