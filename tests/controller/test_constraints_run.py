"""Constraints and guards in whole replays: what stays awake, what a report says of it, what the commands refuse."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import controller.replay.stage as stage_module
from controller.cli import app
from controller.config import ConstraintsConfig
from controller.constraints import Constraints, compile_constraints
from controller.replay.report import Replay
from controller.replay.run import PolicyRun, run_policy
from controller.replay.stage import Stage, Task
from controller.worlds import EvaluatedWorld
from hw.world import SYMBOL
from policies.policy import Reason
from policies.profile import Profile
from traces import Trace
from traces.writers.tidy import write_tidy

ZONE = "Asia/Shanghai"


def constraints_of(trace: Trace, **fields: Any) -> Constraints:
    config = ConstraintsConfig.model_validate_json(json.dumps(fields))
    return compile_constraints(config, trace.cells, trace.time_zone, "run.yaml")


def levels_and_reasons(run: PolicyRun) -> tuple[np.ndarray, np.ndarray]:
    assert run.series is not None
    return np.concatenate(run.series.level), np.concatenate(run.series.reason)


@pytest.mark.parametrize("guard", [False, True])
@pytest.mark.parametrize("policy", ["timer", "predictive"])
def test_constrained_cells_are_awake_and_the_others_rest(
    policy: str, guard: bool, multi_layer: Trace, make_stage: Callable[..., Stage]
) -> None:
    names = multi_layer.cells.cell_id
    window = {"cells": [str(names[1])], "begin": "02:10", "end": "03:20"}
    constraints = constraints_of(
        multi_layer, protected=[str(names[0])], emergency_lock=[str(names[2])], exclusion_windows=[window]
    )
    everyone = np.ones(len(names), np.bool_)
    stage = make_stage(multi_layer, guard=guard, constraints=constraints)
    constrained = run_policy(policy, stage, keep=everyone)
    level, reason = levels_and_reasons(constrained)
    free, _ = levels_and_reasons(run_policy(policy, make_stage(multi_layer, guard=guard), keep=everyone))
    assert (free[:3] > SYMBOL).any(1).all(), "without constraints each of them rests"
    assert (level[[0, 2]] <= SYMBOL).all()
    assert Reason.GUARD_PROTECTED in reason[0]
    assert Reason.GUARD_EMERGENCY in reason[2]
    start = multi_layer.start + np.timedelta64(8 if multi_layer.time_zone == ZONE else 0, "h")
    minute = (start - start.astype("datetime64[D]")).astype("timedelta64[m]").astype(int)
    clock = (minute + 15 * np.arange(level.shape[1])) % 1440
    inside = (clock + 15 > 130) & (clock < 200)
    assert (level[1, inside] <= SYMBOL).all()
    assert Reason.GUARD_EXCLUDED in reason[1, inside]
    assert (level[1, ~inside] > SYMBOL).any()
    assert (level[3:] > SYMBOL).any()


def test_a_report_counts_alarms_and_names_constraints(
    multi_layer: Trace, world: EvaluatedWorld, quick: Profile
) -> None:
    tight = quick.guards.model_copy(update={"max_reversals": 1, "reversal_window_s": 86400})
    profile = quick.model_copy(update={"guards": tight})
    constraints = constraints_of(multi_layer, protected=[str(multi_layer.cells.cell_id[0])])
    made = Replay(Task(multi_layer, world, profile, constraints=constraints), ("none", "symbol", "threshold"))
    made.run(with_page=True, with_curve=False)
    report = made.report()
    assert report["policies"]["none"]["alarms"] == 0
    assert report["policies"]["threshold"]["alarms"] > 0
    assert any("1 protected, 0 exclusion windows" in note for note in report["notes"])
    series = made.runs["threshold"].series
    assert series is not None
    reason = np.concatenate(series.reason)
    assert (reason == Reason.GUARD_FLAPPING).any(1).sum() <= report["policies"]["threshold"]["alarms"]
    calm = Replay(Task(multi_layer, world, quick), ("none", "threshold"))
    calm.run(with_page=False, with_curve=False)
    assert calm.report()["policies"]["threshold"]["alarms"] == 0
    assert not any("Constraints" in note for note in calm.report()["notes"])


def test_blocks_keep_whole_sites_where_a_guard_counts_them(
    single_layer: Trace, make_stage: Callable[..., Stage], quick: Profile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A third of the cells of a site may go deeper at once; each cell would fit a block of its own."""
    guards = quick.guards.model_copy(update={"max_deeper_share": 0.34})
    profile = quick.model_copy(update={"guards": guards})
    everyone = np.ones(single_layer.n_cells, np.bool_)
    whole, _ = levels_and_reasons(
        run_policy("timer", make_stage(single_layer, profile=profile), keep=everyone)
    )
    deeper = np.diff(np.maximum(whole, SYMBOL).astype(int), axis=1, prepend=SYMBOL) > 0
    site = single_layer.cells.site_numbers()
    together = [deeper[site == s].sum(0).max() for s in range(site.max() + 1)]
    assert together == [1] * len(together)
    monkeypatch.setattr(stage_module, "BLOCK_SAMPLES", 1)
    stage = make_stage(single_layer, profile=profile)
    assert len(stage.blocks) == len(together)
    cut, _ = levels_and_reasons(run_policy("timer", stage, keep=everyone))
    assert (cut[np.argsort(stage.order)] == whole).all()


@pytest.fixture
def network(tmp_path: Path, single_layer: Trace) -> Path:
    write_tidy(single_layer, tmp_path / "city")
    return tmp_path / "city"


def config_file(folder: Path, text: str) -> Path:
    path = folder / "run.yaml"
    path.write_text(f"schema: quietcell.config/1\n{text}")
    return path


def run(*args: Any) -> Any:
    return CliRunner().invoke(app, [str(a) for a in args])


@pytest.mark.parametrize("command", ["replay", "evaluate"])
def test_a_cell_that_is_not_in_the_trace_is_refused(
    command: str, network: Path, single_layer: Trace, tmp_path: Path
) -> None:
    name = str(single_layer.cells.cell_id[0])
    config = config_file(tmp_path, f"constraints:\n  protected: ['{name}x']\n")
    failed = run(command, network, "--config", config)
    assert failed.exit_code == 2
    told = failed.stderr.replace("\n", "")
    assert "constraints.protected: no cell of the trace fits" in told
    assert name in told


@pytest.mark.parametrize("command", ["replay", "evaluate"])
def test_the_commands_take_constraints(command: str, network: Path, tmp_path: Path) -> None:
    config = config_file(tmp_path, "policies: [timer]\nseed: 3\nconstraints:\n  emergency_lock: ['*']\n")
    done = run(command, network, "--config", config, "--json")
    assert done.exit_code == 0, done.stderr
    document = json.loads(done.stdout)
    report = document["runs"][0] if command == "evaluate" else document
    assert report["seed"] == 3
    assert set(report["policies"]) == {"none", "symbol", "timer", "oracle"}
    shares = report["policies"]["timer"]["level_share"]
    assert shares == pytest.approx({"symbol": 1.0})
    assert any("6 cells in emergency lock" in note for note in report["notes"])
