"""Policy networks as files: ONNX files as controller/forecast/onnx_file.py reads them, that score levels.

Input ``features``, float32 ``[N, F]``, a row per cell. Output ``scores``, float32 ``[N, K]``: of the levels that a
cell may use the highest score wins; or ``level``, int64 ``[N]``, an index. Metadata ``quietcell.schema`` is
``quietcell.policy/1``, ``quietcell.info`` JSON with the names of the F ``features`` (policies/policy_features.py) and
of the K ``levels``. A cell of which a feature is not known stays awake.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from controller.errors import ModelError
from controller.forecast.onnx_file import (
    Purpose,
    RefusedError,
    Value,
    check_bytes,
    check_values,
    open_session,
    printable,
    read_bytes,
    run_batch,
)
from controller.forecast.wire import FLOAT, Outline
from hw.world import SYMBOL
from policies.plugin import PolicyContext
from policies.policy import Decision, Reason, View
from policies.policy_features import PolicyFeatures

if TYPE_CHECKING:
    import onnxruntime

INT64 = 7  # TensorProto.DataType
BATCH_CELLS = 8192
MAX_INFO_CHARACTERS = 100_000
SCORES, LEVEL = "scores", "level"
POLICY = Purpose(
    what="policy network",
    schema="quietcell.policy/1",
    maker="seal() of controller.forecast.onnx_file",
    page="docs/policies.md",
    anew="export it anew",
    smaller="export a smaller network",
)

Name = Annotated[str, Field(min_length=1, max_length=100)]


class PolicyInfo(BaseModel):
    """What a policy network says about itself."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    features: Annotated[tuple[Name, ...], Field(min_length=1, max_length=1000)]
    levels: Annotated[tuple[Name, ...], Field(min_length=1, max_length=100)]


@dataclass(frozen=True, slots=True)
class PolicyNetwork:
    """A policy network that passed every check."""

    info: PolicyInfo
    session: onnxruntime.InferenceSession
    output: str  # SCORES or LEVEL
    source: str  # file and checksum

    def planner(self, context: PolicyContext) -> NetworkPlanner:
        """Its planner for a network. Raises ModelError where its features or levels are not those of the world."""
        return NetworkPlanner(self, context)

    def run(self, features: NDArray[np.float32]) -> NDArray[np.float32] | NDArray[np.int64]:
        """Scores (n, K), or index (n,), for rows of features (n, F). Raises ModelError for another shape."""
        whole = (len(self.info.levels),) if self.output == SCORES else ()
        parts = []
        for begin in range(0, len(features), BATCH_CELLS):
            batch = np.ascontiguousarray(features[begin : begin + BATCH_CELLS])
            answer = run_batch(self.session, batch, self.output, self.source, POLICY.anew)
            if not isinstance(answer, np.ndarray) or answer.shape != (len(batch), *whole):
                got = getattr(answer, "shape", type(answer).__name__)
                raise ModelError(f"{self.source}: it answers {got} for {len(batch)} rows; {POLICY.anew}")
            parts.append(answer)
        return np.concatenate(parts)


class NetworkPlanner:
    """Asks a policy network in every tick."""

    def __init__(self, network: PolicyNetwork, context: PolicyContext) -> None:
        self._network, self._allowed = network, context.network.allowed
        unknown = [level for level in network.info.levels if level not in context.level_names]
        if unknown:
            raise ModelError(
                f"{network.source}: it knows the level {unknown[0]!r}, which this world does not have; its levels are "
                f"{', '.join(context.level_names)}: choose the world that it was made for"
            )
        try:
            self._features = PolicyFeatures(context, network.info.features)
        except ValueError as error:
            raise ModelError(f"{network.source}: {error}") from error
        self._level_of = np.array([context.level_names.index(level) for level in network.info.levels])
        self.needs_forecast = self._features.needs_forecast

    def plan(self, view: View) -> Decision:
        """Levels for the coming tick."""
        features = self._features.of(view)
        known = np.asarray(np.isfinite(features).all(1))
        level = np.full(len(known), SYMBOL, np.int64)
        reason = np.where(known, Reason.PLUGIN, Reason.NO_FORECAST).astype(np.uint8)
        if known.any():
            level[known] = self._choose(self._network.run(features[known]), self._allowed[known])
        return Decision(level, reason)  # type: ignore[arg-type]

    def _choose(self, answer: NDArray[Any], allowed: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Level of each row; -1, which is refused, where it answers none."""
        if self._network.output == LEVEL:
            inside = (answer >= 0) & (answer < len(self._level_of))
            return np.where(inside, self._level_of[np.where(inside, answer, 0)], -1)
        scores = np.where(allowed[:, self._level_of] & ~np.isnan(answer), answer, -np.inf)
        best = scores.argmax(1)
        return np.where(np.isneginf(scores.max(1)), -1, self._level_of[best])


def load_network(path: Path) -> PolicyNetwork:
    """Read a policy network. Raises ModelError naming file, what is wrong and a remedy."""
    try:
        data = read_bytes(path, POLICY)
        outline, text, sha256 = check_bytes(data, str(path), POLICY)
        info = _info_of(text)
        output = _check_outline(outline, info)
        session = open_session(data, outline)
    except RefusedError as refused:
        raise ModelError(f"{path}: {printable(str(refused))}") from None
    network = PolicyNetwork(info, session, output, f"{path}, SHA-256 {sha256[:12]}")
    network.run(np.zeros((1, len(info.features)), np.float32))
    return network


def _info_of(text: str) -> PolicyInfo:
    try:
        if len(text) > MAX_INFO_CHARACTERS:
            raise RefusedError(f"its quietcell.info has {len(text)} characters; {POLICY.anew}")
        info = PolicyInfo.model_validate_json(text, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        place = ".".join(map(str, first["loc"])) or "document"
        raise RefusedError(
            f"its quietcell.info is not valid: {place}: {first['msg']}; {POLICY.documented}"
        ) from None
    for names in (info.features, info.levels):
        if len(set(names)) < len(names):
            raise RefusedError(f"its quietcell.info names something twice in {names[:9]}; {POLICY.anew}")
    return info


def _check_outline(outline: Outline, info: PolicyInfo) -> str:
    """Input and output as documented; returns the name of the output."""
    check_values("input", outline.inputs, [("features", FLOAT, [None, len(info.features)])], POLICY)
    scores: Value = (SCORES, FLOAT, [None, len(info.levels)])
    check_values("output", outline.outputs, [scores, (LEVEL, INT64, [None])], POLICY)
    return outline.outputs[0][0]
