"""What a run is told by file: one strict YAML document, quietcell.config/1. The command line wins over it."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from controller.errors import ConfigError
from controller.strict_yaml import load_yaml
from hw.symbols.levers import Lever
from policies.profile import Profile

PROFILES = Path(str(files("policies").joinpath("profiles")))
DEFAULT_PROFILE = "balanced"


class PriceConfig(BaseModel):
    """What a kWh costs and emits. Both change by place and year, so neither has a default."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: Annotated[str, Field(min_length=1)]  # where the figures come from, and of which year
    currency: str = ""
    price_per_kwh: Annotated[float, Field(ge=0)] | None = None
    co2_kg_per_kwh: Annotated[float, Field(ge=0)] | None = None


class RunConfig(BaseModel):
    """A replay as configured. Every field but the schema may be left out."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_name: Annotated[Literal["quietcell.config/1"], Field(alias="schema")]
    trace: str | None = None
    time_zone: str | None = None
    assume_overlay: bool = False
    mapping: str | None = None
    world: str | None = None
    profile: str | None = None
    model: str | None = None
    guard: bool = False
    levers: tuple[Lever, ...] = ()
    policies: tuple[str, ...] | None = None
    seed: Annotated[int, Field(ge=0)] | None = None
    prices: PriceConfig | None = None


def load_config(path: Path | None) -> RunConfig:
    """The configuration of a file, or an empty one. Raises ConfigError naming file, line and field."""
    if path is None:
        return RunConfig.model_validate({"schema": "quietcell.config/1"})
    return load_yaml(path, RunConfig)


def profile_names() -> list[str]:
    """Names of the shipped profiles."""
    return sorted(p.stem for p in PROFILES.glob("*.yaml"))


def load_profile(name_or_file: str | None) -> Profile:
    """A shipped profile by name, or one of a file. Raises ConfigError naming line, field and remedy."""
    name = name_or_file or DEFAULT_PROFILE
    if name in profile_names():
        return load_yaml(PROFILES / f"{name}.yaml", Profile)
    if not Path(name).is_file():
        known = ", ".join(profile_names())
        raise ConfigError(f"profile {name!r} is neither a file nor a shipped profile; shipped: {known}")
    return load_yaml(Path(name), Profile)
