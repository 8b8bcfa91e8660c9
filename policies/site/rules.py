"""Baselines of the site's battery: ``idle``, ``rule`` and ``threshold``; all arrays in, arrays out.

``rule`` charges in the cheapest hours of the day and discharges in the dearest, as a timer in a power system does;
``threshold`` holds a fixed import limit and recharges below it. Both are tuned by grid search on the month before.
"""

from __future__ import annotations

from itertools import product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hw.power.plant import Plant
from hw.power.view import View, planning_view
from policies.site.dispatch import Calendar, Dispatch, Moment
from policies.site.follow import Setpoint

Float64 = NDArray[np.float64]


class Rule(NamedTuple):
    """Settings of ``rule`` at each site. (n,)"""

    charge_share: Float64  # of the day's steps, the cheapest, in which it charges [ratio]
    discharge_share: Float64  # of the day's steps, the dearest, in which it discharges [ratio]
    power_share: Float64  # of the battery's limits [ratio]


class Threshold(NamedTuple):
    """Settings of ``threshold`` at each site. (n,)"""

    limit_share: Float64  # of the highest import of the month before [ratio]
    charge_share: Float64  # of the day's steps, the cheapest, in which it recharges [ratio]


RULES = tuple(product((0.15, 0.3, 0.5), (0.0, 0.1, 0.2, 0.35), (0.1, 0.25, 1.0)))
THRESHOLDS = tuple(product((0.75, 0.8, 0.85, 0.9, 0.95, 1.0), (0.35, 1.0)))


def price_rank(day_price: Float64) -> Float64:
    """Share of the day's steps that are cheaper, equal prices counted half. ``day_price`` (steps,). [ratio]

    Half of the ties on each side: a day of one price ranks 0.5 throughout, so that nothing is cheap or dear in it.
    """
    ordered = np.sort(day_price)
    below = np.searchsorted(ordered, day_price, "left")
    return np.asarray((below + np.searchsorted(ordered, day_price, "right")) / (2 * len(day_price)))


class Idle:
    """Keeps the battery where it began."""

    def __init__(self, plant: Plant, keep_wh: Float64, step_h: float) -> None:
        self._plant, self._keep_wh, self._step_h = plant, keep_wh, step_h

    def decide(self, moment: Moment) -> Setpoint:
        """Recharge what was lost, nothing else."""
        return Setpoint(
            -refill_w(self._plant, moment, self._keep_wh, self._step_h), _unlimited(self._keep_wh)
        )


class RuleDispatch:
    """``rule``: by the rank of each step's price in its local day. ``rank`` (T,) over the scene."""

    def __init__(self, plant: Plant, settings: Rule, rank: Float64) -> None:
        self._plant, self._settings, self._rank = plant, settings, rank

    def decide(self, moment: Moment) -> Setpoint:
        """Charge where the price ranks low, discharge where it ranks high."""
        view, rank = view_now(self._plant, moment), self._rank[moment.step]
        charge, discharge = rank < self._settings.charge_share, rank > 1 - self._settings.discharge_share
        battery_w = np.where(discharge, view.discharge_max_w, np.where(charge, -view.charge_max_w, 0.0))
        battery_w *= self._settings.power_share / view.rectifier_efficiency
        return Setpoint(battery_w, _unlimited(battery_w))


class ThresholdDispatch:
    """``threshold``: a fixed import limit. ``reference_w`` (n,) is the highest import of the month before."""

    def __init__(self, plant: Plant, settings: Threshold, rank: Float64, reference_w: Float64) -> None:
        self._plant, self._settings = plant, settings
        self._rank, self._limit_w = rank, settings.limit_share * reference_w

    def decide(self, moment: Moment) -> Setpoint:
        """Hold the limit; recharge below it where the price is cheap enough."""
        view = view_now(self._plant, moment)
        charge = self._rank[moment.step] <= self._settings.charge_share
        return Setpoint(np.where(charge, -view.charge_max_w / view.rectifier_efficiency, 0.0), self._limit_w)


class Returning:
    """A policy that must end where it began: over its last half day it goes there at an even pace."""

    def __init__(self, inner: Dispatch, plant: Plant, end: int, keep_wh: Float64, calendar: Calendar) -> None:
        self._inner, self._plant, self._end, self._keep_wh = inner, plant, end, keep_wh
        self._step_h = calendar.step_h
        self._window = calendar.steps_per_day // 2

    def decide(self, moment: Moment) -> Setpoint:
        """The inner policy's wish, or the even share of what is missing or spare."""
        left = self._end - moment.step
        if left > self._window:
            return self._inner.decide(moment)
        missing_w = refill_w(self._plant, moment, self._keep_wh, self._step_h * left)
        view = view_now(self._plant, moment)
        spare_wh = np.maximum(moment.state.stored_wh - self._keep_wh, 0.0)
        spare_w = spare_wh * view.discharge_efficiency / (self._step_h * left) / view.rectifier_efficiency
        return Setpoint(spare_w - missing_w, _unlimited(missing_w))


def refill_w(plant: Plant, moment: Moment, keep_wh: Float64, hours: float) -> Float64:
    """Power at the meter that brings each battery to ``keep_wh`` within ``hours``. (n,)"""
    view = view_now(plant, moment)
    missing_wh = np.maximum(np.minimum(keep_wh, view.capacity_wh) - moment.state.stored_wh, 0.0)
    bus_w = np.minimum(missing_wh / view.charge_efficiency / hours, view.charge_max_w)
    return np.asarray(bus_w / view.rectifier_efficiency)


def view_now(plant: Plant, moment: Moment) -> View:
    """The plant's limits at the last measured load."""
    return planning_view(plant, moment.state, moment.dc_load_w, moment.battery_c)


def _unlimited(like: Float64) -> Float64:
    return np.full(len(like), np.inf)
