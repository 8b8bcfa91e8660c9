"""Mains: how often each grade fails, outages drawn from it, and outages as steps without mains."""

from __future__ import annotations

import zlib
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from controller.errors import ConfigError
from controller.localtime import utc_seconds
from controller.strict_yaml import load_yaml
from hw.spec import NotNegative, Positive, Spec
from traces.grid import Outages

SHIPPED = Path(str(files("controller").joinpath("site", "mains_grades.yaml")))
YEAR_S = 365.25 * 86_400
SHORTEST_S = 60.0  # a shorter failure is no outage for a site with a battery


class MainsGradeSpec(Spec):
    """One grade: failures a year, and a log-normal duration."""

    source: Annotated[str, Field(min_length=1)]
    outages_per_year: NotNegative
    mean_duration_h: Positive
    duration_sigma: NotNegative  # standard deviation of the log of the duration


class MainsGradesSpec(Spec):
    """A file of grades."""

    # "schema" would shadow a method of pydantic's BaseModel, hence the alias
    schema_name: Annotated[Literal["quietcell.mains-grades/1"], Field(alias="schema")]
    grades: Annotated[dict[str, MainsGradeSpec], Field(min_length=1)]


def load_grades(path: str | Path | None = None) -> dict[str, MainsGradeSpec]:
    """The shipped grades, or those of a file. Raises ConfigError with line, field and remedy."""
    return load_yaml(SHIPPED if path is None else Path(path), MainsGradesSpec).grades


def grade_of(name: str, grades: dict[str, MainsGradeSpec]) -> MainsGradeSpec:
    """One grade by name. Raises ConfigError, with the known ones, if there is none."""
    if name not in grades:
        raise ConfigError(f"mains grade {name!r} is not known; known: {', '.join(grades)}")
    return grades[name]


def draw_outages(
    grades: list[MainsGradeSpec], sites: list[str], start: np.datetime64, days: float, seed: int
) -> Outages:
    """Outages of each site over ``days`` from ``start`` (UTC) on, from its grade, for evaluation.

    Failures come at random (Poisson) while mains is present; durations are log-normal, of a minute at least. A site has
    the same outages whatever other sites are drawn with it.
    """
    names, begins, ends = [], [], []
    order = sorted(range(len(sites)), key=lambda i: sites[i])
    for i in order:
        rng = np.random.default_rng([seed, zlib.crc32(sites[i].encode())])
        begin_s, end_s = _of_site(grades[i], days * 86_400, rng)
        names += [sites[i]] * len(begin_s)
        begins.append(begin_s)
        ends.append(end_s)
    offset = utc_seconds(start)
    whole = [np.concatenate(parts) if parts else np.empty(0, np.int64) for parts in (begins, ends)]
    return Outages(np.array(names, np.str_), whole[0] + offset, whole[1] + offset)


def mains_present(
    outages: Outages, sites: list[str], start: np.datetime64, n_steps: int, step_s: int
) -> NDArray[np.bool_]:
    """True where mains is present. (n, n_steps)

    Begin and end of an outage go to the nearest border of steps, so that its length is kept on average; one that would
    vanish takes the step in which it begins. Raises ConfigError for an outage of a site that is not among ``sites``.
    """
    present = np.ones((len(sites), n_steps), np.bool_)
    row_of = {site: i for i, site in enumerate(sites)}
    offset = utc_seconds(start)
    for site, begin_s, end_s in zip(
        outages.site.tolist(), outages.begin_s.tolist(), outages.end_s.tolist(), strict=True
    ):
        if site not in row_of:
            raise ConfigError(f"outages: site {site!r} is not known; known: {', '.join(sites[:20])}")
        first = (begin_s - offset + step_s // 2) // step_s
        last = (end_s - offset + step_s // 2) // step_s
        if last <= first:
            first = (begin_s - offset) // step_s
            last = first + 1
        present[row_of[site], max(0, first) : max(0, last)] = False
    return present


def _of_site(
    grade: MainsGradeSpec, span_s: float, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Begin and end of the outages of one site, from 0 to ``span_s``. [s]"""
    begins, ends, now = [], [], 0.0
    mean_log = np.log(3600 * grade.mean_duration_h) - grade.duration_sigma**2 / 2
    down_s = grade.outages_per_year * 3600 * grade.mean_duration_h
    if down_s >= YEAR_S:
        raise ConfigError(
            f"mains grade ({grade.source}): {grade.outages_per_year:g} outages of {grade.mean_duration_h:g} h do not "
            "fit into a year; lower one of them"
        )
    while grade.outages_per_year > 0:
        now += rng.exponential((YEAR_S - down_s) / grade.outages_per_year)
        if now >= span_s:
            break
        lasts = max(SHORTEST_S, rng.lognormal(mean_log, grade.duration_sigma))
        begins.append(round(now))
        ends.append(round(now + lasts))
        now += lasts
    return np.array(begins, np.int64), np.array(ends, np.int64)
