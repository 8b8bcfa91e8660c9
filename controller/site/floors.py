"""The reserve of every site over a trace: floors, declared hours, and alarms of packs that are too small."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from controller.site.sites_file import Site
from hw.power.plant import Plant
from policies.site.backup import BackupClass, backup_of
from policies.site.pack import cable_losses_w, reserve_pack
from policies.site.reserve import Agents, Loads, Reserve, floor_wh

Float64 = NDArray[np.float64]


def site_floors(
    plant: Plant,
    sites: list[Site],
    classes: list[BackupClass],
    planned_w: Float64,
    full_w: Float64,
    transport_w: Float64,
    coldest_c: Float64,
    step_s: int,
) -> Reserve:
    """Floors at the T+1 boundaries of the trace.

    ``planned_w``, ``full_w``: upper quantiles of the radio under the plan and at full service, ``transport_w``, and
    ``coldest_c`` the lowest cell temperature to be expected. (n, T)
    """
    backup = backup_of(classes, [site.mains_grade for site in sites])
    beyond = int(np.ceil(backup.transport_s.max() / step_s)) + 1
    planned_w, full_w, transport_w = (_longer(a, beyond, step_s) for a in (planned_w, full_w, transport_w))
    planned_w, _ = cable_losses_w(plant, planned_w, transport_w)
    full_bus_w, transport_bus_w = cable_losses_w(plant, full_w, transport_w)
    programs = [site.on_battery_program for site in sites]
    kept = np.array([1.0 if p is None else p.stages[0].radio_ratio for p in programs])
    program_w, _ = cable_losses_w(plant, kept[:, None] * full_w, transport_w)
    agents = Agents(
        np.array([p is not None and p.acknowledged for p in programs]),
        np.array([0.0 if p is None else p.reaction_s for p in programs]),
    )
    coldest = np.concatenate([coldest_c, coldest_c[:, -1:]], 1)
    peak_w = (full_bus_w + transport_bus_w).max(1)
    health = np.array([site.health for site in sites])
    pack = reserve_pack(plant, health, coldest, peak_w, transport_bus_w.max(1))
    return floor_wh(backup, Loads(planned_w, full_bus_w, program_w, transport_bus_w), agents, pack, step_s)


def alarms_of(reserve: Reserve, sites: list[Site], classes: list[BackupClass]) -> list[list[str]]:
    """For each site, sentences on a pack that cannot meet its class."""
    backup = backup_of(classes, [site.mains_grade for site in sites])
    return [
        [
            f"the pack carries radio for {reserve.radio_s[i] / 3600:.1f} h of the {backup.radio_s[i] / 3600:.1f} h "
            f"and transport for {reserve.transport_s[i] / 3600:.1f} h of the {backup.transport_s[i] / 3600:.1f} h "
            f"that class {classes[i].name} asks for at mains grade {sites[i].mains_grade}"
        ]
        if reserve.alarm[i]
        else []
        for i in range(len(sites))
    ]


def _longer(power_w: Float64, beyond: int, step_s: int) -> Float64:
    """The series with ``beyond`` more steps: its last day again."""
    day = min(86_400 // step_s, power_w.shape[1])
    return np.concatenate([power_w, np.resize(power_w[:, -day:].T, (beyond, len(power_w))).T], 1)
