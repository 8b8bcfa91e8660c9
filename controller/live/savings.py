"""What acting saves, told from the rows of ticks: by matched controls, by the calibrated baseline, and by both.

The history is the whole days in which nobody might rest, the window the latest ticks in which somebody might. Energy
is what the agents measured, the baseline that of the tables at full service and the same traffic. What is estimated,
and how sure it is, is said in ``policies.trust.savings``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from controller.live.canary_facts import Facts
from controller.live.kpi_rows import Row, by_tick, whole_days
from controller.live.own_energy import OwnPower
from controller.live.table_power import table_power
from controller.localtime import LocalTime, local_time
from hw.adapters.control import Estimate, OwnEnergy, SavingsStatus, SavingStatus
from hw.world import SYMBOL
from policies.trust.canaries import Matching
from policies.trust.kpi_baseline import against_controls
from policies.trust.savings import Record, Saving, Savings, Span, efficiency_gain, estimate

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]
Mask = NDArray[np.bool_]

NOBODY = "nobody has been allowed to rest yet"
NO_HISTORY = "no whole day at full service is known"
NOT_METERED = "no energy is measured"
J_PER_WH, BIT_PER_MBIT = 3600.0, 1e6
LOAD_STEPS = 4096  # in which energy by load is looked up


@dataclass(frozen=True, slots=True)
class Seen:
    """What there is to tell from."""

    facts: Facts
    rows: Sequence[Row]  # of ticks, the oldest first
    matching: Matching | None  # of the canaries that are watched
    regions: Mapping[str, frozenset[str]]  # sites of each
    own: OwnPower  # of the controller


def tell(seen: Seen) -> SavingsStatus:
    """Savings of the network, its regions, its acting sites, its canaries and each day."""
    facts = seen.facts
    window = [row for row in seen.rows if row.acts]
    history, days = whole_days(seen.rows, facts.rows_of, ZoneInfo(facts.time_zone))
    if not window:
        return SavingsStatus(0, 0, days, 0, NOBODY)
    tick_us = facts.tick_s * 1_000_000
    span_us = (window[0].tick * tick_us, (window[-1].tick + 1) * tick_us)
    if not days:
        return SavingsStatus(*span_us, 0, 0, NO_HISTORY)
    book = _Book(seen, sorted([*history, *window], key=lambda row: row.tick))
    if not np.isfinite(book.measured[book.acting]).any():
        return SavingsStatus(*span_us, days, 0, NOT_METERED)
    rows = (*book.places(), *book.sites(), *book.cells(), *book.days())
    own = beside(rows[0], seen.own, len(window) * facts.tick_s)
    return SavingsStatus(*span_us, days, len(book.controls), "", rows, own)


def beside(network: SavingStatus, own: OwnPower, length_s: float) -> OwnEnergy:
    """The controller's energy over the time that is counted, and the network's saving net of it.

    All of it stands against the sites that act, also while most sites only watch.
    """
    own_wh, found = own.mean_w * length_s / J_PER_WH, network.combined
    drawn_wh = network.without_wh * (1 - found.value)
    share = own_wh / drawn_wh if drawn_wh > 0 else float("nan")
    net = (ratio - share * (1 - ratio) for ratio in (found.value, found.low, found.high))
    return OwnEnergy(own_wh, own.since_unix_us, Estimate(*net))


class _Book:
    """Energy of sites over the ticks of history and window. m sites, T ticks, k canary cells."""

    def __init__(self, seen: Seen, rows: list[Row]) -> None:
        facts = self.facts = seen.facts
        self.seen, self.rows, zone = seen, rows, ZoneInfo(facts.time_zone)
        at = [local_time(np.datetime64(row.tick * facts.tick_s, "s"), zone) for row in rows]
        window = np.array([row.acts for row in rows])
        self.span = Span(
            ~window, window, _ints(at, lambda t: t.day), _ints(at, lambda t: t.second_of_day // 3600)
        )
        self.site_names = np.unique(np.array(facts.site_id))
        m, self.by_tables = len(self.site_names), full_service_wh(facts)
        self.measured, self.baseline, self.served_mbit = (np.empty((m, len(rows))) for _ in range(3))
        for t, row in enumerate(rows):
            load = row.load.astype(np.float64)
            self.measured[:, t] = self._by_site(row.energy_wh.astype(np.float64))
            self.baseline[:, t] = self._by_site(self.by_tables(load, None))
            self.served_mbit[:, t] = self._by_site(load * _mbit(facts))
        might = np.any([row.may for row in rows], axis=0)
        acts = np.bincount(facts.site, might, m) > 0
        self.acting, self.controls = np.flatnonzero(acts), np.flatnonzero(~acts)
        self.users = self._users()

    def _by_site(self, values: Floats) -> Floats:
        """Sums over the cells of each site, NaN where one is not known. (m,)"""
        return np.asarray(np.bincount(self.facts.site, values, len(self.site_names)), np.float64)

    def _users(self) -> Floats:
        """Log of user throughput of each canary, against controls and history. (k, T); none without controls"""
        matching = self.seen.matching
        if matching is None:
            return np.zeros((0, len(self.rows)))
        weight = matching.over_cells(len(self.facts.site))
        others = np.flatnonzero(weight.any(0))
        kpi, other = (by_tick([row.kpi[cells] for row in self.rows]) for cells in (matching.canary, others))
        other[np.stack([row.may[others] for row in self.rows], axis=1)] = np.nan
        off = against_controls(kpi, other, weight[:, others])
        return off - _mean(off[:, self.span.history])[:, None]

    def _weight(self) -> Floats:
        """Weight of each control site for each acting site: that of its canaries. (s, c)"""
        matching, m = self.seen.matching, len(self.site_names)
        weight = np.zeros((m, m))
        if matching is not None:
            rows = np.repeat(self.facts.site[matching.canary], matching.control.shape[1])
            np.add.at(weight, (rows, self.facts.site[matching.control.ravel()]), matching.weight.ravel())
        weight = weight[np.ix_(self.acting, self.controls)]
        total = weight.sum(1, keepdims=True)
        return np.asarray(np.divide(weight, total, where=total > 0, out=np.zeros(weight.shape)))

    def _estimate(self, span: Span, group: Ints) -> tuple[Savings, Savings]:
        canary, control = (Record(self.measured[s], self.baseline[s]) for s in (self.acting, self.controls))
        return estimate(canary, control, self._weight(), span, group)

    def places(self) -> Iterator[SavingStatus]:
        """The network and its regions."""
        everywhere = np.ones(len(self.acting), np.bool_)
        named = {"": everywhere} | {
            region: np.isin(self.site_names[self.acting], list(sites))
            for region, sites in self.seen.regions.items()
        }
        for name, chosen in named.items():
            if chosen.any():
                found = self._estimate(self.span, chosen.astype(np.intp))[1]
                sites = self.acting[chosen]
                yield self._row("region" if name else "network", name, found, -1, sites, self.span.window)

    def sites(self) -> Iterator[SavingStatus]:
        """Each site that might rest."""
        found = self._estimate(self.span, np.zeros(len(self.acting), np.intp))[0]
        for at, site in enumerate(self.acting.tolist()):
            yield self._row("site", str(self.site_names[site]), found, at, np.array([site]), self.span.window)

    def days(self) -> Iterator[SavingStatus]:
        """Each day of the network."""
        for day in np.unique(self.span.day[self.span.window]).tolist():
            window = self.span.window & (self.span.day == day)
            found = self._estimate(self.span._replace(window=window), np.zeros(len(self.acting), np.intp))[1]
            date = str(np.datetime64("0001-01-01") + np.timedelta64(day - 1, "D"))
            yield self._row("day", date, found, 0, self.acting, window)

    def cells(self) -> Iterator[SavingStatus]:
        """Each canary."""
        matching, facts, span = self.seen.matching, self.facts, self.span
        if matching is None:
            return
        weight = matching.over_cells(len(facts.site))
        others = np.flatnonzero(weight.any(0))
        records = []
        for cells in (matching.canary, others):
            load = by_tick([row.load[cells] for row in self.rows])
            drawn = by_tick([row.energy_wh[cells] for row in self.rows])
            records.append(Record(drawn, self.by_tables(load, cells)))
        found = estimate(
            records[0], records[1], weight[:, others], span, np.zeros(len(matching.canary), np.intp)
        )[0]
        for at, cell in enumerate(matching.canary.tolist()):
            drawn = records[0].measured[at]
            served = np.array([float(row.load[cell]) for row in self.rows]) * _mbit(facts)[cell]
            users = self.users[at : at + 1, span.window]
            yield _status("cell", facts.cell_id[cell], found, at, drawn, served, span, span.window, users)

    def _row(self, kind: str, name: str, found: Savings, at: int, sites: Ints, window: Mask) -> SavingStatus:
        canaries = () if self.seen.matching is None else self.facts.site[self.seen.matching.canary]
        users = self.users[np.isin(canaries, sites)][:, window]
        drawn, served = self.measured[sites].sum(0), self.served_mbit[sites].sum(0)
        return _status(kind, name, found, at, drawn, served, self.span, window, users)


def _status(
    kind: str,
    name: str,
    found: Savings,
    at: int,
    drawn: Floats,
    served_mbit: Floats,
    span: Span,
    window: Mask,
    users: Floats,
) -> SavingStatus:
    """A row at a place of what was found, with energy and traffic (T,) and the users of its canaries (k, ticks)."""
    return SavingStatus(
        kind,
        name,
        float(np.nansum(drawn[window])),
        float(found.combined.without[at]),
        _interval(found.combined, at),
        _interval(found.by_controls, at),
        _interval(found.by_baseline, at),
        float(np.expm1(_mean(users.reshape(1, -1))[0])),
        _index(drawn, served_mbit, span.history, window),
    )


def _interval(found: Saving, at: int) -> Estimate:
    return Estimate(float(found.ratio[at]), float(found.low[at]), float(found.high[at]))


def _index(drawn_wh: Floats, served_mbit: Floats, history: Mask, window: Mask) -> float:
    """The plan's efficiency index of a window against the history, over ticks that are known; NaN without any."""
    known = np.isfinite(drawn_wh) & np.isfinite(served_mbit)
    sums = [
        float(values[known & ticks].sum()) * unit
        for ticks in (window, history)
        for values, unit in ((served_mbit, BIT_PER_MBIT), (drawn_wh, J_PER_WH))
    ]
    return efficiency_gain(*sums) if min(sums) > 0 else float("nan")


