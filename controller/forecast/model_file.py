"""Forecast models as files: an ONNX file as onnx_file.py reads them, that also holds what a forecast needs.

Input ``features``, float32 ``[N, F]``; output ``quantiles``, float32 ``[N, H, 5]``, load ratio that ascends along the
last axis. Metadata ``quietcell.info``: see metadata.py. One row of zeros must give sane quantiles.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from controller.errors import ModelError
from controller.forecast.layout import n_features
from controller.forecast.metadata import SCHEMA, ModelInfo, parse_info
from controller.forecast.onnx_file import (
    Purpose,
    RefusedError,
    check_bytes,
    check_values,
    open_session,
    printable,
    read_bytes,
    run_batch,
    seal,
)
from controller.forecast.wire import FLOAT, Outline

if TYPE_CHECKING:
    import onnxruntime

__all__ = ["LoadedModel", "check_smoke", "load_bytes", "load_model", "seal"]

BATCH_CELLS = 2048  # rows for each call: inputs and outputs of a day in quarter hours are some 15 MB

FORECAST = Purpose(
    what="model",
    schema=SCHEMA,
    maker="'quietcell train'",
    page="docs/forecast-model.md",
    anew="train anew",
    smaller="train a smaller model",
)


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model that passed every check."""

    info: ModelInfo
    session: onnxruntime.InferenceSession
    sha256: str
    source: str

    def run(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Load quantiles [ratio], shape (N, H, 5), from features of shape (N, F). They may be non-finite or descend.

        Raises ModelError if the model fails on them, takes too long or gives another shape.
        """
        assert features.ndim == 2, features.shape
        assert features.shape[1] == self.info.n_features, features.shape
        assert features.dtype == np.float32, features.dtype
        shape = (len(features), self.info.horizon_steps, len(self.info.quantiles))
        quantiles = np.empty(shape, np.float32)
        for begin in range(0, len(features), BATCH_CELLS):
            batch = np.ascontiguousarray(features[begin : begin + BATCH_CELLS])
            quantiles[begin : begin + len(batch)] = self._run_batch(batch, (len(batch), *shape[1:]))
        return quantiles

    def _run_batch(self, batch: NDArray[np.float32], shape: tuple[int, ...]) -> NDArray[np.float32]:
        answer = run_batch(self.session, batch, "quantiles", self.source, "train a model anew")
        if not isinstance(answer, np.ndarray) or answer.shape != shape or answer.dtype != np.float32:
            got = f"{getattr(answer, 'dtype', type(answer).__name__)} {list(getattr(answer, 'shape', []))}"
            raise ModelError(
                f"{self.source}: it answers {got}, not float32 {list(shape)}; {FORECAST.documented}"
            )
        return answer


def load_model(path: Path) -> LoadedModel:
    """Read a model file. Raises ModelError naming file, what is wrong and a remedy."""
    return load_bytes(read_bytes(path, FORECAST), str(path))


def load_bytes(data: bytes, source: str) -> LoadedModel:
    """A model from the bytes of a file; messages name ``source``. Raises ModelError."""
    try:
        outline, text, sha256 = check_bytes(data, source, FORECAST)
        info = _info_of(text)
        _check_outline(outline, info)
        session = open_session(data, outline)
    except RefusedError as refused:
        raise ModelError(f"{source}: {printable(str(refused))}") from None
    model = LoadedModel(info, session, sha256, source)
    check_smoke(model)
    return model


def check_smoke(model: LoadedModel) -> None:
    """Run one row of zeros. Raises ModelError unless finite quantiles come out that do not descend."""
    quantiles = model.run(np.zeros((1, model.info.n_features), np.float32))
    if not np.isfinite(quantiles).all():
        raise ModelError(f"{model.source}: it answers zeros with {quantiles.min()}; train a model anew")
    if (fall := float(np.diff(quantiles, axis=-1).min())) < 0:
        raise ModelError(f"{model.source}: its quantiles of zeros descend by {-fall:g}; they must ascend")


def _info_of(text: str) -> ModelInfo:
    try:
        return parse_info(text)
    except ValueError as error:
        raise RefusedError(f"its quietcell.info is not valid: {error}; {FORECAST.documented}") from None


def _check_outline(outline: Outline, info: ModelInfo) -> None:
    """Inputs and outputs against what is documented and what ``info`` says."""
    expected = n_features(info.step_s, info.horizon_steps)
    if (found := info.n_features) != expected:
        raise RefusedError(f"it takes {found} features, but {info.features} has {expected}; train it anew")
    check_values("input", outline.inputs, [("features", FLOAT, [None, expected])], FORECAST)
    shape = [None, info.horizon_steps, len(info.quantiles)]
    check_values("output", outline.outputs, [("quantiles", FLOAT, shape)], FORECAST)
