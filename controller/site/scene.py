"""A fleet of sites as arrays: plant, loads, weather, tariff, mains and reserve, step by step.

The scene also holds the past before the steps that are scored, because forecasts learn from it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from controller.site.tariff import TariffSeries
from hw.power.plant import Inputs, Plant
from policies.site.outage import Program
from policies.site.recovery import RecoveryTerms

Float64 = NDArray[np.float64]
T = TypeVar("T", bound=tuple[Any, ...])


class OutageTerms(NamedTuple):
    """How sites live through outages, and after them."""

    program: Program  # (n, K)
    acknowledged: NDArray[np.bool_]  # (n,) False: no program, the disconnect alone sheds
    full_radio_w: Float64  # (n, T) radio at full service
    radio_s: Float64  # (n,) declared time on battery
    transport_s: Float64  # (n,)
    recovery: RecoveryTerms
    seed: int  # of the delays

    def take(self, sites: NDArray[np.intp]) -> OutageTerms:
        """The terms of some sites."""
        return OutageTerms(
            _rows(self.program, sites),
            self.acknowledged[sites],
            self.full_radio_w[sites],
            self.radio_s[sites],
            self.transport_s[sites],
            _rows(self.recovery, sites),
            self.seed,
        )


class EventTerms(NamedTuple):
    """Demand-response events at the meter. (n, T)"""

    limit_w: Float64  # import that is asked for, a reduction counted from the baseline; inf: none
    baseline_w: Float64  # what a reduction is counted from, NaN where there is none
    reduce_w: Float64
    penalty_per_kwh: Float64
    reward_per_kwh: Float64
    known_at: NDArray[np.int64]

    def cost(self, import_w: Float64, steps: slice, step_h: float) -> Float64:
        """Penalties less rewards of an import (n, steps). (n, steps) [currency]"""
        over_w = self.over_w(import_w, steps)
        reduced_w = np.clip(np.nan_to_num(self.baseline_w[:, steps]) - import_w, 0.0, self.reduce_w[:, steps])
        money = over_w * self.penalty_per_kwh[:, steps] - reduced_w * self.reward_per_kwh[:, steps]
        return np.asarray(money * (step_h / 1000))

    def over_w(self, import_w: Float64, steps: slice) -> Float64:
        """Import above what was asked for. (n, steps) [W]"""
        return np.maximum(import_w - self.limit_w[:, steps], 0.0)  # 0 without a limit

    @property
    def firm(self) -> NDArray[np.bool_]:
        """Steps with a limit that neither costs nor pays. (n, T)"""
        free = (self.penalty_per_kwh == 0) & (self.reward_per_kwh == 0)
        return np.asarray(np.isfinite(self.limit_w) & free)

    def take(self, sites: NDArray[np.intp]) -> EventTerms:
        """The terms of some sites."""
        return _rows(self, sites)


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
    outage: OutageTerms | None = None  # None: mains never fails
    event: EventTerms | None = None  # None: no events

    @property
    def n_sites(self) -> int:
        """Number of sites."""
        return len(self.site_id)

    @property
    def n_steps(self) -> int:
        """Number of steps."""
        return int(self.radio_w.shape[1])

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

    def limit_w(self, step: int, paid_w: Float64 | None = None) -> Float64:
        """Import that the connection and events allow; up to ``paid_w`` (n,) an event is paid, not kept. (n,) [W]"""
        if self.event is None:
            return self.import_cap_w
        event_w = self.event.limit_w[:, step]
        return np.minimum(self.import_cap_w, event_w if paid_w is None else np.maximum(event_w, paid_w))

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
        picked: dict[str, Any] = {
            name: np.ascontiguousarray(getattr(self, name)[sites]) for name in _PER_SITE
        }
        outage = None if self.outage is None else self.outage.take(sites)
        event = None if self.event is None else self.event.take(sites)
        plant = _rows(self.plant, sites)
        return replace(self, plant=plant, outage=outage, event=event, **picked)


_PER_SITE = (
    "site_id",
    "radio_w",
    "transport_w",
    "ac_load_w",
    "upper_dc_w",
    "upper_ac_w",
    "pv_w",
    "battery_c",
    "mains",
    "floor_wh",
    "export_cap_w",
    "import_cap_w",
)


def _rows(arrays: T, sites: NDArray[np.intp]) -> T:
    """Every array of a named tuple for some sites."""
    return type(arrays)(*(array[sites] for array in arrays))
