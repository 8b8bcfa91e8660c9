"""The ONNX graph of a forecast model: from features to all horizons and quantiles in one pass."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from sklearn.pipeline import Pipeline

from controller.forecast.layout import AHEAD, OFFSET, SHARED, columns_at
from controller.training.blend import Blend
from controller.training.candidates import Candidates, anchor_columns, between_anchors
from controller.training.spread import Spread
from controller.training.trees import tree_node

OPSET, ML_OPSET, IR_VERSION = 21, 3, 10
Float64 = NDArray[np.float64]


@dataclass(slots=True)
class _Builder:
    """Nodes and constants in the making. Methods return the name of what they made."""

    nodes: list[onnx.NodeProto]
    constants: list[onnx.TensorProto]

    def constant(self, name: str, value: NDArray[np.generic] | Float64) -> str:
        array = value if value.dtype == np.int64 else np.asarray(value, np.float32)
        self.constants.append(numpy_helper.from_array(np.array(array, order="C"), name))
        return name

    def node(self, kind: str, inputs: list[str], output: str, **attributes: object) -> str:
        self.nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output


def build_graph(candidates: Candidates, blend: Blend, spread: Spread) -> onnx.ModelProto:
    """The graph ``features`` (N, F) -> ``quantiles`` (N, H, Q)."""
    horizon = candidates.horizon_steps
    made = _Builder([], [])
    correction = _ridge(made, candidates, blend)
    between = between_anchors(candidates.anchors, horizon)
    if blend.share[:, 1].any():
        columns = [columns_at(h, horizon) for h in candidates.anchors]
        made.nodes.append(tree_node(candidates.boosting, columns, "features", "boosting"))
        shares = made.constant("boosting_shares", blend.share[:, 1, None] * between)
        made.node("MatMul", ["boosting", shares], "boosting_ahead")
        correction = made.node("Add", [correction, "boosting_ahead"], "correction_boosting")
    at_anchors = made.constant(
        "anchor_columns", np.array(anchor_columns(candidates.anchors, horizon), np.int64)
    )
    made.node("Gather", ["features", at_anchors], "at_anchors", axis=1)
    if blend.share[:, 2].any():
        _networks(made, candidates)
        shares = made.constant("mlp_shares", blend.share[:, 2, None] * between)
        made.node("MatMul", ["mlp", shares], "mlp_ahead")
        correction = made.node("Add", [correction, "mlp_ahead"], "correction_mlp")
    made.node("Add", ["base", correction], "median")
    _quantiles(made, spread, between)
    n_columns = len(SHARED) + len(AHEAD) * horizon
    graph = helper.make_graph(
        made.nodes,
        "quietcell",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["cells", n_columns])],
        [
            helper.make_tensor_value_info(
                "quantiles", TensorProto.FLOAT, ["cells", horizon, spread.n_quantiles]
            )
        ],
        made.constants,
    )
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", ML_OPSET)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="quietcell")


def _ridge(made: _Builder, candidates: Candidates, blend: Blend) -> str:
    """The linear models of all horizons at once, already times the share of what stands on them."""
    horizon, n_shared, n_ahead = candidates.horizon_steps, len(SHARED), len(AHEAD)
    weights = np.empty((n_shared + n_ahead, horizon))
    offsets = np.empty(horizon)
    for h, model in enumerate(candidates.ridge):
        weights[:, h], offsets[h] = linear_of(model)
    share = blend.ridge_share() @ between_anchors(candidates.anchors, horizon)
    cut = [
        made.constant(f"cut_{k}", np.array([k], np.int64))
        for k in (0, n_shared, n_shared + n_ahead * horizon)
    ]
    one = made.constant("axis_1", np.array([1], np.int64))
    made.node("Slice", ["features", cut[0], cut[1], one], "shared")
    made.node("Slice", ["features", cut[1], cut[2], one], "ahead_flat")
    shape = made.constant("ahead_shape", np.array([0, n_ahead, horizon], np.int64))
    made.node("Reshape", ["ahead_flat", shape], "ahead")
    first = made.constant("first_block", np.array(0, np.int64))
    made.node("Gather", ["ahead", first], "base", axis=1)
    made.node("MatMul", ["shared", made.constant("shared_weights", weights[:n_shared] * share)], "by_shared")
    made.node("Mul", ["ahead", made.constant("ahead_weights", weights[n_shared:] * share)], "weighted")
    made.node("ReduceSum", ["weighted", one], "by_ahead", keepdims=0)
    made.node("Add", ["by_shared", made.constant("ridge_offsets", offsets * share)], "by_shared_offset")
    return made.node("Add", ["by_shared_offset", "by_ahead"], "ridge")


def linear_of(model: Pipeline) -> tuple[Float64, float]:
    """Weights and offset of a scaled linear model on unscaled inputs. (F,)"""
    scaler, ridge = model[0], model[1]
    weights = ridge.coef_ / scaler.scale_
    return weights, float(ridge.intercept_ - weights @ scaler.mean_)


def _networks(made: _Builder, candidates: Candidates) -> str:
    """The mean of the networks on scaled inputs."""
    scaler = candidates.scaler
    made.node("Sub", ["at_anchors", made.constant("mlp_mean", scaler.mean_)], "mlp_centred")
    made.node("Div", ["mlp_centred", made.constant("mlp_scale", scaler.scale_)], "mlp_inputs")
    outputs = []
    for n, network in enumerate(candidates.mlp):
        current = "mlp_inputs"
        for k, (weights, offsets) in enumerate(zip(network.coefs_, network.intercepts_, strict=True)):
            name = f"mlp_{n}_{k}"
            inputs = [current, made.constant(f"{name}_w", weights), made.constant(f"{name}_b", offsets)]
            current = made.node("Gemm", inputs, name)
            if k < network.n_layers_ - 2:
                current = made.node("Relu", [current], f"{name}_relu")
        outputs.append(current)
    return made.node("Mean", outputs, "mlp")


def _quantiles(made: _Builder, spread: Spread, between: Float64) -> None:
    """Median and spread to loads: exp(median + spread x place) - OFFSET, kept in 0..1."""
    weights, offsets = spread.linear()
    made.node("MatMul", ["at_anchors", made.constant("spread_weights", weights @ between)], "log_spread_raw")
    made.node(
        "Add", ["log_spread_raw", made.constant("spread_offsets", offsets @ between)], "log_spread_free"
    )
    low, high = (
        made.constant(name, np.array(v)) for name, v in zip(("low", "high"), spread.limits, strict=True)
    )
    made.node("Clip", ["log_spread_free", low, high], "log_spread")
    made.node("Exp", ["log_spread"], "spread")
    last = made.constant("axis_last", np.array([2], np.int64))
    made.node("Unsqueeze", ["spread", last], "spread_q")
    made.node("Unsqueeze", ["median", last], "median_q")
    places = np.einsum("aq,ah->hq", spread.place, between)[None]
    made.node("Mul", ["spread_q", made.constant("places", places)], "away")
    made.node("Add", ["median_q", "away"], "u")
    made.node("Exp", ["u"], "load_and_offset")
    made.node("Sub", ["load_and_offset", made.constant("offset", np.array(OFFSET))], "free")
    zero, whole = made.constant("zero", np.array(0.0)), made.constant("whole", np.array(1.0))
    made.node("Clip", ["free", zero, whole], "quantiles")
