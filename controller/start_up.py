"""How long a controller process takes to its first decision: ``python -m controller.start_up CELLS``.

The process loads world and profile, builds the network and its controller, ticks twice and lets the guard loop watch
a minute, as a live controller does before it can command anything; then it prints ``ready``.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Mapping

CELLS = 9999  # a third of them coverage cells, each under two capacity cells
READY = "ready"


def measure_start_up(n_cells: int, environment: Mapping[str, str] | None = None) -> float:
    """Wall time from the start of a new process to its first decision. [s]"""
    began = time.perf_counter()
    command = [sys.executable, "-m", "controller.start_up", str(n_cells)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        took = time.perf_counter() - began
    if line.strip() != READY:
        raise RuntimeError(f"the controller process ended with {process.returncode} before it was ready")
    return took


def start(n_cells: int) -> None:
    """Build the controller of ``n_cells`` cells and make its first decisions."""
    import numpy as np

    from controller.config import load_profile
    from controller.replay.planners import make_planner
    from controller.replay.planning import make_controller
    from controller.replay.scene import Clock, Scene, make_tables
    from controller.tick import Observation
    from controller.worlds import DEFAULT_WORLD, load_world
    from policies.network import build_network
    from policies.policy import Allowance
    from policies.surge import SurgeGuard

    world, profile = load_world(DEFAULT_WORLD), load_profile(None)
    service, sample_s = world.evaluation.service, world.evaluation.traffic_path.sample_s
    per_tick = world.evaluation.plan_interval_s // sample_s
    clock = Clock(sample_s, per_tick, per_tick, per_tick, np.datetime64("2025-03-03T00:00:00", "s"), "UTC")
    is_capacity = np.arange(n_cells) % 3 > 0
    candidate_start = np.concatenate([[0], np.cumsum(is_capacity)]).astype(np.int32)
    candidate = (np.flatnonzero(is_capacity) // 3 * 3).astype(np.int32)
    network = build_network(world.world, np.zeros(n_cells, np.int32), is_capacity, candidate_start, candidate)
    number = np.arange(n_cells, dtype=np.int32)
    carried = np.full((n_cells, per_tick), 0.1, np.float32)
    scene = Scene(
        cell_id=number.astype(np.str_),
        site=number // 3,
        network=network,
        tables=make_tables(world, clock),
        clock=clock,
        path=carried,
        ul_per_dl=carried,
        sigma=world.evaluation.traffic_path.sigma,
        correlation_samples=1.0,
    )
    controller = make_controller(
        make_planner("predictive", scene, profile, guard=True),
        scene,
        profile,
        Allowance(service.below_target_share, service.cell_below_target_share),
        wake_s=world.world.wake_s,
    )
    surge = SurgeGuard(network, scene.tables, profile, sample_s=sample_s)
    level = controller.tick(None, clock.tick_time(0)).level
    served = np.repeat(level[:, None], per_tick, axis=1)
    observation = Observation(carried, level, served)
    commands = controller.tick(observation, clock.tick_time(1))
    surge.begin(commands.level, commands.forecast, commands.risk)
    surge.watch(carried[:, -1])


if __name__ == "__main__":
    start(int(sys.argv[1]))
    print(READY, flush=True)
