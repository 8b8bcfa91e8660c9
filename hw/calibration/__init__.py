"""Radio power models calibrated on measured energy. See docs/calibration.md.

::

    Measurements -> fit_power -> Calibration -> make_world -> World
         |                            |
         |                            +-> predict -> energy at recorded loads
         +-> cross_validate -> ErrorSummary
"""

from hw.calibration.fitting import fit_power, predict
from hw.calibration.measurements import Measurements
from hw.calibration.model import Calibration
from hw.calibration.validation import cross_validate
from hw.calibration.worlds import make_world

__all__ = ["Calibration", "Measurements", "cross_validate", "fit_power", "make_world", "predict"]
