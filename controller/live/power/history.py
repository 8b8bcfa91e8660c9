"""What the sites drew in earlier steps, laid out as the scene that a site's outlook reads, and the tariff over it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from controller.live.power.fleet import Float64
from controller.live.power.inputs import Inputs
from controller.live.power.telemetry import Step
from controller.site.outlook_days import SiteCalendar
from controller.site.scene import SiteScene
from controller.site.tariff import TariffSeries

KEPT_DAYS, DROPPED_DAYS = 49, 7
AHEAD_DAYS = 34  # of the tariff: to the end of any billing month, and a plan's horizon behind it


class History:
    """Steps of n sites, numbered since 1970. The first step that is kept is the scene's step 0."""

    def __init__(self, inputs: Inputs) -> None:
        self._inputs = inputs
        self._load_w = inputs.past_w.copy() if inputs.past_w.size else np.zeros((inputs.n_sites, 0))
        self._pv_w = np.where(np.isnan(self._load_w), np.nan, 0.0)
        self.first = inputs.past_step if inputs.past_w.size else -1
        self._tariff: TariffSeries | None = None
        self._tariff_at = (-1, -1)
        self._cut()

    def add(self, step: int, measured: Step) -> None:
        """Take in a step that is over; steps in between were not measured. An earlier one again changes nothing."""
        if self.first < 0:
            self.first = step
        gap = step - self.first - self._load_w.shape[1]
        if gap < 0:
            return
        if gap > KEPT_DAYS * self._inputs.steps_per_day:
            self.first, gap = step, 0
            self._load_w = self._pv_w = np.zeros((self._inputs.n_sites, 0))
        self._append(gap, measured.load_w[:, None], measured.pv_w[:, None])
        self._cut()

    def _append(self, gap: int, load_w: Float64, pv_w: Float64) -> None:
        """So many steps that were not measured, then steps (n, k) that were."""
        missing = np.full((self._inputs.n_sites, gap), np.nan)
        self._load_w = np.concatenate([self._load_w, missing, load_w], 1)
        self._pv_w = np.concatenate([self._pv_w, missing, pv_w], 1)

    def _cut(self) -> None:
        day = self._inputs.steps_per_day
        while self._load_w.shape[1] > KEPT_DAYS * day:
            drop = DROPPED_DAYS * day
            self._load_w, self._pv_w = self._load_w[:, drop:], self._pv_w[:, drop:]
            self.first += drop

    def n_before(self, step: int) -> int:
        """Steps that are known before one."""
        return 0 if self.first < 0 else max(0, min(step - self.first, self._load_w.shape[1]))

    def look_from(self, step: int) -> None:
        """From now on ``step`` is the one that begins: what is missing before it was not measured."""
        missing = step - self.first - self._load_w.shape[1]
        if missing > 0:
            nothing = np.zeros((self._inputs.n_sites, 0))
            self._append(missing, nothing, nothing)
        self._series(step)

    @property
    def tariff(self) -> TariffSeries:
        """Prices from the first step on, to behind the end of the billing month."""
        assert self._tariff is not None
        return self._tariff

    @property
    def n_tariff(self) -> int:
        """Steps that the tariff covers."""
        return self.tariff.n_steps

    @property
    def month_end(self) -> NDArray[np.int64]:
        """For each step of the tariff the first one of the next billing month."""
        month = self.tariff.month
        return np.searchsorted(month, month, side="right")

    @property
    def calendar(self) -> SiteCalendar:
        """Local days of the tariff's zone from the first step on."""
        return SiteCalendar(self._start, self._inputs.step_s, self._inputs.tariff.spec.time_zone)

    @property
    def _start(self) -> np.datetime64:
        return np.datetime64(self.first * self._inputs.step_s, "s")

    def billed(self, step: int) -> tuple[int, bool]:
        """Number of the billing month of a step, and whether its import counts for the peak."""
        self._series(step)
        at, tariff = step - self.first, self.tariff
        begin, _ = self._inputs.tariff.billing_month(np.datetime64(step * self._inputs.step_s, "s"))
        return int(begin.astype(np.int64)), 0 <= at < tariff.n_steps and bool(tariff.demand_counts[at])

    def _series(self, step: int) -> None:
        """Prices as far as a plan that is made at a step looks; made once a day."""
        day = self._inputs.steps_per_day
        at = (self.first, step // day)
        if self._tariff is None or at != self._tariff_at:
            n_steps = (step // day + 1) * day - self.first + AHEAD_DAYS * day
            self._tariff = self._inputs.tariff.series(self._start, n_steps, self._inputs.step_s)
            self._tariff_at = at

    def scene(self) -> SiteScene:
        """All that was measured, as a scene of which nothing later is known."""
        inputs, n = self._inputs, self._inputs.n_sites
        load_w = self._load_w.copy()
        unknown = np.isnan(load_w).all(1)
        load_w[unknown] = inputs.upper_dc_w[unknown, None]
        pv_w = self._pv_w.copy()
        pv_w[np.isnan(pv_w).all(1)] = 0.0
        steps = load_w.shape[1]

        def over(values: Float64) -> Float64:
            return np.repeat(values[:, None], steps, axis=1)

        return SiteScene(
            site_id=np.array(inputs.site_ids),
            plant=inputs.plant,
            start=self._start,
            step_s=inputs.step_s,
            tariff=self.tariff,
            radio_w=load_w,
            transport_w=np.zeros((n, steps)),  # measured with the radio
            ac_load_w=over(inputs.ac_load_w),
            upper_dc_w=over(inputs.upper_dc_w),
            upper_ac_w=over(inputs.ac_load_w),
            pv_w=pv_w,
            battery_c=over(inputs.battery_c),
            mains=np.ones((n, steps), np.bool_),
            floor_wh=np.zeros((n, steps + 1)),
            export_cap_w=inputs.export_cap_w,
            import_cap_w=inputs.import_cap_w,
        )
