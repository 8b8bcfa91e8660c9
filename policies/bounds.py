"""How far the plans of parts may be from the best plan of the whole group that was cut into them.

The bound gives each part what it cannot do better with: traffic of a cell off air that lost candidates to the cut may
land anywhere, for the least power that any cell on air needs for it, and no other part hands anything over. All
else keeps its price, up to the far tail of the log-normal fit. So the prices of the parts add up to no more than the
price of the best plan of the whole.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from hw.tables import Tables
from hw.world import LOAD_BINS
from policies.coupled import cheapest_first
from policies.coupled_price import price_alone
from policies.joint import state_of
from policies.network import Network


class CutGap:
    """Sums up what the parts of cut groups were planned at, and what they cannot be better than."""

    def __init__(self, network: Network, tables: Tables) -> None:
        starts = network.groups.group_start
        lost = np.add.reduceat(network.cut[network.groups.member], starts[:-1]) > 0
        self.parts = np.flatnonzero(lost & (np.diff(starts) > 1))
        self._cut, self._slope = network.cut, least_slope(tables)
        self.planned = self.bound = 0.0  # [power_unit x ticks]

    @property
    def ratio(self) -> float | None:
        """Price of the plans over the bound, less 1; None where nothing was cut."""
        return self.planned / self.bound - 1 if self.bound > 0 else None

    def add(self, fixed, belief, price, now: NDArray[np.uint8], planned: float) -> None:  # type: ignore[no-untyped-def]
        """One more plan: ``planned`` is its price over all ``parts``."""
        bound = np.zeros(len(self.parts))
        bound_parts(*fixed[:-1], self.parts, *belief, price, self._cut, self._slope, now, bound)
        self.planned += planned
        self.bound += float(bound.sum())


def least_slope(tables: Tables) -> float:
    """Least power that any cell on air needs for more traffic. [power_unit per ratio of the world's full rate]"""
    on_air = ~tables.asleep
    on_air[0] = False
    rise = np.diff(tables.power[:, on_air], axis=2).min(2) * LOAD_BINS
    return float((rise / (tables.rate[:, on_air] * tables.size[:, None])).min())


@njit(cache=True)
def _floors(tables, models, levels, service_as, forbidden, mean, risk, off_air, slope, cut, alone, floor):  # type: ignore[no-untyped-def]
    """As ``coupled_price._floors``, where traffic of cells that are ``cut`` may leave the part. ``floor`` (S,)"""
    power, tail, least, held = alone
    n, whole, cheapest = len(models), 0.0, np.inf
    for k in range(n):
        whole += mean[k] * tables.size[models[k]]
        cheapest = min(cheapest, risk[k] / tables.size[models[k]])
    for s in range(len(floor)):
        floor[s] = np.inf
        if forbidden[s] or (service_as[s] >= 0 and off_air == np.inf):
            continue
        base, together, half, escapes = 0.0, 0.0, np.inf, False
        for k in range(n):
            level = levels[s * n + k]
            if tables.asleep[level]:
                base += power[k, level] + min(slope, cheapest) * mean[k] * tables.size[models[k]]
                escapes |= cut[k]
                continue
            base += power[k, level] + tail[k, level] if service_as[s] < 0 else least[k, level]
            together += held[k, level] * tables.size[models[k]]
            half = min(half, 0.5 * risk[k] * held[k, level])
        if service_as[s] >= 0 and whole > together and not escapes:
            base += off_air * min(half, cheapest * (whole - together))
        floor[s] = base


@njit(parallel=True, cache=True)
def bound_parts(  # type: ignore[no-untyped-def]
    tables, limit, groups, states, parts, log_median, log_sd, known, price, cut, slope, now, bound
):
    """What the plan of each part costs at least, into ``bound``; nothing where a cell is not known."""
    for at in prange(len(parts)):
        g = parts[at]
        members = groups.member[groups.group_start[g] : groups.group_start[g + 1]]
        n, count = len(members), states.n_states[g]
        if not known[members].all():
            continue
        levels = states.levels[states.level_start[g] : states.level_start[g] + count * n]
        own = slice(states.state_start[g], states.state_start[g] + count)
        cells = slice(states.cell_start[g], states.cell_start[g] + n)
        spread = np.ascontiguousarray(log_sd[members].T)
        mean = np.minimum(np.exp(log_median[members].T + 0.5 * spread * spread), 1.0).astype(np.float32)
        off_air = price.off_air if price.ready[members].all() else np.inf
        surge = (price.surge_probability, price.surge_load)
        risk, shape = price.risk[members], (n, len(tables.asleep))
        cost = np.empty((len(mean), count))
        for h in range(len(mean)):
            alone = (np.empty(shape), np.empty(shape), np.empty(shape), np.empty(shape))
            price_alone(
                tables, limit, groups.model[members], mean[h], spread[h], risk, surge, off_air, *alone
            )
            _floors(
                tables,
                groups.model[members],
                levels,
                states.service_as[own],
                states.forbidden[own],
                mean[h],
                risk,
                off_air,
                slope,
                cut[members],
                alone,
                cost[h],
            )
        change = price.change * price.power[members].mean()
        walk = (states.radix[cells], states.stride[cells])
        bound[at] = cheapest_first(cost, levels, walk, change, state_of(levels, count, members, now))[2]
