"""The parts of an ONNX file, read without a parser that would build them.

Protobuf's wire format is a list of fields, each ``tag value`` with ``tag = number << 3 | wire type``:

====  =========================================  ================
type  value                                      kept
====  =========================================  ================
0     varint: 7 bits in each byte, low first     as a number
1, 5  eight or four bytes                        no
2     length as varint, then that many bytes     as a ``Span``
====  =========================================  ================

A ``Span`` is looked into only where its ``Kind`` is known, so depth is bounded by this file. Each message is refused
that has a field its kind does not list, or two of a field that may stand once: what another reader would make of those
is not for us to guess. Work is bounded by MAX_FIELDS. Field numbers are those of onnx.proto3, IR version 14.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

MAX_FIELDS = 200_000  # large exported networks have tens of thousands; half a second's work
MAX_VARINT_BYTES = 10  # of 64 bits
MAX_DIMENSIONS = 8
FLOAT = 1  # TensorProto.DataType
# Fixed width and at least a byte for each element: 8 to 64 bits, integer or float, and bool.
_TENSOR_TYPES = {1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13}


class WireError(ValueError):
    """Bytes that are no ONNX model, or one with parts that are not read. Says what and where, not in which file."""


class Span(NamedTuple):
    """Bytes from ``start`` up to ``stop``."""

    start: int
    stop: int


@dataclass(frozen=True)
class Kind:
    """A message: fields that may stand once, those that may repeat, and the names of some that are refused."""

    name: str
    once: tuple[int, ...] = ()
    many: tuple[int, ...] = ()
    refused: dict[int, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Fields:
    """What one message holds, by field number."""

    numbers: dict[int, list[int]] = field(default_factory=dict)
    spans: dict[int, list[Span]] = field(default_factory=dict)

    def number(self, key: int) -> int:
        """The varint of a field, 0 where it is absent."""
        return self.numbers.get(key, [0])[0]


@dataclass
class Outline:
    """What the structure of an ONNX model says. Shapes hold None where a dimension has no fixed size."""

    ir_version: int = 0
    opsets: list[tuple[str, int]] = field(default_factory=list)  # domain, version
    metadata: list[tuple[str, str]] = field(default_factory=list)
    operators: Counter[tuple[str, str]] = field(
        default_factory=Counter
    )  # (domain, operator) -> number of nodes
    inputs: list[tuple[str, int, list[int | None]]] = field(default_factory=list)  # name, element type, shape
    outputs: list[tuple[str, int, list[int | None]]] = field(default_factory=list)


_REFUSED_VALUES = {14: "a type", 15: "types", 22: "a sparse tensor", 23: "sparse tensors"}
MODEL = Kind(
    "model",
    (1, 2, 3, 4, 5, 6, 7),
    (8, 14),
    {20: "training steps", 25: "functions", 26: "a device configuration"},
)
PAIR = Kind("pair of texts", (1, 2))
OPSET = Kind("opset", (1, 2))
GRAPH = Kind(
    "graph", (2, 10), (1, 5, 11, 12, 13, 16), {14: "quantization annotations", 15: "sparse initializers"}
)
NODE = Kind("node", (3, 4, 6, 7), (1, 2, 5, 9), {8: "an overload", 10: "a device configuration"})
ATTRIBUTE = Kind(
    "attribute",
    (1, 2, 3, 4, 5, 13, 20),
    (7, 8, 9, 10),
    {6: "a subgraph", 11: "subgraphs", 21: "a reference", **_REFUSED_VALUES},
)
TENSOR = Kind(
    "tensor",
    (2, 8, 9, 12, 14),
    (1, 4, 5, 7, 10, 11, 16),
    {3: "a segment", 6: "texts", 13: "external data, which is in other files"},
)
VALUE = Kind("input or output", (1, 2, 3), (4,))
TYPE = Kind(
    "type", (1, 6), (), {4: "a sequence", 5: "a map", 7: "an opaque type", 8: "a sparse type", 9: "an option"}
)
TENSOR_TYPE = Kind("tensor type", (1, 2))
SHAPE = Kind("shape", (), (1,))
DIMENSION = Kind("dimension", (1, 2, 3))

# Trees have millions of floats (field 7), integers (8) and short texts (9) as attributes: step over a run of them.
_SHORT_TEXTS = b"|".join(re.escape(bytes([n])) + b"[\\s\\S]{%d}" % n for n in range(32))
_RUN = re.compile(rb"(?:\x3d[\s\S]{4}|\x40[\x80-\xff]{0,9}[\x00-\x7f]|\x4a(?:" + _SHORT_TEXTS + rb"))*+")


def read_outline(data: bytes) -> Outline:
    """The structure of an ONNX model. Raises WireError for what this file refuses; nothing is built or opened."""
    reader = _Reader(data)
    model = reader.fields(Span(0, len(data)), MODEL)
    if not model.spans.get(7):
        raise WireError("it has no graph")
    outline = Outline(ir_version=model.number(1))
    for fields in reader.each(model, 8, OPSET):
        outline.opsets.append((reader.text(fields, 1), fields.number(2)))
    for fields in reader.each(model, 14, PAIR):
        outline.metadata.append((reader.text(fields, 1), reader.text(fields, 2)))
    graph = reader.fields(model.spans[7][0], GRAPH)
    for node in reader.each(graph, 1, NODE):
        outline.operators[reader.text(node, 7), reader.text(node, 4)] += 1
        for attribute in reader.each(node, 5, ATTRIBUTE):
            reader.check_tensors(attribute, 5)
            reader.check_tensors(attribute, 10)
    reader.check_tensors(graph, 5)
    outline.inputs = [reader.value(fields) for fields in reader.each(graph, 11, VALUE)]
    outline.outputs = [reader.value(fields) for fields in reader.each(graph, 12, VALUE)]
    return outline


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._fields_left = MAX_FIELDS

    def fields(self, span: Span, kind: Kind) -> Fields:
        """The fields of a message."""
        found, seen = Fields(), set[int]()
        at, stop = span
        while at < stop:
            if kind is ATTRIBUTE and (run := _RUN.match(self._data, at, stop)) and run.end() > at:
                at = run.end()
                continue
            tag, begin = self._varint(at, stop)
            number, wire_type = tag >> 3, tag & 7
            self._admit(number, kind, seen, at)
            if wire_type == 0:
                value, at = self._varint(begin, stop)
                found.numbers.setdefault(number, []).append(value)
            elif wire_type == 2:
                length, begin = self._varint(begin, stop)
                at = begin + length
                found.spans.setdefault(number, []).append(Span(begin, at))
            elif wire_type in (1, 5):
                at = begin + (8 if wire_type == 1 else 4)
            else:
                raise WireError(f"a field of wire type {wire_type} at byte {at}")
            if at > stop:
                raise WireError(
                    f"field {number} of a {kind.name} ends at byte {at}, after its {kind.name} at {stop}"
                )
        return found

    def each(self, fields: Fields, key: int, kind: Kind) -> Iterator[Fields]:
        """The messages in one field, one after the other."""
        return (self.fields(span, kind) for span in fields.spans.get(key, []))

    def text(self, fields: Fields, key: int) -> str:
        """The text of a field, "" where it is absent."""
        spans = fields.spans.get(key)
        if not spans:
            return ""
        try:
            return self._data[slice(*spans[0])].decode()
        except UnicodeDecodeError:
            raise WireError(f"a text at byte {spans[0].start} is not UTF-8") from None

    def value(self, fields: Fields) -> tuple[str, int, list[int | None]]:
        """Name, element type and shape of an input or output; type 0 and [] where it has none."""
        name = self.text(fields, 1)
        for kind in self.each(fields, 2, TYPE):
            for tensor in self.each(kind, 1, TENSOR_TYPE):
                shapes = [list(self.each(shape, 1, DIMENSION)) for shape in self.each(tensor, 2, SHAPE)]
                sizes = [size.numbers.get(1, [None])[0] for shape in shapes for size in shape]
                return name, tensor.number(1), sizes
        return name, 0, []

    def check_tensors(self, fields: Fields, key: int) -> None:
        """Refuse a tensor that is elsewhere, or larger than the bytes that are there for it."""
        for tensor in self.each(fields, key, TENSOR):
            name = f"tensor {self.text(tensor, 8)[:60]!r}"
            if tensor.number(14) != 0:
                raise WireError(f"{name} is external data, which is in another file")
            if tensor.number(2) not in _TENSOR_TYPES:
                raise WireError(f"{name} has elements of type {tensor.number(2)}, not of a plain number type")
            shape = [*tensor.numbers.get(1, []), *self._packed(tensor.spans.get(1, []))]
            held = sum(
                span.stop - span.start for k in (4, 5, 7, 9, 10, 11) for span in tensor.spans.get(k, [])
            )
            if (
                len(shape) > MAX_DIMENSIONS
                or max(shape, default=0) > len(self._data)
                or math.prod(shape) > held
            ):
                raise WireError(
                    f"{name} claims the shape {shape[:MAX_DIMENSIONS]} but has {held} bytes of data"
                )

    def _packed(self, spans: list[Span]) -> Iterator[int]:
        for span in spans:
            at = span.start
            while at < span.stop:
                value, at = self._varint(at, span.stop)
                self._spend()
                yield value

    def _admit(self, number: int, kind: Kind, seen: set[int], at: int) -> None:
        """Count a field. Raises WireError if it may not stand there."""
        self._spend()
        if number in kind.many:
            return
        if number not in kind.once:
            what = kind.refused.get(number, f"a field {number}, which is not known")
            raise WireError(f"a {kind.name} at byte {at} has {what}")
        if number in seen:
            raise WireError(f"a {kind.name} has field {number} twice, again at byte {at}")
        seen.add(number)

    def _spend(self) -> None:
        self._fields_left -= 1
        if self._fields_left < 0:
            raise WireError(f"it has more than {MAX_FIELDS} parts")

    def _varint(self, at: int, stop: int) -> tuple[int, int]:
        """An unsigned number and where it ends."""
        value = 0
        for i in range(min(MAX_VARINT_BYTES, stop - at)):
            byte = self._data[at + i]
            value |= (byte & 0x7F) << (7 * i)
            if byte < 0x80:
                return value & 0xFFFF_FFFF_FFFF_FFFF, at + i + 1
        raise WireError(f"a number at byte {at} has no end")
