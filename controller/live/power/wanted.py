"""Whether a site may be under a setpoint at all, whatever a plan wants for it: everything that keeps it charging."""

from __future__ import annotations

import numpy as np

from controller.live.ladder import Ladder
from controller.live.power.events import UInt8
from controller.live.power.fleet import Mask, PowerFleet, Sites
from controller.live.power.standing import SiteStanding
from controller.live.power.telemetry import Telemetry
from controller.live.power.why import Why
from controller.live.readiness import Readiness
from policies.site.guard import GuardReason


class SitesWanted(Readiness):
    """Bars over n sites."""

    def __init__(
        self,
        fleet: PowerFleet,
        standing: SiteStanding,
        telemetry: Telemetry,
        ladder: Ladder,
        site_of: Sites,
        is_stopped: bool,
    ) -> None:
        """``site_of`` (cells,): number of the site of each cell on the ladder, -1: of none."""
        super().__init__(fleet, is_stopped=is_stopped)
        self._fleet, self._standing, self._telemetry = fleet, standing, telemetry
        self._ladder = ladder
        self._cells = np.flatnonzero(site_of >= 0)  # those of a site with power
        self._site_of = site_of[self._cells]
        self._has_cells = np.bincount(self._site_of, minlength=len(fleet.site_ids)) > 0

    def acts(self) -> Mask:
        """Sites that may be sent setpoints: all cells act by their stage, none is left alone, nothing is real. (n,)"""
        barred = (~self._ladder.would_act | self._ladder.alone)[self._cells]
        n_barred = np.bincount(self._site_of[barred], minlength=len(self._has_cells))
        return np.asarray(self._has_cells & (n_barred == 0) & self._fleet.is_simulated)

    def bars(self) -> UInt8:
        """Why each site must charge safely, the last of these that holds; 0: it need not. (n,)"""
        fleet, telemetry = self._fleet, self._telemetry
        reason = np.zeros(len(fleet.site_ids), np.uint8)
        for bars, why in (
            (~telemetry.trusted, GuardReason.UNTRUSTED),
            (~telemetry.mains, GuardReason.OUTAGE),
            (self._standing.held, Why.UNACCOUNTED),
            (self._standing.local, Why.LOCAL),
            (fleet.of_agents(self.silent.tolist()), Why.SILENT),
            (~self.acts(), Why.STAGE),
            (self.led_by_other() | (not self.leads), Why.LEADER),
            (self.stopped(), Why.STOPPED),
        ):
            reason[bars] = why
        return reason
