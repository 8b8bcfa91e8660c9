"""The guards, in their order. Each is a pure function: from wanted levels and situation to the cells it stops."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from policies.guards.facts import Situation
from policies.guards.sites import below_floor, beyond_share
from policies.policy import Reason

Levels = NDArray[np.uint8]
Cells = NDArray[np.bool_]


class Guard(NamedTuple):
    """One guard: which cells it stops, and why."""

    name: str
    reason: Reason
    stops: Callable[[Levels, Situation], Cells]
    whole_group: bool = False  # whether a cap wakes the whole group; a hold always holds it


def _level(wanted: Levels, now: Situation) -> Cells:
    return ~now.terms.may_use(wanted)


def _emergency(wanted: Levels, now: Situation) -> Cells:  # noqa: ARG001 - a lock looks at no plan
    return now.facts.locks.emergency


def _protected(wanted: Levels, now: Situation) -> Cells:  # noqa: ARG001
    return now.facts.locks.protected


def _event(wanted: Levels, now: Situation) -> Cells:  # noqa: ARG001
    return now.facts.locks.event


def _excluded(wanted: Levels, now: Situation) -> Cells:  # noqa: ARG001
    return now.facts.locks.excluded


def _flapping(wanted: Levels, now: Situation) -> Cells:  # noqa: ARG001
    return np.asarray(now.facts.now_s < now.state.locked_until_s)


def _least_awake(wanted: Levels, now: Situation) -> Cells:  # noqa: ARG001
    return np.asarray(now.facts.now_s - now.state.woken_s < now.terms.limits.least_awake_s)


def _overload(wanted: Levels, now: Situation) -> Cells:  # noqa: ARG001
    return now.facts.overloaded


def _telemetry(wanted: Levels, now: Situation) -> Cells:  # noqa: ARG001
    age_s = now.facts.now_s - now.state.heard_s
    return ~now.facts.fresh & (age_s >= now.terms.limits.telemetry_max_age_s)


def _unheard(wanted: Levels, now: Situation) -> Cells:  # noqa: ARG001
    return now.terms.anywhere_in_group(~now.facts.fresh)


def _hysteresis(wanted: Levels, now: Situation) -> Cells:  # noqa: ARG001
    return np.asarray(now.state.wished + 1 < now.terms.limits.hysteresis_ticks)


def _dwell(wanted: Levels, now: Situation) -> Cells:  # noqa: ARG001
    return np.asarray(now.facts.now_s - now.state.changed_s < now.terms.limits.dwell_s)


def _budget(wanted: Levels, now: Situation) -> Cells:  # noqa: ARG001
    """Going deeper must leave one change of the day for the way back."""
    return np.asarray(now.state.changes + 2 > now.terms.limits.max_changes_per_cell_day)


def _cluster(wanted: Levels, now: Situation) -> Cells:
    return beyond_share(now.terms.sites, wanted > now.level, now.state.turn)


def _floor(wanted: Levels, now: Situation) -> Cells:
    asleep = now.terms.asleep
    return below_floor(now.terms.sites, asleep[wanted], asleep[now.level])


def _uncovered(wanted: Levels, now: Situation) -> Cells:
    """Cells off air of which no candidate is on air now and stays there: one that is still waking carries nothing."""
    terms = now.terms
    on_air = ~(terms.asleep[wanted] | terms.asleep[now.level])
    covered = np.zeros(len(wanted), np.bool_)
    covered[terms.source[on_air[terms.candidate]]] = True
    return np.asarray(terms.asleep[wanted] & ~covered)


def _anchor(wanted: Levels, now: Situation) -> Cells:
    """Anchors that would rest deeper than a 5G cell they anchor."""
    return now.terms.network.legs_above(wanted, now.terms.asleep)


CAPS = (
    Guard("level", Reason.GUARD_LEVEL, _level),
    Guard("emergency", Reason.GUARD_EMERGENCY, _emergency),
    Guard("protected", Reason.GUARD_PROTECTED, _protected),
    Guard("event", Reason.GUARD_EVENT, _event),
    Guard("excluded", Reason.GUARD_EXCLUDED, _excluded),
    Guard("flapping", Reason.GUARD_FLAPPING, _flapping),
    Guard("least_awake", Reason.GUARD_LEAST_AWAKE, _least_awake),
    Guard("overload", Reason.GUARD_OVERLOAD, _overload, whole_group=True),
    Guard("telemetry", Reason.GUARD_TELEMETRY, _telemetry, whole_group=True),
)
HOLDS = (
    Guard("unheard", Reason.GUARD_UNHEARD, _unheard),
    Guard("hysteresis", Reason.GUARD_HYSTERESIS, _hysteresis),
    Guard("dwell", Reason.GUARD_DWELL, _dwell),
    Guard("budget", Reason.GUARD_BUDGET, _budget),
    Guard("cluster", Reason.GUARD_CLUSTER, _cluster),
)
FLOORS = (
    Guard("floor", Reason.GUARD_FLOOR, _floor),
    Guard("uncovered", Reason.GUARD_UNCOVERED, _uncovered),
    Guard("anchor", Reason.GUARD_ANCHOR, _anchor),
)
