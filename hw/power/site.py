"""The parameters and the state of n power plants as arrays, and one of them as scalars for the kernels."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class Plant(NamedTuple):
    """Parameters of n sites; each array (n,) but ``tables``. Names and units as in hw/power/spec.py."""

    module_w: Floats
    modules: Floats
    standby_share: Floats
    linear_share: Floats
    quadratic_share: Floats
    resting_w: Floats
    hibernates: NDArray[np.bool_]
    spare_modules: Floats
    rated_wh: Floats
    charge_rate: Floats
    discharge_rate: Floats
    charge_efficiency: Floats
    discharge_efficiency: Floats
    self_discharge_per_h: Floats
    cutoff_soc: Floats
    converter_w: Floats  # 0: no PV
    converter_efficiency: Floats
    inverter_w: Floats
    inverter_efficiency: Floats
    voltage_v: Floats
    distribution_ohm: Floats
    radio_disconnect_soc: Floats
    transport_disconnect_soc: Floats
    reconnect_margin: Floats
    reconnect_after_s: Floats
    price_per_wh: Floats  # that a full life of the pack lets through, at the conditions of its cycle life
    tables: Floats  # (n, N_TABLES, 2, MAX_KNOTS)


class State(NamedTuple):
    """What n sites remember; each array (n,), changed in place by ``hw.power.plant.step``."""

    stored_wh: Floats
    health: Floats  # capacity now over rated capacity [ratio]
    lvd_stage: NDArray[np.int8]  # 0: all connected, 1: radio off, 2: transport off, too
    back_s: Floats  # since the mains came back, counted while a stage is open


class Site(NamedTuple):
    """The parameters of one site as scalars: reading arrays inside branches would count references there."""

    module_w: float
    modules: float
    standby_share: float
    linear_share: float
    quadratic_share: float
    resting_w: float
    hibernates: bool
    spare_modules: float
    rated_wh: float
    charge_rate: float
    discharge_rate: float
    charge_efficiency: float
    discharge_efficiency: float
    self_discharge_per_h: float
    cutoff_soc: float
    converter_w: float
    converter_efficiency: float
    inverter_w: float
    inverter_efficiency: float
    voltage_v: float
    distribution_ohm: float
    radio_disconnect_soc: float
    transport_disconnect_soc: float
    reconnect_margin: float
    reconnect_after_s: float


@njit(cache=True)
def site_of(plant, i):  # type: ignore[no-untyped-def]
    """Site i of a plant. Free of branches on purpose."""
    return Site(
        plant.module_w[i],
        plant.modules[i],
        plant.standby_share[i],
        plant.linear_share[i],
        plant.quadratic_share[i],
        plant.resting_w[i],
        plant.hibernates[i],
        plant.spare_modules[i],
        plant.rated_wh[i],
        plant.charge_rate[i],
        plant.discharge_rate[i],
        plant.charge_efficiency[i],
        plant.discharge_efficiency[i],
        plant.self_discharge_per_h[i],
        plant.cutoff_soc[i],
        plant.converter_w[i],
        plant.converter_efficiency[i],
        plant.inverter_w[i],
        plant.inverter_efficiency[i],
        plant.voltage_v[i],
        plant.distribution_ohm[i],
        plant.radio_disconnect_soc[i],
        plant.transport_disconnect_soc[i],
        plant.reconnect_margin[i],
        plant.reconnect_after_s[i],
    )
