"""A whole evaluation: one replay for each trace, world and seed, its document and its gates."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from controller.evaluation.bootstrap import CONFIDENCE
from controller.evaluation.case import Case, report_of
from controller.evaluation.gates import Gate, judge
from controller.foreign import ForeignPolicy
from controller.replay.planning import check_model
from controller.replay.report import Replay
from controller.replay.stage import Progress, Task
from controller.site.replaying import SiteReplay
from policies.profile import Profile

if TYPE_CHECKING:
    from controller.forecast.model_file import LoadedModel

Report = dict[str, Any]
Watch = Callable[[str], AbstractContextManager[Progress]]

SCHEMA = "quietcell.evaluation/1"
BOOTSTRAP_SEED = 0


@dataclass(slots=True)
class Evaluation:
    """An evaluation in the making; whatever has been computed can be reported at any moment."""

    cases: list[Case]
    profile: Profile
    policies: tuple[str, ...]
    seeds: tuple[int, ...]
    draws: int
    gates: tuple[Gate, ...] = ()
    model: LoadedModel | None = None
    guard: bool = False
    foreign: Mapping[str, ForeignPolicy] = field(default_factory=dict)
    site: Path | None = None  # sites file: site power is compared in every run, too
    runs: list[Report] = field(default_factory=list)  # one report of each replay, the last may be partial
    complete: bool = False

    def __post_init__(self) -> None:
        for case in self.cases:
            check_model(self._task(case, 0))
            self._sites(self._task(case, 0))

    def _sites(self, task: Task) -> SiteReplay | None:
        return None if self.site is None else SiteReplay(self.site, task, self.policies)

    def _task(self, case: Case, seed: int) -> Task:
        return Task(
            case.trace,
            case.world,
            self.profile,
            seed,
            self.model,
            self.guard,
            case.constraints,
            self.foreign,
        )

    @property
    def n_replays(self) -> int:
        """Number of replays in all."""
        return len(self.cases) * len(self.seeds)

    def run(self, watch: Watch) -> None:
        """Replay case after case. ``watch`` gets the name of each replay and is told its progress.

        Interrupted by KeyboardInterrupt, the evaluation keeps what is done.
        """
        for case in self.cases:
            for seed in self.seeds:
                task = self._task(case, seed)
                sites = self._sites(task)
                replay = Replay(task if sites is None else sites.task, self.policies, site=sites)
                with watch(f"{len(self.runs) + 1}/{self.n_replays} {case.name}, seed {seed}") as progress:
                    self._replay(case, replay, progress)
        self.complete = True

    def _replay(self, case: Case, replay: Replay, progress: Progress) -> None:
        try:
            replay.run(progress, with_page=False, with_curve=False)
        except KeyboardInterrupt:
            if "none" in replay.runs:  # all other figures are counted against it
                self.runs.append(report_of(replay))
            raise
        self.runs.append(case.keep(replay))

    def document(self) -> Report:
        """The document of evaluation.json. The summary holds finished replays only."""
        kept = [case for case in self.cases if case.reports]
        return {
            "schema": SCHEMA,
            "complete": self.complete,
            "profile": self.profile.name,
            "policies": list(self.policies),
            "traces": list(dict.fromkeys(case.trace.source for case in self.cases)),
            "worlds": list(dict.fromkeys(case.world.world.name for case in self.cases)),
            "seeds": list(self.seeds),
            "n_replays": self.n_replays,
            "bootstrap": {"draws": self.draws, "seed": BOOTSTRAP_SEED, "confidence": CONFIDENCE},
            "runs": self.runs,
            "summary": [case.summary(self.draws, BOOTSTRAP_SEED) for case in kept],
            "gates": self._verdicts(),
        }

    def _verdicts(self) -> list[Report]:
        if self.complete:
            return [judge(gate, self.runs).as_document() for gate in self.gates]
        why = "the evaluation was stopped before its end"
        undefined = {key: value for name in ("held", "value", "margin") for key, value in _null(name, why)}
        return [{"gate": gate.text} | undefined for gate in self.gates]


def _null(name: str, why: str) -> tuple[tuple[str, Any], tuple[str, Any]]:
    return (name, None), (f"{name}_reason", why)
