"""Figures of every site under one policy, added up over billing months."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from controller.site.building import SitesScene
from controller.site.figures import site_figures
from controller.site.run import SiteRun
from controller.site.scene import SiteScene
from hw.power import flows
from hw.power.ageing import END_LOSS, THROUGHPUT_EXPONENT

Float64 = NDArray[np.float64]
HIGHEST = ("peak_w", "battery_max_c")
LOWEST = ("reserve_margin_wh",)


@dataclass(slots=True)
class Tally:
    """Figures by name, (n,) each; sums, but the highest of ``HIGHEST`` and the lowest of ``LOWEST``."""

    figures: dict[str, Float64] = field(default_factory=dict)

    def add(self, month: dict[str, Float64]) -> None:
        """Add the figures of a month."""
        for name, values in month.items():
            if name not in self.figures:
                self.figures[name] = values.astype(np.float64)
            elif name in HIGHEST:
                self.figures[name] = np.maximum(self.figures[name], values)
            elif name in LOWEST:
                self.figures[name] = np.minimum(self.figures[name], values)
            else:
                self.figures[name] = self.figures[name] + values


def month_figures(
    made: SitesScene, scene: SiteScene, run: SiteRun, planned: Float64 | None
) -> dict[str, Float64]:
    """Figures of a run over one billing month. (n,) each"""
    found = site_figures(scene, run)
    span = slice(run.begin, run.begin + run.n_steps)
    hours = np.full(scene.n_sites, run.n_steps * scene.step_h)
    figures = {
        "energy_cost": found.energy_cost,
        "demand_cost": found.demand_cost,
        "wear_cost": found.wear_cost,
        **event_figures(scene, run),
        "peak_w": found.peak_w.max(1),
        "import_wh": found.import_wh,
        "pv_used_wh": found.pv_used_wh,
        "shed_wh": found.shed_wh + run.program_shed_wh,
        "reserve_margin_wh": found.reserve_margin_wh,
        "battery_max_c": scene.battery_c[:, span].max(1),
        "guard_interventions": run.guarded.astype(np.float64),
        "cycles": run.cycles,
        "cycle_damage": run.cycle_damage,
        "calendar_square": run.calendar_square,
        "hours": hours,
    }
    imported_wh = run.series(flows.GRID_IMPORT) * scene.step_h
    for name, by_step in (
        ("co2_g", made.given.emissions.average),
        ("co2_marginal_g", made.given.emissions.marginal),
    ):
        if by_step is not None:
            figures[name] = imported_wh @ by_step[span]
    if planned is not None:
        figures["planned_cost"] = planned
    return figures | outage_figures(scene, run)


def event_figures(scene: SiteScene, run: SiteRun) -> dict[str, Float64]:
    """Of demand-response events: penalties less rewards, and energy above their limits, that of firm ones apart."""
    if scene.event is None:
        return {"event_cost": np.zeros(scene.n_sites)}
    span = slice(run.begin, run.begin + run.n_steps)
    event, imported_w = scene.event, run.series(flows.GRID_IMPORT)
    over_wh = event.over_w(imported_w, span) * scene.step_h
    return {
        "event_cost": event.cost(imported_w, span, scene.step_h).sum(1),
        "event_over_wh": over_wh.sum(1),
        "event_firm_over_wh": np.where(event.firm[:, span], over_wh, 0.0).sum(1),
    }


def outage_figures(scene: SiteScene, run: SiteRun) -> dict[str, Float64]:
    """Outages, those that carried all declared loads for their declared time, and the hours in which load was lost."""
    if scene.outage is None:
        return {}
    span = slice(run.begin, run.begin + run.n_steps)
    away = ~scene.mains[:, span]
    radio_lost, transport_lost = run.series(flows.RADIO_SHED) > 1.0, run.series(flows.TRANSPORT_SHED) > 1.0
    count, carried = np.zeros(scene.n_sites), np.zeros(scene.n_sites)
    for i in np.flatnonzero(away.any(1)):
        edges = np.flatnonzero(np.diff(np.concatenate([[False], away[i], [False]]).astype(np.int8)))
        for begin, end in edges.reshape(-1, 2).tolist():
            count[i] += 1
            radio_end = min(end, begin + int(scene.outage.radio_s[i] // scene.step_s))
            transport_end = min(end, begin + int(scene.outage.transport_s[i] // scene.step_s))
            lost = radio_lost[i, begin:radio_end].any() or transport_lost[i, begin:transport_end].any()
            carried[i] += not lost
    lost_h = ((radio_lost | transport_lost) & away).sum(1) * scene.step_h
    return {
        "outages": count,
        "outages_carried": carried,
        "outage_h": away.sum(1) * scene.step_h,
        "outage_lost_h": lost_h,
    }


def life_years(scene: SiteScene, figures: dict[str, Float64]) -> Float64:
    """Years until a new pack that ages as in these hours is at its end. (n,)"""
    years = figures["hours"] / 8760
    damage, square = figures["cycle_damage"] / years, figures["calendar_square"] / years
    end_loss, power = scene.plant.ageing[:, END_LOSS], scene.plant.ageing[:, THROUGHPUT_EXPONENT]
    low, high = np.zeros(len(years)), np.full(len(years), 100.0)
    for _ in range(40):
        middle = (low + high) / 2
        loss = end_loss * (damage * middle) ** power + np.sqrt(square * middle)
        low, high = np.where(loss < end_loss, middle, low), np.where(loss < end_loss, high, middle)
    return np.asarray(low)
