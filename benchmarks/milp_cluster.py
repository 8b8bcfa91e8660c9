"""The exact plan of small clusters by mixed-integer programming, at the prices of the planner."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import csr_array, lil_array
from scipy.special import ndtri

from benchmarks.clusters import PROFILE, SPT, Clusters, belief, make_clusters
from hw.sharing import local_candidates
from hw.world import SYMBOL
from policies.coupled import expected_loads
from policies.coupled_horizon import price_horizon
from policies.coupled_price import least_slope
from policies.expected import USUAL_EPSILON, target_load
from policies.forecast import Forecast
from policies.joint import joint_states

NEVER_PRUNED = 1e12  # price of a change at which every joint state is priced


def priced_states(
    clusters: Clusters, forecast: Forecast
) -> tuple[NDArray[np.float64], NDArray[np.uint8], float]:
    """Price of every joint state of the one group in every tick (H, S), its levels (S, n), and that of a change."""
    tables, network, settings = clusters.tables, clusters.network, PROFILE.predictive
    states = joint_states(network, tables.asleep)
    idle_power = tables.idle_power[network.groups.model].astype(np.float64)
    risk = (
        settings.risk_price * settings.group_risk * USUAL_EPSILON / settings.epsilon * (1 + settings.caution)
    )
    risk = risk * idle_power * tables.size[network.groups.model]
    members = np.arange(network.n_cells)
    open_sd = np.zeros(network.n_cells)  # no guard loop
    mean, about = expected_loads(
        forecast.log_median, forecast.log_sd, open_sd, members, np.arange(forecast.log_sd.shape[1])
    )
    cost = price_horizon(
        tables,
        target_load(tables),
        network.groups.model,
        local_candidates(network.groups.member, network.groups),
        (states.levels, states.service_as, states.forbidden),
        SPT,
        mean,
        about,
        risk,
        float(ndtri(1 - settings.epsilon)),
        (settings.surge_probability, settings.surge_load),
        settings.off_air_caution,
        least_slope(tables),
        NEVER_PRUNED,
    )
    return (
        cost,
        states.levels.reshape(cost.shape[1], -1),
        settings.change_price * settings.group_change * float(idle_power.mean()),
    )


def cheapest(cost: NDArray[np.float64], levels: NDArray[np.uint8], change: float) -> float:
    """Price of the cheapest plan from all awake, by HiGHS: one state a tick, and a change where a level is left."""
    ticks, n_states = cost.shape
    picks = [(j, level) for j in range(levels.shape[1]) for level in np.unique(levels[:, j])]
    at = np.array([levels[:, j] == level for j, level in picks], np.float64)  # (K, S)
    n_cells, n_changes = levels.shape[1], ticks * levels.shape[1]
    whole = lil_array((ticks * (1 + len(picks)), ticks * n_states + n_changes))
    low, high = np.full(whole.shape[0], -np.inf), np.zeros(whole.shape[0])
    for h in range(ticks):
        own = slice(h * n_states, (h + 1) * n_states)
        whole[h, own], low[h], high[h] = 1, 1, 1
        for k, (j, level) in enumerate(picks):  # taking a level that was not there before counts as a change
            row = ticks + h * len(picks) + k
            whole[row, own] = at[k]
            whole[row, ticks * n_states + h * n_cells + j] = -1
            if h > 0:
                whole[row, (h - 1) * n_states : h * n_states] = -at[k]
            else:
                high[row] = float(level == SYMBOL)
    limits = np.concatenate([np.where(np.isfinite(cost.ravel()), 1.0, 0.0), np.ones(n_changes)])
    price = np.concatenate(
        [np.where(np.isfinite(cost.ravel()), cost.ravel(), 0.0), np.full(n_changes, change)]
    )
    integer = np.concatenate([np.ones(ticks * n_states), np.zeros(n_changes)])
    found = milp(
        price,
        constraints=LinearConstraint(csr_array(whole), low, high),
        bounds=Bounds(0, limits),
        integrality=integer,
        options={"mip_rel_gap": 1e-7},
    )
    assert found.success, found.message
    return float(found.fun)


def cluster_gaps(count: int, horizon: int) -> NDArray[np.float64]:
    """Price of our plan over that of HiGHS, less 1, for ``count`` sectors of three cells. (count,)"""
    gaps = np.empty(count)
    for seed in range(count):
        clusters, forecast = make_clusters(1), belief(1, seed, horizon)
        awake = np.full(clusters.network.n_cells, SYMBOL, np.uint8)
        clusters.planner.plan(clusters.view(forecast, awake))
        gaps[seed] = clusters.planner.planned / cheapest(*priced_states(clusters, forecast)) - 1
    return gaps


def cut_gaps(count: int, horizon: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The same for two sectors that overlap, which are cut apart; and the gap to the bound that the planner states."""
    gaps, stated = np.empty(count), np.empty(count)
    for seed in range(count):
        cut, forecast = make_clusters(2, overlap_next=0.5), belief(2, seed, horizon)
        whole = make_clusters(2, overlap_next=0.5, most_states=10_000)
        assert cut.network.too_large
        assert not whole.network.too_large
        cut.planner.plan(cut.view(forecast, np.full(cut.network.n_cells, SYMBOL, np.uint8)))
        gaps[seed] = cut.planner.planned / cheapest(*priced_states(whole, forecast)) - 1
        stated[seed] = cut.planner.gap.ratio or 0.0
    return gaps, stated
