"""What the guards look at in a tick."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hw.world import SYMBOL
from policies.guards.state import GuardState
from policies.guards.terms import Terms


@dataclass(frozen=True, slots=True)
class Locks:
    """Cells that must be awake for the whole coming tick, whatever the planner says. (n,)"""

    emergency: NDArray[np.bool_]  # until the operator clears it
    protected: NDArray[np.bool_]  # always
    event: NDArray[np.bool_]  # while the events calendar says so
    excluded: NDArray[np.bool_]  # inside an exclusion window


def no_locks(n_cells: int) -> Locks:
    """Nobody asks for anything."""
    none = np.zeros(n_cells, np.bool_)
    return Locks(none, none, none, none)


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known when the guards are asked. n cells."""

    level: NDArray[np.uint8]  # (n,) reported level
    fresh: NDArray[np.bool_]  # (n,) whether the last tick was measured
    overloaded: NDArray[np.bool_]  # (n,) at the limit of its level: nobody knows what was offered
    locks: Locks
    now_s: int  # begin of the coming tick, UTC [s]
    day: int  # number of the local day


@dataclass(frozen=True, slots=True)
class Situation:
    """All that a guard may look at beside the wanted levels. n cells."""

    facts: Facts
    state: GuardState
    terms: Terms
    level: NDArray[np.uint8]  # (n,) reported level, SYMBOL where it is shallower or unknown
    rest: NDArray[np.uint8]  # (n,) where a cell stays that may not go deeper


def situation(facts: Facts, state: GuardState, terms: Terms) -> Situation:
    """Put together what the guards look at. A level that does not exist is no reason to rest: it counts as awake."""
    known = np.where(facts.level < len(terms.asleep), facts.level, SYMBOL)
    level = np.maximum(known, SYMBOL).astype(np.uint8)
    rest = np.where(terms.may_use(level), level, SYMBOL).astype(np.uint8)
    return Situation(facts, state, terms, level, rest)
