"""Radio power in W by the EARTH model: linear in output power, with a constant asleep.

References
----------
G. Auer et al., "How much energy is needed to run a wireless network?", IEEE Wireless Communications 18(5), 2011,
doi:10.1109/MWC.2011.6056691.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class EarthRadio:
    """One base-station type of the EARTH model."""

    n_trx: int  # transceiver chains
    p_max_w: float  # output power of one chain at full load [W]
    p_0_w: float  # draw of one chain on air at zero output [W]
    delta_p: float  # slope of the draw over the output power
    p_sleep_w: float  # draw of one chain asleep [W]


def mean_power_w(radio: EarthRadio, load: NDArray[np.float64], trx_share: float = 1.0) -> NDArray[np.float64]:
    """Draw at a load of 0..1 with a share of the chains active, the others asleep. Any shape. [W]"""
    active = radio.n_trx * trx_share
    on_air = active * (radio.p_0_w + radio.delta_p * radio.p_max_w * np.asarray(load, np.float64))
    return np.asarray(on_air + (radio.n_trx - active) * radio.p_sleep_w)
