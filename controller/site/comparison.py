"""All site policies over every billing month of a trace, on the same plant, floors, limits and wear price.

::

    idle        keeps the battery full
    rule        charges in the cheapest hours of the day, discharges in the dearest; tuned on the month before
    threshold   holds a fixed import limit; tuned on the month before
    plan_24h    plans a day ahead from forecasts, without a target for the month's peak
    plan        plans two days ahead from forecasts, under the month's target
    oracle      plans each month with perfect foresight
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from numpy.typing import NDArray

from controller.replay.stage import Progress, quiet
from controller.site.building import SitesScene
from controller.site.expectation import OutlookExpect, SceneDuties, TrueExpect
from controller.site.month import Month, run_month
from controller.site.planned import CostedPlan
from controller.site.run import Guard, SiteRun
from controller.site.scene import SiteScene
from controller.site.spans import Span, billing_spans, day_ranks, with_shares
from controller.site.tally import Tally, month_figures
from controller.site.tuning import BASELINES, Make, tuned
from controller.site.watch import SceneGuard
from policies.site.dispatch import Dispatch, Expect, Moment, PlanDispatch, PlanSettings
from policies.site.follow import Setpoint
from policies.site.rules import Idle

Float64 = NDArray[np.float64]
IDLE, PLAN, ORACLE = "idle", "plan", "oracle"
SITE_POLICIES = (IDLE, "rule", "threshold", "plan_24h", PLAN, ORACLE)
REPLAN_S = 3600
SCENARIOS = 48
TUNED_BYTES = 1_000_000_000  # of copies while rules are tuned, over this in parts
COPIED_ARRAYS = 10
TUNED_CHOICES = 36
Keep = Callable[[str, SiteRun], None]  # told the policy and its run over one month


@dataclass(slots=True)
class Comparison:
    """A comparison in the making; whatever has been computed can be reported at any moment."""

    made: SitesScene
    seed: int = 0
    tallies: dict[str, Tally] = field(default_factory=dict)
    complete: bool = False
    spans: list[Span] = field(init=False)
    scene: SiteScene = field(init=False)

    def __post_init__(self) -> None:
        self.spans = billing_spans(self.made)
        self.scene = with_shares(self.made.scene, self.spans)

    def run(self, progress: Progress = quiet, keep: Keep | None = None) -> None:
        """Run every policy over every month. Interrupted, it keeps the policies that are done."""
        rank, guard = day_ranks(self.made), SceneGuard(self.scene)
        share = 1 / (len(SITE_POLICIES) * len(self.spans))
        for number, name in enumerate(SITE_POLICIES):
            tally = Tally()
            for k, span in enumerate(self.spans):
                month = self._month(span.begin, span.end, rank, guard)
                dispatch = self._dispatch(name, month, span)
                done = share * (number * len(self.spans) + k)
                run = run_month(month, _Watched(dispatch, span, partial(_tell, progress, name, done, share)))
                planned = dispatch.cost if isinstance(dispatch, CostedPlan) else None
                tally.add(month_figures(self.made, self.scene, run, planned))
                if keep is not None:
                    keep(name, run)
            self.tallies[name] = tally
        self.complete = True

    def _month(self, begin: int, end: int, rank: Float64, guard: Guard) -> Month:
        return Month(self.scene, begin, end, self.made.soc, self.made.health, rank, guard)

    def _dispatch(self, name: str, month: Month, span: Span) -> Dispatch:
        scene, settings = self.scene, _settings(name, self.scene, month)
        if name == IDLE:
            return Idle(scene.plant, month.keep_wh, scene.step_h)
        if name in BASELINES:
            make, grid = BASELINES[name]
            before = self._month(span.before, span.begin, month.rank, month.guard)
            return make(month, _tuned_in_parts(before, make, grid))
        expect: Expect = TrueExpect(scene)
        if name != ORACLE:
            expect = OutlookExpect(scene, self.made.calendar, count=SCENARIOS, seed=self.seed)
        duties = SceneDuties(scene, month.end, month.keep_wh)
        return CostedPlan(PlanDispatch(scene.plant, expect, duties, month.calendar, settings), scene)


def _settings(name: str, scene: SiteScene, month: Month) -> PlanSettings:
    day = scene.steps_per_day
    replan = max(1, REPLAN_S // scene.step_s)
    length = month.end - month.begin
    return {
        "plan_24h": PlanSettings(day, replan, False),
        ORACLE: PlanSettings(length, day, True),
    }.get(name, PlanSettings(2 * day, replan, True))


def _tuned_in_parts(before: Month, make: Make, grid: Sequence[tuple[float, ...]]) -> Float64:
    """Settings of each site, tuned for as many sites at once as memory allows."""
    n, steps = before.scene.n_sites, before.scene.n_steps
    at_once = max(1, TUNED_BYTES // (COPIED_ARRAYS * 8 * steps * TUNED_CHOICES))
    parts = [np.arange(first, min(first + at_once, n)) for first in range(0, n, at_once)]
    return np.concatenate([tuned(before.take(part), make, grid) for part in parts])


def _tell(progress: Progress, name: str, done: float, share: float, part: float) -> None:
    progress(f"site {name}", done + share * part)


class _Watched:
    """A policy whose progress through a month is told."""

    def __init__(self, inner: Dispatch, span: Span, tell: Callable[[float], None]) -> None:
        self._inner, self._span, self._tell = inner, span, tell

    def decide(self, moment: Moment) -> Setpoint:
        """What the policy decides."""
        self._tell((moment.step - self._span.begin) / (self._span.end - self._span.begin))
        return self._inner.decide(moment)
