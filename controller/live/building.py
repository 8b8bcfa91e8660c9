"""From a configuration to a live core: the cells, the world, and the very controller and guard loop of the replay."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from controller.config import ConstraintsConfig, load_profile
from controller.constraints import Constraints, compile_constraints
from controller.errors import ConfigError, PolicyError
from controller.foreign import find_policy
from controller.live.batches import Leader
from controller.live.canary_facts import Facts
from controller.live.config import LiveConfig
from controller.live.core import Constrain, LiveCore, Resumed, Timing
from controller.live.electorate import Electorate
from controller.live.fleet import EnergyUnit, Fleet
from controller.live.known import Known, known_of
from controller.live.kpi_file import read_rows
from controller.live.kpi_rows import rows_of
from controller.live.ladder import Ladder
from controller.live.ladder_config import compile_ladder
from controller.live.places import PlacesError
from controller.replay.planners import CAUSAL, MODELLED, POLICIES, make_planner
from controller.replay.planning import in_time, make_controller
from controller.replay.scene import Clock, Scene, make_tables, network_of
from controller.site.sites_file import SitesFile
from controller.site.sleep_price import running_price
from controller.worlds import EvaluatedWorld
from hw.world import SYMBOL
from policies.plugin import PolicyContext
from policies.policy import Allowance, Planner
from policies.profile import Profile
from policies.surge import SurgeGuard
from traces import Cells, Trace, TraceError
from traces.path import sample_path, samples_per_step

if TYPE_CHECKING:
    from controller.forecast.model_file import LoadedModel

NOTHING_RESUMED = Resumed(np.zeros(0, np.int32), np.zeros(0, np.uint64), np.zeros(0, np.uint8))
FIRST_MOMENT = np.datetime64("1970-01-01T00:00:00", "s")  # of the live clock: ticks lie at UTC multiples


def make_core(
    config: LiveConfig,
    resumed: Resumed = NOTHING_RESUMED,
    *,
    policy: str | None = None,
    known: Known | None = None,
) -> LiveCore:
    """The live core of a configuration, after what a journal says; ``policy`` replaces the configured one.

    ``known``: None where the files of the configuration are to be read. The epoch of the core follows
    ``resumed.highest_epoch``. Raises ConfigError, TraceError, WorldError, ModelError and PolicyError for what the
    configuration names.
    """
    known = known or known_of(config)
    cells, time_zone, world = known.cells, known.time_zone, known.world
    profile = load_profile(config.profile)
    scene = _scene(cells, time_zone, world)
    name = policy or config.policy
    service = world.evaluation.service
    constrain = _constrain(cells, time_zone, scene)
    controller = make_controller(
        _planner(name, scene, world, profile),
        scene,
        profile,
        Allowance(service.below_target_share, service.cell_below_target_share),
        model=_model(config.model) if name == MODELLED else None,
        wake_s=world.world.wake_s,
    )
    clock, epoch = scene.clock, resumed.highest_epoch + 1
    facts = facts_of(scene, cells.site_id, config.seed)
    core = LiveCore(
        Fleet(
            [agent.id for agent in config.agents if agent.kind == "ran"],
            cells.cell_id,
            cells.product,
            scene.network.allowed,
            scene.tables.asleep,
            world.world.level_names,
            EnergyUnit(world.world.energy_unit, world.world.watt_per_unit),
            Electorate(len(config.agents)),
        ),
        controller,
        SurgeGuard(scene.network, scene.tables, profile, sample_s=clock.sample_s),
        ladder=_ladder(config, cells, world, clock, resumed),
        leader=Leader(config.controller, epoch, config.lease_s * 1000),
        timing=Timing(
            clock.sample_s,
            clock.tick_s,
            config.guard_every_s,
            np.ceil(scene.tables.wake_samples * clock.sample_s / config.guard_every_s).astype(np.int64),
            0 if config.standby is None else -(-config.lease_s // config.guard_every_s) + 1,
        ),
        resumed=_checked(resumed, len(cells), len(world.world.level_names)),
        constrain=constrain,
        facts=facts,
        rows=() if resumed.rows_at is None else read_rows(resumed.rows_at, facts.rows_of, epoch),
    )
    controller.constraints = constrain(constraints_text(config))
    if config.sites is not None:
        controller.energy_price = running_price(SitesFile(Path(config.sites)), clock.tick_s, len(cells))
    if known.history is not None:
        core.warm(past_ticks(known.history, cells, clock, world, config.seed))
    return core


def facts_of(scene: Scene, site_id: NDArray[np.str_], seed: int) -> Facts:
    """What comparisons of cells need to know of a network; ``site_id`` (n,)."""
    network, clock = scene.network, scene.clock
    return Facts(
        cell_id=tuple(scene.cell_id.tolist()),
        site_id=tuple(site_id.tolist()),
        site=np.unique(site_id, return_inverse=True)[1].astype(np.intp),
        group=network.group_of,
        model=network.groups.model,
        is_capacity=network.is_capacity,
        neighbour=np.stack([network.beyond.source, network.beyond.candidate], axis=1).astype(np.intp),
        tables=scene.tables,
        ul_per_dl=float(scene.ul_per_dl[0, 0]),
        tick_s=clock.tick_s,
        time_zone=clock.time_zone,
        seed=seed,
        rows_of=rows_of(scene.cell_id.tolist(), clock.tick_s),
    )


def constraints_text(config: LiveConfig) -> str:
    """The constraints of a configuration as a journal keeps them."""
    return "" if config.constraints is None else config.constraints.model_dump_json()


def _constrain(cells: Cells, time_zone: str, scene: Scene) -> Constrain:
    """Reads constraints for the cells of a network. What it returns raises ConfigError."""

    def constrain(text: str) -> Constraints | None:
        if not text:
            return None
        made = ConstraintsConfig.model_validate_json(text)
        return in_time(compile_constraints(made, cells, time_zone, "constraints"), scene)

    return constrain


def _ladder(
    config: LiveConfig, cells: Cells, world: EvaluatedWorld, clock: Clock, resumed: Resumed
) -> Ladder:
    """The ladder as configured, and as operators have changed it since. Raises ConfigError."""
    ladder = compile_ladder(config.ladder, cells, world.world.level_names, clock.tick_s, clock.time_zone)
    try:
        ladder.restore(resumed.rulings)
    except PlacesError as error:
        raise ConfigError(
            f"the journal keeps what an operator said of a place that the network does not have any more: {error}; "
            "name it again, or begin a new journal"
        ) from error
    return ladder


def past_ticks(
    trace: Trace, cells: Cells, clock: Clock, world: EvaluatedWorld, seed: int
) -> Iterator[tuple[np.datetime64, NDArray[np.float32]]]:
    """Whole planning ticks of a recorded trace, for the cells of a network: end (UTC) and samples (n, s). [ratio]

    The traffic inside a step is drawn as for a replay. Raises TraceError where the step does not fit the samples.
    """
    if trace.step_s < clock.sample_s:
        raise TraceError(
            f"{trace.source}: steps of {trace.step_s} s are shorter than a sample of {clock.sample_s} s; resample it"
        )
    assumed = world.evaluation.traffic_path
    per_step = samples_per_step(trace.step_s, clock.sample_s)
    path = sample_path(
        trace.dl_prb_ratio,
        trace.cells.cell_id,
        per_step=per_step,
        sigma=assumed.sigma,
        correlation_samples=assumed.correlation_s / clock.sample_s,
        seed=seed,
    )
    row = {str(name): i for i, name in enumerate(trace.cells.cell_id)}
    rows = np.array([row.get(str(name), -1) for name in cells.cell_id], np.intp)
    start_s = int(trace.start.astype("datetime64[s]").astype(np.int64))
    skipped = -start_s % clock.tick_s // clock.sample_s  # up to the first whole tick
    for first in range(skipped, path.shape[1] - clock.per_tick + 1, clock.per_tick):
        last = first + clock.per_tick
        carried = np.full((len(cells), clock.per_tick), np.nan, np.float32)
        carried[rows >= 0] = path[rows[rows >= 0], first:last]
        yield trace.start + np.timedelta64(last * clock.sample_s, "s"), carried


def _model(path: str | None) -> LoadedModel | None:
    """A forecast model; onnxruntime is imported only for one. Raises ModelError."""
    if path is None:
        return None
    from controller.forecast.model_file import load_model

    return load_model(Path(path))


def _scene(cells: Cells, time_zone: str, world: EvaluatedWorld) -> Scene:
    """The network as the replay sets it up, without any traffic of its own."""
    assumed = world.evaluation.traffic_path
    clock = Clock(
        sample_s=assumed.sample_s,
        per_step=1,
        per_tick=world.evaluation.plan_interval_s // assumed.sample_s,
        n_samples=0,
        start=FIRST_MOMENT,
        time_zone=time_zone,
    )
    n = len(cells)
    return Scene(
        cell_id=cells.cell_id,
        site=cells.site_numbers(),
        network=network_of(cells, world),
        tables=make_tables(world, clock),
        clock=clock,
        path=np.zeros((n, 0), np.float32),
        ul_per_dl=np.full((n, 1), world.world.ul_per_dl, np.float32),
        sigma=assumed.sigma,
        correlation_samples=assumed.correlation_s / assumed.sample_s,
    )


def _planner(name: str, scene: Scene, world: EvaluatedWorld, profile: Profile) -> Planner:
    """The planner of a policy that can run live, which always runs with the guard loop. Raises PolicyError."""
    if name in CAUSAL or name in ("none", "symbol"):
        return make_planner(name, scene, profile, guard=True)
    if name in POLICIES:
        raise PolicyError(f"policy {name!r} is known only in hindsight; run one of {', '.join(CAUSAL)}")
    return find_policy(name, POLICIES).planner(
        PolicyContext(
            scene.network,
            scene.tables,
            world.world.level_names,
            world.world.wake_s,
            profile,
            scene.clock.per_tick,
            True,
        )
    )


def _checked(resumed: Resumed, n_cells: int, n_levels: int) -> Resumed:
    """What a journal says, with cells at full service whose level only another world had: agents tell where they are.

    Raises ConfigError where it names a cell that the network does not have.
    """
    if len(resumed.cell) and not 0 <= int(resumed.cell.min()) <= int(resumed.cell.max()) < n_cells:
        raise ConfigError(
            f"the journal names cell number {int(resumed.cell.max())} of a network with {n_cells} cells: it is of "
            "another cell table; give the one it was written with, or begin a new journal"
        )
    level = np.where(resumed.level < n_levels, resumed.level, SYMBOL).astype(np.uint8)
    return replace(resumed, level=level)
