"""What a model says about itself, in its structure and metadata, and the reason why it is refused for it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import onnx
import pytest
from onnx import TensorProto, helper

from controller.forecast import onnx_file, wire
from controller.forecast.layout import n_features
from controller.forecast.metadata import QUANTILES
from controller.forecast.model_file import seal

STEP_S = 43200  # of the models in conftest.py, which look one step ahead
F, Q = n_features(STEP_S, 1), len(QUANTILES)

Edit = Callable[[onnx.ModelProto], None]
Refusal = Callable[[bytes], str]


def _nodes(*nodes: onnx.NodeProto) -> Edit:
    return lambda model: model.graph.node.extend(nodes)


def _tensor(dims: list[int], **fields: Any) -> Edit:
    """An initialiser of four bytes."""
    tensor = TensorProto(dims=dims, **({"data_type": 1, "raw_data": b"1234", "name": "big"} | fields))
    return lambda model: model.graph.initializer.append(tensor)


def _attribute(**fields: Any) -> Edit:
    attribute = onnx.AttributeProto(name="value", **fields)
    return lambda model: model.graph.node.append(onnx.NodeProto(op_type="Constant", attribute=[attribute]))


def _elsewhere(model: onnx.ModelProto) -> None:
    tensor = TensorProto(
        dims=[1], data_type=1, raw_data=b"1234", name="away", data_location=TensorProto.EXTERNAL
    )
    model.graph.initializer.append(tensor)


def _elsewhere_path(model: onnx.ModelProto) -> None:
    tensor = TensorProto(dims=[1], data_type=1, name="away")
    tensor.external_data.add(key="location", value="/etc/passwd")
    model.graph.initializer.append(tensor)


def _sparse(model: onnx.ModelProto) -> None:
    model.graph.sparse_initializer.add(dims=[1 << 40])


def _texts(model: onnx.ModelProto) -> None:
    model.graph.initializer.append(TensorProto(dims=[1], data_type=8, string_data=[b"x"], name="text"))


def _subgraph(operator: str) -> Edit:
    return _nodes(helper.make_node(operator, ["features"], ["x"], body=onnx.GraphProto(name="body")))


def _functions(model: onnx.ModelProto) -> None:
    model.functions.add(name="f", domain="mine")


def _training(model: onnx.ModelProto) -> None:
    model.training_info.add()


def _many_nodes(model: onnx.ModelProto) -> None:
    model.graph.node.extend([helper.make_node("Abs", ["sum"], [""])] * (onnx_file.MAX_NODES + 1))


def _many_parts(model: onnx.ModelProto) -> None:
    model.graph.node.extend([onnx.NodeProto()] * (wire.MAX_FIELDS + 1))


def _set(**fields: Any) -> Edit:
    return lambda model: model.MergeFrom(onnx.ModelProto(**fields))


def _opset(version: int, domain: str = "") -> Edit:
    def edit(model: onnx.ModelProto) -> None:
        model.opset_import[["", "ai.onnx.ml"].index(domain)].version = version

    return edit


def _value(role: str, name: str, element: int, shape: list[Any]) -> Edit:
    def edit(model: onnx.ModelProto) -> None:
        getattr(model.graph, role)[0].CopyFrom(helper.make_tensor_value_info(name, element, shape))

    return edit


def _metadata(**texts: str | None) -> Edit:
    def edit(model: onnx.ModelProto) -> None:
        old = {entry.key.removeprefix("quietcell."): entry.value for entry in model.metadata_props}
        new = {f"quietcell.{key}": text for key, text in (old | texts).items() if text is not None}
        helper.set_model_props(model, new)

    return edit


def _info(**changed: Any) -> Edit:
    def edit(model: onnx.ModelProto) -> None:
        (entry,) = [entry for entry in model.metadata_props if entry.key == "quietcell.info"]
        fields = json.loads(entry.value) | changed
        entry.value = json.dumps({key: value for key, value in fields.items() if value != "absent"})

    return edit


_HUGE = TensorProto(dims=[1 << 40], data_type=1, raw_data=b"1234", name="large")
REFUSALS: dict[str, tuple[Edit, str]] = {
    "huge initialiser": (
        _tensor([1 << 20, 1 << 20]),
        r"'big' claims the shape \[1048576, 1048576\] but has 4 bytes",
    ),
    "large initialiser": (_tensor([5]), r"claims the shape \[5\] but has 4"),
    "negative initialiser": (_tensor([0, -1]), r"claims the shape \[0, 18446744073709551615\]"),
    "deep initialiser": (_tensor([1] * 9), "claims the shape"),
    "complex initialiser": (_tensor([1], data_type=14), "'big' has elements of type 14"),
    "huge constant": (_attribute(t=_HUGE), "'large' claims the shape"),
    "huge constants": (_attribute(tensors=[_HUGE]), "'large' claims the shape"),
    "external data": (_elsewhere, "'away' is external data"),
    "external path": (_elsewhere_path, "external data, which is in other files"),
    "sparse initialiser": (_sparse, "sparse initializers"),
    "texts": (_texts, "has texts"),
    "functions": (_functions, "functions"),
    "training": (_training, "training steps"),
    **{name: (_subgraph(name), "a subgraph") for name in ("Loop", "Scan", "If", "Relu")},
    **{
        name: (
            _nodes(helper.make_node(name, ["features"], ["x"])),
            f"it uses ai.onnx:{name};.*may use.*Gemm",
        )
        for name in (
            "Expand",
            "Tile",
            "Range",
            "Resize",
            "Pad",
            "ConstantOfShape",
            "RandomNormal",
            "StringConcat",
        )
    },
    "custom": (_nodes(helper.make_node("Abs", ["features"], ["x"], domain="com.acme")), "com.acme:Abs"),
    "escapes": (_nodes(helper.make_node("\x1b[2J", ["features"], ["x"])), r"it uses ai.onnx:\?\[2J;"),
    "unnamed": (_nodes(onnx.NodeProto()), "it uses ai.onnx:;"),
    "many nodes": (_many_nodes, "20005 nodes; at most 20000"),
    "many parts": (_many_parts, "more than 200000 parts"),
    "new IR": (
        _set(ir_version=99),
        r"onnxruntime [\d.]+ cannot open it \(IR version 99.*max supported IR version",
    ),
    "old IR": (_set(ir_version=3), "IR version is 3; export it with 7"),
    "new opset": (_opset(99), "cannot open it .*99.*support for domain ai.onnx is till opset"),
    "absurd opset": (_opset((1 << 32) + 17), "opset '' is 4294967313"),
    "old opset": (_opset(9), "opset '' is 9; export it with 13"),
    "new ml opset": (_opset(77, "ai.onnx.ml"), "cannot open it .*77"),
    "no opset": (lambda model: model.ClearField("opset_import"), r"opsets are \[\]"),
    "opset twice": (_set(opset_import=[helper.make_opsetid("", 13)]), "one for each domain"),
    "no input": (lambda model: model.graph.ClearField("input"), "its inputs are none"),
    "input name": (_value("input", "x", 1, [None, F]), "its inputs are 'x' float32"),
    "input type": (
        _value("input", "features", 11, [None, F]),
        rf"'features' type 11 \[N, {F}\], not 'features' fl",
    ),
    "input shape": (
        _value("input", "features", 1, [None, F + 1]),
        rf"float32 \[N, {F + 1}\], not .*\[N, {F}\]",
    ),
    "fixed batch": (_value("input", "features", 1, [1, F]), rf"float32 \[1, {F}\], not"),
    "output name": (_value("output", "y", 1, ["N", 1, Q]), "its outputs are 'y'"),
    "output shape": (_value("output", "quantiles", 1, ["N", 2, Q]), r"\[N, 2, 5\], not .*\[N, 1, 5\]"),
    "no output": (lambda model: model.graph.ClearField("output"), "its outputs are none"),
    "no schema": (_metadata(schema=None), "'quietcell.schema' 0 times"),
    "other schema": (
        _metadata(schema="quietcell.model/2"),
        "is 'quietcell.model/2', not 'quietcell.model/1'",
    ),
    "no info": (_metadata(info=None), "'quietcell.info' 0 times"),
    "no JSON": (_metadata(info="{"), "Invalid JSON"),
    "deep JSON": (_metadata(info="[" * 100_000), "Invalid JSON"),
    "long JSON": (_metadata(info=" " * 5_000_000), "5000000 characters, more than"),
    "info is a list": (_metadata(info="[]"), "info is not valid: .*object"),
    "field absent": (_info(step_s="absent"), "step_s: Field required"),
    "field unknown": (_info(more=1), r"more: Extra inputs are not permitted \(value 1\)"),
    "field type": (_info(n_cells="3"), r"n_cells: Input should be a valid integer \(value 3\)"),
    "not finite": (_info(reference={"a": float("nan")}), "reference.a: Input should be a finite number"),
    "other features": (
        _info(features="quietcell.features/2"),
        "features: Input should be 'quietcell.features/1'",
    ),
    "step": (_info(step_s=43199), "step_s 43199 does not divide a day"),
    "step of a day": (_info(step_s=86400), "step_s: Input should be less than or equal to 43200"),
    "horizon": (_info(horizon_steps=3), "3 of 43200 s are more than a day"),
    "horizon of the graph": (_info(horizon_steps=2, n_features=n_features(STEP_S, 2)), "its inputs are"),
    "number of features": (
        _info(n_features=F + 1),
        f"takes {F + 1} features, but quietcell.features/1 has {F}",
    ),
    "quantiles": (_info(quantiles=[0.5]), r"quantiles \(0.5,\) are not the known"),
    "dates": (_info(trained_until="2023-01-01T00:00:00Z"), "is not before trained_until"),
    "date": (_info(trained_from="yesterday"), "trained_from: .*pattern"),
    "edges": (_info(score_edges=[1.0, 0.0]), "score_edges do not ascend"),
    "anchors": (_info(anchors=[2]), r"anchors \(2,\)"),
    "anchors twice": (_info(anchors=[1, 1]), "anchors .* do not ascend"),
    "groups": (_info(score_counts=[[]]), "score_counts do not have 3 groups"),
    "counts": (_info(score_counts=[[]] * 3), "score_counts do not have 1 anchors"),
    "bins": (_info(score_counts=[[[1.0]]] * 3), "score_counts do not all have 320 score bins"),
    "negative counts": (_info(score_counts=[[[-1.0]]]), "score_counts.0.0.0: .*greater"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_refused_with_its_reason(models: Any, refusal: Refusal, name: str) -> None:
    edit, words = REFUSALS[name]
    message = refusal(models.sealed(edit))
    assert re.search(words, message), message


def test_a_repeated_key_of_the_metadata_is_refused(models: Any, refusal: Refusal) -> None:
    model = models.proto()
    model.metadata_props.add(key="quietcell.info", value="{}")
    assert "'quietcell.info' 2 times, not once" in refusal(seal(model.SerializeToString()))
    model = models.proto()
    model.metadata_props.insert(0, onnx.StringStringEntryProto(key="quietcell.sha256", value="0" * 64))
    assert "'quietcell.sha256' 2 times" in refusal(seal(model.SerializeToString()))


# Wire format


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (b"\x3a\x00", "a model has field 7 twice"),  # protobuf would merge two graphs
        (b"\x08\x08", "field 1 twice"),
        (b"\xfa\x01\x00", "a field 31, which is not known"),
        (b"\x00\x00", "a field 0, which is not known"),
        (b"\x72\x7f", "field 14 of a model ends at byte"),
        (b"\x72\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "ends at byte"),
        (b"\x70" + b"\x80" * 10, "a number at byte .* has no end"),
        (b"\x73", "wire type 3"),
        (b"\x77", "wire type 7"),
        (b"\x72\x03\x0a\x01\xff", "is not UTF-8"),
        (b"\x72\x03\x0a\x02a", "field 1 of a pair of texts ends at byte"),
    ],
)
def test_damage_that_the_checksum_vouches_for_is_refused(
    models: Any, refusal: Refusal, damage: bytes, words: str
) -> None:
    message = refusal(seal(models.proto().SerializeToString() + damage))
    assert re.search(words, message), message


def _nested(data: bytes, *fields: int) -> bytes:
    """Bytes inside messages, from the innermost field outwards."""
    for number in fields:
        length, rest = b"", len(data)
        while rest > 0x7F:
            length, rest = length + bytes([rest & 0x7F | 0x80]), rest >> 7
        data = bytes([number << 3 | 2]) + length + bytes([rest]) + data
    return data


def test_a_shape_may_be_packed_into_one_field() -> None:
    """Protobuf takes both ways to write repeated numbers."""
    head = TensorProto(data_type=1, raw_data=b"1234", name="big").SerializeToString()
    for dims, words in ((b"\x05", r"shape \[5\] but has 4"), (b"\x01" * 300_000, "more than 200000 parts")):
        tensor = head + _nested(dims, 1)
        assert list(TensorProto.FromString(tensor).dims) == list(dims)
        with pytest.raises(wire.WireError, match=words):
            wire.read_outline(_nested(tensor, 5, 7))


def test_a_number_that_the_file_cuts_off_is_refused() -> None:
    for data, words in (
        (b"\x72", "no end"),
        (b"\x08\x80", "no end"),
        (b"\x0d\x00", "ends at byte 5"),
        (b"", "no graph"),
    ):
        with pytest.raises(wire.WireError, match=words):
            wire.read_outline(data)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (wire.MODEL, onnx.ModelProto),
        (wire.PAIR, onnx.StringStringEntryProto),
        (wire.OPSET, onnx.OperatorSetIdProto),
        (wire.GRAPH, onnx.GraphProto),
        (wire.NODE, onnx.NodeProto),
        (wire.ATTRIBUTE, onnx.AttributeProto),
        (wire.TENSOR, onnx.TensorProto),
        (wire.VALUE, onnx.ValueInfoProto),
        (wire.TYPE, onnx.TypeProto),
        (wire.TENSOR_TYPE, onnx.TypeProto.Tensor),
        (wire.SHAPE, onnx.TensorShapeProto),
        (wire.DIMENSION, onnx.TensorShapeProto.Dimension),
    ],
)
def test_field_numbers_are_those_of_onnx(kind: wire.Kind, message: Any) -> None:
    empty = message()
    many = {f.number for f in message.DESCRIPTOR.fields if hasattr(getattr(empty, f.name), "append")}
    known = {f.number for f in message.DESCRIPTOR.fields}
    assert set(kind.many) <= many
    assert set(kind.once) <= known - many
    assert set(kind.many) | set(kind.once) | set(kind.refused) == known
