"""Fits a calibration to measurements, and predicts measurements from a calibration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from hw.calibration.awake import KNOTS, Awake, fit_awake, shaped_load
from hw.calibration.clock import estimate_clocks, offset_of_cells
from hw.calibration.effects import Effect, Evidence, Kind, estimate_effects, gather_evidence, untouched
from hw.calibration.measurements import Float64, Measurements, SiteRows, pair, without_absurd
from hw.calibration.model import (
    Calibration,
    CellFit,
    ClockFit,
    LevelFit,
    Middle,
    ProductFit,
    Shape,
    StationFit,
)
from hw.calibration.priors import Middles, Path
from hw.calibration.typical import Typical
from hw.errors import WorldError


@dataclass(frozen=True, slots=True)
class _Parts:
    """What one pass over the measurements finds."""

    rows: list[SiteRows]
    evidence: dict[Kind, Evidence]
    awake: Awake
    middles: Middles
    effects: dict[Kind, Effect]


def fit_power(
    m: Measurements, *, source: str = "", correct_clocks: bool = True, compare_as_stamped: bool = False
) -> Calibration:
    """Fit power models of stations, products and levels.

    Parameters
    ----------
    m : what was recorded.
    source : where the measurements are from.
    correct_clocks : move the load onto the clock of the energy where they differ.
    compare_as_stamped : also estimate the effects without correcting the clocks.

    Raises WorldError if no step has both energy and load.
    """
    m, n_absurd = without_absurd(m)
    clocks = estimate_clocks(m) if correct_clocks else []
    parts = _fit_parts(m, clocks)
    as_stamped: dict[Kind, Effect] = {}
    if compare_as_stamped:
        moved = any(clock.offset_steps for clock in clocks)
        as_stamped = _fit_parts(m, []).effects if moved else parts.effects
    n_steps = sum(len(rows.step) for rows in parts.rows)
    return Calibration(
        source=source,
        energy_unit=m.energy_unit,
        step_s=m.step_s,
        n_steps=n_steps,
        n_steps_unpaired=int(np.isfinite(m.energy).sum()) - n_steps,
        n_steps_absurd=n_absurd,
        noise=parts.awake.noise,
        spread_base=parts.awake.spread[0],
        spread_slope=parts.awake.spread[1],
        clocks=tuple(clocks),
        products={p: _product(m, parts, as_stamped, p) for p in sorted(set(m.product.tolist()))},
        knots=tuple(KNOTS.tolist()),
        shapes=tuple(Shape(product=p, values=tuple(s.tolist())) for p, s in parts.awake.shape.items()),
        typical_txru=dict(parts.middles.txru),
        base_middles=_middles(parts.middles.base),
        slope_middles=_middles(parts.middles.slope),
        stations=tuple(_station(m, parts, site) for site in range(len(m.site_id))),
    )


def predict(calibration: Calibration, m: Measurements) -> Float64:
    """Energy of each station and step at the recorded loads and activations. (S, T), NaN without a load

    A station that the calibration does not know with these cells gets the middle of its kind.
    """
    known = {(s.site_id, frozenset(cell.cell_id for cell in s.cells)): s for s in calibration.stations}
    shape = {known.product: np.array(known.values) for known in calibration.shapes}
    typical, kinds = Typical(calibration), m.kinds()
    out = np.full(m.energy.shape, np.nan)
    for rows in pair(m, offset_of_cells(m, calibration.clocks), np.ones(m.energy.shape, np.bool_)):
        site_id, cell_id = str(m.site_id[rows.site]), [str(c) for c in m.cell_id[rows.cells]]
        station = known.get((site_id, frozenset(cell_id)))
        station = station or typical.station(site_id, cell_id, [kinds[c] for c in rows.cells])
        cells = {cell.cell_id: cell for cell in station.cells}
        own = [cells[c] for c in cell_id]
        slope = np.array([cell.slope for cell in own])
        energy = station.base + slope * shaped_load(
            rows.load, [cell.product for cell in own], {c.product: shape.get(c.product, KNOTS) for c in own}
        )
        for column, cell in enumerate(own):
            for level, effect in cell.effects.items():
                if level in rows.activation:
                    energy[:, column] *= 1 + effect * rows.activation[level][:, column]
        out[rows.site, rows.step] = energy.sum(axis=1)
    return out


def _fit_parts(m: Measurements, clocks: list[ClockFit]) -> _Parts:
    rows = pair(m, offset_of_cells(m, clocks), np.isfinite(m.energy))
    if not any(len(r.step) for r in rows):
        raise WorldError(
            "calibration: no step has both measured energy and load; check that their times overlap"
        )
    evidence = gather_evidence(m, rows)
    steady = [untouched(m, r, evidence) for r in rows]
    if not any(mask.any() for mask in steady):
        raise WorldError("calibration: a level is active in every step; awake energy needs steps without")
    awake = fit_awake(m, rows, steady)
    assert awake.middles is not None  # fitted to at least one row
    return _Parts(rows, evidence, awake, awake.middles, estimate_effects(m, rows, awake, evidence))


def _station(m: Measurements, parts: _Parts, site: int) -> StationFit:
    cells = []
    for cell in parts.rows[site].cells:
        product = str(m.product[cell])
        effects = {
            level: effect.of_station.get(site, effect.mean)
            for (p, level), effect in parts.effects.items()
            if p == product
        }
        cells.append(
            CellFit(
                cell_id=str(m.cell_id[cell]),
                product=product,
                config=str(m.config[cell]),
                txru=int(m.txru[cell]),
                slope=float(parts.awake.slope[cell]),
                effects=effects,
            )
        )
    return StationFit(
        site_id=str(m.site_id[site]),
        n_steps=len(parts.rows[site].step),
        base=float(parts.awake.base[site]),
        cells=tuple(cells),
    )


def _product(m: Measurements, parts: _Parts, as_stamped: dict[Kind, Effect], product: str) -> ProductFit:
    levels = {
        level: _level(evidence, parts.effects.get((p, level)), as_stamped.get((p, level)))
        for (p, level), evidence in parts.evidence.items()
        if p == product
    }
    sites = np.unique(m.site_of_cell[m.product == product])
    rows = [parts.rows[site] for site in sites if len(parts.rows[site].step)]
    if not rows:
        return ProductFit(n_stations=0, n_steps=0, levels=levels)
    own = [m.product[r.cells] == product for r in rows]
    base = float(np.median([parts.awake.base[r.site] for r in rows]))
    slope = float(
        np.median(np.concatenate([parts.awake.slope[r.cells[o]] for r, o in zip(rows, own, strict=True)]))
    )
    loads = [r.load[r.recorded & o].max(initial=0.0) for r, o in zip(rows, own, strict=True)]
    return ProductFit(
        n_stations=len(rows),
        n_steps=sum(len(r.step) for r in rows),
        base=base,
        slope=slope,
        idle_per_full=base / max(base + slope, np.finfo(float).tiny),
        load_max=float(max(loads)),
        levels=levels,
    )


def _level(evidence: Evidence, effect: Effect | None, as_stamped: Effect | None) -> LevelFit:
    return LevelFit(
        identified=effect is not None,
        reason=None if effect else evidence.reason(),
        n_stations_active=len(evidence.active),
        n_stations=len(evidence.contrast),
        n_steps=evidence.n_rows,
        effect=effect.mean if effect else None,
        effect_low=effect.low if effect else None,
        effect_high=effect.high if effect else None,
        effect_as_stamped=as_stamped.mean if as_stamped and effect else None,
        load_max=evidence.load_max if effect else None,
    )


def _middles(found: Mapping[Path, float]) -> tuple[Middle, ...]:
    return tuple(Middle(path=path, value=value) for path, value in sorted(found.items()))
