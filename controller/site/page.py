"""What the page draws of site power, from a comparison: courses of some sites over some days, and the fleet."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from controller.report.sitedata import MAX_DAYS, MAX_SITES, SitePage
from controller.site.comparison import Comparison
from controller.site.document import site_rows
from controller.site.run import SiteRun
from hw.power import flows
from hw.power.view import meter_load_w, pv_meter_w

Float64 = NDArray[np.float64]


@dataclass(slots=True)
class KeptCourses:
    """Keeps the courses that the page draws while policies are run: the first days that are scored."""

    comparison: Comparison
    sites: NDArray[np.intp] = field(init=False)
    begin: int = field(init=False)
    end: int = field(init=False)
    series: dict[str, NDArray[np.float32]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        scene, spans = self.comparison.scene, self.comparison.spans
        count = min(scene.n_sites, MAX_SITES)
        self.sites = np.unique(np.linspace(0, scene.n_sites - 1, count).astype(np.intp))
        self.begin = spans[0].begin
        self.end = min(spans[-1].end, self.begin + MAX_DAYS * scene.steps_per_day)

    def keep(self, policy: str, run: SiteRun) -> None:
        """Take what a run over one month did in the days that are kept."""
        first, last = max(self.begin, run.begin), min(self.end, run.begin + run.n_steps)
        if first >= last:
            return
        own, at = slice(first - run.begin, last - run.begin), slice(first - self.begin, last - self.begin)
        courses = {
            "charge_w": run.series(flows.BATTERY_IN)[self.sites, own],
            "discharge_w": run.series(flows.BATTERY_OUT)[self.sites, own],
            "stored_wh": run.stored_wh[self.sites, own],
            "import_w": run.series(flows.GRID_IMPORT)[self.sites, own],
        }
        for name, values in courses.items():
            self._of(f"{name}/{policy}")[:, at] = values

    def _of(self, name: str) -> NDArray[np.float32]:
        shape = (len(self.sites), self.end - self.begin)
        return self.series.setdefault(name, np.full(shape, np.nan, np.float32))

    def page(self) -> SitePage:
        """The page's data, as far as policies were run."""
        comparison, scene = self.comparison, self.comparison.scene
        names = list(comparison.tallies)
        whole = {k: v for k, v in self.series.items() if k.split("/")[1] in names}
        few = len(self.sites) < scene.n_sites or self.end < comparison.spans[-1].end
        days = (self.end - self.begin) / scene.steps_per_day
        note = f"{len(self.sites)} of {scene.n_sites} sites over the first {days:.0f} days that are scored."
        return SitePage(
            site_id=scene.site_id[self.sites].tolist(),
            start=scene.start.astype("datetime64[s]") + np.timedelta64(self.begin * scene.step_s, "s"),
            step_s=scene.step_s,
            time_zone=comparison.made.given.tariff.spec.time_zone,
            currency=scene.tariff.currency,
            policy_names=names,
            day_first_step=self._first_midnight(),
            series=self._shared() | whole,
            fleet=site_rows(comparison),
            series_note=note if few else "",
        )

    def _first_midnight(self) -> int:
        slot = self.comparison.made.calendar.slot(self.begin, self.end - self.begin)
        midnights = np.flatnonzero(slot == 0)
        return int(midnights[0]) if len(midnights) else 0

    def _shared(self) -> dict[str, NDArray[np.float32]]:
        """Courses that all policies share."""
        scene, weather = self.comparison.scene, self.comparison.made.given.weather
        part, span = scene.take(self.sites), slice(self.begin, self.end)
        dc_w = part.radio_w[:, span] + part.transport_w[:, span]
        price = scene.tariff.import_price[span]
        courses = {
            "load_w": meter_load_w(part.plant, dc_w, part.ac_load_w[:, span]),
            "pv_w": pv_meter_w(part.plant, dc_w, part.pv_w[:, span]),
            "import_price": np.broadcast_to(price, dc_w.shape),
            "floor_wh": part.floor_wh[:, span],
            "battery_c": part.battery_c[:, span],
            "outdoor_c": weather.outdoor_c[self.sites, span],
        }
        if not scene.mains.all():
            courses["mains"] = part.mains[:, span].astype(np.float64)
        if not courses["pv_w"].any():
            del courses["pv_w"]
        known = {name: values for name, values in courses.items() if not np.isnan(values).all()}
        return {name: values.astype(np.float32) for name, values in known.items()}
