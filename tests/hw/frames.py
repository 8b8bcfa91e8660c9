"""Shipped frames and small frames by hand."""

from __future__ import annotations

from typing import Any

from controller.symbols.catalogue import load_frame
from hw.symbols.frame import FrameSpec


def frame(**changes: Any) -> FrameSpec:
    """An FDD frame at 15 kHz with one SSB beam every 20 ms and nothing else, unless changed."""
    fields: dict[str, Any] = {
        "schema": "quietcell.frame/1",
        "name": "by hand",
        "source": "test",
        "scs_khz": 15,
        "n_prb": 50,
        "tdd_pattern": None,
        "pdcch_symbols": 2,
        "pdcch_prb": 25,
        "ssb": {"case": "A", "max_beams": 4, "beams": 1, "period_ms": 20, "longest_period_ms": 160},
        "sib1": {"symbols_per_beam": 0, "prb": 20},
    }
    return FrameSpec.model_validate(fields | changes)


PRACH = {"prach": {"period_ms": 10, "slots": [7], "symbols": [0, 1, 2], "prb": 6}}
TDD = {
    "scs_khz": 30,
    "tdd_pattern": "DDDSU",
    "ssb": {"case": "C", "max_beams": 8, "beams": 2, "period_ms": 10, "longest_period_ms": 160},
}
SHIPPED = (
    "evaluation-fdd-15khz",
    "evaluation-tdd-30khz",
    "evaluation-tdd-120khz",
    "fr1-fdd-15khz",
    "fr1-tdd-30khz",
)


def shipped(name: str) -> FrameSpec:
    return load_frame(name)
