"""The policies by name, and the plans they make when the controller ticks through a scene."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from controller.constraints import Constraints
from controller.energy_price import PriceAt
from controller.forecast.outlook import Outlook, check_step
from controller.forecast.runtime import StepForecaster
from controller.forecast.samples import Forecaster
from controller.replay.known_process import KnownProcess
from controller.replay.planners import ANALYSIS, CAUSAL, MODELLED, PROCESS, TRUE, make_planner
from controller.replay.scene import Clock, Scene, make_clock, make_tables
from controller.replay.true_inputs import TrueInputs
from controller.tick import Commands, Controller, Observation
from hw.tables import Tables
from hw.telemetry import SimulatedPlant
from policies.counterfactual import UPPER, Counterfactuals
from policies.guards import Guards
from policies.network import Network
from policies.plugin import CheckedPlanner, Faults, PolicyContext
from policies.policy import Allowance, Planner
from policies.profile import Profile
from policies.surge import SurgeGuard

if TYPE_CHECKING:
    from controller.forecast.model_file import LoadedModel
    from controller.replay.stage import Task

MEDIAN = 0.5  # of the forecast, which the page shows beside the upper quantile


@dataclass(slots=True)
class Planned:
    """What a policy decided. n cells, T ticks."""

    plan: NDArray[np.uint8]  # (n, T), or one column per sample for ``logged``
    served: NDArray[np.uint8] | None = None  # (n, samples) level with the guard loop
    reason: NDArray[np.uint8] | None = None  # (n, T)
    expected: NDArray[np.float32] | None = None  # (n, T) median forecast of the tick
    upper: NDArray[np.float32] | None = None  # (n, T)
    alarms: int = 0  # times that the guards locked a cell awake for flapping
    model_cell_ticks: int = 0  # in which a model said how the load moves
    faults: Faults | None = None  # of a policy that is not ours
    cut: tuple[float, float] = (0.0, 0.0)  # price of the plans of cut groups, and their bound


def context_of(task: Task, network: Network, tables: Tables, clock: Clock) -> PolicyContext:
    """What a policy that is not ours is built for."""
    world = task.world.world
    return PolicyContext(
        network, tables, world.level_names, world.wake_s, task.profile, clock.per_tick, task.guard
    )


def check_foreign(task: Task, network: Network) -> None:
    """Raise PolicyError or ModelError where a policy of the task cannot plan its network."""
    clock = make_clock(task.trace, task.world)
    for policy in task.foreign.values():
        policy.planner(context_of(task, network, make_tables(task.world, clock), clock))


def set_up(
    name: str,
    task: Task,
    scene: Scene,
    profile: Profile,
    *,
    constraints: Constraints | None = None,
    energy_price: PriceAt | None = None,
    weigh: bool = False,
) -> tuple[Controller, SurgeGuard | None]:
    """Controller and guard loop of a causal policy of a task; with ``weigh`` it tells counterfactuals.

    ``constraints`` and ``energy_price`` are those of the scene's cells.
    Raises KeyError for a policy that does not decide tick by tick.
    """
    planner: Planner
    if name in task.foreign:
        planner = task.foreign[name].planner(context_of(task, scene.network, scene.tables, scene.clock))
    elif name in CAUSAL + ANALYSIS:
        planner = make_planner(name, scene, profile, guard=task.guard)
    else:
        raise KeyError(name)
    service = task.world.evaluation.service
    controller = make_controller(
        planner,
        scene,
        profile,
        Allowance(service.below_target_share, service.cell_below_target_share),
        constraints=constraints,
        model=task.model if name == MODELLED else None,
        told=_told(name, scene, profile),
        wake_s=task.world.world.wake_s if weigh else None,
    )
    controller.energy_price = energy_price
    surge = None
    if task.guard:
        surge = SurgeGuard(scene.network, scene.tables, profile, sample_s=scene.clock.sample_s)
    return controller, surge


def _told(name: str, scene: Scene, profile: Profile) -> Forecaster | None:
    """The forecaster of an analysis policy that is told more than anybody can know live."""
    if name == TRUE:
        return TrueInputs(scene, profile.forecast)
    return KnownProcess(scene, profile.forecast) if name == PROCESS else None


def make_controller(
    planner: Planner,
    scene: Scene,
    profile: Profile,
    allowance: Allowance,
    *,
    constraints: Constraints | None = None,
    model: LoadedModel | None = None,
    told: Forecaster | None = None,
    wake_s: NDArray[np.float32] | None = None,
) -> Controller:
    """The controller that would run live, around one planner.

    ``constraints`` are those of the scene's cells. ``model`` guides the forecaster from the end of its training on.
    ``told`` forecasts instead of the filter, for analysis. With ``wake_s`` (L,), the wake-up
    times of the levels, it weighs each decision against its counterfactual. Raises ModelError where the step of the
    model does not fit the ticks.
    """
    clock = scene.clock
    forecaster, outlook = told, None
    if planner.needs_forecast and told is None:
        forecaster = Forecaster(
            scene.network.n_cells, profile.forecast, sample_s=clock.sample_s, tick_s=clock.tick_s
        )
        outlook = make_outlook(model, scene, profile) if model is not None else None
    return Controller(
        scene.network,
        scene.tables,
        planner,
        Guards(scene.network, scene.tables.asleep, profile.guards, scene.site),
        forecaster,
        tick_s=clock.tick_s,
        time_zone=clock.time_zone,
        allowance=allowance,
        outlook=outlook,
        constraints=None if constraints is None else in_time(constraints, scene),
        counterfactuals=(None if wake_s is None else Counterfactuals(scene.network, scene.tables, wake_s)),
    )


def in_time(constraints: Constraints, scene: Scene) -> Constraints:
    """Constraints that also hold for as long before as a cell takes to wake."""
    slow = np.asarray((scene.network.allowed & (scene.tables.wake_samples > 0)).any(1))
    return constraints.with_waking(slow, int(scene.tables.wake_samples.max()) * scene.clock.sample_s)


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


@dataclass(frozen=True, slots=True)
class Tick:
    """One tick of a scene: what was commanded, and what came of it. n cells, s samples."""

    index: int
    commands: Commands
    observation: Observation  # telemetry of the tick itself
    served: NDArray[np.uint8] | None  # (n, s) level in each sample with the guard loop


def ticks_through(controller: Controller, scene: Scene, surge: SurgeGuard | None = None) -> Iterator[Tick]:
    """Tick through a scene: the trace is the truth, the simulated plant serves it and reports.

    With ``surge`` the plant is stepped sample by sample, and the guard loop watches each.
    """
    clock = scene.clock
    per_step = clock.per_tick if surge is None else 1
    plant = SimulatedPlant(scene.tables, scene.network.groups, scene.path, samples_per_tick=per_step)
    observation = None
    for tick in range(clock.n_ticks):
        commands = controller.tick(observation, clock.tick_time(tick))
        if surge is None:
            observation = Observation(plant.step(commands.level), commands.level)
        else:
            n_samples = min(clock.per_tick, clock.n_samples - tick * clock.per_tick)
            observation = _watched(plant, surge, commands, observation, n_samples)
        yield Tick(tick, commands, observation, observation.served)


def run_controller(
    controller: Controller,
    scene: Scene,
    *,
    surge: SurgeGuard | None = None,
    keep_forecast: bool = False,
    progress: Callable[[float], None],
) -> Planned:
    """Tick through a scene to its end and keep what was decided."""
    clock, n = scene.clock, scene.network.n_cells
    served = np.zeros((n, 0 if surge is None else clock.n_samples), np.uint8)
    plan = np.empty((n, clock.n_ticks), np.uint8)
    reason = np.empty_like(plan)
    shape = plan.shape if keep_forecast else (0, 0)
    expected, upper = np.full(shape, np.nan, np.float32), np.full(shape, np.nan, np.float32)
    alarms = 0
    for tick in ticks_through(controller, scene, surge):
        commands, at = tick.commands, tick.index
        plan[:, at], reason[:, at] = commands.level, commands.reason
        alarms += 0 if commands.alarm is None else int(commands.alarm.sum())
        if keep_forecast and commands.forecast is not None:
            expected[:, at] = commands.forecast.quantile(MEDIAN)[:, 0]
            upper[:, at] = commands.forecast.quantile(UPPER)[:, 0]
        if tick.served is not None:
            first = at * clock.per_tick
            served[:, first : first + tick.served.shape[1]] = tick.served
        if at % 16 == 0:
            progress(at / clock.n_ticks)
    kept = keep_forecast and expected.size > 0
    used = 0 if controller.outlook is None else controller.outlook.model_cell_ticks
    return Planned(
        plan,
        None if surge is None else served,
        reason,
        expected if kept else None,
        upper if kept else None,
        alarms,
        used,
        controller.planner.faults if isinstance(controller.planner, CheckedPlanner) else None,
    )


def _watched(
    plant: SimulatedPlant,
    surge: SurgeGuard,
    commands: Commands,
    before: Observation | None,
    n_samples: int,
) -> Observation:
    """One tick sample by sample. Each sample is decided on the one before."""
    surge.begin(commands.level, commands.forecast, commands.risk)
    served = np.zeros((len(commands.level), n_samples), np.uint8)
    carried = np.empty(served.shape, np.float32)
    last = np.full(len(served), np.nan, np.float32) if before is None else before.carried[:, -1]
    for t in range(served.shape[1]):
        served[:, t] = level = surge.watch(last)
        last = plant.step(level)[:, 0]
        carried[:, t] = last
    return Observation(carried, commands.level, served)


def fixed_plan(level: int, scene: Scene) -> Planned:
    """Every cell at one level in every tick."""
    return Planned(np.full((scene.network.n_cells, scene.clock.n_ticks), level, np.uint8))
