"""One billing month of a fleet: what every policy of a comparison shares.

All policies begin and end the month at the same stored energy, on the same plant, floors, limits and wear price.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from controller.site.run import Guard, SiteRun, run_sites
from controller.site.scene import SiteScene
from hw.power.plant import start_state
from hw.power.view import meter_load_w, pv_meter_w
from policies.site.dispatch import Calendar, Dispatch
from policies.site.rules import Returning

Float64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Month:
    """The steps ``begin`` .. ``end`` of a scene, all in one billing month."""

    scene: SiteScene
    begin: int
    end: int
    soc: Float64  # (n,) at the begin and at the end
    health: Float64  # (n,)
    rank: Float64  # (T,) of each step's price in its local day
    guard: Guard

    @property
    def calendar(self) -> Calendar:
        """The steps that plans must know."""
        month = self.scene.tariff.month
        change = np.append(np.flatnonzero(np.diff(month)) + 1, len(month))
        ends = change[np.searchsorted(change, np.arange(len(month)), "right")]
        return Calendar(self.scene.step_h, self.scene.steps_per_day, ends, self.end)

    @property
    def keep_wh(self) -> Float64:
        """Stored energy at the begin and at the end. (n,)"""
        return start_state(self.scene.plant, self.soc, self.health).stored_wh

    @property
    def highest_before_w(self) -> Float64:
        """Highest import with an idle battery in as many steps before the month as it has; in it where none are."""
        scene, length = self.scene, self.end - self.begin
        span = slice(max(0, self.begin - length), self.begin) if self.begin else slice(0, self.end)
        dc_w = scene.radio_w[:, span] + scene.transport_w[:, span]
        load_w = meter_load_w(scene.plant, dc_w, scene.ac_load_w[:, span])
        saved_w = pv_meter_w(scene.plant, dc_w, scene.pv_w[:, span])
        return np.asarray((load_w - saved_w).max(1))

    def returning(self, inner: Dispatch) -> Dispatch:
        """A policy without foresight that recharges at the end of the month."""
        return Returning(inner, self.scene.plant, self.end, self.keep_wh, self.calendar)

    def take(self, sites: NDArray[np.intp]) -> Month:
        """The month of some sites."""
        return replace(
            self,
            scene=self.scene.take(sites),
            soc=self.soc[sites],
            health=self.health[sites],
            guard=self.guard.take(sites),
        )


def run_month(month: Month, dispatch: Dispatch) -> SiteRun:
    """Carry out a policy over the month."""
    start = start_state(month.scene.plant, month.soc, month.health)
    return run_sites(month.scene, dispatch, month.guard, begin=month.begin, end=month.end, start=start)
