"""Live and replay decide alike: a simulated day through the live core is the replay of that day, sample by sample."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from controller.config import PROFILES, load_profile
from controller.live.building import make_core
from controller.live.events import PlanTick
from controller.replay.planning import run_controller, set_up
from controller.replay.scene import Scene, make_scene
from controller.replay.stage import Task
from controller.worlds import load_world
from hw.telemetry import SimulatedPlant
from tests.controller.live.doubles import MORNING_S, AgentDouble, Harness, live_config
from traces import Trace
from traces.reading import read_trace
from traces.synthesis import SynthSpec, generate
from traces.writers.tidy import write_tidy

HOURS = 14


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A trace of two sites with three layers, and a profile that lets cells leave the air after two hours."""
    folder = tmp_path_factory.mktemp("parity")
    spec = SynthSpec(n_sites=2, sectors=1, layers=3, days=1, seed=5, median_load=0.1, time_zone="UTC")
    write_tidy(replace(generate(spec), start=np.datetime64(MORNING_S, "s")), folder / "trace")
    text = (PROFILES / "balanced.yaml").read_text()
    (folder / "quick.yaml").write_text(text.replace("off_air_after_h: 24", "off_air_after_h: 2"))
    return folder / "trace", folder / "quick.yaml"


def live_levels(scene: Scene, trace: Trace, config: object) -> np.ndarray:
    """Levels sample by sample as a live core brings them about. (n, samples)"""
    cells = trace.cells
    agents = []
    order: list[int] = []
    for k, site in enumerate(np.unique(cells.site_id)):
        own = np.flatnonzero(cells.site_id == site)
        order += own.tolist()
        agents.append(
            AgentDouble(
                ("site-a", "site-b")[k],
                tuple(cells.cell_id[own].tolist()),
                tuple(cells.is_capacity[own].tolist()),
            )
        )
    plant = SimulatedPlant(scene.tables, scene.network.groups, scene.path, samples_per_tick=1)
    levels: list[np.ndarray] = []

    def load(second: int) -> Sequence[float]:
        if second % 60:
            return [0.0] * len(order)
        level = np.empty(len(order), np.uint8)
        level[order] = [agent.level(p) for agent in agents for p in range(len(agent.cell_id))]
        levels.append(level)
        return plant.step(level)[order, 0].tolist()

    harness = Harness(make_core(config), agents, load)
    harness.connect()
    harness.feed(PlanTick(harness.now_us))
    harness.run(HOURS * 3600)
    return np.array(levels).T


@pytest.mark.parametrize("policy", ["threshold", "predictive"])
def test_a_live_day_is_its_replay(policy: str, network: tuple[Path, Path]) -> None:
    folder, quick = network
    trace = read_trace(folder)
    profile = load_profile(str(quick))
    task = Task(trace, load_world("3gpp-cat1-set1"), profile, guard=True)
    scene = make_scene(trace, task.world, seed=0)
    controller, surge = set_up(policy, task, scene, profile)
    planned = run_controller(controller, scene, surge=surge, progress=lambda share: None)
    assert planned.served is not None
    replayed = scene.by_sample(planned.plan, planned.served)[:, : HOURS * 60]
    config = live_config(folder, cells=None, trace=str(folder), policy=policy, profile=str(quick))
    lived = live_levels(scene, trace, config)
    assert (replayed > 4).any(), "some cell must leave the air, or the test shows nothing"
    assert planned.served[:, : HOURS * 60].any() or policy == "threshold"
    assert np.array_equal(lived, np.maximum(replayed, 1))
