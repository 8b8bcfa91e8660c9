"""What of the saving with the guard loop is lost to what: forecast, shipped prices, changes, and what nobody can know.

``causal_bound`` is the best that was found of policies that know the process but not the draw: the path without its
noise and the law of the noise. It plans as ``predictive`` does, at the epsilon among ``EPSILONS`` that captures most
within the limits. The four parts and the captured share of ``predictive`` add up to 1.
"""

from __future__ import annotations

from benchmarks.rows import print_row
from controller.config import load_profile
from controller.replay.figures import captured, service_figures
from controller.replay.planners import PROCESS
from controller.replay.run import run_policy
from controller.replay.stage import Stage, Task
from controller.worlds import load_world
from policies.profile import Profile
from traces import Trace

EPSILONS = (1.0, 1.4, 1.8, 2.4, 3.2, 4.2)  # over that of the profile


class Ceiling:
    """Energies of a network that captured shares are counted with."""

    def __init__(self, trace: Trace, world: str) -> None:
        self.task = Task(trace, load_world(world), load_profile(None), 0, guard=True)
        stage = Stage(self.task)
        self.none = run_policy("none", stage).outcome.energy
        self.bound = run_policy("oracle", stage).bound or 0.0

    def captured(self, name: str, profile: Profile) -> tuple[float, bool, float]:
        """Captured share of a policy, whether its limits are held, and its changes per cell and day."""
        stage = Stage(self.task, profile=profile)
        outcome = run_policy(name, stage).outcome
        found = service_figures(outcome, self.task.world.evaluation.service, stage.clock.per_day)
        share = captured(outcome.energy, self.none, self.bound) or 0.0
        return share, bool(found["limits_held"]), float(found["level_changes_per_cell_day"])


def print_shortfall(trace: Trace, world: str, which: str) -> None:
    """Rows of the shortfall of ``predictive`` with the shipped profile, as parts of what could be saved."""
    ceiling, shipped = Ceiling(trace, world), load_profile(None)
    ours, _, _ = ceiling.captured("predictive", shipped)
    epsilon = shipped.predictive.epsilon
    tried = {f: ceiling.captured(PROCESS, shipped.with_epsilon(min(epsilon * f, 0.5))) for f in EPSILONS}
    told = tried[1.0][0]
    best, factor = max((share, f) for f, (share, held, _) in tried.items() if held or f == 1.0)
    free = shipped.predictive.model_copy(update={"change_price": 0.0})
    freely = shipped.model_copy(update={"predictive": free}).with_epsilon(epsilon * factor)
    moving, _, changes = ceiling.captured(PROCESS, freely)
    about = f"{which}, {world}, guard on"
    print_row(
        "causal_bound", best, "ratio", f"{about}; best epsilon within the limits: {epsilon * factor:.3g}"
    )
    print_row("shortfall_forecast", told - ours, "ratio", f"{about}; told the process, at the same prices")
    print_row("shortfall_limits", best - told, "ratio", f"{about}; what the profile leaves of the limits")
    transitions = max(moving - best, 0.0)
    about_free = f"{about}; with changes free, {changes:.1f} of them"
    print_row("shortfall_transitions", transitions, "ratio", about_free)
    print_row("shortfall_unknowable", 1 - best - transitions, "ratio", f"{about}; the rest")
