"""The guard: the last word on a battery's power. It is pure, and it trusts nobody.

What is wanted passes these questions in order; the first that has an answer decides::

    mains absent?            idle: the DC bus carries the loads from PV and battery by itself
    recovering?              charge as recovery says; nothing else
    wanted is no number?     safe charging
    charge not trusted?      safe charging
    otherwise                wanted, between these bounds:
        at most              no more than the loads take (a battery is never exported), no more than the pack gives,
                             nothing that ends below the floor of now, of the next boundary, or below what later
                             floors need if charging at the limit under the import cap is to meet them
        at least             charging that still meets the floors ahead under the cap, or, where that cannot be,
                             under what the connection allows

The bounds hold for whatever is wanted: infinite, absurd or hostile.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from policies.site.safe_charging import (
    Ahead,
    Floats,
    Terms,
    charge_to,
    check,
    known_floor,
    needed_wh,
    safe_site,
    usable_cap,
    with_cap,
)

Bools = NDArray[np.bool_]


class GuardReason(IntEnum):
    """Why a site's battery does what it does."""

    AS_WANTED = 0
    OUTAGE = 1
    RECOVERY = 2
    ABSURD = 3
    UNTRUSTED = 4
    FLOOR = 5
    RISING_FLOOR = 6
    NO_EXPORT = 7
    PACK_LIMIT = 8
    CHARGE_NOW = 9
    CAP_LIFTED = 10


GUARD_WORDS = {
    GuardReason.AS_WANTED: "as planned",
    GuardReason.OUTAGE: "guard: mains absent, the battery follows the loads",
    GuardReason.RECOVERY: "guard: recovering from an outage",
    GuardReason.ABSURD: "guard: the plan is no number, so safe charging",
    GuardReason.UNTRUSTED: "guard: state of charge not to be trusted, so safe charging",
    GuardReason.FLOOR: "guard: at the reserve floor, so no further discharge",
    GuardReason.RISING_FLOOR: "guard: a later floor could no longer be met, so less discharge",
    GuardReason.NO_EXPORT: "guard: no more than the loads take, a battery is never exported",
    GuardReason.PACK_LIMIT: "guard: no more than the pack allows",
    GuardReason.CHARGE_NOW: "guard: charging now, or a floor would be missed",
    GuardReason.CAP_LIFTED: "guard: charging above the import cap, or a floor would be missed",
}

# plain integers for the kernels
_AS_WANTED, _OUTAGE, _RECOVERY, _ABSURD, _UNTRUSTED, _FLOOR, _RISING, _NO_EXPORT, _PACK_LIMIT = range(9)
_CHARGE_NOW, _CAP_LIFTED = 9, 10


class Wanted(NamedTuple):
    """What a planner asks for. All (n,), whatever they hold."""

    battery_w: Floats  # at the bus, above 0 discharges
    import_cap_w: Floats  # at the meter, for charging


class Facts(NamedTuple):
    """What is known of the step that begins. All (n,)."""

    stored_wh: Floats  # what is stored at least
    trusted: Bools  # the state of charge is fresh and plausible (``policies.site.soc_check``)
    mains: Bools  # not reported absent
    recovering: Bools
    recovery_w: Floats  # charging that recovery allows, at the bus
    served_w: Floats  # DC load less PV, at the least: what a discharge may serve


class Verdict(NamedTuple):
    """One step, (n,)."""

    battery_w: Floats
    import_cap_w: Floats
    reason: NDArray[np.uint8]


@njit(inline="always")
def _at_most(wanted, stored, served_w, ahead, terms, i, at, needed, step_h):  # type: ignore[no-untyped-def]
    """Largest battery power, and why it is less than wanted."""
    now = max(known_floor(ahead.floor_wh[i, at]), known_floor(ahead.floor_wh[i, at + 1]))
    spare = stored - max(now, needed) - terms.self_discharge_w[i] * step_h
    by_floor = spare * terms.discharge_efficiency[i] / step_h if spare > 0 else 0.0
    by_load = served_w if served_w > 0 else 0.0
    most, reason = wanted, _AS_WANTED
    if most > by_load:
        most, reason = by_load, _NO_EXPORT
    if most > terms.discharge_max_w[i]:
        most, reason = terms.discharge_max_w[i], _PACK_LIMIT
    if most > by_floor:
        most, reason = by_floor, _RISING if needed > now else _FLOOR
    return most, reason


@njit(inline="always")
def _judge(wanted, stored, served_w, asked_cap_w, ahead, terms, i, at, step_h):  # type: ignore[no-untyped-def]
    """Power, cap and reason with mains and a trusted state of charge."""
    cap = usable_cap(asked_cap_w, terms.hard_cap_w[i])
    needed, hard = needed_wh(ahead, terms, i, at, cap, step_h)
    power, reason = _at_most(wanted, stored, served_w, ahead, terms, i, at, needed, step_h)
    if power < -terms.charge_max_w[i]:
        power, reason = -terms.charge_max_w[i], _PACK_LIMIT
    least = charge_to(needed, stored, terms, i, step_h)
    if least > 0 and -power < least:
        power, reason = -least, _CHARGE_NOW
    charge, lifted = with_cap(ahead, terms, i, at, stored, hard, max(-power, 0.0), cap, step_h)
    if lifted > cap:
        power, reason, cap = -charge, _CAP_LIFTED, lifted
    return power, cap, reason


@njit(cache=True)
def _site(wanted, facts, ahead, terms, i, at, step_h):  # type: ignore[no-untyped-def]
    asked_w, asked_cap_w, stored = wanted.battery_w[i], wanted.import_cap_w[i], facts.stored_wh[i]
    if not facts.mains[i]:
        return 0.0, usable_cap(asked_cap_w, terms.hard_cap_w[i]), _OUTAGE
    if facts.recovering[i]:
        charge = facts.recovery_w[i] if facts.recovery_w[i] > 0 else 0.0
        return -charge, usable_cap(asked_cap_w, terms.hard_cap_w[i]), _RECOVERY
    believable = facts.trusted[i] and 0 <= stored < np.inf
    if believable and not np.isnan(asked_w):
        return _judge(asked_w, stored, facts.served_w[i], asked_cap_w, ahead, terms, i, at, step_h)
    charge, cap = safe_site(ahead, terms, i, at, stored, asked_cap_w, step_h)
    return -charge, cap, _ABSURD if believable else _UNTRUSTED


@njit(parallel=True, cache=True)
def _guard(wanted, facts, ahead, terms, at, step_h, battery_w, import_cap_w, reason):  # type: ignore[no-untyped-def]
    for i in prange(len(battery_w)):
        battery_w[i], import_cap_w[i], reason[i] = _site(wanted, facts, ahead, terms, i, at, step_h)


def guard(wanted: Wanted, facts: Facts, ahead: Ahead, terms: Terms, step_s: float, at: int = 0) -> Verdict:
    """What n sites do in the step from boundary ``at`` on. Raises ValueError where shapes do not fit."""
    check(ahead, terms, step_s, at, **wanted._asdict(), **facts._asdict())
    n = len(facts.mains)
    verdict = Verdict(np.empty(n), np.empty(n), np.empty(n, np.uint8))
    _guard(wanted, facts, ahead, terms, at, step_s / 3600, *verdict)
    return verdict
