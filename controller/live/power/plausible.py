"""What the meters of a site can show at most, by what the sites file says of it: beyond that a meter is broken."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from controller.live.power.fleet import Float64, Mask, Sites
from controller.live.power.inputs import Inputs
from hw.adapters.power import PowerReport

# times what is rated; a sites file may be a little off, and parts may do a little more than they are rated for
LARGEST_LOAD, LARGEST_IMPORT, LARGEST_PV, LARGEST_PACK = 2.0, 1.5, 1.5, 2.0
IDLE_W = 50.0  # that a meter may show where nothing can flow
LIMITED = ("load_w", "pv_w", "import_w", "stored_wh", "battery_a")  # only the last may be negative


class Plausible:
    """Limits of n sites."""

    def __init__(self, inputs: Inputs) -> None:
        plant = inputs.plant.sites
        rectified_w = plant["modules"] * plant["module_w"] + inputs.ac_load_w
        panels_w = np.array([1000.0 * site.pv_kwp for site in inputs.sites])
        rate_a = np.maximum(plant["charge_rate"], plant["discharge_rate"])
        rate_a = rate_a * plant["rated_wh"] / plant["voltage_v"]
        limits = (
            LARGEST_LOAD * inputs.upper_dc_w,
            LARGEST_PV * panels_w,
            LARGEST_IMPORT * np.minimum(inputs.import_cap_w, rectified_w),
            LARGEST_PACK * plant["rated_wh"],
            LARGEST_PACK * rate_a,
        )
        self._most = np.stack([np.asarray(limit, np.float64) for limit in limits]) + IDLE_W
        self._least = np.zeros_like(self._most)
        self._least[-1] = -self._most[-1]

    def measured(
        self, report: PowerReport, sites: Sites, places: NDArray[np.int64], s: int
    ) -> tuple[Float64, Mask]:
        """What sample ``s`` says of ``LIMITED``, NaN where nothing plausible, and where it is absurd. (5, k) each"""
        told = np.stack([np.asarray(getattr(report, name)[places, s], np.float64) for name in LIMITED])
        with np.errstate(invalid="ignore"):
            fits = (told >= self._least[:, sites]) & (told <= self._most[:, sites])
        return np.where(fits, told, np.nan), ~fits & ~np.isnan(told)
