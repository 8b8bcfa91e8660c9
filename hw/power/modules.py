"""Which rectifier modules work: hibernation of surplus ones, a limit on changes, and even hours.

    as the load wants --(the k-th change within an hour)--> all work, locked --(an hour later)--> as the load wants

Modules are alike, so which of them work moves no energy; it evens out their hours.
"""

from __future__ import annotations

from numba import njit

from hw.power.rectifier import modules_wanted
from hw.power.spec import MAX_CHANGES

LOCK_S = 3600.0
SAME_S = 1e-3  # rounding of the clock: loads change on the hour, so that an hour is often just over


@njit(cache=True, error_model="numpy")
def may_change(site, rectifier, clock_s):  # type: ignore[no-untyped-def]
    """Whether the number at work may follow the load: after one more change there is one left in this hour."""
    if clock_s + SAME_S < rectifier.locked_until_s:
        return False
    oldest = (rectifier.next - (site.max_changes_per_hour - 1)) % MAX_CHANGES
    return clock_s - rectifier.changed_s[oldest] + SAME_S >= LOCK_S


@njit(cache=True, error_model="numpy")
def modules_for(site, rectifier, out_w, clock_s):  # type: ignore[no-untyped-def]
    """How many modules give ``out_w`` now: those wanted, or all if that were a change too many."""
    wanted = modules_wanted(site, out_w, rectifier.working)
    if wanted == rectifier.working or may_change(site, rectifier, clock_s):
        return wanted
    return site.modules


@njit(cache=True, error_model="numpy")
def let_work(site, rectifier, wanted, clock_s):  # type: ignore[no-untyped-def]
    """Change how many modules work: the least worn are woken, the most worn put to rest."""
    if wanted == rectifier.working:
        return
    if not may_change(site, rectifier, clock_s):
        rectifier.locked_until_s = clock_s + LOCK_S
    rectifier.changed_s[rectifier.next] = clock_s
    rectifier.next = (rectifier.next + 1) % MAX_CHANGES
    for _ in range(wanted - rectifier.working):
        rectifier.at_work[_extreme(site, rectifier, 0, -1.0)] = 1
    for _ in range(rectifier.working - wanted):
        rectifier.at_work[_extreme(site, rectifier, 1, 1.0)] = 0
    rectifier.working = wanted


@njit(cache=True, error_model="numpy")
def _extreme(site, rectifier, at_work, sign):  # type: ignore[no-untyped-def]
    """The most worn of the modules at work (1) or at rest (0), or with a sign of -1 the least worn."""
    found = -1
    for m in range(site.modules):
        if rectifier.at_work[m] == at_work and (
            found < 0 or sign * (rectifier.hours[m] - rectifier.hours[found]) > 0
        ):
            found = m
    return found


@njit(cache=True, error_model="numpy")
def book_hours(site, rectifier, hours):  # type: ignore[no-untyped-def]
    """Let the modules at work grow older, and swap the most worn for the least worn at rest if it is time."""
    for m in range(site.modules):
        rectifier.hours[m] += hours * rectifier.at_work[m]
    if rectifier.working < site.modules:
        worn, fresh = _extreme(site, rectifier, 1, 1.0), _extreme(site, rectifier, 0, -1.0)
        if rectifier.hours[worn] - rectifier.hours[fresh] >= site.rotate_after_h:
            rectifier.at_work[worn], rectifier.at_work[fresh] = 0, 1
