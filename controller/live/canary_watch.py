"""Canaries in the running controller: who may be one, whether users suffer, and what then must be at full service.

::

    a tick has ended -> row: load, user throughput over the tables' promise, energy of each cell
    sites may act    -> controls matched, watch fitted on the days in which nobody might rest
    each tick after  -> evidence of each pool -> breach -> its sites at full service, with hold-off

The statistics are those of ``policies.trust``. Time is counted in planning ticks from 1970. What is remembered comes in
as rows of earlier runs and as the last rollbacks of each site; both are all there is, so a restart goes on as if there
had been none.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from controller.live.alarms import Alarms
from controller.live.canary_facts import Facts
from controller.live.events import Alarm, Matched, Output, RolledBack
from controller.live.kpi_rows import Row, Rows, by_tick, whole_days
from controller.live.ladder import Ladder
from controller.live.observing import Measured, Samples
from controller.localtime import local_time
from hw.world import SYMBOL
from policies.trust.canaries import HOURS, Fleet, Matching, match
from policies.trust.kpi_baseline import against_controls, expected_throughput, log_ratio
from policies.trust.kpi_watch import LAG_TICKS, RECENT_TICKS, KpiWatch, fit_watch, site_pools
from policies.trust.rollback import HoldOff, Watched, advance, begin

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]
Mask = NDArray[np.bool_]
UInt8 = NDArray[np.uint8]

LEAST_DAYS = 7  # whole days of history without which nobody can be compared
LEAST_KPI = 0.5  # share of the history in which a cell's KPI must be known
N_SLOTS = 2 * HOURS  # of working days, then of weekends
SATURDAY = 5
SITE_DROP, DROP = 0.2, 0.1  # of user throughput: looked for at one site, and in all canaries
FALSE_PER_SITE_MONTHS = 0.2 / 200  # false rollbacks that the thresholds are made for
ALL = ""  # in place of a site's name: all canaries


class Armed:
    """Canaries with controls and a fitted watch. k canary cells, U pools: their sites and all."""

    def __init__(self, matching: Matching, weight: Floats, sites: tuple[str, ...], watch: KpiWatch) -> None:
        self.matching, self.weight, self.sites, self.watch = matching, weight, sites, watch
        self.watched = begin(len(sites))

    def hold(self, until_tick: dict[str, int], strikes: dict[str, int]) -> None:
        """Go on from what is known of each pool."""
        until = np.array([until_tick.get(site, 0) for site in self.sites], np.intp)
        struck = np.array([strikes.get(site, 0) for site in self.sites], np.intp)
        self.watched = Watched(self.watched.total, until, struck, self.watched.calm_ticks)


class CanaryWatch:
    """Feed it each tick once it has ended, before the plan of the next."""

    def __init__(
        self,
        facts: Facts,
        ladder: Ladder,
        samples: Samples,
        alarms: Alarms,
        rows: Iterable[Row],
        rolled_back: Sequence[RolledBack],
    ) -> None:
        """``rows`` of earlier runs, the oldest first; ``rolled_back`` the last of each site."""
        day = facts.rows_of.ticks_per_day
        self._hold_off = HoldOff(day, 28 * day, 7 * day)
        self.facts, self.store = facts, Rows(facts.rows_of, rows)
        self._fresh: list[Row] = []  # rows that nobody has kept yet
        self.armed: Armed | None = None
        self.waits = ""  # why nobody is a canary although some are wanted
        # sites at full service for what their users felt; ALL: those of canaries
        self.held: tuple[str, ...] = ()
        self._ladder, self._samples, self._alarms = ladder, samples, alarms
        self._zone = ZoneInfo(facts.time_zone)
        self._until_tick = {r.site: r.until_unix_us // (facts.tick_s * 1_000_000) for r in rolled_back}
        self._strikes = {r.site: r.strikes for r in rolled_back}
        self._may = np.zeros(len(facts.site), np.bool_)
        self._try_at_tick = 0  # before which nothing new could be matched
        self._unsaid = Output()  # what was found before the first tick
        tick = self.rows[-1].tick + 1 if self.rows else 0
        self._settle(tick, self._unsaid, tick * facts.tick_s * 1_000_000)

    def pass_tick(self, planned: UInt8, last_sample: int, per_tick: int, out: Output, now_us: int) -> None:
        """The tick that ended with a sample, for which cells were ``planned`` (n,): what may rest in the next."""
        tick = now_us // (self.facts.tick_s * 1_000_000)  # that begins
        measured = self._samples.measured(last_sample - per_tick + 1, last_sample)
        self._fresh = [self._row(tick - 1, measured, planned)]
        self.store.add(self._fresh[0])
        out.durable += self._unsaid.durable
        self._unsaid = Output()
        if self.armed is not None:
            self._judge(self.armed, len(self.rows) - 1, out, now_us)
        self._settle(tick, out, now_us)

    @property
    def rows(self) -> list[Row]:
        """Of the ticks that are looked at, the oldest first."""
        return self.store.rows

    def take_fresh(self) -> list[Row]:
        """The row of the last tick, once."""
        fresh, self._fresh = self._fresh, []
        return fresh

    def _settle(self, tick: int, out: Output, now_us: int) -> None:
        """Before a tick: arm or disarm, and tell the ladder who may be a canary and who is held at full service."""
        ladder, facts = self._ladder, self.facts
        held = self.held = tuple(site for site, until in self._until_tick.items() if until > tick)
        if ALL in held or not (ladder.would_act & ladder.canary).any():
            self.armed, self.waits = None, ""
        elif self.armed is None and tick >= self._try_at_tick:
            self._arm(tick, out, now_us)
        compared = np.zeros(len(facts.site), np.bool_)
        if self.armed is not None:
            compared[self.armed.matching.canary] = True
        rolled_back = np.isin(facts.site_id, [site for site in held if site])
        if ALL in held:
            compared = ladder.canary
            rolled_back |= np.isin(facts.site, facts.site[ladder.canary])
        ladder.limit_canaries(compared, rolled_back)
        self._may = ladder.acts
        self._alarms.settle(out, "rollback/", [self._alarm(site, now_us) for site in held], now_us)

    def standing(self) -> list[tuple[str, str, str, tuple[str, ...], int]]:
        """Of each cell that is wanted as a canary: name, site, state, controls, and when it may act again. [us]"""
        facts, armed, held = self.facts, self.armed, self.held
        controls: dict[int, tuple[str, ...]] = {}
        if armed is not None:
            controls = dict(zip(armed.matching.canary.tolist(), self._controls(armed.matching), strict=True))
        found = []
        for cell in np.flatnonzero(self._ladder.canary).tolist():
            site = facts.site_id[cell]
            until = max((self._until_tick[s] for s in (site, ALL) if s in held), default=0)
            state = "rolled back" if until else "waits" if armed is None else "unmatched"
            if not until and cell in controls:
                state = "acts" if self._ladder.acts[cell] else "waits"
            until_us = until * facts.tick_s * 1_000_000
            found.append((facts.cell_id[cell], site, state, controls.get(cell, ()), until_us))
        return found

    def _alarm(self, site: str, now_us: int) -> Alarm:
        where = f"site {site}" if site else "all sites of canaries"
        until = np.datetime64(self._until_tick[site] * self.facts.tick_s, "s")
        text = f"users were slower than planned: at full service until {until}Z: {where}; look for the cause"
        return Alarm(now_us, "major", site or "canaries", text)

    def _row(self, tick: int, measured: Measured, planned: UInt8) -> Row:
        facts, real = self.facts, measured.level < len(self.facts.tables.asleep)
        known = np.isfinite(measured.carried) & real
        carried = np.where(known, measured.carried, 0.0)
        mean = np.divide(carried.sum(1), known.sum(1), where=known.any(1), out=np.full(len(known), np.nan))
        seen = np.where(real, measured.level, np.uint8(SYMBOL))
        level = np.minimum(seen, np.maximum(planned, SYMBOL)[:, None])
        served = np.where(np.isfinite(measured.throughput), carried, 0.0)
        total = served.sum(1)
        weighted = (served * np.nan_to_num(measured.throughput)).sum(1)
        observed = np.divide(weighted, total, where=total > 0, out=np.full(len(total), np.nan))
        expected = expected_throughput(facts.tables, facts.model, level, served.astype(np.float32))
        metered = np.isfinite(measured.energy_wh)
        drawn = np.where(metered, measured.energy_wh, 0.0).sum(1, dtype=np.float64)
        energy = np.divide(drawn, metered.mean(1), where=metered.any(1), out=np.full(len(drawn), np.nan))
        off = np.asarray(facts.tables.asleep[seen].any(1))
        load = self._shared_out(mean, off, tick)
        kpi = log_ratio(observed, expected)
        may = self._may | self._ladder.acts
        return Row(tick, may, *(a.astype(np.float16) for a in (load, kpi, energy)))

    def _shared_out(self, load: Floats, off: Mask, tick: int) -> Floats:
        """Load (n,) as each cell would have had it: what a group with a cell off air carried, as its history has it."""
        facts = self.facts
        if not off.any():
            return load
        hour = self._slot(tick) % HOURS
        past = [row.load for row in self.rows if not row.acts and self._slot(row.tick) % HOURS == hour]
        usual = np.stack(past).astype(np.float64) if past else np.ones((1, len(load)))
        known = np.isfinite(usual)
        mean = np.where(known, usual, 0.0).sum(0) / np.maximum(known.sum(0), 1) + 1e-6
        size = facts.tables.size[facts.model]
        n_groups = int(facts.group.max()) + 1
        total = np.bincount(facts.group, np.nan_to_num(load) * size, n_groups)
        whole = np.bincount(facts.group, mean * size, n_groups)
        resting = np.bincount(facts.group, off, n_groups)[facts.group] > 0
        return np.where(resting, mean * (total / whole)[facts.group], load)

    def _slot(self, tick: int) -> int:
        """Slot of the week in which a tick begins."""
        at = local_time(np.datetime64(tick * self.facts.tick_s, "s"), self._zone)
        return at.second_of_day // 3600 + HOURS * (at.weekday >= SATURDAY)

    def _arm(self, tick: int, out: Output, now_us: int) -> None:
        """Match controls and fit the watch, where the history is long enough."""
        rows, n_days = whole_days(self.rows, self.facts.rows_of, self._zone)
        if n_days < LEAST_DAYS:
            self.waits = f"{n_days} of {LEAST_DAYS} whole days at full service are known"
            return
        facts, ladder = self.facts, self._ladder
        slot = np.array([self._slot(row.tick) for row in rows], np.intp)
        kpi = by_tick([row.kpi for row in rows])
        load = by_tick([row.load for row in rows])
        measures = np.isfinite(kpi).mean(1) >= LEAST_KPI
        usable = measures & (ladder.canary | ~ladder.would_act)
        load[~usable] = np.nan  # which is near to nothing
        fleet = Fleet(
            facts.site,
            facts.group,
            facts.model.astype(np.intp),
            facts.is_capacity,
            load,
            slot % HOURS,
            facts.neighbour,
        )
        found = match(fleet, ladder.canary)
        good = found.weight.sum(1) > 0
        unmatched = tuple(facts.cell_id[i] for i in found.canary[~good])
        parts = {name: getattr(found, name)[good] for name in Matching._fields if name != "unmatched"}
        matching = Matching(**parts, unmatched=found.canary[~good])
        cells = matching.canary
        if not len(cells):
            self.waits = "no canary has a control that is like it and whose user throughput is known"
            self._try_at_tick = tick + self.facts.rows_of.ticks_per_day
            return
        weight = matching.over_cells(len(facts.site))
        sites = tuple(sorted({facts.site_id[i] for i in cells}))
        pools = len(sites) + 1
        months = 30 * facts.rows_of.ticks_per_day / FALSE_PER_SITE_MONTHS
        watch = fit_watch(
            against_controls(kpi[cells], kpi, weight),
            slot,
            N_SLOTS,
            site_pools(facts.site[cells]),
            -np.log1p(-np.where(np.arange(pools) < pools - 1, SITE_DROP, DROP)),
            ticks_per_false_breach=np.full(pools, months),
            ticks_per_day=facts.rows_of.ticks_per_day,
            rng=np.random.default_rng(facts.seed),
        )
        self.waits = ""
        self.armed = Armed(matching, weight, (*sites, ALL), watch)
        self.armed.hold(self._until_tick, self._strikes)
        names = facts.cell_id
        controls = self._controls(matching)
        out.durable.append(Matched(now_us, tuple(names[i] for i in cells), controls, unmatched))
        self._catch_up(self.armed, out, now_us)

    def _controls(self, matching: Matching) -> tuple[tuple[str, ...], ...]:
        """Names of the controls of each canary."""
        pairs = zip(matching.control, matching.weight, strict=True)
        return tuple(tuple(self.facts.cell_id[i] for i in row[weight > 0]) for row, weight in pairs)

    def _catch_up(self, armed: Armed, out: Output, now_us: int) -> None:
        """Take in again what was seen since canaries last began to act, as after a restart."""
        since = max([0, *self._until_tick.values()])
        newest = self.rows[-1].tick - self.facts.rows_of.ticks_per_day
        for at, row in enumerate(self.rows):
            if row.acts and row.tick >= max(since, newest):
                self._judge(armed, at, out, now_us)

    def _judge(self, armed: Armed, at: int, out: Output, now_us: int) -> None:
        """Look for breaches in the tick whose row is at a place of ``rows``."""
        facts, tick = self.facts, self.rows[at].tick
        rows = self.rows[max(at - LAG_TICKS - RECENT_TICKS, 0) : at + 1]
        kpi = by_tick([row.kpi for row in rows])
        kpi[:, [row.tick < tick - LAG_TICKS - RECENT_TICKS for row in rows]] = np.nan
        controls = np.where(np.stack([row.may for row in rows], axis=1), np.nan, kpi)
        difference = against_controls(kpi[armed.matching.canary], controls, armed.weight)
        slot = np.array([self._slot(row.tick) for row in rows], np.intp)
        evidence = armed.watch.evidence(difference, slot)[:, -1]
        watched, breach, _ = advance(armed.watched, evidence, armed.watch.threshold, tick, self._hold_off)
        armed.watched = watched
        for u in np.flatnonzero(breach).tolist():
            site, until, strikes = armed.sites[u], int(watched.until_tick[u]), int(watched.strikes[u])
            self._until_tick[site], self._strikes[site] = until, strikes
            out.durable.append(RolledBack(now_us, site, until * facts.tick_s * 1_000_000, strikes))
