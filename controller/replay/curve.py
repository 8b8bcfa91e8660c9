"""Savings against service: the same policy at other epsilons, targets and assumed paths inside the steps."""

from __future__ import annotations

from collections.abc import Iterator

from controller.replay.figures import Outcome, gain, service_figures
from controller.replay.run import PolicyRun, plans_of, run_policy, score
from controller.replay.scene import make_clock
from controller.replay.stage import Progress, Stage, Task
from controller.report.pagedata import CurvePoint

EPSILON_FACTORS = (0.06, 1 / 3, 0.55, 1.8, 10 / 3)  # 1/3 and 10/3 are the presets gentle and bold
MAX_SAMPLES = 200_000_000  # cells x samples above which the curve is left out: it replays about ten times
CURVE_POLICY = "predictive"


def curve_points(
    task: Task, stage: Stage, runs: dict[str, PolicyRun], progress: Progress
) -> Iterator[CurvePoint]:
    """Points around the runs that are done; nothing for very large networks."""
    if (
        CURVE_POLICY not in runs
        or task.trace.n_cells * make_clock(task.trace, task.world).n_samples > MAX_SAMPLES
    ):
        return
    evaluation = task.world.evaluation
    none = runs["none"].outcome
    sigma = evaluation.traffic_path.sigma
    epsilon = task.profile.predictive.epsilon
    profiles = [
        (f"epsilon {epsilon * f:.2g}", task.profile.with_epsilon(epsilon * f)) for f in EPSILON_FACTORS
    ]
    profiles.insert(0, (f"epsilon {epsilon:.2g}", task.profile))
    turns = len(profiles) + 2
    for turn, (label, profile) in enumerate(profiles):
        stage.profile = profile
        plans = plans_of(CURVE_POLICY, stage)
        stage.profile = task.profile
        for target in evaluation.service.curve_targets_mbit_s:
            yield _point(task, label, target, sigma, score(stage, plans, target), none)
        progress("curve", (turn + 1) / turns)
    for turn, other in enumerate((evaluation.traffic_path.sigma_low, evaluation.traffic_path.sigma_high)):
        elsewhere = Stage(task, sigma=other)
        baseline = run_policy("none", elsewhere).outcome
        for name in ("symbol", CURVE_POLICY):
            outcome = run_policy(name, elsewhere).outcome
            target = evaluation.service.target_mbit_s
            yield _point(task, f"sigma {other:g}", target, other, outcome, baseline, name)
        progress("curve", (len(profiles) + turn + 1) / turns)


def _point(
    task: Task,
    label: str,
    target: float,
    sigma: float,
    outcome: Outcome,
    none: Outcome,
    name: str = CURVE_POLICY,
) -> CurvePoint:
    per_day = make_clock(task.trace, task.world).per_day
    figures = service_figures(outcome, task.world.evaluation.service, per_day)
    return CurvePoint(
        policy=name,
        label=label,
        target_mbit_s=target,
        sigma=sigma,
        ee_gain_vs_none=gain(outcome, none) or 0.0,
        energy_saved_vs_none=1 - outcome.energy / none.energy if none.energy > 0 else 0.0,
        below_target_share=figures["below_target_share"],
        unserved_share=figures["unserved_share"],
        limits_held=figures["limits_held"],
    )
