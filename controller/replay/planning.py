"""The policies by name, and the plans they make when the controller ticks through a scene."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from controller.forecaster import Forecaster
from controller.replay.scene import Scene
from controller.tick import Controller, Observation
from hw.telemetry import SimulatedPlant
from hw.world import FULL, SYMBOL
from policies.baselines import FixedPlanner, ThresholdPlanner, TimerPlanner
from policies.guards import Guards
from policies.policy import Planner
from policies.predictive import PredictivePlanner
from policies.profile import Profile

FIXED = {"none": FULL, "symbol": SYMBOL}
CAUSAL = ("timer", "threshold", "predictive")
ALWAYS = ("none", "symbol", "oracle")
POLICIES = ("none", "symbol", "timer", "threshold", "logged", "predictive", "oracle")
MEDIAN, UPPER = 0.5, 0.95  # quantiles of the forecast that the page shows


@dataclass(slots=True)
class Planned:
    """What a policy decided. n cells, T ticks."""

    plan: NDArray[np.uint8]  # (n, T), or one column per sample for ``logged``
    reason: NDArray[np.uint8] | None = None  # (n, T)
    expected: NDArray[np.float32] | None = None  # (n, T) median forecast of the tick
    upper: NDArray[np.float32] | None = None  # (n, T)


def make_planner(name: str, scene: Scene, profile: Profile) -> Planner:
    """The planner of a policy. Raises KeyError for a name that plans nothing."""
    network, tables = scene.network, scene.tables
    makers: dict[str, Callable[[], Planner]] = {
        "none": lambda: FixedPlanner(network.n_cells, FULL),
        "symbol": lambda: FixedPlanner(network.n_cells, SYMBOL),
        "timer": lambda: TimerPlanner(network, tables, profile.timer),
        "threshold": lambda: ThresholdPlanner(network, tables, profile.threshold),
        "predictive": lambda: PredictivePlanner(
            network, tables, profile.predictive, samples_per_tick=scene.clock.per_tick
        ),
    }
    return makers[name]()


def make_controller(
    planner: Planner, scene: Scene, profile: Profile, allowed_cell_below_target_share: float
) -> Controller:
    """The controller that would run live, around one planner."""
    clock = scene.clock
    forecaster = None
    if planner.needs_forecast:
        forecaster = Forecaster(
            scene.network.n_cells, profile.forecast, sample_s=clock.sample_s, tick_s=clock.tick_s
        )
    return Controller(
        scene.network,
        scene.tables,
        planner,
        Guards(scene.network, scene.tables.asleep, profile.guards),
        forecaster,
        tick_s=clock.tick_s,
        time_zone=clock.time_zone,
        allowed_cell_below_target_share=allowed_cell_below_target_share,
    )


def run_controller(
    controller: Controller, scene: Scene, *, keep_forecast: bool = False, progress: Callable[[float], None]
) -> Planned:
    """Tick through a scene: the trace is the truth, the simulated plant serves it and reports."""
    clock, n = scene.clock, scene.network.n_cells
    plant = SimulatedPlant(scene.tables, scene.network.groups, scene.path, samples_per_tick=clock.per_tick)
    plan = np.empty((n, clock.n_ticks), np.uint8)
    reason = np.empty_like(plan)
    shape = plan.shape if keep_forecast else (0, 0)
    expected, upper = np.full(shape, np.nan, np.float32), np.full(shape, np.nan, np.float32)
    observation = None
    for tick in range(clock.n_ticks):
        commands = controller.tick(observation, clock.tick_time(tick))
        plan[:, tick], reason[:, tick] = commands.level, commands.reason
        if keep_forecast and commands.forecast is not None:
            expected[:, tick] = commands.forecast.quantile(MEDIAN)[:, 0]
            upper[:, tick] = commands.forecast.quantile(UPPER)[:, 0]
        observation = Observation(plant.step(commands.level), commands.level)
        if tick % 16 == 0:
            progress(tick / clock.n_ticks)
    kept = keep_forecast and expected.size > 0
    return Planned(plan, reason, expected if kept else None, upper if kept else None)


def fixed_plan(level: int, scene: Scene) -> Planned:
    """Every cell at one level in every tick."""
    return Planned(np.full((scene.network.n_cells, scene.clock.n_ticks), level, np.uint8))
