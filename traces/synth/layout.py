"""Where the cells are and which of them overlap, on an invented map around latitude 0, longitude 0."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from traces.synth.shapes import AreaType
from traces.synth.spec import SynthSpec, site_random
from traces.trace import Cells, make_cells

INTER_SITE_KM = 0.5
POSITION_JITTER_KM = 0.05
KM_PER_DEGREE = 111.32
LAYOUT_STREAM = 0
HEX_DIRECTIONS = ((1, 0), (0, 1), (-1, 1), (-1, 0), (0, -1), (1, -1))  # axial steps at 0, 60, ... 300 degrees
DEGREES_PER_DIRECTION = 60

Axial = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Carrier:
    """One layer of a sector."""

    label: str
    product: str
    bandwidth_mhz: float
    txru: int
    rate_mbit_s: float  # of a full cell


# The first is the coverage layer. Rates follow a reference cell of 100 MHz and 64 TxRU; 32 TxRU carry 0.85.
CARRIERS = (
    Carrier("n41", "mid-32t", 100, 32, 850),
    Carrier("n78", "high-64t", 100, 64, 1000),
    Carrier("n79", "upper-64t", 100, 64, 1000),
)

# Products of the world three-layer: 10 MHz x 7.5 bit/s/Hz, 100 MHz x 8.5 and 100 MHz x 10.
LOW_BAND_CARRIERS = (
    Carrier("n28", "coverage-700", 10, 4, 75),
    Carrier("n41", "capacity-2600-32t", 100, 32, 850),
    Carrier("n78", "capacity-3500-64t", 100, 64, 1000),
)


def carriers_of(spec: SynthSpec) -> tuple[Carrier, ...]:
    """The layers of each sector, the coverage layer first."""
    return (LOW_BAND_CARRIERS if spec.low_band else CARRIERS)[: spec.layers]


def area_of(spec: SynthSpec, site: int) -> AreaType:
    """Area type of one site, drawn from the mix."""
    areas = sorted(spec.area_mix)
    edges = np.cumsum([spec.area_mix[a] for a in areas])
    draw = site_random(spec, site, LAYOUT_STREAM).random() * edges[-1]
    return areas[min(int(np.searchsorted(edges, draw, side="right")), len(areas) - 1)]


def hex_position(site: int) -> Axial:
    """Axial coordinates of the ``site``-th point of a hexagonal spiral around (0, 0)."""
    if site == 0:
        return 0, 0
    ring = (math.isqrt((4 * site - 1) // 3) + 1) // 2
    along = site - 1 - 3 * ring * (ring - 1)
    side, step = divmod(along, ring)
    corner, onward = HEX_DIRECTIONS[side], HEX_DIRECTIONS[(side + 2) % 6]
    return corner[0] * ring + onward[0] * step, corner[1] * ring + onward[1] * step


def make_layout(spec: SynthSpec, areas: list[AreaType]) -> Cells:
    """The cells of the network in the order site, sector, layer; ``areas`` names the type of each site."""
    sites = range(spec.first_site, spec.first_site + spec.n_sites)
    per_site = spec.sectors * spec.layers
    ids, site_ids, latitude, longitude = [], [], [], []
    for site in sites:
        name = f"S{site:05d}"
        east_km, north_km = _position_km(spec, site)
        for sector in range(spec.sectors):
            ids += [f"{name}-{sector + 1}-{carrier.label}" for carrier in carriers_of(spec)]
        site_ids += [name] * per_site
        latitude += [round(north_km / KM_PER_DEGREE, 6)] * per_site
        longitude += [round(east_km / KM_PER_DEGREE, 6)] * per_site
    carriers = [*carriers_of(spec)] * (spec.sectors * spec.n_sites)
    return make_cells(
        ids,
        candidates=_candidates(spec),
        site_id=site_ids,
        carrier=[c.label for c in carriers],
        product=[c.product for c in carriers],
        area_type=np.repeat(areas, per_site),
        bandwidth_mhz=[c.bandwidth_mhz for c in carriers],
        txru=[c.txru for c in carriers],
        latitude_deg=latitude,
        longitude_deg=longitude,
    )


def _position_km(spec: SynthSpec, site: int) -> tuple[float, float]:
    q, r = hex_position(site)
    jitter = site_random(spec, site, LAYOUT_STREAM + 1).normal(0, POSITION_JITTER_KM, 2)
    east_km = INTER_SITE_KM * (q + r / 2) + jitter[0]
    return float(east_km), float(INTER_SITE_KM * r * math.sqrt(3) / 2 + jitter[1])


def _candidates(spec: SynthSpec) -> dict[int, list[int]]:
    """Co-sector layers, and for a share of the capacity cells the facing coverage cell of the next site."""
    sites = range(spec.first_site, spec.first_site + spec.n_sites)
    index_of = {hex_position(site): i for i, site in enumerate(sites)} if spec.neighbour_overlap else {}
    found: dict[int, list[int]] = {}
    for i, site in enumerate(sites):
        overlap = site_random(spec, site, LAYOUT_STREAM + 2).random((spec.sectors, spec.layers))
        for sector in range(spec.sectors):
            first = (i * spec.sectors + sector) * spec.layers
            facing = _facing_cell(spec, index_of, site, sector)
            for layer in range(1, spec.layers):
                own = [first + other for other in range(spec.layers) if other != layer]
                overlapped = facing is not None and overlap[sector, layer] < spec.neighbour_overlap
                found[first + layer] = own + ([facing] if overlapped and facing is not None else [])
    return found


def _facing_cell(spec: SynthSpec, index_of: dict[Axial, int], site: int, sector: int) -> int | None:
    """Coverage cell of the next site in the direction of a sector that looks back at it, None at the edge."""
    azimuth = 360 * sector // spec.sectors
    q, r = hex_position(site)
    step = HEX_DIRECTIONS[round(azimuth / DEGREES_PER_DIRECTION) % 6]
    neighbour = index_of.get((q + step[0], r + step[1]))
    if neighbour is None:
        return None
    back = (azimuth + 180) % 360
    facing = min(range(spec.sectors), key=lambda s: abs((360 * s // spec.sectors - back + 180) % 360 - 180))
    return (neighbour * spec.sectors + facing) * spec.layers
