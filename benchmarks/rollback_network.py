"""A simulated city whose canary sites act: what their KPIs and meters would report. Used by benchmarks/rollback.py.

Traffic is ``traces.synth`` with the path inside its steps, power and rates are those of a world. What no table knows is
drawn on top, all of it assumed:

- user throughput: a course of the region (4 %, 6 h) and of each site (3 %, 3 h, Student t of 5) that all its cells
  share, a daily course of each cell (3 %), noise of a tick that grows as users get few (6 %, and 2.5 % over the root of
  the load, Student t of 5), 1 in 1000 ticks counted half or one and a half times, 1.5 % of the ticks lost in runs;
- rates of the levels that differ from the tables by 1.5 % in each cell;
- power: of each cell 5 % off the tables at rest and 8 % in what traffic adds; 1.5 % with the hour and the weather of
  the region, 0.5 % of each site, and a walk of 0.3 % a week;
- meters: 1 % off for good, 1 % in each reading, 1 % of the readings lost.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.signal import lfilter

from controller.replay.scene import Scene, make_scene
from controller.worlds import DEFAULT_WORLD, EvaluatedWorld, load_world
from hw.plant import execute
from hw.sharing import Groups, local_candidates, share_out
from hw.tables import Tables, user_throughput
from hw.waking import after_sample, before_sample, service_begin
from hw.world import SYMBOL
from policies.trust.canaries import Fleet
from policies.trust.kpi_baseline import expected_throughput
from traces import Trace
from traces.synthesis import SynthSpec, generate

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]
Bools = NDArray[np.bool_]

TICKS_PER_DAY, SAMPLES_PER_TICK, HOURS = 96, 15, 24
N_SLOTS = 2 * HOURS  # hours of weekdays and of weekends
PLAN_MARGIN, PLAN_LOAD = (
    2.5,
    0.8,
)  # of the usual load of an hour, and the share of a level's rate that it may fill


@dataclass(frozen=True)
class City:
    """One city and its clock. n cells, T ticks; the first ``history`` ticks pass at full service."""

    trace: Trace
    scene: Scene  # of the trial
    seed: int
    history: int

    @property
    def n_ticks(self) -> int:
        """Ticks of history and trial."""
        return self.trace.n_steps

    @property
    def hour(self) -> Ints:
        """Local hour of each tick; the trace begins at local midnight. (T,) [h]"""
        return np.arange(self.n_ticks) % TICKS_PER_DAY * HOURS // TICKS_PER_DAY

    @property
    def slot(self) -> Ints:
        """Hour of the week's kinds of days; the trace begins on a Monday. (T,)"""
        weekend = np.arange(self.n_ticks) // TICKS_PER_DAY % 7 >= 5
        return self.hour + HOURS * weekend

    @property
    def model(self) -> NDArray[np.int32]:
        """Radio model of each cell. (n,)"""
        return self.scene.network.groups.model

    @property
    def load(self) -> NDArray[np.float32]:
        """Offered traffic of each tick. (n, T) [ratio of full rate]"""
        return self.trace.dl_prb_ratio

    def random(self, purpose: int) -> np.random.Generator:
        """Chance of this city for one purpose."""
        return np.random.default_rng([self.seed, purpose])


@cache
def world() -> EvaluatedWorld:
    """The hardware of the city."""
    return load_world(DEFAULT_WORLD)


def make_city(seed: int, n_sites: int, history_days: int, trial_days: int, layers: int = 2) -> City:
    """A city of three sectors a site."""
    spec = SynthSpec(n_sites=n_sites, layers=layers, days=history_days + trial_days, seed=seed)
    trace, history = generate(spec), history_days * TICKS_PER_DAY
    return City(trace, make_scene(part(trace, slice(history, None)), world(), seed=seed), seed, history)


def part(trace: Trace, ticks: slice) -> Trace:
    """The loads of some of the ticks of a trace."""
    uplink = trace.ul_prb_ratio
    return Trace(
        source=trace.source,
        cells=trace.cells,
        start=trace.times()[ticks][0],
        step_s=trace.step_s,
        time_zone=trace.time_zone,
        dl_prb_ratio=np.ascontiguousarray(trace.dl_prb_ratio[:, ticks]),
        ul_prb_ratio=None if uplink is None else np.ascontiguousarray(uplink[:, ticks]),
    )


