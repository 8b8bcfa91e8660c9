"""Slot traces on a radio: catalogue files, and what the levers would save."""

from controller.symbols.carrier import (
    Carrier,
    frame_demand,
    frame_names,
    load_carrier,
    load_frame,
    load_symbol_model,
)

__all__ = ["Carrier", "frame_demand", "frame_names", "load_carrier", "load_frame", "load_symbol_model"]
