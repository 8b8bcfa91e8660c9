"""When the battery works: plans over a day or two under the month's target, and the baselines, behind one interface.

::

    Moment -> Dispatch.decide -> Setpoint -> follow (the site's own) -> guard -> plant

A plan looks ``horizon_steps`` ahead and is made anew every ``replan_steps``; once a day the month's target is set anew.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from hw.power.plant import Plant, State
from hw.power.view import View, planning_view
from policies.site.ahead import Bill, Duty, Expected, make_fleet
from policies.site.follow import Setpoint
from policies.site.month_target import MonthTarget, month_target, ready_floors
from policies.site.problem import OK, Fleet, Plans, plan_fleet

Float64 = NDArray[np.float64]
SPARE_SHARE = (
    0.003  # of the capacity that a plan leaves for holding the month's limit: a last step must not fall short
)
CHEAP_SHARE = 1 / 8  # of a day: the hours in which a store is refilled
# of the price of what is stored at a plan's end, under a month's target: at just its price a plan would as well store
# later, until it must, in cheap hours and dear, within what the target leaves of the import
READY_PREMIUM = 0.02
T = TypeVar("T", bound=tuple[Any, ...])


class Moment(NamedTuple):
    """What is known of n sites when they are asked. Nothing in it comes from later."""

    step: int  # of the scene
    state: State
    dc_load_w: Float64  # (n,) of the step before
    battery_c: Float64  # (n,)
    bill: Bill


class Dispatch(Protocol):
    """A policy of the battery."""

    def decide(self, moment: Moment) -> Setpoint:
        """What the sites shall do from this step on."""
        ...


class Expect(Protocol):
    """Where a plan gets its inputs from: a forecast, or the truth."""

    def ahead(self, step: int, n_steps: int) -> Expected:
        """The coming steps of each site. (n, n_steps)"""
        ...

    def scenarios(self, step: int, n_steps: int) -> tuple[Expected, int]:
        """Possible courses, those of a site next to each other (n x count, n_steps), and their count."""
        ...


class Duties(Protocol):
    """What plans must keep, as known at a step."""

    def duty(self, step: int, n_steps: int, view: View) -> Duty:
        """Floors, caps and the stored energy wanted at the end of the coming steps."""
        ...


class Calendar(NamedTuple):
    """The steps that a plan must know."""

    step_h: float
    steps_per_day: int
    month_end: NDArray[np.int64]  # (T,) for each step the first step of the next billing month
    end: int  # first step that is not to be planned any more


@dataclass(frozen=True, slots=True)
class PlanSettings:
    """How a plan is made."""

    horizon_steps: int
    replan_steps: int
    with_target: bool = (
        True  # False: the billed peak only, as a planner that looks no further than its horizon
    )


class PlanDispatch:
    """Plans every site of a fleet together, one problem each."""

    def __init__(
        self, plant: Plant, expect: Expect, duties: Duties, calendar: Calendar, settings: PlanSettings
    ) -> None:
        self.plant, self.expect, self.duties = plant, expect, duties
        self.calendar, self.settings = calendar, settings
        self.target: MonthTarget | None = None
        self.plans: Plans | None = None
        self.infeasible = 0  # plans of a site that could not be made
        self._made_at = -1
        self._target_at = (-1, -1)  # day and end of the month of the target
        self._target_made = -1

    def decide(self, moment: Moment) -> Setpoint:
        """The plan's step, with the import limit that the month's target allows."""
        age = moment.step - self._made_at
        if self.plans is None or age >= self.settings.replan_steps:
            self._plan(moment)
            age = 0
        assert self.plans is not None
        ok = self.plans.status == OK
        battery_w = np.where(ok, self.plans.battery_w[:, age], 0.0)
        limit_w = np.where(
            moment.bill.demand_price > 0, np.maximum(self.plans.peak_w, moment.bill.peak_w), np.inf
        )
        # what a plan imports above an event's limit, it pays for
        paid_w = np.where(ok, self.plans.import_w[:, age], 0.0)
        return Setpoint(battery_w, np.where(ok, limit_w, np.inf), paid_w)

    def _plan(self, moment: Moment) -> None:
        n_steps = min(self.settings.horizon_steps, self.calendar.end - moment.step)
        ahead = self.expect.ahead(moment.step, n_steps)
        peak_w, charged = moment.bill.peak_w, moment.bill.demand_price > 0
        aims = self.settings.with_target and charged.any()
        if aims:
            peak_w = np.maximum(peak_w, self._target(moment).limit_w)
        fleet = self._fleet(moment, ahead, Bill(np.where(charged, peak_w, 0.0), moment.bill.demand_price))
        if moment.step + n_steps < self.calendar.end:
            end_price = replacement_price(fleet, self.calendar.steps_per_day)
            readiness = np.where(charged & aims, 1 + READY_PREMIUM, 1.0)
            fleet = fleet._replace(end_price=end_price * readiness)
        if charged.any():
            spare_wh = SPARE_SHARE * fleet.capacity_wh[:, None] * charged[:, None]
            fleet = fleet._replace(floor_wh=np.minimum(fleet.floor_wh + spare_wh, fleet.capacity_wh[:, None]))
        if aims:
            fleet = self._with_needs(fleet, moment.step, peak_w)
        self.plans = plan_fleet(fleet)
        self.infeasible += int((self.plans.status != OK).sum())
        self._made_at = moment.step

    def _target(self, moment: Moment) -> MonthTarget:
        calendar = self.calendar
        end = min(int(calendar.month_end[moment.step]), calendar.end)
        day = (moment.step // calendar.steps_per_day, end)
        if self.target is None or day != self._target_at:
            scenarios, count = self.expect.scenarios(moment.step, end - moment.step)
            fleet = self._fleet(moment, scenarios, moment.bill, count)
            self.target, self._target_at, self._target_made = month_target(fleet, count), day, moment.step
        return self.target

    def _with_needs(self, fleet: Fleet, step: int, limit_w: Float64) -> Fleet:
        """The fleet with what must be stored, on the way and at the end, so that the month can keep its target."""
        assert self.target is not None
        need_wh, last = self.target.need_wh[:, step - self._target_made :], fleet.load_w.shape[1]
        end_wh = fleet.end_wh
        if last < need_wh.shape[1]:
            end_wh = np.maximum(end_wh, need_wh[:, last])
        return fleet._replace(floor_wh=ready_floors(fleet, need_wh, limit_w), end_wh=end_wh)

    def _fleet(self, moment: Moment, ahead: Expected, bill: Bill, count: int = 1) -> Fleet:
        """The problems of all sites, or of ``count`` scenarios of each."""
        n_steps = ahead.dc_load_w.shape[1]
        mean_w = ahead.dc_load_w.mean(1).reshape(-1, count).mean(1)
        view = planning_view(self.plant, moment.state, mean_w, moment.battery_c)
        duty = self.duties.duty(moment.step, n_steps, view)
        plant, state = self.plant, moment.state
        if count > 1:
            plant, state = _repeat(plant, count), _repeat(state, count)
            view, duty, bill = _repeat(view, count), _repeat(duty, count), _repeat(bill, count)
        return make_fleet(plant, state, view, ahead, bill, duty, self.calendar.step_h)


def replacement_price(fleet: Fleet, steps_per_day: int) -> Float64:
    """What stored energy is worth at the end of a plan: what it costs to store it in the cheap hours of the last day.

    Without it each plan would sell what is stored, and the next one would have to buy it back. (n,) [currency/kWh]
    """
    last = np.sort(fleet.import_price[:, -steps_per_day:], axis=1)
    cheap = last[:, : max(1, round(CHEAP_SHARE * last.shape[1]))].mean(1)
    return np.asarray(np.maximum(cheap, 0.0) / fleet.charge_efficiency)


def _repeat(rows: T, count: int) -> T:
    """Every array of a named tuple with each site repeated."""
    made = [np.repeat(a, count, axis=0) if isinstance(a, np.ndarray) else a for a in rows]
    return type(rows)(*made)
