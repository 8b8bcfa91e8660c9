"""Plants, inputs and commands that the tests of the power plant share."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from controller.strict_yaml import load_yaml
from hw.power.plant import Command, Inputs, Plant, State, make_plant, start_state, step
from hw.power.spec import PlantSpec

CATALOGUE = Path(str(files("hw"))) / "catalogue" / "power"
NAMES = sorted(path.stem for path in CATALOGUE.glob("*.yaml"))


def catalogue(name: str = "macro-lfp-200ah") -> PlantSpec:
    return load_yaml(CATALOGUE / f"{name}.yaml", PlantSpec)


def changed(spec: PlantSpec, **parts: dict[str, Any] | None) -> PlantSpec:
    """A plant with some fields of its parts replaced, as in ``changed(spec, bus={"voltage_v": 48})``."""
    told = spec.model_dump(by_alias=True)
    for part, fields in parts.items():
        told[part] = (told[part] or {}) | fields if fields is not None else None
    return PlantSpec.model_validate(told)


def sites(spec: PlantSpec, n: int = 1, *, soc: float = 0.5, health: float = 1.0) -> tuple[Plant, State]:
    plant = make_plant([spec] * n)
    return plant, start_state(plant, np.full(n, soc), np.full(n, health))


def inputs(n: int = 1, **given: Any) -> Inputs:
    usual: dict[str, Any] = {
        "radio_w": 3000,
        "transport_w": 300,
        "ac_load_w": 500,
        "pv_w": 0,
        "battery_c": 25,
    }
    values = {
        name: np.full(n, value, np.float64) for name, value in (usual | given).items() if name != "mains"
    }
    return Inputs(**values, mains=np.full(n, given.get("mains", True), np.bool_))


def command(n: int = 1, *, battery_w: float = 0, cap_w: float = np.inf, export_w: float = 0) -> Command:
    return Command(*(np.full(n, value, np.float64) for value in (battery_w, cap_w, export_w)))


def one_step(spec: PlantSpec, wish: Command, step_s: float = 900, soc: float = 0.5, **given: Any) -> Any:
    """Flows of one site in one step from a state of charge, and its state after it."""
    plant, state = sites(spec, soc=soc, health=given.pop("health", 1.0))
    return step(plant, state, inputs(**given), wish, step_s)[0], state


def random_specs(rng: np.random.Generator, n: int) -> list[PlantSpec]:
    """Plants with every part drawn, PV and inverter on some of them."""
    base = catalogue()
    found = []
    for _ in range(n):
        pv = {
            "converter_w": rng.uniform(500, 5000),
            "converter_efficiency": rng.uniform(0.9, 1),
            "inverter_w": rng.choice([0.0, 2000.0]),
            "inverter_efficiency": rng.uniform(0.85, 1),
        }
        spec = changed(
            base,
            rectifier={
                "modules": int(rng.integers(1, 9)),
                "module_w": rng.uniform(500, 3000),
                "hibernates": bool(rng.random() < 0.7),
                "spare_modules": int(rng.integers(0, 3)),
                "resting_w": rng.uniform(0, 20),
            },
            battery={
                "rated_wh": rng.uniform(2000, 20000),
                "charge_rate": rng.uniform(0.2, 1),
                "discharge_rate": rng.uniform(0.3, 1),
                "charge_efficiency": rng.uniform(0.9, 1),
                "discharge_efficiency": rng.uniform(0.9, 1),
                "self_discharge_per_month": rng.uniform(0, 0.5),
            },
            bus={"distribution_ohm": rng.uniform(0, 0.05), "reconnect_after_s": rng.uniform(0, 7200)},
        )
        found.append(changed(spec, pv=pv) if rng.random() < 0.6 else spec)
    return found


def random_step(rng: np.random.Generator, n: int) -> tuple[Inputs, Command]:
    """Anything that may come: cold and hot, with and without mains, wishes beyond all limits."""
    return Inputs(
        rng.uniform(0, 12000, n) * (rng.random(n) < 0.9),
        rng.uniform(0, 900, n) * (rng.random(n) < 0.9),
        rng.uniform(0, 3000, n),
        rng.uniform(0, 9000, n) * (rng.random(n) < 0.5),
        rng.uniform(-30, 70, n),
        rng.random(n) < 0.7,
    ), Command(
        rng.choice([0, 1, 1, 1], n) * rng.uniform(-2e4, 2e4, n),
        np.where(rng.random(n) < 0.5, np.inf, rng.uniform(0, 12000, n)),
        rng.choice([0.0, 1000.0, np.inf], n),
    )
