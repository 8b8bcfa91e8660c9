"""What is commanded of each site, and the one place where that changes; see controller/live/leases.py.

A site is on safe charging, or under a setpoint by lease. Revisions only count up.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from controller.live.power.fleet import Float64, Mask, PowerAgent, Sites
from hw.active_set import SITE, active_digest

UInt64 = NDArray[np.uint64]


class SiteLeases:
    """Commanded state of n sites."""

    def __init__(self, n_sites: int) -> None:
        self.is_leased = np.zeros(n_sites, np.bool_)
        self.battery_w, self.import_limit_w = np.zeros(n_sites), np.zeros(n_sites)
        self.reason = np.zeros(n_sites, np.uint8)  # of the setpoint, policies.site.guard.GuardReason
        self.revision = np.zeros(n_sites, np.uint64)
        self.is_confirmed = np.ones(n_sites, np.bool_)
        self.pending_ticks = np.zeros(n_sites, np.int64)  # guard ticks since a command not yet confirmed

    def command(
        self, sites: Sites, battery_w: Float64, import_limit_w: Float64, reason: NDArray[np.uint8]
    ) -> UInt64:
        """Setpoints (k,) for sites (k,), and why they are so. Returns their revisions. (k,)"""
        self.battery_w[sites], self.import_limit_w[sites] = battery_w, import_limit_w
        self.reason[sites] = reason
        return self._next(sites, True)

    def charge_safely(self, sites: Sites) -> UInt64:
        """Safe charging for sites (k,). Returns their revisions. (k,)"""
        return self._next(sites, False)

    def _next(self, sites: Sites, leased: bool) -> UInt64:
        self.revision[sites] += np.uint64(1)
        self.is_leased[sites], self.is_confirmed[sites], self.pending_ticks[sites] = leased, False, 0
        return self.revision[sites]

    def drop(self, sites: Sites) -> None:
        """The agent holds no lease of ours for sites (k,)."""
        self.is_leased[sites], self.is_confirmed[sites] = False, True

    def raise_to(self, sites: Sites, revision: UInt64) -> None:
        """Agents have seen revisions (k,) of sites (k,); later ones are higher."""
        self.revision[sites] = np.maximum(self.revision[sites], revision)

    def same(
        self, sites: Sites, revision: UInt64, leased: Mask, battery_w: Float64, limit_w: Float64
    ) -> Mask:
        """Whether agents hold just what was commanded of sites (k,). (k,)"""
        value = (battery_w == self.battery_w[sites]) & (limit_w == self.import_limit_w[sites])
        rest = ~leased & ~self.is_leased[sites]
        return np.asarray(
            (revision == self.revision[sites]) & (rest | (leased & self.is_leased[sites] & value))
        )

    def is_active(self, agent: PowerAgent) -> bool:
        """Whether an agent holds any lease."""
        return bool(self.is_leased[agent.cells].any())

    def digest(self, agent: PowerAgent) -> bytes:
        """Digest of what an agent's active set must be."""
        leased = self.is_leased[agent.cells]
        sites = agent.cells[leased]
        active = np.empty(len(sites), SITE)
        active["place"], active["revision"] = agent.places[leased], self.revision[sites]
        active["battery_w"], active["import_limit_w"] = self.battery_w[sites], self.import_limit_w[sites]
        return active_digest(active)
