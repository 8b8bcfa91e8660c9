"""Tiny model files to load and to spoil."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from controller.errors import ModelError
from controller.forecast.layout import n_features
from controller.forecast.metadata import N_SCORES, QUANTILES
from controller.forecast.model_file import load_bytes, seal

STEP_S, HORIZON_STEPS = 43200, 1  # the smallest there is
F, Q = n_features(STEP_S, HORIZON_STEPS), len(QUANTILES)
REFUSED_WITHIN_S = 1.0  # of processor time, so that a busy machine does not count
INFO: dict[str, Any] = {
    "features": "quietcell.features/1",
    "n_features": F,
    "step_s": STEP_S,
    "horizon_steps": HORIZON_STEPS,
    "quantiles": QUANTILES,
    "trained_from": "2024-01-01T00:00:00Z",
    "trained_until": "2024-02-01T00:00:00Z",
    "n_cells": 3,
    "n_rows": 90,
    "time_zone": "Europe/Madrid",
    "country": None,
    "made_by": {"quietcell": "0"},
    "candidate": "linear",
    "score_edges": (0.0, 1.0),
    "score_counts": [[[1.0] * N_SCORES]] * 3,
    "anchors": (1,),
    "reference": {"pinball": 0.1},
}


Edit = Callable[[onnx.ModelProto], None]


class Models:
    """Builds valid models; ``edit`` and ``middle`` spoil them."""

    F, Q, info = F, Q, INFO
    weight = np.repeat(np.linspace(-1, 1, F, dtype=np.float32)[:, None], Q, axis=1)
    bias = np.linspace(0.1, 0.5, Q, dtype=np.float32)

    def proto(self, middle: list[onnx.NodeProto] | None = None) -> onnx.ModelProto:
        """quantiles = reshape(middle(features @ weight + bias)); ``middle`` takes ``sum`` to ``mid``."""
        nodes = [
            helper.make_node("MatMul", ["features", "weight"], ["product"]),
            helper.make_node("Add", ["product", "bias"], ["sum"]),
            *(middle or [helper.make_node("Identity", ["sum"], ["mid"])]),
            helper.make_node("Reshape", ["mid", "shape"], ["quantiles"]),
        ]
        tensors = [
            numpy_helper.from_array(self.weight, "weight"),
            numpy_helper.from_array(self.bias, "bias"),
            numpy_helper.from_array(np.array([-1, HORIZON_STEPS, Q], np.int64), "shape"),
        ]
        features = helper.make_tensor_value_info("features", TensorProto.FLOAT, [None, F])
        quantiles = helper.make_tensor_value_info("quantiles", TensorProto.FLOAT, ["N", HORIZON_STEPS, Q])
        graph = helper.make_graph(nodes, "forecast", [features], [quantiles], tensors)
        opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
        texts = {"quietcell.schema": "quietcell.model/1", "quietcell.info": json.dumps(INFO)}
        helper.set_model_props(model, texts)
        return model

    def sealed(self, edit: Edit | None = None, middle: list[onnx.NodeProto] | None = None) -> bytes:
        """A model file."""
        model = self.proto(middle)
        if edit is not None:
            edit(model)
        return seal(model.SerializeToString())

    def tree(self, n_splits: int, **changed: Any) -> list[onnx.NodeProto]:
        """A middle that adds the highest answer of a tree ensemble with one split in each tree."""
        n = 3 * n_splits
        attributes: dict[str, Any] = {
            "n_targets": Q,
            "nodes_treeids": [i // 3 for i in range(n)],
            "nodes_nodeids": [i % 3 for i in range(n)],
            "nodes_featureids": [i % F for i in range(n)],
            "nodes_values": [0.5] * n,
            "nodes_modes": ["BRANCH_LEQ", "LEAF", "LEAF"] * n_splits,
            "nodes_truenodeids": [1, 0, 0] * n_splits,
            "nodes_falsenodeids": [2, 0, 0] * n_splits,
            "target_treeids": [i // 2 for i in range(2 * n_splits)],
            "target_nodeids": [1, 2] * n_splits,
            "target_ids": [i % Q for i in range(2 * n_splits)],
            "target_weights": [0.0] * (2 * n_splits),
        }
        attributes |= changed
        trees = helper.make_node(
            "TreeEnsembleRegressor", ["features"], ["trees"], domain="ai.onnx.ml", **attributes
        )
        return [
            trees,
            helper.make_node("ReduceMax", ["trees"], ["top"]),
            helper.make_node("Add", ["sum", "top"], ["mid"]),
        ]


@pytest.fixture(scope="session")
def models() -> Models:
    """The builder, once something was loaded: importing onnxruntime is not what is timed."""
    load_bytes(Models().sealed(), "warm")
    return Models()


@pytest.fixture(scope="session")
def refusal() -> Callable[[bytes], str]:
    """The message of the ModelError, which must come soon and name the file and a remedy."""

    def refused(data: bytes) -> tuple[float, str]:
        begin = time.process_time()
        with pytest.raises(ModelError) as caught:
            load_bytes(data, "some.onnx")
        return time.process_time() - begin, str(caught.value)

    def message_of(data: bytes) -> str:
        spent_s, message = refused(data)
        if spent_s >= REFUSED_WITHIN_S:  # a machine that others use stalls now and then, hardly twice
            spent_s, message = refused(data)
        assert spent_s < REFUSED_WITHIN_S
        assert message.startswith("some.onnx: ")
        assert ";" in message or ": use" in message or ": train" in message
        return message

    return message_of
