"""The import that the billing month should not exceed, and what must be stored to keep it, from scenarios.

A plan over a day sees no reason to keep a peak down that only the month's bill will show. So once a day each scenario
is priced over the whole remaining month at a ladder of import limits; the target is the limit with the least expected
cost, never below the peak already billed.

    for each scenario s, limit P:  V_s(P) = least energy and wear cost with the import at or below P
    cost of aiming at P:           mean over s of  V_s(Q) + demand_price x max(billed peak, Q),
                                   Q the lowest limit from P on that the scenario can keep
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from policies.site.problem import Fleet, checked, cost_at_caps

Float64 = NDArray[np.float64]
LADDER = 9  # limits that are priced in one look
LOOKS = 4  # each look narrows the ladder to the neighbours of the best limit
NEED_QUANTILE = 0.9  # of the scenarios, whose need of stored energy is met


class MonthTarget(NamedTuple):
    """What a plan over the coming days should know of the month."""

    limit_w: Float64  # (n,) at the meter; inf where the peak is not charged
    need_wh: Float64  # (n, T + 1) stored energy with which the rest of the month can keep the limit


def month_target(scenarios: Fleet, count: int) -> MonthTarget:
    """Limit and need of each site. ``scenarios`` holds n x count problems, those of a site next to each other."""
    scenarios = checked(scenarios)
    limit_w = month_target_w(scenarios, count)
    need_wh = np.empty_like(scenarios.floor_wh)
    _needs(scenarios, np.repeat(limit_w, count), need_wh)
    by_site = need_wh.reshape(len(limit_w), count, -1)
    return MonthTarget(limit_w, np.quantile(by_site, NEED_QUANTILE, axis=1))


@njit(parallel=True, cache=True)
def _needs(fleet, limit_w, need_wh):  # type: ignore[no-untyped-def]
    for i in prange(len(limit_w)):
        _need(fleet, i, limit_w[i], need_wh[i])


@njit(cache=True)
def _need(fleet, i, limit_w, need_wh):  # type: ignore[no-untyped-def]
    """Backwards: what a step above the limit takes out comes on top, what a step below it can store comes off."""
    steps = fleet.load_w.shape[1]
    need_wh[steps] = max(fleet.floor_wh[i, steps], fleet.end_wh[i])
    for t in range(steps - 1, -1, -1):
        room_w = min(limit_w, fleet.cap_w[i, t]) - max(fleet.load_w[i, t] - fleet.pv_w[i, t], 0.0)
        if room_w < 0:
            change_wh = (
                min(-room_w, fleet.discharge_max_w[i, t]) * fleet.step_h / fleet.discharge_efficiency[i]
            )
        else:
            change_wh = -min(room_w, fleet.charge_max_w[i, t]) * fleet.step_h * fleet.charge_efficiency[i]
        need_wh[t] = min(max(fleet.floor_wh[i, t], need_wh[t + 1] + change_wh), fleet.capacity_wh[i])


def month_target_w(scenarios: Fleet, count: int) -> Float64:
    """The import limit with the least expected cost of the remaining month. Shape (n,). [W at the meter]

    ``scenarios`` holds n x count problems, those of a site next to each other. A site without demand charge gets inf.
    """
    rows = len(scenarios.load_w)
    n = rows // count
    by_site = (n, count)
    billed_w = scenarios.peak_w.reshape(by_site)[:, 0]
    price = scenarios.demand_price.reshape(by_site)[:, 0] / 1000.0  # [currency/W]
    high_w = np.maximum((scenarios.load_w + scenarios.charge_max_w).reshape(n, -1).max(1), billed_w)
    net_w = np.maximum(scenarios.load_w - scenarios.pv_w, 0.0)
    low_w = np.maximum(_least_w(scenarios).reshape(n, count).min(1), billed_w)
    top_w = np.maximum(net_w.reshape(n, -1).max(1), billed_w)
    best_w, site = top_w, np.arange(n)
    for look in range(LOOKS):
        ladder_w = _ladder(low_w, top_w, high_w if look == 0 else None)
        cost = _expected(scenarios, ladder_w, billed_w, price, count)
        at = cost.shape[1] - 1 - np.argmin(cost[:, ::-1], 1)  # the highest of equals
        best_w = ladder_w[site, at]
        low_w = ladder_w[site, np.maximum(at - 1, 0)]
        top_w = ladder_w[site, np.minimum(at + 1, ladder_w.shape[1] - 1)]
    return np.where(price > 0, best_w, np.inf)


def _least_w(scenarios: Fleet) -> Float64:
    """No limit below this can be kept: the mean import, were the store emptied for it. (n x count,)"""
    hours = scenarios.load_w.shape[1] * scenarios.step_h
    mean_w = (scenarios.load_w - scenarios.pv_w).mean(1)
    emptied_w = scenarios.capacity_wh * scenarios.discharge_efficiency / hours
    return np.asarray(np.maximum(mean_w - emptied_w, 0.0))


def _ladder(low_w: Float64, top_w: Float64, high_w: Float64 | None) -> Float64:
    """Limits from low to top, and on the first look the one that binds nothing. (n, LADDER [+ 1])"""
    ladder_w = np.linspace(low_w, top_w, LADDER, axis=1)
    return ladder_w if high_w is None else np.concatenate([ladder_w, high_w[:, None]], 1)


def _expected(scenarios: Fleet, ladder_w: Float64, billed_w: Float64, price: Float64, count: int) -> Float64:
    """Expected cost of aiming at each limit. (n, limits)"""
    n, limits = ladder_w.shape
    energy = cost_at_caps(scenarios, np.repeat(ladder_w, count, axis=0)).reshape(n, count, limits)
    total = energy + (price[:, None] * np.maximum(ladder_w, billed_w[:, None]))[:, None, :]
    for k in range(limits - 2, -1, -1):
        total[:, :, k] = np.where(np.isfinite(total[:, :, k]), total[:, :, k], total[:, :, k + 1])
    return np.asarray(total.mean(1))
