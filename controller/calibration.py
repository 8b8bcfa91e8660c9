"""Calibrations: from a trace with measured energy to a fit, to a model file and back."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from controller.yaml_advice import dotted
from hw.calibration import Calibration, Measurements, cross_validate, fit_power
from hw.errors import WorldError
from traces.errors import TraceError
from traces.trace import Trace

Progress = Callable[[float], None]

_ROWS = ("shapes", "base_middles", "slope_middles", "stations")  # one entry a line, last in the file
_MAX_PROBLEMS_SHOWN = 10
_REMEDY = (
    "calibration needs the energy of base stations: bs_energy in the ITU layout, site_energy in the tidy one"
)


def measurements_of(trace: Trace) -> Measurements:
    """The load, activations and energy of a trace, as the fit takes them.

    Energy that is not above zero counts as unrecorded. Raises TraceError if no energy is left.
    """
    if trace.site_energy is None:
        raise TraceError(f"{trace.source}: the trace has no measured energy; {_REMEDY}")
    cells = trace.cells
    site_id, site_of_cell = np.unique(cells.site_id, return_inverse=True)
    energy = np.full((len(site_id), trace.n_steps), np.nan)
    known = np.isin(trace.site_energy.site_id, site_id)
    energy[np.searchsorted(site_id, trace.site_energy.site_id[known])] = trace.site_energy.energy[known]
    energy[~(energy > 0)] = np.nan
    if not np.isfinite(energy).any():
        raise TraceError(f"{trace.source}: no station with cells has an energy above zero; {_REMEDY}")
    return Measurements(
        site_id=site_id,
        cell_id=cells.cell_id,
        site_of_cell=site_of_cell,
        product=cells.product,
        config=_configs(trace),
        txru=cells.txru.astype(np.int_),
        load=trace.dl_prb_ratio.astype(np.float64),
        energy=energy,
        activation={level: share.astype(np.float64) for level, share in trace.activation.items()},
        step_s=trace.step_s,
        energy_unit=trace.site_energy.unit,
    )


def fit_trace(trace: Trace) -> Calibration:
    """Power models fitted on a trace, without the error by cross-validation.

    Raises TraceError if the trace has no measured energy, WorldError if energy and load share no step.
    """
    return fit_power(measurements_of(trace), source=trace.source)


def calibrate(trace: Trace, progress: Progress | None = None) -> Calibration:
    """Power models fitted on a trace, with their error by cross-validation.

    ``progress`` is told the share of the work that is done. Raises as ``fit_trace``.
    """
    measurements = measurements_of(trace)
    fitted = fit_power(measurements, source=trace.source, compare_as_stamped=True)
    return fitted.model_copy(update={"errors": cross_validate(measurements, progress or _silent)})


def calibration_to_json(calibration: Calibration) -> str:
    """The model file: one JSON document, what people read first, the rest one entry a line."""
    document = calibration.model_dump(mode="json", by_alias=True)
    rows = {name: document.pop(name) for name in _ROWS}
    text = json.dumps(document, indent=1, allow_nan=False).removesuffix("\n}")
    for name, entries in rows.items():
        lines = ",\n  ".join(json.dumps(entry, allow_nan=False) for entry in entries)
        text += f',\n "{name}": [\n  {lines}\n ]'
    return text + "\n}\n"


def write_calibration(calibration: Calibration, path: Path) -> None:
    """Write the model file, in place of an older one."""
    part = path.with_name(path.name + ".part")
    part.write_text(calibration_to_json(calibration), encoding="utf-8")
    part.replace(path)


def load_calibration(path: Path) -> Calibration:
    """Read a model file.

    Raises WorldError if it cannot be read, and naming each field that is missing, unknown or wrong.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise WorldError(
            f"{path}: the file cannot be read ({error.strerror}); check path and rights"
        ) from error
    try:
        return Calibration.model_validate_json(raw, strict=True)
    except ValidationError as error:
        found = error.errors(include_url=False)
        problems = [f"{path}: {dotted(e['loc'])}: {e['msg'].removeprefix('Value error, ')}" for e in found]
        more = len(problems) - _MAX_PROBLEMS_SHOWN
        if more > 0:
            problems = [*problems[:_MAX_PROBLEMS_SHOWN], f"{path}: and {more} more problems"]
        raise WorldError("\n".join(problems) + "; write the file anew with quietcell calibrate") from error


def _silent(done: float) -> None:
    """No progress is wanted."""
    del done


def _configs(trace: Trace) -> np.ndarray[tuple[int], np.dtype[np.str_]]:
    """What is known of each cell's hardware beyond product and TxRU, as a label. (n_cells,)"""
    labels = []
    for carrier, bandwidth_mhz in zip(trace.cells.carrier, trace.cells.bandwidth_mhz, strict=True):
        known = [f"carrier {carrier}"] if carrier else []
        known += [f"{bandwidth_mhz:g} MHz"] if np.isfinite(bandwidth_mhz) else []
        labels.append(", ".join(known))
    return np.array(labels, np.str_)
