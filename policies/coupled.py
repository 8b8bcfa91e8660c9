"""The groups of the ``predictive`` planner: cells that hand traffic to each other, planned together.

Every joint level of a group is priced in every tick of the horizon, and a dynamic programme over them gives the
cheapest plan. See policies/predictive.py for what is priced.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from hw.sharing import local_candidates
from policies.coupled_horizon import price_horizon
from policies.horizon import priced_ticks
from policies.joint import hamming, relax_changes, state_of
from policies.policy import Reason


@njit(inline="always")
def reason_of(chosen, free, deepest):  # type: ignore[no-untyped-def]
    """Why ``chosen``, when ``free`` would be best if changes cost nothing."""
    if chosen != free:
        return Reason.CHANGE_NOT_WORTH
    return Reason.DEEPEST if chosen == deepest else Reason.DEEPER_TOO_RISKY


@njit(cache=True)
def cheapest_first(cost, weight, levels, shape, change, now):  # type: ignore[no-untyped-def]
    """First state of the cheapest way through priced states (K, S), that if changes were free, and its price.

    ``weight`` (K,) ticks that each row stands for.
    """
    horizon, n_states = cost.shape
    n = len(shape[0])
    to_go = np.zeros(n_states)
    for h in range(horizon - 1, 0, -1):
        to_go += weight[h] * cost[h]
        relax_changes(to_go, shape[0], shape[1], change)
    best, best_free, least, least_free = 0, 0, np.inf, np.inf
    for s in range(n_states):
        free = cost[0, s] + to_go[s]
        if free < least_free:
            best_free, least_free = s, free
        if free < least:
            total = free + change * hamming(levels, s * n, now * n, n)
            if total < least:
                best, least = s, total
    return best, best_free, least


@njit(cache=True)
def expected_loads(log_median, log_sd, open_sd, members, ticks):  # type: ignore[no-untyped-def]
    """Mean load (K, members), and log median, log standard deviation and ``open_sd`` (K, 3, members) in ``ticks``."""
    belief = np.empty((len(ticks), 3, len(members)))
    mean = np.empty((len(ticks), len(members)), np.float32)
    for k in range(len(members)):
        for h in range(len(mean)):
            middle, spread = log_median[members[k], ticks[h]], log_sd[members[k], ticks[h]]
            belief[h, 0, k], belief[h, 1, k], belief[h, 2, k] = middle, spread, open_sd[members[k]]
            mean[h, k] = min(np.exp(middle + 0.5 * spread * spread), 1.0)
    return mean, belief


@njit(parallel=True, cache=True)
def plan_groups(  # type: ignore[no-untyped-def]
    tables,
    limit,
    groups,
    states,
    spt,
    chosen,
    log_median,
    log_sd,
    known,
    price,
    slope,
    now,
    level,
    reason,
    planned,
):
    """Levels and reasons of the cells of the ``chosen`` groups; a group of which a cell is not known stays awake.

    ``planned`` (chosen,) is the price of each plan.
    """
    for at in prange(len(chosen)):
        g = chosen[at]
        members = groups.member[groups.group_start[g] : groups.group_start[g + 1]]
        n, count = len(members), states.n_states[g]
        if not known[members].all():
            continue
        levels = states.levels[states.level_start[g] : states.level_start[g] + count * n]
        own = slice(states.state_start[g], states.state_start[g] + count)
        cells = slice(states.cell_start[g], states.cell_start[g] + n)
        ticks, weight = priced_ticks(log_median.shape[1])
        mean, belief = expected_loads(log_median, log_sd, price.open_sd, members, ticks)
        change = price.group_change * price.power[members].mean()
        cost = price_horizon(
            tables,
            limit,
            groups.model[members],
            local_candidates(members, groups),
            (levels, states.service_as[own], states.forbidden[own]),
            spt,
            mean,
            belief,
            price.risk[members],
            price.least_margin,
            (price.surge_probability, price.surge_load),
            price.off_air if price.ready[members].all() else np.inf,
            slope,
            change,
        )
        shape = (states.radix[cells], states.stride[cells])
        best, free, planned[at] = cheapest_first(
            cost, weight, levels, shape, change, state_of(levels, count, members, now)
        )
        for j in range(n):
            level[members[j]] = levels[best * n + j]
            reason[members[j]] = reason_of(
                levels[best * n + j], levels[free * n + j], levels[(count - 1) * n + j]
            )
