"""What sites do when the grid fails or asks: terms of outages and of demand-response events."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from controller.site.grid_events import EventSeries
from controller.site.scene import EventTerms, OutageTerms, SiteScene
from controller.site.sites_file import ProgramSpec, Site, StageSpec
from hw.power.view import meter_load_w, pv_meter_w
from policies.site.backup import BackupClass
from policies.site.outage import Program, check_program
from policies.site.recovery import RecoveryTerms
from policies.site.reserve import Reserve

Float64 = NDArray[np.float64]
BASELINE_DAYS = 10
FULL_SERVICE = ProgramSpec(
    acknowledged=False, reaction_s=0.0, stages=(StageSpec(after_s=0.0, radio_ratio=1.0),)
)


def outage_terms(
    sites: list[Site], classes: list[BackupClass], full_w: Float64, reserve: Reserve, seed: int = 0
) -> OutageTerms:
    """Programs as the sites file says them, and recovery by the class. Sites of fewer stages repeat their last one."""
    programs = [site.on_battery_program or FULL_SERVICE for site in sites]
    most = max(len(p.stages) for p in programs)
    stages = [(*p.stages, *[p.stages[-1]] * (most - len(p.stages))) for p in programs]
    program = Program(
        np.array([[s.after_s for s in own] for own in stages]),
        np.array([[1.0, *(s.below_soc for s in own[1:])] for own in stages]),
        np.array([[s.radio_ratio for s in own] for own in stages]),
        np.array([[s.transport for s in own] for own in stages]),
        np.array([p.back_s for p in programs]),
    )
    check_program(program)
    recovery = RecoveryTerms(
        np.array([c.recovery_limit_w for c in classes]),
        np.array([c.recovery_spread_s for c in classes]),
        np.array([c.recovery_within_s for c in classes]),
    )
    acknowledged = np.array([p.acknowledged for p in programs])
    return OutageTerms(program, acknowledged, full_w, reserve.radio_s, reserve.transport_s, recovery, seed)


def event_terms(events: EventSeries, scene: SiteScene) -> EventTerms:
    """Events as limits at the meter.

    A reduction counts from the baseline: the mean import with an idle battery in the same steps of the ten days before,
    or of as many as there are.
    """
    per_day = scene.steps_per_day
    dc_w = scene.radio_w + scene.transport_w
    load_w = meter_load_w(scene.plant, dc_w, scene.ac_load_w)
    net_w = np.maximum(load_w - pv_meter_w(scene.plant, dc_w, scene.pv_w), 0.0)
    baseline_w = np.full(net_w.shape, np.nan)
    for t in np.flatnonzero((events.reduce_w > 0).any(0)).tolist():
        before = np.arange(t - per_day, max(-1, t - (BASELINE_DAYS + 1) * per_day), -per_day)
        before = before[before >= 0]
        if len(before):
            baseline_w[:, t] = net_w[:, before].mean(1)
    asked_w = np.where((events.reduce_w > 0) & ~np.isnan(baseline_w), baseline_w - events.reduce_w, np.inf)
    return EventTerms(
        np.maximum(np.minimum(events.limit_w, asked_w), 0.0),
        baseline_w,
        events.reduce_w,
        events.penalty_per_kwh,
        events.reward_per_kwh,
        events.known_at,
    )
