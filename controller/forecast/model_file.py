"""Forecast models as files: one ONNX file, refused with its reason unless all of this holds.

::

    stat (a file, not too large) -> checksum at the end -> structure (wire.py: bounded, nothing outside the file)
      -> metadata -> versions, operators, shapes -> onnxruntime opens it -> one row of zeros gives sane quantiles

Input ``features``, float32 ``[N, F]``; output ``quantiles``, float32 ``[N, H, 5]``, load ratio that ascends along the
last axis. Metadata: ``quietcell.schema``, ``quietcell.info`` (see metadata.py), and as the file's very last entry
``quietcell.sha256``: the SHA-256 of all bytes before it. It finds damage; it proves no origin. What a stranger's file
could do is bounded instead: operators from a list, memory in all, time at each operator.
"""

from __future__ import annotations

import hashlib
import stat
import threading
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from controller.errors import ModelError
from controller.forecast.layout import n_features
from controller.forecast.metadata import SCHEMA, ModelInfo, parse_info
from controller.forecast.wire import FLOAT, Outline, WireError, read_outline

if TYPE_CHECKING:
    import onnxruntime

MAX_FILE_BYTES = 64 << 20
MAX_NODES = 20_000
OLDEST_IR_VERSION = 7  # of May 2020
OLDEST_OPSET = {"": 13, "ai.onnx.ml": 1}
BATCH_CELLS = 2048  # rows for each call: inputs and outputs of a day in quarter hours are some 15 MB
MAX_BATCH_S = 10.0  # a batch that takes longer is given up at its next operator; usual are milliseconds
MAX_WORK_BYTES = 1 << 30  # of weights and intermediate results, all models of the process together

# What networks, trees and linear models are made of. Left out is what runs other operators, makes a tensor of a size
# that a number gives, draws at random, or handles text. _prepare_process bounds what these can still add up to.
_NUMERIC = """
    Abs Add And ArgMax ArgMin AveragePool BatchNormalization Cast CastLike Ceil Celu Clip Concat Constant Conv Cos
    CumSum DequantizeLinear Div Dropout DynamicQuantizeLinear Einsum Elu Equal Erf Exp Flatten Floor GRU Gather
    GatherElements GatherND Gelu Gemm GlobalAveragePool GlobalMaxPool Greater GreaterOrEqual GroupNormalization
    HardSigmoid HardSwish Identity InstanceNormalization IsInf IsNaN LSTM LayerNormalization LeakyRelu Less
    LessOrEqual Log LogSoftmax MatMul MatMulInteger Max MaxPool Mean Min Mish Mod Mul Neg Not Or PRelu Pow
    QuantizeLinear RMSNormalization RNN Reciprocal ReduceL1 ReduceL2 ReduceLogSumExp ReduceMax ReduceMean ReduceMin
    ReduceProd ReduceSum ReduceSumSquare Relu Reshape Round ScatterElements ScatterND Selu Shape Sigmoid Sign Sin
    Size Slice Softmax Softplus Softsign Split Sqrt Squeeze Sub Sum Swish Tanh ThresholdedRelu TopK Transpose Trilu
    Unsqueeze Where Xor
"""
_LEARNT = """
    ArrayFeatureExtractor Binarizer FeatureVectorizer Imputer LinearRegressor Normalizer SVMRegressor Scaler
    TreeEnsemble TreeEnsembleRegressor
"""
OPERATORS = {"": frozenset(_NUMERIC.split()), "ai.onnx.ml": frozenset(_LEARNT.split())}  # by domain

_SEAL_KEY = b"quietcell.sha256"
# metadata_props (field 14) of 84 bytes: the key (field 1), then the value (field 2) of 64 hex digits.
_SEAL_HEAD = b"\x72\x54\x0a\x10" + _SEAL_KEY + b"\x12\x40"
_SEAL_BYTES = len(_SEAL_HEAD) + 64
_AGAIN = "copy the file again or train anew"
_DOCUMENTED = "a model must have the inputs, outputs and metadata of docs/forecast-model.md"


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
        from onnxruntime import RunOptions

        options = RunOptions()
        options.log_severity_level = 4
        options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")  # give memory back
        timer = threading.Timer(MAX_BATCH_S, setattr, (options, "terminate", True))
        timer.daemon = True
        timer.start()
        try:
            (answer,) = self.session.run(["quantiles"], {"features": batch}, options)
        except Exception as error:
            late = f" (a batch may take {MAX_BATCH_S:g} s)" if options.terminate else ""
            raise ModelError(
                f"{self.source}: it fails on {len(batch)} rows{late}: {_reason(error)}; train a model anew"
            ) from None
        finally:
            timer.cancel()
        if not isinstance(answer, np.ndarray) or answer.shape != shape or answer.dtype != np.float32:
            got = f"{getattr(answer, 'dtype', type(answer).__name__)} {list(getattr(answer, 'shape', []))}"
            raise ModelError(f"{self.source}: it answers {got}, not float32 {list(shape)}; {_DOCUMENTED}")
        return answer


