"""A replay of layers that differ: coverage stays on air, sleep is used, and a large group is cut and says so."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from controller.replay.report import Replay
from controller.replay.stage import Task
from controller.tick import Controller, Observation
from controller.worlds import load_world
from hw.plant import N_COLUMNS, OFFERED, UNSERVED
from hw.world import SYMBOL
from policies.guards import Guards
from policies.policy import Allowance, Decision, View
from policies.presteps import SLEEP_ORDER, steps_of
from policies.profile import Profile
from traces.synthesis import SynthSpec, generate


def replayed(spec: SynthSpec, profile: Profile) -> Replay:
    early = profile.predictive.model_copy(update={"off_air_after_h": 2.0})
    eager = profile.model_copy(update={"predictive": early})
    task = Task(trace=generate(spec), world=load_world("three-layer"), profile=eager)
    run = Replay(task, ("none", "symbol", "threshold", "predictive"))
    run.run(with_page=False, with_curve=False)
    return run


@pytest.fixture(scope="module")
def quiet(profile: Profile) -> Replay:
    return replayed(SynthSpec(n_sites=2, days=2, low_band=True, median_load=0.03, seed=3), profile)


def test_capacity_cells_sleep_and_coverage_cells_never(quiet: Replay) -> None:
    is_capacity = quiet.stage.network.is_capacity[quiet.stage.order]
    assert is_capacity.sum() == 12
    asleep = quiet.task.world.world.asleep
    for name in ("threshold", "predictive"):
        outcome = quiet.runs[name].outcome
        at_level = outcome.table[:, :, N_COLUMNS : N_COLUMNS + outcome.n_levels].sum(1)
        assert at_level[~is_capacity][:, asleep].sum() == 0
        assert at_level[is_capacity][:, asleep].sum() > 0.1 * at_level[is_capacity].sum()


def test_traffic_is_counted_by_what_the_cells_carry(quiet: Replay) -> None:
    trace, world = quiet.task.trace, quiet.task.world.world
    size = world.sizes()[world.models_of(trace.cells.product, trace.cells.cell_id)]
    offered = float((trace.dl_prb_ratio.astype(float).sum(1) * size).sum()) * 15
    table = quiet.runs["none"].outcome.table.sum((0, 1))
    assert table[OFFERED] == pytest.approx(offered, rel=1e-4)
    # after two hours of measuring it knows little of bursts
    assert quiet.runs["predictive"].outcome.table[:, :, UNSERVED].sum() < 0.01 * offered


def test_the_report_tells_the_rate_and_names_no_gap(quiet: Replay) -> None:
    report = quiet.report()
    assert report["world_parameters"]["full_rate_mbit_s"] == 1000
    assert report["world_parameters"]["products"]["coverage-700"]["spectral_efficiency_bit_s_hz"] == 7.5
    assert "plan_gap" not in report["policies"]["predictive"]


def test_a_group_that_is_cut_is_reported_with_the_gap_of_its_plans(profile: Profile) -> None:
    spec = SynthSpec(
        n_sites=4, days=1, low_band=True, median_load=0.03, neighbour_overlap=1.0, step_s=3600, seed=3
    )
    run = replayed(spec, profile)
    report = run.report()
    assert any("cut into parts" in note for note in report["notes"])
    assert report["policies"]["predictive"]["plan_gap"] >= 0
    assert "plan_gap" not in report["policies"]["threshold"]
    outcome = run.runs["predictive"].outcome
    asleep = run.task.world.world.asleep
    assert outcome.table[:, :, N_COLUMNS : N_COLUMNS + outcome.n_levels][:, :, asleep].sum() > 0


class Night:
    """Cell 0 awake, cell 1 at whatever level the test asks for."""

    needs_forecast, level = False, SYMBOL

    def plan(self, view: View) -> Decision:
        return Decision(np.array([SYMBOL, self.level], np.uint8), np.zeros(2, np.uint8))


def test_commands_lead_to_the_steps_of_each_cell(small_network: Any, tables: Any, profile: Profile) -> None:
    network = small_network(2, {1: (0,)})
    planner = Night()
    guards = Guards(network, tables.asleep, profile.guards)
    controller = Controller(
        network, tables, planner, guards, None, tick_s=900, time_zone="UTC", allowance=Allowance(1e-3, 1e-2)
    )
    now = np.datetime64("2025-03-03T00:00:00", "s")
    observed = Observation(np.full((2, 15), 0.1, np.float32), np.array([1, 1], np.uint8))
    controller.tick(observed, now)
    planner.level = 5
    commands = controller.tick(observed, now + np.timedelta64(900, "s"))
    assert commands.before is not None
    assert commands.before.tolist() == [1, 1]
    assert steps_of(commands.before, commands.level, tables.asleep) == [(), SLEEP_ORDER]
