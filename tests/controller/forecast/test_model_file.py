"""Model files: what loads and runs, which files are none, and what a hostile model may not do."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from controller.errors import ModelError
from controller.forecast import onnx_file, wire
from controller.forecast.metadata import ModelInfo
from controller.forecast.model_file import BATCH_CELLS, LoadedModel, check_smoke, load_bytes, load_model, seal

SEAL_BYTES = 86
HORIZON_STEPS = 1  # of the models in conftest.py

Refusal = Callable[[bytes], str]


@pytest.fixture
def file(tmp_path: Path, models: Any) -> Path:
    path = tmp_path / "model.onnx"
    path.write_bytes(models.sealed())
    return path


# What loads


def test_a_model_runs_in_batches_and_says_what_it_is(models: Any, file: Path) -> None:
    model = load_model(file)
    assert model.info == ModelInfo(**models.info)
    assert model.source == str(file)
    assert model.sha256 == file.read_bytes()[-64:].decode()
    rng = np.random.default_rng(0)
    for n in (0, 1, BATCH_CELLS, 2 * BATCH_CELLS + 3):
        features = rng.normal(size=(n, models.F)).astype(np.float32)
        quantiles = model.run(features)
        assert quantiles.shape == (n, HORIZON_STEPS, models.Q)
        np.testing.assert_allclose(
            quantiles[:, 0], features @ models.weight + models.bias, rtol=1e-4, atol=1e-4
        )
    strided = np.asfortranarray(features)
    np.testing.assert_array_equal(model.run(strided), quantiles)


def test_features_of_another_shape_or_type_are_our_mistake(models: Any, file: Path) -> None:
    model = load_model(file)
    for wrong in (
        np.zeros((2, models.F + 1), np.float32),
        np.zeros((2, models.F)),
        np.zeros(models.F, np.float32),
    ):
        with pytest.raises(AssertionError):
            model.run(wrong)  # type: ignore[arg-type]
    with pytest.raises(AssertionError, match="sealed already"):
        seal(file.read_bytes())


def test_large_trees_load_although_they_have_millions_of_parts(models: Any) -> None:
    data = models.sealed(middle=models.tree(100_000))
    begin = time.process_time()
    wire.read_outline(data)
    assert time.process_time() - begin < 1
    quantiles = load_bytes(data, "trees").run(np.zeros((2, models.F), np.float32))
    np.testing.assert_array_equal(quantiles[:, 0], [models.bias, models.bias])


def test_nothing_imports_onnxruntime_before_a_model_is_read() -> None:
    code = "import sys, controller.forecast.model_file as m; assert not {'onnx', 'onnxruntime'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[3])


# Files


def test_files_that_are_none_are_refused(tmp_path: Path) -> None:
    for path, words in (
        (tmp_path / "none.onnx", "does not exist; check the path"),
        (tmp_path, "no file but a folder"),
        (Path("/dev/zero"), "no file but a folder or device"),
        (tmp_path / "a\0b", "cannot be read"),
        (tmp_path / ("x" * 5000), "cannot be read"),
    ):
        with pytest.raises(ModelError, match=words) as caught:
            load_model(path)
        assert str(caught.value).startswith(f"{path}: ")


def test_a_huge_file_is_refused_unread(refusal: Refusal, tmp_path: Path) -> None:
    path = tmp_path / "huge.onnx"
    path.touch()
    os.truncate(path, 10 << 30)
    begin = time.perf_counter()
    with pytest.raises(ModelError, match="10737418240 bytes; at most 67108864"):
        load_model(path)
    assert time.perf_counter() - begin < 0.1
    assert "at most 67108864" in refusal(bytes(onnx_file.MAX_FILE_BYTES + 1))


def test_an_empty_or_cut_file_is_refused(models: Any, refusal: Refusal) -> None:
    data = models.sealed()
    assert "the file is empty" in refusal(b"")
    for length in [*range(1, len(data), 47), *range(len(data) - SEAL_BYTES - 2, len(data))]:
        assert "no checksum at its end" in refusal(data[:length])
    assert "no checksum at its end" in refusal(models.proto().SerializeToString())
    assert "no checksum at its end" in refusal(data + b"\0")


def test_a_flipped_bit_is_refused(models: Any, refusal: Refusal) -> None:
    data, rng = models.sealed(), np.random.default_rng(1)
    for bit in rng.choice(8 * len(data), 300, replace=False):
        damaged = bytearray(data)
        damaged[bit // 8] ^= 1 << (bit % 8)
        message = refusal(bytes(damaged))
        assert "damaged" in message or "no checksum" in message


# Hostile models


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def test_a_model_that_multiplies_its_memory_is_refused(models: Any) -> None:
    """Forty doublings of a tensor are a thousand billion bytes; onnxruntime would go for them."""
    doublings = [helper.make_node("Concat", [f"d{i}", f"d{i}"], [f"d{i + 1}"], axis=0) for i in range(40)]
    start = helper.make_node("Identity", ["weight"], ["d0"])
    end = [
        helper.make_node("ReduceMax", ["d40"], ["peak"]),
        helper.make_node("Add", ["sum", "peak"], ["mid"]),
    ]
    before = _resident_bytes()
    with pytest.raises(ModelError, match=r"^some\.onnx: it fails on 1 rows: .*memory"):
        load_bytes(models.sealed(middle=[start, *doublings, *end]), "some.onnx")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < 4 << 20  # KiB
    assert _resident_bytes() - before < 300 << 20, "what the model took was not given back"


def test_a_tree_with_absurd_targets_is_refused(models: Any, refusal: Refusal) -> None:
    assert "it fails on 1 rows" in refusal(models.sealed(middle=models.tree(2, n_targets=10**9)))
    refusal(models.sealed(middle=models.tree(2, target_ids=[10**8] * 4)))
    refusal(models.sealed(middle=models.tree(2, target_ids=[-9] * 4)))
    refusal(models.sealed(middle=models.tree(2, nodes_featureids=[models.F] * 6)))
    refusal(models.sealed(middle=models.tree(2, nodes_truenodeids=[77] * 6)))
    refusal(models.sealed(middle=models.tree(2, nodes_falsenodeids=[0] * 6)))  # a circle


def test_a_model_that_takes_too_long_is_given_up(
    models: Any, refusal: Refusal, monkeypatch: pytest.MonkeyPatch
) -> None:
    big = numpy_helper.from_array(np.zeros((700, 700), np.float32), "s0")
    nodes = [helper.make_node("MatMul", [f"s{i}", f"s{i}"], [f"s{i + 1}"]) for i in range(1000)]
    end = [
        helper.make_node("ReduceMax", ["s1000"], ["peak"]),
        helper.make_node("Add", ["sum", "peak"], ["mid"]),
    ]
    monkeypatch.setattr(onnx_file, "MAX_BATCH_S", 0.05)
    assert "(a batch may take 0.05 s)" in refusal(
        models.sealed(lambda m: m.graph.initializer.append(big), [*nodes, *end])
    )


def test_nothing_is_written_to_the_terminal(
    models: Any, refusal: Refusal, capfd: pytest.CaptureFixture[str]
) -> None:
    no_text = models.sealed()[:-SEAL_BYTES].replace(b"\x0a\x07product", b"\x0a\x07prod\xffct")
    assert "onnxruntime" in refusal(seal(no_text))
    refusal(models.sealed(middle=models.tree(2, n_targets=2**63 - 1)))
    refusal(_broken(models, [0.1, 0.2, 0.3, 0.4, 0.5], [-1, models.Q, 1]))
    unused = numpy_helper.from_array(np.zeros(1, np.float32), "unused")
    load_bytes(models.sealed(lambda model: model.graph.initializer.append(unused)), "some.onnx")
    assert capfd.readouterr() == ("", "")


def test_the_format_of_onnxruntime_itself_is_not_read(models: Any) -> None:
    """Bytes 4 to 7 decide which one it takes, and they may be part of an ONNX model."""
    disguise = onnx.ModelProto(producer_name="  ORTM").SerializeToString()
    assert disguise[4:] == b"ORTM"
    load_bytes(seal(disguise + models.proto().SerializeToString()), "some.onnx")


def _broken(models: Any, bias: list[float], shape: list[int] | None = None) -> bytes:
    def edit(model: onnx.ModelProto) -> None:
        model.graph.initializer[1].raw_data = np.array(bias, np.float32).tobytes()
        if shape is not None:
            model.graph.initializer[2].raw_data = np.array(shape, np.int64).tobytes()

    return models.sealed(edit)


def test_one_row_of_zeros_shows_what_a_model_is_worth(models: Any, refusal: Refusal) -> None:
    assert "its quantiles of zeros descend by 0.1" in refusal(_broken(models, [0.1, 0.2, 0.3, 0.2, 0.5]))
    assert "it answers zeros with nan" in refusal(_broken(models, [0.1, 0.2, np.nan, 0.4, 0.5]))
    assert "it answers zeros with" in refusal(_broken(models, [0.1, 0.2, 0.3, 0.4, np.inf]))
    message = refusal(_broken(models, [0.1, 0.2, 0.3, 0.4, 0.5], [-1, models.Q, 1]))
    assert "float32 [1, 5, 1], not float32 [1, 1, 5]" in message
    check_smoke(load_bytes(_broken(models, [0.5] * models.Q), "flat"))


class _FakeSession:
    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def run(self, *_: Any) -> list[Any]:
        return [self.answer]


@pytest.mark.parametrize("answer", [np.zeros((3, 1, 5)), np.zeros((3, 5), np.float32), [1.0], None])
def test_an_answer_of_another_shape_or_type_is_refused(models: Any, answer: Any) -> None:
    model = LoadedModel(ModelInfo(**models.info), _FakeSession(answer), "", "some.onnx")
    with pytest.raises(ModelError, match=r"some.onnx: it answers .*, not float32 \[3, 1, 5\]"):
        model.run(np.zeros((3, models.F), np.float32))


@pytest.mark.parametrize("kind", ["linear", "trees"])
def test_mutated_models_load_or_are_refused(models: Any, kind: str) -> None:
    """Their checksum is right, so every later check has to stand on its own."""
    body = models.sealed(middle=models.tree(3) if kind == "trees" else None)[:-SEAL_BYTES]
    rng, n_loaded = np.random.default_rng(7), 0
    weight = body.index(models.weight.tobytes())  # damage there changes but a number
    structure = [*range(weight), *range(weight + models.weight.nbytes, len(body))]
    for _ in range(1500):
        mutant = bytearray(body)
        for at in sorted(rng.choice(structure, rng.integers(1, 3)), reverse=True):
            match rng.integers(3):
                case 0:
                    mutant[at] = rng.integers(256)
                case 1:
                    mutant[at] ^= 1 << rng.integers(8)
                case _:
                    del mutant[at : at + rng.integers(1, 9)]
        begin = time.process_time()
        try:
            load_bytes(seal(bytes(mutant)), "mutant.onnx").run(np.ones((3, models.F), np.float32))
            n_loaded += 1
        except ModelError as error:
            assert str(error).startswith("mutant.onnx: ")
        assert time.process_time() - begin < 1
    assert 20 < n_loaded < 1450, f"{n_loaded}: the damage is too hard or too soft to try all checks"
