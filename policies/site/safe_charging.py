"""Safe charging: what every site falls back to. It never discharges, and charges for the floors to come.

How much must be stored now follows backwards from the floors: at each boundary the floor itself, or what the next one
needs less what a step of charging at the limit adds, whichever is more. With the import cap that was asked for this
gives the level ``under_cap_wh``; with what the connection allows, the lower ``hard_wh``. Safe charging aims at the
highest floor ahead under the cap asked for. Only where even the best charging under it would miss a floor, and only
as far as ``hard_wh`` demands, it goes above that cap.

What it cannot read it takes for the worst: a floor that is no number is out of reach, a load that is no number leaves
no room to charge under a cap.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class Ahead(NamedTuple):
    """What is expected from now on. n sites, T steps; row ``at`` of a call is the step that begins now."""

    floor_wh: Floats  # (n, T+1) stored energy at or above which each boundary is to be met
    charge_max_w: (
        Floats  # (n, T) that pack and rectifiers surely take at the bus, at the expected temperature
    )
    meter_load_w: Floats  # (n, T) import with an idle battery and no PV, an upper quantile


class Terms(NamedTuple):
    """What a site is held to. All (n,)."""

    hard_cap_w: Floats  # import that the connection allows; inf: no limit
    rectifier_efficiency: Floats  # DC out per AC in
    charge_efficiency: Floats  # stored per Wh at the bus
    discharge_efficiency: Floats  # Wh at the bus per Wh stored
    charge_max_w: Floats  # at the bus, at the best temperature
    discharge_max_w: Floats  # the same for discharging
    self_discharge_w: Floats
    room_ratio: Floats  # share of the expected charging that is relied on


class Charge(NamedTuple):
    """One step, (n,)."""

    battery_w: Floats  # at the bus, never above 0
    import_cap_w: Floats  # at the meter; above the one asked for only where a floor would be missed


@njit(inline="always")
def room_w(charge_max_w, load_w, cap_w, rectifier_efficiency):  # type: ignore[no-untyped-def]
    """Charging at the bus under an import cap; none where a number is missing. [W]"""
    room = (cap_w - load_w) * rectifier_efficiency
    if not (room > 0 and charge_max_w > 0):
        return 0.0
    return min(room, charge_max_w)


@njit(inline="always")
def known_floor(floor_wh):  # type: ignore[no-untyped-def]
    """The floor of a boundary; out of reach where it is no number. [Wh]"""
    return floor_wh if floor_wh <= np.inf else np.inf


@njit(cache=True)
def needed_wh(ahead, terms, i, at, cap_w, step_h):  # type: ignore[no-untyped-def]
    """Stored energy needed at boundary ``at + 1`` so that charging at the limit meets each later floor. [Wh, Wh]

    The first under ``cap_w``, the second under what the connection allows.
    """
    floor_wh, charge_max_w, load_w = ahead.floor_wh[i], ahead.charge_max_w[i], ahead.meter_load_w[i]
    efficiency, hard_w = terms.rectifier_efficiency[i], terms.hard_cap_w[i]
    stored_h, lost_wh = (
        terms.room_ratio[i] * terms.charge_efficiency[i] * step_h,
        terms.self_discharge_w[i] * step_h,
    )
    needed = hard = known_floor(floor_wh[-1])
    for t in range(len(floor_wh) - 2, at, -1):
        floor = known_floor(floor_wh[t])
        room = room_w(charge_max_w[t], load_w[t], cap_w, efficiency)
        hard_room = room_w(charge_max_w[t], load_w[t], hard_w, efficiency)
        needed = max(floor, needed - room * stored_h + lost_wh)
        hard = max(floor, hard - hard_room * stored_h + lost_wh)
    return needed, hard


@njit(inline="always")
def usable_cap(asked_w, hard_w):  # type: ignore[no-untyped-def]
    """The import cap asked for, brought between 0 and what the connection allows; 0 where it is no number. [W]"""
    return min(asked_w, hard_w) if asked_w > 0 else 0.0


@njit(inline="always")
def charge_to(target_wh, stored_wh, terms, i, step_h):  # type: ignore[no-untyped-def]
    """Charging that brings a site from ``stored_wh`` to ``target_wh`` by the end of the step. [W]

    Only the pack's own limit bounds it: temperature, rectifiers and import cap may leave more than was expected, and
    the plant takes no more than they do.
    """
    missing = target_wh - stored_wh + terms.self_discharge_w[i] * step_h
    if not missing > 0:
        return 0.0
    return min(missing / (terms.charge_efficiency[i] * step_h), terms.charge_max_w[i])


@njit(inline="always")
def with_cap(ahead, terms, i, at, stored_wh, hard_wh, charge_w, cap_w, step_h):  # type: ignore[no-untyped-def]
    """Charging and import cap, lifted where what is sure under ``cap_w`` would leave ``hard_wh`` unmet. [W, W]"""
    least = charge_to(hard_wh, stored_wh, terms, i, step_h)
    efficiency = terms.rectifier_efficiency[i]
    room = room_w(ahead.charge_max_w[i, at], ahead.meter_load_w[i, at], cap_w, efficiency)
    if least > min(charge_w, room * terms.room_ratio[i]):
        return least, terms.hard_cap_w[i]
    return charge_w, cap_w


@njit(inline="always")
def safe_site(ahead, terms, i, at, stored_wh, asked_cap_w, step_h):  # type: ignore[no-untyped-def]
    """Charging at the bus [W] and import cap [W] of one site."""
    cap = usable_cap(asked_cap_w, terms.hard_cap_w[i])
    highest = known_floor(ahead.floor_wh[i, at])
    for t in range(at + 1, ahead.floor_wh.shape[1]):
        highest = max(highest, known_floor(ahead.floor_wh[i, t]))
    stored = stored_wh if 0 < stored_wh < np.inf else 0.0
    charge = charge_to(highest, stored, terms, i, step_h)
    hard = needed_wh(ahead, terms, i, at, cap, step_h)[1]
    return with_cap(ahead, terms, i, at, stored, hard, charge, cap, step_h)


@njit(parallel=True, cache=True)
def _safe(ahead, terms, at, stored_wh, asked_cap_w, step_h, battery_w, import_cap_w):  # type: ignore[no-untyped-def]
    for i in prange(len(stored_wh)):
        charge, cap = safe_site(ahead, terms, i, at, stored_wh[i], asked_cap_w[i], step_h)
        battery_w[i], import_cap_w[i] = -charge, cap


def safe_charging(
    stored_wh: Floats, import_cap_w: Floats, ahead: Ahead, terms: Terms, step_s: float, at: int = 0
) -> Charge:
    """Command of n sites for the step from boundary ``at`` on.

    Parameters
    ----------
    stored_wh : stored energy, or what it is at least. NaN counts as empty. Shape (n,). [Wh]
    import_cap_w : import cap that charging is to keep. NaN counts as 0. Shape (n,). [W]

    Raises ValueError where shapes do not fit.
    """
    check(ahead, terms, step_s, at, stored_wh=stored_wh, import_cap_w=import_cap_w)
    charge = Charge(np.empty(len(stored_wh)), np.empty(len(stored_wh)))
    _safe(ahead, terms, at, stored_wh, import_cap_w, step_s / 3600, *charge)
    return charge


def check(ahead: Ahead, terms: Terms, step_s: float, at: int, **per_site: NDArray[np.generic]) -> None:
    """Raise ValueError where shapes do not fit or a term is out of its range."""
    n, steps = ahead.charge_max_w.shape
    shapes = {"floor_wh": (n, steps + 1), "meter_load_w": (n, steps)}
    for name, shape in shapes.items():
        if getattr(ahead, name).shape != shape:
            raise ValueError(f"{name} must be of shape {shape}, not {getattr(ahead, name).shape}")
    for name, array in {**terms._asdict(), **per_site}.items():
        if array.shape != (n,):
            raise ValueError(f"{name} must be of shape {(n,)}, not {array.shape}")
    if not (0 <= at < steps and step_s > 0):
        raise ValueError(f"step {at} of {steps}, {step_s} s long, cannot be decided")
    for name in ("rectifier_efficiency", "charge_efficiency", "discharge_efficiency", "room_ratio"):
        ratio = getattr(terms, name)
        if not ((ratio > 0) & (ratio <= 1)).all():
            raise ValueError(f"{name} must be above 0 and at most 1")
    for name in ("hard_cap_w", "charge_max_w", "discharge_max_w", "self_discharge_w"):
        if not (getattr(terms, name) >= 0).all():
            raise ValueError(f"{name} must be a number that is not negative")