def full_service_wh(facts: Facts) -> Callable[[Floats, Ints | None], Floats]:
    """Energy of a tick by the tables, at full service.

    What is returned takes loads (n,), or (k, T) of some ``cells`` (k,), to as many energies; NaN where not known.
    """
    tables, models = facts.tables, np.arange(len(facts.tables.size))
    load = np.arange(LOAD_STEPS + 1) / LOAD_STEPS
    at = (models, SYMBOL)
    every = np.tile(load, (len(models), 1))
    power = table_power(tables.rate[at], tables.power[at], tables.ul_power[at], facts.ul_per_dl, every)
    table = np.concatenate([power * facts.tick_s / 3600, np.full((len(models), 1), np.nan)], axis=1)

    def energy(load: Floats, cells: Ints | None = None) -> Floats:
        model = facts.model if cells is None else facts.model[cells]
        step = np.nan_to_num(np.clip(load, 0, 1) * LOAD_STEPS, nan=LOAD_STEPS + 1)
        rows = model if load.ndim == 1 else model[:, None]
        return np.asarray(table[rows, np.rint(step).astype(np.intp)])

    return energy


def _mbit(facts: Facts) -> Floats:
    """What each cell would serve in a tick at its full rate. (n,) [Mbit]"""
    return np.asarray(facts.tables.full_rate * facts.tables.size[facts.model] * facts.tick_s)


def _mean(values: Floats) -> Floats:
    """Mean along the last axis of what is known, NaN where nothing is. (n,)"""
    known = np.isfinite(values)
    count = known.sum(1)
    total = np.where(known, values, 0.0).sum(1)
    return np.asarray(np.divide(total, count, where=count > 0, out=np.full(len(values), np.nan)))


def _ints(at: list[LocalTime], part: Callable[[LocalTime], int]) -> Ints:
    return np.array([part(time) for time in at], np.intp)
