"""Rooms of the catalogue, and weather for them."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from controller.strict_yaml import load_yaml
from hw.power.cooling_spec import CoolingSpec

CATALOGUE = Path(str(files("hw"))) / "catalogue" / "cooling"
NAMES = tuple(sorted(p.stem for p in CATALOGUE.glob("*.yaml")))


@cache
def room_spec(name: str) -> CoolingSpec:
    return load_yaml(CATALOGUE / f"{name}.yaml", CoolingSpec)


def random_weather(rng: np.random.Generator, n: int, hours: int) -> tuple[NDArray[np.float64], ...]:
    """Outdoor temperature, solar heat, heat of the loads, dew point. Each (n, hours)."""
    swing = np.sin(np.arange(hours) / 24 * 2 * np.pi + rng.uniform(0, 6, (n, 1)))
    outdoor_c = (
        rng.uniform(-15, 32, (n, 1)) + rng.uniform(2, 9, (n, 1)) * swing + rng.normal(0, 1, (n, hours))
    )
    solar_w = rng.uniform(0, 400, (n, hours)) * (swing > 0)
    heat_w = rng.uniform(300, 1300, (n, 1)) * rng.uniform(0.7, 1.3, (n, hours))
    return outdoor_c, solar_w, heat_w, outdoor_c - rng.uniform(0, 15, (n, hours))
