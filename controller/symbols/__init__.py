"""Slot traces on a radio: catalogue files, and what the levers would save."""