def fleet_of(city: City) -> Fleet:
    """What is known of the city's cells from the history. Hours are those of its steps of 15 min."""
    cells = city.trace.cells
    return Fleet(
        site=cells.site_numbers().astype(np.intp),
        group=city.scene.network.group_of,
        product=np.unique(cells.product, return_inverse=True)[1],
        is_capacity=cells.is_capacity,
        load=city.trace.dl_prb_ratio[:, : city.history].astype(np.float64),
        local_hour=city.hour[: city.history],
        neighbour=np.zeros((0, 2), np.intp),
    )


def usual_load(city: City) -> Floats:
    """Mean load of each cell in each slot of the history. (n, N_SLOTS) [ratio]"""
    load, slot = city.load[:, : city.history], city.slot[: city.history]
    return np.stack([load[:, slot == s].mean(1, dtype=np.float64) for s in range(N_SLOTS)], axis=1)


def plan_by_hour(city: City, acting: Bools) -> NDArray[np.uint8]:
    """A plan of the trial by the usual load of the hour: rest as deep as margin and target allow. (n, trial ticks)"""
    scene, groups = city.scene, city.scene.network.groups
    tables, slot = scene.tables, city.slot
    usual = usual_load(city) * PLAN_MARGIN
    level = np.full(usual.shape, SYMBOL, np.uint8)
    need = tables.target / tables.full_rate
    for deeper in np.flatnonzero(~tables.asleep)[SYMBOL + 1 :]:
        rate = tables.rate[city.model, deeper][:, None]
        fits = (usual <= PLAN_LOAD * rate) & (rate - usual >= need)
        level[fits & scene.network.allowed[:, deeper][:, None]] = deeper
    off = int(np.flatnonzero(tables.asleep)[0])
    for i in np.flatnonzero(scene.network.allowed[:, off]):
        hosts = groups.candidate[groups.candidate_start[i] : groups.candidate_start[i + 1]]
        relieved = usual[i] + usual[hosts].sum(0) <= 0.5
        level[i, relieved] = off
        level[np.ix_(hosts, np.flatnonzero(relieved))] = SYMBOL
    level[~acting] = SYMBOL
    return np.ascontiguousarray(level[:, slot[city.history :]])


