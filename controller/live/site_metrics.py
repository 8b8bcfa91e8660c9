"""Metrics of site power: counts and sums over the network, by reasons that the code fixes. No label names a site."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Iterable

import numpy as np
from prometheus_client import CollectorRegistry, Counter, Gauge

from controller.live.events import Record
from controller.live.power.events import ChargedSafely, PowerDecided
from controller.live.power.looking import SitesState
from controller.live.power.why import Why, word_of
from policies.site.guard import GuardReason
from policies.site.soc_check import ChargeReason

J_PER_WH = 3600.0
SAFE = (GuardReason.OUTAGE, GuardReason.UNTRUSTED, *Why)  # why a site charges safely
DOUBTS = tuple(reason for reason in ChargeReason if reason > ChargeReason.PROVING)


class SiteMetrics:
    """All of them at 0 until a controller with site power has ticked."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(f"quietcell_{name}", text, labels, registry=registry)

        self._sites = gauge("sites", "Sites with power.")
        self._leased = gauge("sites_leased", "Sites under a setpoint by lease.")
        self._safe = gauge("sites_charging_safely", "Sites that charge safely, by why.", "reason")
        self._doubted = gauge("sites_charge_doubted", "Sites whose state of charge is found wrong.", "reason")
        self._outage = gauge("sites_without_mains", "Sites without mains.")
        self._below = gauge("sites_below_floor", "Sites with less than their reserve by a charge believed.")
        self._unmeasured = gauge("sites_unmeasured", "Sites without an agent, or not measured yet.")
        self._local = gauge("sites_local_control", "Sites that are switched or locked by hand.")
        self._programs = gauge("sites_program_acknowledged", "Sites whose on-battery program is stored.")
        self._plan_age = gauge("sites_plan_age_seconds", "Age of the last plan of site power.")
        self._stored = gauge("sites_stored_joules", "Energy stored in measured sites.")
        self._floor = gauge("sites_floor_joules", "Reserve floors of the same sites.")
        self._margin = gauge("sites_least_margin_joules", "Least stored above a floor, of sites believed.")
        self._battery = gauge("sites_battery_watts", "Measured power of batteries.", "way")
        self._import = gauge("sites_import_watts", "Measured import.")
        self._load = gauge("sites_load_watts", "Measured load of radio and transport.")
        self._pv = gauge("sites_pv_watts", "Measured power of PV.")
        self._agents = gauge("power_agents", "Configured power agents.")
        self._connected = gauge("power_agents_connected", "Power agents with an open stream.")
        self._silent = gauge("power_agents_silent", "Power agents without reports or samples for too long.")
        self._stopped = gauge("power_agents_stopped", "Power agents whose stop latch is set.")
        self._setpoints = Counter("quietcell_setpoints", "Setpoints decided.", registry=registry)
        self._charges = Counter(
            "quietcell_safe_charges", "Sites put on safe charging.", ("reason",), registry=registry
        )
        for reason in SAFE:
            self._safe.labels(word_of(reason))
            self._charges.labels(word_of(reason))
        for doubt in DOUBTS:
            self._doubted.labels(doubt.name.lower())
        for way in ("charge", "discharge"):
            self._battery.labels(way)

    def put_out(self, records: Iterable[Record]) -> None:
        """What was decided for sites."""
        for record in records:
            if isinstance(record, PowerDecided):
                self._setpoints.inc(len(record.site))
            elif isinstance(record, ChargedSafely):
                for reason, count in Tally(record.reason.tolist()).items():
                    self._charges.labels(word_of(reason)).inc(count)

    def saw(self, state: SitesState) -> None:
        """The sites as they are after a tick."""
        self._sites.set(len(state.site_ids))
        self._leased.set(int(state.is_leased.sum()))
        safe = Tally(state.reason[~state.is_leased].tolist())
        for reason in SAFE:
            self._safe.labels(word_of(reason)).set(safe[int(reason)])
        doubted = Tally(state.charge_reason[state.is_wrong].tolist())
        for doubt in DOUBTS:
            self._doubted.labels(doubt.name.lower()).set(doubted[int(doubt)])
        measured = state.is_measured
        self._outage.set(int((measured & ~state.mains).sum()))
        self._below.set(int(state.is_below_floor.sum()))
        self._unmeasured.set(int((~measured).sum()))
        self._local.set(int(state.is_local.sum()))
        self._programs.set(int((state.has_program & state.is_acknowledged).sum()))
        self._plan_age.set(state.plan_age_s)
        self._sums(state)
        self._of_agents(state)

    def _sums(self, state: SitesState) -> None:
        measured = state.is_measured
        self._stored.set(float(np.nansum(state.stored_wh[measured])) * J_PER_WH)
        self._floor.set(float(state.floor_wh[measured].sum()) * J_PER_WH)
        margin = (state.stored_wh - state.floor_wh)[measured & state.trusted]
        self._margin.set(float(margin.min(initial=np.inf)) * J_PER_WH if len(margin) else np.nan)
        battery_w = np.nan_to_num(state.battery_w[measured])
        self._battery.labels("charge").set(float(-battery_w[battery_w < 0].sum()))
        self._battery.labels("discharge").set(float(battery_w[battery_w > 0].sum()))
        for metric, values in (
            (self._import, state.import_w),
            (self._load, state.load_w),
            (self._pv, state.pv_w),
        ):
            metric.set(float(np.nansum(values[measured])))

    def _of_agents(self, state: SitesState) -> None:
        agents = state.agents
        self._agents.set(len(agents))
        self._connected.set(sum(agent.is_connected for agent in agents))
        self._silent.set(sum(agent.is_silent for agent in agents))
        self._stopped.set(sum(agent.is_stopped for agent in agents))
