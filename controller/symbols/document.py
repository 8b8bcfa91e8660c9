"""The document of ``quietcell symbols``: every recording of a slot trace on one carrier, and their mean over time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from controller.symbols.carrier import Carrier
from controller.symbols.catalogue import load_symbol_model
from controller.symbols.figures import LEVER_SETS, Case, case_figures
from hw.symbols.levers import rest_ms
from traces.slots import SlotRecording

SCHEMA = "quietcell.symbols/1"


def symbols_document(
    path: Path,
    recordings: list[SlotRecording],
    carrier: Carrier,
    budget_ms: float,
    progress: Callable[[float], None],
) -> dict[str, Any]:
    """All figures as one document that JSON can hold."""
    model = load_symbol_model()
    found = []
    for i, recording in enumerate(recordings):
        found.append(case_figures(Case(recording, carrier, model, budget_ms)))
        progress((i + 1) / len(recordings))
    gaps_ms = carrier.layout.gaps_ms()
    return {
        "schema": SCHEMA,
        "trace": path.name,
        "world": carrier.world,
        "frame": carrier.frame.name,
        "ssb_period_ms": carrier.frame.ssb.period_ms,
        "always_on_symbol_share": carrier.layout.always_on_share,
        "longest_gap_ms": float(gaps_ms.max(initial=0.0)),
        "shortest_light_sleep_ms": rest_ms(carrier.radio, carrier.sleep),
        "latency_budget_ms": budget_ms,
        "calibrated_to_load": model.load_max,
        "recordings": found,
        "mean": _mean(found),
    }


def _mean(found: list[dict[str, Any]]) -> dict[str, Any]:
    """Means over the recorded time, energies summed before they are compared; latencies are the largest of any."""
    weight = np.array([each["duration_ms"] for each in found])
    weight = weight / weight.sum()

    def over(values: list[float]) -> float:
        return float(weight @ np.array(values))

    none = over([each["power_none"] for each in found])
    symbol = over([each["levers"]["symbol"]["power"] for each in found])
    levers = {}
    for name in LEVER_SETS:
        own = [each["levers"][name] for each in found]
        mean = {key: over([each[key] for each in own]) for key in own[0]}
        mean["energy_saved_vs_none"] = 1 - mean["power"] / none
        mean["energy_saved_vs_symbol"] = 1 - mean["power"] / symbol
        mean["predicted_error"] = mean["predicted_power"] / mean["power"] - 1
        for key in ("added_latency_p50_ms", "added_latency_p95_ms", "added_latency_max_ms"):
            mean[key] = max(each[key] for each in own)
        levers[name] = mean
    shares = ("load_ratio", "busy_slot_share", "unresolved_share", "load_above_calibrated_share")
    return {
        "duration_ms": float(sum(each["duration_ms"] for each in found)),
        **{key: over([each[key] for each in found]) for key in shares},
        "power_none": none,
        "levers": levers,
    }
