"""An adversarial planner behind the real guard on the real plant, under a judge that shares none of their state."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from benchmarks.reserve_judge import HORIZON, Counts, Watch
from benchmarks.reserve_world import (
    NEIGHBOURS,
    PACK_V,
    PROGRAM_RATIO,
    STEP_S,
    STEPS_PER_DAY,
    Telemetry,
    World,
    expected_full_w,
    full_w,
    next_noise,
    on_battery_program,
    temperature_c,
)
from hw.power import flows as f
from hw.power.plant import Command, Inputs, Plant, State, step
from hw.power.view import meter_load_w
from policies.site.guard import Facts, GuardReason, Verdict, Wanted, guard
from policies.site.outage import run_program, with_mains
from policies.site.pack import cable_losses_w, charging_w, parameter, reserve_pack
from policies.site.recovery import RecoveryTerms, no_recovery, recover
from policies.site.reserve import Loads, Reserve, floor_wh
from policies.site.safe_charging import Ahead, Terms
from policies.site.soc_check import Cells, check_charge, unknown_charge

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
RECTIFIER_EFFICIENCY, ROOM_RATIO = 0.9, 0.9  # that the controller relies on
WORSE_SHARE, WORSE_BY = 0.02, 1.1  # packs that are worse than declared, and by how much
KNOWN_WITHIN_C = 2.0
SPREAD_S, WITHIN_S = 1800.0, 12 * 3600.0


class Belief(NamedTuple):
    """What share of each term of the reserve the guard is told; all 1 but where the judge is to be tested."""

    reserve: float = 1.0
    ageing: float = 1.0
    temperature: float = 1.0


class PlannerOf(Protocol):
    """Asks for battery power and import cap of a step, (n,) each."""

    def __call__(self, step: int, stored_wh: Floats, ahead: Ahead, at: int) -> Wanted:
        """What it wants in step ``at`` of a day."""
        ...


class Day(NamedTuple):
    """What is known at the start of a day."""

    truth: Reserve  # with every term whole
    told: Reserve  # what the guard is told
    ahead: Ahead


def adversary(rng: np.random.Generator, n: int) -> PlannerOf:
    """Empties the pack whenever it can; now and then it asks for nonsense."""

    def ask(step: int, stored_wh: Floats, ahead: Ahead, at: int) -> Wanted:  # noqa: ARG001
        wanted = rng.choice([1e3, 1e4, 1e300, np.inf, np.nan, 0.0, -1e3, -np.inf], n, p=ASKED)
        full = (
            step // STEPS_PER_DAY + np.arange(n)
        ) % 7 == 0  # one day a week it charges, to have what to take
        wanted = np.where(full, -3000.0, wanted)
        caps = rng.choice([0.0, 2000.0, 5000.0, np.inf, np.nan, -1.0], n, p=[0.3, 0.2, 0.2, 0.2, 0.05, 0.05])
        return Wanted(wanted, np.where(full, np.inf, caps))

    return ask


ASKED = [0.3, 0.2, 0.1, 0.2, 0.03, 0.1, 0.05, 0.02]


def prepare(plant: Plant, world: World, declared: Floats, day: int, belief: Belief) -> Day:
    """Floors and limits of the coming two days from what is expected."""
    slots = np.arange(HORIZON + 32) % STEPS_PER_DAY
    full = expected_full_w(world)[:, slots]
    transport = np.tile(world.transport_w[:, None], len(slots))
    radio_bus, transport_bus = cable_losses_w(plant, full, transport)
    planned, _ = cable_losses_w(plant, full * world.asleep[:, slots], transport)
    program, _ = cable_losses_w(plant, full * PROGRAM_RATIO, transport)
    loads = Loads(planned, radio_bus, program, transport_bus)
    first = day * STEPS_PER_DAY
    actual = np.stack([temperature_c(world, first + k) for k in range(HORIZON + 1)], axis=1)
    off_c = np.random.default_rng(day).uniform(0, KNOWN_WITHIN_C, (len(declared), 1))
    expected = actual - off_c
    peak_radio, peak_transport = cable_losses_w(
        plant, (world.static_w + world.dynamic_w)[:, None], world.transport_w[:, None]
    )
    peaks = (peak_radio + peak_transport)[:, 0], peak_transport[:, 0]

    def reserve(health: Floats, cells_c: Floats) -> Reserve:
        return floor_wh(
            world.backup, loads, world.agents, reserve_pack(plant, health, cells_c, *peaks), STEP_S
        )

    truth = told = reserve(declared, expected)
    if belief != Belief():
        warmed = expected if belief.temperature == 1 else np.maximum(expected, expected / 2 + 12.5)
        told = reserve(believed(declared, belief), warmed)
        told = told._replace(floor_wh=told.floor_wh * belief.reserve)
    bus = radio_bus[:, :HORIZON] + transport_bus[:, :HORIZON]
    ac = np.tile(world.ac_load_w[:, None], HORIZON)
    ahead = Ahead(
        told.floor_wh,
        charging_w(plant, expected[:, :-1], bus),
        meter_load_w(plant, full[:, :HORIZON] + transport[:, :HORIZON], ac),
    )
    return Day(truth, told, ahead)


def believed(declared: Floats, belief: Belief) -> Floats:
    """Health as the guard is told it."""
    return np.asarray(1 - belief.ageing * (1 - declared))


class Run:
    """n sites with their controller and their telemetry. ``state`` is changed in place."""

    def __init__(
        self, plant: Plant, world: World, state: State, rng: np.random.Generator, belief: Belief
    ) -> None:
        n = len(plant.rated_wh)
        self.plant, self.world, self.state, self.rng, self.belief = plant, world, state, rng, belief
        self.outside = rng.random(n) < WORSE_SHARE
        self.counts, self.telemetry = Counts(), Telemetry(n, rng)
        self.watch = Watch(n, self.outside, self.counts)
        self.recovery, self.program_state, self.charge = no_recovery(n), with_mains(n), unknown_charge(n)
        self.limits = RecoveryTerms(world.recovery_limit_w, np.full(n, SPREAD_S), np.full(n, WITHIN_S))
        self.terms = Terms(
            world.hard_cap_w,
            np.full(n, RECTIFIER_EFFICIENCY),
            parameter(plant, "charge_efficiency"),
            parameter(plant, "discharge_efficiency"),
            parameter(plant, "charge_rate") * plant.rated_wh,
            parameter(plant, "discharge_rate") * plant.rated_wh,
            plant.rated_wh * parameter(plant, "self_discharge_per_h"),
            np.full(n, ROOM_RATIO),
        )
        self.lost_left, self.declared = np.zeros(n, np.int64), np.ones(n)
        self.before_wh = state.stored_wh.copy()
        self.noise, self.neighbours = rng.standard_normal(n), np.zeros(n)

    def day(self, day: int, ask: PlannerOf) -> None:
        """Declare health, set the floors and go through the steps of one day."""
        n, plant = len(self.declared), self.plant
        off = np.where(self.outside, WORSE_BY, self.rng.uniform(0.985, 0.999, n))
        self.declared = np.minimum(self.declared, np.minimum(self.state.health * off, 1.0))
        known = prepare(plant, self.world, self.declared, day, self.belief)
        self.watch.announce(known.truth.floor_wh, self.state.stored_wh)
        self.counts.lowered += int(known.truth.alarm.sum())
        program = on_battery_program(known.truth.radio_s)
        for at in range(STEPS_PER_DAY):
            now = day * STEPS_PER_DAY + at
            begins = np.array([now in outages for outages in self.world.outage_steps]) & (self.lost_left == 0)
            self.lost_left[begins] = [self.world.outage_steps[i][now] for i in np.flatnonzero(begins)]
            verdict, recovering, soc = self.decide(now, at, begins, known, ask)
            self.counts.reasons += np.bincount(verdict.reason, minlength=len(GuardReason))
            mains = self.lost_left == 0
            orders = run_program(program, self.program_state, mains, soc, STEP_S)
            self.watch.begin(at, mains, begins, self.lost_left, recovering, known.truth, self.state)
            flows = self.happen(now, at, begins, orders.radio_ratio, verdict)
            self.watch.end(at, mains, self.lost_left, recovering, verdict.battery_w, flows)
            self.watch.forget(~mains | recovering, self.state.stored_wh)
            self.lost_left = np.maximum(self.lost_left - 1, 0)
        self.counts.steps += n * STEPS_PER_DAY
        self.counts.site_years += n / 365

    def decide(
        self, now: int, at: int, begins: Bools, known: Day, ask: PlannerOf
    ) -> tuple[Verdict, Bools, Floats]:
        """The controller's part. Returns its verdict, which sites recover, and the lowest state of charge."""
        capacity_wh = self.plant.rated_wh * believed(self.declared, self.belief)
        cells = Cells(
            capacity_wh / PACK_V,
            np.full(len(begins), 0.001),
            parameter(self.plant, "charge_rate") * capacity_wh / PACK_V,
            capacity_wh / PACK_V,
        )
        report = self.telemetry.report(self.plant, self.state, self.before_wh)
        checked = check_charge(self.charge, report, cells, STEP_S)
        stored_low = checked.low * capacity_wh
        # a failure shows only once it is there, and not at all while nothing is heard
        mains_seen = np.where(report.age_s < 3600, (self.lost_left == 0) | begins, True)
        room = known.ahead.charge_max_w[:, at] > 0
        floors = np.maximum(known.told.floor_wh[:, at], known.told.floor_wh[:, at + 1])
        recovered = recover(
            self.recovery, self.limits, mains_seen, stored_low, floors, room, STEP_S, self.rng
        )
        served_w = self.world.static_w + self.world.transport_w
        facts = Facts(
            stored_low, checked.trusted, mains_seen, recovered.recovering, recovered.charge_w, served_w
        )
        wanted = ask(now, stored_low, known.ahead, at)
        return guard(wanted, facts, known.ahead, self.terms, STEP_S, at), recovered.recovering, checked.low

    def happen(self, now: int, at: int, begins: Bools, ordered: Floats, verdict: Verdict) -> Floats:
        """The world's part: loads, temperature and the plant. Returns the flows."""
        world, n, mains = self.world, len(begins), self.lost_left == 0
        self.noise = next_noise(self.noise, self.rng)
        drawn = self.rng.uniform(0, NEIGHBOURS, n)
        self.neighbours = np.where(begins, drawn, np.where(mains, 0.0, self.neighbours))
        radio_w = full_w(world, at, self.noise, self.neighbours)
        radio_w *= radio_ratio(world, self.watch, at, mains, ordered)
        cells_c = temperature_c(world, now)
        self.before_wh = self.state.stored_wh.copy()
        inputs = Inputs(radio_w, world.transport_w, world.ac_load_w, np.zeros(n), cells_c, mains)
        command = Command(verdict.battery_w, verdict.import_cap_w, np.zeros(n))
        self.watch.gained += np.where(mains, self.most_wh(inputs), 0)
        return step(self.plant, self.state, inputs, command, STEP_S)

    def most_wh(self, inputs: Inputs) -> Floats:
        """What each plant would store in this step if it charged with all that its connection leaves. (n,)"""
        as_it_is = State(*(array.copy() for array in self.state))
        command = Command(-self.terms.charge_max_w, self.world.hard_cap_w, np.zeros(len(self.declared)))
        flows = step(self.plant, as_it_is, inputs, command, STEP_S)
        return np.asarray(flows[:, f.STORED_AFTER] - flows[:, f.STORED_BEFORE])


def run(
    plant: Plant,
    world: World,
    state: State,
    days: int,
    rng: np.random.Generator,
    ask: PlannerOf,
    belief: Belief | None = None,
) -> Counts:
    """Whole days of n sites. ``state`` is changed in place."""
    sites = Run(plant, world, state, rng, belief or Belief())
    for day in range(days):
        sites.day(day, ask)
    return sites.counts


def radio_ratio(world: World, watch: Watch, at: int, mains: Bools, ordered: Floats) -> Floats:
    """Radio power over that of full service: by the plan until the lease ends, then full or by the program."""
    leased = mains | (watch.lasted < world.backup.lease_s)
    ratio = np.where(leased, world.asleep[:, at], 1.0)
    reacted = ~mains & world.agents.acknowledged & (watch.lasted >= world.agents.reaction_s)
    shed = np.clip((watch.radio_s - watch.lasted) / STEP_S, 0, 1)  # at its time, which may lie within a step
    return np.where(reacted, np.where(shed > 0, PROGRAM_RATIO * shed, ordered), ratio)