@njit(cache=True)
def _serve(tables, groups, path, plan, per_tick, carried, weighted):  # type: ignore[no-untyped-def]
    """Serve ``plan``; writes what each sample carried and the sum of traffic times user throughput of each tick."""
    for g in range(len(groups.group_start) - 1):
        members = groups.member[groups.group_start[g] : groups.group_start[g + 1]]
        n, models = len(members), groups.model[members]
        matrix = local_candidates(members, groups)
        now, load, room, placed = np.empty(n, np.float32), np.empty(n), np.empty(n), np.zeros((n, n))
        level, service, left = np.full(n, 1), np.full(n, 1), np.zeros(n, np.int64)
        for t in range(path.shape[1]):
            for k in range(n):
                if t % per_tick == 0:
                    level[k] = plan[members[k], t // per_tick]
                    service[k], left[k] = service_begin(tables, level[k], service[k], left[k])
                now[k] = path[members[k], t]
                before_sample(service, left, k, level[k], now[k])
            share_out(tables, models, matrix, now, service, load, room, placed)
            for k in range(n):
                carried[members[k], t] = load[k]
                throughput = user_throughput(tables, models[k], service[k], load[k], load[k])
                weighted[members[k], t // per_tick] += load[k] * throughput
                after_sample(service, left, k, level[k])


def serve(
    tables: Tables, groups: Groups, path: NDArray[np.float32], plan: NDArray[np.uint8]
) -> tuple[NDArray[np.float32], Floats]:
    """What each sample carried (n, samples) [ratio] and the true user throughput of each tick (n, T) [Mbit/s]."""
    carried, weighted = np.empty(path.shape, np.float32), np.zeros(plan.shape)
    _serve(tables, groups, path, plan, SAMPLES_PER_TICK, carried, weighted)
    total = carried.reshape(*plan.shape, -1).sum(2)
    return carried, np.divide(weighted, total, where=total > 0, out=np.full(plan.shape, np.nan))


def alone(city: City) -> Groups:
    """The city's cells with nobody to hand traffic to: at full service it makes no difference, and it is faster."""
    n = len(city.model)
    nothing = np.zeros(0, np.int32)
    each = np.arange(n + 1, dtype=np.int32)
    return Groups(city.model, np.zeros(n + 1, np.int32), nothing, each, each[:-1], nothing.astype(np.float32))


def expected_by_tick(
    tables: Tables, model: NDArray[np.int32], plan: NDArray[np.uint8], carried: NDArray[np.float32]
) -> Floats:
    """What the tables promise of each tick. (n, T) [Mbit/s]"""
    ticks = carried.reshape(*plan.shape, SAMPLES_PER_TICK)
    promised = [expected_throughput(tables, model, plan[:, t], ticks[:, t]) for t in range(plan.shape[1])]
    return np.stack(promised, axis=1)


def select(groups: Groups, cells: Ints) -> Groups:
    """The whole groups that ``cells``, in ascending order, are made of, renumbered."""
    new = np.full(len(groups.model), -1, np.int32)
    new[cells] = np.arange(len(cells), dtype=np.int32)
    kept = [groups.candidate[groups.candidate_start[i] : groups.candidate_start[i + 1]] for i in cells]
    overlap = [groups.overlap[groups.candidate_start[i] : groups.candidate_start[i + 1]] for i in cells]
    start = np.concatenate([[0], np.cumsum([len(k) for k in kept])]).astype(np.int32)
    sizes = np.diff(groups.group_start)
    inside = new[groups.member] >= 0
    group_of = np.repeat(np.arange(len(sizes)), sizes)[inside]
    counts = np.bincount(group_of, minlength=len(sizes))
    first = np.concatenate([[0], np.cumsum(counts[counts > 0])]).astype(np.int32)
    return Groups(
        model=groups.model[cells],
        candidate_start=start,
        candidate=new[np.concatenate(kept)],
        group_start=first,
        member=new[groups.member[inside]],
        overlap=np.concatenate(overlap).astype(np.float32),
    )


def energy_of(scene: Scene, groups: Groups, cells: Ints, plan: NDArray[np.uint8]) -> Floats:
    """Energy of the cells of ``groups`` in each tick by the tables. (cells, T) [power_unit x h]"""
    figures = execute(
        scene.tables,
        groups,
        np.ascontiguousarray(scene.path[cells]),
        np.ascontiguousarray(scene.ul_per_dl[cells]),
        plan,
        samples_per_tick=SAMPLES_PER_TICK,
        samples_per_day=SAMPLES_PER_TICK * TICKS_PER_DAY,
        energy_per_tick=True,
    )
    return figures.energy_tick.astype(np.float64) / 60


def course(
    random: np.random.Generator, shape: tuple[int, ...], sigma: float, ticks: float, tails: float = 0
) -> Floats:
    """First-order course of standard deviation ``sigma`` that forgets in ``ticks``; Student t of ``tails``, if any."""
    memory = np.exp(-1 / ticks)
    white = (
        random.standard_t(tails, shape) * np.sqrt((tails - 2) / tails)
        if tails
        else random.standard_normal(shape)
    )
    white[..., 1:] *= np.sqrt(1 - memory**2)
    return np.asarray(sigma * lfilter([1.0], [1.0, -memory], white, axis=-1))


def lost(random: np.random.Generator, shape: tuple[int, int], share: float, ticks: int = 4) -> Bools:
    """Ticks lost in runs of ``ticks``. Shape ``shape``."""
    start = random.random(shape) < share / ticks
    found = start.copy()
    for k in range(1, ticks):
        found[:, k:] |= start[:, :-k]
    return found
