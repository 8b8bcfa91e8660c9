"""How far the controller may go at first, as configured."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from controller.errors import ConfigError
from controller.live.calendar import read_calendar
from controller.live.events import Scope
from controller.live.ladder import STAGES, Ladder
from controller.live.places import Places, PlacesError
from policies.trust.canaries import sample_sites
from traces.trace import Cells

Name = Annotated[str, Field(min_length=1)]


class StageWord(StrEnum):
    """A stage as files write it."""

    SHADOW = "shadow"
    ADVISE = "advise"
    CANARY = "canary"
    ACT = "act"


class SampleConfig(BaseModel):
    """Sites drawn at random, of which all cells are canaries."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sites: Annotated[int, Field(ge=1)]
    seed: Annotated[int, Field(ge=0)] = 0


class LadderConfig(BaseModel):
    """Stages to begin with; operators change them while the controller runs, see docs/ladder.md."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    stage: StageWord = StageWord.SHADOW  # of all sites that are not named
    sites: dict[Name, StageWord] = {}
    regions: dict[Name, tuple[Name, ...]] = {}  # sites of each, to be named together
    canaries: tuple[Name, ...] = ()  # cells that act at the stage canary, or
    sample: SampleConfig | None = None  # sites that are drawn instead
    calendar: str | None = None  # iCalendar file of times at which cells are awake

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.canaries and self.sample is not None:
            raise ValueError("give either canaries or sample: cells by name, or sites that are drawn")
        return self


def compile_ladder(
    config: LadderConfig, cells: Cells, level_names: Sequence[str], tick_s: int, time_zone: str
) -> Ladder:
    """The ladder of a network at its beginning. Raises ConfigError where it has no such cell or site."""
    try:
        places = Places(cells.cell_id, cells.site_id, config.regions, level_names)
        stage = np.full(len(cells), STAGES[config.stage], np.uint8)
        for site, word in config.sites.items():
            stage[places.cells(Scope("site", site))] = STAGES[word]
        canary = np.zeros(len(cells), np.bool_)
        for cell in config.canaries:
            canary |= places.cells(Scope("cell", cell))
        if config.sample is not None:
            canary = _drawn(config.sample, cells.site_id)
    except PlacesError as error:
        raise ConfigError(f"ladder: {error}") from error
    calendar = None if config.calendar is None else read_calendar(Path(config.calendar), places, time_zone)
    return Ladder(places, stage, canary, tick_s, calendar)


def _drawn(sample: SampleConfig, site_id: NDArray[np.str_]) -> NDArray[np.bool_]:
    """Cells of the sites that are drawn. (n,) Raises ConfigError where none would be left to compare with."""
    n_sites = len(np.unique(site_id))
    if sample.sites >= n_sites:
        raise ConfigError(
            f"ladder.sample: {sample.sites} of {n_sites} sites leave none to compare with; draw fewer"
        )
    number = np.unique(site_id, return_inverse=True)[1].astype(np.intp)
    return sample_sites(number, sample.sites / n_sites, np.random.default_rng(sample.seed))
