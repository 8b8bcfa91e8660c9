"""When the battery works: plans over a day or two under the month's target, and the baselines, behind one interface.

::

    Moment -> Dispatch.decide -> Setpoint -> follow (the site's own) -> guard -> plant

A plan looks ``horizon_steps`` ahead and is made anew every ``replan_steps``. The month's target is set anew once a day,
and more often the less of the month is left.
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
from policies.site.month_target import MonthTarget, least_limit_w, month_target, ready_floors
from policies.site.problem import OK, Fleet, Plans, plan_fleet

Float64 = NDArray[np.float64]
SPARE_SHARE = (
    0.003  # of the capacity that a plan leaves for holding the month's limit: a last step must not fall short
)
CHEAP_SHARE = 1 / 8  # of a day: the hours in which a store is refilled
# of the price of what is stored at a plan's end, under a month's target: at just its price a plan would as well store
# later, until it must, in cheap hours and dear, within what the target leaves of the import
READY_PREMIUM = 0.02
# by which a plan under a target takes a kWh for dearer with each day: plans are made anew long before their end, and
# one that would as well store tomorrow never stores
LATER_PREMIUM = 0.02
RENEWED = 8  # a target is set anew when this part of what was left of the month has passed, at the latest after a day
AT_LIMIT_W = 1.0  # a plan's import that is so near its limit is held there by the site
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
        self._charge_max_w = np.empty((0, 0))  # (n, T) of the plans
        self._target_at = (-1, -1)  # day and end of the month of the target
        self._target_made = -1

    def decide(self, moment: Moment) -> Setpoint:
        """The plan's step, with the import limit that the month's target allows."""
        age, left = moment.step - self._made_at, self.calendar.end - moment.step
        # an error of the last steps cannot be made good by a later plan
        if self.plans is None or age >= self.settings.replan_steps or left < self.settings.replan_steps:
            self._plan(moment)
            age = 0
        assert self.plans is not None
        ok = self.plans.status == OK
        limit_w = np.where(
            moment.bill.demand_price > 0, np.maximum(self.plans.peak_w, moment.bill.peak_w), np.inf
        )
        battery_w = np.where(ok, at_the_limit(self.plans, age, limit_w, self._charge_max_w), 0.0)
        # what a plan imports above an event's limit, it pays for
        paid_w = np.where(ok, self.plans.import_w[:, age], 0.0)
        return Setpoint(battery_w, np.where(ok, limit_w, np.inf), paid_w)

    def _plan(self, moment: Moment) -> None:
        n_steps = min(self.settings.horizon_steps, self.calendar.end - moment.step)
        ahead = self.expect.ahead(moment.step, n_steps)
        charged = moment.bill.demand_price > 0
        aims = self.settings.with_target and charged.any()
        billed_w = np.where(charged, moment.bill.peak_w, 0.0)
        fleet = self._fleet(moment, ahead, Bill(billed_w, moment.bill.demand_price))
        if moment.step + n_steps < self.calendar.end:
            end_price = replacement_price(fleet, self.calendar.steps_per_day)
            readiness = np.where(charged & aims, 1 + READY_PREMIUM, 1.0)
            fleet = fleet._replace(end_price=end_price * readiness)
        if charged.any():
            spare_wh = SPARE_SHARE * fleet.capacity_wh[:, None] * charged[:, None]
            fleet = fleet._replace(floor_wh=np.minimum(fleet.floor_wh + spare_wh, fleet.capacity_wh[:, None]))
        if aims:
            fleet = self._aimed(fleet, moment, charged)
        self.plans, self._charge_max_w = plan_fleet(fleet), fleet.charge_max_w
        self.infeasible += int((self.plans.status != OK).sum())
        self._made_at = moment.step

    def _target(self, moment: Moment) -> MonthTarget:
        calendar = self.calendar
        end = min(int(calendar.month_end[moment.step]), calendar.end)
        day, left = (moment.step // calendar.steps_per_day, end), end - moment.step
        passed = RENEWED * (moment.step - self._target_made) >= left
        if self.target is None or day != self._target_at or passed:
            scenarios, count = self.expect.scenarios(moment.step, left)
            fleet = self._fleet(moment, scenarios, moment.bill, count)
            self.target = month_target(fleet, count, last_day=left <= calendar.steps_per_day)
            self._target_at, self._target_made = day, moment.step
        return self.target

    def _aimed(self, fleet: Fleet, moment: Moment, charged: NDArray[np.bool_]) -> Fleet:
        """The fleet under the month's limit, with what must be stored to keep it, rather today than tomorrow."""
        target = self._target(moment)
        need_wh, price = target.need_wh[:, moment.step - self._target_made :], fleet.import_price
        hold_w, safe_w = (np.maximum(w, fleet.peak_w) for w in (target.hold_w, target.safe_w))
        limit_w = least_limit_w(fleet, need_wh, hold_w, safe_w)
        days = np.arange(price.shape[1]) / self.calendar.steps_per_day
        dearer = np.where(charged[:, None] & (price > 0), price * (1 + LATER_PREMIUM * days), price)
        return fleet._replace(
            floor_wh=ready_floors(fleet, need_wh, limit_w),
            import_price=dearer,
            peak_w=np.where(charged, limit_w, 0.0),
        )

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


def at_the_limit(plans: Plans, age: int, limit_w: Float64, charge_max_w: Float64) -> Float64:
    """Wanted battery power at the meter (n,) [W] of a step of the plans, given the import limits of the site (n,) [W].

    Where the plan imports what the limit allows, the site does too, though its load is another than was expected: it
    charges with all that the limit leaves, or discharges no more than the limit needs.
    """
    planned_w = plans.battery_w[:, age]
    held_w = np.where(planned_w < 0, -charge_max_w[:, age], 0.0)
    return np.where(plans.import_w[:, age] >= limit_w - AT_LIMIT_W, held_w, planned_w)


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
