"""The parameters and the state of n power plants as arrays, and one of them as scalars for the kernels."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from hw.power.spec import MAX_CHANGES, MAX_MODULES

Floats = NDArray[np.float64]


# The parameters of a site that are plain numbers; names and units as in hw/power/spec.py. Kernels get one record of
# them: as scalars in a tuple they would be copied at each call, as arrays be reference-counted in each branch.
SITE = np.dtype(
    [
        ("module_w", np.float64),
        ("modules", np.int64),
        ("standby_share", np.float64),
        ("linear_share", np.float64),
        ("quadratic_share", np.float64),
        ("resting_w", np.float64),
        ("hibernates", np.bool_),
        ("even_loss_w2", np.float64),  # see modules_wanted
        ("spare_modules", np.int64),
        ("max_changes_per_hour", np.int64),
        ("rotate_after_h", np.float64),
        ("rated_wh", np.float64),
        ("charge_rate", np.float64),
        ("discharge_rate", np.float64),
        ("charge_efficiency", np.float64),
        ("discharge_efficiency", np.float64),
        ("self_discharge_per_h", np.float64),
        ("cutoff_soc", np.float64),
        ("converter_w", np.float64),  # 0: no PV
        ("converter_efficiency", np.float64),
        ("inverter_w", np.float64),
        ("inverter_efficiency", np.float64),
        ("voltage_v", np.float64),
        ("distribution_ohm", np.float64),
        ("radio_disconnect_soc", np.float64),
        ("transport_disconnect_soc", np.float64),
        ("reconnect_margin", np.float64),
        ("reconnect_after_s", np.float64),
        (
            "price_per_wh",
            np.float64,
        ),  # that a full life of the pack lets through, at the conditions of its cycle life
    ]
)
# What one site meets in a step, and what follows from it for the whole step.
NOW = np.dtype(
    [
        ("radio_w", np.float64),
        ("transport_w", np.float64),
        ("ac_load_w", np.float64),
        ("pv_w", np.float64),
        ("pv_bus_w", np.float64),  # of it at the bus, behind the converter
        ("mains", np.bool_),
        ("battery_w", np.float64),
        ("import_cap_w", np.float64),
        ("export_cap_w", np.float64),
        ("battery_c", np.float64),
        ("charge_share", np.float64),  # of the charge rate, by temperature
        ("discharge_share", np.float64),
        ("usable_share", np.float64),  # of the capacity, by temperature
    ],
    align=True,
)
# What the rectifier of a site remembers, see hw/power/modules.py.
RECTIFIER = np.dtype(
    [
        ("working", np.int64),  # modules
        ("next", np.int64),  # place of the next change in the ring
        ("locked_until_s", np.float64),
        ("changed_s", np.float64, MAX_CHANGES),  # ring of the times at which the number at work changed
        ("hours", np.float64, MAX_MODULES),  # of work behind each module
        ("at_work", np.int64, MAX_MODULES),  # 0 or 1
    ],
    align=True,
)


class Plant(NamedTuple):
    """Parameters of n sites."""

    sites: NDArray[np.void]  # records of SITE (n,)
    ageing: Floats  # (n, N_AGEING), see hw/power/ageing.py
    tables: Floats  # (n, N_TABLES, 2, MAX_KNOTS), see hw/power/tables.py

    @property
    def rated_wh(self) -> Floats:
        """Rated capacity of the packs. (n,)"""
        return np.ascontiguousarray(self.sites["rated_wh"])


class State(NamedTuple):
    """What n sites remember; each array (n,) or (n, k), changed in place by ``hw.power.plant.step``."""

    stored_wh: Floats
    health: Floats  # capacity now over rated capacity [ratio]
    lvd_stage: NDArray[np.int8]  # 0: all connected, 1: radio off, 2: transport off, too
    back_s: Floats  # since the mains came back, counted while a stage is open
    clock_s: Floats  # since the start
    rectifier: NDArray[np.void]  # records of RECTIFIER
    cycle_damage: Floats  # share of the cycle life that is gone [ratio]
    mean_stress: Floats  # of what went through the pack lately, over that of the data sheet [ratio]
    calendar_square: Floats  # square of the calendar loss
    cycles: Floats  # closed so far, a half one as 0.5, whatever their depth
    turns: Floats  # open turning points of the state of charge (n, MAX_TURNS)
    n_turns: NDArray[np.int64]


class Memory(NamedTuple):
    """What one site remembers, as scalars."""

    stored_wh: float
    health: float
    stage: np.int64
    back_s: float
    clock_s: float
    cycle_damage: float
    mean_stress: float
    calendar_square: float
    cycles: float
    n_turns: int


@njit(cache=True, error_model="numpy")
def memory_of(state, i):  # type: ignore[no-untyped-def]
    """What site i remembers. Free of branches on purpose."""
    return Memory(
        state.stored_wh[i],
        state.health[i],
        np.int64(state.lvd_stage[i]),
        state.back_s[i],
        state.clock_s[i],
        state.cycle_damage[i],
        state.mean_stress[i],
        state.calendar_square[i],
        state.cycles[i],
        state.n_turns[i],
    )


@njit(cache=True, error_model="numpy")
def remember(state, i, memory):  # type: ignore[no-untyped-def]
    """Write back what site i remembers. Free of branches on purpose."""
    state.stored_wh[i] = memory.stored_wh
    state.health[i] = memory.health
    state.lvd_stage[i] = memory.stage
    state.back_s[i] = memory.back_s
    state.clock_s[i] = memory.clock_s
    state.cycle_damage[i] = memory.cycle_damage
    state.mean_stress[i] = memory.mean_stress
    state.calendar_square[i] = memory.calendar_square
    state.cycles[i] = memory.cycles
    state.n_turns[i] = memory.n_turns
