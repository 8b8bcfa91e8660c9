"""Events as bytes, exactly and small: what an agent says is written as its difference from what it said before.

A block holds the events of one append. Layout, all numbers little-endian::

    "QE", version, then five sections, each its length, its stored length, and its bytes, deflated where that is shorter
      header   JSON: fields of classes, shapes and keys that no block has named since the last key block
      control  a record: number of its shape, number of its key, time, which leaves are as before, other scalars
      whole    arrays of integers, less those before, byte planes apart
      low      arrays of floats, all byte planes but the highest
      top      arrays of floats, the highest byte plane: sign and exponent

A shape is a record's class and the kinds of its leaves; a key its class and its first string, the agent in all events.
An encoder and a decoder carry the leaves of each key from block to block. A key block depends on none before it.
No float is changed or rounded, no class is built but the events and what they hold.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from controller.errors import JournalError
from controller.live.bytestream import Bytes, join_planes, pack, split_planes
from controller.live.events import Taken
from controller.live.journal_shape import FIELDS, build, can_build, flatten, kinds, tuples

VERSION = 1
MAGIC = b"QE" + bytes([VERSION])
N_SECTIONS = 5
LEVEL = 1  # of deflate: higher ones gain some percent for several times the work


class _Memory:
    """What an encoder and a decoder know alike since the last key block."""

    def __init__(self) -> None:
        self.classes: set[str] = set()
        self.shapes: list[Any] = []
        self.kinds: list[list[Any]] = []
        self.number: dict[Any, int] = {}  # of a shape, and of a key
        self.n_keys = 0
        self.last: list[tuple[list[Any], list[Any]]] = []  # by key: kinds and leaves
        self.unix_us = 0

    def learn(self, shapes: Sequence[Any], keys: Sequence[str]) -> None:
        """Number new shapes and keys."""
        for shape in shapes:
            self.number[shape] = len(self.shapes)
            self.shapes.append(shape)
            self.kinds.append(kinds(shape, []))
        for key in keys:
            self.number[key] = self.n_keys
            self.n_keys += 1
            self.last.append(([], []))


class Encoder:
    """Events to blocks. After ``reset`` the next block is a key block."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget all blocks before: the next one can be read without them."""
        self._memory = _Memory()
        self.is_key = True

    def encode(self, events: Sequence[Taken]) -> bytes:
        """A block of events in their order."""
        memory, sections = self._memory, [bytearray() for _ in range(N_SECTIONS - 1)]
        new: dict[str, Any] = {"fields": {}, "shapes": [], "keys": []}
        for taken in events:
            leaves: list[Any] = []
            shape = flatten(taken.event, leaves)
            name = next((leaf for leaf in leaves if isinstance(leaf, str)), "")
            key = f"{shape[0]} {name}"
            if shape not in memory.number:
                self._name_classes(shape, new["fields"])
                new["shapes"].append(shape)
                memory.learn([shape], [])
            if key not in memory.number:
                new["keys"].append(key)
                memory.learn([], [key])
            control = sections[0]
            control += pack(memory.number[shape]) + pack(memory.number[key])
            control += pack(taken.unix_us - memory.unix_us, signed=True)
            memory.unix_us = taken.unix_us
            _write_leaves(memory, memory.number[shape], memory.number[key], leaves, sections)
        header = json.dumps({k: v for k, v in new.items() if v}, separators=(",", ":")).encode()
        self.is_key = False
        return MAGIC + b"".join(_stored(bytes(part)) for part in (header, *sections))

    def _name_classes(self, shape: Any, new: dict[str, list[str]]) -> None:
        if isinstance(shape, tuple) and shape[0] != "#":
            if shape[0] and shape[0] not in self._memory.classes:
                self._memory.classes.add(shape[0])
                new[shape[0]] = FIELDS[shape[0]]
            for part in shape[1:]:
                self._name_classes(part, new)


def _stored(part: bytes) -> bytes:
    deflater = zlib.compressobj(LEVEL, zlib.DEFLATED, -15)
    short = deflater.compress(part) + deflater.flush()
    body = short if len(short) < len(part) else part
    return pack(len(part)) + pack(len(body)) + body


def _same_type(kinds: list[Any], before: list[Any], i: int) -> bool:
    return i < len(before) and before[i] == kinds[i]


def _write_leaves(
    memory: _Memory, shape: int, key: int, leaves: list[Any], sections: list[bytearray]
) -> None:
    kinds, (kinds_before, before) = memory.kinds[shape], memory.last[key]
    control, whole, low, top = sections
    known = [_same_type(kinds, kinds_before, i) for i in range(len(kinds))]
    same = [k and _bits(a) == _bits(before[i]) for i, (k, a) in enumerate(zip(known, leaves, strict=True))]
    control += np.packbits(same).tobytes()
    for i, (kind, leaf) in enumerate(zip(kinds, leaves, strict=True)):
        if same[i]:
            continue
        if kind == "i":
            control += pack(leaf - (before[i] if known[i] else 0), signed=True)
        elif isinstance(kind, str):
            control += _scalar(kind, leaf)
        elif kind[1][1] == "f":
            planes = split_planes(leaf, int(kind[1][2:]))
            low += planes[:-1].tobytes()
            top += planes[-1].tobytes()
        else:
            whole += split_planes(_less(leaf, before[i], kind) if known[i] else leaf, _width(kind)).tobytes()
    memory.last[key] = (kinds, leaves)


