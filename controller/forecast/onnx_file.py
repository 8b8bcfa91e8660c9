"""ONNX files that are run: one file, refused with its reason unless all of this holds.

::

    stat (a file, not too large) -> checksum at the end -> structure (wire.py: bounded, nothing outside the file)
      -> metadata -> versions, operators, shapes -> onnxruntime opens it

Metadata: ``quietcell.schema``, ``quietcell.info``, and as the file's very last entry ``quietcell.sha256``: the SHA-256
of all bytes before it. It finds damage; it proves no origin. What a stranger's file could do is bounded instead:
operators from a list, memory in all, time at each operator.
"""

from __future__ import annotations

import hashlib
import stat
import threading
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from controller.errors import ModelError
from controller.forecast.wire import Outline, WireError, read_outline

if TYPE_CHECKING:
    import onnxruntime

MAX_FILE_BYTES = 64 << 20
MAX_NODES = 20_000
OLDEST_IR_VERSION = 7  # of May 2020
OLDEST_OPSET = {"": 13, "ai.onnx.ml": 1}
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

Value = tuple[str, int, list[int | None]]  # name, element type and shape of an input or output
_ELEMENTS = {1: "float32", 7: "int64"}  # TensorProto.DataType


class Purpose(NamedTuple):
    """What a file is for, in the words of its messages."""

    what: str  # "model"
    schema: str  # under quietcell.schema
    maker: str  # what makes such files
    page: str  # where they are described
    anew: str  # how to get another one
    smaller: str

    @property
    def documented(self) -> str:
        """Remedy where a file is not as described."""
        return f"a {self.what} must have the inputs, outputs and metadata of {self.page}"


class RefusedError(Exception):
    """What is wrong and the remedy; who knows the file adds its name."""


def seal(onnx_bytes: bytes) -> bytes:
    """The same model with its checksum as the last metadata entry."""
    assert not onnx_bytes[-_SEAL_BYTES:].startswith(_SEAL_HEAD), "sealed already"
    return onnx_bytes + _SEAL_HEAD + hashlib.sha256(onnx_bytes).hexdigest().encode()


def read_bytes(path: Path, purpose: Purpose) -> bytes:
    """The bytes of a file. Raises ModelError naming file, what is wrong and a remedy."""
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
        raise ModelError(_too_large(str(path), status.st_size, purpose))
    return data


def check_bytes(data: bytes, source: str, purpose: Purpose) -> tuple[Outline, str, str]:
    """Structure, information and SHA-256 of the bytes of a file. Raises ModelError, RefusedError."""
    if len(data) > MAX_FILE_BYTES:
        raise ModelError(_too_large(source, len(data), purpose))
    sha256 = _check_seal(data, purpose)
    try:
        outline = read_outline(data)
    except WireError as error:
        raise RefusedError(f"not a {purpose.what} to be used: {error}; {purpose.documented}") from None
    info = _read_metadata(outline, purpose)
    _check_versions(outline)
    _check_operators(outline, purpose)
    return outline, info, sha256


def _check_seal(data: bytes, purpose: Purpose) -> str:
    """The checksum that the file ends with."""
    again = f"copy the file again or {purpose.anew}"
    if not data:
        raise RefusedError(f"the file is empty; {again}")
    body, tail = data[:-_SEAL_BYTES], data[-_SEAL_BYTES:]
    if not tail.startswith(_SEAL_HEAD):
        raise RefusedError(f"no checksum at its end: cut short, or not made by {purpose.maker}; {again}")
    found, stated = hashlib.sha256(body).hexdigest(), tail[len(_SEAL_HEAD) :]
    if found.encode() != stated:
        raise RefusedError(f"damaged: its SHA-256 is {found}, not {stated!r} as it says; {again}")
    return found


