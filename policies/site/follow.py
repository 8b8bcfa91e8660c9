"""What the site's own power controller does between two commands: hold the import limit with what it measures.

A command carries a wanted battery power and an import limit. The power system follows the load by itself, as a rectifier
with an input limit does: above the limit the battery carries the rest, below it charging takes only what is left. Every
policy of a comparison, perfect foresight too, is carried out by this.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]


class Setpoint(NamedTuple):
    """What a policy wants of each site until it speaks again. (n,)"""

    battery_w: Float64  # at the meter, > 0 discharges [W]
    import_limit_w: Float64  # at the meter, inf: none [W]


def follow(wanted: Setpoint, load_w: Float64, pv_w: Float64) -> Float64:
    """Battery power that a site tries to hold. Shape (n,). [W at the meter, > 0 discharges]

    ``load_w`` is the import with an idle battery and no PV, ``pv_w`` the import that PV can save. Above the limit the
    battery gives at least what is missing; it never gives more than the loads take from the mains.
    """
    net_w = load_w - pv_w
    battery_w = np.maximum(wanted.battery_w, net_w - wanted.import_limit_w)
    return np.asarray(np.minimum(battery_w, np.maximum(net_w, 0.0)))
