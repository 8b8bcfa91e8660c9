"""Twin of the reserve: walks through each failure in slices of seconds, in floats and without prefix sums."""

from __future__ import annotations

import math

from policies.site.reserve import Agents, Backup, Loads, Pack

SLICE_S = 5


def stored_needed_wh(
    backup: Backup, loads: Loads, agents: Agents, pack: Pack, i: int, t: int, *, step_s: int
) -> float:
    """Floor of site i at boundary t by stepping through the failure; all times in whole slices."""
    window = range(t, min(pack.capacity_wh.shape[1], t + math.ceil(backup.transport_s[i] / step_s) + 1))
    radio_cut = max(pack.radio_cutoff_wh[i, k] for k in window)
    transport_cut = max(pack.transport_cutoff_wh[i, k] for k in window)
    taken = floor = 0.0
    radio_s = backup.radio_s[i]
    if not agents.acknowledged[
        i
    ]:  # radio is on until what lies between the stages carries transport to its end
        between = transport_cut - radio_cut
        between += pack.self_discharge_w[i] * backup.transport_s[i] / 3600
        s = backup.transport_s[i]
        while s > radio_s and between < 0:
            s -= 1
            between += (
                loads.transport_w[i, int(t * step_s + s) // step_s] / pack.discharge_efficiency[i] / 3600
            )
        radio_s = max(radio_s, s)
    for k in range(int(backup.transport_s[i]) // SLICE_S):
        s = k * SLICE_S
        at = int(t * step_s + s) // step_s
        radio_w = 0.0
        if s < radio_s:
            planned, full = loads.planned_radio_w[i, at], loads.full_radio_w[i, at]
            if agents.acknowledged[i]:
                calm = s >= agents.reaction_s[i]
                radio_w = min(loads.program_radio_w[i, at], full) if calm else max(planned, full)
            else:
                radio_w = planned if s < backup.lease_s[i] else full
        bus_w = radio_w + loads.transport_w[i, at]
        taken += (bus_w / pack.discharge_efficiency[i] + pack.self_discharge_w[i]) * SLICE_S / 3600
        if s < radio_s:
            floor = max(floor, radio_cut + taken)
    return max(floor, transport_cut + taken)
