"""Recovery: from the end of an outage until the floor is stored again.

::

    with mains --mains lost--> on battery --mains back--> waiting --delay over--> charging --floor or time--> with mains
                                   ^------------------ mains lost --------------------'

Nothing is charged while waiting, so that the sites of a region do not come back as one. Charging keeps to the site's
recovery limit and, by the caller's import cap, below the month's peak. Recovery is over once the floor is stored, and
at the latest when its time is up: the guard then takes the floor up again.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


class RecoveryTerms(NamedTuple):
    """What sites are held to after an outage. All (n,)."""

    limit_w: Floats  # charging at the bus
    spread_s: Floats  # the delay is drawn from 0 to this
    within_s: Floats  # recovery ends at the latest after this time in which the pack could be charged


class RecoveryState(NamedTuple):
    """All (n,), changed in place."""

    on_battery: Bools
    recovering: Bools  # waiting or charging
    since_s: Floats  # since mains came back, time in which the pack could be charged
    delay_s: Floats


class Recovery(NamedTuple):
    """One step. All (n,)."""

    recovering: Bools
    charge_w: Floats  # at the bus, 0 while waiting


def no_recovery(n: int) -> RecoveryState:
    """n sites with mains and nothing to make good."""
    return RecoveryState(np.zeros(n, np.bool_), np.zeros(n, np.bool_), np.zeros(n), np.zeros(n))


def recover(
    state: RecoveryState,
    terms: RecoveryTerms,
    mains: Bools,
    stored_wh: Floats,
    floor_wh: Floats,
    able: Bools,
    elapsed_s: float,
    rng: np.random.Generator,
) -> Recovery:
    """What n sites charge in the step that begins now; ``state`` is changed in place.

    Parameters
    ----------
    mains : mains present. Shape (n,).
    stored_wh : stored energy, or what it is at least; NaN is below any floor. Shape (n,). [Wh]
    floor_wh : floor of the end of this step. Shape (n,). [Wh]
    able : the pack can take charge; time in which the cells are too cold does not count. Shape (n,).
    elapsed_s : since the last call. A step that was asked for with mains absent counts as on battery.
    """
    n = len(state.on_battery)
    for name, array in {
        "mains": mains,
        "stored_wh": stored_wh,
        "floor_wh": floor_wh,
        **terms._asdict(),
    }.items():
        if array.shape != (n,):
            raise ValueError(f"{name} must be of shape {(n,)}, not {array.shape}")
    back = state.on_battery & mains
    state.since_s[state.recovering & able] += elapsed_s
    state.since_s[back] = 0.0
    state.delay_s[back] = rng.random(int(back.sum())) * terms.spread_s[back]
    over = (stored_wh >= floor_wh) | (state.since_s >= terms.within_s)
    state.recovering[:] = mains & (back | state.recovering) & ~over
    state.on_battery[:] = ~mains
    charging = state.recovering & (state.since_s >= state.delay_s)
    return Recovery(state.recovering.copy(), np.where(charging, terms.limit_w, 0.0))
