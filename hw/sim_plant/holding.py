"""What the power system of a site does by itself with a setpoint: holds the import limit and keeps the reserve."""

from __future__ import annotations

import numpy as np

from hw.ports import Floats
from hw.power.plant import Inputs, Plant, State
from hw.power.view import meter_import_w, swing


def held_w(plant: Plant, state: State, inputs: Inputs, battery_w: Floats, import_limit_w: Floats) -> Floats:
    """Battery power at which a site with mains holds its import limit. (m,) [W at the bus, > 0 discharges]

    Above the limit charging yields first, then the battery carries what is missing.
    """
    dc_w = inputs.radio_w + inputs.transport_w
    rectified = swing(plant, dc_w)
    for _ in range(2):  # the rectifiers' efficiency moves with what they carry
        import_w = meter_import_w(plant, state, dc_w, inputs.ac_load_w, inputs.pv_w, battery_w)
        battery_w = battery_w + np.maximum(import_w - import_limit_w, 0.0) * rectified.discharge
    return battery_w


def above_reserve_w(
    plant: Plant, state: State, battery_w: Floats, reserve_wh: Floats, span_s: float
) -> Floats:
    """Battery power cut to what the charge above the reserve lasts for over a span. (m,) [W at the bus]"""
    spare_wh = np.maximum(state.stored_wh - reserve_wh, 0.0) * plant.sites["discharge_efficiency"]
    return np.asarray(np.minimum(battery_w, spare_wh * 3600 / span_s))
