"""Fits a calibration to measurements, and predicts measurements from a calibration."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hw.calibration.awake import KNOTS, Awake, base_path, fit_awake, shaped_load, slope_path
from hw.calibration.clock import estimate_clocks, offset_of_cells
from hw.calibration.effects import Effect, Evidence, Kind, estimate_effects, gather_evidence, untouched
from hw.calibration.measurements import Float64, Measurements, SiteRows, pair
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
from hw.calibration.priors import Path, look_up
from hw.errors import WorldError


@dataclass(frozen=True, slots=True)
class _Parts:
    """What one pass over the measurements finds."""

    rows: list[SiteRows]
    evidence: dict[Kind, Evidence]
    awake: Awake
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
        noise=parts.awake.noise,
        spread_base=parts.awake.spread[0],
        spread_slope=parts.awake.spread[1],
        clocks=tuple(clocks),
        products={p: _product(m, parts, as_stamped, p) for p in sorted(set(m.product.tolist()))},
        knots=tuple(KNOTS.tolist()),
        shapes=tuple(Shape(product=p, values=tuple(s.tolist())) for p, s in parts.awake.shape.items()),
        base_middles=_middles(parts.awake.base_middle),
        slope_middles=_middles(parts.awake.slope_middle),
        stations=tuple(_station(m, parts, site) for site in range(len(m.site_id))),
    )


def predict(calibration: Calibration, m: Measurements) -> Float64:
    """Energy of each station and step at the recorded loads and activations. (S, T), NaN without a load

    A station that the calibration does not know gets the middle of its kind.
    """
    known = {station.site_id: station for station in calibration.stations}
    shape = {known.product: np.array(known.values) for known in calibration.shapes}
    out = np.full(m.energy.shape, np.nan)
    for rows in pair(m, offset_of_cells(m, calibration.clocks), np.ones(m.energy.shape, np.bool_)):
        station = known.get(str(m.site_id[rows.site])) or typical_station(
            calibration,
            str(m.site_id[rows.site]),
            m.cell_id[rows.cells].tolist(),
            m.product[rows.cells].tolist(),
            m.config[rows.cells].tolist(),
        )
        cells = {cell.cell_id: cell for cell in station.cells}
        own = [cells[str(c)] for c in m.cell_id[rows.cells]]
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


def typical_station(
    calibration: Calibration, site_id: str, cell_id: list[str], product: list[str], config: list[str]
) -> StationFit:
    """A station without measured energy: the middle of its kind."""
    bases = {middle.path: middle.value for middle in calibration.base_middles}
    slopes = {middle.path: middle.value for middle in calibration.slope_middles}
    effects = {
        p: {name: level.effect for name, level in fit.levels.items() if level.effect is not None}
        for p, fit in calibration.products.items()
    }
    cells = tuple(
        CellFit(
            cell_id=i,
            product=p,
            config=c,
            slope=look_up(slopes, slope_path(p, c)),
            effects=effects.get(p, {}),
        )
        for i, p, c in zip(cell_id, product, config, strict=True)
    )
    base = look_up(bases, base_path(product, config))
    return StationFit(site_id=site_id, n_steps=0, base=base, cells=cells)


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
    return _Parts(rows, evidence, awake, estimate_effects(m, rows, awake, evidence))


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
    rows = [parts.rows[site] for site in np.unique(m.site_of_cell[m.product == product])]
    n_rows = [len(r.step) for r in rows]
    loads = [r.load[r.recorded & (m.product[r.cells] == product)].max(initial=0.0) for r in rows]
    base = look_up(parts.awake.base_middle, (product,))
    slope = look_up(parts.awake.slope_middle, (product,))
    return ProductFit(
        n_stations=sum(n > 0 for n in n_rows),
        n_steps=sum(n_rows),
        base=base,
        slope=slope,
        idle_per_full=base / (base + slope) if any(n_rows) and base + slope > 0 else None,
        load_max=float(max(loads)) if any(n_rows) else None,
        levels={
            level: _level(evidence, parts.effects.get((p, level)), as_stamped.get((p, level)))
            for (p, level), evidence in parts.evidence.items()
            if p == product
        },
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


def _middles(found: dict[Path, float]) -> tuple[Middle, ...]:
    return tuple(Middle(path=path, value=value) for path, value in sorted(found.items()))
