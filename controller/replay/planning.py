"""The policies by name, and the plans they make when the controller ticks through a scene."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from controller.forecast.outlook import Outlook, check_step
from controller.forecast.runtime import StepForecaster
from controller.forecast.samples import Forecaster
from controller.replay.scene import Scene, make_clock
from controller.replay.true_inputs import TrueInputs
from controller.tick import Commands, Controller, Observation
from hw.telemetry import SimulatedPlant
from hw.world import FULL, SYMBOL
from policies.baselines import FixedPlanner, ThresholdPlanner, TimerPlanner
from policies.guards import Guards
from policies.policy import Allowance, Planner
from policies.predictive import PredictivePlanner
from policies.profile import Profile
from policies.surge import SurgeGuard

if TYPE_CHECKING:
    from controller.forecast.model_file import LoadedModel
    from controller.replay.stage import Task

MODELLED = "predictive"  # the policy that a model is for
SEASONAL, TRUE = (
    "predictive_seasonal",
    "predictive_true",
)  # ``predictive`` without its model, and with the truth
FIXED = {"none": FULL, "symbol": SYMBOL}
CAUSAL = ("timer", "threshold", "predictive")
ALWAYS = ("none", "symbol", "oracle")
POLICIES = ("none", "symbol", "timer", "threshold", "logged", "predictive", "oracle")
ANALYSIS = (SEASONAL, TRUE)  # only where named, or where a model is evaluated
KNOWN = (*POLICIES[:-1], *ANALYSIS, POLICIES[-1])
MEDIAN, UPPER = 0.5, 0.95  # quantiles of the forecast that the page shows


@dataclass(slots=True)
class Planned:
    """What a policy decided. n cells, T ticks."""

    plan: NDArray[np.uint8]  # (n, T), or one column per sample for ``logged``
    awake: NDArray[np.bool_] | None = None  # (n, samples) in which the guard loop had the cell at full
    reason: NDArray[np.uint8] | None = None  # (n, T)
    expected: NDArray[np.float32] | None = None  # (n, T) median forecast of the tick
    upper: NDArray[np.float32] | None = None  # (n, T)
    model_cell_ticks: int = 0  # in which a model said how the load moves
    cut: tuple[float, float] = (
        0.0,
        0.0,
    )  # price of the plans of cut groups, and what they cannot be better than


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
    }
    return makers[name]()


def make_controller(
    planner: Planner,
    scene: Scene,
    profile: Profile,
    allowance: Allowance,
    *,
    model: LoadedModel | None = None,
    true_inputs: bool = False,
) -> Controller:
    """The controller that would run live, around one planner.

    ``model`` guides the forecaster from the end of its training on. With ``true_inputs`` the forecaster reads what is
    to come, which nobody can live. Raises ModelError where the model's step does not fit the ticks.
    """
    clock = scene.clock
    forecaster: Forecaster | None = None
    outlook = None
    if planner.needs_forecast and true_inputs:
        forecaster = TrueInputs(scene, profile.forecast)
    elif planner.needs_forecast:
        forecaster = Forecaster(
            scene.network.n_cells, profile.forecast, sample_s=clock.sample_s, tick_s=clock.tick_s
        )
        outlook = make_outlook(model, scene, profile) if model is not None else None
    return Controller(
        scene.network,
        scene.tables,
        planner,
        Guards(scene.network, scene.tables.asleep, profile.guards),
        forecaster,
        tick_s=clock.tick_s,
        time_zone=clock.time_zone,
        allowance=allowance,
        outlook=outlook,
    )


def check_model(task: Task) -> None:
    """Raise ModelError where the step of a task's model does not fit its planning ticks."""
    if task.model is not None:
        tick_s = make_clock(task.trace, task.world).tick_s
        check_step(task.model.info.step_s, tick_s, task.model.source)


def make_outlook(model: LoadedModel, scene: Scene, profile: Profile) -> Outlook:
    """What a model says about the coming ticks of a scene. Raises ModelError where its step does not fit."""
    info, clock = model.info, scene.clock
    check_step(info.step_s, clock.tick_s, model.source)
    return Outlook(
        StepForecaster(scene.site, info.step_s, clock.time_zone, model),
        scene.network.n_cells,
        step_s=info.step_s,
        sample_s=clock.sample_s,
        tick_s=clock.tick_s,
        horizon_ticks=profile.forecast.horizon_ticks,
        trained_until=info.trained_span[1],
    )


def run_controller(
    controller: Controller,
    scene: Scene,
    *,
    surge: SurgeGuard | None = None,
    keep_forecast: bool = False,
    progress: Callable[[float], None],
) -> Planned:
    """Tick through a scene: the trace is the truth, the simulated plant serves it and reports.

    With ``surge`` the plant is stepped sample by sample, and the guard loop watches each.
    """
    clock, n = scene.clock, scene.network.n_cells
    per_step = clock.per_tick if surge is None else 1
    plant = SimulatedPlant(scene.tables, scene.network.groups, scene.path, samples_per_tick=per_step)
    awake = np.zeros((n, 0 if surge is None else clock.n_samples), np.bool_)
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
        if surge is None:
            observation = Observation(plant.step(commands.level), commands.level)
        else:
            samples = slice(tick * clock.per_tick, min((tick + 1) * clock.per_tick, clock.n_samples))
            observation = _watched(plant, surge, commands, observation, awake[:, samples])
        if tick % 16 == 0:
            progress(tick / clock.n_ticks)
    kept = keep_forecast and expected.size > 0
    used = 0 if controller.outlook is None else controller.outlook.model_cell_ticks
    return Planned(
        plan,
        None if surge is None else awake,
        reason,
        expected if kept else None,
        upper if kept else None,
        used,
    )


def _watched(
    plant: SimulatedPlant,
    surge: SurgeGuard,
    commands: Commands,
    before: Observation | None,
    awake: NDArray[np.bool_],
) -> Observation:
    """One tick sample by sample; ``awake`` (n, samples) is filled. Each sample is decided on the one before."""
    surge.begin(commands.level, commands.forecast, commands.risk)
    carried = np.empty(awake.shape, np.float32)
    last = np.full(len(awake), np.nan, np.float32) if before is None else before.carried[:, -1]
    for t in range(awake.shape[1]):
        awake[:, t] = surge.watch(last)
        last = plant.step(np.where(awake[:, t], SYMBOL, commands.level).astype(np.uint8))[:, 0]
        carried[:, t] = last
    return Observation(carried, commands.level, awake.copy())


def fixed_plan(level: int, scene: Scene) -> Planned:
    """Every cell at one level in every tick."""
    return Planned(np.full((scene.network.n_cells, scene.clock.n_ticks), level, np.uint8))