def seal(onnx_bytes: bytes) -> bytes:
    """The same model with its checksum as the last metadata entry."""
    assert not onnx_bytes[-_SEAL_BYTES:].startswith(_SEAL_HEAD), "sealed already"
    return onnx_bytes + _SEAL_HEAD + hashlib.sha256(onnx_bytes).hexdigest().encode()


def load_model(path: Path) -> LoadedModel:
    """Read a model file. Raises ModelError naming file, what is wrong and a remedy."""
    try:
        status = path.stat()
        if stat.S_ISREG(status.st_mode) and status.st_size <= MAX_FILE_BYTES:
            with path.open("rb") as file:
                data = file.read(MAX_FILE_BYTES + 1)  # it may grow meanwhile
    except FileNotFoundError:
        raise ModelError(f"{path}: the file does not exist; check the path") from None
    except (OSError, ValueError) as error:
        raise ModelError(f"{path}: cannot be read: {error}; check the path and its permissions") from None
    if not stat.S_ISREG(status.st_mode):
        raise ModelError(f"{path}: this is no file but a folder or device; name the .onnx file")
    if status.st_size > MAX_FILE_BYTES:
        raise ModelError(_too_large(str(path), status.st_size))
    return load_bytes(data, str(path))


def load_bytes(data: bytes, source: str) -> LoadedModel:
    """A model from the bytes of a file; messages name ``source``. Raises ModelError."""
    if len(data) > MAX_FILE_BYTES:
        raise ModelError(_too_large(source, len(data)))
    try:
        sha256 = _check_seal(data)
        outline = read_outline(data)
        info = _read_info(outline)
        _check_versions(outline)
        _check_outline(outline, info)
        session = _open(data, outline)
    except WireError as error:
        raise ModelError(
            f"{source}: not a model to be used: {_printable(str(error))}; {_DOCUMENTED}"
        ) from None
    except _RefusedError as refused:
        raise ModelError(f"{source}: {_printable(str(refused))}") from None
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


class _RefusedError(Exception):
    """What is wrong and the remedy; ``load_bytes`` adds the file."""


def _check_seal(data: bytes) -> str:
    """The checksum that the file ends with."""
    if not data:
        raise _RefusedError(f"the file is empty; {_AGAIN}")
    body, tail = data[:-_SEAL_BYTES], data[-_SEAL_BYTES:]
    if not tail.startswith(_SEAL_HEAD):
        raise _RefusedError(f"no checksum at its end: cut short, or not made by 'quietcell train'; {_AGAIN}")
    found, stated = hashlib.sha256(body).hexdigest(), tail[len(_SEAL_HEAD) :]
    if found.encode() != stated:
        raise _RefusedError(f"damaged: its SHA-256 is {found}, not {stated!r} as it says; {_AGAIN}")
    return found


def _read_info(outline: Outline) -> ModelInfo:
    keys = [key for key, _ in outline.metadata if key.startswith("quietcell.")]
    metadata = dict(outline.metadata)
    for key in ("quietcell.schema", "quietcell.info", _SEAL_KEY.decode()):
        if keys.count(key) != 1:
            raise _RefusedError(f"its metadata has {key!r} {keys.count(key)} times, not once; {_DOCUMENTED}")
    if (schema := metadata["quietcell.schema"]) != SCHEMA:
        raise _RefusedError(f"its quietcell.schema is {schema[:60]!r}, not {SCHEMA!r}; train it anew")
    try:
        return parse_info(metadata["quietcell.info"])
    except ValueError as error:
        raise _RefusedError(f"its quietcell.info is not valid: {error}; {_DOCUMENTED}") from None


