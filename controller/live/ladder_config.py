"""How far the controller may go at first, as configured."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from controller.errors import ConfigError
from controller.live.calendar import read_calendar
from controller.live.events import Scope
from controller.live.ladder import STAGES, Ladder
from controller.live.places import Places, PlacesError
from traces.trace import Cells

Name = Annotated[str, Field(min_length=1)]


class StageWord(StrEnum):
    """A stage as files write it."""

    SHADOW = "shadow"
    ADVISE = "advise"
    CANARY = "canary"
    ACT = "act"


class LadderConfig(BaseModel):
    """Stages to begin with; operators change them while the controller runs, see docs/ladder.md."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    stage: StageWord = StageWord.SHADOW  # of all sites that are not named
    sites: dict[Name, StageWord] = {}
    regions: dict[Name, tuple[Name, ...]] = {}  # sites of each, to be named together
    canaries: tuple[Name, ...] = ()  # cells that act at the stage canary
    calendar: str | None = None  # iCalendar file of times at which cells are awake


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
    except PlacesError as error:
        raise ConfigError(f"ladder: {error}") from error
    calendar = None if config.calendar is None else read_calendar(Path(config.calendar), places, time_zone)
    return Ladder(places, stage, canary, tick_s, calendar)
