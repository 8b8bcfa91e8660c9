"""What the batteries shall do from a planning interval on: the planner and the guard of a replay, on what was measured.

::

    means of each step --> history --> Outlook --> PlanDispatch --> follow --> guard --> setpoint of each site
    (a trace of the past before them)              (policies/site)

All of it is over the n sites of the sites file; a site of which nothing was measured counts as at its rated load.
"""

from __future__ import annotations

import numpy as np

from controller.live.power.asking import GroupAsks, Held, Seen, taken
from controller.live.power.fleet import Float64, Mask, Sites
from controller.live.power.history import History
from controller.live.power.inputs import Inputs
from controller.live.power.telemetry import Step, Telemetry
from controller.live.power.turns import GroupDispatch, Turns
from controller.site.comparison import REPLAN_S
from hw.agents.power_core import LEAST_EFFICIENCY
from hw.power.plant import State, start_state
from hw.power.view import View, meter_load_w, planning_view
from policies.site.ahead import Bill
from policies.site.dispatch import Calendar, Moment, PlanSettings
from policies.site.follow import Loads, Setpoint, follow, hold
from policies.site.guard import Facts, GuardReason, Verdict, Wanted, guard
from policies.site.safe_charging import Ahead, Terms

HORIZON_DAYS = 2
ROOM_RATIO = 0.9  # share of the expected charging that the guard relies on, as in a replay