def _check_versions(outline: Outline) -> None:
    """Old ones are refused here, new ones by onnxruntime, which knows what it can do."""
    if (version := outline.ir_version) < OLDEST_IR_VERSION:
        raise _RefusedError(f"its IR version is {version}; export it with {OLDEST_IR_VERSION} or later")
    opsets = dict(outline.opsets)
    if len(opsets) != len(outline.opsets) or "" not in opsets:
        raise _RefusedError(f"its opsets are {outline.opsets[:9]}; export it with one for each domain")
    for domain, oldest in OLDEST_OPSET.items():
        if not oldest <= (version := opsets.get(domain, oldest)) < 1000:
            raise _RefusedError(f"its opset {domain!r} is {version}; export it with {oldest} or later")


def _check_outline(outline: Outline, info: ModelInfo) -> None:
    """Operators, inputs and outputs against what is documented and what ``info`` says."""
    if (n_nodes := outline.operators.total()) > MAX_NODES:
        raise _RefusedError(f"it has {n_nodes} nodes; at most {MAX_NODES} are accepted: use a smaller model")
    unknown = sorted(op for op in outline.operators if op[1] not in OPERATORS.get(op[0], ()))
    if unknown:
        shown = ", ".join(f"{domain or 'ai.onnx'}:{name}" for domain, name in unknown)[:200]
        known = " ".join(sorted(frozenset().union(*OPERATORS.values())))
        raise _RefusedError(f"it uses {shown}; operators that a forecast may use are {known}")
    expected = n_features(info.step_s, info.horizon_steps)
    if (found := info.n_features) != expected:
        raise _RefusedError(f"it takes {found} features, but {info.features} has {expected}; train it anew")
    _check_values("input", outline.inputs, "features", [None, expected])
    _check_values("output", outline.outputs, "quantiles", [None, info.horizon_steps, len(info.quantiles)])


def _check_values(
    role: str, found: list[tuple[str, int, list[int | None]]], name: str, shape: list[int | None]
) -> None:
    if found != [(name, FLOAT, shape)]:
        shown = ", ".join(_shown(*value) for value in found[:4]) or "none"
        raise _RefusedError(f"its {role}s are {shown}, not {_shown(name, FLOAT, shape)}; {_DOCUMENTED}")


def _shown(name: str, element: int, shape: list[int | None]) -> str:
    kind = "float32" if element == FLOAT else f"type {element}"
    return f"{name[:60]!r} {kind} [{', '.join('N' if size is None else str(size) for size in shape[:8])}]"


def _open(data: bytes, outline: Outline) -> onnxruntime.InferenceSession:
    import onnxruntime

    _prepare_process()
    options = onnxruntime.SessionOptions()
    # one, as ``runtime`` runs batches side by side: threads inside them took a third longer on two cores
    options.intra_op_num_threads, options.inter_op_num_threads = 1, 1
    options.log_severity_level = 4  # what it has to say comes as an exception
    options.add_session_config_entry("session.use_env_allocators", "1")
    options.add_session_config_entry("session.load_model_format", "ONNX")  # never its own, known by its magic
    try:  # Folding constants would compute parts of the model here, outside the limits of memory and time.
        return onnxruntime.InferenceSession(
            data,
            options,
            providers=["CPUExecutionProvider"],
            disabled_optimizers=["ConstantFolding"],
            enable_fallback=0,  # or it prints and tries again
        )
    except Exception as error:
        raise _RefusedError(
            f"onnxruntime {onnxruntime.__version__} cannot open it (IR version {outline.ir_version}, opsets "
            f"{outline.opsets[:4]}): {_reason(error)}; export it for older versions or update onnxruntime"
        ) from None


@cache
def _prepare_process() -> None:
    """Bound the memory of all sessions that use the process's allocators, and keep onnxruntime off the terminal."""
    import onnxruntime

    onnxruntime.set_default_logger_severity(4)
    place = onnxruntime.OrtMemoryInfo(
        "Cpu", onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, onnxruntime.OrtMemType.DEFAULT
    )
    grow_as_asked = 1
    limits = onnxruntime.OrtArenaCfg({"max_mem": MAX_WORK_BYTES, "arena_extend_strategy": grow_as_asked})
    onnxruntime.create_and_register_allocator(place, limits)


def _reason(error: Exception) -> str:
    """The end of what onnxruntime says; the names of its functions stand in front."""
    text = _printable(" ".join(str(error).split()))
    return text if len(text) <= 240 else "..." + text[-240:].partition(" ")[2]


def _printable(text: str) -> str:
    """Without what would act on a terminal; names of a stranger's model stand in messages."""
    return "".join(character if character.isprintable() else "?" for character in text)


def _too_large(source: str, size: int) -> str:
    return f"{source}: it has {size} bytes; at most {MAX_FILE_BYTES} are read: train a smaller model"
