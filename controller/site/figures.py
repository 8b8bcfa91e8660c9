"""What a run of the site's battery cost, and what it did: bill, wear, peak, energy, CO2, reserve.

A bill is energy at the tariff's price less feed-in, plus the demand charge on the highest mean import over the tariff's
demand interval in each billing month. Wear is what passed the battery at the plant's wear price, for all alike.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from controller.site.run import SiteRun
from controller.site.scene import SiteScene
from hw.power import flows

Float64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class SiteFigures:
    """Figures of n sites over the steps of a run; money in the tariff's currency."""

    energy_cost: Float64  # (n,) less what feed-in paid
    demand_cost: Float64  # (n,)
    wear_cost: Float64  # (n,)
    peak_w: Float64  # (n, months) highest mean import over a demand interval
    import_wh: Float64  # (n,)
    export_wh: Float64  # (n,)
    discharged_wh: Float64  # (n,) at the bus
    pv_used_wh: Float64  # (n,) at the bus
    pv_curtailed_wh: Float64  # (n,)
    shed_wh: Float64  # (n,) of the loads, not served
    reserve_margin_wh: Float64  # (n,) least stored energy above the floor, with mains and outside recovery

    @property
    def bill(self) -> Float64:
        """Energy and demand. (n,)"""
        return self.energy_cost + self.demand_cost

    @property
    def cost(self) -> Float64:
        """Bill and wear. (n,)"""
        return self.bill + self.wear_cost


def site_figures(scene: SiteScene, run: SiteRun) -> SiteFigures:
    """Figures of a run over the steps ``run.begin`` .. ``run.begin + T`` of a scene."""
    span = slice(run.begin, run.begin + run.n_steps)
    tariff, step_h = scene.tariff, scene.step_h
    imported, exported = run.series(flows.GRID_IMPORT), run.series(flows.GRID_EXPORT)
    price = tariff.import_price[span] / 1000 * step_h
    revenue = tariff.export_price[span] / 1000 * step_h
    months = tariff.month[span]
    peak_w = month_peaks_w(
        np.where(tariff.demand_counts[span], imported, 0.0),
        months,
        max(1, tariff.demand_interval_s // scene.step_s),
    )
    demand_price = tariff.demand_price[np.unique(months)] / 1000
    discharged_wh = run.series(flows.BATTERY_OUT).sum(1) * step_h
    shed_w = run.series(flows.RADIO_SHED) + run.series(flows.TRANSPORT_SHED)
    margin_wh = run.stored_wh - scene.floor_wh[:, run.begin : run.begin + run.n_steps + 1]
    held = scene.mains[:, span] if run.recovering is None else scene.mains[:, span] & ~run.recovering
    with_mains = np.concatenate([np.ones((len(peak_w), 1), bool), held], 1)
    return SiteFigures(
        energy_cost=imported @ price - exported @ revenue,
        demand_cost=peak_w @ demand_price,
        wear_cost=run.wear_cost,
        peak_w=peak_w,
        import_wh=imported.sum(1) * step_h,
        export_wh=exported.sum(1) * step_h,
        discharged_wh=discharged_wh,
        pv_used_wh=run.series(flows.PV_OUT).sum(1) * step_h,
        pv_curtailed_wh=run.series(flows.PV_CURTAILED).sum(1) * step_h,
        shed_wh=shed_w.sum(1) * step_h,
        reserve_margin_wh=np.where(with_mains, margin_wh, np.inf).min(1),
    )


def month_peaks_w(import_w: Float64, month: NDArray[np.intp], per_interval: int) -> Float64:
    """Highest mean import over a demand interval in each billing month. (n, months) [W]

    Intervals are counted from the first step of the month; one that the month cuts short counts with what it has.
    """
    peaks = []
    for number in np.unique(month):
        own = import_w[:, month == number]
        starts = np.arange(0, own.shape[1], per_interval)
        lengths = np.diff(np.append(starts, own.shape[1]))
        peaks.append((np.add.reduceat(own, starts, axis=1) / lengths).max(1))
    return np.stack(peaks, 1)
