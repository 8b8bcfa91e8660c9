"""Fitted boosting as an ONNX tree ensemble, exact for float32 inputs.

It reads the grown trees from private attributes of scikit-learn's estimator, so every export is checked against the
estimator's own predictions (``export.check_parity``).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import NodeProto, helper
from sklearn.ensemble import HistGradientBoostingRegressor


def tree_node(
    models: list[HistGradientBoostingRegressor], columns: list[list[int]], source: str, name: str
) -> NodeProto:
    """One node for several boosted models: output k is model k, which reads ``columns[k]`` of the input."""
    nodes: dict[str, list[Any]] = {
        key: []
        for key in ("treeids", "nodeids", "featureids", "values", "modes", "truenodeids", "falsenodeids")
    }
    leaves: dict[str, list[Any]] = {key: [] for key in ("treeids", "nodeids", "ids", "weights")}
    tree = 0
    for output, (model, own) in enumerate(zip(models, columns, strict=True)):
        for (predictor,) in model._predictors:
            _add_tree(predictor.nodes, tree, output, own, nodes, leaves)
            tree += 1
    return helper.make_node(
        "TreeEnsembleRegressor",
        [source],
        [name],
        domain="ai.onnx.ml",
        n_targets=len(models),
        aggregate_function="SUM",
        post_transform="NONE",
        base_values=[float(model._baseline_prediction.item()) for model in models],
        **{f"nodes_{key}": value for key, value in nodes.items()},
        **{f"target_{key}": value for key, value in leaves.items()},
    )


def _add_tree(
    grown: np.ndarray,
    tree: int,
    output: int,
    columns: list[int],
    nodes: dict[str, list[Any]],
    leaves: dict[str, list[Any]],
) -> None:
    """One grown tree. Features are never missing, so no branch for missing values is needed."""
    for k, node in enumerate(grown):
        leaf = bool(node["is_leaf"])
        nodes["treeids"].append(tree)
        nodes["nodeids"].append(k)
        nodes["modes"].append("LEAF" if leaf else "BRANCH_LEQ")
        nodes["featureids"].append(0 if leaf else columns[int(node["feature_idx"])])
        nodes["values"].append(0.0 if leaf else _threshold(float(node["num_threshold"])))
        nodes["truenodeids"].append(0 if leaf else int(node["left"]))
        nodes["falsenodeids"].append(0 if leaf else int(node["right"]))
        if leaf:
            leaves["treeids"].append(tree)
            leaves["nodeids"].append(k)
            leaves["ids"].append(output)
            leaves["weights"].append(float(node["value"]))


def _threshold(value: float) -> float:
    """The largest float32 not above a threshold: a float32 input goes the same way as with the threshold itself."""
    rounded = np.float32(value)
    return float(np.nextafter(rounded, np.float32(-np.inf)) if float(rounded) > value else rounded)
