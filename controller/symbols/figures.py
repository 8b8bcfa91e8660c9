"""What the levers do to a recording: simulated slot by slot, and predicted from its load alone."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from controller.symbols.carrier import Carrier, frame_demand
from hw.symbols.closed_form import SymbolModelSpec, predicted_power
from hw.symbols.levers import LeverSpec
from hw.symbols.simulation import SymbolRun, simulate
from traces.slots import SlotRecording

WINDOW_MS = 10_000  # a prediction knows the load of each window, as a plan knows that of each sample
LEVER_SETS = {
    "symbol": {"light_sleep": False, "filling": False},
    "light_sleep": {"light_sleep": True, "filling": False},
    "filling": {"light_sleep": False, "filling": True},
    "light_sleep_and_filling": {"light_sleep": True, "filling": True},
}


@dataclass(frozen=True, slots=True)
class Case:
    """A recording on a carrier."""

    recording: SlotRecording
    carrier: Carrier
    model: SymbolModelSpec
    budget_ms: float = 10.0


def case_figures(case: Case) -> dict[str, Any]:
    """Figures of one recording: about it, and one entry for each set of levers."""
    demand = _demand(case)
    plain, *others = (_run(case, demand, switches) for switches in LEVER_SETS.values())
    none = float(plain.power_none.mean())
    loads = _loads(demand, case)
    recording = case.recording
    levers = {}
    for (name, switches), run in zip(LEVER_SETS.items(), (plain, *others), strict=True):
        spec = LeverSpec(latency_budget_ms=case.budget_ms, **switches)
        carrier = case.carrier
        predicted = predicted_power(carrier.layout, carrier.radio, carrier.sleep, spec, case.model, loads)
        levers[name] = _lever_figures(run, plain, none, float(predicted.mean()))
    return {
        "recording": recording.name,
        "duration_ms": recording.duration_ms,
        "load_ratio": recording.load_ratio,
        "busy_slot_share": recording.busy_share,
        "unresolved_share": recording.unresolved_share,
        "load_above_calibrated_share": float((loads > case.model.load_max).mean()),
        "power_none": none,
        "levers": levers,
    }


def _demand(case: Case) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Downlink and uplink demand by slot of the frame."""
    layout = case.carrier.layout
    uplink = replace(case.recording, dl_share=case.recording.ul_share)
    return frame_demand(case.recording, layout), frame_demand(uplink, layout)


def _window_slots(case: Case, n_slots: int) -> int:
    return min(WINDOW_MS * case.carrier.layout.slots_per_ms, n_slots)


def _run(
    case: Case, demand: tuple[NDArray[np.float64], NDArray[np.float64]], switches: dict[str, bool]
) -> SymbolRun:
    levers = LeverSpec(latency_budget_ms=case.budget_ms, **switches)
    carrier = case.carrier
    length = _window_slots(case, len(demand[0]))
    return simulate(carrier.layout, carrier.radio, carrier.sleep, levers, *demand, window_slots=length)


def _loads(demand: tuple[NDArray[np.float64], NDArray[np.float64]], case: Case) -> NDArray[np.float64]:
    """Downlink load of each window, at most 1. (W,) [ratio]"""
    length = _window_slots(case, len(demand[0]))
    whole = len(demand[0]) // length * length
    mean = demand[0][:whole].reshape(-1, length).mean(1)
    return np.asarray(np.minimum(mean / case.carrier.layout.dl_symbol_share, 1.0))


def _lever_figures(run: SymbolRun, plain: SymbolRun, none: float, predicted: float) -> dict[str, Any]:
    power = float(run.power.mean())
    done = min(len(run.wait_ms), len(plain.wait_ms))  # what still waits at the end is left out
    added = run.wait_ms[:done] - plain.wait_ms[:done]
    p50, p95, most = np.quantile(added, [0.5, 0.95, 1.0]) if len(added) else (0.0, 0.0, 0.0)
    return {
        "power": power,
        "energy_saved_vs_none": 1 - power / none,
        "energy_saved_vs_symbol": 1 - power / float(plain.power.mean()),
        "predicted_power": predicted,
        "predicted_error": predicted / power - 1,
        "light_sleep_share": float(run.light_share.mean()),
        "light_sleeps_per_s": 1000 * float(run.sleeps_per_ms.mean()),
        "used_symbol_share": float(run.used_share.mean()),
        "added_latency_p50_ms": float(p50),
        "added_latency_p95_ms": float(p95),
        "added_latency_max_ms": float(most),
    }