def _bits(leaf: Any) -> Any:
    """What tells a leaf from another: zeros of both signs and NaN are told by their bits."""
    return struct.pack("<d", leaf) if isinstance(leaf, float) else leaf


def _width(kind: Any) -> int:
    return int(kind[1][2:])


def _less(leaf: bytes, before: bytes, kind: Any) -> bytes:
    unsigned = f"<u{_width(kind)}"
    return bytes((np.frombuffer(leaf, unsigned) - np.frombuffer(before, unsigned)).tobytes())


def _more(leaf: bytes, before: bytes, kind: Any) -> bytes:
    unsigned = f"<u{_width(kind)}"
    return bytes((np.frombuffer(leaf, unsigned) + np.frombuffer(before, unsigned)).tobytes())


def _scalar(kind: str, leaf: Any) -> bytes:
    if kind == "t":
        return bytes([leaf])
    if kind == "f":
        return struct.pack("<d", leaf)
    if kind == "n":
        return b""
    text: bytes = leaf.encode("utf-8", "surrogatepass") if kind == "s" else leaf
    return pack(len(text)) + text


class Decoder:
    """Blocks to events; begins with a key block and is given the blocks in their order."""

    def __init__(self) -> None:
        self._memory = _Memory()

    def decode(self, block: bytes, *, is_key: bool) -> list[Taken]:
        """The events of a block. Raises JournalError where it cannot be read, or was written by another version."""
        if is_key:
            self._memory = _Memory()
        if block[: len(MAGIC)] != MAGIC:
            raise JournalError(
                f"a block of events begins with {block[:3]!r}; read it with the version that wrote it"
            )
        try:
            return self._decode(block)
        except (ValueError, LookupError, TypeError, OverflowError, struct.error, zlib.error) as error:
            raise JournalError(
                f"a block of events cannot be read: {error}; see 'quietcell journal check'"
            ) from error

    def _decode(self, block: bytes) -> list[Taken]:
        whole = Bytes(block[len(MAGIC) :])
        header, *sections = [_unstored(whole) for _ in range(N_SECTIONS)]
        new = json.loads(header) if header else {}
        for name, names in new.get("fields", {}).items():
            if not can_build(name, names):
                raise ValueError(
                    f"{name} has the fields {FIELDS.get(name)} here and {names} there; use the version of then"
                )
        memory = self._memory
        memory.learn([tuples(shape) for shape in new.get("shapes", [])], new.get("keys", []))
        streams = [Bytes(part) for part in sections]
        control, taken = streams[0], []
        while control.left:
            shape, key = control.number(), control.number()
            memory.unix_us += control.number(signed=True)
            leaves = _read_leaves(memory, shape, key, streams)
            event = build(memory.shapes[shape], leaves[::-1])
            taken.append(Taken(memory.unix_us, event))
        return taken


def _unstored(stream: Bytes) -> bytes:
    length, stored = stream.number(), stream.number()
    body = stream.take(stored)
    if stored == length:
        return body
    part = zlib.decompressobj(-15).decompress(body, length)
    if len(part) != length:
        raise ValueError(f"a section has {len(part)} bytes instead of {length}")
    return part


def _read_leaves(memory: _Memory, shape: int, key: int, streams: list[Bytes]) -> list[Any]:
    kinds, (kinds_before, before) = memory.kinds[shape], memory.last[key]
    control, whole, low, top = streams
    mask = np.frombuffer(control.take(-(-len(kinds) // 8)), np.uint8)
    same = np.unpackbits(mask, count=len(kinds))
    leaves: list[Any] = []
    for i, kind in enumerate(kinds):
        known = _same_type(kinds, kinds_before, i)
        if same[i]:
            leaves.append(before[i])
        elif kind == "i":
            leaves.append(control.number(signed=True) + (before[i] if known else 0))
        elif isinstance(kind, str):
            leaves.append(_read_scalar(kind, control))
        else:
            count, width = int(np.prod(kind[2:], dtype=np.int64)), _width(kind)
            if kind[1][1] == "f":
                planes = low.take(count * (width - 1)) + top.take(count)
                leaves.append(join_planes(planes, width))
            else:
                plain = join_planes(whole.take(count * width), width)
                leaves.append(_more(plain, before[i], kind) if known else plain)
    memory.last[key] = (kinds, leaves)
    return list(leaves)


def _read_scalar(kind: str, control: Bytes) -> Any:
    if kind == "t":
        return bool(control.take(1)[0])
    if kind == "f":
        return struct.unpack("<d", control.take(8))[0]
    if kind == "n":
        return None
    text = control.take(control.number())
    return text.decode("utf-8", "surrogatepass") if kind == "s" else text
