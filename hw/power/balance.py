"""Closes the energy balance of a step at each place of the plant, from its flows alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hw.power import flows as f

BUS, BATTERY, RECTIFIER, METER, PV, INVERTER = range(6)
PLACE_NAMES = ("bus", "battery", "rectifier", "meter", "pv", "inverter")
TOLERANCE = 1e-9  # of the sum of the flows' magnitudes plus 1 Wh

# place -> what flows in, what flows out or is lost there
PLACES: tuple[tuple[tuple[int, ...], tuple[int, ...]], ...] = (
    (
        (f.RECTIFIER_OUT, f.PV_OUT, f.BATTERY_OUT),
        (f.RADIO, f.TRANSPORT, f.BUS_LOSS, f.BATTERY_IN, f.EXPORT_IN),
    ),
    ((f.BATTERY_IN,), (f.BATTERY_OUT, f.BATTERY_LOSS, f.SELF_DISCHARGE)),
    ((f.RECTIFIER_IN,), (f.RECTIFIER_OUT, f.RECTIFIER_LOSS)),
    ((f.GRID_IMPORT, f.EXPORT_OUT), (f.AC_LOAD, f.RECTIFIER_IN, f.GRID_EXPORT)),
    ((f.PV_AVAILABLE,), (f.PV_CURTAILED, f.PV_LOSS, f.PV_OUT)),
    ((f.EXPORT_IN,), (f.EXPORT_LOSS, f.EXPORT_OUT)),
)


def residuals_wh(flows: NDArray[np.float64], step_s: float) -> NDArray[np.float64]:
    """In less out less losses less change of stored energy, at each place. Shape (n, 6). [Wh]

    Parameters
    ----------
    flows : of one step. Shape (n, N_FLOWS). [W, the two stored energies Wh]
    """
    found = np.empty((len(flows), len(PLACES)))
    for place, (into, out) in enumerate(PLACES):
        found[:, place] = (flows[:, into].sum(1) - flows[:, out].sum(1)) * (step_s / 3600)
    found[:, BATTERY] -= flows[:, f.STORED_AFTER] - flows[:, f.STORED_BEFORE]
    return found


def allowed_wh(flows: NDArray[np.float64], step_s: float) -> NDArray[np.float64]:
    """What rounding may leave of a residual: TOLERANCE x (sum of |flows| there + 1 Wh). Shape (n, 6). [Wh]"""
    found = np.empty((len(flows), len(PLACES)))
    for place, (into, out) in enumerate(PLACES):
        found[:, place] = np.abs(flows[:, into + out]).sum(1) * (step_s / 3600)
    return TOLERANCE * (found + 1)


def leaks(flows: NDArray[np.float64], step_s: float) -> NDArray[np.bool_]:
    """Where energy comes from nowhere or goes missing. Shape (n, 6)."""
    return ~(np.abs(residuals_wh(flows, step_s)) <= allowed_wh(flows, step_s))  # NaN leaks, too