def _read_metadata(outline: Outline, purpose: Purpose) -> str:
    """What stands under ``quietcell.info``."""
    keys = [key for key, _ in outline.metadata if key.startswith("quietcell.")]
    metadata = dict(outline.metadata)
    for key in ("quietcell.schema", "quietcell.info", _SEAL_KEY.decode()):
        if keys.count(key) != 1:
            raise RefusedError(
                f"its metadata has {key!r} {keys.count(key)} times, not once; {purpose.documented}"
            )
    if (schema := metadata["quietcell.schema"]) != purpose.schema:
        raise RefusedError(f"its quietcell.schema is {schema[:60]!r}, not {purpose.schema!r}; {purpose.anew}")
    return metadata["quietcell.info"]


def _check_versions(outline: Outline) -> None:
    """Old ones are refused here, new ones by onnxruntime, which knows what it can do."""
    if (version := outline.ir_version) < OLDEST_IR_VERSION:
        raise RefusedError(f"its IR version is {version}; export it with {OLDEST_IR_VERSION} or later")
    opsets = dict(outline.opsets)
    if len(opsets) != len(outline.opsets) or "" not in opsets:
        raise RefusedError(f"its opsets are {outline.opsets[:9]}; export it with one for each domain")
    for domain, oldest in OLDEST_OPSET.items():
        if not oldest <= (version := opsets.get(domain, oldest)) < 1000:
            raise RefusedError(f"its opset {domain!r} is {version}; export it with {oldest} or later")


def _check_operators(outline: Outline, purpose: Purpose) -> None:
    if (n_nodes := outline.operators.total()) > MAX_NODES:
        raise RefusedError(
            f"it has {n_nodes} nodes; at most {MAX_NODES} are accepted: use a smaller {purpose.what}"
        )
    unknown = sorted(op for op in outline.operators if op[1] not in OPERATORS.get(op[0], ()))
    if unknown:
        shown = ", ".join(f"{domain or 'ai.onnx'}:{name}" for domain, name in unknown)[:200]
        known = " ".join(sorted(frozenset().union(*OPERATORS.values())))
        raise RefusedError(f"it uses {shown}; operators that a {purpose.what} may use are {known}")


def check_values(role: str, found: list[Value], expected: list[Value], purpose: Purpose) -> None:
    """Raise RefusedError unless the only value of this role is one of ``expected``."""
    if not any(found == [value] for value in expected):
        wanted = " or ".join(_shown(*value) for value in expected)
        shown = ", ".join(_shown(*value) for value in found[:4]) or "none"
        raise RefusedError(f"its {role}s are {shown}, not {wanted}; {purpose.documented}")


def _shown(name: str, element: int, shape: list[int | None]) -> str:
    kind = _ELEMENTS.get(element, f"type {element}")
    return f"{name[:60]!r} {kind} [{', '.join('N' if size is None else str(size) for size in shape[:8])}]"


def open_session(data: bytes, outline: Outline) -> onnxruntime.InferenceSession:
    """A session with the limits of this file. Raises RefusedError where onnxruntime cannot open it."""
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
        raise RefusedError(
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
    text = printable(" ".join(str(error).split()))
    return text if len(text) <= 240 else "..." + text[-240:].partition(" ")[2]


def printable(text: str) -> str:
    """Without what would act on a terminal; names of a stranger's model stand in messages."""
    return "".join(character if character.isprintable() else "?" for character in text)


def run_batch(
    session: onnxruntime.InferenceSession, batch: NDArray[np.float32], output: str, source: str, remedy: str
) -> Any:
    """What one batch of ``features`` gives, within MAX_BATCH_S. Raises ModelError where it fails."""
    from onnxruntime import RunOptions

    options = RunOptions()
    options.log_severity_level = 4
    options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")  # give memory back
    timer = threading.Timer(MAX_BATCH_S, setattr, (options, "terminate", True))
    timer.daemon = True
    timer.start()
    try:
        (answer,) = session.run([output], {"features": batch}, options)
    except Exception as error:
        late = f" (a batch may take {MAX_BATCH_S:g} s)" if options.terminate else ""
        raise ModelError(
            f"{source}: it fails on {len(batch)} rows{late}: {_reason(error)}; {remedy}"
        ) from None
    finally:
        timer.cancel()
    return answer


def _too_large(source: str, size: int, purpose: Purpose) -> str:
    return f"{source}: it has {size} bytes; at most {MAX_FILE_BYTES} are read: {purpose.smaller}"
