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
    from controller.forecast.samples import Forecaster
    from controller.replay.scene import DAY_S
    from controller.tick import Controller, Observation
    from controller.worlds import DEFAULT_WORLD, load_world
    from hw.tables import pack
    from policies.counterfactual import Counterfactuals
    from policies.guards import Guards
    from policies.network import build_network
    from policies.policy import Allowance
    from policies.predictive import PredictivePlanner
    from policies.surge import SurgeGuard

    evaluated, profile = load_world(DEFAULT_WORLD), load_profile(None)
    world, service = evaluated.world, evaluated.evaluation.service
    sample_s = evaluated.evaluation.traffic_path.sample_s
    tick_s = evaluated.evaluation.plan_interval_s
    is_capacity = np.arange(n_cells) % 3 > 0
    candidate_start = np.concatenate([[0], np.cumsum(is_capacity)]).astype(np.int32)
    candidate = (np.flatnonzero(is_capacity) // 3 * 3).astype(np.int32)
    network = build_network(world, np.zeros(n_cells, np.int32), is_capacity, candidate_start, candidate)
    tables = pack(
        world,
        sample_s=sample_s,
        target_mbit_s=service.target_mbit_s,
        target_share=service.target_share_of_none,
    )
    per_tick = tick_s // sample_s
    settings = profile.predictive.model_copy(update={"risk_price": profile.surge.risk_price})
    controller = Controller(
        network,
        tables,
        PredictivePlanner(network, tables, settings, samples_per_tick=per_tick, watched=True),
        Guards(network, tables.asleep, profile.guards),
        Forecaster(n_cells, profile.forecast, sample_s=sample_s, tick_s=tick_s),
        tick_s=tick_s,
        time_zone="UTC",
        allowance=Allowance(service.below_target_share, service.cell_below_target_share),
        counterfactuals=Counterfactuals(network, tables, world.wake_s),
    )
    surge = SurgeGuard(network, tables, profile, sample_s=sample_s)
    now = np.datetime64(DAY_S, "s")
    level = controller.tick(None, now).level
    carried = np.full((n_cells, per_tick), 0.1, np.float32)
    awake = np.zeros(carried.shape, np.bool_)
    commands = controller.tick(Observation(carried, level, awake), now + np.timedelta64(tick_s, "s"))
    surge.begin(commands.level, commands.forecast, commands.risk)
    surge.watch(carried[:, -1])


if __name__ == "__main__":
    start(int(sys.argv[1]))
    print(READY, flush=True)
