"""The billing months of a trace, as far as they are scored, and what of a month's demand charge falls on them."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from controller.errors import ConfigError
from controller.site.building import SitesScene, learning_days
from controller.site.scene import SiteScene
from policies.site.rules import price_rank

Float64 = NDArray[np.float64]
LEAST_DAYS = 2  # one to learn from, one to score


class Span(NamedTuple):
    """The scored steps of one billing month."""

    begin: int
    end: int
    before: int  # first step of what rules are tuned on: as long as the month, or as much as there is
    share: float  # of the month's length that is scored


def billing_spans(made: SitesScene) -> list[Span]:
    """The scored part of each billing month; days for learning, at most half of the trace, come before.

    Raises ConfigError for a trace of less than two days.
    """
    scene, file = made.scene, made.given.file
    per_day = scene.steps_per_day
    if scene.n_steps < LEAST_DAYS * per_day:
        raise ConfigError(
            f"{file.path}: the trace has {scene.n_steps / per_day:.1f} days, site power needs {LEAST_DAYS}: one to "
            "learn from and one to score; replay a longer trace, or leave out --site"
        )
    learning = learning_days(file, scene.n_steps // per_day) * per_day
    slot = made.calendar.slot(0, scene.n_steps)
    midnights = np.flatnonzero(slot == 0)
    later = midnights[(midnights >= learning) & (midnights < scene.n_steps)]
    first = int(later[0]) if len(later) else learning
    month = scene.tariff.month
    edges = np.flatnonzero(np.diff(month[first:])) + 1 + first
    begins, ends = [first, *edges.tolist()], [*edges.tolist(), scene.n_steps]
    return [_span(made, begin, end) for begin, end in zip(begins, ends, strict=True)]


def _span(made: SitesScene, begin: int, end: int) -> Span:
    moment = made.scene.start + np.timedelta64(begin * made.scene.step_s, "s")
    month_begin, month_end = made.given.tariff.billing_month(moment)
    whole_s = float((month_end - month_begin) / np.timedelta64(1, "s"))
    share = min(1.0, (end - begin) * made.scene.step_s / whole_s)
    return Span(begin, end, max(0, begin - (end - begin)), share)


def with_shares(scene: SiteScene, spans: list[Span]) -> SiteScene:
    """The scene with the demand charge of each month cut to the share of it that is scored."""
    price = scene.tariff.demand_price.copy()
    for span in spans:
        price[scene.tariff.month[span.begin]] *= span.share
    return replace(scene, tariff=replace(scene.tariff, demand_price=price))


def day_ranks(made: SitesScene) -> Float64:
    """Rank of each step's price in its local day. (T,)"""
    scene = made.scene
    day = made.calendar.days(0, scene.n_steps)
    rank = np.empty(scene.n_steps)
    edges = [0, *(np.flatnonzero(np.diff(day)) + 1).tolist(), scene.n_steps]
    for begin, end in pairwise(edges):
        rank[begin:end] = price_rank(scene.tariff.import_price[begin:end])
    return rank
