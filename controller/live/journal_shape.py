"""Events taken apart into a shape and leaves, and put together again.

A shape is a class and the kinds of its leaves, as JSON can hold it: a letter for a scalar, ``("#", dtype, dimensions)``
for an array, ``("", ...)`` for a tuple, ``(name, ...)`` for a class. Only events and what they hold are ever built.
"""

from __future__ import annotations

from dataclasses import MISSING, fields, is_dataclass
from typing import Any, get_args, get_type_hints

import numpy as np

from controller.live.events import Event

SCALARS = {bool: "t", int: "i", float: "f", str: "s", bytes: "b", type(None): "n"}


def _classes(of: Any, found: dict[str, type]) -> dict[str, type]:
    """All dataclasses that a type can hold, by name."""
    if is_dataclass(of) and isinstance(of, type) and of.__name__ not in found:
        found[of.__name__] = of
        for hint in get_type_hints(of).values():
            _classes(hint, found)
    for part in get_args(of):
        _classes(part, found)
    return found


CLASSES = _classes(Event, {})
FIELDS = {name: [f.name for f in fields(of)] for name, of in CLASSES.items()}


def can_build(name: str, names: list[str]) -> bool:
    """Whether a class that was written with these fields can be built: fields added since then have a default."""
    if name not in CLASSES or FIELDS[name][: len(names)] != names:
        return False
    added = fields(CLASSES[name])[len(names) :]
    return all(f.default is not MISSING or f.default_factory is not MISSING for f in added)


def flatten(value: Any, leaves: list[Any]) -> Any:
    """The shape of a value; its leaves are appended, arrays as their bytes."""
    of = type(value)
    if of in SCALARS:
        leaves.append(value)
        return SCALARS[of]
    if is_dataclass(value):
        return (of.__name__, *(flatten(getattr(value, name), leaves) for name in FIELDS[of.__name__]))
    if isinstance(value, np.ndarray):
        little = np.ascontiguousarray(value, value.dtype.newbyteorder("<"))
        leaves.append(little.tobytes())
        return ("#", little.dtype.str, *value.shape)
    if isinstance(value, tuple):
        return ("", *(flatten(part, leaves) for part in value))
    plain = value.item() if isinstance(value, np.generic) else int(value)  # an IntEnum is its number
    return flatten(plain, leaves)


def kinds(shape: Any, found: list[Any]) -> list[Any]:
    """The kinds of a shape's leaves in order: a letter, or dtype and dimensions of an array."""
    if isinstance(shape, str) or shape[0] == "#":
        found.append(shape)
    else:
        for part in shape[1:]:
            kinds(part, found)
    return found


def build(shape: Any, leaves: list[Any]) -> Any:
    """A value of a shape from its leaves, which are taken from the end of the list."""
    if isinstance(shape, str):
        return leaves.pop()
    if shape[0] == "#":
        return np.frombuffer(leaves.pop(), shape[1]).reshape(shape[2:]).copy()
    parts = [build(part, leaves) for part in shape[1:]]
    return tuple(parts) if shape[0] == "" else CLASSES[shape[0]](*parts)


def tuples(shape: Any) -> Any:
    """A shape as JSON gives it, made of tuples again."""
    return tuple(tuples(part) for part in shape) if isinstance(shape, list) else shape
