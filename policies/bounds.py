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
from policies.coupled import cheapest_first, expected_loads
from policies.coupled_price import allowed_levels, floors, least_slope, price_alone
from policies.horizon import priced_ticks
from policies.joint import state_of
from policies.network import Network


class CutGap:
    """Sums up what the parts of cut groups were planned at, and what they cannot be better than."""

    def __init__(self, network: Network, tables: Tables) -> None:
        starts = network.groups.group_start
        cut = np.zeros(network.n_cells, np.bool_)
        cut[network.beyond.source] = True
        lost = np.add.reduceat(cut[network.groups.member], starts[:-1]) > 0
        self.parts = np.flatnonzero(lost & (np.diff(starts) > 1))
        self._beyond, self._slope = network.beyond, least_slope(tables)
        self._size = tables.size[network.groups.model]
        self.planned = self.bound = 0.0  # [power_unit x ticks]

    @property
    def ratio(self) -> float | None:
        """Price of the plans over the bound, less 1; None where nothing was cut."""
        return self.planned / self.bound - 1 if self.bound > 0 else None

    def add(self, fixed, belief, price, now: NDArray[np.uint8], planned: float) -> None:  # type: ignore[no-untyped-def]
        """One more plan: ``planned`` is its price over all ``parts``."""
        bound = np.zeros(len(self.parts))
        escape = self._escape(belief[0], belief[1])
        bound_parts(*fixed[:-1], self.parts, *belief, price, escape, self._slope, now, bound)
        self.planned += planned
        self.bound += float(bound.sum())

    def _escape(self, log_median: NDArray[np.float64], log_sd: NDArray[np.float64]) -> NDArray[np.float64]:
        """Most traffic that could land beyond the part of each cell. (n, H) [ratio of the world's full rate]"""
        source, candidate, overlap = self._beyond
        mean = np.minimum(np.exp(log_median + 0.5 * log_sd**2), 1.0)
        reached = overlap[:, None] * (mean * self._size[:, None])[source]
        room = ((1 - mean) * self._size[:, None])[candidate]
        escape = np.zeros(mean.shape)
        np.add.at(escape, source, np.minimum(reached, room))
        return escape


@njit(parallel=True, cache=True)
def bound_parts(  # type: ignore[no-untyped-def]
    tables, limit, groups, states, parts, log_median, log_sd, known, price, escape, slope, now, bound
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
        ticks, weight = priced_ticks(log_median.shape[1])
        mean, belief = expected_loads(log_median, log_sd, price.open_sd, members, ticks)
        off_air = price.off_air if price.ready[members].all() else np.inf
        surge = (price.surge_probability, price.surge_load)
        risk = price.risk[members]
        allowed = allowed_levels(levels, n, len(tables.asleep))
        cost, alone = np.empty((len(mean), count)), np.empty((6, n, len(tables.asleep)))
        for h in range(len(mean)):
            price_alone(
                tables,
                limit,
                groups.model[members],
                allowed,
                mean[h],
                belief[h],
                risk,
                price.least_margin,
                surge,
                off_air,
                alone,
            )
            floors(
                tables,
                groups.model[members],
                levels,
                states.service_as[own],
                states.forbidden[own],
                mean[h],
                risk,
                off_air,
                slope,
                escape[members, ticks[h]],
                alone,
                cost[h],
            )
        change = price.group_change * price.power[members].mean()
        walk = (states.radix[cells], states.stride[cells])
        bound[at] = cheapest_first(cost, weight, levels, walk, change, state_of(levels, count, members, now))[
            2
        ]