class LivePlanner:
    """Plans n sites at every planning interval and guards each setpoint at every tick."""

    def __init__(self, inputs: Inputs) -> None:
        self.inputs = inputs
        self.history = History(inputs)
        self._seen: Seen | None = None
        self._turns: Turns | None = None
        self._begun = -1  # first step of the history that the plans count from
        self._month = -1
        self._peak_w = np.zeros(inputs.n_sites)  # billed so far in the month

    def warm_up(self) -> None:
        """Plan and guard once for nobody, so that all is compiled before the first tick."""
        inputs, n = self.inputs, self.inputs.n_sites
        other = LivePlanner(inputs)
        telemetry = Telemetry(inputs)
        telemetry.soc[:] = telemetry.low_soc[:] = 0.9
        telemetry.stored_wh[:] = 0.9 * inputs.plant.rated_wh * inputs.health
        telemetry.load_w[:], telemetry.trusted[:] = inputs.upper_dc_w / 2, True
        telemetry.warm_up()
        step = other.history.first + other.history.n_before(2**40) if other.history.first >= 0 else 0
        other.learn(step, Step(*(np.full(n, 100.0) for _ in Step._fields)))
        held = Held(inputs.floor_wh(np.zeros(n, np.bool_)), inputs.import_cap_w)
        wanted = other.plan(step + 1, telemetry, held)
        assert wanted is not None
        other.setpoints(wanted, telemetry, held)

    def learn(self, step: int, measured: Step) -> None:
        """Take in what a step, number of whole steps since 1970, has shown."""
        self.history.add(step, measured)
        month, counts = self.history.billed(step)
        if month != self._month:
            self._month, self._peak_w = month, np.zeros_like(self._peak_w)
        if counts:
            self._peak_w = np.fmax(self._peak_w, measured.import_w)

    def plan(self, step: int, telemetry: Telemetry, held: Held) -> Setpoint | None:
        """What the plan wants of each site from a step on: powers at the meter. None before anything is known."""
        history = self.history
        if not history.n_before(step):
            return None
        history.look_from(step)
        inputs, now = self.inputs, step - history.first
        if self._turns is None or self._begun != history.first:
            self._begun = history.first
            self._turns = Turns(inputs.n_sites, self._make, inputs.steps_per_day)
        self._seen = Seen(inputs, history.scene(), history.calendar, held)
        self._turns.begin()
        tariff = history.tariff
        price = np.full(inputs.n_sites, tariff.demand_price[tariff.month[now]])
        state, load_w = self._state(telemetry), self._load_w(telemetry)
        wanted = Setpoint(np.zeros(inputs.n_sites), np.full(inputs.n_sites, np.inf))
        for sites, dispatch in self._turns.groups:
            dispatch.calendar = self._calendar()
            bill = Bill(self._peak_w[sites], price[sites])
            decided = dispatch.decide(
                Moment(now, taken(state, sites), load_w[sites], inputs.battery_c[sites], bill)
            )
            wanted.battery_w[sites] = decided.battery_w
            wanted.import_limit_w[sites] = decided.import_limit_w
        return wanted

    def _make(self, sites: Sites) -> GroupDispatch:
        inputs = self.inputs
        settings = PlanSettings(HORIZON_DAYS * inputs.steps_per_day, max(1, REPLAN_S // inputs.step_s))
        asked = GroupAsks(self, sites)
        return GroupDispatch(taken(inputs.plant, sites), asked, asked, self._calendar(), settings)

    def seen(self) -> Seen:
        """What plans may know now."""
        assert self._seen is not None
        return self._seen

    def setpoints(self, wanted: Setpoint, telemetry: Telemetry, held: Held) -> Verdict:
        """Powers at the bus and import limits that the guard lets pass now."""
        limit_w = np.minimum(wanted.import_limit_w, held.import_cap_w)
        state, loads = self._state(telemetry), self._loads(telemetry)
        asked_w = follow(self.inputs.plant, state, Setpoint(wanted.battery_w, limit_w), loads)
        return self.guarded(asked_w, limit_w, telemetry, held)

    def guarded(self, battery_w: Float64, limit_w: Float64, telemetry: Telemetry, held: Held) -> Verdict:
        """The guard's word on powers at the bus. (n,) each

        A site holds its import limit with the battery, whatever power was asked of it: that is judged, and where the
        reserve forbids it the limit goes.
        """
        inputs, plant = self.inputs, self.inputs.plant
        state, load_w = self._state(telemetry), self._load_w(telemetry)
        view = planning_view(plant, state, load_w, inputs.battery_c)
        served_w = load_w - np.nan_to_num(telemetry.pv_w) * plant.sites["converter_efficiency"]
        nothing, shape = np.zeros(inputs.n_sites), (inputs.n_sites, 2)
        facts = Facts(
            stored_wh=np.minimum(telemetry.low_soc * view.capacity_wh, np.nan_to_num(telemetry.stored_wh)),
            trusted=telemetry.trusted.copy(),
            mains=telemetry.mains.copy(),
            recovering=np.zeros(inputs.n_sites, np.bool_),
            recovery_w=nothing,
            served_w=np.asarray(served_w, np.float64),
        )
        upper_w = meter_load_w(plant, inputs.upper_dc_w, inputs.ac_load_w)
        ahead = Ahead(
            np.repeat(np.minimum(held.floor_wh, view.capacity_wh)[:, None], 3, axis=1),
            np.ascontiguousarray(np.broadcast_to(view.charge_max_w[:, None], shape)),
            np.ascontiguousarray(np.broadcast_to(upper_w[:, None], shape)),
        )
        does_w = hold(plant, state, battery_w, limit_w, self._loads(telemetry))
        verdict = guard(
            Wanted(does_w, held.import_cap_w), facts, ahead, self._terms(view, state, held), inputs.step_s
        )
        limit_w = np.where(binds(verdict), held.import_cap_w, np.minimum(limit_w, held.import_cap_w))
        return verdict._replace(import_cap_w=limit_w)

    def _terms(self, view: View, state: State, held: Held) -> Terms:
        return Terms(
            hard_cap_w=held.import_cap_w,
            rectifier_efficiency=view.rectifier_efficiency,
            charge_efficiency=view.charge_efficiency,
            discharge_efficiency=view.discharge_efficiency,
            charge_max_w=view.charge_max_w,
            discharge_max_w=view.discharge_max_w,
            self_discharge_w=state.stored_wh * self.inputs.plant.sites["self_discharge_per_h"],
            room_ratio=np.full(self.inputs.n_sites, ROOM_RATIO),
        )

    def _calendar(self) -> Calendar:
        history = self.history
        return Calendar(
            self.inputs.step_s / 3600, self.inputs.steps_per_day, history.month_end, history.n_tariff
        )

    def _state(self, telemetry: Telemetry) -> State:
        soc = np.clip(np.nan_to_num(telemetry.soc), 0.0, 1.0)
        return start_state(self.inputs.plant, soc, self.inputs.health)

    def _loads(self, telemetry: Telemetry) -> Loads:
        return Loads(self._load_w(telemetry), self.inputs.ac_load_w, np.nan_to_num(telemetry.pv_w))

    def _load_w(self, telemetry: Telemetry) -> Float64:
        return np.where(np.isnan(telemetry.load_w), self.inputs.upper_dc_w, telemetry.load_w)


def binds(verdict: Verdict) -> Mask:
    """Whether the guard took something away for the reserve; loads and packs limit themselves. (n,)"""
    as_wanted = (GuardReason.AS_WANTED, GuardReason.NO_EXPORT, GuardReason.PACK_LIMIT)
    return ~np.isin(verdict.reason, as_wanted)


def within(reserve_wh: Float64, stored_wh: Float64, battery_w: Float64, held_s: Float64) -> Mask:
    """Whether a power held so long keeps the stored energy above a reserve, as power agents judge it. (n,)"""
    drained_wh = np.maximum(battery_w, 0.0) / LEAST_EFFICIENCY * held_s / 3600
    return np.asarray(stored_wh - drained_wh >= reserve_wh)
