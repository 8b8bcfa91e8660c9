"""What policies save against what the operator did, with intervals over stations, as a whole and by product."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from controller.evaluation.bootstrap import Interval, interval, resample
from hw.world import FULL, World
from traces import Trace

Float64 = NDArray[np.float64]
Report = dict[str, Any]

SAVED_VS_LOGGED = "energy_saved_vs_logged"
LOGGED = "logged"


def add_saving(report: Report) -> None:
    """Give every policy of a replay's report its saving against ``logged``, or the reason why it has none."""
    logged = report["policies"].get(LOGGED, {"reason": "logged was not evaluated"})
    why = logged.get("reason") or ("" if logged["energy"] > 0 else "no energy was scored")
    for policy in report["policies"].values():
        if not policy["applicable"]:
            continue
        policy[SAVED_VS_LOGGED] = None if why else 1 - policy["energy"] / logged["energy"]
        if why:
            policy[f"{SAVED_VS_LOGGED}_reason"] = why


def savings_by_product(
    trace: Trace, world: World, policies: tuple[str, ...], energy: Float64, draws: int, seed: int
) -> dict[str, Report]:
    """Savings of each policy against ``logged``, with intervals over stations.

    Parameters
    ----------
    policies : names P, among them ``logged``.
    energy : energy of each cell. Shape (S, P, n_cells) for S seeds.

    Returns for each policy ``mean``, ``low``, ``high``, ``n_stations`` and ``by_product``. A product without a level
    in ``world`` has no saving but the reason.
    """
    every_cell = np.arange(trace.n_cells)
    found = _savings(trace, policies, energy, every_cell, draws, seed)
    documents = {name: _renamed(figures, "mean") | {"by_product": {}} for name, figures in found.items()}
    for product in np.unique(trace.cells.product):
        cells = np.flatnonzero(trace.cells.product == product)
        why = why_not_identified(trace, world, cells)
        figures = _savings(trace, policies, energy, cells, draws, seed)
        for name, document in documents.items():
            document["by_product"][str(product)] = _unidentified(figures[name], why) if why else figures[name]
    return documents


def why_not_identified(trace: Trace, world: World, cells: NDArray[np.intp]) -> str | None:
    """Why no level of the world changes the energy of these cells of one product, None if one does."""
    product = str(trace.cells.product[cells[0]])
    model = world.models_of(trace.cells.product[cells], trace.cells.cell_id[cells])
    differs = (world.power[model, FULL + 1 :] != world.power[model, FULL][:, None]).any(2)
    if (differs & world.has_level[model, FULL + 1 :]).any():
        return None
    missing = world.parameters.get("not_identified", {})
    reasons = [f"{level}: {of[product]}" for level, of in missing.items() if product in of]
    if product in world.parameters.get("products_without_measured_energy", ()):
        reasons.append("the product has no measured energy")
    return "; ".join(reasons) or "the trace never shows this product at a level"


def _savings(
    trace: Trace, policies: tuple[str, ...], energy: Float64, cells: NDArray[np.intp], draws: int, seed: int
) -> dict[str, Report]:
    """Saving of each policy on some cells, with its interval over their stations."""
    _, station = np.unique(trace.cells.site_id[cells], return_inverse=True)
    n_seeds, n_policies = energy.shape[:2]
    sums = np.zeros((station.max() + 1, n_seeds, n_policies))
    np.add.at(sums, station, np.moveaxis(energy[:, :, cells], 2, 0))
    logged = policies.index(LOGGED)
    sums = sums[sums[:, 0, logged] > 0]
    if not len(sums):
        nothing = _figures(None, Interval(None, None, "no energy was scored"), 0)
        return dict.fromkeys(policies, nothing)

    def saving(values: Float64) -> Float64:
        """(B, S * P) -> (B, P)"""
        of = values.reshape(-1, n_seeds, n_policies)
        return np.asarray((1 - of / of[:, :, logged, None]).mean(1))

    drawn = resample(sums.reshape(len(sums), 1, -1), draws, seed).apply(saving)
    mean = saving(sums.sum(0).reshape(1, -1))[0]
    return {
        name: _figures(float(mean[p]), interval(drawn.pick(p)), len(sums)) for p, name in enumerate(policies)
    }


def _figures(saving: float | None, bounds: Interval, n_stations: int) -> Report:
    found: Report = {"saving": saving, "low": bounds.low, "high": bounds.high, "n_stations": n_stations}
    undefined = [key for key in ("saving", "low", "high") if found[key] is None]
    return found | {f"{key}_reason": bounds.reason for key in undefined}


def _unidentified(figures: Report, why: str) -> Report:
    return _figures(None, Interval(None, None, f"not identified: {why}"), figures["n_stations"])


def _renamed(figures: Report, name: str) -> Report:
    return {key.replace("saving", name): value for key, value in figures.items()}
