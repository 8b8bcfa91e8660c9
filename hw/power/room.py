"""Rooms as three lumps of heat, carried on exactly: air with equipment, walls, battery cells.

Between two changes of its inputs a room is linear, ``dx/dt = rate x + gain u`` with ``x`` the three temperatures and
``u`` heat into the air [W], heat into the walls [W] and the outdoor temperature [degC]. End and mean over a step are
then matrix exponentials (Van Loan 1978, doi:10.1109/TAC.1978.1101743): no step is too long, and the mean closes the
balance of what passes the walls. Lumps as in Petraglia et al. 2015, arXiv:1509.01197, for shelters of base stations.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import expm

from hw.power.cooling_spec import RoomSpec

AIR, MASS, BATTERY, N_NODES = 0, 1, 2, 3  # of x
TO_AIR, TO_MASS, OUTDOOR, N_DRIVES = 0, 1, 2, 3  # of u
MAGNUS_A, MAGNUS_C = 17.62, 243.12  # over water; WMO No. 8, annex 4.B


class Rooms(NamedTuple):
    """n rooms."""

    stored_wh_per_k: NDArray[np.float64]  # heat that each node holds per K. (n, 3)
    outdoor_w_per_k: NDArray[np.float64]  # from each node to outdoors. (n, 3)
    rate: NDArray[np.float64]  # (n, 3, 3) [1/s]
    gain: NDArray[np.float64]  # (n, 3, 3) [K/s per unit of u]
    solar_area_m2: NDArray[np.float64]  # (n,)


class Transition(NamedTuple):
    """What one step of fixed length makes of n rooms: ``end = keep x + push u``, ``mean = hold x + lean u``."""

    keep: NDArray[np.float64]  # (n, 3, 3)
    push: NDArray[np.float64]  # (n, 3, 3)
    hold: NDArray[np.float64]  # (n, 3, 3)
    lean: NDArray[np.float64]  # (n, 3, 3)


def make_rooms(specs: Sequence[RoomSpec]) -> Rooms:
    """Rooms in arrays."""
    stored = np.array([[s.air_wh_per_k, s.mass_wh_per_k, s.battery_wh_per_k] for s in specs])
    outdoor = np.array([[s.air_outdoor_w_per_k, s.mass_outdoor_w_per_k, 0.0] for s in specs])
    between = np.array([[s.air_mass_w_per_k, s.air_battery_w_per_k] for s in specs])
    flow_w_per_k = np.zeros((len(specs), N_NODES, N_NODES))
    for node, conductance in ((MASS, between[:, 0]), (BATTERY, between[:, 1])):
        flow_w_per_k[:, AIR, node] = flow_w_per_k[:, node, AIR] = conductance
    diagonal = np.arange(N_NODES)
    flow_w_per_k[:, diagonal, diagonal] = -flow_w_per_k.sum(2) - outdoor
    drive = np.zeros((len(specs), N_NODES, N_DRIVES))
    drive[:, AIR, TO_AIR] = drive[:, MASS, TO_MASS] = 1
    drive[:, :, OUTDOOR] = outdoor
    joule_per_k = 3600 * stored[:, :, None]
    solar = np.array([s.solar_area_m2 for s in specs])
    return Rooms(stored, outdoor, flow_w_per_k / joule_per_k, drive / joule_per_k, solar)


def transition(rate: NDArray[np.float64], gain: NDArray[np.float64], step_s: float) -> Transition:
    """The matrices of one step. Rooms that are alike are worked out once. Raises ValueError unless 0 < step_s."""
    if not 0 < step_s < np.inf:
        raise ValueError(f"step_s must be above 0 and finite, not {step_s}")
    n, size = len(rate), N_NODES + N_DRIVES
    every = np.concatenate([rate, gain], 2).reshape(n, -1)
    alike, which = np.unique(every, axis=0, return_inverse=True)
    block = np.zeros((len(alike), 2 * size, 2 * size))
    block[:, :N_NODES, :size] = alike.reshape(-1, N_NODES, size)
    block[:, :size, size:] = np.eye(size)
    power = expm(block * step_s)[which.reshape(-1)]
    end, mean = power[:, :N_NODES, :size], power[:, :N_NODES, size:] / step_s
    parts = (end[:, :, :N_NODES], end[:, :, N_NODES:], mean[:, :, :N_NODES], mean[:, :, N_NODES:])
    return Transition(*map(np.ascontiguousarray, parts))


def dewpoint_c(temp_c: NDArray[np.float64], humidity_ratio: NDArray[np.float64]) -> NDArray[np.float64]:
    """Dew point of air at a relative humidity 0..1, by the Magnus formula (WMO No. 8, annex 4.B). [degC]"""
    magnus = np.log(np.maximum(humidity_ratio, 1e-3)) + MAGNUS_A * temp_c / (MAGNUS_C + temp_c)
    return np.asarray(MAGNUS_C * magnus / (MAGNUS_A - magnus))


def solar_heat_w(
    solar_area_m2: NDArray[np.float64], irradiance_w_m2: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Heat of the sun into the walls, from global horizontal irradiance (n,) or (n, T) and areas (n,). [W]"""
    area = solar_area_m2.reshape(-1, *[1] * (irradiance_w_m2.ndim - 1))
    return np.asarray(area * np.maximum(irradiance_w_m2, 0))
