"""``quietcell train`` and ``quietcell forecast`` as a user meets them, and the swap-in example of the manual."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, save
from typer.testing import CliRunner

from controller.cli import app
from controller.forecast.model_file import load_model
from tests.controller.forecast.invented import invented_trace
from traces.writers.tidy import write_tidy

MANUAL = Path(__file__).parents[3] / "docs" / "forecast-model.md"
runner = CliRunner()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trace, and a model trained on its first five days."""
    place = tmp_path_factory.mktemp("network")
    write_tidy(invented_trace(4, 8), place / "trace")
    result = runner.invoke(
        app, ["train", str(place / "trace"), "--days", "5", "--out", str(place / "m.onnx"), "--json"]
    )
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout) == json.loads((place / "m.json").read_text(encoding="utf-8"))
    return place


def test_training_stops_where_it_was_told_to(folder: Path) -> None:
    assert load_model(folder / "m.onnx").info.trained_until == "2024-03-09T00:00:00Z"
    assert not list(folder.glob(".*partial"))


def test_the_health_counts_only_what_came_after_training(folder: Path) -> None:
    result = runner.invoke(
        app, ["forecast", str(folder / "trace"), "--model", str(folder / "m.onnx"), "--json"]
    )
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["from"] == "2024-03-09T00:00:00Z"
    assert found["source"] == "model"
    assert 0 < found["wape_1_step"] < 0.4
    assert list(found["coverage"]) == ["0.5", "0.8", "0.9", "0.95", "0.99"]


def test_one_cell_with_its_truth_and_a_page(folder: Path) -> None:
    page = folder / "c2.html"
    options = ["--model", str(folder / "m.onnx"), "--cell", "c2", "--out", str(page), "--json"]
    result = runner.invoke(app, ["forecast", str(folder / "trace"), *options])
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    load = invented_trace(4, 8).dl_prb_ratio[2]
    expected = [None if np.isnan(value) else pytest.approx(float(value)) for value in load[-24:]]
    assert found["truth"] == expected
    assert len(found["quantiles"]["0.95"]) == 24
    text = page.read_text(encoding="utf-8")
    assert "quantile 0.95" in text
    assert 'src="http' not in text


def test_an_unknown_cell_and_a_short_trace_are_errors_with_a_remedy(folder: Path, tmp_path: Path) -> None:
    result = runner.invoke(app, ["forecast", str(folder / "trace"), "--cell", "nowhere"])
    assert result.exit_code == 2
    assert "'nowhere'" in result.stderr
    assert "c0, c1" in result.stderr
    write_tidy(invented_trace(2, 1), tmp_path / "day")
    result = runner.invoke(app, ["train", str(tmp_path / "day"), "--out", str(tmp_path / "m.onnx")])
    assert result.exit_code == 2
    assert "2 days" in result.stderr
    assert not (tmp_path / "m.onnx").exists()


def test_the_example_of_the_manual_makes_a_model_that_loads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", MANUAL.read_text(encoding="utf-8"), re.DOTALL)
    shape = helper.make_tensor("shape", TensorProto.INT64, [3], [0, 24, 5])
    columns = helper.make_tensor("columns", TensorProto.INT64, [120], [0] * 120)
    nodes = [
        helper.make_node("Gather", ["features", "columns"], ["wide"], axis=1),
        helper.make_node("Reshape", ["wide", "shape"], ["quantiles"]),
    ]
    graph = helper.make_graph(
        nodes,
        "mine",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["N", 25 + 16 * 24])],
        [helper.make_tensor_value_info("quantiles", TensorProto.FLOAT, ["N", 24, 5])],
        [shape, columns],
    )
    monkeypatch.chdir(tmp_path)
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10), "mine.onnx")
    exec(compile(example, str(MANUAL), "exec"), {})
    assert load_model(tmp_path / "mine.sealed.onnx").info.candidate == "mine"


def test_a_plot_needs_a_cell_and_a_folder(folder: Path, tmp_path: Path) -> None:
    trace, model = str(folder / "trace"), str(folder / "m.onnx")
    said = runner.invoke(app, ["forecast", trace, "--model", model, "--out", str(tmp_path / "a.html")])
    assert said.exit_code == 2
    assert "--cell" in said.output
    lost = str(tmp_path / "none" / "a.html")
    said = runner.invoke(app, ["forecast", trace, "--model", model, "--cell", "c0", "--out", lost])
    assert said.exit_code == 2
    assert "make it first" in said.output.replace("\n", " ")
