"""What a synthetic network shall be: one frozen, validated description."""

from __future__ import annotations

import datetime as dt
import zoneinfo
from typing import Annotated, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from traces.synth.shapes import AreaType

SECONDS_PER_DAY = 86_400
DEFAULT_MIX: dict[AreaType, float] = {
    "business": 0.25,
    "residential": 0.4,
    "transport": 0.1,
    "entertainment": 0.1,
    "rural": 0.1,
    "campus": 0.05,
}

Share = Annotated[float, Field(ge=0, le=1)]
Rate = Annotated[float, Field(ge=0, le=100)]


class Event(BaseModel):
    """A gathering at one site: traffic rises in the hour before it and falls back in the hour after."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    site: int = Field(ge=0)
    start_h: float = Field(ge=0)  # hours after the first local midnight
    duration_h: float = Field(gt=0, le=24)
    factor: float = Field(gt=1, le=20)  # traffic during the event over the usual [ratio]


class SynthSpec(BaseModel):
    """Description of a synthetic network. The cells of a site depend only on ``seed`` and the site's index.

    Rates are means of Poisson processes. Raises pydantic.ValidationError, a ValueError, that names each wrong
    field.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    n_sites: int = Field(default=10, ge=1)
    first_site: int = Field(default=0, ge=0)  # a partition of a large network starts here
    sectors: int = Field(default=3, ge=1, le=6)
    layers: int = Field(default=3, ge=1, le=3)  # 1: coverage cells only
    low_band: bool = False  # 700 MHz covers, 2.6 and 3.5 GHz add capacity
    days: int = Field(default=7, ge=1, le=3660)
    step_s: int = Field(default=900, ge=60, le=3600)
    start: dt.date = dt.date(2025, 3, 3)  # the first step begins at local midnight of this day
    time_zone: str = "Asia/Shanghai"
    seed: int = Field(default=0, ge=0, lt=2**63)
    area_mix: dict[AreaType, Annotated[float, Field(ge=0)]] = DEFAULT_MIX
    median_load: float = Field(default=0.2, gt=0, lt=1)  # mean PRB utilisation of the median sector [ratio]
    growth_per_week: float = Field(default=0.0, ge=-0.5, le=0.5)  # [ratio]
    bursts_per_sector_day: Rate = 0.5
    events_per_site_week: Rate = 0.0
    events: tuple[Event, ...] = ()
    outages_per_site_week: Rate = 0.0
    missing_share: float = Field(default=0.0, ge=0, le=0.5)  # cell-steps lost in collection [ratio]
    neighbour_overlap: Share = 0.0  # share of capacity cells that the next site's coverage layer overlaps
    logged_share: Share = 0.0  # share of sites whose operator logged symbol and carrier shutdown at night
    site_energy: bool = False  # measured energy per site

    @field_validator("step_s")
    @classmethod
    def _divides_an_hour(cls, value: int) -> int:
        if 3600 % value:
            raise ValueError("a step must divide an hour, such as 60, 300, 900 or 3600 s")
        return value

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            zoneinfo.ZoneInfo(value)
        except (zoneinfo.ZoneInfoNotFoundError, ValueError) as error:
            raise ValueError(f"{value!r} is no IANA time zone; try Asia/Shanghai or Europe/Berlin") from error
        return value

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if not sum(self.area_mix.values()) > 0:
            raise ValueError("area_mix needs at least one area type with a weight above 0")
        if self.low_band and self.logged_share > 0:
            raise ValueError(
                "low_band goes without logged_share: the operator's night rule knows like layers only"
            )
        sites = range(self.first_site, self.first_site + self.n_sites)
        for event in self.events:
            if event.site not in sites or event.start_h >= self.days * 24:
                raise ValueError(
                    f"the event at site {event.site}, hour {event.start_h:g} lies outside the trace"
                )
        return self

    @property
    def n_cells(self) -> int:
        """Number of cells."""
        return self.n_sites * self.sectors * self.layers

    @property
    def n_steps(self) -> int:
        """Number of steps."""
        return self.days * SECONDS_PER_DAY // self.step_s

    @property
    def start_utc(self) -> np.datetime64:
        """Beginning of the first step: local midnight of ``start``, in UTC."""
        local = dt.datetime.combine(self.start, dt.time(), zoneinfo.ZoneInfo(self.time_zone))
        return np.datetime64(local.astimezone(dt.UTC).replace(tzinfo=None), "s")


def site_random(spec: SynthSpec, site: int, stream: int) -> np.random.Generator:
    """Random numbers of one site for one purpose: a counter-based generator keyed by seed, site and stream.

    One stream per purpose (0..15) keeps the traffic unchanged when, say, outages are added.
    """
    key: NDArray[np.uint64] = np.array([spec.seed, site * 16 + stream], np.uint64)
    return np.random.Generator(np.random.Philox(key=key))
