"""What a run is told by file: one strict YAML document, quietcell.config/1. The command line wins over it."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Annotated, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, NaiveDatetime, RootModel, model_validator

from controller.errors import ConfigError
from controller.strict_yaml import load_yaml
from hw.symbols.levers import Lever
from policies.profile import Preset, Profile

PROFILES = Path(str(files("policies").joinpath("profiles")))
DEFAULT_PROFILE = "balanced"


class PriceConfig(BaseModel):
    """What a kWh costs and emits. Both change by place and year, so neither has a default."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: Annotated[str, Field(min_length=1)]  # where the figures come from, and of which year
    currency: str = ""
    price_per_kwh: Annotated[float, Field(ge=0)] | None = None
    co2_kg_per_kwh: Annotated[float, Field(ge=0)] | None = None


Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: tuple[Day, ...] = get_args(Day)
Pattern = Annotated[str, Field(min_length=1)]  # a name, or one with the wildcards * ? [...]
LocalClock = Annotated[str, Field(pattern=r"^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$")]  # "HH:MM"


class WindowConfig(BaseModel):
    """Local hours in which cells are awake. One that ends before it begins reaches into the next day."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    cells: Annotated[tuple[Pattern, ...], Field(min_length=1)]
    days: Annotated[tuple[Day, ...], Field(min_length=1)] = DAYS  # on which the window begins
    begin: LocalClock
    end: LocalClock

    @model_validator(mode="after")
    def _has_a_length(self) -> Self:
        if self.begin in (self.end, "24:00"):
            raise ValueError('begin must not be end or "24:00"; a whole day is from "00:00" to "24:00"')
        return self


class EventConfig(BaseModel):
    """A span of local time in which cells are awake, as a match or a fair."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(min_length=1)]
    cells: tuple[Pattern, ...] = ()
    sites: tuple[Pattern, ...] = ()
    begin: NaiveDatetime  # in the time zone of the trace
    end: NaiveDatetime
    lead_h: Annotated[float, Field(ge=0)] = 0.0  # awake so long before the begin [h]

    @model_validator(mode="after")
    def _has_cells_and_a_length(self) -> Self:
        if self.end <= self.begin:
            raise ValueError("end must come after begin")
        if not self.cells and not self.sites:
            raise ValueError("name cells or sites")
        return self


class ConstraintsConfig(BaseModel):
    """Cells of this network that must be awake, always or at times; see docs/guards.md."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    protected: tuple[Pattern, ...] = ()
    exclusion_windows: tuple[WindowConfig, ...] = ()
    events: tuple[EventConfig, ...] = ()
    emergency_lock: tuple[Pattern, ...] = ()


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
    site: str | None = None  # a sites file, quietcell.sites/1
    constraints: ConstraintsConfig | None = None


def load_config(path: Path | None) -> RunConfig:
    """The configuration of a file, or an empty one. Raises ConfigError naming file, line and field."""
    if path is None:
        return RunConfig.model_validate({"schema": "quietcell.config/1"})
    return load_yaml(path, RunConfig)


def profile_names() -> list[str]:
    """Names of the shipped profiles."""
    return sorted(p.stem for p in PROFILES.glob("*.yaml"))


class _ProfileFile(RootModel[Profile | Preset]):
    root: Annotated[Profile | Preset, Field(discriminator="schema_name")]


def load_profile(name_or_file: str | None) -> Profile:
    """A shipped profile by name, or one of a file. Raises ConfigError naming line, field and remedy."""
    name = name_or_file or DEFAULT_PROFILE
    path = PROFILES / f"{name}.yaml" if name in profile_names() else Path(name)
    if not path.is_file():
        known = ", ".join(profile_names())
        raise ConfigError(f"profile {name!r} is neither a file nor a shipped profile; shipped: {known}")
    found = load_yaml(path, _ProfileFile).root
    if isinstance(found, Profile):
        return found
    if found.of not in profile_names() or found.of == found.name:
        known = ", ".join(n for n in profile_names() if n != found.name)
        raise ConfigError(f"{path}: of: {found.of!r} is no other shipped profile; use one of {known}")
    return load_profile(found.of).with_epsilon(found.epsilon, found.name)
