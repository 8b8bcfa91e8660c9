"""Synthetic networks: cells, layers, traffic, a saving operator, outages and gaps, all from one seed.

``generate(SynthSpec(n_sites=100, days=14))`` gives a ``Trace``. Sites are independent: site 7 is the same
in a network of ten and of ten thousand sites, so a large network can be made in partitions with
``first_site``. The model and its limits are described in docs/synthetic.md.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from traces.synth.clock import Clock, make_clock
from traces.synth.demand import sector_demand
from traces.synth.faults import draw_faults
from traces.synth.layout import area_of, make_layout
from traces.synth.measure import record
from traces.synth.saving import site_energy_wh
from traces.synth.shapes import AREA_TYPES, AreaType, day_table
from traces.synth.spec import Event, SynthSpec
from traces.trace import SiteEnergy, Trace

__all__ = ["AREA_TYPES", "Event", "SynthSpec", "generate"]

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
SERIES = ("dl_prb_ratio", "ul_prb_ratio", "dl_volume_bit", "ul_volume_bit", "active_users")
LEVELS = ("symbol", "carrier_shutdown")


def generate(spec: SynthSpec, on_site: Callable[[int], None] | None = None) -> Trace:
    """The network that ``spec`` describes; same spec, same trace.

    ``on_site`` is called with the number of sites that are ready, for a progress bar.
    """
    areas = [area_of(spec, site) for site in range(spec.first_site, spec.first_site + spec.n_sites)]
    cells = make_layout(spec, areas)
    levels = LEVELS if spec.logged_share > 0 and spec.layers > 1 else ()
    made = {name: np.empty((spec.n_cells, spec.n_steps), np.float32) for name in (*SERIES, *levels)}
    energy_wh = np.empty((spec.n_sites, spec.n_steps), np.float32)
    clock, tables = make_clock(spec), {area: day_table(area) for area in AREA_TYPES}
    per_site = spec.sectors * spec.layers
    for i, area in enumerate(areas):
        rows = {name: array[i * per_site : (i + 1) * per_site] for name, array in made.items()}
        energy_wh[i] = _fill_site(spec, clock, tables[area], area, spec.first_site + i, rows)
        if on_site is not None:
            on_site(i + 1)
    site_id = cells.site_id[::per_site]
    return Trace(
        source=f"synthetic network, seed {spec.seed}",
        cells=cells,
        start=spec.start_utc,
        step_s=spec.step_s,
        time_zone=spec.time_zone,
        dl_prb_ratio=made["dl_prb_ratio"],
        ul_prb_ratio=made["ul_prb_ratio"],
        dl_volume_bit=made["dl_volume_bit"],
        ul_volume_bit=made["ul_volume_bit"],
        active_users=made["active_users"],
        activation={level: made[level] for level in levels},
        site_energy=SiteEnergy(site_id, energy_wh, "Wh") if spec.site_energy else None,
        notes=("All cells, positions and measurements are invented; see docs/synthetic.md.",),
    )


def _fill_site(
    spec: SynthSpec, clock: Clock, table: Float64, area: AreaType, site: int, rows: dict[str, Float32]
) -> Float64:
    """Make one site, write it into its rows of the network's arrays and return its energy. (n_steps,) [Wh]"""
    shape = (spec.sectors, spec.layers, spec.n_steps)
    faults = draw_faults(spec, site, spec.sectors * spec.layers)
    counters = record(spec, clock, site, sector_demand(spec, clock, table, area, site), faults.silent)
    for name, row in rows.items():
        values = getattr(counters.night, name) if name in LEVELS else getattr(counters, name)
        row[:] = values.reshape(row.shape)
        row[faults.lost] = np.nan
    used_wh = np.round(site_energy_wh(spec, site, counters.dl_prb_ratio.reshape(shape), counters.night))
    used_wh[faults.site_lost] = np.nan
    return used_wh
