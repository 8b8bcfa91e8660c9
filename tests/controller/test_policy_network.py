"""Policy networks: the documented one end to end, their features, and what is refused."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from typer.testing import CliRunner

from controller.cli import app
from controller.cli.policy_option import find_policies
from controller.errors import ModelError, PolicyError
from controller.evaluation.gates import parse_gate
from controller.forecast.onnx_file import seal
from controller.foreign import find_policy
from controller.policy_network import load_network
from controller.replay.planners import KNOWN
from controller.replay.planning import context_of
from controller.replay.run import run_policy
from controller.replay.stage import Stage
from hw.world import SYMBOL
from policies.counterfactual import Counterfactuals
from policies.expected import target_load
from policies.forecast import Forecast
from policies.policy import Allowance, Reason, View
from policies.policy_features import PolicyFeatures, feature_names
from tests.controller.documented import PAGE, blocks
from traces import Trace
from traces.writers.tidy import write_tidy

FEATURES = ("load_mean", "hour_sin", "may:rf_channel_8")
LEVELS = ("symbol", "rf_channel_8", "deep_dormancy")
RF8, DORMANT = 4, 6


def network_bytes(
    weight: Any, *, output: str = "scores", info: Any = None, schema: str = "quietcell.policy/1", n: int = 3
) -> bytes:
    """A sealed network: features @ weight, and the highest of it where the output is ``level``."""
    weight = np.asarray(weight, np.float32)
    nodes = [helper.make_node("MatMul", ["features", "w"], ["scores"])]
    result = helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["cells", weight.shape[1]])
    if output == "level":
        nodes.append(helper.make_node("ArgMax", ["scores"], ["level"], axis=1, keepdims=0))
        result = helper.make_tensor_value_info("level", TensorProto.INT64, ["cells"])
    graph = helper.make_graph(
        nodes,
        "policy",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["cells", n])],
        [result],
        [numpy_helper.from_array(weight, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    told = json.dumps({"features": FEATURES, "levels": LEVELS} if info is None else info)
    helper.set_model_props(model, {"quietcell.schema": schema, "quietcell.info": told})
    return seal(model.SerializeToString())


@pytest.fixture
def stage_with(make_stage: Callable[..., Stage], tmp_path: Path) -> Callable[..., Any]:
    """A stage with the network of these bytes as its policy ``onnx:policy``."""

    def make(data: bytes, trace: Trace, **change: Any) -> Stage:
        path = tmp_path / "policy.onnx"
        path.write_bytes(data)
        policy = find_policy(str(path), KNOWN)
        assert policy.name == "onnx:policy"
        return make_stage(trace, foreign={policy.name: policy}, **change)

    return make


def test_the_documented_script_writes_a_policy_that_replays(tmp_path: Path, multi_layer: Trace) -> None:
    (tmp_path / "imitate.py").write_text(blocks("python")[1])
    done = subprocess.run(
        [sys.executable, "imitate.py"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    share = float(done.stdout.split(" in ")[1].partition("%")[0])
    assert share > 80, "it learnt something"
    write_tidy(multi_layer, tmp_path / "city")
    arguments = ["replay", str(tmp_path / "city"), "--policy", str(tmp_path / "policy.onnx"), "--json"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    entry = report["policies"]["onnx:policy"]
    assert entry["energy_saved_vs_none"] > report["policies"]["symbol"]["energy_saved_vs_none"]
    assert any("policy.onnx, SHA-256" in note and "usable" not in note for note in report["notes"])


def test_the_page_names_every_feature(world: Any) -> None:
    for name in feature_names(world.world.level_names):
        what = name.partition(":")[0]
        shown = f"`{what}:<level>`" if ":" in name else what.removeprefix("forecast")
        assert shown in PAGE, name


@pytest.mark.parametrize("output", ["scores", "level"])
def test_the_highest_score_of_an_allowed_level_wins(
    output: str, stage_with: Callable[..., Stage], single_layer: Trace
) -> None:
    """Scores 0.2 x load, load and 5 x load: deep dormancy always, which no coverage cell may use."""
    stage = stage_with(network_bytes([[0.2, 1, 5], [0, 0, 0], [0, 0, 0]], output=output), single_layer)
    run = run_policy("onnx:policy", stage, keep=np.ones(single_layer.n_cells, np.bool_))
    assert run.series is not None
    assert run.faults is not None
    level, reason = np.concatenate(run.series.level), np.concatenate(run.series.reason)
    if output == "scores":
        assert set(level[reason == Reason.PLUGIN].tolist()) == {RF8}
        assert (level == RF8).mean() > 0.5
        assert run.faults.first == ""
    else:
        assert (level == SYMBOL).all()
        assert run.faults.refused_cell_ticks > 0
        assert "which may use 0, 1, 2, 3, 4" in run.faults.first
    assert (reason[:, 0] == Reason.NO_FORECAST).all(), "nothing is measured before the first tick"


def test_a_network_that_fails_leaves_all_cells_awake(
    stage_with: Callable[..., Stage], single_layer: Trace, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = stage_with(network_bytes([[0, 1, 0]] * 3), single_layer)
    monkeypatch.setattr("controller.forecast.onnx_file.MAX_BATCH_S", -1.0)
    monkeypatch.setattr("controller.policy_network.run_batch", lambda *a: np.zeros((1, 7), np.float32))
    run = run_policy("onnx:policy", stage, keep=np.ones(single_layer.n_cells, np.bool_))
    assert run.series is not None
    assert run.faults is not None
    assert (np.concatenate(run.series.level) == SYMBOL).all()
    assert run.faults.failed_ticks >= stage.clock.n_ticks - 1
    assert "ModelError" in run.faults.first


def test_every_feature_is_what_the_page_says(
    make_stage: Callable[..., Stage], multi_layer: Trace, tables: Any
) -> None:
    stage = make_stage(multi_layer)
    scene = stage.scene(0)
    context = context_of(stage.task, scene.network, scene.tables, scene.clock)
    names = feature_names(context.level_names)
    features = PolicyFeatures(context, names)
    n, rng = scene.network.n_cells, np.random.default_rng(0)
    offered = rng.uniform(0, 0.5, (n, 15)).astype(np.float32)
    offered[0, :3], offered[1] = np.nan, np.nan
    level = rng.integers(1, 5, n).astype(np.uint8)
    forecast = Forecast(rng.uniform(-3, 0, (n, 4)), rng.uniform(0.1, 0.5, (n, 4)), np.arange(n) > 1)
    held = np.arange(n) * 900
    view = View(18.0, 900, level, held, offered, forecast, Allowance(0.001, 0.01))
    made = dict(zip(names, features.of(view).T, strict=True))
    assert features.needs_forecast
    assert not PolicyFeatures(context, FEATURES).needs_forecast
    np.testing.assert_allclose(made["hour_sin"], -1)
    np.testing.assert_allclose(made["hour_cos"], 0, atol=1e-6)
    known = np.arange(n) != 1
    for name, of in (("load_mean", np.nanmean), ("load_highest", np.nanmax), ("load_spread", np.nanstd)):
        np.testing.assert_allclose(made[name][known], of(offered[known], axis=1), rtol=1e-5)
        assert np.isnan(made[name][1])
    np.testing.assert_array_equal(made["load_last"], offered[:, -1])
    for percent in (50, 80, 95, 99):
        np.testing.assert_array_equal(made[f"forecast_{percent}"], forecast.quantile(percent / 100)[:, 0])
    np.testing.assert_array_equal(made["forecast_95_highest"], forecast.quantile(0.95).max(1))
    np.testing.assert_allclose(made["held_h"], held / 3600)
    np.testing.assert_array_equal(made["is_capacity"], scene.network.is_capacity)
    room = Counterfactuals(scene.network, scene.tables, context.wake_s).room(level, forecast)
    np.testing.assert_array_equal(made["candidate_room"], room)
    for k, of_level in enumerate(context.level_names):
        np.testing.assert_array_equal(made[f"at:{of_level}"], level == k)
        np.testing.assert_array_equal(made[f"may:{of_level}"], scene.network.allowed[:, k])
        np.testing.assert_array_equal(made[f"limit:{of_level}"], min(target_load(tables)[0, k], 1))


GOOD = [[0, 1, 0]] * 3
REFUSED = {
    "schema": (lambda: network_bytes(GOOD, schema="quietcell.model/1"), "not 'quietcell.policy/1'"),
    "unsealed": (lambda: network_bytes(GOOD)[:-1], "made by seal() of controller.forecast.onnx_file"),
    "no levels": (lambda: network_bytes(GOOD, info={"features": FEATURES}), "levels: Field required"),
    "twice": (
        lambda: network_bytes(GOOD, info={"features": ["load_mean"] * 3, "levels": LEVELS}),
        "names something twice",
    ),
    "too few scores": (lambda: network_bytes([[0, 1]] * 3), "its outputs are 'scores' float32 [N, 2], not"),
    "another input": (
        lambda: network_bytes([[0, 1, 0]] * 2, n=2),
        "its inputs are 'features' float32 [N, 2], not 'features' float32 [N, 3]",
    ),
    "empty": (lambda: b"", "the file is empty; copy the file again or export it anew"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_file_that_does_not_fit_is_refused(case: str, tmp_path: Path) -> None:
    make, words = REFUSED[case]
    path = tmp_path / "policy.onnx"
    path.write_bytes(make())
    with pytest.raises(ModelError) as caught:
        load_network(path)
    assert str(path) in str(caught.value)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("info", "words"),
    [
        (
            {"features": ("load_mean", "hour", "held_h"), "levels": LEVELS},
            "no feature 'hour'; close to it: hour_",
        ),
        (
            {"features": FEATURES, "levels": ("symbol", "night_shutdown", "x")},
            "level 'night_shutdown', which this",
        ),
    ],
)
def test_a_network_of_another_world_is_refused_before_the_replay(
    info: Any, words: str, tmp_path: Path, single_layer: Trace
) -> None:
    write_tidy(single_layer, tmp_path / "city")
    (tmp_path / "policy.bin").write_bytes(network_bytes(GOOD, info=info))
    result = CliRunner().invoke(
        app, ["replay", str(tmp_path / "city"), "--policy", f"onnx:{tmp_path / 'policy.bin'}"]
    )
    assert result.exit_code == 2
    assert words in result.output


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"nowhere\.onnx: the file does not exist"):
        find_policy(str(tmp_path / "nowhere.onnx"), KNOWN)


def test_an_operator_outside_the_list_is_refused(tmp_path: Path) -> None:
    data = network_bytes(GOOD)
    model = onnx.load_from_string(data)
    model.graph.node.append(helper.make_node("RandomNormal", [], ["x"], shape=[1]))
    del model.metadata_props[-1]
    path = tmp_path / "policy.onnx"
    path.write_bytes(seal(model.SerializeToString()))
    with pytest.raises(
        ModelError, match=r"it uses ai\.onnx:RandomNormal; operators that a policy network may use"
    ):
        load_network(path)


def test_names_of_networks_are_those_that_gates_can_say(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        path = tmp_path / folder / "my policy.v2.onnx"
        path.write_bytes(network_bytes(GOOD))
        assert find_policy(str(path), KNOWN).name == "onnx:my_policy_v2"
    gate = "onnx:my_policy_v2.limits_held == 1"
    assert parse_gate(gate, ("onnx:my_policy_v2",), (*KNOWN, "onnx:my_policy_v2")).policy.startswith("onnx:")
    paths = [str(tmp_path / folder / "my policy.v2.onnx") for folder in ("a", "b")]
    with pytest.raises(PolicyError, match="would both be called onnx:my_policy_v2; rename a file"):
        find_policies(paths)
    assert find_policies(["predictive", paths[0], paths[0]])[0] == ["predictive", *["onnx:my_policy_v2"] * 2]
