"""What a catalogue entry of a room may say, and that the shipped ones say it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from hw.power.cooling_spec import CoolingSpec
from tests.hw.power.rooms import NAMES, room_spec


@pytest.mark.parametrize("name", NAMES)
def test_shipped_rooms_are_whole(name: str) -> None:
    spec = room_spec(name)
    assert spec.name == name
    assert "assumed" in spec.source  # says which numbers nobody published
    assert spec.limits.battery_min_c <= spec.limits.safe_setpoint_c <= spec.limits.battery_max_c


def test_every_kind_of_cooling_is_shipped() -> None:
    kinds = {
        (s.compressor and s.compressor.kind, s.free_cooling and s.free_cooling.kind)
        for s in map(room_spec, NAMES)
    }
    assert kinds == {
        ("fixed", None), ("variable", None), ("variable", "fan"), (None, "exchanger"), ("variable", "exchanger")
    }  # fmt: skip


@pytest.mark.parametrize(("place", "values", "complaint"), [
    ("compressor", {"least_load_ratio": 1.0}, "below 1 for variable"),
    ("compressor", {"cop": 9.0}, "above the ideal cycle"),
    ("compressor", {"auxiliary_w": 1200.0}, "auxiliary_w must be below"),
    ("compressor", {"min_run_s": 90}, "multiple of 60"),
    ("compressor", {"start_loss_s": 61.0}, "less than or equal to 60"),
    ("free_cooling", {"dewpoint_max_c": None}, "dewpoint_max_c belongs to kind fan"),
    ("free_cooling", {"min_difference_k": 1.0}, "at least twice the cop"),
    ("limits", {"safe_setpoint_c": 40.0}, "safe_setpoint_c must lie between"),
    ("limits", {"alarm_c": 33.0}, "below alarm_c"),
    ("limits", {"battery_min_c": 30.0}, "battery_min_c must be below"),
    ("room", {"air_outdoor_w_per_k": 0.0, "mass_outdoor_w_per_k": 0.0}, "no room is sealed"),
    ("room", {"air_wh_per_k": 0.0}, "greater than 0"),
])  # fmt: skip
def test_rooms_that_cannot_be_are_refused(place: str, values: dict[str, Any], complaint: str) -> None:
    entry = room_spec("shelter-fan").model_dump(by_alias=True)
    entry[place] |= values
    with pytest.raises(ValidationError, match=complaint):
        CoolingSpec.model_validate_json(json.dumps(entry))


def test_a_room_needs_some_cooling() -> None:
    entry = room_spec("shelter-fan").model_dump(by_alias=True) | {"compressor": None, "free_cooling": None}
    with pytest.raises(ValidationError, match="a compressor, free_cooling, or both"):
        CoolingSpec.model_validate(entry)
