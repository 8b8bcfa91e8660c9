"""The policies of ours by name, and their planners."""

from __future__ import annotations

from collections.abc import Callable

from controller.replay.scene import Scene
from hw.world import FULL, SYMBOL
from policies.baselines import FixedPlanner, ThresholdPlanner, TimerPlanner
from policies.policy import Planner
from policies.predictive import PredictivePlanner
from policies.profile import Profile

MODELLED = "predictive"  # the policy that a model is for
# ``predictive`` without its model, with the truth, and with the process that the truth is drawn from
SEASONAL, TRUE, PROCESS = "predictive_seasonal", "predictive_true", "predictive_process"
FIXED = {"none": FULL, "symbol": SYMBOL}
CAUSAL = ("timer", "threshold", "predictive")
ALWAYS = ("none", "symbol", "oracle")
POLICIES = ("none", "symbol", "timer", "threshold", "logged", "predictive", "oracle")
ANALYSIS = (SEASONAL, TRUE, PROCESS)  # only where named; the first two also where a model is evaluated
KNOWN = (*POLICIES[:-1], *ANALYSIS, POLICIES[-1])


def make_planner(name: str, scene: Scene, profile: Profile, *, guard: bool = False) -> Planner:
    """The planner of a policy, ``guard`` where the guard loop runs too. Raises KeyError for an unknown name."""
    network, tables = scene.network, scene.tables

    def predictive() -> Planner:
        settings, per_tick = profile.predictive, scene.clock.per_tick
        if guard:
            settings = settings.model_copy(update={"risk_price": profile.surge.risk_price})
        return PredictivePlanner(network, tables, settings, samples_per_tick=per_tick, watched=guard)

    makers: dict[str, Callable[[], Planner]] = {
        "none": lambda: FixedPlanner(network.n_cells, FULL),
        "symbol": lambda: FixedPlanner(network.n_cells, SYMBOL),
        "timer": lambda: TimerPlanner(network, tables, profile.timer),
        "threshold": lambda: ThresholdPlanner(network, tables, profile.threshold),
        "predictive": predictive,
        SEASONAL: predictive,
        TRUE: predictive,
        PROCESS: predictive,
    }
    return makers[name]()
