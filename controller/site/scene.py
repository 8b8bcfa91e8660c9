"""A fleet of sites as arrays: plant, loads, weather, tariff, mains and reserve, step by step.

The scene also holds the past before the steps that are scored, because forecasts learn from it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from controller.site.tariff import TariffSeries
from hw.power.plant import Inputs, Plant

Float64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class SiteScene:
    """n sites over T steps."""

    site_id: NDArray[np.str_]  # (n,)
    plant: Plant
    start: np.datetime64  # of the first step, UTC
    step_s: int
    tariff: TariffSeries  # one for the fleet
    radio_w: Float64  # (n, T) DC power that radio and baseband want
    transport_w: Float64  # (n, T)
    ac_load_w: Float64  # (n, T) cooling and other loads at the meter
    upper_dc_w: Float64  # (n, T) 0.99 quantile of radio and transport, from what was known days before
    upper_ac_w: Float64  # (n, T) the same of the loads on the AC side
    pv_w: Float64  # (n, T) DC power that the panels could give
    battery_c: Float64  # (n, T) temperature of the cells
    mains: NDArray[np.bool_]  # (n, T)
    floor_wh: Float64  # (n, T + 1) reserve, as the controller computes it
    export_cap_w: Float64  # (n,)
    import_cap_w: Float64  # (n,) of the connection

    @property
    def n_sites(self) -> int:
        """Number of sites."""
        return len(self.site_id)

    @property
    def n_steps(self) -> int:
        """Number of steps."""
        return self.radio_w.shape[1]

    @property
    def step_h(self) -> float:
        """Length of a step [h]."""
        return self.step_s / 3600

    @property
    def steps_per_day(self) -> int:
        """Steps in 24 h."""
        return 86400 // self.step_s

    def measured(self, step: int) -> tuple[Float64, Float64]:
        """DC load and cell temperature of the step before, which are known when a step begins. (n,) each"""
        before = max(step - 1, 0)
        return self.radio_w[:, before] + self.transport_w[:, before], self.battery_c[:, before]

    def inputs(self, step: int) -> Inputs:
        """What the plant meets in a step."""
        return Inputs(
            radio_w=self.radio_w[:, step],
            transport_w=self.transport_w[:, step],
            ac_load_w=self.ac_load_w[:, step],
            pv_w=self.pv_w[:, step],
            battery_c=self.battery_c[:, step],
            mains=self.mains[:, step],
        )

    def take(self, sites: NDArray[np.intp]) -> SiteScene:
        """The scene of some sites, in this order; a site may be taken more than once."""
        arrays = ("site_id", "radio_w", "transport_w", "ac_load_w", "upper_dc_w", "upper_ac_w", "pv_w", "battery_c", "mains", "floor_wh")
        names = (*arrays, "export_cap_w", "import_cap_w")
        picked = {name: np.ascontiguousarray(getattr(self, name)[sites]) for name in names}
        return replace(self, plant=Plant(*(a[sites] for a in self.plant)), **picked)
