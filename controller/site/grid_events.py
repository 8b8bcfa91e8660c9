"""Demand-response events of the grid, from a file to limits, reductions and penalties of every site and step.

::

    YAML ``quietcell.grid-events/1`` -> GridEventsSpec -> compile_events(): EventSeries, arrays (n, T)

An event is known from the moment it was announced. Where events overlap the lowest limit, the largest reduction and the
highest penalty hold.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import AwareDatetime, Field, model_validator

from controller.errors import ConfigError
from controller.localtime import utc_seconds
from controller.strict_yaml import load_yaml
from hw.spec import NotNegative, Spec

ALL_SITES = "all"


class EventSpec(Spec):
    """One event. Power is at the meter, as a mean over each step that the event touches."""

    name: Annotated[str, Field(min_length=1)]
    kind: Literal["reduce_by", "limit_to"]
    amount_w: NotNegative
    begin: AwareDatetime
    end: AwareDatetime
    announced: AwareDatetime
    sites: Annotated[tuple[str, ...], Field(min_length=1)] | Literal["all"] = "all"
    penalty_per_kwh: NotNegative = 0.0  # for what was promised and not done
    reward_per_kwh: NotNegative = 0.0  # for what was reduced, up to amount_w
    opt_out: bool = False  # the operator does not take part: nothing is limited, paid or earned

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.end <= self.begin:
            raise ValueError(f"event {self.name} ends at or before its begin; correct begin or end")
        if self.announced > self.begin:
            raise ValueError(f"event {self.name} is announced after its begin; correct announced or begin")
        if self.kind == "reduce_by" and not self.amount_w:
            raise ValueError(f"event {self.name} reduces by 0 W; state amount_w, or remove the event")
        if self.kind == "limit_to" and self.reward_per_kwh:
            raise ValueError(
                f"event {self.name} limits: a reward needs an amount to reduce by; use kind reduce_by"
            )
        return self


class GridEventsSpec(Spec):
    """A file of events."""

    # "schema" would shadow a method of pydantic's BaseModel, hence the alias
    schema_name: Annotated[Literal["quietcell.grid-events/1"], Field(alias="schema")]
    source: Annotated[str, Field(min_length=1)]
    events: tuple[EventSpec, ...]

    @model_validator(mode="after")
    def _names_once(self) -> Self:
        names = [event.name for event in self.events]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"event {twice[0]!r} appears more than once; give each event a name of its own")
        return self


class EventSeries(NamedTuple):
    """What events ask of each site and step. Arrays (n, T)."""

    limit_w: NDArray[np.float64]  # import at the meter must not be above; inf: none
    reduce_w: NDArray[np.float64]  # import must be below what it would have been by this; 0: nothing
    penalty_per_kwh: NDArray[np.float64]  # for import above limit_w or reduction below reduce_w
    reward_per_kwh: NDArray[np.float64]  # for what is reduced, up to reduce_w
    known_at: NDArray[
        np.int64
    ]  # first step at whose begin all that is said of this one is known; 0 without an event


def load_events(path: str | Path) -> GridEventsSpec:
    """Read a file of events. Raises ConfigError with line, field and remedy."""
    return load_yaml(Path(path), GridEventsSpec)


def known_by(spec: GridEventsSpec, moment: np.datetime64) -> GridEventsSpec:
    """The events that were announced at or before ``moment`` (UTC): what a plan made then may know."""
    second = utc_seconds(moment)
    return spec.model_copy(
        update={"events": tuple(event for event in spec.events if _second(event.announced) <= second)}
    )


def compile_events(
    spec: GridEventsSpec, sites: list[str], start: np.datetime64, n_steps: int, step_s: int
) -> EventSeries:
    """Events as arrays over ``sites`` and ``n_steps`` steps from ``start`` (UTC) on.

    A step that an event touches in part counts whole. Where a step has several events, ``known_at`` is the last of them
    to be announced. Raises ConfigError for a site that is not among ``sites``.
    """
    shape = (len(sites), n_steps)
    found = EventSeries(
        np.full(shape, np.inf), np.zeros(shape), np.zeros(shape), np.zeros(shape), np.zeros(shape, np.int64)
    )
    start_s = utc_seconds(start)
    for event in spec.events:
        rows = _rows(event, sites)
        if event.opt_out:
            continue
        first = max(0, (_second(event.begin) - start_s) // step_s)
        last = min(n_steps, -((start_s - _second(event.end)) // step_s))
        if last <= first:
            continue
        at = np.ix_(rows, np.arange(first, last))
        if event.kind == "limit_to":
            found.limit_w[at] = np.minimum(found.limit_w[at], event.amount_w)
        else:
            found.reduce_w[at] = np.maximum(found.reduce_w[at], event.amount_w)
        found.penalty_per_kwh[at] = np.maximum(found.penalty_per_kwh[at], event.penalty_per_kwh)
        found.reward_per_kwh[at] = np.maximum(found.reward_per_kwh[at], event.reward_per_kwh)
        announced = -((start_s - _second(event.announced)) // step_s)  # begin of the first step after it
        found.known_at[at] = np.maximum(found.known_at[at], max(0, announced))
    return found


def _rows(event: EventSpec, sites: list[str]) -> NDArray[np.int64]:
    if event.sites == ALL_SITES:
        return np.arange(len(sites))
    unknown = [site for site in event.sites if site not in sites]
    if unknown:
        known = ", ".join(sites[:20])
        raise ConfigError(f"event {event.name}: site {unknown[0]!r} is not known; known: {known}")
    return np.array([sites.index(site) for site in event.sites], np.int64)


def _second(moment: datetime) -> int:
    return int(moment.astimezone(UTC).timestamp())
