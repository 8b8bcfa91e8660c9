"""Rollback: what happens once a KPI of a pool of canaries is in breach, and when its cells may act again.

::

    acting --breach--> rolled back (full service) --hold-off over--> acting, counting from 0 again
                       hold-off doubles with each strike; a long time without breach takes a strike back

Pools are the sites of the canaries and, last, all of them: a breach of the last rolls back every site.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hw.world import SYMBOL

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]
Bools = NDArray[np.bool_]


class HoldOff(NamedTuple):
    """How long a pool that was rolled back stays at full service. [ticks]"""

    first_ticks: int = 96
    longest_ticks: int = 96 * 28
    forgive_ticks: int = 96 * 7  # acting without breach, after which one strike is taken back


class Watched(NamedTuple):
    """Where U pools stand."""

    total: Floats  # (U,) running sum of the evidence [nats]
    until_tick: Ints  # (U,) first tick in which the pool may act again
    strikes: Ints  # (U,) breaches that count for the next hold-off
    calm_ticks: Ints  # (U,) ticks acting since the last breach or forgiveness


def begin(n_pools: int) -> Watched:
    """No evidence, nobody held."""
    zeros = np.zeros(n_pools, np.intp)
    return Watched(np.zeros(n_pools), zeros, zeros, zeros)


def advance(
    now: Watched, evidence: Floats, threshold: Floats, tick: int, hold: HoldOff
) -> tuple[Watched, Bools, Bools]:
    """Take in the evidence of tick ``tick``, which has ended.

    Returns the new state, the pools that fell in breach (U,), and those whose cells must be at full service in the
    next tick (U,). Evidence that is not a number counts as none; that of a pool held back counts for nothing.
    """
    held = (now.until_tick > tick) | (now.until_tick[-1] > tick)
    total = np.where(held, 0.0, np.maximum(now.total + np.nan_to_num(evidence), 0.0))
    breach = total >= threshold
    off = np.minimum(hold.first_ticks * 2.0 ** np.minimum(now.strikes, 32), hold.longest_ticks).astype(
        np.intp
    )
    until = np.where(breach, tick + 1 + off, now.until_tick)
    calm = np.where(breach | held, 0, now.calm_ticks + 1)
    forgiven = calm >= hold.forgive_ticks
    strikes = np.maximum(now.strikes + breach - forgiven, 0)
    rolled = breach | breach[-1]
    after = Watched(np.where(rolled, 0.0, total), until, strikes, np.where(forgiven, 0, calm))
    must = (until > tick + 1) | (until[-1] > tick + 1)
    return after, np.asarray(breach), np.asarray(must)


def hard_limit_wakes(kpi: Floats, limit: Floats, level: NDArray[np.uint8], group: Ints) -> Bools:
    """Cells that the next guard tick must wake: a KPI below its hard limit, or not known, while its group rests. (n,)

    Parameters
    ----------
    kpi : measured over the last guard tick; NaN not known, inf where nobody asked for service, as off air. Where lower
        is better, give it and the limit negated. Shape (n,).
    limit : hard limit of each cell, NaN for none. Shape (n,).
    level : level of each cell. Shape (n,).
    group : group of each cell. The whole group wakes, as what one of its cells does moves the others' KPIs. Shape (n,).
    """
    broken = np.isfinite(limit) & ~(kpi >= limit)
    hit = np.zeros(int(group.max(initial=-1)) + 1, np.bool_)
    hit[group[broken]] = True
    return np.asarray(hit[group] & (level > SYMBOL))
