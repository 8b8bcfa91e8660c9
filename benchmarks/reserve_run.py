"""An adversarial planner behind the real guard on the real plant, under a judge that shares none of their state."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from benchmarks.reserve_world import (
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
from policies.site.guard import Facts, GuardReason, Wanted, guard
from policies.site.outage import run_program, with_mains
from policies.site.pack import cable_losses_w, charging_w, parameter, reserve_pack
from policies.site.recovery import RecoveryTerms, no_recovery, recover
from policies.site.reserve import Loads, Reserve, floor_wh
from policies.site.safe_charging import Ahead, Terms
from policies.site.soc_check import Cells, check_charge, unknown_charge

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
HORIZON = 2 * STEPS_PER_DAY
SLACK_WH, SLACK_W = 1e-6, 1e-6
RECTIFIER_EFFICIENCY, ROOM_RATIO = 0.9, 0.9
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


@dataclass
class Counts:
    """What was found. Steps and outages over all sites."""

    site_years: float = 0
    steps: int = 0
    discharged_at_floor: int = 0
    started_below: int = 0
    worse_packs: int = 0  # either, by packs that are worse than declared
    out_of_reach: int = 0  # steps below a floor that could not have been met
    recovering_steps: int = 0
    outages: int = 0
    outages_judged: int = 0
    outages_missed: int = 0
    others: int = 0
    others_s: float = 0  # time for which others were asked for
    others_carried_s: float = 0  # and carried
    lowered: int = 0  # site-days with a declaration below the class
    discharged_kwh: float = 0
    reasons: NDArray[np.int64] = field(default_factory=lambda: np.zeros(len(GuardReason), np.int64))

    @property
    def violations(self) -> int:
        """Steps that break the rule of the reserve."""
        return self.discharged_at_floor + self.started_below

    def add(self, other: Counts) -> None:
        """Add the counts of other sites."""
        for item in fields(self):
            setattr(self, item.name, getattr(self, item.name) + getattr(other, item.name))


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


class Watch:
    """The judge: floors with every term whole, charge that could have been taken, and what outages carried."""

    def __init__(self, n: int) -> None:
        self.gained = np.zeros(n)  # what full charging would have stored since the beginning
        self.base = np.full(
            (n, HORIZON + 1), np.inf
        )  # of each boundary ahead: stored when its floor became known, less that
        self.floor = np.zeros((n, HORIZON + 1))
        self.lasted = np.zeros(n)  # time on battery
        self.radio_s, self.transport_s = np.zeros(n), np.zeros(n)
        self.judged, self.failed = np.zeros(n, bool), np.zeros(n, bool)
        self.carried_s = np.zeros(n)

    def announce(self, floor: Floats, stored_wh: Floats) -> None:
        """Floors of the coming horizon. One that was known already, and no lower, keeps the time it became known."""
        known = np.concatenate(
            [self.floor[:, STEPS_PER_DAY:], np.full((len(floor), STEPS_PER_DAY), -np.inf)], 1
        )
        base = np.concatenate([self.base[:, STEPS_PER_DAY:], np.full((len(floor), STEPS_PER_DAY), np.inf)], 1)
        anew = np.broadcast_to((stored_wh - self.gained)[:, None], floor.shape)
        self.base, self.floor = np.where(floor <= known + SLACK_WH, base, anew), floor.copy()

    def forget(self, sites: Bools, stored_wh: Floats) -> None:
        """In an outage and in recovery nothing could have been stored."""
        self.base[sites] = (stored_wh - self.gained)[sites, None]


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
    belief, n = belief or Belief(), len(plant.rated_wh)
    counts, watch, telemetry = Counts(site_years=n * days / 365), Watch(n), Telemetry(n, rng)
    recovery, program_state, charge = no_recovery(n), with_mains(n), unknown_charge(n)
    recovery_terms = RecoveryTerms(world.recovery_limit_w, np.full(n, SPREAD_S), np.full(n, WITHIN_S))
    terms = Terms(
        world.hard_cap_w,
        np.full(n, RECTIFIER_EFFICIENCY),
        parameter(plant, "charge_efficiency"),
        parameter(plant, "discharge_efficiency"),
        parameter(plant, "charge_rate") * plant.rated_wh,
        parameter(plant, "discharge_rate") * plant.rated_wh,
        plant.rated_wh * parameter(plant, "self_discharge_per_h"),
        np.full(n, ROOM_RATIO),
    )
    lost_left, mains_seen = np.zeros(n, np.int64), np.ones(n, bool)
    declared = np.ones(n)
    outside = rng.random(n) < 0.02  # packs that are worse than declared
    before = state.stored_wh.copy()
    noise, neighbours = rng.standard_normal(n), np.zeros(n)
    for day in range(days):
        declared = np.minimum(declared, state.health * np.where(outside, 1.1, rng.uniform(0.985, 0.999, n)))
        known = prepare(plant, world, np.minimum(declared, 1.0), day, belief)
        capacity_wh = plant.rated_wh * believed(np.minimum(declared, 1.0), belief)
        watch.announce(known.truth.floor_wh, state.stored_wh)
        counts.lowered += int(known.truth.alarm.sum())
        program = on_battery_program(known.truth.radio_s)
        cells = Cells(
            capacity_wh / PACK_V,
            np.full(n, 0.001),
            parameter(plant, "charge_rate") * capacity_wh / PACK_V,
            capacity_wh / PACK_V,
        )
        for at in range(STEPS_PER_DAY):
            now = day * STEPS_PER_DAY + at
            begins = np.array([now in outages for outages in world.outage_steps]) & (lost_left == 0)
            lost_left[begins] = [world.outage_steps[i][now] for i in np.flatnonzero(begins)]
            mains = lost_left == 0
            report = telemetry.report(plant, state, before)
            checked = check_charge(charge, report, cells, STEP_S)
            stored_low = checked.low * capacity_wh
            heard = report.age_s < 3600
            mains_seen = np.where(heard, mains | begins, True)  # a failure shows only once it is there
            room = known.ahead.charge_max_w[:, at] > 0
            floors = np.maximum(known.told.floor_wh[:, at], known.told.floor_wh[:, at + 1])
            recovered = recover(recovery, recovery_terms, mains_seen, stored_low, floors, room, STEP_S, rng)
            wanted = ask(now, stored_low, known.ahead, at)
            facts = Facts(
                stored_low,
                checked.trusted,
                mains_seen,
                recovered.recovering,
                recovered.charge_w,
                world.static_w + world.transport_w,
            )
            verdict = guard(wanted, facts, known.ahead, terms, STEP_S, at)
            counts.reasons += np.bincount(verdict.reason, minlength=len(GuardReason))
            noise = next_noise(noise, rng)
            neighbours = np.where(begins, rng.uniform(0, 0.2, n), np.where(mains, 0.0, neighbours))
            orders = run_program(program, program_state, mains, checked.low, STEP_S)
            radio_w = full_w(world, at, noise, neighbours)
            radio_w *= radio_ratio(world, watch, at, mains, orders.radio_ratio)
            before = state.stored_wh.copy()
            watch_start(
                watch, counts, at, mains, begins, lost_left, recovered.recovering, known, state, ~outside
            )
            cells_c = temperature_c(world, now)
            inputs = Inputs(radio_w, world.transport_w, world.ac_load_w, np.zeros(n), cells_c, mains)
            command = Command(verdict.battery_w, verdict.import_cap_w, np.zeros(n))
            flows = step(plant, state, inputs, command, STEP_S)
            discharges = mains & (verdict.battery_w > 0) & (flows[:, f.BATTERY_OUT] > SLACK_W)
            at_floor = discharges & ~recovered.recovering & (before <= watch.floor[:, at])
            counts.discharged_at_floor += int((at_floor & ~outside).sum())
            counts.worse_packs += int((at_floor & outside).sum())
            counts.discharged_kwh += float(flows[discharges, f.BATTERY_OUT].sum()) * STEP_S / 3.6e6
            watch_end(watch, counts, flows, mains, lost_left)
            gain_w = charging_w(plant, cells_c[:, None], (radio_w + world.transport_w)[:, None])[:, 0]
            load = meter_load_w(plant, radio_w + world.transport_w, world.ac_load_w)
            left = np.maximum(world.hard_cap_w - load, 0) * RECTIFIER_EFFICIENCY
            stored_w = (
                np.minimum(gain_w, left) * parameter(plant, "charge_efficiency") - terms.self_discharge_w
            )
            watch.gained += np.where(mains, stored_w * STEP_S / 3600, 0)
            watch.forget(~mains | recovered.recovering, state.stored_wh)
            counts.recovering_steps += int(recovered.recovering.sum())
            lost_left = np.maximum(lost_left - 1, 0)
        counts.steps += n * STEPS_PER_DAY
    return counts


def radio_ratio(world: World, watch: Watch, at: int, mains: Bools, ordered: Floats) -> Floats:
    """Radio power over that of full service: by the plan until the lease ends, then full or by the program."""
    leased = mains | (watch.lasted < world.backup.lease_s)
    ratio = np.where(leased, world.asleep[:, at], 1.0)
    reacted = ~mains & world.agents.acknowledged & (watch.lasted >= world.agents.reaction_s)
    shed = np.clip((watch.radio_s - watch.lasted) / STEP_S, 0, 1)  # at its time, which may lie within a step
    return np.where(reacted, np.where(shed > 0, PROGRAM_RATIO * shed, ordered), ratio)


def watch_start(
    watch: Watch,
    counts: Counts,
    at: int,
    mains: Bools,
    begins: Bools,
    lost_left: NDArray[np.int64],
    recovering: Bools,
    known: Day,
    state: State,
    inside: Bools,
) -> None:
    """Judge what is stored at the start of a step, and which outages must be carried."""
    floor = watch.floor[:, at]
    below = state.stored_wh < floor - SLACK_WH
    reachable = floor <= watch.base[:, at] + watch.gained + SLACK_WH
    broken = below & mains & ~recovering & reachable
    counts.started_below += int((broken & inside).sum())
    counts.worse_packs += int((broken & ~inside).sum())
    counts.out_of_reach += int((below & mains & ~recovering & ~reachable).sum())
    watch.radio_s[begins] = known.truth.radio_s[begins]
    watch.transport_s[begins] = known.truth.transport_s[begins]
    watch.lasted[begins] = watch.carried_s[begins] = 0.0
    watch.failed[begins] = False
    short = lost_left * STEP_S <= watch.transport_s
    must = begins & short & inside & ~recovering & (~below | reachable) & (state.lvd_stage == 0)
    watch.judged[begins] = must[begins]
    counts.outages += int(begins.sum())


def watch_end(
    watch: Watch, counts: Counts, flows: Floats, mains: Bools, lost_left: NDArray[np.int64]
) -> None:
    """Judge what an outage carried in a step, and book it where it ends."""
    ends_s = watch.lasted + STEP_S
    radio = (flows[:, f.RADIO_SHED] > SLACK_W) & (ends_s <= watch.radio_s)
    transport = (flows[:, f.TRANSPORT_SHED] > SLACK_W) & (ends_s <= watch.transport_s)
    watch.failed |= ~mains & (radio | transport)
    watch.lasted[~mains] += STEP_S
    watch.carried_s[~mains & ~watch.failed] += STEP_S
    over = ~mains & (lost_left == 1)
    judged, others = over & watch.judged, over & ~watch.judged
    counts.outages_judged += int(judged.sum())
    counts.outages_missed += int((judged & watch.failed).sum())
    counts.others += int(others.sum())
    asked_s = np.minimum(watch.lasted, watch.transport_s)
    counts.others_s += float(asked_s[others].sum())
    counts.others_carried_s += float(np.minimum(watch.carried_s, asked_s)[others].sum())
