"""Plants, cooling and backup classes by name or file."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, Field

from controller.errors import ConfigError
from controller.strict_yaml import load_yaml
from hw.power.cooling_spec import CoolingSpec
from hw.power.spec import PlantSpec
from policies.site.backup import BackupClass

PLANTS = Path(str(files("hw").joinpath("catalogue", "power")))
COOLING = Path(str(files("hw").joinpath("catalogue", "cooling")))
CLASSES = Path(str(files("controller").joinpath("site", "classes")))
M = TypeVar("M", bound=BaseModel)


class BackupClassFile(BackupClass):
    """A backup class as a file says it."""

    # "schema" would shadow a method of pydantic's BaseModel, hence the alias
    schema_name: Annotated[Literal["quietcell.backup-class/1"], Field(alias="schema")]
    source: Annotated[str, Field(min_length=1)]


def load_plant(name: str, beside: Path) -> PlantSpec:
    """A plant by name, or a file beside another. Raises ConfigError with the known names."""
    return _load(name, beside, PLANTS, PlantSpec, "plant")


def load_cooling(name: str, beside: Path) -> CoolingSpec:
    """A room with its cooling. Raises ConfigError with the known names."""
    return _load(name, beside, COOLING, CoolingSpec, "cooling")


def load_class(name: str, beside: Path) -> BackupClass:
    """A backup class. Raises ConfigError with the known names."""
    return _load(name, beside, CLASSES, BackupClassFile, "backup_class")


def _load(name: str, beside: Path, shipped: Path, model: type[M], what: str) -> M:
    known = sorted(path.stem for path in shipped.glob("*.yaml"))
    path = shipped / f"{name}.yaml" if name in known else beside / name
    if not path.is_file():
        raise ConfigError(f"{what} {name!r} is neither a file nor a known name; known: {', '.join(known)}")
    return load_yaml(path, model)
