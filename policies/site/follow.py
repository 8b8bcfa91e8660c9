"""What the site's own power controller does between two commands: hold the import limit with what it measures.

A command carries a wanted battery power and an import limit. The power system follows the load by itself, as a
rectifier with an input limit does: above the limit the battery carries the rest, below it charging takes only what is
left. Every policy of a comparison, perfect foresight too, is carried out by this.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hw.power.plant import Plant, State
from hw.power.view import meter_import_w, swing

Float64 = NDArray[np.float64]
LOOKS = 4  # at what the meter would show, until the limit is met
MAX_CABLE_SHARE = 0.05  # of the load: cable losses, which the battery may serve, too; the plant clips


class Setpoint(NamedTuple):
    """What a policy wants of each site until it speaks again. (n,)"""

    battery_w: Float64  # at the meter, > 0 discharges [W]
    import_limit_w: Float64  # at the meter, inf: none [W]
    event_limit_w: Float64 | None = None  # import at which grid events are paid, not kept; None: nowhere [W]


class Loads(NamedTuple):
    """What a site measures now. (n,) [W]"""

    dc_w: Float64  # radio and transport
    ac_w: Float64
    pv_w: Float64  # DC power that the panels can give


def follow(plant: Plant, state: State, wanted: Setpoint, loads: Loads) -> Float64:
    """Battery power that a site tries to hold. Shape (n,). [W at the bus, > 0 discharges]

    Above the import limit the battery gives at least what is missing; it never gives more than the loads take from the
    mains. A site knows the ``state`` of its rectifiers, which draw more while a module may not be put to rest.
    """
    rectified = swing(plant, loads.dc_w)
    battery_w = wanted.battery_w * np.where(wanted.battery_w > 0, rectified.discharge, rectified.charge)
    return hold(plant, state, battery_w, wanted.import_limit_w, loads)


def hold(plant: Plant, state: State, battery_w: Float64, import_limit_w: Float64, loads: Loads) -> Float64:
    """What a battery set to a power at the bus does so that its site holds an import limit. All (n,). [W]"""
    sites, rectified = plant.sites, swing(plant, loads.dc_w)
    pv_bus_w = np.minimum(loads.pv_w * sites["converter_efficiency"], sites["converter_w"])
    served_w = loads.dc_w - pv_bus_w
    # beyond what the rectifiers can give the meter does not tell how much is asked for
    asked_w = battery_w = np.maximum(battery_w, served_w - sites["modules"] * sites["module_w"])
    for _ in range(LOOKS):  # the rectifiers' efficiency moves with what they carry
        import_w = meter_import_w(plant, state, loads.dc_w, loads.ac_w, loads.pv_w, battery_w)
        over_w = import_w - import_limit_w
        battery_w = np.maximum(battery_w + over_w * rectified.discharge, asked_w)
    most_w = served_w + MAX_CABLE_SHARE * loads.dc_w
    return np.asarray(np.minimum(battery_w, np.maximum(most_w, 0.0)))
