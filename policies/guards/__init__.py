"""Limits that are checked last. A guard may only move a cell toward awake, and never delays a wake-up.

A decision passes three stages, in this order; docs/guards.md says what each guard does::

    caps    level, emergency, protected, event, excluded, flapping, least_awake, overload, telemetry
            the cell, for the last two its whole group, is awake
    holds   unheard, hysteresis, dwell, budget, cluster
            no cell of the group goes deeper than it is; what wakes still wakes
    floors  floor, uncovered, anchor
            cells off air are woken until enough of a site, a candidate of each cell off air and the anchor of each cell
            that rests less deep are on air

Each stage only makes levels shallower, and what a guard asked for stays true when levels get shallower still: a capped
cell stays awake, a held group stays at or above where it is, a woken cell leaves nobody uncovered. So one pass is
enough, and a second one changes nothing. Holding a group is consistent for the same reason: each of its cells is at
least as awake as it is now, so a cell off air that has a candidate on air now keeps it.
"""

from __future__ import annotations

from policies.guards.composition import Guards
from policies.guards.facts import Facts, Locks, no_locks
from policies.guards.state import GuardState

__all__ = ["Facts", "GuardState", "Guards", "Locks", "no_locks"]
