"""The level that serves a cell while another one is commanded: a cell that wakes up keeps its old service.

::

    commanded level has the shorter wake-up time -> served by the old level for the old one's wake-up time,
                                                    then by whatever is commanded by then
    any other level is commanded                 -> served by it at once
    an unrecorded sample                         -> awake; nothing is left to wake
"""

from __future__ import annotations

import numpy as np
from numba import njit

from hw.world import SYMBOL


@njit(inline="always")
def service_begin(tables, level, service_level, wake_left):  # type: ignore[no-untyped-def]
    """Service level and remaining wake-up samples once ``level`` is commanded."""
    if level == service_level:
        return service_level, 0
    if wake_left == 0 and tables.wake_samples[service_level] > tables.wake_samples[level]:
        return service_level, tables.wake_samples[service_level]
    if wake_left > 0:
        return service_level, wake_left
    return level, 0


@njit(inline="always")
def before_sample(service_level, wake_left, i, level, offered):  # type: ignore[no-untyped-def]
    """Level that serves cell i in the coming sample, with ``level`` commanded."""
    if np.isnan(offered):
        service_level[i], wake_left[i] = SYMBOL, 0
    elif wake_left[i] == 0:
        service_level[i] = level


@njit(inline="always")
def after_sample(service_level, wake_left, i, level):  # type: ignore[no-untyped-def]
    """One sample of waking has passed."""
    if wake_left[i] > 0:
        wake_left[i] -= 1
        if wake_left[i] == 0:
            service_level[i] = level
