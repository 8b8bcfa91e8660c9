"""From a calibration to a hardware world: a power table for each cell, kind of hardware and product."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from hw.calibration.awake import KNOTS
from hw.calibration.effects import is_known
from hw.calibration.measurements import Float64, Mask
from hw.calibration.model import Calibration, CellFit
from hw.calibration.priors import CellKind
from hw.calibration.typical import Typical
from hw.world import LOAD_BINS, NAMED_LEVELS, SYMBOL, World, depth

_LOAD = np.arange(LOAD_BINS + 1) / LOAD_BINS
_OFF_AIR = ("carrier_shutdown", "deep_dormancy")
_HOUR_S = 3600


@dataclass(frozen=True, slots=True)
class _Model:
    """One row of the world: a cell of a station with this base."""

    base: float
    cell: CellFit


def make_world(
    calibration: Calibration,
    *,
    name: str = "calibrated",
    full_rate_mbit_s: float = 1000.0,
    wake_s: float = 60.0,
    sample_peak: float = 1.0,
) -> World:
    """The world of a calibration.

    Parameters
    ----------
    calibration : the fit.
    name : of the world.
    full_rate_mbit_s : rate of a full cell, a convention of the service figures. [Mbit/s]
    wake_s : time from command to traffic of every level, not identified either. [s]
    sample_peak : largest sample inside a step over the step's mean. The load range of a level is seen in step means;
        a level that ran at a step mean carried samples up to this much more.

    Each cell of the calibration has its own model; each product has one for cells that are not in it, and
    ``""`` is the middle of the network without levels. ``symbol`` draws as much as ``full`` unless the data
    identifies it. A level's effect is credited only up to the load seen with it on times ``sample_peak``, its
    ``capacity_ratio``; above, its power is awake.
    """
    levels = _levels(calibration)
    models, model_of = _models(calibration)
    power, capacity, has_level = _tables(calibration, models, levels, sample_peak)
    shape = has_level.shape
    asleep = np.array([level in _OFF_AIR for level in levels])
    per_hour = _HOUR_S / calibration.step_s
    watt = calibration.energy_unit == "Wh"
    return World(
        name=name,
        level_names=levels,
        asleep=asleep,
        rate_ratio=np.where(asleep, 0.0, np.ones(shape)).astype(np.float32),
        capacity_ratio=capacity.astype(np.float32),
        power=np.ascontiguousarray(power * per_hour, np.float32),
        ul_power=np.zeros(shape, np.float32),
        wake_s=np.array([0.0 if k <= SYMBOL else wake_s for k in range(len(levels))], np.float32),
        wake_energy=np.zeros(shape, np.float32),
        has_level=has_level,
        full_rate_mbit_s=full_rate_mbit_s,
        ul_per_dl=0.0,
        model_of_product=model_of,
        power_unit="W" if watt else f"{calibration.energy_unit} per h",
        watt_per_unit=1.0 if watt else None,
        parameters=_parameters(calibration, wake_s, sample_peak),
    )


def _levels(calibration: Calibration) -> tuple[str, ...]:
    """Names of the levels that some product has, shallow to deep."""
    identified = {
        name
        for product in calibration.products.values()
        for name, level in product.levels.items()
        if level.identified and is_known(name)
    }
    return tuple(sorted(identified | set(NAMED_LEVELS[: SYMBOL + 1]), key=depth))


def _models(calibration: Calibration) -> tuple[list[_Model], dict[str, int]]:
    """Rows of the world, and the row of each cell and product. Cells without measured energy share rows."""
    models: list[_Model] = []
    model_of: dict[str, int] = {}
    row_of_kind: dict[tuple[float, float, str], int] = {}
    for station in calibration.stations:
        for cell in station.cells:
            kind = (station.base, cell.slope, cell.product)
            if station.n_steps == 0 and kind in row_of_kind:
                model_of[cell.cell_id] = row_of_kind[kind]
                continue
            model_of[cell.cell_id] = len(models)
            if station.n_steps == 0:
                row_of_kind[kind] = len(models)
            models.append(_Model(station.base, cell))
    typical = Typical(calibration)
    for product in [*calibration.products, ""]:
        if product not in model_of:
            station = typical.station("", [product], [CellKind(product, "", txru=0)])
            model_of[product] = len(models)
            models.append(_Model(station.base, station.cells[0]))
    return models, model_of


def _tables(
    calibration: Calibration, models: list[_Model], levels: tuple[str, ...], sample_peak: float
) -> tuple[Float64, Float64, Mask]:
    """Energy of a step (M, L, LOAD_BINS + 1), capacity (M, L) and which levels there are (M, L)."""
    shapes = {known.product: np.array(known.values) for known in calibration.shapes}
    shape = (len(models), len(levels))
    energy = np.empty((*shape, LOAD_BINS + 1))
    capacity, has_level = np.ones(shape), np.zeros(shape, np.bool_)
    has_level[:, : SYMBOL + 1] = True
    for i, model in enumerate(models):
        energy[i] = _awake(shapes.get(model.cell.product, KNOTS), model)
        for level, effect in model.cell.effects.items():
            if level not in levels:
                continue  # identified, but no level of the engine
            k = levels.index(level)
            has_level[i, k] = True
            seen = calibration.products[model.cell.product].levels[level].load_max or 0.0
            limit = min(seen * sample_peak, 1.0)
            if k > SYMBOL:
                capacity[i, k] = 0.0 if level in _OFF_AIR else limit
            # up to the first point above the limit: kernels interpolate between points
            energy[i, k, : int(np.searchsorted(_LOAD, limit)) + 1] *= 1 + effect
    return energy, capacity, has_level


def _awake(shape: Float64, model: _Model) -> Float64:
    """Energy of a step at each load point. (LOAD_BINS + 1,)"""
    energy: Float64 = model.base + model.cell.slope * np.interp(_LOAD, KNOTS, shape)
    return energy


def _parameters(calibration: Calibration, wake_s: float, sample_peak: float) -> dict[str, Any]:
    """What the world rests on, echoed in reports."""
    effects: dict[str, Any] = {}
    missing: dict[str, Any] = {}
    for name, product in calibration.products.items():
        for level, fit in product.levels.items():
            if fit.identified and is_known(level):
                figures = {"effect": fit.effect, "low": fit.effect_low, "high": fit.effect_high}
                effects.setdefault(level, {})[name] = figures | {"load_max": fit.load_max}
            else:
                missing.setdefault(level, {})[name] = fit.reason or "the engine has no level of this name"
    unmeasured = [len(station.cells) for station in calibration.stations if station.n_steps == 0]
    symbol = "as identified" if "symbol" in effects else "not identified: draws as much as full"
    return {
        "model": "calibrated",
        "source": calibration.source,
        "n_stations": len(calibration.stations) - len(unmeasured),
        "cells_without_measured_energy": sum(unmeasured),
        "products_without_measured_energy": [n for n, p in calibration.products.items() if not p.n_stations],
        "effects": effects,
        "not_identified": missing,
        "symbol": symbol,
        "none": "without the identified levels",
        "beyond_load_max_x_sample_peak": "no effect is credited and traffic above it counts as unserved",
        "sample_peak": sample_peak,
        "wake_s": wake_s,
        "wake_energy": "not identified: 0",
        "rate": "full_rate_mbit_s is a convention of the service figures",
        "uplink": "inside the measured energy",
        "clock_offset_steps": {clock.group: clock.offset_steps for clock in calibration.clocks},
    }
