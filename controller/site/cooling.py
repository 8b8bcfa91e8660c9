"""What cooling draws at the sites that simulate it, and how warm it keeps cells: at a fixed set point, or planned.

A plan is made every six hours for a day and a half, from weather and heat of the two days before and the prices that
are published; it looks no further. Cooling runs before the battery: it heeds loads, weather and prices, not what the
battery does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from controller.site.tariff import TariffSeries
from hw.power.ageing import (
    CALENDAR_ACTIVATION,
    CALENDAR_LOSS,
    CALENDAR_REFERENCE_K,
    CALENDAR_SOC_CONSTANT,
    CALENDAR_SOC_CUBIC,
    END_LOSS,
    GAS_J_MOL_K,
)
from hw.power.cooling import Cooling, RoomState, cool, make_cooling, start_room
from hw.power.cooling_spec import CoolingSpec
from policies.site.cooling import Costs, guard_setpoint, plan_setpoints
from policies.site.cooling_model import Ahead

Float64 = NDArray[np.float64]
PLAN_S, AHEAD_S, DAY_S = 6 * 3600, 36 * 3600, 86_400
FADES_S = 8 * 3600.0  # in which the error of a temperature forecast is forgotten


class Around(NamedTuple):
    """What n rooms meet. (n, T)"""

    outdoor_c: Float64
    dewpoint_c: Float64
    solar_w: Float64
    heat_w: Float64
    mains: NDArray[np.bool_]


class Ageing(NamedTuple):
    """What a warm cell costs. (n,)"""

    per_h: Float64  # calendar ageing at 25 degC [currency/h]
    per_k: Float64  # its relative growth [1/K]


class Planned(NamedTuple):
    """What planned set points heed beside weather and heat. n rooms."""

    tariff: TariffSeries
    ageing: Ageing
    event: NDArray[np.bool_]  # (n, T) steps of grid events, in which the air may drift whatever the price
    known_at: NDArray[np.int64]  # (n, T) first step at which an event is known


def calendar_ageing(own: Float64, price: Float64, soc: Float64) -> Ageing:
    """Calendar ageing of packs, as if they wore by nothing else: rows of ``Plant.ageing``, price and ``soc``. (n,)"""
    loss = own[:, CALENDAR_LOSS] * (
        own[:, CALENDAR_SOC_CUBIC] * (soc - 0.5) ** 3 + own[:, CALENDAR_SOC_CONSTANT]
    )
    life_h = (own[:, END_LOSS] / loss) ** 2 / 3600
    # the square of the loss grows with the square of Arrhenius' factor
    return Ageing(price / life_h, 2 * own[:, CALENDAR_ACTIVATION] / (GAS_J_MOL_K * CALENDAR_REFERENCE_K**2))


def run_cooling(
    specs: Sequence[CoolingSpec],
    around: Around,
    step_s: int,
    setpoint_c: float,
    planned: Planned | None,
) -> tuple[Float64, Float64]:
    """Electric power of cooling and mean temperature of the cells in each step. (n, T) [W], [degC]

    With ``planned`` set points are planned; without it, all rooms are at ``setpoint_c``.
    """
    units, n_steps = make_cooling(specs), around.heat_w.shape[1]
    fixed_c = np.full(len(specs), setpoint_c)
    rooms = start_room(units, fixed_c)
    power_w, battery_c = np.empty(around.heat_w.shape), np.empty(around.heat_w.shape)
    course_c: Float64 | None = None
    for t in range(n_steps):
        since = t % max(1, PLAN_S // step_s)
        if planned is not None and since == 0 and t * step_s >= DAY_S:
            course_c = _plan(units, rooms, around, t, step_s, planned)
        asked_c = fixed_c
        if course_c is not None:
            asked_c = guard_setpoint(units, course_c[:, since], rooms.air_c, rooms.battery_c)
        before_c = rooms.battery_c.copy()
        now = (around.outdoor_c[:, t], around.solar_w[:, t], around.heat_w[:, t], asked_c, step_s)
        dewpoint_c, mains = around.dewpoint_c[:, t], around.mains[:, t]
        power_w[:, t], _ = cool(units, rooms, *now, dewpoint_c=dewpoint_c, mains=mains)
        battery_c[:, t] = (before_c + rooms.battery_c) / 2
    return power_w, battery_c


def _plan(units: Cooling, rooms: RoomState, around: Around, t: int, step_s: int, planned: Planned) -> Float64:
    """Set points of the coming day and a half, from what was known at step ``t``. (n, steps)"""
    steps, n = AHEAD_S // step_s, len(around.heat_w)
    ahead = Ahead(
        _coming(around.outdoor_c, t, steps, step_s, correct=True),
        _coming(around.dewpoint_c, t, steps, step_s, correct=True),
        _coming(around.solar_w, t, steps, step_s),
        _coming(around.heat_w, t, steps, step_s),
    )
    price = np.tile(_prices(planned.tariff, t, steps, DAY_S // step_s), (n, 1))
    ease, span = np.zeros((n, steps), np.bool_), slice(t, t + steps)
    told = planned.event[:, span] & (planned.known_at[:, span] <= t)
    ease[:, : told.shape[1]] = told
    costs, block_s = Costs(price, *planned.ageing), max(3600, step_s)
    return plan_setpoints(units, rooms, ahead, costs, step_s, ease=ease, block_s=block_s).setpoint_c


def _coming(series: Float64, t: int, steps: int, step_s: int, *, correct: bool = False) -> Float64:
    """The mean of the two days before, or of the one there is; ``correct``: shifted by the last step's error."""
    day = DAY_S // step_s
    days = series[:, max(t - 2 * day, t % day) : t].reshape(len(series), -1, day).mean(1)
    coming = np.resize(days.T, (steps, len(series))).T
    if not correct:
        return coming
    off = series[:, t - 1] - days[:, -1]
    return np.asarray(coming + off[:, None] * np.exp(-np.arange(steps) * step_s / FADES_S))


def _prices(tariff: TariffSeries, t: int, steps: int, day: int) -> Float64:
    """Prices as far as they are published, then those of the day before. (steps,)"""
    known = min(max(t + 1, tariff.known_until(t)), t + steps)
    price = tariff.import_price[max(0, known - day) : known]
    published = tariff.import_price[t:known]
    return np.concatenate([published, np.resize(price, steps - len(published))])
